use super::leaf::{content, link_content};
use super::leaf_hash;
use super::removals::Removals;
use crate::model::{AuditRecord, Digest, TenantId};
use crate::ports::{AuditFault, AuditReceipt, ChainReport, TrailEntry};

/// The hash of `record` at `sequence` (from 1), after `previous` (`None` for the first record of a tenant).
///
/// Every [`AuditStore`](crate::ports::AuditStore) computes its receipts with this, so that an export verifies without the
/// store. The bytes are versioned and every field carries its length: no two records have the same bytes. Times enter as
/// microseconds, details in the order of their names; nothing depends on how a store writes JSON. A field with a salt enters as the
/// commitment to its value, so that the value can be removed later ([`AuditRecord::withhold`]).
///
/// ```
/// use ops_core::audit::link;
/// use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
///
/// let tenant = TenantId::new("org_soulsyncs")?;
/// let record = AuditRecord::new(Timestamp::UNIX_EPOCH, tenant, Actor::person("kazu")?, "export", "audit_log", "2026-01");
/// let first = link(None, 1, &record);
/// assert_eq!(first, link(None, 1, &record));
/// assert_ne!(first, link(Some(&first), 2, &record));
/// # Ok::<(), ops_core::error::Error>(())
/// ```
pub fn link(previous: Option<&Digest>, sequence: u64, record: &AuditRecord) -> Digest {
    link_content(previous, sequence, &content(record))
}

/// Verifies a whole chain, oldest record first. See [`ChainVerifier`] for what is found, and to verify while reading.
pub fn verify(links: impl IntoIterator<Item = (AuditReceipt, AuditRecord)>) -> ChainReport {
    let mut verifier = ChainVerifier::new();
    for (receipt, record) in links {
        verifier.push(&receipt, &record);
    }
    verifier.finish()
}

/// Verifies a chain record by record, in constant memory.
///
/// It finds a record that was changed, deleted, inserted or moved. It cannot find that the newest records were cut off, nor
/// a chain that was computed anew from some record on: for both, compare the head with a copy kept elsewhere.
#[derive(Clone, Debug)]
pub struct ChainVerifier {
    records: u64,
    expected: u64,
    previous: Previous,
    tenant: Option<TenantId>,
    head: Option<AuditReceipt>,
    withheld: u64,
    removals: Removals,
    faults: Vec<AuditFault>,
}

/// What the next record must be linked to.
#[derive(Clone, Copy, Debug)]
enum Previous {
    Beginning,
    Hash(Digest),
    /// The record before is missing or unreadable, so that its hash is not known.
    Lost,
}

impl ChainVerifier {
    /// Expects the first record of a chain.
    pub fn new() -> Self {
        Self {
            records: 0,
            expected: 1,
            previous: Previous::Beginning,
            tenant: None,
            head: None,
            withheld: 0,
            removals: Removals::default(),
            faults: Vec::new(),
        }
    }

    /// Takes the next record as the store gave it.
    pub fn push(&mut self, receipt: &AuditReceipt, record: &AuditRecord) {
        self.push_content(receipt, record, &content(record));
    }

    /// As [`push`](Self::push), and the leaf of the hash tree from the same pass over the bytes.
    pub fn push_leaf(&mut self, receipt: &AuditReceipt, record: &AuditRecord) -> Digest {
        let content = content(record);
        self.push_content(receipt, record, &content);
        leaf_hash(content.as_bytes())
    }

    /// Takes whatever stands next in the trail. What it is in the hash tree; `None` for what cannot be read.
    pub fn push_entry(&mut self, entry: &TrailEntry) -> Option<Digest> {
        match entry {
            TrailEntry::Record { receipt, record } => Some(self.push_leaf(receipt, record)),
            TrailEntry::Removed { receipt, content, .. } => {
                self.records += 1;
                self.removals.removed(receipt.sequence);
                self.push_link(receipt, content);
                Some(leaf_hash(content.as_bytes()))
            }
            TrailEntry::Unreadable { what, .. } => {
                self.push_unreadable(what);
                None
            }
        }
    }

    fn push_content(&mut self, receipt: &AuditReceipt, record: &AuditRecord, content: &Digest) {
        self.records += 1;
        self.withheld += u64::from(!record.withheld.is_empty());
        self.removals.record(receipt.sequence, record);
        let tenant = self.tenant.get_or_insert_with(|| record.tenant.clone());
        if *tenant != record.tenant {
            self.fault(receipt.sequence, "belongs to another tenant");
        }
        self.push_link(receipt, content);
    }

    fn push_link(&mut self, receipt: &AuditReceipt, content: &Digest) {
        if receipt.sequence != self.expected {
            self.fault(
                self.expected,
                format!("expected position {}, found {}", self.expected, receipt.sequence),
            );
            self.previous = Previous::Lost;
        }
        let fits = match self.previous {
            Previous::Beginning => link_content(None, receipt.sequence, content) == receipt.hash,
            Previous::Hash(previous) => {
                link_content(Some(&previous), receipt.sequence, content) == receipt.hash
            }
            Previous::Lost => true,
        };
        if !fits {
            self.fault(
                receipt.sequence,
                "the record does not fit its hash and the record before",
            );
        }
        self.previous = Previous::Hash(receipt.hash);
        self.expected = receipt.sequence.saturating_add(1);
        self.head = Some(receipt.clone());
    }

