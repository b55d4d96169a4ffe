use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::IncidentLayer;
use crate::error::{Error, ErrorKind};
use crate::model::{RunId, Severity, TenantId, Timestamp};

/// What an entry of an incident says. `Debug` shows the kind only: the texts are those of people.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum IncidentChange {
    /// It began. Always the first entry, and never a later one.
    Opened {
        /// What it is called.
        title: String,
        /// How bad it is, as far as known.
        severity: Severity,
        /// Whose it is; `None`: it concerns everybody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<TenantId>,
        /// When it was first noticed; the times of the report count from here.
        detected_at: Timestamp,
    },
    /// Somebody has taken it on.
    Acknowledged,
    /// The triage has found the layer.
    Layer {
        /// Which one.
        layer: IncidentLayer,
    },
    /// What was seen or done.
    Note {
        /// In words.
        text: String,
    },
    /// It is worse, or less bad, than thought.
    Severity {
        /// How bad it is.
        severity: Severity,
        /// Why.
        why: String,
    },
    /// A run, such as an emergency stop, belongs to it.
    Linked {
        /// Which run.
        run: RunId,
    },
    /// Who was hit, by what, for how long.
    Impact {
        /// In words.
        text: String,
    },
    /// The cause is known. A later one replaces it.
    Cause {
        /// In words.
        text: String,
    },
    /// It is over.
    Resolved {
        /// What ended it.
        text: String,
    },
    /// It was not over.
    Reopened {
        /// Why.
        text: String,
    },
    /// What keeps it from happening again.
    Prevention {
        /// In words.
        text: String,
        /// Who sees to it: an id from the operator's own directory.
        owner: String,
    },
    /// A change that a newer version made: kept and shown as it is, without effect here.
    #[serde(untagged)]
    Unknown(UnknownChange),
}

impl IncidentChange {
    /// `opened`, `acknowledged`, `layer`, `note`, `severity`, `linked`, `impact`, `cause`, `resolved`, `reopened`, `prevention`, or what a newer version calls it.
    pub fn kind(&self) -> &str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Acknowledged => "acknowledged",
            Self::Layer { .. } => "layer",
            Self::Note { .. } => "note",
            Self::Severity { .. } => "severity",
            Self::Linked { .. } => "linked",
            Self::Impact { .. } => "impact",
            Self::Cause { .. } => "cause",
            Self::Resolved { .. } => "resolved",
            Self::Reopened { .. } => "reopened",
            Self::Prevention { .. } => "prevention",
            Self::Unknown(unknown) => unknown.kind(),
        }
    }

    /// Every text of a person in it, by the name of its field.
    pub fn texts_mut(&mut self) -> Vec<(&'static str, &mut String)> {
        match self {
            Self::Opened { title, .. } => vec![("title", title)],
            Self::Note { text }
            | Self::Impact { text }
            | Self::Cause { text }
            | Self::Resolved { text }
            | Self::Reopened { text } => vec![("text", text)],
            Self::Severity { why, .. } => vec![("why", why)],
            Self::Prevention { text, owner } => vec![("text", text), ("owner", owner)],
            Self::Layer {
                layer: IncidentLayer::Newer(name),
            } => vec![("layer", name)],
            Self::Acknowledged | Self::Layer { .. } | Self::Linked { .. } | Self::Unknown(_) => Vec::new(),
        }
    }
}

impl fmt::Debug for IncidentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncidentChange")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// A change whose kind this version does not know, with all that it says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Value>", into = "BTreeMap<String, Value>")]
pub struct UnknownChange {
    fields: BTreeMap<String, Value>,
}

impl UnknownChange {
    /// What the newer version calls it.
    pub fn kind(&self) -> &str {
        self.fields.get(KIND).and_then(Value::as_str).unwrap_or_default()
    }

    /// What it says, as JSON.
    pub fn fields(&self) -> &BTreeMap<String, Value> {
        &self.fields
    }
}

impl fmt::Debug for UnknownChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownChange")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl TryFrom<BTreeMap<String, Value>> for UnknownChange {
    type Error = Error;

    /// Refuses a kind that this version knows: it is a change that lacks something, not a newer one.
    fn try_from(fields: BTreeMap<String, Value>) -> Result<Self, Error> {
        let wrong = |rule: &str| Error::new(ErrorKind::InvalidInput, "read incident").context("kind", rule);
        match fields.get(KIND).and_then(Value::as_str) {
            None | Some("") => Err(wrong("is missing")),
            Some(kind) if KNOWN.contains(&kind) => Err(wrong("is known, but its fields do not fit")),
            Some(_) => Ok(Self { fields }),
        }
    }
}

impl From<UnknownChange> for BTreeMap<String, Value> {
    fn from(unknown: UnknownChange) -> Self {
        unknown.fields
    }
}

const KIND: &str = "kind";
const KNOWN: [&str; 11] = [
    "opened",
    "acknowledged",
    "layer",
    "note",
    "severity",
    "linked",
    "impact",
    "cause",
    "resolved",
    "reopened",
    "prevention",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn every() -> Vec<IncidentChange> {
        let text = || "t".to_owned();
        vec![
            IncidentChange::Opened {
                title: text(),
                severity: Severity::P1,
                tenant: None,
                detected_at: Timestamp::UNIX_EPOCH,
            },
            IncidentChange::Acknowledged,
            IncidentChange::Layer {
                layer: IncidentLayer::Guardian,
            },
            IncidentChange::Note { text: text() },
            IncidentChange::Severity {
                severity: Severity::P2,
                why: text(),
            },
            IncidentChange::Linked {
                run: RunId::new("run_1").unwrap(),
            },
            IncidentChange::Impact { text: text() },
            IncidentChange::Cause { text: text() },
            IncidentChange::Resolved { text: text() },
            IncidentChange::Reopened { text: text() },
            IncidentChange::Prevention {
                text: text(),
                owner: text(),
            },
        ]
    }

    #[test]
    fn every_change_is_written_under_its_kind_and_read_back() {
        let kinds: Vec<_> = every().iter().map(|change| change.kind().to_owned()).collect();
        assert_eq!(kinds, KNOWN);
        for change in every() {
            let text = serde_json::to_value(&change).unwrap();
            assert_eq!(text["kind"], change.kind());
            assert!(
                serde_json::from_value::<IncidentChange>(text).unwrap() == change,
                "{change:?}"
            );
        }
    }

    #[test]
    fn a_change_of_a_newer_version_is_kept_whole() {
        let newer = json!({"kind": "escalated", "to": ["a", 1], "at_level": 3});
        let change: IncidentChange = serde_json::from_value(newer.clone()).unwrap();
        assert_eq!(change.kind(), "escalated");
        assert_eq!(serde_json::to_value(&change).unwrap(), newer);
        let layer: IncidentChange =
            serde_json::from_value(json!({"kind": "layer", "layer": "edge-cache"})).unwrap();
        assert_eq!(serde_json::to_value(&layer).unwrap()["layer"], "edge-cache");
    }

    #[test]
    fn a_known_change_that_lacks_something_is_no_newer_one() {
        for damaged in [
            json!({"kind": "note"}),
            json!({"kind": "severity", "severity": "P9", "why": "a"}),
            json!({"text": "a"}),
            json!({"kind": ""}),
        ] {
            assert!(
                serde_json::from_value::<IncidentChange>(damaged.clone()).is_err(),
                "{damaged}"
            );
        }
    }

    #[test]
    fn debug_shows_no_text_of_a_person() {
        let note = IncidentChange::Note {
            text: "tanaka@example.com".to_owned(),
        };
        assert!(!format!("{note:?}").contains("tanaka"));
    }
}
