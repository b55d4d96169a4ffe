//! Incidents under many writers, and rows that somebody touched by hand.

use std::sync::Arc;

use ops_core::error::ErrorKind;
use ops_core::incidents::{Added, Incidents, NewIncident, share_incidents, share_incidents_again};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryIncidents;
use ops_core::model::{Actor, IncidentChange, IncidentEntry, IncidentId, Severity, Timestamp};
use ops_core::ports::{IncidentQuery, IncidentStore};
use ops_core::testkit::ManualClock;
use ops_postgres::{PostgresIncidents, PostgresStore};

use super::world::{World, run};

fn alice() -> Actor {
    Actor::person("alice").unwrap()
}

fn note(text: impl Into<String>) -> IncidentChange {
    IncidentChange::Note { text: text.into() }
}

fn writer(store: Arc<dyn IncidentStore>) -> Incidents {
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_micros(
        1_769_731_200_000_000,
    )));
    Incidents::new(store, Arc::new(BuiltinMasker::new()), clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_who_write_at_once_lose_nothing_and_leave_no_gap() {
    let Some(world) = World::new().await else { return };
    let first = writer(Arc::new(PostgresIncidents::new(&world.store)));
    let id = first
        .open(NewIncident::new("slow", Severity::P2), &alice())
        .await
        .unwrap()
        .id;
    let mut tasks = Vec::new();
    for who in 0..8 {
        // A pool of its own, as another machine has.
        let store = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
        let id = id.clone();
        tasks.push(tokio::spawn(async move {
            let incidents = writer(Arc::new(PostgresIncidents::new(&store)));
            for line in 0..10 {
                let added = incidents
                    .add(&id, note(format!("{who}/{line}")), &alice())
                    .await
                    .unwrap();
                assert!(matches!(added, Added::Written { .. }));
            }
            store.close().await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (incident, entries) = first.read(&id).await.unwrap().unwrap();
    assert_eq!((incident.newest, entries.len()), (81, 81));
    assert!(entries.iter().map(|entry| entry.number).eq(1..=81));
    let mut texts: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.change {
            IncidentChange::Note { text } => Some(text.clone()),
            _ => None,
        })
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 80, "every note is there once");
    let page = first.store().list(&IncidentQuery::open()).await.unwrap();
    assert_eq!(page.incidents[0].newest, 81);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_who_open_the_same_incident_or_resolve_it_one_is_first() {
    let Some(world) = World::new().await else { return };
    let store = Arc::new(PostgresIncidents::new(&world.store));
    let id = IncidentId::generate(Timestamp::from_unix_micros(1_769_731_200_000_000));
    let mut tasks = Vec::new();
    for who in 0..8_i64 {
        let (store, id) = (Arc::clone(&store), id.clone());
        tasks.push(tokio::spawn(async move {
            let change = IncidentChange::Opened {
                title: "down".to_owned(),
                severity: Severity::P1,
                tenant: None,
                detected_at: Timestamp::UNIX_EPOCH,
            };
            let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + who);
            let entry = IncidentEntry::new(id, 1, at, alice(), change);
            store.append(&entry).await.map_err(|error| error.kind())
        }));
    }
    let mut opened = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => opened += 1,
            Err(kind) => assert_eq!(kind, ErrorKind::Conflict),
        }
    }
    assert_eq!(opened, 1);

    let mut tasks = Vec::new();
    for who in 0..8 {
        let (incidents, id) = (writer(Arc::clone(&store) as _), id.clone());
        tasks.push(tokio::spawn(async move {
            let over = IncidentChange::Resolved {
                // The same words at the same moment would be the same entry.
                text: format!("restarted by {who}"),
            };
            incidents.add(&id, over, &alice()).await.unwrap()
        }));
    }
    let mut written = 0;
    for task in tasks {
        written += usize::from(matches!(task.await.unwrap(), Added::Written { .. }));
    }
    assert_eq!(written, 1, "the others are told that it is over");
    world.close().await;
}

#[tokio::test]
async fn an_entry_cannot_be_changed_or_deleted_by_its_owner_and_damage_is_named() {
    let Some(world) = World::new().await else { return };
    let store = PostgresIncidents::new(&world.store);
    let incidents = writer(Arc::new(store.clone()));
    let id = incidents
        .open(NewIncident::new("slow", Severity::P2), &alice())
        .await
        .unwrap()
        .id;
    let _ = incidents.add(&id, note("one"), &alice()).await.unwrap();
    let mut owner = world.owner().await;
    for statement in [
        "update ops.incident_entry set entry = 'x'",
        "delete from ops.incident_entry",
        "truncate ops.incident_entry",
    ] {
        let error = run(&mut owner, statement).await.unwrap_err();
        assert_eq!(error, "42501", "{statement}");
    }
    // Who goes out of their way to do it all the same is named.
    let by_hand = "alter table ops.incident_entry disable trigger written_once;
        update ops.incident_entry set entry = '{\"name\":\"taro\"}' where number = 2";
    run(&mut owner, by_hand).await.unwrap();
    let error = store.entries(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    let text = error.to_string();
    assert!(text.contains("number 2") && !text.contains("taro"), "{text}");
    run(&mut owner, "delete from ops.incident_entry where number = 1")
        .await
        .unwrap();
    assert!(store.entries(&id).await.is_err(), "a gap is no incident");
    world.close().await;
}

#[tokio::test]
async fn what_was_written_while_the_database_was_away_is_brought_once() {
    let Some(world) = World::new().await else { return };
    let shared = PostgresIncidents::new(&world.store);
    let here = Arc::new(InMemoryIncidents::new());
    let incidents = writer(Arc::clone(&here) as _);
    let id = incidents
        .open(NewIncident::new("slow", Severity::P2), &alice())
        .await
        .unwrap()
        .id;
    let _ = incidents.add(&id, note("offline"), &alice()).await.unwrap();
    let (one, other) = tokio::join!(
        share_incidents(&*here, &shared, "there"),
        share_incidents(&*here, &shared, "there")
    );
    assert!(one.unwrap().entries + other.unwrap().entries >= 2);
    assert!(shared.entries(&id).await.unwrap() == here.entries(&id).await.unwrap());
    assert_eq!(
        share_incidents_again(&*here, &shared, "there")
            .await
            .unwrap()
            .entries,
        0
    );
    world.close().await;
}

#[tokio::test]
async fn what_arrives_late_decides_nothing_that_was_decided_after_it() {
    let Some(world) = World::new().await else { return };
    let store = PostgresIncidents::new(&world.store);
    let id = IncidentId::generate(Timestamp::from_unix_micros(1_769_731_200_000_000));
    let minute = |minute: i64| Timestamp::from_unix_micros(1_769_731_200_000_000 + minute * 60_000_000);
    let entry = |number, at, change| IncidentEntry::new(id.clone(), number, minute(at), alice(), change);
    let text = || "a".to_owned();
    let severity = |severity| IncidentChange::Severity {
        severity,
        why: text(),
    };
    for entry in [
        entry(
            1,
            0,
            IncidentChange::Opened {
                title: text(),
                severity: Severity::P2,
                tenant: None,
                detected_at: minute(0),
            },
        ),
        entry(2, 5, IncidentChange::Resolved { text: text() }),
        entry(3, 30, IncidentChange::Reopened { text: text() }),
        entry(4, 31, severity(Severity::P3)),
        // Written apart, before both.
        entry(5, 10, IncidentChange::Resolved { text: text() }),
        entry(6, 11, severity(Severity::P1)),
    ] {
        store.append(&entry).await.unwrap();
    }
    let page = store.list(&IncidentQuery::open()).await.unwrap();
    let listed = page.incidents.iter().find(|one| one.id == id);
    let listed = listed.expect("it is open");
    assert_eq!((listed.severity, listed.newest), (Severity::P3, 6));
    let resolved: bool = sqlx::query_scalar("select resolved from ops.incident where incident = $1")
        .bind(id.as_str())
        .fetch_one(world.store.pool())
        .await
        .unwrap();
    assert!(!resolved);
    world.close().await;
}
