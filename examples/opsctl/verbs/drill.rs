use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ops_core::config::{Env, OpsConfig};
use ops_core::emergency::Refusal;
use ops_core::memory::InMemoryDatabase;
use ops_core::model::{Actor, DrillReport, DrillVerdict, OutcomeStatus, RunId, TargetId};
use ops_core::pipeline::{DrillSetup, DrillWorld, Drilled, drill};
use ops_core::ports::{JournalEntry, JournalEvent};
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::drill_evidence;
use crate::cli::{DrillArgs, Global, WorldName};
use crate::evidence::Evidence;
use crate::exit::{Exit, Failure};
use crate::print::{Printer, millis, steps_document};
use crate::progress::Progress;
use crate::sim_world::{Extras, SimWorld};
use crate::world::{Database, Purpose, World};

const DRILLER: &str = "drill-operator";
const DATABASE_URL: &str = "DATABASE_URL";
const AUDIT_URL: &str = "OPS_AUDIT_DATABASE_URL";

/// What a drill found out about one procedure in one world.
#[derive(Debug)]
struct Finding {
    document: Value,
    exit: Exit,
    report: DrillReport,
}

pub(crate) async fn run(global: &Global, printer: &Printer, args: &DrillArgs) -> Result<Exit, Failure> {
    if let Some(verb) = &args.verb {
        return drill_evidence::run(global, printer, verb).await;
    }
    // A place that cannot be used is said before the drill, not after it.
    let evidence = Evidence::open(global, printer, args.evidence.as_deref()).await?;
    printer.line(&printer.pick(
        "訓練: 模擬のベンダーに対して、本番と同じ手順で 停止 → 確認 → 復旧 を行います。実在のサービスには触れません。",
        "Drill: stop, verify and restore by the production path, on simulated vendors. No real service is touched.",
    ));
    let env = Env::process();
    let scratch = match env.secret(DATABASE_URL) {
        Some(url) => Some(scratch(&url).await?),
        None => None,
    };
    let result = drill_worlds(printer, args, scratch.as_ref()).await;
    if let Some(scratch) = scratch {
        scratch.drop_all().await?;
    }
    let findings = result?;
    if findings.is_empty() {
        return Err(Failure::usage(
            "no procedure of that name",
            "use llm-brain-stop or api-stop, or none for both",
        ));
    }
    let exit = worst(&findings);
    if let Some(evidence) = &evidence {
        let actor = Actor::person(DRILLER)?;
        for finding in &findings {
            evidence.keep(printer, &finding.report, &actor).await?;
        }
    }
    if printer.json() {
        let runs: Vec<_> = findings.into_iter().map(|finding| finding.document).collect();
        let kept = evidence
            .as_ref()
            .map(|evidence| evidence.directory.join("drills"));
        printer.document(&json!({"runs": runs, "evidence": kept, "exit_code": exit.code()}));
        return Ok(exit);
    }
    printer.line("");
    printer.line(&match &evidence {
        Some(evidence) => {
            let place = evidence.directory.join("drills");
            printer.pick(
                &format!("記録を保存しました: {}（opsctl drill list）", place.display()),
                &format!("kept as evidence in {} (opsctl drill list)", place.display()),
            )
        }
        None => printer.pick(
            "記録は保存していません。保存するには --evidence DIR、または ops.toml のある所で実行してください",
            "not kept: use --evidence DIR, or run where an ops.toml is",
        ),
    });
    let exact = findings
        .iter()
        .filter(|finding| finding.exit == Exit::Done)
        .count();
    let all = findings.len();
    printer.heading(&match exit {
        Exit::Done => printer.pick(
            &format!("訓練の結果: {exact}/{all} 停止を確認し、完全に復元しました (restored exactly)"),
            &format!("drill: {exact} of {all} stopped, verified and restored exactly"),
        ),
        _ => printer.pick(
            &format!("訓練の結果: 完全に終えたのは {exact}/{all} です。上の ✘ を確認してください"),
            &format!("drill: only {exact} of {all} went all the way; see ✘ above"),
        ),
    });
    Ok(exit)
}

/// The drill's own database on the server that the variable names; the one named is never altered.
async fn scratch(url: &SecretString) -> Result<ScratchDatabase, Failure> {
    let run = RunId::generate(ops_core::ports::Clock::now(&ops_core::clock::SystemClock::new()));
    let unique = &run.as_str()[run.as_str().len() - 12..];
    Ok(ScratchDatabase::create(url, &format!("ops_drill_{unique}")).await?)
}

