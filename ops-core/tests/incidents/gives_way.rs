//! Incidents that are written apart: what gives way to another store under way, and what is brought when not all can be.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::file::FileIncidents;
use ops_core::incidents::{Added, Incidents, NewIncident, share_incidents, share_incidents_again};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryIncidents;
use ops_core::model::{
    Actor, IncidentChange, IncidentEntry, IncidentId, IncidentStatus, Severity, Timestamp,
};
use ops_core::ports::{IncidentPage, IncidentQuery, IncidentStore};
use ops_core::testkit::ManualClock;

const TEN: i64 = 1_769_767_200_000_000;

fn minute(minute: u64) -> Timestamp {
    Timestamp::from_unix_micros(TEN) + Duration::from_secs(60 * minute)
}

fn alice() -> Actor {
    Actor::person("alice").unwrap()
}

fn writer(store: Arc<dyn IncidentStore>, at: Timestamp) -> Incidents {
    Incidents::new(
        store,
        Arc::new(BuiltinMasker::new()),
        Arc::new(ManualClock::new(at)),
    )
}

fn text() -> String {
    "as it was".to_owned()
}

/// A database that answers what is read and takes nothing, with the files of this machine behind it, as in `opsctl`.
#[derive(Debug)]
struct Together {
    there: Arc<InMemoryIncidents>,
    here: Arc<InMemoryIncidents>,
    away: AtomicBool,
}

#[async_trait::async_trait]
impl IncidentStore for Together {
    async fn append(&self, entry: &IncidentEntry) -> Result<()> {
        self.away.store(true, Ordering::SeqCst);
        self.here.append(entry).await
    }

    async fn entries(&self, incident: &IncidentId) -> Result<Vec<IncidentEntry>> {
        match self.away.load(Ordering::SeqCst) {
            true => self.here.entries(incident).await,
            false => self.there.entries(incident).await,
        }
    }

    async fn list(&self, _query: &IncidentQuery) -> Result<IncidentPage> {
        Err(Error::new(ErrorKind::Unavailable, "list incidents"))
    }
}

#[tokio::test]
async fn who_has_read_in_the_database_and_writes_to_the_files_still_writes_after_what_was_read() {
    let (there, here) = (
        Arc::new(InMemoryIncidents::new()),
        Arc::new(InMemoryIncidents::new()),
    );
    let opener = writer(Arc::clone(&here) as _, minute(0));
    let new = NewIncident::new("answers take a minute", Severity::P2);
    let id = opener.open(new, &alice()).await.unwrap().id;
    let _ = share_incidents(&*here, &*there, "there").await.unwrap();
    // Another machine, whose clock is an hour ahead; these files never see it.
    let fast = writer(Arc::clone(&there) as _, minute(60));
    for change in [
        IncidentChange::Resolved { text: text() },
        IncidentChange::Reopened { text: text() },
    ] {
        let _ = fast.add(&id, change, &alice()).await.unwrap();
    }

    let together = Arc::new(Together {
        there: Arc::clone(&there),
        here: Arc::clone(&here),
        away: AtomicBool::new(false),
    });
    let ends = writer(together, minute(5));
    let ended = ends
        .add(&id, IncidentChange::Resolved { text: text() }, &alice())
        .await
        .unwrap();
    let Added::Written { number, .. } = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(number, 2, "the files knew the first entry only");
    let written = here.entries(&id).await.unwrap().remove(1);
    assert_eq!(written.at, minute(5));
    assert!(written.order > minute(60), "after the reopening that was read");

    let _ = share_incidents(&*here, &*there, "there").await.unwrap();
    let (incident, _) = fast.read(&id).await.unwrap().unwrap();
    assert_eq!(incident.status, IncidentStatus::Resolved);
    assert_eq!(incident.without_effect.len(), 0, "it ends what it has seen");
}

#[tokio::test]
async fn a_damaged_log_keeps_no_other_from_being_brought_marked_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let here = Arc::new(FileIncidents::open(directory.path()).unwrap());
    let incidents = writer(Arc::clone(&here) as _, minute(0));
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        let new = NewIncident::new(title, Severity::P2);
        ids.push(incidents.open(new, &alice()).await.unwrap().id);
    }
    ids.sort();
    let damaged = directory.path().join(format!("{}.jsonl", ids[1]));
    let kept = fs::read(&damaged).unwrap();
    fs::write(&damaged, "no entry\n").unwrap();
    for again in [false, true] {
        let there = InMemoryIncidents::new();
        let shared = match again {
            true => share_incidents_again(&*here, &there, "there").await,
            false => share_incidents(&*here, &there, "there").await,
        };
        let shared = shared.unwrap();
        assert_eq!(shared.entries, 2, "again: {again}");
        assert_eq!(shared.incidents, [ids[0].clone(), ids[2].clone()]);
        assert_eq!(shared.fault.unwrap().kind(), ErrorKind::Unexpected);
    }
    fs::write(&damaged, kept).unwrap();
    let there = InMemoryIncidents::new();
    let all = share_incidents_again(&*here, &there, "there").await.unwrap();
    assert!(all.fault.is_none(), "{all:?}");
    assert_eq!(all.incidents, ids);
}
