//! Every switch × every action type × every provider is flipped and put back: what was never tried does not exist.
//!
//! The tables below are compared with the sources and with what was flipped: a new `Action`, a new provider behind one, a new switch of a
//! preset, or a name in a table, without a drill makes this test fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ops_core::actions::{
    MakeReadOnly, PreserveEvidence, Rehearsal, RevokeSessions, StopTraffic, SuspendAccount, SwitchOff,
};
use ops_core::audit::{AuditReader, EvidenceExport, EvidenceRequest, EvidenceVerifier, NoteSigner, Recorder};
use ops_core::config::{Preset, preset};
use ops_core::emergency::{Procedure, Refusal, Step};
use ops_core::file::FileSwitches;
use ops_core::guard::KillSwitch;
use ops_core::masking::BuiltinMasker;
use ops_core::memory::{
    InMemoryAccounts, InMemoryAudit, InMemoryDatabase, InMemorySessions, InMemorySwitches, InMemoryTraffic,
};
use ops_core::model::{Actor, TargetId, TenantId};
use ops_core::pipeline::{DrillSetup, DrillWorld, drill};
use ops_core::ports::{Action, SessionRevoker as _, SwitchStore};
use ops_core::procedures::{Component, rollback};
use ops_core::testkit::{Faults, LoopbackServer, loopback_transport, postgres_url};
use ops_core::{Ops, Providers};
use ops_gcp::auth::StaticToken;
use ops_gcp::identity::IdentityUsers;
use ops_gcp::identity::sim::IdentitySim;
use ops_gcp::run::CloudRunTraffic;
use ops_gcp::run::sim::{CloudRunSim, ServiceSeed};
use ops_postgres::{
    PostgresDatabaseGuard, PostgresStore, PostgresSwitchStore, PostgresTimeouts, ScratchDatabase,
    TimeoutLimits,
};
use ops_railway::railway::sim::{RailwaySim, ServiceSeed as RailwaySeed};
use ops_railway::railway::{RailwayToken, RailwayTraffic};
use ops_railway::vercel::VercelTraffic;
use ops_railway::vercel::sim::{ProjectSeed, VercelSim};
use tokio::task::JoinSet;

/// Every `impl Action for` that a drill stops and restores.
const ACTIONS: &[&str] = &[
    "Follows",
    "MakeReadOnly",
    "PostgresTimeouts",
    "Rehearsal",
    "StopTraffic",
    "SuspendAccount",
    "SwitchOff",
];

/// Those without a way back, which are carried out.
const ONE_WAY: &[&str] = &["PreserveEvidence", "RevokeSessions"];

/// Every provider behind one: the port and the provider.
const PROVIDERS: &[(&str, &str)] = &[
    ("AccountSuspender", "IdentityUsers"),
    ("AccountSuspender", "InMemoryAccounts"),
    ("DatabaseGuard", "InMemoryDatabase"),
    ("DatabaseGuard", "PostgresDatabaseGuard"),
    ("SessionRevoker", "IdentityUsers"),
    ("SessionRevoker", "InMemorySessions"),
    ("SwitchStore", "FileSwitches"),
    ("SwitchStore", "InMemorySwitches"),
    ("SwitchStore", "PostgresSwitchStore"),
    ("TrafficController", "CloudRunTraffic"),
    ("TrafficController", "InMemoryTraffic"),
    ("TrafficController", "RailwayTraffic"),
    ("TrafficController", "VercelTraffic"),
];

