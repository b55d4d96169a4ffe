use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, Digest, RunId, Salt, TenantId, Timestamp};

/// Whether the audited action succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It was done.
    Succeeded,
    /// It was tried and failed.
    Failed,
    /// It was refused by a rule.
    Denied,
    /// It is not known whether it was done.
    Unknown,
}

/// One line of the audit trail. Text in it is masked before the record is made.
///
/// `id` and `at` are fixed when the record is made, so that delivering it twice stores it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// UUID of version 7.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Whose data or system.
    pub tenant: TenantId,
    /// Who did it.
    pub actor: Actor,
    /// What was done, as a dotted verb: `emergency.stop`, `export`, `delete`.
    pub action: String,
    /// What sort of thing it was done to.
    pub resource_type: String,
    /// Which one.
    pub resource_id: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// Further facts, masked.
    pub details: BTreeMap<String, String>,
    /// The salts of the fields that can be withheld later: `actor`, `resource_id` and `details.NAME`. In the hash of the record such a field is a commitment
    /// to its value, not the value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub salts: BTreeMap<String, Salt>,
    /// The fields whose value and salt were removed, with the commitment that stands in the hash. The field itself shows [`WITHHELD`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub withheld: BTreeMap<String, Digest>,
}

impl AuditRecord {
    /// A record that succeeded, without run and details.
    pub fn new(
        at: Timestamp,
        tenant: TenantId,
        actor: Actor,
        action: impl Into<String>,
        resource_type: impl Into<String>,
        resource_id: impl Into<String>,
    ) -> Self {
        let micros = at.as_unix_micros().max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        let seconds = micros / 1_000_000;
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos));
        Self::with_id(id, at, tenant, actor, action, resource_type, resource_id)
    }

    /// As [`new`](Self::new), with the id that it has already: for stores.
    pub fn with_id(
        id: Uuid,
        at: Timestamp,
        tenant: TenantId,
        actor: Actor,
        action: impl Into<String>,
        resource_type: impl Into<String>,
        resource_id: impl Into<String>,
    ) -> Self {
        Self {
            id,
            at,
            tenant,
            actor,
            action: action.into(),
            resource_type: resource_type.into(),
            resource_id: resource_id.into(),
            outcome: AuditOutcome::Succeeded,
            run: None,
            details: BTreeMap::new(),
            salts: BTreeMap::new(),
            withheld: BTreeMap::new(),
        }
    }

    /// Sets how it ended.
    #[must_use]
    pub fn with_outcome(mut self, outcome: AuditOutcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Sets the run it belongs to.
    #[must_use]
    pub fn with_run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// Adds a fact. The caller has masked `value`.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// Makes a field one that can be withheld later. A field that is not there, or has a salt already, is left as it is.
    #[must_use]
    pub fn with_salt(mut self, field: &str, salt: Salt) -> Self {
        if self.field(field).is_some() {
            self.salts.entry(field.to_owned()).or_insert(salt);
        }
        self
    }

    /// The value of a field that can have a salt.
    pub fn field(&self, field: &str) -> Option<&str> {
        match field {
            ACTOR => Some(self.actor.id()),
            RESOURCE => Some(&self.resource_id),
            _ => self.details.get(field.strip_prefix(DETAILS)?).map(String::as_str),
        }
    }

    /// Removes value and salt of a field; what stands for it in the hash stays. `false` for a field without a salt: its value is in the hash itself.
    pub fn withhold(&mut self, field: &str) -> bool {
        let (Some(salt), Some(value)) = (self.salts.get(field), self.field(field)) else {
            return false;
        };
        let commitment = salt.commit(value);
        match field {
            ACTOR => self.actor = self.actor.renamed(WITHHELD),
            RESOURCE => self.resource_id = WITHHELD.to_owned(),
            _ => {
                let value = field
                    .strip_prefix(DETAILS)
                    .and_then(|name| self.details.get_mut(name));
                if let Some(value) = value {
                    *value = WITHHELD.to_owned();
                }
            }
        }
        self.salts.remove(field);
        self.withheld.insert(field.to_owned(), commitment);
        true
    }

    /// Withholds what `person` is called: of a record whose actor that is, every field with a salt; of another, each field with a salt and this value.
    pub fn forget(&mut self, person: &str) -> Withheld {
        let of_them = self.actor.id() == person;
        let fields: Vec<_> = self.salts.keys().cloned().collect();
        let removed = fields
            .iter()
            .filter(|field| of_them || self.field(field) == Some(person))
            .cloned()
            .collect::<Vec<_>>();
        let mut any = false;
        for field in &removed {
            any |= self.withhold(field);
        }
        // A plain number may be anything, such as a count, where nothing says that it is a person.
        let number = person.bytes().all(|byte| byte.is_ascii_digit());
        let named = self.actor.id() == person
            || (self.resource_id == person && (!number || self.resource_type == "user"))
            || self
                .details
                .iter()
                .any(|(name, value)| value == person && (!number || name == "user"));
        match (any, named) {
            (_, true) => Withheld::Left,
            (true, false) => Withheld::Removed,
            (false, false) => Withheld::Unconcerned,
        }
    }

    /// Whether `other` says the same. Salts do not count, nor do fields that one of the two withholds.
    pub fn says_the_same(&self, other: &Self) -> bool {
        if self.withheld.is_empty() && other.withheld.is_empty() {
            return self.said() == other.said()
                && self.details == other.details
                && self.actor == other.actor
                && self.resource_id == other.resource_id;
        }
        let withheld = |field: &str| self.withheld.contains_key(field) || other.withheld.contains_key(field);
        let details = self.details.len() == other.details.len()
            && self
                .details
                .iter()
                .zip(&other.details)
                .all(|((name, value), (other, found))| {
                    name == other && (value == found || withheld(&format!("{DETAILS}{name}")))
                });
        self.said() == other.said()
            && details
            && (withheld(ACTOR) || self.actor == other.actor)
            && (withheld(RESOURCE) || self.resource_id == other.resource_id)
    }

    /// What can never be withheld.
    fn said(&self) -> impl PartialEq + '_ {
        let Self {
            id,
            at,
            tenant,
            actor,
            action,
            resource_type,
            outcome,
            run,
            ..
        } = self;
        (id, at, tenant, actor.kind(), action, resource_type, outcome, run)
    }
}

