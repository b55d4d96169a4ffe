//! Every provider of this crate against the suite of its port.

use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::{MakeReadOnly, StopTraffic, SwitchOff};
use ops_core::clock::SystemClock;
use ops_core::file::{FileAudit, FileJournal, FileNotices, FileProcesses, FileSwitches};
use ops_core::guard::{GovernorLimiter, RateLimits};
use ops_core::masking::BuiltinMasker;
use ops_core::memory::{
    InMemoryAudit, InMemoryDatabase, InMemoryJournal, InMemoryNotifier, InMemoryProcesses, InMemorySwitches,
    InMemoryTraffic,
};
use ops_core::model::{Actor, TargetId, Timestamp};
use ops_core::ports::{Notifier, Presence, ProcessId, ProcessRegistry, SwitchProcess, TrafficController};
use ops_core::testkit;

#[tokio::test]
async fn in_memory_traffic() {
    let port = InMemoryTraffic::new();
    let target = TargetId::new("memory:api").unwrap();
    port.add_service(target.clone());
    testkit::traffic_controller(&port, &target).await;
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
    testkit::audit_store(&InMemoryAudit::new()).await;
}

#[tokio::test]
async fn in_memory_journal() {
    testkit::journal(&InMemoryJournal::new()).await;
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
async fn builtin_masker() {
    testkit::pii_masker(&BuiltinMasker::new()).await;
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
