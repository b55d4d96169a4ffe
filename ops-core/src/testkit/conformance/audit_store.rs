use super::{at, fresh, ok, refused};
use crate::audit::link;
use crate::error::ErrorKind;
use crate::model::{Actor, AuditOutcome, AuditRecord, TenantId};
use crate::ports::{AuditQuery, AuditReceipt, AuditStore, TrailEntry};

/// The contract of [`AuditStore`]. It uses fresh tenants, so that it may run on a shared store; its records stay.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn audit_store(port: &dyn AuditStore) {
    an_unknown_tenant_has_nothing(port).await;
    appending_links_and_repeats_harmlessly(port).await;
    tenants_never_see_each_other(port).await;
    pages_have_no_gap_and_no_repetition(port).await;
    every_condition_filters(port).await;
    writers_at_the_same_time_make_one_chain(port).await;
    the_chain_is_read_oldest_first(port).await;
    super::audit_batch::audit_batches(port).await;
}

async fn the_chain_is_read_oldest_first(port: &dyn AuditStore) {
    let (tenant, other) = (fresh_tenant(), fresh_tenant());
    let written: Vec<_> = [3, 1, 2, 5, 4].map(|n| record(&tenant, n)).into();
    let mut wanted = Vec::new();
    for record in &written {
        wanted.push((ok("append", port.append(record).await), record.clone()));
        ok(
            "append for another tenant",
            port.append(&self::record(&other, 1)).await,
        );
    }
    for page in [1, 2, 5, 100] {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let links = records(ok("read of the chain", port.chain(&tenant, after, page).await));
            assert!(
                links.len() <= usize::try_from(page).unwrap_or(usize::MAX),
                "no more records than asked for"
            );
            let Some((last, _)) = links.last() else { break };
            after = last.sequence;
            found.extend(links);
        }
        assert_eq!(
            found, wanted,
            "the chain of a tenant must be read in its order, page by page, with the receipts of its appends"
        );
    }
}

async fn an_unknown_tenant_has_nothing(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    let page = ok(
        "search of an unknown tenant",
        port.search(&tenant, &AuditQuery::default()).await,
    );
    assert!(
        page.records.is_empty() && page.next.is_none(),
        "an unknown tenant must have no records"
    );
    let report = ok("verify of an unknown tenant", port.verify(&tenant).await);
    assert!(
        report.intact() && report.records == 0 && report.head.is_none(),
        "an unknown tenant must have an empty, intact chain: {report:?}"
    );
}

async fn appending_links_and_repeats_harmlessly(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    let mut previous = None;
    let mut receipts = Vec::new();
    let records: Vec<_> = (0..4).map(|n| record(&tenant, n)).collect();
    for (sequence, record) in (1..).zip(&records) {
        let receipt = ok("append", port.append(record).await);
        let hash = link(previous.as_ref(), sequence, record);
        assert_eq!(
            receipt,
            AuditReceipt::new(sequence, hash),
            "a receipt must be the next position and the link of `audit::link`"
        );
        previous = Some(hash);
        receipts.push(receipt);
    }
    for (record, receipt) in records.iter().zip(&receipts) {
        let again = ok("append of a known record", port.append(record).await);
        assert_eq!(again, *receipt, "a known record must get its first receipt");
    }
    let mut changed = records[1].clone();
    changed.details.insert("reason".to_owned(), "another".to_owned());
    refused(
        "append of a known id with another content",
        ErrorKind::Conflict,
        port.append(&changed).await,
    );
    let mut moved = records[1].clone();
    moved.at = at(50);
    refused(
        "append of a known id with another time",
        ErrorKind::Conflict,
        port.append(&moved).await,
    );

    let report = ok("verify", port.verify(&tenant).await);
    assert!(report.intact(), "an untouched chain must be intact: {report:?}");
    assert_eq!(report.records, 4, "repetitions and conflicts must store nothing");
    assert_eq!(
        report.head.as_ref(),
        receipts.last(),
        "the head must be the newest receipt"
    );
}

async fn tenants_never_see_each_other(port: &dyn AuditStore) {
    let (ours, theirs) = (fresh_tenant(), fresh_tenant());
    for n in 0..3 {
        ok("append", port.append(&record(&ours, n)).await);
    }
    let first = ok(
        "append for another tenant",
        port.append(&record(&theirs, 9)).await,
    );
    assert_eq!(first.sequence, 1, "each tenant must have a chain of its own");
    let page = ok("search", port.search(&theirs, &AuditQuery::default()).await);
    assert!(
        page.records.len() == 1 && page.records[0].tenant == theirs,
        "a tenant must see its own records only"
    );

    let mut query = AuditQuery {
        limit: Some(1),
        ..AuditQuery::default()
    };
    query.after = ok("search", port.search(&ours, &query).await).next;
    assert!(
        query.after.is_some(),
        "a full page with more behind it must have a `next`"
    );
    refused(
        "a cursor of another tenant",
        ErrorKind::InvalidInput,
        port.search(&theirs, &query).await,
    );
    query.after = Some("not a cursor".to_owned());
    refused(
        "a cursor that no store made",
        ErrorKind::InvalidInput,
        port.search(&ours, &query).await,
    );
}

