use ops_core::error::{ErrorKind, Result};
use ops_core::ports::{LimitStamp, LimitsChecked};
use redis::Value;

use super::error::error;
use super::wire;

/// What the scripts of common calls are given, as bytes: each state is asked once, and all are kept for one span.
pub(super) struct Packed {
    pub(super) names: Vec<u8>,
    /// How long states are kept at least, in microseconds.
    pub(super) span: u64,
}

impl Packed {
    /// `None` where a name stands twice.
    pub(super) fn of(names: Vec<u8>, span: u64) -> Option<Self> {
        let (keys, _) = names.as_chunks::<NAME>();
        if keys.len() > 1 {
            let mut keys: Vec<_> = keys.iter().copied().map(u128::from_le_bytes).collect();
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return None;
            }
        }
        Some(Self { names, span })
    }

    pub(super) fn states(&self) -> usize {
        self.names.len() / NAME
    }

    /// The numbers of a call; those of the script itself come last.
    pub(super) fn numbers(&self, stamp: LimitStamp, own: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        let first = [stamp.from.as_micros(), stamp.until.as_micros(), self.span];
        for number in first.iter().chain(own) {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }
}

/// What a script says; `decided` reads what it decided.
pub(super) fn checked(
    answer: &Value,
    decided: impl FnOnce(&[u8]) -> Option<LimitsChecked>,
) -> Result<LimitsChecked> {
    let checked = match answer {
        Value::BulkString(text) => wire::superseded(text),
        Value::Array(parts) => match parts.as_slice() {
            [Value::BulkString(used)] => decided(used),
            _ => None,
        },
        _ => None,
    };
    checked.ok_or_else(|| {
        error(ErrorKind::Unexpected, "check limits").context("reason", "the answer cannot be read")
    })
}

/// How many bytes the name of a state has.
const NAME: usize = 16;
