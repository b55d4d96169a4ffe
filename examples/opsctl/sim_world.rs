//! The simulated vendors with the services of the first runbook, and the configuration that leads to them.

use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::ports::Clock;
use ops_core::testkit::{Fault, FaultRule, Faults, LoopbackServer};
use ops_gcp::archive::sim::StorageSim;
use ops_gcp::identity;
use ops_gcp::identity::sim::IdentitySim;
use ops_gcp::queues;
use ops_gcp::queues::sim::{JobSeed, QueueSeed, QueueSim, SubscriptionSeed};
use ops_gcp::run::sim::{BrokenRule as CloudRunRule, CloudRunSim, ServiceSeed};
use ops_railway::railway::sim::{BrokenRule as RailwayRule, RailwaySim, ServiceSeed as RailwaySeed};
use ops_railway::vercel::sim::{BrokenRule as VercelRule, ProjectSeed, VercelSim};
use serde_json::json;

use crate::cli::WorldName;
use crate::exit::Failure;

/// Running simulations; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct SimWorld {
    cloud_run: Option<(Arc<CloudRunSim>, LoopbackServer)>,
    paas: Option<Paas>,
}

#[derive(Debug)]
struct Paas {
    railway: (Arc<RailwaySim>, LoopbackServer),
    vercel: (Arc<VercelSim>, LoopbackServer),
}

const PROJECT: &str = "soul-kun";
const REGION: &str = "asia-northeast1";
const EVIDENCE_BUCKET: &str = "soul-kun-evidence";
const TENANT: &str = "org-customer";
const RAILWAY_PROJECT: &str = "prj-soul-kun";
const RAILWAY_ENVIRONMENT: &str = "env-production";

/// What a simulation on this machine is given when no credential is set.
pub(crate) const SIMULATED_TOKEN: &str = "simulated";

/// And for the credential of the button.
pub(crate) const SIMULATED_EMERGENCY_TOKEN: &str = "simulated-emergency";

/// Where the rest of the configuration lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extras<'a> {
    pub(crate) state_dir: &'a str,
    /// How many persons approve a restore, and their public keys.
    pub(crate) approvers: &'a [(String, String)],
    /// The variables that hold the URLs of the database and of its audit role.
    pub(crate) database: Option<(&'a str, &'a str)>,
    /// Whether the procedures make a database read-only.
    pub(crate) read_only: bool,
}

impl SimWorld {
    /// Starts the vendors of `world`.
    pub(crate) async fn start(
        world: WorldName,
        faults: &[String],
        rules: &[String],
    ) -> Result<Self, Failure> {
        let faults = parse_faults(faults)?;
        let cloud_run = match world {
            WorldName::Paas => None,
            _ => Some(start_cloud_run(&faults, rules).await?),
        };
        let paas = match world {
            WorldName::Gcp => None,
            _ => Some(start_paas(&faults, rules).await?),
        };
        Ok(Self { cloud_run, paas })
    }

    /// The configuration that leads to the simulations.
    pub(crate) fn config(&self, extras: &Extras<'_>) -> String {
        let mut text = format!(
            "# Simulated vendors on this machine; no vendor of this file is real.\nlang = \"ja\"\nstate_dir = \"{}\"\nloopback_only = true\ntenant = \"org_soulsyncs\"\n",
            extras.state_dir
        );
        if let Some((url, audit_url)) = extras.database {
            text += &format!("\n[database]\nurl_env = \"{url}\"\naudit_url_env = \"{audit_url}\"\n");
        }
        text += "\n[[contact]]\naudience = \"#emergency\"\n\n[[contact]]\naudience = \"カズさん\"\nphone_env = \"OPS_EMERGENCY_PHONE\"\n";
        if let Some((_, server)) = &self.cloud_run {
            text += &format!(
                "\n[gcp]\nproject = \"{PROJECT}\"\nregion = \"{REGION}\"\nrun_base_url = \"{}\"\nevidence_bucket = \"{EVIDENCE_BUCKET}\"\nidentity_project = \"{PROJECT}\"\nemergency_token_env = \"OPS_EMERGENCY_GCP_TOKEN\"\n",
                server.base_url()
            );
            let services = [
                "soul-kun-api",
                "chatwork-webhook",
                "proactive-monitor",
                "soulkun-mcp-server",
                "soulkun-mobile-api",
            ];
            services.iter().for_each(|name| {
                text += &format!("\n[[service]]\nname = \"{name}\"\nplatform = \"cloud-run\"\n")
            });
            text += &procedures("", &services, extras.read_only);
        }
        if let Some(Paas { railway, vercel }) = &self.paas {
            text += &format!(
                "\n[railway]\nbase_url = \"{}\"\nproject = \"{RAILWAY_PROJECT}\"\nenvironment = \"{RAILWAY_ENVIRONMENT}\"\nemergency_token_env = \"OPS_EMERGENCY_RAILWAY_TOKEN\"\n\n[vercel]\nbase_url = \"{}\"\nemergency_token_env = \"OPS_EMERGENCY_VERCEL_TOKEN\"\n",
                railway.1.base_url(),
                vercel.1.base_url()
            );
            // In a world with both, the services of the hosted platforms need names of their own.
            let prefix = if self.cloud_run.is_some() { "paas-" } else { "" };
            let names = [
                "soul-kun-api",
                "chatwork-webhook",
                "proactive-monitor",
                "soulkun-mcp-server",
                "soulkun-web",
            ];
            let services = names.map(|name| format!("{prefix}{name}"));
            for (name, service) in names.iter().zip(&services) {
                let (platform, id) = if *name == "soulkun-web" {
                    ("vercel", "prj_soulkun_web")
                } else {
                    ("railway", *name)
                };
                text += &format!(
                    "\n[[service]]\nname = \"{service}\"\nplatform = \"{platform}\"\nid = \"{id}\"\n"
                );
            }
            let services: Vec<&str> = services.iter().map(String::as_str).collect();
            text += &procedures(prefix, &services, extras.read_only);
        }
        text += &format!(
            "\n[approvals]\nstop = 0\nrestore = {}   # {}\n",
            extras.approvers.len(),
            if extras.approvers.is_empty() {
                "a simulated world; the default is 2"
            } else {
                "different persons"
            }
        );
        for (name, key) in extras.approvers {
            text += &format!("\n[[approver]]\nname = \"{name}\"\npublic_key = \"{key}\"\n");
        }
        text
    }
}

