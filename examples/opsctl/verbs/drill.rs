use std::path::PathBuf;
use std::sync::Arc;

use ops_core::config::{Env, OpsConfig};
use ops_core::emergency::{Approval, ApprovalKey, Procedure, Refusal};
use ops_core::memory::InMemoryDatabase;
use ops_core::model::{Actor, OutcomeStatus, RunId, TargetId};
use ops_core::pipeline::Report;
use ops_core::ports::{AuditQuery, JournalEntry, JournalEvent};
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::cli::{DrillArgs, Global, WorldName};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, millis, steps_document};
use crate::progress::Progress;
use crate::sim_world::{Extras, SimWorld};
use crate::world::{Database, World};

const APPROVERS: [&str; 2] = ["drill-approver-1", "drill-approver-2"];
const DATABASE_URL: &str = "DATABASE_URL";
const AUDIT_URL: &str = "OPS_AUDIT_DATABASE_URL";

/// What a drill found out about one procedure in one world.
#[derive(Debug)]
struct Finding {
    document: Value,
    exit: Exit,
}

pub(crate) async fn run(_global: &Global, printer: &Printer, args: &DrillArgs) -> Result<Exit, Failure> {
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
    if printer.json() {
        let runs: Vec<_> = findings.into_iter().map(|finding| finding.document).collect();
        printer.document(&json!({"runs": runs, "exit_code": exit.code()}));
        return Ok(exit);
    }
    let exact = findings
        .iter()
        .filter(|finding| finding.exit == Exit::Done)
        .count();
    let all = findings.len();
    printer.line("");
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
    keys: [ApprovalKey; 2],
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
        let keys = [ApprovalKey::generate(), ApprovalKey::generate()];
        let approvers: Vec<_> = APPROVERS
            .iter()
            .zip(&keys)
            .map(|(name, key)| ((*name).to_owned(), key.public_hex()))
            .collect();
        let extras = Extras {
            state_dir: "state",
            approvers: &approvers,
            database: Some((DATABASE_URL, AUDIT_URL)),
            read_only: true,
        };
        let mut config = OpsConfig::parse(&vendors.config(&extras)).map_err(|faults| Failure::Config {
            file: "the drill's own configuration".to_owned(),
            faults,
        })?;
        config.state_dir = PathBuf::from(state.path());
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
        let actor = Actor::person("drill-operator")?;
        let world = World::build(
            config.clone(),
            &env,
            &actor,
            database.clone(),
            Progress::new(false),
        )
        .await?;
        Ok(Self {
            name,
            world,
            config,
            env,
            database,
            actor,
            keys,
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
        let (ops, approvers) = (&self.world.ops, &self.world.approvers);
        let procedure = self.world.procedure(name, &None)?;
        self.world.progress.take();
        let plan = ops.plan(&procedure).await;
        printer.plan(&plan);
        printer.heading(&printer.pick("停止", "stop"));
        let plan = plan.approve(&[], approvers, self.actor.clone(), self.world.now())?;
        let stop = ops.carry_out(plan, &self.actor).await?;
        printer.report(&stop, procedure.contacts());
        let restored = self.restore(printer, &stop, &procedure).await;
        let audit_verified = self
            .audit_is_whole(&stop, restored.as_ref().ok().map(|(report, _)| report))
            .await;
        self.conclude(printer, &stop, restored, audit_verified)
    }

    /// Restores, then reads everything once more through fresh clients.
    async fn restore(
        &self,
        printer: &Printer,
        stop: &Report,
        procedure: &Procedure,
    ) -> Result<(Report, bool), Refusal> {
        let ops = &self.world.ops;
        printer.heading(&printer.pick(
            "復旧（使い捨ての鍵 2 本で承認）",
            "restore (approved with two throw-away keys)",
        ));
        let plan = ops.engine().plan_restore(&stop.outcome.run, procedure).await?;
        let (digest, now) = (plan.digest(), self.world.now());
        let until = now + self.config.approvals.valid_for;
        let approvals: Vec<_> = APPROVERS
            .iter()
            .zip(&self.keys)
            .map(|(name, key)| Approval::sign(*name, digest, until, key))
            .collect();
        let plan = plan.approve(&approvals, &self.world.approvers, self.actor.clone(), now)?;
        let report = ops.carry_out(plan, &self.actor).await?;
        printer.report(&report, procedure.contacts());
        let exact = self.exactly(stop, &report).await.unwrap_or(false);
        Ok((report, exact))
    }

    async fn exactly(&self, stop: &Report, restore: &Report) -> Result<bool, Failure> {
        let fresh = World::build(
            self.config.clone(),
            &self.env,
            &self.actor,
            self.database.clone(),
            Progress::new(true),
        )
        .await?;
        let procedure = fresh.procedure(&stop.outcome.procedure, &None)?;
        let confirmations = fresh
            .ops
            .engine()
            .confirm(&restore.outcome.run, &procedure)
            .await?;
        Ok(confirmations.len() == stop.outcome.steps.len()
            && confirmations
                .iter()
                .all(|confirmation| confirmation.verdict.holds()))
    }

    /// Whether the chain is intact and has a record of every step.
    async fn audit_is_whole(&self, stop: &Report, restore: Option<&Report>) -> bool {
        let (audit, tenant) = (&self.world.ops.providers().audit, &self.config.tenant);
        let intact = audit.verify(tenant).await.is_ok_and(|report| report.intact());
        let mut query = AuditQuery::default();
        query.limit = Some(1000);
        let Ok(page) = audit.search(tenant, &query).await else {
            return false;
        };
        let recorded = |report: &Report| {
            let found = page
                .records
                .iter()
                .filter(|record| record.run.as_ref() == Some(&report.outcome.run))
                .count();
            found == report.outcome.steps.len()
        };
        intact && recorded(stop) && restore.is_none_or(recorded)
    }

    fn conclude(
        &self,
        printer: &Printer,
        stop: &Report,
        restored: Result<(Report, bool), Refusal>,
        audit_verified: bool,
    ) -> Result<Finding, Failure> {
        let stopped_verified = stop.outcome.status == OutcomeStatus::Verified;
        let (restore, exact, refusal) = match restored {
            Ok((report, exact)) => (Some(report), exact, None),
            Err(refusal) => (None, false, Some(refusal)),
        };
        let audited = stop.outcome.audited && restore.as_ref().is_none_or(|report| report.outcome.audited);
        if let Some(refusal) = &refusal {
            printer.line(&printer.warn(&printer.pick(
                &format!("  ✘ 復旧を拒否: {refusal}"),
                &format!("  ✘ restore refused: {refusal}"),
            )));
            if let Refusal::Drifted { steps } = refusal {
                printer.drift(steps);
            }
        }
        let mark = |holds: bool| if holds { "✔" } else { "✘" };
        printer.line(&printer.pick(
            &format!(
                "  {} 停止を確認  {} 完全に復元 (restored exactly)  {} 監査記録あり  {} 監査チェーン検証",
                mark(stopped_verified),
                mark(exact),
                mark(audited),
                mark(audit_verified)
            ),
            &format!(
                "  {} stopped, verified  {} restored exactly  {} audited  {} audit chain verified",
                mark(stopped_verified),
                mark(exact),
                mark(audited),
                mark(audit_verified)
            ),
        ));
        let ended = restore
            .as_ref()
            .map_or(Exit::Done, |report| Exit::from(report.outcome.status));
        let exit = match (&refusal, stopped_verified) {
            (_, false) => Exit::from(stop.outcome.status),
            (Some(Refusal::Undecided(_)), _) => Exit::Failed,
            (Some(_), _) => Exit::Refused,
            (None, true) if ended != Exit::Done => ended,
            (None, true) if !exact => Exit::Unverified,
            (None, true) if !(audited && audit_verified) => Exit::Partly,
            (None, true) => Exit::Done,
        };
        let document = json!({
            "procedure": stop.outcome.procedure,
            "world": self.name,
            "run": stop.outcome.run,
            "plan_digest": stop.outcome.digest,
            "steps": steps_document(stop),
            "stopped_verified": stopped_verified,
            "restore_run": restore.as_ref().map(|report| &report.outcome.run),
            "restore_steps": restore.as_ref().map(steps_document),
            "restore_refused": refusal.as_ref().map(ToString::to_string),
            "restored_exactly": exact,
            "journalled": stop.outcome.journalled && restore.as_ref().is_none_or(|report| report.outcome.journalled),
            "audited": audited,
            "audit_verified": audit_verified,
            "within_target": stop.outcome.within_target,
            "took_ms": millis(stop.outcome.took),
            "notices": stop.notices,
            "timeline": self.world.progress.take().iter().map(timeline).collect::<Vec<_>>(),
            "exit_code": exit.code(),
        });
        Ok(Finding { document, exit })
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

fn simulated_database() -> Result<Database, Failure> {
    let target = TargetId::new("postgres:soul_kun")?;
    let guard = Arc::new(InMemoryDatabase::named(target.clone()));
    Ok(Database { guard, target })
}

fn worst(findings: &[Finding]) -> Exit {
    let order = [Exit::Failed, Exit::Partly, Exit::Unverified, Exit::Refused];
    order
        .into_iter()
        .find(|exit| findings.iter().any(|finding| finding.exit == *exit))
        .unwrap_or(Exit::Done)
}
