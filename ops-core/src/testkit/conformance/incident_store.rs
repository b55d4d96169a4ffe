use serde_json::json;

use super::{at, fresh, fresh_run, ok, refused};
use crate::error::ErrorKind;
use crate::model::{
    Actor, IncidentChange, IncidentEntry, IncidentId, IncidentStatus, IncidentSummary, Severity, TenantId,
};
use crate::ports::{IncidentOutbox, IncidentQuery, IncidentStore};

/// The contract of [`IncidentStore`]. It adds incidents of tenants that nobody else has.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn incident_store(port: &dyn IncidentStore) {
    writes_in_order(port).await;
    lists_what_is_asked_for(port).await;
    pages(port).await;
    keeps_what_it_does_not_know(port).await;
}

/// The contract of [`IncidentOutbox`], that of [`IncidentStore`] apart.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn incident_outbox(port: &dyn IncidentOutbox) {
    let (one, other) = (IncidentId::generate(at(30)), IncidentId::generate(at(31)));
    let waiting = async |place: &str| {
        let mut waiting = ok("waiting", port.waiting(place).await);
        waiting.retain(|id| *id == one || *id == other);
        waiting
    };
    for id in [&other, &one] {
        ok("append", port.append(&entry(id, 1, opening(None))).await);
    }
    let both = [one.clone(), other.clone()];
    assert_eq!(
        waiting("a").await,
        both,
        "what is not marked must wait, oldest first"
    );
    for (id, entries) in [(&one, 2), (&IncidentId::generate(at(32)), 1)] {
        let marked = port.mark("a", id, entries).await;
        refused(
            "mark of more entries than there are",
            ErrorKind::InvalidInput,
            marked,
        );
    }
    assert_eq!(waiting("a").await, both, "what was refused must mark nothing");
    ok("mark", port.mark("a", &one, 1).await);
    ok("mark again", port.mark("a", &one, 1).await);
    assert_eq!(waiting("a").await, both[1..], "what is marked must not wait");
    assert_eq!(waiting("b").await, both, "a mark must hold for its place only");
    let note = IncidentChange::Note {
        text: "later".to_owned(),
    };
    ok("append", port.append(&entry(&one, 2, note)).await);
    assert_eq!(waiting("a").await, both, "a new entry must wait");
    ok("mark", port.mark("a", &one, 1).await);
    assert_eq!(
        waiting("a").await,
        both,
        "a mark of fewer entries must leave it waiting"
    );
    ok("mark", port.mark("a", &one, 2).await);
    ok("mark", port.mark("a", &other, 1).await);
    assert_eq!(waiting("a").await, [], "nothing must wait that is marked");
    let mut every = ok("every", port.every().await);
    every.retain(|id| both.contains(id));
    assert_eq!(
        every, both,
        "every incident must be told, marked or not, oldest first"
    );
    assert_eq!(
        ok("entries", port.entries(&one).await).len(),
        2,
        "a mark must leave what is kept as it is"
    );
}

