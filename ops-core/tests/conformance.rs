//! Every provider of this crate against the suite of its port.
#![allow(clippy::clone_on_ref_ptr, reason = "a test shares its doubles as ports")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::actions::{MakeReadOnly, StopTraffic, SwitchOff};
use ops_core::clock::SystemClock;
use ops_core::file::{
    FileApprovals, FileAudit, FileDrillLog, FileDueDates, FileIncidents, FileJournal, FileNotices,
    FileProcesses, FileSwitches,
};
use ops_core::guard::{GovernorLimiter, LocalLimiter, RateLimits};
use ops_core::http::HttpHealthProbe;
use ops_core::masking::{BuiltinMasker, MaskingKeys};
use ops_core::memory::{
    InMemoryApprovals, InMemoryAudit, InMemoryBackups, InMemoryDatabase, InMemoryDrillLog, InMemoryDueDates,
    InMemoryHealth, InMemoryIncidents, InMemoryInventory, InMemoryJournal, InMemoryLimits, InMemoryNotifier,
    InMemoryProcesses, InMemoryQueues, InMemoryReadiness, InMemorySwitches, InMemoryTraffic,
};
use ops_core::model::{
    Actor, BackupCopy, CopyKind, Destination, FeedingQueue, LimitTable, QueueKind, QueueMatch, ServerBackups,
    TargetId, Timestamp, Verdict,
};
use ops_core::ports::{
    BackupInspector, HealthProbe, Notifier, Presence, ProcessId, ProcessRegistry, SwitchProcess,
    TrafficController,
};
use ops_core::testkit::{self, Handler, LoopbackServer, Reply, SimRequest};
use secrecy::SecretString;
use serde_json::json;

#[tokio::test]
async fn in_memory_traffic() {
    let port = InMemoryTraffic::new();
    let target = TargetId::new("memory:api").unwrap();
    port.add_service(target.clone());
    testkit::traffic_controller(&port, &target).await;
}

#[tokio::test]
async fn in_memory_limits() {
    testkit::limit_store(&InMemoryLimits::new()).await;
}

#[tokio::test]
async fn in_memory_health() {
    let port = InMemoryHealth::new();
    assert_eq!(port.check().await.name(), "unknown", "before anything was said");
    testkit::health_probe(&port, |health| {
        port.set_reachable(health != testkit::Health::Silent);
        port.set(match health {
            testkit::Health::Sick => Verdict::not_yet("overloaded"),
            // It says that it is well; that nobody hears it is what counts.
            _ => Verdict::Holds,
        });
    })
    .await;
}

/// A health endpoint that answers what it is set to; 0: it hangs up.
#[derive(Debug, Default)]
struct Endpoint(AtomicU16);

#[async_trait]
impl Handler for Endpoint {
    async fn handle(&self, request: SimRequest) -> Reply {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/health")
        );
        assert_eq!(request.header("authorization"), None);
        match self.0.load(Ordering::SeqCst) {
            0 => Reply::Hangup,
            200 => Reply::json(200, &json!({"status": "ok"})),
            status => Reply::json(status, &json!({"status": "overloaded, token=abc"})),
        }
    }
}

#[tokio::test]
async fn http_health() {
    let endpoint = Arc::new(Endpoint::default());
    let server = LoopbackServer::start(endpoint.clone()).await.unwrap();
    let url = format!("{}/health", server.base_url());
    let port = HttpHealthProbe::new(testkit::loopback_transport(), &url).unwrap();
    testkit::health_probe(&port, |health| {
        let status = match health {
            testkit::Health::Well => 200,
            testkit::Health::Sick => 503,
            testkit::Health::Silent => 0,
        };
        endpoint.0.store(status, Ordering::SeqCst);
    })
    .await;

    // The same by what the answer says.
    let port = port.expecting("status", "ok");
    testkit::health_probe(&port, |health| {
        let status = match health {
            testkit::Health::Well => 200,
            testkit::Health::Sick => 201,
            testkit::Health::Silent => 0,
        };
        endpoint.0.store(status, Ordering::SeqCst);
    })
    .await;
    endpoint.0.store(201, Ordering::SeqCst);
    let verdict = port.check().await;
    assert!(!format!("{verdict:?} {port:?}").contains("token"), "{verdict:?}");
}

