use super::audit_store::fresh_tenant;
use super::{ok, refused};
use crate::audit::{Tree, content, entry_leaf, kept_tree, leaf};
use crate::error::ErrorKind;
use crate::model::{Actor, AuditRecord, HeldResource, LegalHold, Month, Salt, TenantId, Timestamp};
use crate::ports::{
    Appended, AuditEntry, AuditPruner, AuditQuery, AuditReceipt, LegalHolds, MonthReading, MonthRemoval,
    TrailEntry,
};

/// The contract of [`AuditPruner`] and [`LegalHolds`]. It uses fresh tenants and months of long ago, so that it may run on a shared store; what stays of its
/// records stays.
///
/// # Panics
/// With the clause that `port` or `holds` breaks.
pub async fn audit_pruner(port: &dyn AuditPruner, holds: &dyn LegalHolds) {
    a_month_goes_and_the_rest_holds(port, holds).await;
    what_tells_of_a_removal_stays(port).await;
    what_has_changed_since_is_not_removed(port, holds).await;
}

async fn a_month_goes_and_the_rest_holds(port: &dyn AuditPruner, holds: &dyn LegalHolds) {
    let (tenant, other) = (fresh_tenant(), fresh_tenant());
    let month: Month = ok("a month", "2001-02".parse());
    let (begin, end) = (month.begin(), month.end());
    let before = |at: Timestamp| Timestamp::from_unix_micros(at.as_unix_micros() - 1);
    let written = [
        made(&tenant, before(begin), "kazu", "1"),
        made(&tenant, begin, "kazu", "2").with_salt("actor", ok("a salt", Salt::random())),
        made(&tenant, end, "kazu", "3"),
        made(&tenant, before(end), "hanako", "4"),
        made(&tenant, before(end), "jiro", "5").with_salt("actor", ok("a salt", Salt::random())),
        made(&tenant, begin, "kazu", "6"),
        made(&other, begin, "kazu", "1"),
    ];
    let receipts = append(port, &written).await;
    let root = ok("tree", kept_tree(port, &tenant).await).root();

    let mut hold = LegalHold::new(tenant.clone(), " ", begin).of_person("jiro");
    refused(
        "a hold without a reason",
        ErrorKind::InvalidInput,
        holds.hold(&hold).await,
    );
    hold.reason = "case 7".to_owned();
    let empty = hold
        .clone()
        .of_resource(HeldResource::new("list", Some(String::new())));
    refused(
        "a hold on nothing",
        ErrorKind::InvalidInput,
        holds.hold(&empty).await,
    );
    let mut empty = hold.clone();
    empty.person = Some(String::new());
    refused(
        "a hold on nobody",
        ErrorKind::InvalidInput,
        holds.hold(&empty).await,
    );
    let all = LegalHold::new(other.clone(), "case 8", begin);
    let task = LegalHold::new(tenant.clone(), "case 9", begin)
        .of_resource(HeldResource::new("list", Some("4".to_owned())));
    for hold in [&hold, &all, &task] {
        ok("hold", holds.hold(hold).await);
    }
    let open = ok("list of holds", holds.open().await);
    assert!(
        [&hold, &all, &task].iter().all(|hold| open.contains(hold)),
        "what is held must be listed: {open:?}"
    );
    let mut on = ok("holds on a tenant", port.holds_on(&tenant).await);
    on.sort_by(|a, b| a.reason.cmp(&b.reason));
    assert_eq!(on, [hold.clone(), task.clone()], "only those of the tenant");

    let listed = |found: &[crate::ports::TrailMonth], of: &TenantId| {
        found
            .iter()
            .filter(|found| found.tenants.contains(of))
            .map(|found| found.month.to_string())
            .collect::<Vec<_>>()
    };
    let found = ok("months", port.months(end).await);
    assert_eq!(
        listed(&found, &tenant),
        ["2001-01", "2001-02"],
        "each month that ended, and no other"
    );
    assert!(found.is_sorted_by_key(|found| found.month), "oldest first");
    let early = ok("months", port.months(before(end)).await);
    assert_eq!(
        listed(&early, &tenant),
        ["2001-01"],
        "a month that has not ended is none"
    );

    let reading = read(port, &tenant, month).await;
    assert_eq!(
        (
            reading.records,
            reading.held,
            reading.removable,
            reading.first,
            reading.last
        ),
        (4, 2, 2, Some(2), Some(6)),
        "the month of the tenant must be read whole, and nothing else"
    );
    let record = told(&reading, month);
    let removal = MonthRemoval::new(reading, record.clone());
    ok("prune", port.prune(month, std::slice::from_ref(&removal)).await);

    let chain = ok("chain", port.chain(&tenant, 0, 100).await);
    let places: Vec<_> = chain.iter().map(TrailEntry::sequence).collect();
    assert_eq!(
        places,
        [1, 2, 3, 4, 5, 6, 7],
        "every position stays, and the removal gets the next"
    );
    for (entry, (record, receipt)) in chain[..6].iter().zip(written.iter().zip(&receipts)) {
        let removed = [2, 6].contains(&entry.sequence());
        let wanted = match removed {
            true => TrailEntry::Removed {
                receipt: receipt.clone(),
                id: record.id,
                content: content(record),
            },
            false => TrailEntry::Record {
                receipt: receipt.clone(),
                record: record.clone(),
            },
        };
        assert_eq!(
            *entry, wanted,
            "what may go goes, and what is held stays with its salts"
        );
    }
    assert_eq!(
        chain[6].record().map(|(_, last)| last),
        Some(&record),
        "the trail must tell of it"
    );
    let mut leaves: Tree = chain[..6].iter().filter_map(entry_leaf).collect();
    assert_eq!(leaves.root(), root, "checkpoints from before must hold");
    leaves.push(leaf(&record));
    assert_eq!(
        ok("tree", kept_tree(port, &tenant).await),
        leaves,
        "the chain must go on"
    );
    let report = ok("verify", port.verify(&tenant).await);
    assert!(
        report.intact() && (report.records, report.removed) == (7, 2),
        "the chain must stay intact, and the report must say how many records were removed: {report:?}"
    );
    for limit in [1, 2, 3] {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = ok("page of the chain", port.chain(&tenant, after, limit).await);
            let Some(last) = page.last() else { break };
            after = last.sequence();
            found.extend(page);
        }
        assert_eq!(found, chain, "page by page the chain must be the same");
    }
    let page = ok("search", port.search(&tenant, &AuditQuery::default()).await);
    let mut found: Vec<_> = page
        .records
        .iter()
        .map(|record| record.resource_id.as_str())
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        ["1", "2001-02", "3", "4", "5"],
        "what was removed must not be found"
    );

    let again = ok(
        "append of what was removed",
        port.append_all(&[AuditEntry::from(written[1].clone())]).await,
    );
    assert!(
        matches!(&again[..], [Appended::Known(receipt)] if *receipt == receipts[1]),
        "a late second delivery must bring nothing back: {again:?}"
    );
    let salted = written[1]
        .clone()
        .with_salt("details.reason", ok("a salt", Salt::random()));
    let again = ok(
        "append with another salt",
        port.append_all(&[AuditEntry::from(salted)]).await,
    );
    assert!(
        matches!(&again[..], [Appended::Known(receipt)] if *receipt == receipts[1]),
        "a salt is no content: {again:?}"
    );
    let mut changed = written[5].clone();
    changed.action.push('x');
    refused(
        "append of a removed id with another content",
        ErrorKind::Conflict,
        port.append(&changed).await,
    );
    let elsewhere = ok("chain", port.chain(&other, 0, 10).await);
    assert_eq!(
        elsewhere,
        [TrailEntry::Record {
            receipt: receipts[6].clone(),
            record: written[6].clone()
        }],
        "a tenant that is not named stays as it is"
    );
    refused(
        "prune again",
        ErrorKind::Conflict,
        port.prune(month, &[removal]).await,
    );

    for hold in [&hold, &all, &task] {
        let released = ok("release", holds.release(hold.id, end).await);
        assert_eq!(released.as_ref(), Some(hold), "release must give what it ended");
        assert_eq!(ok("release again", holds.release(hold.id, end).await), None);
    }
    let reading = read(port, &tenant, month).await;
    assert_eq!(
        (reading.records, reading.removable),
        (2, 2),
        "what was held may go when it is released"
    );
    let record = told(&reading, month);
    let theirs = read(port, &other, month).await;
    let removals = [
        MonthRemoval::new(reading, record),
        MonthRemoval::new(theirs.clone(), told(&theirs, month)),
    ];
    ok("prune what was held", port.prune(month, &removals).await);
    for tenant in [&tenant, &other] {
        let report = ok("verify", port.verify(tenant).await);
        assert!(report.intact() && report.removed > 0, "{report:?}");
    }
    let found = ok("months", port.months(end).await);
    assert_eq!(
        listed(&found, &tenant),
        ["2001-01"],
        "a month without a record is none"
    );
}