    /// Takes note of a record that is there but cannot be read.
    pub fn push_unreadable(&mut self, what: impl Into<String>) {
        self.records += 1;
        self.fault(self.expected, what);
        self.previous = Previous::Lost;
        self.expected = self.expected.saturating_add(1);
    }

    /// What was found so far, but for removals that no record tells of: a record behind them may.
    pub(super) fn first_fault(&self) -> Option<&AuditFault> {
        self.faults.first()
    }

    /// What was found.
    pub fn finish(mut self) -> ChainReport {
        self.faults.extend(self.removals.faults());
        ChainReport::new(self.records, self.head, self.faults)
            .with_withheld(self.withheld)
            .with_removed(self.removals.count())
    }

    fn fault(&mut self, sequence: u64, what: impl Into<String>) {
        self.faults.push(AuditFault::new(sequence, what));
    }
}

impl Default for ChainVerifier {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::model::{Actor, AuditOutcome, RunId, Timestamp};

    /// A chain of `records`, linked as a store links them.
    fn chain(records: Vec<AuditRecord>) -> Vec<(AuditReceipt, AuditRecord)> {
        let mut previous = None;
        (1..)
            .zip(records)
            .map(|(sequence, record)| {
                let hash = link(previous.as_ref(), sequence, &record);
                previous = Some(hash);
                (AuditReceipt::new(sequence, hash), record)
            })
            .collect()
    }

    fn record() -> impl Strategy<Value = AuditRecord> {
        (
            any::<u128>(),
            any::<i32>(),
            "[a-z]{1,4}",
            "[a-z.]{0,6}",
            "\\PC{0,6}",
            "\\PC{0,6}",
            any::<bool>(),
            btree_map("[a-z]{1,3}", "\\PC{0,6}", 0..3),
        )
            .prop_map(|(id, at, actor, action, kind, resource, run, details)| {
                let mut record = AuditRecord::new(
                    Timestamp::from_unix_micros(i64::from(at)),
                    TenantId::new("org_a").unwrap(),
                    Actor::person(actor).unwrap(),
                    action,
                    kind,
                    resource,
                );
                record.id = Uuid::from_u128(id);
                record.run = run.then(|| RunId::new("run_1").unwrap());
                record.details = details;
                record.details.insert("ALWAYS".to_owned(), "1".to_owned());
                record
            })
    }

    fn chains() -> impl Strategy<Value = Vec<(AuditReceipt, AuditRecord)>> {
        vec(record(), 2..8).prop_map(chain)
    }

    /// Changes one field, chosen by `field`, to another value.
    fn edit(record: &mut AuditRecord, field: usize) {
        match field {
            0 => record.id = Uuid::from_u128(record.id.as_u128() ^ 1),
            1 => record.at = Timestamp::from_unix_micros(record.at.as_unix_micros() + 1),
            2 => record.tenant = TenantId::new("org_b").unwrap(),
            3 => record.actor = Actor::service(record.actor.id()).unwrap(),
            4 => record.actor = Actor::person(format!("{}x", record.actor.id())).unwrap(),
            5 => record.action.push('x'),
            6 => record.resource_type.push('x'),
            7 => record.resource_id.push('x'),
            8 => record.outcome = AuditOutcome::Unknown,
            9 => record.run = record.run.is_none().then(|| RunId::new("run_2").unwrap()),
            10 => record.details.entry("ALWAYS".to_owned()).or_default().push('x'),
            11 => record.details.extend([("NEW".to_owned(), String::new())]),
            _ => record.details.retain(|name, _| name != "ALWAYS"),
        }
    }
    const FIELDS: usize = 13;

