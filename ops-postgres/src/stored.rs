//! Rows that hold JSON of ours: how one that cannot be read is told.

use ops_core::error::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::error;

/// A row, by the name under which a person finds it.
#[derive(Debug)]
pub(crate) struct Stored {
    operation: &'static str,
    table: &'static str,
    row: String,
}

impl Stored {
    pub(crate) fn new(operation: &'static str, table: &'static str, row: impl Into<String>) -> Self {
        Self {
            operation,
            table,
            row: row.into(),
        }
    }

    /// The value in `text`.
    ///
    /// # Errors
    /// `Unexpected`, naming the row, what is wrong with it and what to do. The text itself is not repeated.
    pub(crate) fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|fault| match newer(text, &fault) {
            Some(event) => self
                .error(format!(
                    "a newer version of this program wrote it (event {event})"
                ))
                .context("remedy", "use that version, or one that is newer still"),
            None => {
                let what = match fault.classify() {
                    serde_json::error::Category::Data => "is not what belongs there",
                    _ => "is no JSON",
                };
                self.wrong(format!("it {what}, from column {} on", fault.column()))
            }
        })
    }

    /// The row does not hold what it should.
    pub(crate) fn wrong(&self, fault: impl Into<String>) -> Error {
        self.error(fault.into()).context(
            "remedy",
            "nothing was deleted or changed: look at the row; if it is foreign, copy it elsewhere and delete it",
        )
    }

    fn error(&self, fault: String) -> Error {
        error(ErrorKind::Unexpected, self.operation)
            .context("table", self.table)
            .context("row", self.row.as_str())
            .context("fault", fault)
    }
}

/// The event of a journal entry that this version does not know.
fn newer(text: &str, fault: &serde_json::Error) -> Option<String> {
    let entry: Value = serde_json::from_str(text).ok()?;
    let event = entry.get("event")?.as_str()?;
    let plain = !event.is_empty() && event.len() <= 40 && event.bytes().all(is_word);
    let unknown = fault
        .to_string()
        .starts_with(&format!("unknown variant `{event}`"));
    (plain && unknown).then(|| event.to_owned())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}
