use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use serde::{Serialize, Serializer};

use super::report::Report;
use super::rule::{Wrong, label};
use super::section::Section;

/// `[approvals]`: how many persons must sign a plan before it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ApprovalsConfig {
    /// Persons who must sign a stop. Default: 0; closing needs nobody.
    pub stop: u32,
    /// Persons who must sign a restore. Default: 2.
    pub restore: u32,
    /// How long a signature counts. In the file: `valid_minutes`, 1 to 1440, default 30.
    #[serde(rename = "valid_minutes", serialize_with = "minutes")]
    pub valid_for: Duration,
    /// When a broken glass must be reviewed. In the file: `review_days`, 1 to 365, default 3.
    #[serde(rename = "review_days", serialize_with = "days")]
    pub review_due: Duration,
}

impl Default for ApprovalsConfig {
    fn default() -> Self {
        Self {
            stop: 0,
            restore: 2,
            valid_for: Duration::from_secs(30 * 60),
            review_due: Duration::from_secs(3 * DAY),
        }
    }
}

impl ApprovalsConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let minutes = section.number("valid_minutes", 30, 1..=24 * 60, report);
        Self {
            stop: section.number("stop", 0, 0..=MOST, report),
            restore: section.number("restore", 2, 0..=MOST, report),
            valid_for: Duration::from_secs(u64::from(minutes) * 60),
            review_due: Duration::from_secs(
                u64::from(section.number("review_days", 3, 1..=365, report)) * DAY,
            ),
        }
    }

    /// Reports a number of signatures that `approvers` can never give. `elsewhere` is the place to blame for a default.
    pub(super) fn report_unmet(
        &self,
        section: Option<&Section<'_>>,
        approvers: usize,
        elsewhere: usize,
        report: &mut Report<'_>,
    ) {
        for (key, wanted) in [("stop", self.stop), ("restore", self.restore)] {
            if usize::try_from(wanted).is_ok_and(|wanted| wanted <= approvers) {
                continue;
            }
            report.consequence(
                section.map_or(elsewhere, |section| section.place_of(key)),
                format!("approvals.{key}"),
                format!("{wanted} persons must sign, and the file has {approvers} [[approver]] tables"),
                format!("add approvers, or set approvals.{key} to at most {approvers}"),
            );
        }
    }
}

const DAY: u64 = 24 * 60 * 60;

/// More signatures than this are a mistake.
const MOST: u32 = 20;

/// An `[[approver]]`: a person whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ApproverConfig {
    /// The person's name in the operator's directory; unique. Required.
    pub name: String,
    /// The person's Ed25519 key; unique. In the file: 64 hexadecimal digits in lower case. Required.
    #[serde(serialize_with = "hexadecimal")]
    pub public_key: [u8; 32],
}

impl ApproverConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let name = section.required("name", label, report);
        let key = section.required(
            "public_key",
            |text| {
                usable_key(text).map(|_| ()).ok_or_else(|| {
                    Wrong::new(
                        "is not an Ed25519 public key",
                        "write the 64 hexadecimal digits, in lower case, of the approver's public key",
                    )
                })
            },
            report,
        );
        Self {
            name,
            public_key: usable_key(&key).unwrap_or_default(),
        }
    }
}

/// The key, if it is one that only its owner can sign for.
fn usable_key(text: &str) -> Option<[u8; 32]> {
    // One way to write a key, so that nobody is counted twice.
    let allowed = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(allowed) {
        return None;
    }
    let mut bytes = [0; 32];
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * position..2 * position + 2)?, 16).ok()?;
    }
    let key = VerifyingKey::from_bytes(&bytes).ok()?;
    (!key.is_weak()).then_some(bytes)
}

fn minutes<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs() / 60)
}

fn days<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs() / DAY)
}

fn hexadecimal<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    serializer.serialize_str(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_anybody_can_sign_for_is_no_key() {
        // The identity element has order 1: one signature fits every message.
        let identity = format!("01{}", "00".repeat(31));
        assert!(usable_key(&identity).is_none());
        assert!(usable_key(&"0".repeat(64)).is_none());
        assert!(usable_key(&"é".repeat(32)).is_none());
        // The public key of the first test vector of RFC 8032.
        let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert!(usable_key(key).is_some());
        assert!(usable_key(&key.to_uppercase()).is_none());
    }
}