async fn what_tells_of_a_removal_stays(port: &dyn AuditPruner) {
    let tenant = fresh_tenant();
    let month: Month = ok("a month", "2001-06".parse());
    let mut telling = told(&MonthReading::new(tenant.clone()), month);
    telling.at = month.begin();
    append(port, &[made(&tenant, month.begin(), "kazu", "1"), telling]).await;
    let reading = read(port, &tenant, month).await;
    assert_eq!((reading.records, reading.telling, reading.removable), (2, 1, 1));
    let record = told(&reading, month);
    ok(
        "prune",
        port.prune(month, &[MonthRemoval::new(reading, record)]).await,
    );
    let chain = ok("chain", port.chain(&tenant, 0, 10).await);
    let stays: Vec<_> = chain.iter().map(|entry| entry.record().is_some()).collect();
    assert_eq!(
        stays,
        [false, true, true],
        "a record that tells of a removal stays for good"
    );
}

async fn what_has_changed_since_is_not_removed(port: &dyn AuditPruner, holds: &dyn LegalHolds) {
    let (tenant, other) = (fresh_tenant(), fresh_tenant());
    let month: Month = ok("a month", "2001-04".parse());
    let written = [&tenant, &other].map(|tenant| made(tenant, month.begin(), "kazu", "1"));
    append(port, &written).await;
    let readings = [read(port, &tenant, month).await, read(port, &other, month).await];
    let removals = readings.map(|reading| {
        let record = told(&reading, month);
        MonthRemoval::new(reading, record)
    });
    let untouched = async |what: &str| {
        refused(what, ErrorKind::Conflict, port.prune(month, &removals).await);
        for tenant in [&tenant, &other] {
            let chain = ok("chain", port.chain(tenant, 0, 10).await);
            assert!(
                chain.iter().all(|entry| entry
                    .record()
                    .is_some_and(|(_, record)| record.resource_id != "2001-04")),
                "{what}: nothing must go, and nothing may tell of a removal: {chain:?}"
            );
        }
    };
    let hold = LegalHold::new(other.clone(), "case 7", month.begin());
    ok("hold", holds.hold(&hold).await);
    untouched("prune of what is held since").await;
    ok("release", holds.release(hold.id, month.end()).await);
    append(port, &[made(&other, month.begin(), "late", "2")]).await;
    untouched("prune of a month that has grown").await;
}

