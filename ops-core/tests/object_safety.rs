//! Every port can be held as `Arc<dyn Port>`, sent to another thread and shown with `Debug`.

use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ops_core::config::{ConfigFaults, Env, OpsConfig};
use ops_core::error::Error;
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport};
use ops_core::model::{AuditRecord, Notice, Observation, Outcome, PlannedStep, Snapshot, Text};
use ops_core::ports::*;

/// What an application needs of a handle.
fn assert_handle<T: Clone + Debug + Send + Sync + 'static>() {}

/// What a task needs of a value.
fn assert_value<T: Debug + Send + Sync + 'static>() {}

macro_rules! ports {
    ($($port:ident),+ $(,)?) => {
        const PORTS: &[&str] = &[$(stringify!($port)),+];

        #[test]
        fn every_port_can_be_shared_behind_an_arc() {
            $(assert_handle::<Arc<dyn $port>>();)+
        }
    };
}

ports!(
    AccountSuspender,
    Action,
    Admission,
    ApprovalStore,
    AuditEraser,
    AuditPruner,
    AuditStore,
    BackupInspector,
    Clock,
    DatabaseGuard,
    DrillLog,
    DueDates,
    EvidenceArchive,
    EvidenceSource,
    ForgetPerson,
    HealthProbe,
    IncidentOutbox,
    IncidentStore,
    Inventory,
    Journal,
    LeaseStore,
    LegalHolds,
    LimitStore,
    MigrationExecutor,
    MigrationInspector,
    Notifier,
    PiiMasker,
    ProcessRegistry,
    QueueInspector,
    Ramp,
    RateLimiter,
    ReadinessProbe,
    Recognizer,
    SessionRevoker,
    SwitchHints,
    SwitchStore,
    TenantDirectory,
    TrafficController,
);

#[test]
fn no_port_is_missing_from_this_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ports");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        found.extend(text.lines().filter_map(|line| {
            let name = line.strip_prefix("pub trait ")?;
            let end = name.find(|letter: char| !letter.is_alphanumeric())?;
            Some(name[..end].to_owned())
        }));
    }
    // Comfort for the caller is no port: it is implemented once, for every implementor of its port.
    // A snapshot and its rows are what a port gives, for one reader.
    found.retain(|name| !name.ends_with("Ext") && name != "TrailSnapshot" && name != "TrailRows");
    found.sort();
    assert_eq!(found, PORTS);
}

#[test]
fn the_transport_can_be_shared_behind_an_arc() {
    assert_handle::<Arc<dyn HttpTransport>>();
}

#[test]
fn values_can_be_sent_between_threads() {
    assert_value::<AuditRecord>();
    assert_value::<ConfigFaults>();
    assert_value::<Env>();
    assert_value::<Error>();
    assert_value::<HttpRequest>();
    assert_value::<HttpResponse>();
    assert_value::<JournalEntry>();
    assert_value::<Notice>();
    assert_value::<Observation>();
    assert_value::<OpsConfig>();
    assert_value::<Outcome>();
    assert_value::<PlannedStep>();
    assert_value::<Snapshot>();
    assert_value::<SwitchProcess>();
    assert_value::<SwitchState>();
    assert_value::<Text>();
}

/// A call through the trait object is a future that another thread may run.
#[test]
fn the_future_of_a_call_can_be_sent_to_another_thread() {
    fn assert_send<F: Send>(_: &F) {}

    let clock: Arc<dyn Clock> = Arc::new(ops_core::testkit::ManualClock::self_moving());
    assert_send(&clock.sleep(std::time::Duration::ZERO));
}
