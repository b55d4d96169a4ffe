use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{AuditRecord, Digest, TenantId, Timestamp};
use crate::ports::{AuditPage, AuditQuery};

/// Where a page of a search ended: the next page begins after this time and id, newest first.
///
/// As text it is opaque and bound to the tenant and the conditions it was made for. It is a check against mistakes, not a
/// secret: a store must select by tenant all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCursor {
    at: Timestamp,
    id: Uuid,
}

impl PageCursor {
    /// The cursor after `record`.
    pub fn after(record: &AuditRecord) -> Self {
        Self {
            at: record.at,
            id: record.id,
        }
    }

    /// Reads `query.after`; `None` on the first page.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a cursor of another tenant, of other conditions, or one that no store made.
    pub fn read(tenant: &TenantId, query: &AuditQuery) -> Result<Option<Self>> {
        let Some(text) = &query.after else {
            return Ok(None);
        };
        let foreign = || {
            Error::new(ErrorKind::InvalidInput, "search audit records")
                .context("after", "must be the `next` of a page of the same search")
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| foreign())?;
        let bytes: [u8; 40] = bytes.try_into().map_err(|_| foreign())?;
        let (search, place) = bytes.split_at(16);
        if search != fingerprint(tenant, query) {
            return Err(foreign());
        }
        let (at, id) = place.split_at(8);
        let at = i64::from_be_bytes(at.try_into().map_err(|_| foreign())?);
        Ok(Some(Self {
            at: Timestamp::from_unix_micros(at),
            id: Uuid::from_slice(id).map_err(|_| foreign())?,
        }))
    }

    /// The text to hand out as `next`, for the same tenant and conditions only.
    pub fn write(&self, tenant: &TenantId, query: &AuditQuery) -> String {
        let mut bytes = fingerprint(tenant, query).to_vec();
        bytes.extend(self.at.as_unix_micros().to_be_bytes());
        bytes.extend(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The time of the last record of the page before.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The id of the last record of the page before.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whether `record` comes after this place, newest first.
    fn precedes(&self, record: &AuditRecord) -> bool {
        (record.at, record.id) < (self.at, self.id)
    }
}

/// One page out of all `records`, for stores that hold them at hand.
pub(crate) fn page<'a>(
    records: impl IntoIterator<Item = &'a AuditRecord>,
    tenant: &TenantId,
    query: &AuditQuery,
) -> Result<AuditPage> {
    let cursor = PageCursor::read(tenant, query)?;
    let mut found: Vec<_> = records
        .into_iter()
        .filter(|record| record.tenant == *tenant && query.matches(record))
        .filter(|record| cursor.is_none_or(|cursor| cursor.precedes(record)))
        .collect();
    found.sort_unstable_by_key(|record| std::cmp::Reverse((record.at, record.id)));
    let more = found.len() > query.page_size();
    found.truncate(query.page_size());
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| PageCursor::after(last).write(tenant, query));
    let found = found.into_iter().map(|record| AuditRecord {
        salts: BTreeMap::new(),
        ..record.clone()
    });
    Ok(AuditPage::new(found.collect(), next))
}

/// Sixteen bytes that differ between searches. The page size may change on the way.
fn fingerprint(tenant: &TenantId, query: &AuditQuery) -> [u8; 16] {
    let AuditQuery {
        actor,
        resource_type,
        resource_id,
        from,
        until,
        actions,
        ..
    } = query;
    let search = (
        "audit-cursor/1",
        tenant,
        actor,
        resource_type,
        resource_id,
        from,
        until,
        actions,
    );
    let digest = Digest::of(&serde_json::to_vec(&search).unwrap_or_default());
    let mut short = [0; 16];
    short.copy_from_slice(&digest.as_bytes()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Actor;

    #[test]
    fn a_cursor_fits_its_own_search_only() {
        let tenant = TenantId::new("org_a").unwrap();
        let record = AuditRecord::new(
            Timestamp::from_unix_micros(-5),
            tenant.clone(),
            Actor::person("kazu").unwrap(),
            "export",
            "log",
            "1",
        );
        let mut query = AuditQuery::default();
        let cursor = PageCursor::after(&record);
        query.after = Some(cursor.write(&tenant, &query));
        query.limit = Some(7);
        assert_eq!(PageCursor::read(&tenant, &query).unwrap(), Some(cursor));

        let other = TenantId::new("org_b").unwrap();
        assert_eq!(
            PageCursor::read(&other, &query).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        query.actor = Some("kazu".to_owned());
        assert_eq!(
            PageCursor::read(&tenant, &query).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
