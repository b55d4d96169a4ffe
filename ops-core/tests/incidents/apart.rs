//! What was written apart comes together.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ops_core::error::{Error, ErrorKind};
use ops_core::file::FileIncidents;
use ops_core::incidents::{
    Added, Incidents, NewIncident, TimeTaken, incident_of, report, share_incidents, share_incidents_again,
};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryIncidents;
use ops_core::model::{
    IncidentChange, IncidentEntry, IncidentId, IncidentRule, IncidentStatus, Lang, Severity, Timestamp,
};
use ops_core::ports::{IncidentOutbox as _, IncidentPage, IncidentQuery, IncidentStore};

use super::{Desk, NINE, note, reopened, resolved};

#[tokio::test]
async fn what_was_written_apart_comes_together_and_loses_nothing() {
    let (here, there) = (Desk::new(), Desk::new());
    let id = here.open(Severity::P2).await;
    here.written(&id, note("while the database was away")).await;
    let shared = share_incidents(&*here.store, &*there.store, "there")
        .await
        .unwrap();
    assert_eq!(
        (shared.entries, shared.incidents.as_slice()),
        (2, &[id.clone()][..])
    );
    // The database is away again: both go on, and both say that it is over.
    there.minutes(1);
    there.written(&id, resolved()).await;
    here.minutes(2);
    here.written(&id, note("second outage")).await;
    here.written(&id, resolved()).await;
    assert_eq!(
        share_incidents(&*here.store, &*there.store, "there")
            .await
            .unwrap()
            .entries,
        2
    );
    assert_eq!(
        share_incidents(&*here.store, &*there.store, "there")
            .await
            .unwrap()
            .entries,
        0
    );
    let (incident, entries) = there.incidents.read(&id).await.unwrap().unwrap();
    assert_eq!((entries.len(), incident.newest), (5, 5));
    assert_eq!(incident.status, IncidentStatus::Resolved);
    assert_eq!(incident.without_effect[0].rule, IncidentRule::ResolvedAlready);
    let unreachable = InMemoryIncidents::new();
    unreachable.set_reachable(false);
    let nothing = share_incidents(&*here.store, &unreachable, "elsewhere")
        .await
        .unwrap();
    assert_eq!((nothing.entries, nothing.incidents.as_slice()), (0, &[][..]));
    assert_eq!(nothing.fault.unwrap().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_summary_that_a_crash_left_behind_is_made_again_from_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(FileIncidents::open(directory.path()).unwrap());
    let desk = Desk::new();
    let incidents = Incidents::new(
        Arc::clone(&store) as _,
        Arc::new(BuiltinMasker::new()),
        Arc::clone(&desk.clock) as _,
    );
    let id = incidents
        .open(NewIncident::new("slow", Severity::P2), &desk.alice)
        .await
        .unwrap()
        .id;
    let summary = directory.path().join(format!("{id}.summary"));
    let before = fs::read(&summary).unwrap();
    let _ = incidents.add(&id, resolved(), &desk.alice).await.unwrap();
    let newest = store.list(&IncidentQuery::all()).await.unwrap();
    assert_eq!(newest.incidents[0].status, IncidentStatus::Resolved);
    for left in [Some(before), Some(b"torn".to_vec()), None] {
        match left {
            Some(bytes) => fs::write(&summary, bytes).unwrap(),
            None => fs::remove_file(&summary).unwrap(),
        }
        assert_eq!(store.list(&IncidentQuery::all()).await.unwrap(), newest);
    }
    // A list reads the summary and not the log.
    let _ = incidents.add(&id, reopened(), &desk.alice).await.unwrap();
    let log = directory.path().join(format!("{id}.jsonl"));
    let length = fs::metadata(&log).unwrap().len();
    let mut damaged = vec![b'x'; usize::try_from(length).unwrap()];
    *damaged.last_mut().unwrap() = b'\n';
    fs::write(&log, damaged).unwrap();
    assert_eq!(
        store.list(&IncidentQuery::open()).await.unwrap().incidents.len(),
        1
    );
    let error = store.entries(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected, "what is damaged is named");
}

/// Counts what it is asked, and takes no entry once it has been told to.
#[derive(Debug)]
struct Counted {
    store: Arc<InMemoryIncidents>,
    asked: AtomicUsize,
    left: AtomicUsize,
}

#[async_trait::async_trait]
impl IncidentStore for Counted {
    async fn append(&self, entry: &IncidentEntry) -> ops_core::error::Result<()> {
        let left = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => self.store.append(entry).await,
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "keep incident entry")),
        }
    }

    async fn entries(&self, incident: &IncidentId) -> ops_core::error::Result<Vec<IncidentEntry>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.store.entries(incident).await
    }

    async fn list(&self, query: &IncidentQuery) -> ops_core::error::Result<IncidentPage> {
        self.store.list(query).await
    }
}

