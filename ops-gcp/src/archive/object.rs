use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::Timestamp;
use ops_core::ports::{ArchiveHold, ArchiveUpload, ArchivedObject};
use serde::{Deserialize, Serialize};

use super::PROVIDER;

/// What the vendor tells of an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) bucket: String,
    pub(super) generation: String,
    pub(super) metageneration: String,
    pub(super) temporary_hold: bool,
    pub(super) event_based_hold: bool,
    size: String,
    crc32c: String,
    retention: Option<Retention>,
    retention_expiration_time: Option<String>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Retention {
    mode: String,
    retain_until_time: String,
}

impl Object {
    /// What the port wants to know.
    ///
    /// # Errors
    /// `Unexpected`, naming the field that cannot be read: a checksum that is missing must not be one that fits.
    pub(super) fn archived(&self) -> Result<ArchivedObject> {
        let bytes = self.size.parse().map_err(|_| unreadable("size"))?;
        let crc32c = STANDARD
            .decode(&self.crc32c)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or_else(|| unreadable("crc32c"))?;
        let by_bucket = match &self.retention_expiration_time {
            Some(time) => Some(time.parse().map_err(|_| unreadable("retentionExpirationTime"))?),
            None => None,
        };
        let mut hold = ArchiveHold::default();
        hold.held = self.temporary_hold || self.event_based_hold;
        hold.retained_until = self.own_retention()?.max(by_bucket);
        Ok(ArchivedObject::new(bytes, crc32c, hold))
    }

    /// The retention of the object, without that of its bucket.
    pub(super) fn own_retention(&self) -> Result<Option<Timestamp>> {
        match &self.retention {
            Some(retention) => match retention.retain_until_time.parse() {
                Ok(time) => Ok(Some(time)),
                Err(_) => Err(unreadable("retention.retainUntilTime")),
            },
            None => Ok(None),
        }
    }

    pub(super) fn is_locked(&self) -> bool {
        self.retention
            .as_ref()
            .is_some_and(|retention| retention.mode == LOCKED)
    }

    /// What whoever uploaded it said about its bytes; it proves nothing.
    pub(super) fn announced_sha256(&self) -> Option<&str> {
        self.metadata.get(SHA256).map(String::as_str)
    }
}

fn unreadable(field: &'static str) -> Error {
    Error::new(ErrorKind::Unexpected, "read answer")
        .provider(PROVIDER)
        .context("field", format!("{field} is missing or cannot be read"))
}

/// What an object is made with.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectSeed<'a> {
    name: &'a str,
    content_type: &'static str,
    metadata: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary_hold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<RetentionPatch>,
}

impl<'a> ObjectSeed<'a> {
    pub(super) fn new(upload: &'a ArchiveUpload, lock: bool) -> Self {
        Self {
            name: upload.name.as_str(),
            content_type: "application/octet-stream",
            metadata: BTreeMap::from([(SHA256, upload.sha256.to_string())]),
            crc32c: upload.crc32c.map(|crc32c| STANDARD.encode(crc32c.to_be_bytes())),
            temporary_hold: upload.hold.held.then_some(true),
            retention: upload
                .hold
                .retained_until
                .map(|until| RetentionPatch::new(until, lock)),
        }
    }
}

/// What changes on an object.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temporary_hold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retention: Option<RetentionPatch>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetentionPatch {
    mode: &'static str,
    retain_until_time: String,
}

/// The next whole second: whatever the vendor rounds to, it is not nearer.
pub(super) fn whole_second(until: Timestamp) -> Timestamp {
    let micros = until.as_unix_micros();
    let whole = micros.div_euclid(SECOND) + i64::from(micros.rem_euclid(SECOND) > 0);
    Timestamp::from_unix_micros(whole.saturating_mul(SECOND))
}

impl RetentionPatch {
    pub(super) fn new(until: Timestamp, locked: bool) -> Self {
        Self {
            mode: if locked { LOCKED } else { UNLOCKED },
            retain_until_time: whole_second(until).to_string(),
        }
    }
}

const SECOND: i64 = 1_000_000;
/// Nobody can shorten it, whoever owns the bucket.
const LOCKED: &str = "Locked";
const UNLOCKED: &str = "Unlocked";
/// The key in the metadata of an object.
const SHA256: &str = "sha256";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_time_is_never_moved_nearer_by_rounding() {
        let time = |micros| RetentionPatch::new(Timestamp::from_unix_micros(micros), false).retain_until_time;
        assert_eq!(time(1_769_731_200_000_000), "2026-01-30T00:00:00Z");
        assert_eq!(time(1_769_731_200_000_001), "2026-01-30T00:00:01Z");
    }

    #[test]
    fn what_cannot_be_read_is_no_checksum_that_fits() {
        let object = |text: &str| serde_json::from_str::<Object>(text).unwrap().archived();
        let good = object(r#"{"size":"4","crc32c":"AAAAAQ=="}"#).unwrap();
        assert_eq!((good.bytes, good.crc32c), (4, 1), "big-endian");
        for bad in [
            r#"{"size":"4"}"#,
            r#"{"size":"4","crc32c":"AAAB"}"#,
            r#"{"size":"-1","crc32c":"AAAAAQ=="}"#,
            r#"{"size":"4","crc32c":"AAAAAQ==","retentionExpirationTime":"soon"}"#,
            r#"{"size":"4","crc32c":"AAAAAQ==","retention":{"mode":"Locked"}}"#,
        ] {
            assert_eq!(object(bad).unwrap_err().kind(), ErrorKind::Unexpected, "{bad}");
        }
    }

    #[test]
    fn the_later_of_two_retention_times_holds() {
        let text = r#"{"size":"0","crc32c":"AAAAAA==","eventBasedHold":true,"retentionExpirationTime":"2027-01-01T00:00:00Z",
            "retention":{"mode":"Unlocked","retainUntilTime":"2026-01-01T00:00:00Z"}}"#;
        let hold = serde_json::from_str::<Object>(text)
            .unwrap()
            .archived()
            .unwrap()
            .hold;
        assert!(hold.held);
        assert_eq!(hold.retained_until.unwrap().to_string(), "2027-01-01T00:00:00Z");
    }
}
