use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::{Actor, AuditRecord, TenantId, Timestamp};
use crate::ports::{AuditQuery, AuditStore};

/// What somebody did to something, as often as they did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Touched {
    /// Who.
    pub actor: Actor,
    /// The type of what was touched.
    pub resource_type: String,
    /// Its id.
    pub resource_id: String,
    /// Each action with its number.
    pub actions: BTreeMap<String, u64>,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

/// Who and what an incident may have reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exposure {
    /// What the user touched.
    pub by_user: Vec<Touched>,
    /// Who touched the resource.
    pub to_resource: Vec<Touched>,
    /// There is more than this list takes.
    pub cut: bool,
}

/// Reads it from the trail; [`AuditReader`](super::AuditReader) records that.
pub(super) async fn exposure(
    store: &dyn AuditStore,
    tenant: &TenantId,
    user: Option<&str>,
    resource: Option<(&str, &str)>,
    since: Timestamp,
) -> Result<Exposure> {
    let mut found = Exposure::default();
    if let Some(user) = user {
        let query = AuditQuery {
            actor: Some(user.to_owned()),
            from: Some(since),
            ..AuditQuery::default()
        };
        (found.by_user, found.cut) = contacts(store, tenant, query).await?;
    }
    if let Some((kind, id)) = resource {
        let query = AuditQuery {
            resource_type: Some(kind.to_owned()),
            resource_id: Some(id.to_owned()),
            from: Some(since),
            ..AuditQuery::default()
        };
        let cut;
        (found.to_resource, cut) = contacts(store, tenant, query).await?;
        found.cut |= cut;
    }
    Ok(found)
}

async fn contacts(
    store: &dyn AuditStore,
    tenant: &TenantId,
    mut query: AuditQuery,
) -> Result<(Vec<Touched>, bool)> {
    query.limit = Some(1000);
    let mut contacts: BTreeMap<(String, String, String), Touched> = BTreeMap::new();
    loop {
        let page = store.search(tenant, &query).await?;
        for record in page.records {
            let key = (
                record.actor.to_string(),
                record.resource_type.clone(),
                record.resource_id.clone(),
            );
            if contacts.len() == MOST && !contacts.contains_key(&key) {
                return Ok((contacts.into_values().collect(), true));
            }
            contacts
                .entry(key)
                .and_modify(|contact| contact.add(&record))
                .or_insert_with(|| Touched::of(&record));
        }
        if page.next.is_none() {
            return Ok((contacts.into_values().collect(), false));
        }
        query.after = page.next;
    }
}

impl Touched {
    fn of(record: &AuditRecord) -> Self {
        Self {
            actor: record.actor.clone(),
            resource_type: record.resource_type.clone(),
            resource_id: record.resource_id.clone(),
            actions: BTreeMap::from([(record.action.clone(), 1)]),
            first: record.at,
            last: record.at,
        }
    }

    fn add(&mut self, record: &AuditRecord) {
        *self.actions.entry(record.action.clone()).or_default() += 1;
        self.first = self.first.min(record.at);
        self.last = self.last.max(record.at);
    }
}

const MOST: usize = 10_000;