#[tokio::test]
async fn what_has_been_brought_is_not_asked_for_again_and_a_crash_neither_loses_nor_doubles() {
    let directory = tempfile::tempdir().unwrap();
    let here = Arc::new(FileIncidents::open(directory.path()).unwrap());
    let desk = Desk::new();
    let incidents = Incidents::new(
        Arc::clone(&here) as _,
        Arc::new(BuiltinMasker::new()),
        Arc::clone(&desk.clock) as _,
    );
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        let new = NewIncident::new(title, Severity::P2);
        let id = incidents.open(new, &desk.alice).await.unwrap().id;
        let _ = incidents.add(&id, note("apart"), &desk.alice).await.unwrap();
        ids.push(id);
    }
    let there = Counted {
        store: Arc::clone(&desk.store),
        asked: AtomicUsize::new(0),
        left: AtomicUsize::new(3),
    };
    let bring = async || share_incidents(&*here, &there, "there").await;
    let asked = || there.asked.swap(0, Ordering::SeqCst);
    // It ends in the middle of the second incident: the first is marked, no other is.
    let broken = bring().await.unwrap();
    assert_eq!(
        (broken.entries, broken.incidents.as_slice()),
        (3, &ids[..2]),
        "what arrived before it is told"
    );
    assert_eq!(broken.fault.unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!(here.waiting("there").await.unwrap(), ids[1..]);
    asked();
    there.left.store(100, Ordering::SeqCst);
    assert_eq!(bring().await.unwrap().entries, 3, "what was there is not doubled");
    assert_eq!(asked(), 2);
    for id in &ids {
        let (brought, kept) = (desk.store.entries(id).await, here.entries(id).await);
        assert_eq!(brought.unwrap(), kept.unwrap());
    }
    assert_eq!(bring().await.unwrap().entries, 0);
    assert_eq!(asked(), 0, "nothing waits, so nothing is asked");

    // A process that ended between writing and marking leaves no mark.
    fs::remove_file(directory.path().join(format!("{}.shared", ids[0]))).unwrap();
    assert_eq!(bring().await.unwrap().entries, 0);
    assert_eq!(asked(), 1);
    // A new entry waits, and costs one incident.
    let _ = incidents.add(&ids[2], resolved(), &desk.alice).await.unwrap();
    assert_eq!(bring().await.unwrap().entries, 1);
    assert_eq!(asked(), 1);
    // A damaged mark costs a look, and loses nothing.
    fs::write(directory.path().join(format!("{}.shared", ids[1])), "torn").unwrap();
    assert_eq!(bring().await.unwrap().entries, 0);
    assert_eq!(asked(), 1);

    // The database was put back to the time before.
    let older = Counted {
        store: Arc::new(InMemoryIncidents::new()),
        asked: AtomicUsize::new(0),
        left: AtomicUsize::new(100),
    };
    let unknowing = share_incidents(&*here, &older, "there").await.unwrap();
    assert_eq!(unknowing.entries, 0, "the marks say that all is there");
    let again = share_incidents_again(&*here, &older, "there").await.unwrap();
    assert_eq!(again.entries, 7);
    let elsewhere = share_incidents(&*here, &*desk.store, "elsewhere").await.unwrap();
    assert_eq!(elsewhere.entries, 0, "another place is compared, and has it");
}

