//! Incidents: what a log makes of one, who may add what, and the report.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod any_order;
mod apart;
mod gives_way;

use std::sync::Arc;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::incidents::{Added, Incidents, NewIncident, TimeTaken, report, share_incidents, targets_of};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::InMemoryIncidents;
use ops_core::model::{
    Actor, IncidentChange, IncidentEntry, IncidentEntryId, IncidentId, IncidentLayer, IncidentRule,
    IncidentStatus, Lang, RunId, Severity, Timestamp,
};
use ops_core::ports::{IncidentQuery, IncidentStore};
use ops_core::testkit::ManualClock;

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

    /// Brings what waits here to the store of another.
    async fn brings_to(&self, other: &Self) {
        let shared = share_incidents(&*self.store, &*other.store, "there")
            .await
            .unwrap();
        assert!(shared.fault.is_none(), "{shared:?}");
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