#[tokio::test]
async fn a_health_probe_follows_the_host_policy_and_takes_no_credentials() {
    let transport = testkit::loopback_transport();
    let elsewhere = HttpHealthProbe::new(transport.clone(), "https://health.example/ready").unwrap();
    assert_eq!(elsewhere.check().await.name(), "unknown");
    for url in ["https://user:secret@h/", "https://", "no url", "https://h/#part"] {
        let error = HttpHealthProbe::new(transport.clone(), url).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn in_memory_database() {
    let port = InMemoryDatabase::new().with_exempt("audit");
    port.revoke_writes("report");
    port.grant_writes("app");
    testkit::database_guard(&port, port.target()).await;
}

#[tokio::test]
async fn in_memory_audit() {
    let port = InMemoryAudit::new();
    testkit::audit_store(&port).await;
    testkit::audit_eraser(&port, &port).await;
    testkit::audit_pruner(&port, &port).await;
}

#[tokio::test]
async fn in_memory_journal() {
    testkit::journal(&InMemoryJournal::new()).await;
}

#[tokio::test]
async fn in_memory_approvals() {
    testkit::approval_store(&InMemoryApprovals::new()).await;
}

#[tokio::test]
async fn file_approvals() {
    let directory = tempfile::tempdir().unwrap();
    testkit::approval_store(&FileApprovals::open(directory.path()).unwrap()).await;
    testkit::approval_store(&FileApprovals::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn in_memory_switches() {
    testkit::switch_store(&InMemorySwitches::new()).await;
}

#[tokio::test]
async fn in_memory_notifier_keeps_a_repeated_key_once() {
    let port = Arc::new(InMemoryNotifier::new());
    let shared = Arc::clone(&port) as Arc<dyn Notifier>;
    testkit::notifier(&*shared, "#emergency").await;
    assert_eq!(port.sent().len(), 2);
}

#[tokio::test]
async fn in_memory_tenants() {
    testkit::tenant_directory(&ops_core::memory::InMemoryTenants::new()).await;
}

#[tokio::test]
async fn in_memory_traces() {
    let (traces, tenant) = (
        ops_core::memory::InMemoryTraces::new(),
        ops_core::model::TenantId::default_tenant(),
    );
    traces.leave(&tenant, "usr_1");
    testkit::forget_person(&traces, &tenant, "usr_1").await;
}

#[tokio::test]
async fn in_memory_incidents() {
    testkit::incident_store(&InMemoryIncidents::new()).await;
    testkit::incident_outbox(&InMemoryIncidents::new()).await;
}

#[tokio::test]
async fn file_incidents() {
    let directory = tempfile::tempdir().unwrap();
    testkit::incident_store(&FileIncidents::open(directory.path()).unwrap()).await;
    testkit::incident_outbox(&FileIncidents::open(directory.path()).unwrap()).await;
    // Again, after a restart.
    testkit::incident_store(&FileIncidents::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn in_memory_drill_log() {
    testkit::drill_log(&InMemoryDrillLog::new()).await;
}

#[tokio::test]
async fn file_drill_log() {
    let directory = tempfile::tempdir().unwrap();
    testkit::drill_log(&FileDrillLog::open(directory.path()).unwrap()).await;
    // Again in the same directory: the suite may run on a shared log.
    testkit::drill_log(&FileDrillLog::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn in_memory_due_dates() {
    let dates = InMemoryDueDates::new();
    testkit::due_dates(&dates).await;
    dates.set_reachable(false);
    let error = ops_core::ports::DueDates::dates(&dates).await.unwrap_err();
    assert_eq!(error.kind(), ops_core::error::ErrorKind::Unavailable);
}

#[tokio::test]
async fn file_due_dates() {
    let directory = tempfile::tempdir().unwrap();
    testkit::due_dates(&FileDueDates::open(directory.path()).unwrap()).await;
    // Again in the same directory: the suite may run on a shared store.
    testkit::due_dates(&FileDueDates::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn in_memory_leases() {
    let clock = Arc::new(testkit::ManualClock::new(Timestamp::UNIX_EPOCH));
    let leases = ops_core::memory::InMemoryLeases::new(clock.clone());
    testkit::lease_store(&leases, async |by| clock.advance(by)).await;
}

#[tokio::test]
async fn file_leases() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(testkit::ManualClock::new(Timestamp::UNIX_EPOCH));
    for _ in 0..2 {
        let leases = ops_core::file::FileLeases::open(directory.path(), clock.clone()).unwrap();
        testkit::lease_store(&leases, async |by| clock.advance(by)).await;
    }
}

#[tokio::test]
async fn in_memory_readiness() {
    let port = InMemoryReadiness::new();
    let gone = TargetId::new("memory:gone").unwrap();
    port.take_away(gone.clone(), "is not there");
    testkit::readiness_probe(&port, &TargetId::new("memory:api").unwrap(), &gone).await;
}

#[tokio::test]
async fn in_memory_inventory() {
    let port = InMemoryInventory::new("memory:");
    let target = TargetId::new("memory:api").unwrap();
    port.deploy(target.clone(), "api");
    testkit::inventory(&port, &[target]).await;
}

#[tokio::test]
async fn in_memory_queues() {
    let port = InMemoryQueues::new();
    let (api, web) = (
        TargetId::new("memory:api").unwrap(),
        TargetId::new("memory:web").unwrap(),
    );
    let queue = |name: &str, target: &TargetId| {
        FeedingQueue::new(name, QueueKind::TaskQueue, target.clone(), QueueMatch::Host)
    };
    let expected = [queue("both", &api), queue("both", &web), queue("one", &api)];
    expected.iter().for_each(|queue| port.add(queue.clone()));
    testkit::queue_inspector(&port, &expected, &TargetId::new("memory:quiet").unwrap()).await;
}

#[tokio::test]
async fn file_journal() {
    let directory = tempfile::tempdir().unwrap();
    testkit::journal(&FileJournal::open(directory.path()).unwrap()).await;
    // Again in the same directory: the suite may run on a shared journal.
    testkit::journal(&FileJournal::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn file_switches() {
    let directory = tempfile::tempdir().unwrap();
    testkit::switch_store(&FileSwitches::open(directory.path()).unwrap()).await;
    testkit::switch_store(&FileSwitches::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn processes_in_memory_and_in_files() {
    testkit::process_registry(&InMemoryProcesses::new()).await;
    let directory = tempfile::tempdir().unwrap();
    testkit::process_registry(&FileProcesses::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn a_process_that_was_silent_for_an_hour_is_gone_and_not_before() {
    let clock = Arc::new(testkit::ManualClock::new(Timestamp::UNIX_EPOCH));
    let directory = tempfile::tempdir().unwrap();
    let files = FileProcesses::open(directory.path()).unwrap();
    let registries: [Arc<dyn ProcessRegistry>; 2] = [
        Arc::new(InMemoryProcesses::with_clock(Arc::clone(&clock) as _)),
        Arc::new(files.with_clock(Arc::clone(&clock) as _)),
    ];
    let process = SwitchProcess::new(ProcessId::generate(), "chat", "1", Timestamp::UNIX_EPOCH);
    for registry in &registries {
        registry.report(&process).await.unwrap();
    }
    clock.advance(Presence::EXPIRES_AFTER - Duration::from_secs(1));
    for registry in &registries {
        let listed = registry.processes().await.unwrap();
        assert_eq!(listed[0].silent_for.as_secs(), 3599, "missing is not gone");
    }
    clock.advance(Duration::from_secs(1));
    for registry in &registries {
        assert!(registry.processes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn file_audit() {
    let directory = tempfile::tempdir().unwrap();
    testkit::audit_store(&FileAudit::open(directory.path()).unwrap()).await;
    testkit::audit_store(&FileAudit::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn file_notices_keep_a_repeated_key_once() {
    let directory = tempfile::tempdir().unwrap();
    testkit::notifier(&FileNotices::open(directory.path()).unwrap(), "#emergency").await;
    let again = FileNotices::open(directory.path()).unwrap();
    let notices = again.notices().await.unwrap();
    assert_eq!(notices.len(), 2);
    again.send(&notices[0]).await.unwrap();
    assert_eq!(again.notices().await.unwrap(), notices);
}

#[tokio::test]
async fn governor_limiter() {
    testkit::rate_limiter(&GovernorLimiter::new(RateLimits::default())).await;
}

#[tokio::test]
async fn local_limiter() {
    testkit::rate_limiter(&LocalLimiter::new(LimitTable::preset()).unwrap()).await;
    testkit::rate_limiter(&LocalLimiter::new(RateLimits::default().into()).unwrap()).await;
}

#[tokio::test]
async fn builtin_masker() {
    testkit::pii_masker_forms(&BuiltinMasker::new()).await;
    let file = format!("k {}", "5e".repeat(32));
    let keys = Arc::new(MaskingKeys::parse(&SecretString::from(file)).unwrap());
    for destination in Destination::ALL {
        let masker = BuiltinMasker::new().with_destination(destination);
        testkit::pii_masker(&masker).await;
        testkit::pii_masker(&masker.with_keys(Arc::clone(&keys))).await;
    }
}

#[tokio::test]
async fn system_clock_and_manual_clock() {
    testkit::clock(&SystemClock::new()).await;
    testkit::clock(&testkit::ManualClock::self_moving()).await;
}

#[tokio::test]
async fn each_port_seen_as_an_action() {
    let traffic = Arc::new(InMemoryTraffic::new());
    let target = TargetId::new("memory:api").unwrap();
    traffic.add_service(target.clone());
    testkit::action(&StopTraffic::new(traffic, target, "api")).await;

    let database = Arc::new(InMemoryDatabase::new());
    let target = database.target().clone();
    testkit::action(&MakeReadOnly::new(database, target)).await;

    let (switches, clock) = (Arc::new(InMemorySwitches::new()), Arc::new(SystemClock::new()));
    let actor = Actor::person("conformance").unwrap();
    testkit::action(&SwitchOff::new(switches, clock, actor, "llm").unwrap()).await;
}

#[tokio::test]
async fn an_unplugged_provider_fails_and_changes_nothing() {
    let port = InMemoryTraffic::new();
    let target = TargetId::new("memory:api").unwrap();
    port.add_service(target.clone());
    port.set_reachable(false);
    assert!(port.observe(&target).await.is_err());
    port.set_reachable(true);
    assert!(port.observe(&target).await.is_ok());
}

#[tokio::test]
async fn in_memory_backups() {
    let port = InMemoryBackups::new();
    let at = Timestamp::from_unix_micros(1_000_000);
    port.set_server(ServerBackups::new(at, "shop"));
    port.add(BackupCopy::new(
        "old",
        CopyKind::PlainDump,
        Timestamp::UNIX_EPOCH,
        10,
    ));
    port.add(BackupCopy::new("new", CopyKind::PlainDump, at, 10).with_fault(Some(false), "cut off"));
    testkit::backup_inspector(&port).await;
    port.set_reachable(false);
    let error = port.inspect().await.unwrap_err();
    assert_eq!(error.kind(), ops_core::error::ErrorKind::Unavailable);
}
