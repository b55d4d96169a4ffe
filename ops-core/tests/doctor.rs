//! The doctor over providers in memory and on files: what is wrong turns it red, and looking changes nothing.
#![expect(clippy::unwrap_used, reason = "a test ends where its world cannot be built")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use ops_core::Providers;
use ops_core::file::FileReadiness;
use ops_core::governance::{Diagnosis, Examination, doctor};
use ops_core::memory::{InMemoryInventory, InMemoryReadiness};
use ops_core::model::{Check, CheckState, TargetId, Text};
use ops_core::ports::{Deployed, Inventory, ReadinessProbe};
use ops_core::testkit::ManualClock;

fn target(name: &str) -> TargetId {
    TargetId::new(format!("memory:{name}")).unwrap()
}

async fn examine(examination: Examination) -> Diagnosis {
    doctor(&examination, Arc::new(ManualClock::self_moving())).await
}

#[tokio::test]
async fn everything_there_is_ready_and_says_so_in_the_metrics() {
    let inventory = InMemoryInventory::new("memory:");
    inventory.deploy(target("api"), "api");
    let found = examine(
        Examination::new()
            .with_probe("memory", Arc::new(InMemoryReadiness::new()), [target("api")])
            .with_inventory("memory", Arc::new(inventory))
            .with_covered(target("api")),
    )
    .await;
    assert_eq!(found.state(), CheckState::Ready, "{:#?}", found.checks);
    let metrics = found.metrics();
    for line in [
        "ops_doctor_ok 1",
        "ops_doctor_checks{state=\"ready\"} 5",
        "ops_doctor_checks{state=\"unknown\"} 0",
        "ops_doctor_checks{state=\"missing\"} 0",
        "ops_doctor_uncovered_services 0",
        "ops_doctor_gone_services 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let at = found.at.as_unix_micros() / 1_000_000;
    assert!(metrics.contains(&format!("ops_doctor_last_run_timestamp_seconds {at}\n")));
}

#[tokio::test]
async fn nothing_looked_at_is_not_all_well() {
    let found = examine(Examination::new()).await;
    assert_eq!(found.state(), CheckState::Unknown);
    assert!(found.metrics().contains("ops_doctor_ok 0"));
}

#[tokio::test]
async fn missing_outranks_unknown_and_comes_first() {
    let (there, away) = (InMemoryReadiness::new(), InMemoryReadiness::new());
    there.take_away(target("api"), "no permission");
    away.set_reachable(false);
    let found = examine(
        Examination::new()
            .with_probe("away", Arc::new(away), [target("web")])
            .with_probe("there", Arc::new(there), [target("api")]),
    )
    .await;
    assert_eq!(found.state(), CheckState::Missing);
    assert_eq!(found.checks[0].subject, "memory:api");
    assert_eq!(found.count(CheckState::Unknown), 2);
    // A limitation that two providers share is said once.
    assert_eq!(found.limitations.len(), 1);
}

#[tokio::test]
async fn an_inventory_that_is_out_of_reach_is_unknown_and_nothing_is_gone() {
    let inventory = InMemoryInventory::new("memory:");
    inventory.set_reachable(false);
    let found = examine(
        Examination::new()
            .with_inventory("memory", Arc::new(inventory))
            .with_covered(target("api")),
    )
    .await;
    assert_eq!(found.state(), CheckState::Unknown);
    assert!(found.gone.is_empty());
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl ReadinessProbe for Broken {
    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn examine(&self, _targets: &[TargetId]) -> Vec<Check> {
        panic!("a fault of the provider")
    }
}

#[async_trait]
impl Inventory for Broken {
    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn deployed(&self) -> ops_core::error::Result<Deployed> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_probe_that_panics_and_an_inventory_that_hangs_are_unknown_and_hold_up_nobody() {
    let examination = Examination::new()
        .with_probe("broken", Arc::new(Broken), [target("api")])
        .with_inventory("hanging", Arc::new(Broken))
        .with_probe("memory", Arc::new(InMemoryReadiness::new()), [target("web")]);
    let found = doctor(&examination, Arc::new(ManualClock::self_moving())).await;
    let unknown: Vec<_> = found
        .checks
        .iter()
        .filter(|check| check.state == CheckState::Unknown)
        .map(|check| check.subject.as_str())
        .collect();
    assert_eq!(unknown, ["broken", "hanging"]);
    assert_eq!(found.count(CheckState::Ready), 2);
}

/// Names, sizes and contents of everything below `directory`.
fn picture(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.insert(format!("{name}/"), Vec::new());
            found.extend(picture(&path));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

async fn states(probe: &FileReadiness) -> BTreeMap<String, CheckState> {
    let checks = probe.examine(&[]).await;
    checks
        .into_iter()
        .map(|check| (check.name, check.state))
        .collect()
}

#[tokio::test]
async fn a_state_directory_is_looked_at_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    // One that is not there yet is not made.
    let missing = directory.path().join("a/b/.ops");
    let found = states(&FileReadiness::new(&missing)).await;
    assert!(
        found.values().all(|state| *state == CheckState::Ready),
        "{found:?}"
    );
    assert!(picture(directory.path()).is_empty());

    let state = directory.path().join(".ops");
    Providers::in_directory(&state).unwrap();
    let before = picture(directory.path());
    let found = states(&FileReadiness::new(&state)).await;
    assert!(
        found.values().all(|state| *state == CheckState::Ready),
        "{found:?}"
    );
    assert_eq!(picture(directory.path()), before);
}

#[tokio::test]
async fn a_damaged_switch_file_journal_or_path_turns_red() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join(".ops");
    Providers::in_directory(&state).unwrap();
    std::fs::write(state.join("switches/switches.json"), "rubbish").unwrap();
    std::fs::write(state.join("journal/held/no-target.json"), "rubbish").unwrap();
    let checks = FileReadiness::new(&state).examine(&[]).await;
    let red: Vec<_> = checks
        .iter()
        .filter(|check| check.state == CheckState::Missing)
        .collect();
    assert_eq!(red.len(), 2, "{red:#?}");
    assert!(red.iter().all(|check| check.remedy.is_some()));

    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let found = states(&FileReadiness::new(&file)).await;
    assert_eq!(found["state-directory"], CheckState::Missing);
}

#[tokio::test]
async fn a_disk_without_room_turns_red() {
    let directory = tempfile::tempdir().unwrap();
    let found = states(&FileReadiness::new(directory.path()).with_free_megabytes(u64::MAX)).await;
    assert_eq!(found["free-space"], CheckState::Missing);
}
