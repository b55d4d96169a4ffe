use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Notice, Severity, Text, Timestamp};

/// Something happened that people, or a procedure, should answer. Text in it is masked before the signal is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signal {
    /// The name of the alert: `pii_leak_detected`.
    pub alert: String,
    /// How bad it is.
    pub severity: Severity,
    /// When it was seen.
    pub at: Timestamp,
    /// What was seen, in a line.
    pub summary: Text,
    /// What to do first.
    pub first_action: Text,
    /// What tells one source from another, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How often, since the last signal of the same labels.
    pub count: u64,
}

impl Signal {
    /// A signal without labels, seen once.
    pub fn new(
        alert: impl Into<String>,
        severity: Severity,
        at: Timestamp,
        summary: Text,
        first_action: Text,
    ) -> Self {
        Self {
            alert: alert.into(),
            severity,
            at,
            summary,
            first_action,
            labels: BTreeMap::new(),
            count: 1,
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn with_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Sets how often it was seen.
    #[must_use]
    pub fn with_count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// The message about it for `audience`: what was seen, and below it what to do first. The alert is in the subject.
    pub fn notice(&self, audience: &str) -> Notice {
        let labels: Vec<_> = self.labels.values().map(String::as_str).collect();
        let key = format!(
            "{}/{audience}/{}/{}",
            self.alert,
            labels.join("/"),
            self.at.as_unix_micros()
        );
        let subject = |lang| format!("[{}] {}: {}", self.severity, self.alert, self.summary.get(lang));
        let body = |lang| format!("{}\n{}", self.first_action.get(lang), self.at.to_jst());
        let both =
            |text: &dyn Fn(super::Lang) -> String| Text::new(text(super::Lang::Ja), text(super::Lang::En));
        Notice::new(key, audience, self.severity, self.at, both(&subject), both(&body))
    }
}
