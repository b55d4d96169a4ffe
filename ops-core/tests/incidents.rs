//! Incidents: what a log makes of one, who may add what, and the report.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ops_core::error::{Error, ErrorKind};
use ops_core::file::FileIncidents;
use ops_core::incidents::{
    Added, Incidents, NewIncident, TimeTaken, incident_of, report, share_incidents, share_incidents_again,
    targets_of,
};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryIncidents;
use ops_core::model::{
    Actor, Incident, IncidentChange, IncidentEntry, IncidentEntryId, IncidentId, IncidentLayer, IncidentRule,
    IncidentStatus, IncidentSummary, Lang, RunId, Severity, TenantId, Timestamp,
};
use ops_core::ports::{IncidentOutbox as _, IncidentPage, IncidentQuery, IncidentStore};
use ops_core::testkit::ManualClock;
use proptest::prelude::*;

const NINE: i64 = 1_769_731_200_000_000;

struct Desk {
    incidents: Incidents,
    store: Arc<InMemoryIncidents>,
    clock: Arc<ManualClock>,
    alice: Actor,
}

impl Desk {
    fn new() -> Self {
        let store = Arc::new(InMemoryIncidents::new());
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_micros(NINE)));
        let masker = Arc::new(BuiltinMasker::new());
        Self {
            incidents: Incidents::new(Arc::clone(&store) as _, masker, Arc::clone(&clock) as _),
            store,
            clock,
            alice: Actor::person("alice").unwrap(),
        }
    }

    async fn open(&self, severity: Severity) -> IncidentId {
        let new = NewIncident::new("answers take a minute", severity);
        self.incidents.open(new, &self.alice).await.unwrap().id
    }

    async fn add(&self, id: &IncidentId, change: IncidentChange) -> Added {
        self.incidents.add(id, change, &self.alice).await.unwrap()
    }

    async fn written(&self, id: &IncidentId, change: IncidentChange) {
        let added = self.add(id, change).await;
        assert!(matches!(added, Added::Written { .. }), "{added:?}");
    }

    fn minutes(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(60 * minutes));
    }
}

fn note(text: &str) -> IncidentChange {
    IncidentChange::Note {
        text: text.to_owned(),
    }
}

fn cause() -> IncidentChange {
    IncidentChange::Cause {
        text: "a lock was held".to_owned(),
    }
}

fn resolved() -> IncidentChange {
    IncidentChange::Resolved {
        text: "restarted".to_owned(),
    }
}

fn reopened() -> IncidentChange {
    IncidentChange::Reopened {
        text: "slow again".to_owned(),
    }
}

fn severity(severity: Severity) -> IncidentChange {
    IncidentChange::Severity {
        severity,
        why: "more users".to_owned(),
    }
}

#[tokio::test]
async fn every_rule_names_itself_and_writes_nothing() {
    let desk = Desk::new();
    let id = desk.open(Severity::P2).await;
    let run = || IncidentChange::Linked {
        run: RunId::new("run_1").unwrap(),
    };
    let denied = async |change, rule| {
        let before = desk.store.entries(&id).await.unwrap().len();
        assert_eq!(desk.add(&id, change).await, Added::Denied(rule));
        assert_eq!(desk.store.entries(&id).await.unwrap().len(), before, "{rule}");
    };
    denied(reopened(), IncidentRule::NotResolved).await;
    denied(severity(Severity::P2), IncidentRule::SameSeverity).await;
    desk.written(&id, IncidentChange::Acknowledged).await;
    denied(IncidentChange::Acknowledged, IncidentRule::AcknowledgedAlready).await;
    desk.written(&id, run()).await;
    denied(run(), IncidentRule::LinkedAlready).await;
    desk.written(&id, resolved()).await;
    denied(resolved(), IncidentRule::ResolvedAlready).await;
    let again = IncidentChange::Opened {
        title: "again".to_owned(),
        severity: Severity::P1,
        tenant: None,
        detected_at: Timestamp::UNIX_EPOCH,
    };
    denied(again, IncidentRule::OpenedAlready).await;
    desk.written(&id, reopened()).await;
    desk.written(&id, resolved()).await;
    let other = IncidentId::generate(Timestamp::UNIX_EPOCH);
    assert_eq!(desk.add(&other, note("a")).await, Added::Unknown);
}