#[test]
fn no_action_and_no_provider_is_without_a_drill() {
    let sources = [
        "ops-core/src",
        "ops-gcp/src",
        "ops-railway/src",
        "ops-postgres/src",
    ];
    let mut files = Vec::new();
    for folder in sources {
        rust_files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder),
            &mut files,
        );
    }
    assert!(files.len() > 100, "only {} sources were found", files.len());
    let implementors = |port: &str| {
        let texts = files
            .iter()
            .map(|file| std::fs::read_to_string(file).expect("a source"));
        let mut found = BTreeSet::new();
        for text in texts {
            // Doubles of unit tests stand behind this.
            let code = text.split("#[cfg(test)]").next().unwrap_or("");
            for line in code.lines() {
                if let Some((_, rest)) = line
                    .split_once(&format!("{port} for "))
                    .filter(|(head, _)| head.starts_with("impl"))
                {
                    let end = rest
                        .find(|letter: char| !letter.is_alphanumeric())
                        .unwrap_or(rest.len());
                    found.insert(rest[..end].to_owned());
                }
            }
        }
        // Forwarding to what is behind a pointer is no provider.
        found.retain(|name| !matches!(name.as_str(), "Arc" | "Box" | "T" | ""));
        found
    };
    let actions = ACTIONS.iter().chain(ONE_WAY);
    let actions: BTreeSet<_> = actions.map(|name| (*name).to_owned()).collect();
    assert_eq!(
        implementors("Action"),
        actions,
        "add a drill of the new action, then its name"
    );
    let ports: BTreeSet<_> = PROVIDERS.iter().map(|(port, _)| *port).collect();
    assert_eq!(ports.len(), 5);
    for port in ports {
        let drilled: BTreeSet<_> = PROVIDERS
            .iter()
            .filter(|(of, _)| *of == port)
            .map(|(_, name)| (*name).to_owned())
            .collect();
        assert_eq!(
            implementors(port),
            drilled,
            "add a drill of the new provider of {port}, then its name"
        );
    }
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            // `testkit` has doubles and suites, not providers.
            true if path.ends_with("testkit") => {}
            true => rust_files(&path, into),
            false if path.extension().is_some_and(|extension| extension == "rs") => into.push(path),
            false => {}
        }
    }
}

/// What procedures that were carried out are made of.
#[derive(Debug, Default)]
struct Flipped(Mutex<BTreeSet<String>>);

impl Flipped {
    /// Its types, by the names that they show of themselves.
    fn record(&self, procedure: &Procedure) {
        let shown = format!("{procedure:?}");
        let opened = shown.match_indices(" {").chain(shown.match_indices('('));
        let names = opened.filter_map(|(at, _)| {
            let mut words = shown[..at].rsplit(|letter: char| !letter.is_alphanumeric());
            words.next().map(str::to_owned)
        });
        let mut flipped = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flipped.extend(names);
    }