fn made(tenant: &TenantId, at: Timestamp, who: &str, resource: &str) -> AuditRecord {
    let actor = ok("an actor", Actor::person(who));
    AuditRecord::new(at, tenant.clone(), actor, "export", "list", resource).with_detail("reason", "月次")
}

/// What a trail says of a removal.
fn told(reading: &MonthReading, month: Month) -> AuditRecord {
    let number = |number: Option<u64>| number.unwrap_or_default().to_string();
    let at: Timestamp = ok("a time", "2026-01-30T09:00:00Z".parse());
    let actor = ok("an actor", Actor::person("conformance"));
    AuditRecord::new(
        at,
        reading.tenant.clone(),
        actor,
        MonthReading::TOLD,
        "audit_log",
        month.to_string(),
    )
    .with_detail("first", number(reading.first))
    .with_detail("last", number(reading.last))
    .with_detail("removed", reading.removable.to_string())
}

async fn read(port: &dyn AuditPruner, tenant: &TenantId, month: Month) -> MonthReading {
    let holds = ok("holds", port.holds_on(tenant).await);
    let mut reading = MonthReading::new(tenant.clone());
    let mut after = 0;
    loop {
        // A page of one shows that positions are gone through in their order.
        let page = ok("month", port.in_month(tenant, month, after, 1).await);
        let Some(entry) = page.first() else {
            return reading;
        };
        assert!(
            page.len() == 1 && entry.sequence() > after,
            "no more than asked for, by position"
        );
        after = entry.sequence();
        match entry {
            TrailEntry::Record { receipt, record } => {
                reading.push(receipt, record, &content(record), &holds);
            }
            other => panic!("a month has records only: {other:?}"),
        }
    }
}

async fn append(port: &dyn AuditPruner, records: &[AuditRecord]) -> Vec<AuditReceipt> {
    let mut receipts = Vec::new();
    for record in records {
        receipts.push(ok("append", port.append(record).await));
    }
    receipts
}