async fn writes_in_order(port: &dyn IncidentStore) {
    let incident = IncidentId::generate(at(0));
    let note = |number, text: &str| {
        entry(
            &incident,
            number,
            IncidentChange::Note {
                text: text.to_owned(),
            },
        )
    };
    let opened = entry(&incident, 1, opening(None));
    assert_eq!(
        ok("entries", port.entries(&incident).await),
        [],
        "an incident that nobody opened must have no entries"
    );
    refused(
        "append of a second entry without a first",
        ErrorKind::Conflict,
        port.append(&note(2, "early")).await,
    );
    refused(
        "append of a first entry that does not open",
        ErrorKind::InvalidInput,
        port.append(&note(1, "no opening")).await,
    );
    assert_eq!(
        ok("entries", port.entries(&incident).await),
        [],
        "what was refused must leave nothing behind"
    );
    ok("append", port.append(&opened).await);
    ok("append of the same entry again", port.append(&opened).await);
    let second = note(2, "説明\n\"引用\" \u{1f525}");
    ok("append", port.append(&second).await);
    ok("append of the same entry again", port.append(&second).await);
    ok("append of an older entry again", port.append(&opened).await);

    for (what, entry) in [
        (
            "append of another entry of a number that is taken",
            note(2, "other"),
        ),
        ("append with a gap", note(4, "gap")),
        ("append of number 0", note(0, "zero")),
    ] {
        let told = port.append(&entry).await;
        let newest = told.as_ref().err().map(ToString::to_string).unwrap_or_default();
        refused(what, ErrorKind::Conflict, told);
        assert!(
            newest.contains("newest: 2"),
            "{what} must be told the newest number: {newest}"
        );
    }
    refused(
        "append of a second opening",
        ErrorKind::InvalidInput,
        port.append(&entry(&incident, 3, opening(None))).await,
    );
    let mut other = opened.clone();
    other.at = at(7);
    refused(
        "append of another first entry",
        ErrorKind::Conflict,
        port.append(&other).await,
    );
    assert!(
        ok("entries", port.entries(&incident).await) == [opened, second],
        "entries must give back what was kept, in order, unchanged"
    );
}

async fn lists_what_is_asked_for(port: &dyn IncidentStore) {
    let (tenant, other) = (tenant("t"), tenant("o"));
    let ids: Vec<_> = (0..4).map(|second| IncidentId::generate(at(second))).collect();
    let of = [Some(&tenant), Some(&other), None, Some(&tenant)];
    // Out of order: the id decides which is newer, not the time of writing.
    for position in [2, 0, 3, 1] {
        let opened = entry(&ids[position], 1, opening(of[position].cloned()));
        ok("append", port.append(&opened).await);
    }
    let listed = async |query: IncidentQuery| {
        let mut found = Vec::new();
        let mut query = query.of_tenant(tenant.clone());
        loop {
            let page = ok("list", port.list(&query).await);
            found.extend(
                page.incidents
                    .into_iter()
                    .filter(|incident| ids.contains(&incident.id)),
            );
            match page.next {
                Some(next) => query = query.after(next),
                None => return found,
            }
        }
    };
    let shown: Vec<_> = listed(IncidentQuery::open())
        .await
        .into_iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(
        shown,
        [ids[3].clone(), ids[2].clone(), ids[0].clone()],
        "list must show what is the tenant's and everybody's, never another's, newest first"
    );

    let text = || "t".to_owned();
    let changes = [
        IncidentChange::Severity {
            severity: Severity::P1,
            why: text(),
        },
        IncidentChange::Cause { text: text() },
        IncidentChange::Resolved { text: text() },
    ];
    let mut entries = ok("entries", port.entries(&ids[0]).await);
    for (number, change) in (2..).zip(changes) {
        let next = entry(&ids[0], number, change);
        ok("append", port.append(&next).await);
        entries.push(next);
    }
    let shown: Vec<_> = listed(IncidentQuery::open())
        .await
        .into_iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(
        shown,
        [ids[3].clone(), ids[2].clone()],
        "list must not show what is over unless it is asked for"
    );
    let all = listed(IncidentQuery::all()).await;
    let over = all.iter().find(|incident| incident.id == ids[0]);
    assert_eq!(
        over,
        IncidentSummary::of_all(&entries).as_ref(),
        "list must show each incident as its entries make it"
    );
    assert_eq!(
        over.map(|one| one.status),
        Some(IncidentStatus::Resolved),
        "it is over"
    );

    let back = IncidentChange::Reopened { text: text() };
    ok("append", port.append(&entry(&ids[0], 5, back)).await);
    let again = listed(IncidentQuery::open()).await;
    assert!(
        again
            .iter()
            .any(|one| one.id == ids[0] && one.status == IncidentStatus::CauseFound),
        "list must show again what was reopened"
    );
    let end = ids[1].as_str().get(30..).unwrap_or_default();
    let page = ok("list", port.list(&IncidentQuery::all().ending(end)).await);
    assert!(
        page.incidents.iter().any(|one| one.id == ids[1])
            && page.incidents.iter().all(|one| one.id.as_str().ends_with(end)),
        "list must find an incident by the end of its id, and nothing else"
    );
    for end in ["%", "_", "'"] {
        let page = ok("list", port.list(&IncidentQuery::all().ending(end)).await);
        assert_eq!(
            page.incidents,
            [],
            "an end must be taken as it is, not as a pattern: {end}"
        );
    }
}

