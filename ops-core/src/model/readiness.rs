use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::model::{Text, Timestamp};

/// Something that a stop or a restore needs, in words: what is checked, and what to do when it is not there.
///
/// ```
/// use ops_core::model::{CheckState, Need, Text};
///
/// let need = Need::new("credential", "GCP_TOKEN", Text::new("資格情報がある", "there is a credential"), Text::new("設定する", "set it"));
/// let check = need.missing("the variable is not set");
/// assert_eq!(check.state, CheckState::Missing);
/// assert_eq!(check.remedy, Some(Text::new("設定する", "set it")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a need becomes a check by `ready`, `missing` or `unknown`"]
pub struct Need {
    name: String,
    subject: String,
    what: Text,
    remedy: Text,
}

impl Need {
    /// `name` is for programs (`permission:run.services.update`), `subject` is what it is about (a target, a variable, a
    /// directory). No part may hold a secret or personal data.
    pub fn new(name: impl Into<String>, subject: impl Into<String>, what: Text, remedy: Text) -> Self {
        Self {
            name: name.into(),
            subject: subject.into(),
            what,
            remedy,
        }
    }

    /// It is there.
    pub fn ready(self) -> Check {
        Check {
            remedy: None,
            ..self.check(CheckState::Ready, None)
        }
    }

    /// It is not there; `detail` says in what way.
    pub fn missing(self, detail: impl Into<String>) -> Check {
        self.check(CheckState::Missing, Some(detail.into()))
    }

    /// It could not be found out; `detail` says why.
    pub fn unknown(self, detail: impl Into<String>) -> Check {
        self.check(CheckState::Unknown, Some(detail.into()))
    }

    /// What a failed read says about it: a refusal is an answer, an outage is none.
    pub fn failed(self, error: &Error) -> Check {
        match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::Unauthenticated
            | ErrorKind::InvalidConfig
            | ErrorKind::InvalidInput => self.missing(error.to_string()),
            _ => self.unknown(error.to_string()),
        }
    }

    /// Whether two clocks agree to 30 s. `None`: the other side does not tell its time.
    pub fn same_time(self, ours: Timestamp, theirs: Option<Timestamp>) -> Check {
        let Some(theirs) = theirs else {
            return self.unknown("the other side told no time");
        };
        let skew = ours.saturating_since(theirs).max(theirs.saturating_since(ours));
        match skew <= TOLERANCE {
            true => self.ready(),
            false => self.missing(format!("{} s apart", skew.as_secs())),
        }
    }

    fn check(self, state: CheckState, detail: Option<String>) -> Check {
        Check {
            name: self.name,
            subject: self.subject,
            state,
            what: self.what,
            detail,
            remedy: Some(self.remedy),
        }
    }
}

/// Whether something that the button needs is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "three values, as every verdict has")]
pub enum CheckState {
    /// It is there.
    Ready,
    /// Nobody could say.
    Unknown,
    /// It is not there.
    Missing,
}

impl CheckState {
    /// Every state, the best first.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Unknown, Self::Missing];

    /// `ready`, `unknown`, `missing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// Which check, for programs.
    pub name: String,
    /// What it is about: a target, a variable, a directory.
    pub subject: String,
    /// The answer.
    pub state: CheckState,
    /// What is needed, for people.
    pub what: Text,
    /// What was found instead, or why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do; `None` when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Text>,
}

/// An answer takes a while, and says its time to the second.
const TOLERANCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_answer_and_an_outage_is_none() {
        let need = || Need::new("n", "s", Text::new("あ", "a"), Text::new("い", "b"));
        for (kind, state) in [
            (ErrorKind::PermissionDenied, CheckState::Missing),
            (ErrorKind::Unauthenticated, CheckState::Missing),
            (ErrorKind::NotFound, CheckState::Missing),
            (ErrorKind::InvalidConfig, CheckState::Missing),
            (ErrorKind::Unavailable, CheckState::Unknown),
            (ErrorKind::Timeout, CheckState::Unknown),
            (ErrorKind::RateLimited, CheckState::Unknown),
            (ErrorKind::Unexpected, CheckState::Unknown),
        ] {
            let check = need().failed(&Error::new(kind, "read"));
            assert_eq!(check.state, state, "{kind}");
            assert!(check.detail.is_some() && check.remedy.is_some());
        }
        assert_eq!(need().ready().remedy, None);
    }

    #[test]
    fn clocks_may_differ_by_half_a_minute() {
        let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let state = |theirs| {
            Need::new("clock", "s", Text::new("あ", "a"), Text::new("い", "b"))
                .same_time(now, theirs)
                .state
        };
        assert_eq!(state(Some(now + TOLERANCE)), CheckState::Ready);
        assert_eq!(state(Some(now - TOLERANCE)), CheckState::Ready);
        assert_eq!(state(Some(now + Duration::from_secs(31))), CheckState::Missing);
        assert_eq!(state(Some(now - Duration::from_secs(31))), CheckState::Missing);
        assert_eq!(state(None), CheckState::Unknown);
    }

    #[test]
    fn missing_is_worse_than_unknown_is_worse_than_ready() {
        assert!(CheckState::Missing > CheckState::Unknown && CheckState::Unknown > CheckState::Ready);
    }
}
