//! The bytes of a record that are hashed.

use super::tree::{Tree, leaf_hash};
use crate::model::{ActorKind, AuditOutcome, AuditRecord, Digest, WITHHELD};
use crate::ports::{AuditHead, AuditReceipt, TrailEntry};

/// What stands for `record` in the hash tree of its tenant, over the same bytes as [`link`](super::link).
pub fn leaf(record: &AuditRecord) -> Digest {
    leaf_hash(content(record).as_bytes())
}

/// What stands for an entry of the trail in the hash tree, removed or not; `None` for what cannot be read.
pub fn entry_leaf(entry: &TrailEntry) -> Option<Digest> {
    match entry {
        TrailEntry::Record { record, .. } => Some(leaf(record)),
        TrailEntry::Removed { content, .. } => Some(leaf_hash(content.as_bytes())),
        TrailEntry::Unreadable { .. } => None,
    }
}

/// Appends records to a chain and to its hash tree: what every [`AuditStore`](crate::ports::AuditStore) computes its receipts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linker {
    last: Option<AuditReceipt>,
    tree: Tree,
}

impl Linker {
    /// The chain that ends with `last` and has this tree over all its records.
    pub fn new(last: Option<AuditReceipt>, tree: Tree) -> Self {
        Self { last, tree }
    }

    /// Gives `record` the next place.
    pub fn push(&mut self, record: &AuditRecord) -> AuditReceipt {
        let content = content(record);
        self.tree.push(leaf_hash(content.as_bytes()));
        let previous = self.last.as_ref().map(|last| &last.hash);
        let sequence = self
            .last
            .as_ref()
            .map_or(1, |last| last.sequence.saturating_add(1));
        let receipt = AuditReceipt::new(sequence, link_content(previous, sequence, &content));
        self.last = Some(receipt.clone());
        receipt
    }

    /// The newest receipt with the peaks of the tree; `None` for a chain without any record.
    pub fn head(&self) -> Option<AuditHead> {
        Some(AuditHead::new(self.last.clone()?, self.tree.peaks().to_vec()))
    }

    /// The hash tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}

/// The link of a record with this content.
pub(super) fn link_content(previous: Option<&Digest>, sequence: u64, content: &Digest) -> Digest {
    let previous: &[u8] = previous.map_or(&[], |previous| previous.as_bytes());
    // As `Canonical` writes them, without memory of its own.
    Digest::of_parts(&[
        &length(LINK),
        LINK,
        &length(previous),
        previous,
        &length(&[0; 8]),
        &sequence.to_be_bytes(),
        &length(content.as_bytes()),
        content.as_bytes(),
    ])
}

fn length(field: &[u8]) -> [u8; 8] {
    u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes()
}

/// Names of the byte formats. A change of the bytes needs a new name.
const LINK: &[u8] = b"ops-audit-link/1";
const RECORD: &[u8] = b"ops-audit-record/1";
/// The same, with a commitment in place of each field that has a salt.
const COMMITTED: &[u8] = b"ops-audit-record/2";

/// The digest of all that a record says: it is what the chain links and what the leaf of the hash tree is made of.
pub fn content(record: &AuditRecord) -> Digest {
    let AuditRecord {
        id,
        at,
        tenant,
        actor,
        action,
        resource_type,
        resource_id,
        outcome,
        run,
        details,
        salts,
        withheld,
    } = record;
    let committed = !salts.is_empty() || !withheld.is_empty();
    let mut leaf = Canonical::new(if committed { COMMITTED } else { RECORD });
    let field = |leaf: &mut Canonical, name: (&str, &str), value: &str| {
        if !committed {
            return leaf.text(value);
        }
        // Built of two parts, so that nothing is allocated for a name.
        let named = |field: &str| field.strip_prefix(name.0) == Some(name.1);
        // A commitment stands for what is not shown. A value that is shown enters itself, or anything could be shown beside any commitment.
        let commitment = withheld
            .iter()
            .find(|(field, _)| value == WITHHELD && named(field));
        if let Some((_, commitment)) = commitment {
            leaf.tagged(1, commitment.as_bytes());
        } else if let Some((_, salt)) = salts.iter().find(|(field, _)| named(field)) {
            leaf.tagged(1, salt.commit(value).as_bytes());
        } else {
            leaf.tagged(0, value.as_bytes());
        }
    };
    leaf.bytes(id.as_bytes());
    leaf.bytes(&at.as_unix_micros().to_be_bytes());
    leaf.text(tenant.as_str());
    leaf.text(match actor.kind() {
        ActorKind::Person => "person",
        ActorKind::Automation => "automation",
        ActorKind::Service => "service",
    });
    field(&mut leaf, ("", "actor"), actor.id());
    leaf.text(action);
    leaf.text(resource_type);
    field(&mut leaf, ("", "resource_id"), resource_id);
    leaf.text(match outcome {
        AuditOutcome::Succeeded => "succeeded",
        AuditOutcome::Failed => "failed",
        AuditOutcome::Denied => "denied",
        AuditOutcome::Unknown => "unknown",
    });
    // A run id is never empty, so that an empty text can stand for none.
    leaf.text(run.as_ref().map_or("", |run| run.as_str()));
    leaf.number(u64::try_from(details.len()).unwrap_or(u64::MAX));
    for (name, value) in details {
        leaf.text(name);
        field(&mut leaf, ("details.", name), value);
    }
    leaf.digest()
}

/// Fields, each after its length as eight bytes, big-endian.
struct Canonical(Vec<u8>);

impl Canonical {
    fn new(format: &[u8]) -> Self {
        let mut canonical = Self(Vec::with_capacity(512));
        canonical.bytes(format);
        canonical
    }