#[tokio::test]
async fn what_is_found_out_afterwards_belongs_to_it_and_a_reopened_incident_has_not_recovered() {
    let desk = Desk::new();
    let id = desk.open(Severity::P1).await;
    desk.minutes(10);
    desk.written(&id, resolved()).await;
    desk.written(&id, cause()).await;
    let (incident, _) = desk.incidents.read(&id).await.unwrap().unwrap();
    assert_eq!(
        incident.status,
        IncidentStatus::Resolved,
        "a cause does not open it again"
    );
    assert_eq!(TimeTaken::to_recover(&incident).in_time(), Some(true));
    desk.written(&id, reopened()).await;
    let (incident, _) = desk.incidents.read(&id).await.unwrap().unwrap();
    assert_eq!(incident.status, IncidentStatus::CauseFound);
    assert_eq!(TimeTaken::to_recover(&incident).took, None);
    desk.minutes(51);
    desk.written(&id, resolved()).await;
    let (incident, _) = desk.incidents.read(&id).await.unwrap().unwrap();
    let recovered = TimeTaken::to_recover(&incident);
    assert_eq!(recovered.took, Some(Duration::from_secs(61 * 60)));
    assert_eq!(recovered.in_time(), Some(false));
}

#[tokio::test]
async fn times_count_from_detection_and_lowering_the_severity_loosens_nothing() {
    let desk = Desk::new();
    let new = NewIncident::new("down", Severity::P1)
        .detected_at(Timestamp::from_unix_micros(NINE) - Duration::from_secs(15 * 60));
    let id = desk.incidents.open(new, &desk.alice).await.unwrap().id;
    desk.written(&id, severity(Severity::P3)).await;
    desk.written(&id, IncidentChange::Acknowledged).await;
    let (incident, _) = desk.incidents.read(&id).await.unwrap().unwrap();
    assert_eq!((incident.severity, incident.worst), (Severity::P3, Severity::P1));
    let taken = TimeTaken::to_acknowledge(&incident);
    assert_eq!(taken.took, Some(Duration::from_secs(900)));
    assert_eq!(taken.in_time(), Some(true), "to the second");

    let minutes = |severity| targets_of(severity).map(|targets| (targets.acknowledge, targets.recover));
    let of =
        |first: u64, second: u64| Some((Duration::from_secs(60 * first), Duration::from_secs(60 * second)));
    assert_eq!(minutes(Severity::P1), of(15, 60));
    assert_eq!(minutes(Severity::P2), of(60, 240));
    assert_eq!((minutes(Severity::P3), minutes(Severity::P4)), (None, None));
}

