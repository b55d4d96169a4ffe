use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuditRecord, TenantId, Timestamp};
use crate::error::{Error, ErrorKind, Result};

/// Something that must not be deleted, whatever the rules say. With neither person nor resource: everything of the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LegalHold {
    /// Its id.
    pub id: Uuid,
    /// Whose data.
    pub tenant: TenantId,
    /// Of which person, as rows and trail call them: of a mail address used as an id the trail has the masked form.
    pub person: Option<String>,
    /// Of which resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<HeldResource>,
    /// Why: a case number, not its story.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// The resources that a hold is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeldResource {
    /// The type of the resource.
    pub kind: String,
    /// Which one; `None`: all of the type.
    pub id: Option<String>,
}

impl HeldResource {
    /// The resource `id` of the type `kind`, or all of the type.
    pub fn new(kind: impl Into<String>, id: Option<String>) -> Self {
        Self {
            kind: kind.into(),
            id,
        }
    }
}

impl LegalHold {
    /// A hold on everything of `tenant`.
    pub fn new(tenant: TenantId, reason: impl Into<String>, since: Timestamp) -> Self {
        Self {
            id: Uuid::new_v4(),
            tenant,
            person: None,
            resource: None,
            reason: reason.into(),
            since,
        }
    }

    /// Only what is about this person.
    #[must_use]
    pub fn of_person(mut self, person: impl Into<String>) -> Self {
        self.person = Some(person.into());
        self
    }

    /// Only what is about this resource.
    #[must_use]
    pub fn of_resource(mut self, resource: HeldResource) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Refuses one that would keep nothing, or that nobody could tell the reason of.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an empty reason, person, or type or id of a resource.
    pub fn check(&self) -> Result<()> {
        let resource = self.resource.as_ref();
        let fields = [
            ("reason", Some(&self.reason)),
            ("person", self.person.as_ref()),
            ("resource type", resource.map(|held| &held.kind)),
            ("resource id", resource.and_then(|held| held.id.as_ref())),
        ];
        match fields
            .iter()
            .find(|(_, text)| text.is_some_and(|text| text.trim().is_empty()))
        {
            Some((field, _)) => {
                Err(Error::new(ErrorKind::InvalidInput, "hold data").context(field, "must not be empty"))
            }
            None => Ok(()),
        }
    }

    /// Whether it keeps `record`: one of the tenant that the person made, or that names the person as its resource or in a detail; one about the resource. With both, what meets both.
    pub fn keeps(&self, record: &AuditRecord) -> bool {
        let person = |person: &String| {
            record.actor.id() == person
                || record.resource_id == *person
                || record.details.values().any(|value| value == person)
        };
        let resource = |held: &HeldResource| {
            record.resource_type == held.kind && held.id.as_ref().is_none_or(|id| record.resource_id == *id)
        };
        self.tenant == record.tenant
            && self.person.as_ref().is_none_or(person)
            && self.resource.as_ref().is_none_or(resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Actor;

    #[test]
    fn a_hold_keeps_what_meets_all_that_it_names() {
        let tenant = TenantId::new("org_a").unwrap();
        let record = |who: &str, kind: &str, id: &str| {
            let actor = Actor::person(who).unwrap();
            AuditRecord::new(Timestamp::UNIX_EPOCH, tenant.clone(), actor, "export", kind, id)
        };
        let whole = LegalHold::new(tenant.clone(), "case 7", Timestamp::UNIX_EPOCH);
        let person = whole.clone().of_person("kazu");
        let kind = whole.clone().of_resource(HeldResource::new("task", None));
        let task = whole
            .clone()
            .of_resource(HeldResource::new("task", Some("t1".to_owned())));
        let both = person.clone().of_resource(HeldResource::new("task", None));
        for (record, kept) in [
            (record("kazu", "task", "t1"), [true, true, true, true, true]),
            (record("kazu", "list", "1"), [true, true, false, false, false]),
            (record("hana", "task", "t2"), [true, false, true, false, false]),
            (record("hana", "user", "kazu"), [true, true, false, false, false]),
            (
                record("hana", "list", "1").with_detail("user", "kazu"),
                [true, true, false, false, false],
            ),
        ] {
            let found = [&whole, &person, &kind, &task, &both].map(|hold| hold.keeps(&record));
            assert_eq!(found, kept, "{record:?}");
            let mut other = record.clone();
            other.tenant = TenantId::new("org_b").unwrap();
            assert!(!whole.keeps(&other) && !person.keeps(&other));
        }
    }
}