/// The two procedures of the runbook's first chapter over the given services; the first is the brain.
fn procedures(prefix: &str, services: &[&str], read_only: bool) -> String {
    let (brain, rest) = (
        services[0],
        services[1..]
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", "),
    );
    format!(
        "\n[[switch]]\nname = \"{prefix}llm-brain\"\n\
         \n[[procedure]]\nname = \"{prefix}llm-brain-stop\"\nkind = \"llm-brain-stop\"\nswitch = \"{prefix}llm-brain\"\nservices = [\"{brain}\"]\n\
         read_only_database = {read_only}\nnotify = [\"#emergency\", \"カズさん\"]\ntarget_seconds = 20\n\
         \n[[procedure]]\nname = \"{prefix}api-stop\"\nkind = \"api-stop\"\nservices = [{rest}]\nnotify = [\"#emergency\"]\ntarget_seconds = 20\n"
    )
}

async fn start_cloud_run(
    faults: &Faults,
    rules: &[String],
) -> Result<(Arc<CloudRunSim>, LoopbackServer), Failure> {
    let sim = CloudRunSim::new(faults.clone());
    let add = |name: &str, seed: ServiceSeed| sim.add_service(PROJECT, REGION, name, seed);
    // No two alike: each setting is one that a careless restore loses.
    add(
        "soul-kun-api",
        ServiceSeed::new()
            .automatic(2, 20)
            .revisions(3)
            .latest(90)
            .revision("soul-kun-api-00002", 10),
    )?;
    add("chatwork-webhook", ServiceSeed::new().automatic(1, None))?;
    add("proactive-monitor", ServiceSeed::new().manual(1))?;
    add("soulkun-mcp-server", ServiceSeed::new().automatic(None, 5))?;
    add(
        "soulkun-mobile-api",
        ServiceSeed::new()
            .automatic(None, None)
            .revisions(2)
            .latest(100)
            .tag("preview", "soulkun-mobile-api-00001"),
    )?;
    for rule in rules {
        sim.break_rule(match rule.as_str() {
            "ignore-stop" => CloudRunRule::StopIsIgnored,
            "forget-on-restore" => CloudRunRule::RestoreForgetsLimits,
            _ => return Err(unknown_rule(rule)),
        });
    }
    let clock = || Arc::new(SystemClock::new());
    let queues = QueueSim::beside(Arc::clone(&sim) as _, PROJECT, clock(), faults.clone());
    add_queues(&queues);
    for permission in queues::REQUIRED.iter().chain(identity::REQUIRED) {
        sim.grant(permission);
    }
    let storage = StorageSim::beside(queues, clock(), faults.clone());
    storage.add_bucket(EVIDENCE_BUCKET, true);
    let users = IdentitySim::beside(storage, PROJECT, clock(), faults.clone());
    add_users(&users);
    let server = LoopbackServer::start(users).await?;
    Ok((sim, server))
}