#[tokio::test]
async fn an_end_that_was_written_before_a_reopening_and_arrives_after_it_ends_nothing() {
    let (here, there) = (Desk::new(), Desk::new());
    let id = here.open(Severity::P2).await;
    here.brings_to(&there).await;
    there.minutes(4);
    there.written(&id, resolved()).await;
    here.minutes(10);
    here.written(&id, IncidentChange::Acknowledged).await;
    here.written(&id, resolved()).await;
    there.minutes(26);
    there.written(&id, reopened()).await;
    here.brings_to(&there).await;
    let (incident, entries) = there.incidents.read(&id).await.unwrap().unwrap();
    assert_eq!(incident.status, IncidentStatus::Open);
    assert_eq!(incident.resolved_at, None);
    assert_eq!(entries.len(), 5, "it is kept all the same");
    let idle = &incident.without_effect;
    assert_eq!(
        idle.iter()
            .map(|idle| (idle.number, idle.rule))
            .collect::<Vec<_>>(),
        [(5, IncidentRule::ResolvedAlready)]
    );
    let listed = there.store.list(&IncidentQuery::open()).await.unwrap();
    assert_eq!(listed.incidents[0].status, IncidentStatus::Open);
    let page = report(&incident, &entries, Lang::En);
    let (end, again) = (page.find("| 5 |").unwrap(), page.find("| 3 |").unwrap());
    assert!(end < again, "the timeline goes by the time: {page}");
}

#[tokio::test]
async fn the_earliest_acknowledgement_counts_wherever_it_was_written() {
    let (here, there) = (Desk::new(), Desk::new());
    let id = here.open(Severity::P2).await;
    here.brings_to(&there).await;
    here.minutes(3);
    here.written(&id, IncidentChange::Acknowledged).await;
    there.minutes(20);
    there.written(&id, IncidentChange::Acknowledged).await;
    here.brings_to(&there).await;
    let (incident, _) = there.incidents.read(&id).await.unwrap().unwrap();
    let taken = TimeTaken::to_acknowledge(&incident);
    assert_eq!(taken.took, Some(Duration::from_secs(180)));
    let idle = &incident.without_effect;
    assert_eq!(idle.len(), 1);
    assert_eq!(
        (idle[0].number, idle[0].rule),
        (2, IncidentRule::AcknowledgedAlready)
    );

    // Also where the clock of who came second is behind.
    let ids: Vec<_> = [7, 5]
        .map(|minute| {
            let at = Timestamp::from_unix_micros(NINE) + Duration::from_secs(60 * minute);
            let change = IncidentChange::Acknowledged;
            let mut entry = IncidentEntry::new(id.clone(), 9, at, here.alice.clone(), change);
            entry.order = Timestamp::from_unix_micros(NINE) + Duration::from_secs(6_000 - minute);
            entry
        })
        .into();
    let first = there.store.entries(&id).await.unwrap().remove(0);
    let incident = incident_of(&[&[first], ids.as_slice()].concat()).unwrap();
    assert_eq!(
        TimeTaken::to_acknowledge(&incident).took,
        Some(Duration::from_secs(300))
    );
}

#[tokio::test]
async fn who_has_seen_an_entry_writes_after_it_whatever_their_clock_says() {
    let (fast, slow) = (Desk::new(), Desk::new());
    fast.minutes(60);
    let id = fast.open(Severity::P2).await;
    fast.written(&id, resolved()).await;
    fast.written(&id, reopened()).await;
    fast.brings_to(&slow).await;
    let Added::Written { incident, .. } = slow.add(&id, resolved()).await else {
        panic!("it is open");
    };
    assert_eq!(incident.status, IncidentStatus::Resolved);
    assert_eq!(
        incident.resolved_at,
        Some(Timestamp::from_unix_micros(NINE)),
        "the moment stays that of the clock"
    );
    let entries = slow.store.entries(&id).await.unwrap();
    let read: Vec<IncidentEntry> = serde_json::from_str(&serde_json::to_string(&entries).unwrap()).unwrap();
    assert_eq!(read, entries, "the order is kept");
    assert!(entries[3].order > entries[2].order && entries[3].at < entries[2].at);
}
