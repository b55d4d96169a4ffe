use std::sync::atomic::{AtomicU64, Ordering};

use super::{Timestamp, string_id};

string_id! {
    /// One run of a procedure. Sorts by the time it began.
    RunId, "run id", 64
}

string_id! {
    /// One incident. Sorts by the time it was opened; its end is random, so that a few characters of it tell it from others.
    IncidentId, "incident id", 64
}

string_id! {
    /// One entry of an incident. It stays the same wherever the entry is kept.
    IncidentEntryId, "incident entry id", 64
}

string_id! {
    /// The same value for every attempt of one step, so that a provider can tell a repetition from a new request.
    IdempotencyKey, "idempotency key", 160
}

/// The microsecond of the newest id of this process: ids of one process are in the order in which they were made.
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// The prefix and a UUID of version 7 that sorts by the microsecond.
fn sortable(prefix: &str, at: Timestamp) -> String {
    let now = at.as_unix_micros().max(0).unsigned_abs();
    let before = NEWEST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |newest| {
        Some(now.max(newest + 1))
    });
    let micros = before.map_or(now, |newest| now.max(newest + 1));
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..10]);
    // Random but for the first twelve bits: ten for the microsecond within the millisecond.
    let fraction = u16::try_from(micros % 1_000).unwrap_or(0) << 2 | u16::from(bytes[1] & 0b11);
    bytes[..2].copy_from_slice(&fraction.to_be_bytes());
    // A version 4 UUID has fixed bits in its seventh and ninth byte.
    let more = uuid::Uuid::new_v4();
    bytes[6] = more.as_bytes()[0];
    bytes[8] = more.as_bytes()[1];
    let id = uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &bytes).into_uuid();
    format!("{prefix}_{}", id.simple())
}

impl IncidentId {
    /// A fresh id for an incident that is opened `at`: `inc_` and a UUID of version 7 that sorts by the microsecond.
    pub fn generate(at: Timestamp) -> Self {
        Self(sortable("inc", at))
    }

    /// The last six characters: what people say to each other.
    pub fn short(&self) -> &str {
        let from = self.0.len().saturating_sub(6);
        // Ids are ASCII.
        self.0.get(from..).unwrap_or(&self.0)
    }
}

impl IncidentEntryId {
    /// A fresh id for an entry that is written `at`: `ine_` and a UUID of version 7 that sorts by the microsecond.
    pub fn generate(at: Timestamp) -> Self {
        Self(sortable("ine", at))
    }

    /// That of an entry that has none, by a digest of what it says.
    pub(super) fn of_content(digest: &str) -> Self {
        Self(format!("ine_{digest}"))
    }
}

impl RunId {
    /// A fresh id for a run that begins `at`: `run_` and a UUID of version 7 that sorts by the microsecond.
    pub fn generate(at: Timestamp) -> Self {
        Self(sortable("run", at))
    }

    /// An id that sorts before every one that was [generated](Self::generate) at that time.
    pub(crate) fn earliest(at: Timestamp) -> Self {
        let millis = at.as_unix_micros().max(0).unsigned_abs() / 1_000;
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
        Self(format!("run_{}", id.simple()))
    }
}

impl IdempotencyKey {
    /// The key of one step of one run.
    pub fn for_step(run: &RunId, step: u32) -> Self {
        Self(format!("{run}/{step}"))
    }

    /// The key of closing again, for the run that had stopped it first, what the restore `by` had opened.
    pub fn for_closing_again(run: &RunId, by: &RunId, step: u32) -> Self {
        Self(format!("{run}/{by}/{step}"))
    }

    /// The run that this key belongs to.
    pub fn run(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_of_one_moment_differ_in_what_people_say() {
        let at = Timestamp::from_unix_micros(4_000_000_000_123_456);
        let (one, other) = (IncidentId::generate(at), IncidentId::generate(at));
        assert!(one < other && one.as_str().starts_with("inc_"));
        assert_eq!(one.short().len(), 6);
        assert_ne!(one.short(), other.short());
    }

    #[test]
    fn ids_sort_by_time_and_within_a_process_by_their_making() {
        let at = Timestamp::from_unix_micros(4_000_000_000_123_456);
        let ids: Vec<_> = (0..2_000).map(|_| RunId::generate(at)).collect();
        assert!(ids.is_sorted());
        assert!(RunId::generate(at + std::time::Duration::from_secs(1)) > ids[1_999]);
        assert!(ids.iter().all(|id| id.as_str().len() == 36));
    }
}