/// What became of a record when a person was to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum Withheld {
    /// It does not name them any more.
    Removed,
    /// It still names them, in a field without a salt.
    Left,
    /// It never named them.
    Unconcerned,
}

/// The field of the actor's id.
const ACTOR: &str = "actor";
/// The field of the resource's id.
const RESOURCE: &str = "resource_id";
/// What the field of a detail begins with.
const DETAILS: &str = "details.";
/// What stands in place of a value that was removed. A field that shows anything else is not withheld, whatever is beside it.
pub const WITHHELD: &str = "withheld";

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditRecord {
        let at = Timestamp::from_unix_micros(1_769_731_200_000_000);
        let tenant = TenantId::new("org_a").unwrap();
        AuditRecord::new(
            at,
            tenant,
            Actor::person("kazu").unwrap(),
            "export",
            "audit_log",
            "1",
        )
        .with_detail("ip", "203.0.113.7")
        .with_detail("rows", "3")
    }

    #[test]
    fn a_field_without_a_salt_cannot_be_withheld() {
        let mut record = record().with_salt("details.none", Salt::from_bytes([1; 32]));
        for field in ["actor", "resource_id", "details.ip", "details.none", "action"] {
            assert!(!record.withhold(field), "{field}");
        }
        assert_eq!(record, self::record_with_id(&record));
    }

    fn record_with_id(like: &AuditRecord) -> AuditRecord {
        AuditRecord {
            id: like.id,
            ..record()
        }
    }

    #[test]
    fn a_withheld_field_has_neither_value_nor_salt() {
        let salted = record()
            .with_salt("actor", Salt::from_bytes([1; 32]))
            .with_salt("details.ip", Salt::from_bytes([2; 32]));
        let mut withheld = salted.clone();
        assert!(withheld.withhold("actor") && withheld.withhold("details.ip"));
        assert!(!withheld.withhold("actor"), "it is gone already");
        let text = serde_json::to_string(&withheld).unwrap();
        for gone in ["kazu", "203.0.113.7", "0101", "0202"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        assert_eq!(withheld.details["rows"], "3");
        assert_eq!(serde_json::from_str::<AuditRecord>(&text).unwrap(), withheld);
        assert!(salted.says_the_same(&withheld) && withheld.says_the_same(&salted));
        let other = salted.with_detail("rows", "4");
        assert!(!other.says_the_same(&withheld));
    }

    #[test]
    fn a_count_is_no_person_whose_id_is_a_number() {
        let left = |record: AuditRecord, person: &str| record.clone().forget(person) == Withheld::Left;
        assert!(!left(record(), "3") && !left(record(), "1"), "rows, and a log");
        assert!(left(record().with_detail("user", "3"), "3"));
        assert!(left(record().with_detail("by", "kazu_2"), "kazu_2"));
        let mut of_user = record();
        of_user.resource_type = "user".to_owned();
        assert!(left(of_user, "1"));
    }

    #[test]
    fn salts_do_not_make_a_record_another_one() {
        let plain = record();
        let salted = plain.clone().with_salt("actor", Salt::from_bytes([1; 32]));
        assert!(plain.says_the_same(&salted));
        let mut other = salted.clone();
        other.actor = Actor::person("other").unwrap();
        assert!(!plain.says_the_same(&other));
        let mut text = serde_json::to_value(&plain).unwrap();
        assert!(text.get("salts").is_none() && text.get("withheld").is_none());
        text["salts"] = serde_json::json!({});
        assert_eq!(serde_json::from_value::<AuditRecord>(text).unwrap(), plain);
    }
}
