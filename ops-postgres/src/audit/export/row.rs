use ops_core::model::{Actor, ActorKind, AuditOutcome, AuditRecord, Digest, RunId, TenantId, Timestamp};
use ops_core::ports::{AuditReceipt, TrailEntry};
use uuid::Uuid;

use super::copy::Fields;
use super::object;

/// Reads every row of the tenant that the transaction is for, in the order of the chain.
pub(super) const COPY: &str = "copy (select l.sequence, l.hash, l.id, l.at_micros, l.actor_kind, l.actor_id, l.action, l.resource_type, \
     l.resource_id, l.outcome, l.run, l.details, l.withheld, s.salts, null::bytea as content from ops.audit_log l \
     left join ops.audit_salt s on s.tenant = l.tenant and s.sequence = l.sequence \
     where l.tenant = current_setting('app.current_tenant') order by l.sequence) to stdout (format binary)";
/// The same where records were removed: what was kept of them stands in their places.
pub(super) const COPY_KEPT: &str = "copy (select * from ( \
     (select l.sequence, l.hash, l.id, l.at_micros, l.actor_kind, l.actor_id, l.action, l.resource_type, \
     l.resource_id, l.outcome, l.run, l.details, l.withheld, s.salts, null::bytea as content from ops.audit_log l \
     left join ops.audit_salt s on s.tenant = l.tenant and s.sequence = l.sequence \
     where l.tenant = current_setting('app.current_tenant') order by l.sequence) \
     union all (select k.sequence, k.hash, k.id, null, null, null, null, null, null, null, null, null, null, null, k.content \
     from ops.audit_kept k where k.tenant = current_setting('app.current_tenant') order by k.sequence)) e \
     order by e.sequence) to stdout (format binary)";
/// How many columns that are.
pub(super) const FIELDS: usize = 15;

/// What a row is. Everything that was hashed is rebuilt from the columns, so that an edit of any of them shows.
pub(super) fn entry(fields: &Fields<'_>, tenant: &TenantId) -> TrailEntry {
    let mut entry = unreadable(0, "");
    read(fields, tenant, &mut entry);
    entry
}

/// The same, into the place of another entry.
pub(super) fn read(fields: &Fields<'_>, tenant: &TenantId, entry: &mut TrailEntry) {
    let sequence = fields[0]
        .and_then(number)
        .and_then(|sequence| u64::try_from(sequence).ok())
        .unwrap_or(0);
    let done = match (fields[FIELDS - 1], &mut *entry) {
        (Some(content), _) => removed(fields, sequence, content).map(|removed| *entry = removed),
        (None, TrailEntry::Record { receipt, record }) => over(fields, sequence, tenant, receipt, record),
        (None, _) => blank(tenant).and_then(|mut record| {
            let mut receipt = AuditReceipt::new(sequence, Digest::from_bytes([0; 32]));
            over(fields, sequence, tenant, &mut receipt, &mut record)?;
            *entry = TrailEntry::Record { receipt, record };
            Ok(())
        }),
    };
    if let Err(column) = done {
        *entry = unreadable(sequence, column);
    }
}

fn unreadable(sequence: u64, column: &str) -> TrailEntry {
    TrailEntry::Unreadable {
        sequence,
        what: format!("the row cannot be read (column: {column})"),
    }
}

fn removed(fields: &Fields<'_>, sequence: u64, content: &[u8]) -> Result<TrailEntry, &'static str> {
    let digest = |field: Option<&[u8]>, column| {
        let bytes = field.and_then(|field| field.try_into().ok());
        bytes.map(Digest::from_bytes).ok_or(column)
    };
    let id: [u8; 16] = fields[2].and_then(|id| id.try_into().ok()).ok_or("id")?;
    Ok(TrailEntry::Removed {
        receipt: AuditReceipt::new(sequence, digest(fields[1], "hash")?),
        id: Uuid::from_bytes(id),
        content: digest(Some(content), "content")?,
    })
}

/// A record to write over.
fn blank(tenant: &TenantId) -> Result<AuditRecord, &'static str> {
    let (id, at) = (Uuid::nil(), Timestamp::UNIX_EPOCH);
    let actor = Actor::person("nobody").map_err(|_| "actor_id")?;
    Ok(AuditRecord::with_id(id, at, tenant.clone(), actor, "", "", ""))
}