async fn drill_worlds(
    printer: &Printer,
    args: &DrillArgs,
    scratch: Option<&ScratchDatabase>,
) -> Result<Vec<Finding>, Failure> {
    let worlds: &[WorldName] = match args.world {
        WorldName::All => &[WorldName::Gcp, WorldName::Paas],
        WorldName::Gcp => &[WorldName::Gcp],
        WorldName::Paas => &[WorldName::Paas],
    };
    let mut findings = Vec::new();
    for world in worlds {
        findings.extend(
            Drill::start(*world, args, scratch)
                .await?
                .all(printer, args)
                .await?,
        );
    }
    Ok(findings)
}

/// One world to drill in.
#[derive(Debug)]
struct Drill {
    name: &'static str,
    world: World,
    config: OpsConfig,
    env: Env,
    database: Option<Database>,
    actor: Actor,
    injected: Vec<String>,
    _vendors: SimWorld,
    _state: tempfile::TempDir,
}

impl Drill {
    async fn start(
        world: WorldName,
        args: &DrillArgs,
        scratch: Option<&ScratchDatabase>,
    ) -> Result<Self, Failure> {
        let name = if world == WorldName::Gcp { "gcp" } else { "paas" };
        let vendors = SimWorld::start(world, &args.fault, &args.break_rule).await?;
        let state = tempfile::tempdir().map_err(|error| {
            Failure::usage(
                format!("cannot make a temporary folder: {}", error.kind()),
                "set TMPDIR to a folder that can be written",
            )
        })?;
        let extras = Extras {
            state_dir: "state",
            approvers: &[],
            database: Some((DATABASE_URL, AUDIT_URL)),
            read_only: true,
        };
        let mut config = OpsConfig::parse(&vendors.config(&extras)).map_err(|faults| Failure::Config {
            file: "the drill's own configuration".to_owned(),
            faults,
        })?;
        config.state_dir = PathBuf::from(state.path());
        // As in production; the drill signs with keys of its own.
        config.approvals.restore = 2;
        let url = |url: &SecretString| url.expose_secret().to_owned();
        let env = Env::from_pairs(scratch.into_iter().flat_map(|scratch| {
            [
                (DATABASE_URL, url(scratch.owner_url())),
                (AUDIT_URL, url(scratch.audit_url())),
            ]
        }));
        let database = match scratch {
            Some(_) => None,
            None => Some(simulated_database()?),
        };
        let actor = Actor::person(DRILLER)?;
        let world = World::build(
            config.clone(),
            &env,
            &actor,
            database.clone(),
            Progress::new(false),
            Purpose::Act,
        )
        .await?;
        Ok(Self {
            name,
            world,
            config,
            env,
            database,
            actor,
            injected: injected(args),
            _vendors: vendors,
            _state: state,
        })
    }