    proptest! {
        #[test]
        fn an_untouched_chain_is_intact(chain in chains()) {
            let report = verify(chain.clone());
            prop_assert!(report.intact(), "{:?}", report.faults);
            prop_assert_eq!(report.records, chain.len() as u64);
            prop_assert_eq!(report.head.as_ref(), chain.last().map(|(receipt, _)| receipt));
        }

        #[test]
        fn an_edit_of_any_field_is_found_where_it_is(mut chain in chains(), at in any::<prop::sample::Index>(), field in 0..FIELDS) {
            let at = at.index(chain.len());
            edit(&mut chain[at].1, field);
            let report = verify(chain);
            prop_assert!(report.faults.iter().any(|fault| fault.sequence == at as u64 + 1), "{:?}", report.faults);
        }

        #[test]
        fn a_deletion_before_the_end_is_found(mut chain in chains(), at in any::<prop::sample::Index>()) {
            let at = at.index(chain.len() - 1);
            chain.remove(at);
            prop_assert!(!verify(chain).intact());
        }

        #[test]
        fn a_deletion_that_renumbers_what_follows_is_found(mut chain in chains(), at in any::<prop::sample::Index>()) {
            let at = at.index(chain.len() - 1);
            chain.remove(at);
            for (receipt, _) in &mut chain[at..] {
                receipt.sequence -= 1;
            }
            prop_assert!(!verify(chain).intact());
        }

        #[test]
        fn an_insertion_is_found(mut chain in chains(), at in any::<prop::sample::Index>(), record in record()) {
            let at = at.index(chain.len());
            let sequence = at as u64 + 1;
            // The best that a forger can do without touching the rest: link the forged record to the one before it.
            let previous = at.checked_sub(1).map(|before| chain[before].0.hash);
            let receipt = AuditReceipt::new(sequence, link(previous.as_ref(), sequence, &record));
            for (receipt, _) in &mut chain[at..] {
                receipt.sequence += 1;
            }
            chain.insert(at, (receipt, record));
            prop_assert!(!verify(chain).intact());
        }

        #[test]
        fn a_record_that_was_forged_with_its_own_hash_is_found_at_the_next(
            mut chain in chains(), at in any::<prop::sample::Index>(), field in 0..FIELDS
        ) {
            let at = at.index(chain.len() - 1);
            let previous = at.checked_sub(1).map(|before| chain[before].0.hash);
            edit(&mut chain[at].1, field);
            chain[at].0.hash = link(previous.as_ref(), at as u64 + 1, &chain[at].1);
            let report = verify(chain);
            prop_assert!(report.faults.iter().any(|fault| fault.sequence == at as u64 + 2), "{:?}", report.faults);
        }

        #[test]
        fn a_swap_is_found(mut chain in chains(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let (a, b) = (a.index(chain.len()), b.index(chain.len()));
            prop_assume!(chain[a].1 != chain[b].1);
            let swapped = chain[a].1.clone();
            chain[a].1 = std::mem::replace(&mut chain[b].1, swapped);
            prop_assert!(!verify(chain.clone()).intact());
        }

        #[test]
        fn text_that_moves_between_fields_changes_the_hash(mut record in record(), text in "[a-z]{1,4}") {
            record.action.push_str(&text);
            let here = link(None, 1, &record);
            record.action.truncate(record.action.len() - text.len());
            record.resource_type.insert_str(0, &text);
            prop_assert_ne!(here, link(None, 1, &record));
        }
    }

    fn fixed(resource: &str) -> AuditRecord {
        let at = Timestamp::from_unix_micros(1_769_731_200_000_001);
        let mut record = AuditRecord::new(
            at,
            TenantId::new("org_soulsyncs").unwrap(),
            Actor::person("kazu").unwrap(),
            "export",
            "audit_log",
            resource,
        );
        record.id = Uuid::from_u128(1);
        record.with_detail("reason", "月次")
    }

    /// Stored chains must verify with every later version: these values never change. They were computed by another program.
    #[test]
    fn the_byte_format_is_frozen() {
        let first = link(None, 1, &fixed("2026-01"));
        assert_eq!(
            first.to_string(),
            "b9d5dce2213200a27ece4b56e090f48bd52171c4cdab6ab9b361e45e442b2632"
        );
        assert_eq!(
            link(Some(&first), 2, &fixed("2026-02")).to_string(),
            "c680d8ea2f79903644595555319750c949ba1301c0179586cb1ade2e15ad1a4a"
        );
    }

    #[test]
    fn one_edit_gives_one_fault_and_the_rest_is_still_checked() {
        let mut chain = chain((0..9).map(|n| fixed(&n.to_string())).collect());
        chain[2].1.action.push('x');
        chain[6].1.action.push('x');
        let places: Vec<_> = verify(chain)
            .faults
            .into_iter()
            .map(|fault| fault.sequence)
            .collect();
        assert_eq!(places, [3, 7]);
    }

    #[test]
    fn a_deletion_is_named_at_the_missing_place() {
        let mut chain = chain((0..9).map(|n| fixed(&n.to_string())).collect());
        chain.remove(3);
        let report = verify(chain);
        assert_eq!(
            report.faults,
            [AuditFault::new(4, "expected position 4, found 5")]
        );
    }

    #[test]
    fn a_record_of_another_tenant_and_an_unreadable_record_are_faults() {
        let mut verifier = ChainVerifier::new();
        let first = fixed("1");
        let receipt = AuditReceipt::new(1, link(None, 1, &first));
        verifier.push(&receipt, &first);
        verifier.push_unreadable("no JSON");
        let mut foreign = fixed("3");
        foreign.tenant = TenantId::new("org_b").unwrap();
        verifier.push(&AuditReceipt::new(3, link(None, 3, &foreign)), &foreign);
        let report = verifier.finish();
        let faults: Vec<_> = report
            .faults
            .iter()
            .map(|fault| (fault.sequence, fault.what.as_str()))
            .collect();
        assert_eq!(faults, [(2, "no JSON"), (3, "belongs to another tenant")]);
        assert_eq!(report.records, 3);
    }
}