#[tokio::test]
async fn nothing_raw_gets_into_the_store_into_an_error_or_into_debug() {
    let desk = Desk::new();
    let raw = "tanaka@example.com 090-1234-5678";
    let new = NewIncident::new(format!("{raw} sees another's data"), Severity::P1);
    assert!(!format!("{new:?}").contains("tanaka"));
    let bob = Actor::person("tanaka@example.com").unwrap();
    let id = desk.incidents.open(new, &bob).await.unwrap().id;
    for change in [
        note(raw),
        IncidentChange::Severity {
            severity: Severity::P2,
            why: raw.to_owned(),
        },
        IncidentChange::Impact { text: raw.to_owned() },
        IncidentChange::Cause { text: raw.to_owned() },
        IncidentChange::Prevention {
            text: raw.to_owned(),
            owner: "tanaka@example.com".to_owned(),
        },
        IncidentChange::Resolved { text: raw.to_owned() },
        IncidentChange::Reopened { text: raw.to_owned() },
    ] {
        assert!(!format!("{change:?}").contains("tanaka"));
        desk.written(&id, change).await;
    }
    let (incident, entries) = desk.incidents.read(&id).await.unwrap().unwrap();
    let stored = serde_json::to_string(&entries).unwrap();
    let shown = format!(
        "{incident:?} {entries:?} {}",
        report(&incident, &entries, Lang::Ja)
    );
    for raw in ["tanaka@", "1234-5678"] {
        assert!(
            !stored.contains(raw) && !shown.contains(raw),
            "{raw}: {stored} {shown}"
        );
    }
    let long = desk
        .incidents
        .add(&id, note(&raw.repeat(1_000)), &bob)
        .await
        .unwrap_err();
    assert!(!long.to_string().contains("tanaka"), "{long}");
    let run = IncidentChange::Linked {
        run: RunId::new("tanaka@example.com").unwrap(),
    };
    let run = desk.incidents.add(&id, run, &bob).await.unwrap_err();
    assert!(
        run.kind() == ErrorKind::InvalidInput && !run.to_string().contains("tanaka"),
        "{run}"
    );
}

#[tokio::test]
async fn bad_input_names_the_field_and_leaves_nothing() {
    let desk = Desk::new();
    let id = desk.open(Severity::P2).await;
    let open = |title: &str| NewIncident::new(title, Severity::P1);
    let future = Timestamp::from_unix_micros(NINE + 1);
    for (new, field) in [
        (open(" "), "title"),
        (open(&"長".repeat(201)), "title"),
        (open("two\nlines"), "title"),
        (open("a").detected_at(future), "detected_at"),
    ] {
        let error = desk.incidents.open(new, &desk.alice).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::InvalidInput && error.to_string().contains(field),
            "{error}"
        );
    }
    let owner = IncidentChange::Prevention {
        text: "a".to_owned(),
        owner: String::new(),
    };
    for (change, field) in [(note("\n"), "text"), (note("a\0b"), "text"), (owner, "owner")] {
        let error = desk.incidents.add(&id, change, &desk.alice).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::InvalidInput && error.to_string().contains(field),
            "{error}"
        );
    }
    let page = desk.store.list(&IncidentQuery::all()).await.unwrap();
    assert_eq!((page.incidents.len(), page.incidents[0].newest), (1, 1));
}