/// The same id in a tenant and in none is two users; one was suspended before.
fn add_users(users: &IdentitySim) {
    users.add_user(None, "usr_hanako", "hanako@example.com");
    users.set_valid_since(None, "usr_hanako", Some(1_700_000_000));
    users.add_user(None, "usr_taro", "taro@example.com");
    users.set_disabled(None, "usr_taro", true);
    users.add_user(Some(TENANT), "usr_hanako", "hanako@customer.example");
}

/// One of each kind, and one that nobody asks about.
fn add_queues(queues: &QueueSim) {
    let host = |name: &str| format!("{name}-sim.a.run.app");
    let url = |name: &str, path: &str| format!("https://{}/{path}", host(name));
    let events = SubscriptionSeed::push_to(&url("soul-kun-api", "events"));
    queues.add_subscription(
        "memory-events",
        events.dead_letters("projects/soul-kun/topics/memory-dead", 10),
    );
    queues.publish("memory-events", 1_200);
    queues.add_subscription("analytics", SubscriptionSeed::pulled());
    let replies = QueueSeed::new()
        .to_host(&host("chatwork-webhook"))
        .rate(5.0)
        .attempts(50);
    queues.add_queue(REGION, "chatwork-replies", replies);
    queues.create_tasks(
        REGION,
        "chatwork-replies",
        300,
        &url("chatwork-webhook", "reply"),
        None,
    );
    let next = SystemClock::new().now() + Duration::from_secs(300);
    let monitor = JobSeed::calls(&url("proactive-monitor", "check"), next);
    queues.add_job(
        REGION,
        "proactive-check",
        monitor.schedule("*/5 * * * *", Duration::from_secs(300)),
    );
}

async fn start_paas(faults: &Faults, rules: &[String]) -> Result<Paas, Failure> {
    let railway = RailwaySim::new(faults.clone());
    let vercel = VercelSim::new(faults.clone());
    let seed = |name: &str| RailwaySeed::new(RAILWAY_PROJECT, RAILWAY_ENVIRONMENT, name);
    let rules_of_the_team = json!({"version": 1, "rules": [{
        "description": "block crawlers", "priority": 0, "enabled": true,
        "if": {"attr": "http.path", "op": "matches", "value": "/internal/*"},
        "then": {"action": "block", "params": {"status": 403, "body": "no"}},
    }]});
    for token in [SIMULATED_TOKEN, SIMULATED_EMERGENCY_TOKEN] {
        railway.add_project_token(token, RAILWAY_PROJECT, RAILWAY_ENVIRONMENT);
    }
    railway.add_service(
        seed("soul-kun-api")?
            .with_running(["dep-soul-1", "dep-soul-2"])
            .with_edge_rules(rules_of_the_team),
    );
    railway.add_service(
        seed("chatwork-webhook")?
            .with_running(["dep-chatwork-1"])
            .with_auto_deploy(true),
    );
    railway.add_service(
        seed("proactive-monitor")?
            .with_running(["dep-monitor-1"])
            .with_auto_deploy(false),
    );
    railway.add_service(
        seed("soulkun-mcp-server")?
            .with_running(["dep-mcp-1"])
            .with_auto_deploy(true),
    );
    vercel.add_project(ProjectSeed::new("prj_soulkun_web")?.with_auto_assign(false));
    for rule in rules {
        let (of_railway, of_vercel) = match rule.as_str() {
            "ignore-stop" => (RailwayRule::StopIsIgnored, VercelRule::PauseIsIgnored),
            "forget-on-restore" => (RailwayRule::RestartBuildsAnew, VercelRule::AutoAssignIsForgotten),
            _ => return Err(unknown_rule(rule)),
        };
        railway.break_rule(of_railway);
        vercel.break_rule(of_vercel);
    }
    let railway_server = LoopbackServer::start(Arc::clone(&railway) as _).await?;
    let vercel_server = LoopbackServer::start(Arc::clone(&vercel) as _).await?;
    Ok(Paas {
        railway: (railway, railway_server),
        vercel: (vercel, vercel_server),
    })
}

fn unknown_rule(rule: &str) -> Failure {
    Failure::usage(
        format!("--break-rule {rule} is not known"),
        "use ignore-stop or forget-on-restore",
    )
}

fn parse_faults(faults: &[String]) -> Result<Faults, Error> {
    let parsed = Faults::new();
    for text in faults {
        let (fault, target) = text.split_once('@').unwrap_or((text, ""));
        let fault: Fault = fault.parse()?;
        if text.ends_with('@') {
            return Err(Error::new(ErrorKind::InvalidInput, "read fault")
                .context("fault", "has no target after the @"));
        }
        parsed.add(match fault {
            Fault::Latency(_) | Fault::Refused => FaultRule::on_all(fault, target),
            // One answer is lost, one deployer comes by.
            Fault::LostAnswer | Fault::Drift => FaultRule::on_writes(fault, target).times(1),
            fault => FaultRule::on_writes(fault, target),
        });
    }
    Ok(parsed)
}