    fn names(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_listed_was_flipped_and_put_back() {
    let flipped = Arc::new(Flipped::default());
    let mut scenes = JoinSet::new();
    scenes.spawn(switches_in_memory_and_in_a_file(Arc::clone(&flipped)));
    scenes.spawn(evidence_and_sessions(Arc::clone(&flipped)));
    scenes.spawn(users_of_identity_toolkit(Arc::clone(&flipped)));
    scenes.spawn(database_in_memory(Arc::clone(&flipped)));
    scenes.spawn(traffic_in_memory_and_a_rehearsal_of_it(Arc::clone(&flipped)));
    scenes.spawn(components_that_follow_one_another(Arc::clone(&flipped)));
    scenes.spawn(traffic_of_cloud_run(Arc::clone(&flipped)));
    scenes.spawn(traffic_of_railway(Arc::clone(&flipped)));
    scenes.spawn(traffic_of_vercel(Arc::clone(&flipped)));
    let url = postgres_url().await;
    let with_server = url.is_some();
    if let Some(url) = url {
        scenes.spawn(switches_and_the_database_in_postgresql(url, Arc::clone(&flipped)));
    }
    // A panic in a scene is one here, once the others have cleared up.
    let mut failed = None;
    while let Some(scene) = scenes.join_next().await {
        failed = failed.or(scene.err());
    }
    if let Some(failed) = failed {
        std::panic::resume_unwind(failed.into_panic());
    }

    let flipped = flipped.names();
    let providers = PROVIDERS.iter().map(|(_, provider)| provider);
    let never: Vec<_> = ACTIONS
        .iter()
        .chain(ONE_WAY)
        .chain(providers)
        .filter(|name| !flipped.contains(**name))
        .filter(|name| with_server || !name.starts_with("Postgres"))
        .collect();
    assert!(never.is_empty(), "listed, and never flipped: {never:?}");
}

fn operator() -> Actor {
    Actor::person("drill-operator").expect("an id")
}

fn tenant() -> TenantId {
    TenantId::new("org_drill").expect("an id")
}

/// Stop, verify, restore, confirm; then once more, because a switch that works once may be worn.
async fn flip(flipped: &Flipped, name: &str, action: Arc<dyn Action>) {
    let ops = Ops::new(Providers::in_memory(), tenant());
    let procedure = Procedure::new(name, vec![Step::new(action)]).expect("a procedure");
    for round in 0..2 {
        let world = || async { Ok::<_, Refusal>(DrillWorld::new(ops.clone(), procedure.clone())) };
        let drilled = drill(DrillSetup::new(operator(), "every switch"), world).await;
        let report = drilled.expect("a stop needs no approval").report;
        assert!(report.verdict().passed(), "{name}, round {round}: {report:#?}");
        assert_eq!((report.stop_steps.len(), report.confirmed.len()), (1, 1));
    }
    flipped.record(&procedure);
}

/// Carries out what has no way back.
async fn carry_out(flipped: &Flipped, name: &str, action: Arc<dyn Action>) {
    let ops = Ops::new(Providers::in_memory(), tenant());
    let procedure = Procedure::new(name, vec![Step::new(action)]).expect("a procedure");
    let report = ops.stop(&procedure, operator()).await.expect("no approval");
    assert!(report.outcome.steps[0].verdict.holds(), "{report:#?}");
    flipped.record(&procedure);
}

/// Every switch of both presets through `store`, in the store and in a process.
async fn flip_switches(flipped: &Flipped, store: &Arc<dyn SwitchStore>) {
    let mut count = 0;
    for which in Preset::ALL {
        let config = preset(which).expect("a preset");
        let local = KillSwitch::new(config.switches.iter().map(|switch| switch.name.as_str()));
        let local = Arc::new(local.expect("the switches of a preset"));
        for switch in &config.switches {
            let clock = Providers::in_memory().clock;
            let off = SwitchOff::new(Arc::clone(store), clock, operator(), &switch.name).expect("a switch");
            let off = off.with_local(Arc::clone(&local)).expect("a feature");
            let feature = local.feature(&switch.name).expect("a feature");
            flip(flipped, &switch.name, Arc::new(off)).await;
            assert!(
                local.allows(feature),
                "{} is open again in this process",
                switch.name
            );
            count += 1;
        }
        assert!(!config.switches.is_empty(), "{} has switches", which.as_str());
    }
    assert!(
        store.read().await.expect("a store").stopped.is_empty(),
        "all are open again"
    );
    assert!(count >= Preset::ALL.len());
}

fn traffic(controller: Arc<dyn ops_core::ports::TrafficController>, target: &TargetId) -> Arc<dyn Action> {
    Arc::new(StopTraffic::new(controller, target.clone(), target.name()))
}

async fn switches_in_memory_and_in_a_file(flipped: Arc<Flipped>) {
    flip_switches(&flipped, &(Arc::new(InMemorySwitches::new()) as _)).await;
    let folder = tempfile::tempdir().expect("a folder");
    flip_switches(
        &flipped,
        &(Arc::new(FileSwitches::open(folder.path()).expect("a folder")) as _),
    )
    .await;
}

async fn switches_and_the_database_in_postgresql(url: String, flipped: Arc<Flipped>) {
    let run = ops_core::model::RunId::generate(Providers::in_memory().clock.now());
    let name = format!("ops_every_{}", &run.as_str()[run.as_str().len() - 12..]);
    let scratch = ScratchDatabase::create(&url.into(), &name)
        .await
        .expect("a database");
    let store = PostgresStore::connect(scratch.owner_url())
        .await
        .expect("a connection");
    store.migrate().await.expect("tables");
    flip_switches(&flipped, &(Arc::new(PostgresSwitchStore::new(&store)) as _)).await;
    let target = PostgresDatabaseGuard::target(&name).expect("a target");
    let guard = Arc::new(PostgresDatabaseGuard::new(&store));
    flip(&flipped, "database", Arc::new(MakeReadOnly::new(guard, target))).await;
    let limits = TimeoutLimits::new(
        Duration::from_secs(10),
        Duration::from_secs(2),
        Duration::from_secs(30),
    );
    let timeouts = PostgresTimeouts::new(&store, limits).expect("a name");
    flip(&flipped, "timeouts", Arc::new(timeouts)).await;
    drop(store);
    scratch.drop_all().await.expect("dropped");
}

async fn evidence_and_sessions(flipped: Arc<Flipped>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (audit, clock) = (Arc::new(InMemoryAudit::new()), Providers::in_memory().clock);
    let signer = NoteSigner::generate("audit.example.com").expect("a key");
    let verifier = EvidenceVerifier::new(vec![signer.verifier().clone()]);
    let masker = Arc::new(BuiltinMasker::new());
    let recorder = Recorder::new(audit.clone(), masker, Arc::clone(&clock));
    let reader = AuditReader::new(audit.clone(), recorder, Arc::clone(&clock));
    let now = clock.now();
    let export = Arc::new(EvidenceExport::new(audit, signer, clock));
    let request = EvidenceRequest::new(tenant(), "INC-7", operator());
    let into = folder.path().join("INC-7");
    // What it exports is at least the record of the export.
    let preserve = PreserveEvidence::new(reader, export, request, verifier, into).expect("an id");
    carry_out(&flipped, "preserve", Arc::new(preserve)).await;

    let sessions = Arc::new(InMemorySessions::new());
    sessions.sign_in("usr_1");
    sessions.sign_in("usr_2");
    let accounts = Arc::new(InMemoryAccounts::new());
    accounts.add_user("usr_1");
    let suspend = SuspendAccount::new(accounts.clone(), "usr_1").expect("an id");
    flip(&flipped, "suspend", Arc::new(suspend)).await;
    assert!(accounts.admits("usr_1"));
    let revoke = RevokeSessions::new(sessions.clone(), "usr_1", now).expect("an id");
    carry_out(&flipped, "revoke", Arc::new(revoke)).await;
    let left = |user: &'static str| {
        let sessions = Arc::clone(&sessions);
        async move { sessions.sessions(user).await.expect("a user").active }
    };
    assert_eq!((left("usr_1").await, left("usr_2").await), (Some(0), Some(1)));
}

async fn users_of_identity_toolkit(flipped: Arc<Flipped>) {
    let clock = Providers::in_memory().clock;
    let sim = IdentitySim::new("soul-kun", Arc::clone(&clock), Faults::new());
    sim.add_user(None, "usr_1", "user@example.com");
    let session = sim.sign_in(None, "usr_1").expect("a user");
    let server = LoopbackServer::start(Arc::clone(&sim) as _)
        .await
        .expect("a server");
    let cloud_run = CloudRunTraffic::builder()
        .with_transport(loopback_transport())
        .with_token(Arc::new(StaticToken::new("simulated".to_owned())))
        .with_clock(Arc::clone(&clock))
        .build()
        .expect("a client");
    let users = IdentityUsers::new(&cloud_run, "soul-kun").expect("a project");
    let users = Arc::new(users.with_base_url(&server.base_url()).expect("an address"));
    let revoke = RevokeSessions::new(users.clone(), "usr_1", clock.now()).expect("an id");
    carry_out(&flipped, "revoke", Arc::new(revoke)).await;
    assert!(!sim.renew(None, "usr_1", &mut session.clone()));
    let suspend = SuspendAccount::new(users, "usr_1").expect("an id");
    flip(&flipped, "suspend", Arc::new(suspend)).await;
    assert!(!sim.is_disabled(None, "usr_1"));
}

async fn database_in_memory(flipped: Arc<Flipped>) {
    let target = TargetId::new("memory:database").expect("an id");
    let guard = Arc::new(InMemoryDatabase::named(target.clone()));
    flip(&flipped, "database", Arc::new(MakeReadOnly::new(guard, target))).await;
}

async fn traffic_in_memory_and_a_rehearsal_of_it(flipped: Arc<Flipped>) {
    let controller = Arc::new(InMemoryTraffic::new());
    let target = TargetId::new("memory:api").expect("an id");
    controller.add_service(target.clone());
    flip(&flipped, "memory", traffic(controller.clone(), &target)).await;
    flip(
        &flipped,
        "rehearsal",
        Arc::new(Rehearsal::new(traffic(controller.clone(), &target))),
    )
    .await;
    assert!(controller.probe(&target));
}

async fn components_that_follow_one_another(flipped: Arc<Flipped>) {
    let controller = Arc::new(InMemoryTraffic::new());
    let components = Component::ALL.map(|component| {
        let target = TargetId::new(format!("memory:{}", component.word())).expect("an id");
        controller.add_service(target.clone());
        (component, traffic(controller.clone(), &target))
    });
    let ops = Ops::new(Providers::in_memory(), tenant());
    let procedure = rollback("rollback", components.to_vec(), |step| step).expect("a procedure");
    let world = || async { Ok::<_, Refusal>(DrillWorld::new(ops.clone(), procedure.clone())) };
    let drilled = drill(DrillSetup::new(operator(), "every switch"), world)
        .await
        .expect("no approval");
    assert!(drilled.report.verdict().passed(), "{:#?}", drilled.report);
    flipped.record(&procedure);
}

async fn traffic_of_cloud_run(flipped: Arc<Flipped>) {
    let sim = CloudRunSim::new(Faults::new());
    let seed = ServiceSeed::new().automatic(2, 20).revisions(3).latest(100);
    sim.add_service("p", "asia-northeast1", "api", seed)
        .expect("a service");
    let server = LoopbackServer::start(Arc::clone(&sim) as _)
        .await
        .expect("a server");
    let controller = CloudRunTraffic::builder()
        .with_transport(loopback_transport())
        .with_token(Arc::new(StaticToken::new("simulated".to_owned())))
        .with_base_url(server.base_url())
        .with_clock(Providers::in_memory().clock)
        .build()
        .expect("a client");
    let target = CloudRunTraffic::target("p", "asia-northeast1", "api").expect("a target");
    flip(&flipped, "cloud-run", traffic(Arc::new(controller), &target)).await;
}

async fn traffic_of_railway(flipped: Arc<Flipped>) {
    let sim = RailwaySim::new(Faults::new());
    sim.add_project_token("simulated", "prj", "env");
    let seed = RailwaySeed::new("prj", "env", "api").expect("a service");
    sim.add_service(seed.with_running(["dep-1"]).with_auto_deploy(true));
    let server = LoopbackServer::start(Arc::clone(&sim) as _)
        .await
        .expect("a server");
    let controller = RailwayTraffic::builder()
        .with_transport(loopback_transport())
        .with_token(RailwayToken::Project("simulated".to_owned().into()))
        .with_base_url(server.base_url())
        .with_clock(Providers::in_memory().clock)
        .build()
        .expect("a client");
    let target = RailwayTraffic::target("prj", "env", "api").expect("a target");
    flip(&flipped, "railway", traffic(Arc::new(controller), &target)).await;
}

async fn traffic_of_vercel(flipped: Arc<Flipped>) {
    let sim = VercelSim::new(Faults::new());
    sim.add_project(
        ProjectSeed::new("prj_web")
            .expect("a project")
            .with_auto_assign(false),
    );
    let server = LoopbackServer::start(Arc::clone(&sim) as _)
        .await
        .expect("a server");
    let controller = VercelTraffic::builder()
        .with_transport(loopback_transport())
        .with_token("simulated".to_owned().into())
        .with_base_url(server.base_url())
        .with_clock(Providers::in_memory().clock)
        .build()
        .expect("a client");
    let target = VercelTraffic::target("prj_web").expect("a target");
    flip(&flipped, "vercel", traffic(Arc::new(controller), &target)).await;
}
