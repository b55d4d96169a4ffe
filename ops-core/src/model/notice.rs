use serde::{Deserialize, Serialize};

use super::{Severity, Text, Timestamp};

/// A message to people. Text in it is masked before the notice is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notice {
    /// The same for every attempt to deliver this notice, so that a channel can drop a repetition.
    pub key: String,
    /// A channel or a person: `#emergency`.
    pub audience: String,
    /// How bad it is.
    pub severity: Severity,
    /// When it was made.
    pub at: Timestamp,
    /// One line.
    pub subject: Text,
    /// The rest.
    pub body: Text,
}

impl Notice {
    /// A notice with all its parts.
    pub fn new(
        key: impl Into<String>,
        audience: impl Into<String>,
        severity: Severity,
        at: Timestamp,
        subject: Text,
        body: Text,
    ) -> Self {
        Self {
            key: key.into(),
            audience: audience.into(),
            severity,
            at,
            subject,
            body,
        }
    }
}
