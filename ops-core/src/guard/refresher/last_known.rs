//! The file of what the shared store said last.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{blocking, damaged, read_whole, write_over};
use crate::error::Result;
use crate::model::Timestamp;
use crate::ports::SwitchState;

/// What a process begins with after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastKnown {
    format: String,
    pub(super) state: SwitchState,
    /// When the store was read last; `None` in a file of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) contact: Option<Timestamp>,
}

const FORMAT: &str = "ops-last-known-switches/1";

impl LastKnown {
    pub(super) fn new(state: SwitchState, contact: Timestamp) -> Self {
        Self {
            format: FORMAT.to_owned(),
            state,
            contact: Some(contact),
        }
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let Some(text) = read_whole(path)? else {
            return Ok(None);
        };
        match serde_json::from_str::<Self>(&text) {
            Ok(file) if file.format == FORMAT => Ok(Some(file)),
            _ => Err(damaged(
                "read last known switches",
                path,
                1,
                format!("is not the format {FORMAT}"),
            )),
        }
    }

    pub(super) async fn write(self, path: PathBuf) -> Result<()> {
        blocking("keep switches", move || {
            let text = serde_json::to_string(&self).unwrap_or_default();
            write_over(&path, &text)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_earlier_version_without_the_time_of_contact_is_read() {
        let text = r#"{"format":"ops-last-known-switches/1","state":{"generation":3,"stopped":{}}}"#;
        let known: LastKnown = serde_json::from_str(text).unwrap();
        assert_eq!((known.state.generation, known.contact), (3, None));
    }
}