/// Writes every field of `record` anew.
fn over(
    fields: &Fields<'_>,
    sequence: u64,
    tenant: &TenantId,
    receipt: &mut AuditReceipt,
    record: &mut AuditRecord,
) -> Result<(), &'static str> {
    let [
        _,
        hash,
        id,
        at,
        kind,
        actor,
        action,
        resource_type,
        resource_id,
        outcome,
        run,
        details,
        withheld,
        salts,
        _,
    ] = *fields;
    let hash: [u8; 32] = hash.and_then(|hash| hash.try_into().ok()).ok_or("hash")?;
    let id: [u8; 16] = id.and_then(|id| id.try_into().ok()).ok_or("id")?;
    let at = at.and_then(number).ok_or("at_micros")?;
    let actor = text(actor).ok_or("actor_id")?;
    let kind = match text(kind) {
        Some("person") => ActorKind::Person,
        Some("automation") => ActorKind::Automation,
        Some("service") => ActorKind::Service,
        _ => return Err("actor_kind"),
    };
    if record.actor.kind() != kind || record.actor.id() != actor {
        record.actor = match kind {
            ActorKind::Automation => Actor::automation(actor),
            ActorKind::Service => Actor::service(actor),
            _ => Actor::person(actor),
        }
        .map_err(|_| "actor_id")?;
    }
    if record.tenant != *tenant {
        record.tenant = tenant.clone();
    }
    record.id = Uuid::from_bytes(id);
    record.at = Timestamp::from_unix_micros(at);
    object::write_over(&mut record.action, text(action).ok_or("action")?);
    object::write_over(
        &mut record.resource_type,
        text(resource_type).ok_or("resource_type")?,
    );
    object::write_over(&mut record.resource_id, text(resource_id).ok_or("resource_id")?);
    record.outcome = match text(outcome) {
        Some("succeeded") => AuditOutcome::Succeeded,
        Some("failed") => AuditOutcome::Failed,
        Some("denied") => AuditOutcome::Denied,
        Some("unknown") => AuditOutcome::Unknown,
        _ => return Err("outcome"),
    };
    record.run = match run {
        None => None,
        Some(_) => Some(text(run).and_then(|run| RunId::new(run).ok()).ok_or("run")?),
    };
    details
        .and_then(|details| object::read(details, &mut record.details))
        .ok_or("details")?;
    object::read_some(withheld, &mut record.withheld).ok_or("withheld")?;
    object::read_some(salts, &mut record.salts).ok_or("salts")?;
    *receipt = AuditReceipt::new(sequence, Digest::from_bytes(hash));
    Ok(())
}

fn number(field: &[u8]) -> Option<i64> {
    field.try_into().ok().map(i64::from_be_bytes)
}

fn text(field: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(field?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A row as it may be stored, or as somebody may have made it.
    fn row() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
        let word = |words: &'static [&'static str]| {
            prop::sample::select(words).prop_map(|word| Some(word.as_bytes().to_vec()))
        };
        let rare = |field: BoxedStrategy<Option<Vec<u8>>>| prop_oneof![9 => field, 1 => prop::option::of(prop::collection::vec(any::<u8>(), 0..9))];
        let bytes = |length: usize| prop::collection::vec(0..3_u8, length).prop_map(Some).boxed();
        let salt = r#"{"actor":"0101010101010101010101010101010101010101010101010101010101010101"}"#;
        let objects: &[&str] = &[
            "{}",
            r#"{"a":"1","b":"2"}"#,
            r#"{"a":"3","b":"\u00e9\n"}"#,
            r#" { "a" : "4" , "b" : "" } "#,
            r#"{"a":"5"}"#,
            r#"{"b":"6","a":"7"}"#,
            r#"{"a":"8","a":"9"}"#,
            r#"{"a":"1","b":"2","c":"3"}"#,
            r#"{"a":"1","b":2}"#,
            r#"{"a":"1","b":"2"}x"#,
            r#"{"a":"1","b":"#,
            "[]",
            "null",
        ];
        let objects: &'static [&'static str] = Box::leak(objects.to_vec().into_boxed_slice());
        let some: &'static [&'static str] = Box::leak(vec![salt, "{}", "x"].into_boxed_slice());
        let none = || Just(None).boxed();
        let maybe = |words| prop_oneof![3 => none(), 1 => word(words)].boxed();
        let content = prop_oneof![9 => none(), 1 => bytes(32)];
        (
            (bytes(8), rare(bytes(32)), rare(bytes(16)), rare(bytes(8))),
            rare(word(&["person", "automation", "service"]).boxed()),
            rare(word(&["kazu", "mira", ""]).boxed()),
            rare(word(&["read", "update"]).boxed()),
            rare(word(&["user", "document"]).boxed()),
            rare(word(&["1", "月次"]).boxed()),
            rare(word(&["succeeded", "failed", "denied", "unknown"]).boxed()),
            rare(maybe(&["run_1", "run_2"])),
            rare(word(objects).boxed()),
            (maybe(some), maybe(some), content),
        )
            .prop_map(
                |(first, kind, actor, action, sort, resource, outcome, run, details, last)| {
                    vec![
                        first.0, first.1, first.2, first.3, kind, actor, action, sort, resource, outcome,
                        run, details, last.0, last.1, last.2,
                    ]
                },
            )
    }

    fn fields(row: &[Option<Vec<u8>>]) -> Fields<'_> {
        let fields: Vec<_> = row.iter().map(Option::as_deref).collect();
        fields.try_into().unwrap()
    }

    proptest! {
        #[test]
        fn a_row_says_the_same_in_whatever_place_it_is_read_into(rows in prop::collection::vec(row(), 1..12)) {
            let tenant = TenantId::new("org_a").unwrap();
            let mut place = unreadable(7, "before");
            for row in &rows {
                read(&fields(row), &tenant, &mut place);
                prop_assert_eq!(&place, &entry(&fields(row), &tenant));
            }
        }

        #[test]
        fn an_object_is_what_serde_makes_of_it(first in row(), second in row()) {
            let texts = [first, second].map(|row| row[11].clone().unwrap_or_default());
            let mut map = std::collections::BTreeMap::new();
            for text in &texts {
                let fresh: Option<std::collections::BTreeMap<String, String>> = serde_json::from_slice(text).ok();
                let read = object::read(text, &mut map);
                prop_assert_eq!(read.map(|()| map.clone()), fresh);
            }
        }
    }
}