#[tokio::test]
async fn a_report_names_what_is_missing_and_is_whole_once_everything_is_written() {
    let desk = Desk::new();
    let id = desk.open(Severity::P2).await;
    let (incident, entries) = desk.incidents.read(&id).await.unwrap().unwrap();
    let early = report(&incident, &entries, Lang::En);
    let lacks = early.split("## What this report lacks").nth(1).unwrap();
    for part in ["Layer", "Taken on", "Resolved", "Impact", "Cause", "Prevention"] {
        assert!(lacks.contains(&format!("- {part}\n")), "{part}: {lacks}");
    }
    desk.minutes(5);
    desk.written(&id, IncidentChange::Acknowledged).await;
    desk.written(
        &id,
        IncidentChange::Layer {
            layer: IncidentLayer::Database,
        },
    )
    .await;
    let text = || "1. who | *asked* <b> [x](https://a.example)\n# waited\n2) `a` www.a.example".to_owned();
    desk.written(&id, IncidentChange::Impact { text: text() }).await;
    desk.written(&id, note(&text())).await;
    desk.written(&id, cause()).await;
    let owner = "bob".to_owned();
    desk.written(&id, IncidentChange::Prevention { text: text(), owner })
        .await;
    desk.minutes(240);
    desk.written(&id, resolved()).await;
    let (incident, entries) = desk.incidents.read(&id).await.unwrap().unwrap();
    let page = report(&incident, &entries, Lang::En);
    assert!(page.contains("## What this report lacks\n\nnothing\n"), "{page}");
    assert!(
        page.contains("taken on: 5 min (target 1 h 0 min) — in time"),
        "{page}"
    );
    assert!(
        page.contains("recovered: 4 h 5 min (target 4 h 0 min) — **too late**"),
        "{page}"
    );
    assert!(
        page.contains("| 1 | 2026-01-30 09:00:00 | 2026-01-30T00:00:00Z | alice |"),
        "{page}"
    );
    assert!(page.contains("(owner: bob)"), "{page}");
    for read in [
        "<b>",
        "\n# waited",
        "> 1. ",
        "> 2) ",
        "- 1. ",
        " `a",
        "[x]",
        "https://",
        "www.a",
    ] {
        assert!(!page.contains(read), "{read}: {page}");
    }
    for row in page
        .split("## Timeline")
        .nth(1)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| "))
    {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
    }
    let page = report(&incident, &entries, Lang::Ja);
    for part in [
        "# 障害報告書",
        "## 影響",
        "## 原因",
        "## 対応",
        "## 再発防止策",
        "## 経過",
        "（担当 bob）",
        "目標超過",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let mild = desk.open(Severity::P3).await;
    let (incident, entries) = desk.incidents.read(&mild).await.unwrap().unwrap();
    assert!(report(&incident, &entries, Lang::En).contains("business time, which is not computed yet"));
}

#[tokio::test]
async fn an_entry_of_a_newer_version_stays_and_is_shown_and_does_nothing() {
    let desk = Desk::new();
    let id = desk.open(Severity::P2).await;
    let change = serde_json::from_str(r#"{"kind":"escalated","to":"cto"}"#).unwrap();
    let entry = IncidentEntry::new(
        id.clone(),
        2,
        Timestamp::from_unix_micros(NINE),
        desk.alice.clone(),
        change,
    );
    desk.store.append(&entry).await.unwrap();
    desk.written(&id, cause()).await;
    let (incident, entries) = desk.incidents.read(&id).await.unwrap().unwrap();
    assert_eq!(incident.status, IncidentStatus::CauseFound);
    assert_eq!((incident.without_effect[0].number, incident.newest), (2, 3));
    assert!(report(&incident, &entries, Lang::En).contains("newer version wrote: escalated"));
    assert!(entries[1] == entry);
}

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
    assert_eq!(nothing.whole().unwrap_err().kind(), ErrorKind::Unavailable);
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
    assert!(
        share_incidents(&*here.store, &*there.store, "there")
            .await
            .unwrap()
            .whole()
            .unwrap()
            .fault
            .is_none()
    );
    there.minutes(4);
    there.written(&id, resolved()).await;
    here.minutes(10);
    here.written(&id, IncidentChange::Acknowledged).await;
    here.written(&id, resolved()).await;
    there.minutes(26);
    there.written(&id, reopened()).await;
    assert!(
        share_incidents(&*here.store, &*there.store, "there")
            .await
            .unwrap()
            .whole()
            .unwrap()
            .fault
            .is_none()
    );
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
    assert!(
        share_incidents(&*here.store, &*there.store, "there")
            .await
            .unwrap()
            .whole()
            .unwrap()
            .fault
            .is_none()
    );
    here.minutes(3);
    here.written(&id, IncidentChange::Acknowledged).await;
    there.minutes(20);
    there.written(&id, IncidentChange::Acknowledged).await;
    assert!(
        share_incidents(&*here.store, &*there.store, "there")
            .await
            .unwrap()
            .whole()
            .unwrap()
            .fault
            .is_none()
    );
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
    assert!(
        share_incidents(&*fast.store, &*slow.store, "there")
            .await
            .unwrap()
            .whole()
            .unwrap()
            .fault
            .is_none()
    );
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

#[test]
fn the_masker_leaves_the_id_of_an_entry_as_it_is() {
    use ops_core::ports::PiiMasker as _;
    let masker = BuiltinMasker::new();
    for micros in 0..5_000 {
        let id = IncidentEntryId::generate(Timestamp::from_unix_micros(NINE + micros));
        let said = format!("entry: {id}");
        assert_eq!(masker.mask(&said), said);
    }
}

fn opening() -> IncidentChange {
    IncidentChange::Opened {
        title: "a".to_owned(),
        severity: Severity::P2,
        tenant: Some(TenantId::default_tenant()),
        detected_at: Timestamp::UNIX_EPOCH,
    }
}

fn change() -> impl Strategy<Value = IncidentChange> {
    let run = || IncidentChange::Linked {
        run: RunId::new("run_1").unwrap(),
    };
    prop_oneof![
        Just(IncidentChange::Acknowledged),
        Just(note("a")),
        Just(cause()),
        Just(resolved()),
        Just(reopened()),
        Just(run()),
        Just(severity(Severity::P1)),
        Just(severity(Severity::P4)),
    ]
}

/// What is known of an incident, without what the order of arrival decides.
fn without_numbers(entries: &[IncidentEntry]) -> (Incident, IncidentSummary) {
    let mut incident = incident_of(entries).unwrap();
    incident
        .without_effect
        .iter_mut()
        .for_each(|idle| idle.number = 0);
    incident
        .without_effect
        .sort_by(|one, other| one.entry.cmp(&other.entry));
    (incident, IncidentSummary::of_all(entries).unwrap())
}

proptest! {
    #[test]
    fn however_entries_arrive_the_incident_is_the_same(
        written in prop::collection::vec((change(), 0..8_i64, 0..8_i64), 0..12),
        arrival in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let id = IncidentId::generate(Timestamp::UNIX_EPOCH);
        let alice = Actor::person("a").unwrap();
        let opened = IncidentEntry::new(id.clone(), 1, Timestamp::from_unix_micros(3), alice.clone(), opening());
        let mut rest: Vec<_> = written
            .into_iter()
            .map(|(change, at, order)| {
                let mut entry = IncidentEntry::new(id.clone(), 0, Timestamp::from_unix_micros(at), alice.clone(), change);
                entry.order = Timestamp::from_unix_micros(order);
                entry
            })
            .collect();
        let arrived = |rest: &[IncidentEntry]| {
            let entries = std::iter::once(&opened).chain(rest).zip(1..);
            entries.map(|(entry, number)| entry.renumbered(number)).collect::<Vec<_>>()
        };
        let one = without_numbers(&arrived(&rest));
        let length = rest.len();
        for (at, with) in arrival.iter().take(length).enumerate() {
            rest.swap(at, with.index(length));
        }
        prop_assert_eq!(without_numbers(&arrived(&rest)), one);
    }

    #[test]
    fn what_a_list_shows_is_what_the_entries_make(changes in prop::collection::vec((change(), 0..9_i64), 0..20)) {
        let id = IncidentId::generate(Timestamp::UNIX_EPOCH);
        let entries: Vec<_> = std::iter::once((opening(), 0))
            .chain(changes)
            .zip(1..)
            .map(|((change, at), number)| {
                let at = Timestamp::from_unix_micros(at);
                IncidentEntry::new(id.clone(), number, at, Actor::person("a").unwrap(), change)
            })
            .collect();
        let incident = incident_of(&entries).unwrap();
        let summary = IncidentSummary::of_all(&entries).unwrap();
        prop_assert_eq!(summary.status, incident.status);
        prop_assert_eq!(summary.severity, incident.severity);
        prop_assert_eq!(summary.newest, incident.newest);
        prop_assert_eq!(summary.cause_known, incident.cause.is_some());
        prop_assert_eq!(incident.resolved_at.is_some(), incident.status == IncidentStatus::Resolved);
        prop_assert!(incident.worst <= incident.severity);
    }
}