    fn bytes(&mut self, field: &[u8]) {
        self.0.extend_from_slice(&length(field));
        self.0.extend_from_slice(field);
    }

    fn text(&mut self, field: &str) {
        self.bytes(field.as_bytes());
    }

    /// One field: a byte that says what it is, then the rest.
    fn tagged(&mut self, tag: u8, field: &[u8]) {
        let length = u64::try_from(field.len()).unwrap_or(u64::MAX).saturating_add(1);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.push(tag);
        self.0.extend_from_slice(field);
    }

    fn number(&mut self, field: u64) {
        self.bytes(&field.to_be_bytes());
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::{link, verify};
    use super::*;
    use crate::model::{Actor, Salt, TenantId, Timestamp};

    fn salted() -> AuditRecord {
        let at = Timestamp::from_unix_micros(1_769_731_200_000_001);
        let tenant = TenantId::new("org_soulsyncs").unwrap();
        let mut record = AuditRecord::new(
            at,
            tenant,
            Actor::person("kazu").unwrap(),
            "export",
            "audit_log",
            "2026-01",
        )
        .with_detail("ip", "203.0.113.7")
        .with_detail("reason", "月次");
        record.id = Uuid::from_u128(1);
        record
            .with_salt("actor", Salt::from_bytes([1; 32]))
            .with_salt("details.ip", Salt::from_bytes([2; 32]))
    }

    #[test]
    fn a_withheld_value_changes_neither_leaf_nor_link() {
        let record = salted();
        for fields in [&["actor"][..], &["details.ip"], &["actor", "details.ip"]] {
            let mut withheld = record.clone();
            assert!(fields.iter().all(|field| withheld.withhold(field)));
            assert_eq!(leaf(&withheld), leaf(&record), "{fields:?}");
            assert_eq!(link(None, 1, &withheld), link(None, 1, &record), "{fields:?}");
            let receipt = AuditReceipt::new(1, link(None, 1, &record));
            let report = verify([(receipt, withheld)]);
            assert_eq!((report.intact(), report.withheld), (true, 1));
        }
    }

    #[test]
    fn what_is_withheld_cannot_be_put_back_as_something_else() {
        let record = salted();
        let mut withheld = record.clone();
        withheld.withhold("actor");
        let mut forged = withheld.clone();
        forged.withheld.clear();
        forged.actor = Actor::person("mallory").unwrap();
        assert_ne!(leaf(&forged), leaf(&record));
        forged = forged.with_salt("actor", Salt::from_bytes([1; 32]));
        assert_ne!(leaf(&forged), leaf(&record));
        let mut moved = record.clone();
        let salt = moved.salts.remove("details.ip").unwrap();
        moved.salts.insert("resource_id".to_owned(), salt);
        assert_ne!(leaf(&moved), leaf(&withheld));
    }

    #[test]
    fn nothing_is_shown_beside_the_commitment_to_something_else() {
        let record = salted();
        for field in ["actor", "details.ip"] {
            let mut forged = record.clone();
            forged.withhold(field);
            match field {
                "actor" => forged.actor = Actor::person("mallory").unwrap(),
                _ => *forged.details.get_mut("ip").unwrap() = "198.51.100.9".to_owned(),
            }
            assert_ne!(leaf(&forged), leaf(&record), "{field}");
            assert_ne!(link(None, 1, &forged), link(None, 1, &record), "{field}");
        }
        // Nor beside the salt of what was there.
        let mut forged = record.clone();
        let commitment = Salt::from_bytes([1; 32]).commit("kazu");
        forged.withheld.insert("actor".to_owned(), commitment);
        forged.actor = Actor::person("mallory").unwrap();
        assert_ne!(leaf(&forged), leaf(&record));
    }

    /// Stored chains must verify with every later version: this value never changes. It was computed by another program.
    #[test]
    fn the_bytes_with_commitments_are_frozen() {
        assert_eq!(link(None, 1, &salted()).to_string(), FROZEN);
    }
    const FROZEN: &str = "4c48748865d3377f9ea48f35c17a1970f9a5a83601fab3197cc30635423bdccc";

    proptest! {
        #[test]
        fn a_linker_gives_the_links_and_the_tree(names in prop::collection::vec("[a-z]{1,8}", 0..20), cut in any::<prop::sample::Index>()) {
            let records: Vec<_> = names.iter().map(|name| salted().with_detail("reason", name)).collect();
            let mut linker = Linker::default();
            let mut previous = None;
            let cut = cut.index(records.len() + 1);
            for (at, record) in records.iter().enumerate() {
                if at == cut {
                    // As a store takes it up again.
                    let head = linker.head();
                    let tree = Tree::from_peaks(linker.tree().size(), head.as_ref().map_or_else(Vec::new, |head| head.peaks.clone())).unwrap();
                    linker = Linker::new(head.map(|head| head.receipt), tree);
                }
                let receipt = linker.push(record);
                let hash = link(previous.as_ref(), at as u64 + 1, record);
                prop_assert_eq!(&receipt, &AuditReceipt::new(at as u64 + 1, hash));
                previous = Some(hash);
            }
            let tree: Tree = records.iter().map(leaf).collect();
            prop_assert_eq!(linker.tree(), &tree);
        }
    }
}