async fn pages(port: &dyn IncidentStore) {
    let tenant = tenant("p");
    let ids: Vec<_> = (10..15).map(|second| IncidentId::generate(at(second))).collect();
    for id in &ids {
        ok(
            "append",
            port.append(&entry(id, 1, opening(Some(tenant.clone())))).await,
        );
    }
    let (mut found, mut query) = (Vec::new(), IncidentQuery::all().of_tenant(tenant).at_most(2));
    loop {
        let page = ok("list", port.list(&query).await);
        assert!(
            page.incidents.len() <= 2,
            "a page must not have more than it was asked for"
        );
        found.extend(page.incidents.into_iter().map(|incident| incident.id));
        match page.next {
            Some(next) => query = query.after(next),
            None => break,
        }
    }
    found.retain(|id| ids.contains(id));
    assert!(
        found.iter().eq(ids.iter().rev()),
        "pages must show every incident once, newest first"
    );
    for most in [0, IncidentQuery::MOST + 1] {
        let query = IncidentQuery::all().at_most(most);
        refused(
            "list of a page out of bounds",
            ErrorKind::InvalidInput,
            port.list(&query).await,
        );
    }
}

async fn keeps_what_it_does_not_know(port: &dyn IncidentStore) {
    let incident = IncidentId::generate(at(20));
    let newer = json!({"kind": "escalated", "to": ["a", {"b": null}], "level": 3});
    let change = serde_json::from_value::<IncidentChange>(newer.clone());
    let change = change.unwrap_or_else(|error| panic!("a change of a newer version is read: {error}"));
    let run = IncidentChange::Linked { run: fresh_run() };
    ok("append", port.append(&entry(&incident, 1, opening(None))).await);
    ok("append", port.append(&entry(&incident, 2, change)).await);
    // A kind that is known, with more in it.
    let mut more = serde_json::to_value(entry(&incident, 3, run)).unwrap_or_default();
    more["change"]["cluster"] = json!({"name": "a", "zones": [1, 2]});
    let run = serde_json::from_value::<IncidentEntry>(more.clone());
    let run = run.unwrap_or_else(|error| panic!("an entry of a newer version is read: {error}"));
    ok("append", port.append(&run).await);
    let entries = ok("entries", port.entries(&incident).await);
    let kept = entries
        .get(1)
        .and_then(|entry| serde_json::to_value(&entry.change).ok());
    assert_eq!(
        kept,
        Some(newer),
        "what a newer version wrote must be given back as it is"
    );
    assert_eq!(entries.len(), 3, "and what follows it too");
    let kept = entries.get(2).and_then(|entry| serde_json::to_value(entry).ok());
    assert_eq!(
        kept,
        Some(more),
        "fields of a newer version in a change that is known must be given back"
    );
}

fn entry(incident: &IncidentId, number: u32, change: IncidentChange) -> IncidentEntry {
    let by = Actor::service("conformance").unwrap_or_else(|error| panic!("an actor: {error}"));
    IncidentEntry::new(incident.clone(), number, at(i64::from(number)), by, change)
}

fn opening(tenant: Option<TenantId>) -> IncidentChange {
    IncidentChange::Opened {
        title: "conformance".to_owned(),
        severity: Severity::P3,
        tenant,
        detected_at: at(0),
    }
}

fn tenant(prefix: &str) -> TenantId {
    TenantId::new(fresh(prefix)).unwrap_or_else(|error| panic!("a tenant: {error}"))
}
