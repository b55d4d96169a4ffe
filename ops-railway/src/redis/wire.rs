//! What the scripts are given and what they answer, in bytes.

use std::collections::HashMap;
use std::time::Duration;

use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Gcra, LimitDigest, LimitSemantics, LimitTime, Standing, Strict};
use ops_core::ports::{DenialCount, DenialTotal, DenialsCounted, LimitCheck, LimitsChecked};
use redis::Value;

use super::error::error;

/// Checks as the script reads them, and the keys of their states, each once.
pub(super) struct Requests {
    pub(super) keys: Vec<LimitDigest>,
    pub(super) bytes: Vec<u8>,
}

/// The numbers of states are of two bytes, and the script unpacks all of them at once.
const MOST_KEYS: usize = 4_000;

impl Requests {
    /// # Errors
    /// `InvalidInput` for more than 4000 keys.
    pub(super) fn of(checks: &[LimitCheck]) -> Result<Self> {
        let mut keys = Vec::with_capacity(checks.len() * 2);
        let mut numbers = HashMap::with_capacity(checks.len() * 2);
        let mut bytes = Vec::with_capacity(checks.len() * 40);
        for check in checks {
            bytes.push(u8::try_from(check.len()).unwrap_or(u8::MAX));
            bytes.extend(check.cost().to_le_bytes());
            for limit in check.limits() {
                let number = *numbers.entry(limit.key).or_insert_with(|| {
                    keys.push(limit.key);
                    keys.len()
                });
                let (kind, limit, micros) = match limit.semantics {
                    LimitSemantics::Strict => {
                        let strict = Strict::new(limit.limit, limit.per);
                        (1, limit.limit.min(Strict::MAX_LIMIT), strict.slot())
                    }
                    _ => (0, limit.limit, Gcra::new(limit.limit, limit.per).interval()),
                };
                bytes.extend(u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes());
                bytes.push(kind);
                bytes.extend(limit.to_le_bytes());
                bytes.extend(LimitTime::from(micros).as_micros().to_le_bytes());
            }
        }
        if keys.len() > MOST_KEYS {
            return Err(
                error(ErrorKind::InvalidInput, "check limits").context("keys", "4000 at most in a call")
            );
        }
        Ok(Self { keys, bytes })
    }
}

pub(super) fn checked(answer: &Value) -> Result<LimitsChecked> {
    let unreadable =
        || error(ErrorKind::Unexpected, "check limits").context("reason", "the answer cannot be read");
    let Value::Array(parts) = answer else {
        return Err(unreadable());
    };
    let checked = match parts.as_slice() {
        [version, at, _superseded] => {
            number(version)
                .zip(number(at))
                .map(|(version, at)| LimitsChecked::Superseded {
                    version,
                    at: LimitTime::from_micros(at),
                })
        }
        [at, standings] => at_and_standings(at, standings),
        _ => None,
    };
    checked.ok_or_else(unreadable)
}

fn at_and_standings(at: &Value, standings: &Value) -> Option<LimitsChecked> {
    let (Value::BulkString(at), Value::BulkString(bytes)) = (at, standings) else {
        return None;
    };
    let (records, []) = bytes.as_chunks::<21>() else {
        return None;
    };
    Some(LimitsChecked::Decided {
        at: LimitTime::from_micros(u64::from_le_bytes(at.as_slice().try_into().ok()?)),
        standings: records.iter().map(standing).collect::<Option<_>>()?,
    })
}

fn standing(record: &[u8; 21]) -> Option<Standing> {
    let micros = |from: usize| {
        let bytes = record.get(from..from + 8)?.try_into().ok()?;
        Some(Duration::from_micros(u64::from_le_bytes(bytes)))
    };
    let admits = record[0];
    Some(Standing {
        admitted: admits == 1,
        remaining: u32::from_le_bytes(record[1..5].try_into().ok()?),
        reset: micros(5)?,
        retry_after: if admits == 2 { None } else { Some(micros(13)?) },
    })
}

pub(super) fn denials(counts: &[DenialCount]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(counts.len() * 16);
    for count in counts {
        bytes.extend(count.denied.to_le_bytes());
        bytes.extend(count.threshold.to_le_bytes());
        bytes.extend(LimitTime::from(count.per).as_micros().max(1).to_le_bytes());
    }
    bytes
}

pub(super) fn denials_counted(answer: &Value, asked: usize) -> Result<DenialsCounted> {
    let counted = match answer {
        Value::Array(parts) => match parts.as_slice() {
            [version, Value::BulkString(bytes)] => match bytes.as_chunks::<5>() {
                (records, []) if records.len() == asked => number(version).map(|version| DenialsCounted {
                    version,
                    totals: records.iter().map(total).collect(),
                }),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    counted.ok_or_else(|| {
        error(ErrorKind::Unexpected, "count denials").context("reason", "the answer cannot be read")
    })
}

fn total(record: &[u8; 5]) -> DenialTotal {
    let [a, b, c, d, raised] = *record;
    DenialTotal {
        total: u32::from_le_bytes([a, b, c, d]),
        raised: raised == 1,
    }
}

/// A whole number, as number or as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}