    async fn all(&self, printer: &Printer, args: &DrillArgs) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let wanted = |name: &str| args.procedure.as_deref().is_none_or(|wanted| wanted == name);
        for procedure in self
            .config
            .procedures
            .iter()
            .filter(|procedure| wanted(&procedure.name))
        {
            printer.line("");
            printer.heading(&format!("── {} / {}", self.name, procedure.name));
            findings.push(self.one(printer, &procedure.name).await?);
        }
        Ok(findings)
    }

    async fn one(&self, printer: &Printer, name: &str) -> Result<Finding, Failure> {
        let begun = AtomicBool::new(false);
        let make = || async {
            // The second time: fresh clients, so that nothing remembered can answer.
            if !begun.swap(true, Ordering::SeqCst) {
                let procedure = self.world.procedure(name, &None)?;
                return Ok::<_, Failure>(DrillWorld::new(self.world.ops.clone(), procedure));
            }
            let fresh = World::build(
                self.config.clone(),
                &self.env,
                &self.actor,
                self.database.clone(),
                Progress::new(true),
                Purpose::Act,
            )
            .await?;
            let procedure = fresh.procedure(name, &None)?;
            Ok(DrillWorld::new(fresh.ops, procedure))
        };
        self.world.progress.take();
        let setup = DrillSetup::new(self.actor.clone(), format!("simulated {}", self.name))
            .with_injected(self.injected.iter().cloned())
            .with_version("opsctl", env!("CARGO_PKG_VERSION"));
        let drilled = drill(setup, make).await?;
        self.show(printer, &drilled);
        Ok(self.conclude(printer, drilled))
    }

    fn show(&self, printer: &Printer, drilled: &Drilled) {
        let contacts = drilled.plan.procedure().contacts();
        printer.plan(&drilled.plan);
        printer.heading(&printer.pick("停止", "stop"));
        printer.report(&drilled.stop, contacts);
        printer.heading(&printer.pick(
            "復旧（使い捨ての鍵で承認）",
            "restore (approved with throw-away keys)",
        ));
        match &drilled.restore {
            Ok(report) => printer.report(report, contacts),
            Err(refusal) => {
                printer.line(&printer.warn(&printer.pick(
                    &format!("  ✘ 復旧を拒否: {refusal}"),
                    &format!("  ✘ restore refused: {refusal}"),
                )));
                if let Refusal::Drifted { steps } = refusal {
                    printer.drift(steps);
                }
            }
        }
    }

    fn conclude(&self, printer: &Printer, drilled: Drilled) -> Finding {
        let Drilled {
            report,
            stop,
            restore,
            ..
        } = drilled;
        let stopped_verified = report.stopped == OutcomeStatus::Verified;
        let exact = report.restored_exactly() && report.restored.is_some();
        let mark = |holds: bool| if holds { "✔" } else { "✘" };
        printer.line(&printer.pick(
            &format!(
                "  {} 停止を確認  {} 完全に復元 (restored exactly)  {} 監査記録あり  {} 監査チェーン検証",
                mark(stopped_verified),
                mark(exact),
                mark(report.audited),
                mark(report.audit_verified)
            ),
            &format!(
                "  {} stopped, verified  {} restored exactly  {} audited  {} audit chain verified",
                mark(stopped_verified),
                mark(exact),
                mark(report.audited),
                mark(report.audit_verified)
            ),
        ));
        let exit = match (report.verdict(), &restore) {
            (DrillVerdict::Passed, _) => Exit::Done,
            (DrillVerdict::NotStopped, _) => Exit::from(report.stopped),
            (DrillVerdict::RestoreRefused, Err(Refusal::Undecided(_))) => Exit::Failed,
            (DrillVerdict::RestoreRefused, _) => Exit::Refused,
            (DrillVerdict::NotRestored, _) => report.restored.map_or(Exit::Failed, Exit::from),
            (DrillVerdict::NotExact, _) => Exit::Unverified,
            (DrillVerdict::NotRecorded, _) => Exit::Partly,
        };
        let restore = restore.ok();
        let document = json!({
            "procedure": report.procedure,
            "world": self.name,
            "run": report.run,
            "plan_digest": report.stop_digest,
            "steps": steps_document(&stop),
            "stopped_verified": stopped_verified,
            "restore_run": report.restore_run,
            "restore_steps": restore.as_ref().map(steps_document),
            "restore_refused": report.restore_refused,
            "restored_exactly": exact,
            "confirmed": report.confirmed,
            "journalled": report.journalled,
            "audited": report.audited,
            "audit_verified": report.audit_verified,
            "within_target": report.within_target(),
            "took_ms": millis(report.stop_took),
            "notices": stop.notices,
            "timeline": self.world.progress.take().iter().map(timeline).collect::<Vec<_>>(),
            "verdict": report.verdict(),
            "report_digest": report.digest(),
            "exit_code": exit.code(),
        });
        Finding {
            document,
            exit,
            report,
        }
    }
}

/// An entry without the bulk that stands elsewhere in the document.
fn timeline(entry: &JournalEntry) -> Value {
    let mut line = json!(entry);
    if let Some(line) = line.as_object_mut() {
        line.remove("steps");
        line.remove("left");
        if let JournalEvent::Started { plan, .. } = &entry.event {
            line.insert("plan".to_owned(), json!(plan));
        }
    }
    line
}

/// What is made to go wrong, as it was asked for.
fn injected(args: &DrillArgs) -> Vec<String> {
    let faults = args.fault.iter().map(|fault| format!("fault {fault}"));
    let rules = args.break_rule.iter().map(|rule| format!("broken rule {rule}"));
    faults.chain(rules).collect()
}

fn simulated_database() -> Result<Database, Failure> {
    let target = TargetId::new("postgres:soul_kun")?;
    let database = InMemoryDatabase::named(target.clone());
    Ok(Database::new(target, |strength| {
        Arc::new(database.clone().with_strength(strength))
    }))
}

fn worst(findings: &[Finding]) -> Exit {
    let order = [Exit::Failed, Exit::Partly, Exit::Unverified, Exit::Refused];
    order
        .into_iter()
        .find(|exit| findings.iter().any(|finding| finding.exit == *exit))
        .unwrap_or(Exit::Done)
}