async fn pages_have_no_gap_and_no_repetition(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    // Neither appended in the order of their times nor with different times throughout.
    let mut records: Vec<_> = [3, 1, 4, 1, 5, 2, 6].map(|n| record(&tenant, n)).into();
    for record in &records {
        ok("append", port.append(record).await);
    }
    records.sort_by_key(|record| std::cmp::Reverse((record.at, record.id)));

    let mut query = AuditQuery {
        limit: Some(2),
        ..AuditQuery::default()
    };
    let mut found = Vec::new();
    for turn in 0..10 {
        let page = ok("search", port.search(&tenant, &query).await);
        assert!(page.records.len() <= 2, "a page must keep its limit");
        found.extend(page.records);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
        let arriving = record(&tenant, 100 + turn);
        ok("append between two pages", port.append(&arriving).await);
    }
    let order = |records: &[AuditRecord]| records.iter().map(|record| record.id).collect::<Vec<_>>();
    assert_eq!(
        order(&found),
        order(&records),
        "pages must give each record once, newest first by time, then id"
    );
    assert_eq!(found, records, "records must come back as they were appended");
}

async fn every_condition_filters(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    let actor = |id: &str| ok("an actor", Actor::person(id));
    let make = |n: i64, who: &str, action: &str, kind: &str, resource: &str| {
        AuditRecord::new(at(n), tenant.clone(), actor(who), action, kind, resource)
    };
    let records = [
        make(1, "a", "delete", "task", "t1"),
        make(2, "b", "export", "task", "t2"),
        make(3, "a", "emergency.stop", "service", "t1"),
        make(4, "b", "update_permission", "user", "u1").with_outcome(AuditOutcome::Denied),
    ];
    for record in &records {
        ok("append", port.append(record).await);
    }
    let high = AuditQuery::HIGH_PRIVILEGE.map(str::to_owned).to_vec();
    expect(port, &tenant, "no condition", &[4, 3, 2, 1], |_| {}).await;
    expect(port, &tenant, "actor", &[3, 1], |query| {
        query.actor = Some("a".into())
    })
    .await;
    expect(port, &tenant, "resource type", &[2, 1], |query| {
        query.resource_type = Some("task".into());
    })
    .await;
    expect(port, &tenant, "resource id", &[3, 1], |query| {
        query.resource_id = Some("t1".into());
    })
    .await;
    expect(port, &tenant, "from, inclusive", &[4, 3], |query| {
        query.from = Some(at(3))
    })
    .await;
    expect(port, &tenant, "until, exclusive", &[2, 1], |query| {
        query.until = Some(at(3))
    })
    .await;
    expect(port, &tenant, "actions", &[4, 2, 1], |query| {
        query.actions = high.clone()
    })
    .await;
    expect(port, &tenant, "several conditions", &[1], |query| {
        query.actor = Some("a".into());
        query.actions = high.clone();
    })
    .await;
    expect(port, &tenant, "a quote in a condition", &[], |query| {
        query.actor = Some("a' or '1'='1".into());
    })
    .await;
}

/// Checks that the query made by `set` finds the records made at these seconds.
async fn expect(
    port: &dyn AuditStore,
    tenant: &TenantId,
    what: &str,
    wanted: &[i64],
    set: impl Fn(&mut AuditQuery) + Send,
) {
    let mut query = AuditQuery::default();
    set(&mut query);
    let page = ok("search", port.search(tenant, &query).await);
    let found: Vec<_> = page.records.iter().map(|record| record.at).collect();
    let wanted: Vec<_> = wanted.iter().map(|second| at(*second)).collect();
    assert_eq!(found, wanted, "the condition \"{what}\" must hold");
}

async fn writers_at_the_same_time_make_one_chain(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    let [a, b, c, d] = [1, 2, 3, 4].map(|n| record(&tenant, n));
    let receipts: [_; 4] =
        tokio::join!(port.append(&a), port.append(&b), port.append(&c), port.append(&d)).into();
    let mut places = receipts.map(|receipt| ok("append at the same time", receipt).sequence);
    places.sort_unstable();
    assert_eq!(
        places,
        [1, 2, 3, 4],
        "writers at the same time must get different positions"
    );
    let report = ok("verify", port.verify(&tenant).await);
    assert!(
        report.intact() && report.records == 4,
        "writers at the same time must make one chain: {report:?}"
    );
}

pub(super) fn record(tenant: &TenantId, n: i64) -> AuditRecord {
    let actor = ok("an actor", Actor::person("conformance"));
    AuditRecord::new(
        at(n),
        tenant.clone(),
        actor,
        "export",
        "audit_log",
        format!("資源-{n}"),
    )
    .with_detail("reason", "改行\nと \"引用\"")
    .with_detail("count", n.to_string())
}

/// All of them, which must be records.
pub(super) fn records(entries: Vec<TrailEntry>) -> Vec<(AuditReceipt, AuditRecord)> {
    let entries = entries.into_iter();
    let record = |entry: TrailEntry| match entry {
        TrailEntry::Record { receipt, record } => (receipt, record),
        other => panic!("a record must be one: {other:?}"),
    };
    entries.map(record).collect()
}

pub(super) fn fresh_tenant() -> TenantId {
    ok("a tenant id", TenantId::new(fresh("org")))
}
