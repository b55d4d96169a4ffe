//! What was removed from a trail, and what the trail says about it.

use crate::model::{AuditOutcome, AuditRecord};
use crate::ports::{AuditFault, MonthReading};

/// The details of a record that tells of a removal.
pub(super) const FIRST: &str = "first";
pub(super) const LAST: &str = "last";
pub(super) const REMOVED: &str = "removed";

/// Compares the positions that were removed with the records that say so. Memory grows with the number of gaps only.
#[derive(Clone, Debug, Default)]
pub(super) struct Removals {
    /// From first to last, in order.
    ranges: Vec<(u64, u64)>,
    removed: u64,
    told: Vec<Told>,
}

/// What one record says: so many between these positions.
#[derive(Clone, Copy, Debug)]
struct Told {
    first: u64,
    last: u64,
    removed: u64,
}

impl Removals {
    /// The record at `sequence` was removed.
    pub(super) fn removed(&mut self, sequence: u64) {
        self.removed += 1;
        match self.ranges.last_mut() {
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            _ => self.ranges.push((sequence, sequence)),
        }
    }

    /// Takes note of a record that tells of a removal before it.
    pub(super) fn record(&mut self, sequence: u64, record: &AuditRecord) {
        if record.action != MonthReading::TOLD || record.outcome != AuditOutcome::Succeeded {
            return;
        }
        let number = |name: &str| record.details.get(name)?.parse().ok();
        let (Some(first), Some(last), Some(removed)) = (number(FIRST), number(LAST), number(REMOVED)) else {
            return;
        };
        // No more than have a place there.
        if first <= last && last < sequence && removed <= last - first + 1 {
            self.told.push(Told { first, last, removed });
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.removed
    }

    /// What no record tells of.
    pub(super) fn faults(&self) -> Vec<AuditFault> {
        let mut told = self.told.clone();
        told.sort_unstable_by_key(|told| told.first);
        let mut faults = Vec::new();
        for (first, last) in &self.ranges {
            let mut next = *first;
            for told in &told {
                if told.first <= next && next <= told.last {
                    next = told.last.saturating_add(1);
                }
            }
            if next <= *last {
                let what = format!(
                    "records from here up to {last} were removed, and no record of the trail says so"
                );
                faults.push(AuditFault::new(next, what));
            }
        }
        let all = told
            .iter()
            .fold(0_u64, |all, told| all.saturating_add(told.removed));
        if faults.is_empty() && self.removed > all {
            let what = format!(
                "{} records were removed, and the trail tells of {all}",
                self.removed
            );
            faults.push(AuditFault::new(
                self.ranges.first().map_or(0, |(first, _)| *first),
                what,
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, TenantId, Timestamp};

    fn told(first: u64, last: u64, removed: u64) -> AuditRecord {
        AuditRecord::new(
            Timestamp::UNIX_EPOCH,
            TenantId::new("org_a").unwrap(),
            Actor::person("kazu").unwrap(),
            MonthReading::TOLD,
            "audit_log",
            "2025-01",
        )
        .with_detail(FIRST, first.to_string())
        .with_detail(LAST, last.to_string())
        .with_detail(REMOVED, removed.to_string())
    }

    fn places(removals: &Removals) -> Vec<u64> {
        removals.faults().iter().map(|fault| fault.sequence).collect()
    }

    #[test]
    fn every_removed_position_must_be_told_of_and_no_more_of_them_than_told() {
        let mut removals = Removals::default();
        for sequence in [1, 2, 3, 5, 8, 9] {
            removals.removed(sequence);
        }
        assert_eq!(places(&removals), [1, 5, 8]);
        removals.record(20, &told(1, 5, 4));
        assert_eq!(places(&removals), [8]);
        removals.record(21, &told(9, 9, 1));
        assert_eq!(places(&removals), [8]);
        removals.record(22, &told(7, 8, 1));
        assert!(removals.faults().is_empty());
        // One more, between those that are told of.
        let mut more = removals.clone();
        more.ranges.push((4, 4));
        more.removed += 1;
        assert_eq!(places(&more), [1]);
    }

    #[test]
    fn nobody_tells_of_what_comes_behind_or_was_not_done() {
        let mut removals = Removals::default();
        removals.removed(4);
        removals.record(3, &told(1, 9, 9));
        removals.record(5, &told(1, 5, 5));
        removals.record(6, &told(1, 5, 5).with_outcome(AuditOutcome::Failed));
        removals.record(7, &told(5, 1, 1));
        removals.record(7, &told(1, 5, 6));
        assert_eq!(places(&removals), [4]);
        removals.record(8, &told(4, 4, 1));
        assert!(removals.faults().is_empty());
    }
}
