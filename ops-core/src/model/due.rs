use serde::{Deserialize, Serialize};

use super::{Actor, Digest, RunId, Timestamp, string_id};

string_id! {
    /// What is due: `restore-test/2026-Q4` for the occurrence of an item of the calendar, `once/…` for a date that was set.
    DueKey, "key of a due date", 128
}

impl DueKey {
    /// The key of a date that is set once: the same title about the same thing has the same key, so that setting it twice sets it once.
    pub fn once(title: &str, about: Option<&str>) -> Self {
        // The length parts the two, whatever they hold.
        let text = format!("{} {title}{}", title.len(), about.unwrap_or_default());
        let digest = Digest::of(text.as_bytes()).to_string();
        let hex = digest.rsplit(':').next().unwrap_or(&digest);
        Self(format!("once/{}", hex.get(..16).unwrap_or(hex)))
    }

    /// Whether it is of a date that was set, not of an item of the calendar.
    pub fn is_once(&self) -> bool {
        self.0.starts_with("once/")
    }
}

/// A date that was set once: a report to a regulator, a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DueDate {
    /// Its name in the calendar.
    pub key: DueKey,
    /// What is to be done, masked.
    pub title: String,
    /// What it is about, such as the id of an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// From when on it is overdue.
    pub due: Timestamp,
    /// Who set it.
    pub set_by: Actor,
    /// When it was set.
    pub set_at: Timestamp,
}

impl DueDate {
    /// With the key of [`DueKey::once`].
    pub fn once(title: impl Into<String>, due: Timestamp, set_by: Actor, set_at: Timestamp) -> Self {
        let title = title.into();
        Self {
            key: DueKey::once(&title, None),
            title,
            about: None,
            due,
            set_by,
            set_at,
        }
    }

    /// Sets what it is about, which changes its key.
    #[must_use]
    pub fn with_about(mut self, about: impl Into<String>) -> Self {
        let about = about.into();
        self.key = DueKey::once(&self.title, Some(&about));
        self.about = Some(about);
        self
    }

    /// Whether both say the same, whoever set them and when.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        (&self.key, &self.title, &self.about, self.due) == (&other.key, &other.title, &other.about, other.due)
    }
}

/// What became of something that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum DueOutcome {
    /// It was done.
    Done,
    /// It is not done any more.
    Skipped {
        /// Why, masked.
        reason: String,
    },
}

/// What shows that something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum DueEvidence {
    /// A file; its content is kept elsewhere.
    File {
        /// Its name, without directories, masked.
        name: String,
        /// SHA-256 of its content.
        sha256: Digest,
    },
    /// The run of a drill.
    Run {
        /// Its id.
        run: RunId,
    },
    /// A reference in words, masked.
    Text {
        /// The words.
        text: String,
    },
}

/// That something which was due is settled. Written once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Completion {
    /// What was due.
    pub key: DueKey,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: DueOutcome,
    /// When it was done.
    pub at: Timestamp,
    /// Who says so.
    pub by: Actor,
    /// What else is to be said, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<DueEvidence>,
}

impl Completion {
    /// Done, without note and evidence.
    pub fn new(key: DueKey, outcome: DueOutcome, at: Timestamp, by: Actor) -> Self {
        Self {
            key,
            outcome,
            at,
            by,
            note: None,
            evidence: None,
        }
    }

    /// Adds what else is to be said. The caller has masked it.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Adds what shows it. The caller has masked its words.
    #[must_use]
    pub fn with_evidence(mut self, evidence: DueEvidence) -> Self {
        self.evidence = Some(evidence);
        self
    }

    /// Whether both say the same, at whatever time: somebody whose answer was lost says it again.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let said = |one: &Self| {
            (
                one.key.clone(),
                one.outcome.clone(),
                one.by.clone(),
                one.note.clone(),
                one.evidence.clone(),
            )
        };
        said(self) == said(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_date_is_that_of_its_title_and_what_it_is_about() {
        let key = DueKey::once("報告書", Some("inc_1"));
        assert!(key.is_once() && key.as_str().len() == 21, "{key}");
        assert_eq!(key, DueKey::once("報告書", Some("inc_1")));
        assert_ne!(key, DueKey::once("報告書", Some("inc_2")));
        assert_ne!(DueKey::once("ab", Some("c")), DueKey::once("a", Some("bc")));
    }

    #[test]
    fn a_completion_reads_back_as_it_was_written() {
        let actor = Actor::person("alice").unwrap();
        let skipped = DueOutcome::Skipped {
            reason: "no restore possible".to_owned(),
        };
        for outcome in [DueOutcome::Done, skipped] {
            let key = DueKey::new("restore-test/2026-Q4").unwrap();
            let completion = Completion::new(key, outcome, Timestamp::UNIX_EPOCH, actor.clone())
                .with_note("n")
                .with_evidence(DueEvidence::File {
                    name: "report.pdf".to_owned(),
                    sha256: Digest::of(b"content"),
                });
            let text = serde_json::to_string(&completion).unwrap();
            assert_eq!(
                serde_json::from_str::<Completion>(&text).unwrap(),
                completion,
                "{text}"
            );
        }
    }
}
