use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{AuditReader, Recorder};
use ops_core::config::{ConfigFaults, Env, OpsConfig};
use ops_core::emergency::{Approved, Draft, Plan, Procedure, Refusal, gave_way};
use ops_core::masking::BuiltinMasker;
use ops_core::model::{Actor, Approval, ApprovalRequest, Digest, PlanKind, RunId, TargetId};
use ops_core::ports::{EvidenceSource, JournalEntry, JournalEvent, PiiMasker};

use crate::cli::Global;
use crate::exit::Failure;
use crate::print::Printer;
use crate::progress::Progress;
use crate::world::{Purpose, World, evidence_source};

/// A verb's configuration, who acts, and the world it acts on.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) world: World,
    pub(crate) actor: Actor,
    env: Env,
    purpose: Purpose,
}

impl Session {
    /// Reads the configuration and connects. A database that cannot be reached does not keep a stop from being possible; one in which our schema is missing or older
    /// keeps nothing from being looked at that does not need it.
    pub(crate) async fn open(global: &Global, printer: &Printer, purpose: Purpose) -> Result<Self, Failure> {
        let env = Env::process();
        let actor = actor(global, &env)?;
        let config = load(global, printer)?;
        let world = World::build(config, &env, &actor, None, Progress::for_run(printer), purpose).await?;
        world
            .warnings
            .iter()
            .for_each(|warning| printer.error(&printer.warn(&format!("⚠ {}", printer.text(warning)))));
        Ok(Self {
            world,
            actor,
            env,
            purpose,
        })
    }

    /// The same world, connected afresh: nothing remembered can answer.
    pub(crate) async fn fresh(&self) -> Result<World, Failure> {
        let config = self.world.config.clone();
        World::build(
            config,
            &self.env,
            &self.actor,
            None,
            Progress::new(true),
            self.purpose,
        )
        .await
    }

    pub(crate) fn procedure(&self, name: &str, params: &[String]) -> Result<Procedure, Failure> {
        self.world.procedure(name, &parse_params(params)?)
    }

    /// Records, into the spool where the audit trail does not take it.
    pub(crate) fn recorder(&self) -> Recorder {
        let providers = self.world.ops.providers();
        let recorder = Recorder::new(
            Arc::clone(&providers.audit),
            Arc::clone(&providers.masker),
            Arc::clone(&providers.clock),
        );
        match &providers.audit_spool {
            Some(spool) => recorder.with_spool(spool.clone()),
            None => recorder,
        }
    }

    /// The audit trail for people: who reads it is recorded.
    pub(crate) fn audit_reader(&self) -> AuditReader {
        let providers = self.world.ops.providers();
        AuditReader::new(
            Arc::clone(&providers.audit),
            self.recorder(),
            Arc::clone(&providers.clock),
        )
    }

    /// Where evidence is exported from: the store of the audit trail, through connections of its own.
    pub(crate) async fn evidence_source(&self) -> Result<Arc<dyn EvidenceSource>, Failure> {
        evidence_source(&self.world.config, &self.env).await
    }

    /// What the store has on a digest, unchecked. What is no approval is named and passed over; a store that does not answer has none.
    pub(crate) async fn approvals(&self, digest: Digest, printer: &Printer) -> Vec<Approval> {
        let store = &self.world.ops.providers().approvals;
        let found = match tokio::time::timeout(STORE_BUDGET, store.approvals(digest)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                self.say_unread(printer, &error.to_string());
                return Vec::new();
            }
            Err(_) => {
                self.say_unread(printer, "no answer in time");
                return Vec::new();
            }
        };
        for what in &found.passed_over {
            printer.error(&printer.warn(&printer.pick(
                &format!("⚠ {what} は承認ではないので無視します"),
                &format!("⚠ {what} is no approval and is passed over"),
            )));
        }
        found.approvals
    }

    fn say_unread(&self, printer: &Printer, why: &str) {
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ 承認を読めません ({why})"),
            &format!("⚠ approvals cannot be read ({why})"),
        )));
    }

    /// Approves a plan by what the store has; what is missing is asked for.
    pub(crate) async fn consented(
        &self,
        plan: Plan<Draft>,
        printer: &Printer,
    ) -> Result<Plan<Approved>, Refusal> {
        let request = plan.request(self.actor.clone(), self.world.now());
        if plan.policy().persons > 0 {
            // For the warnings only; the engine reads and checks for itself.
            self.approvals(plan.digest(), printer).await;
        }
        let store = &self.world.ops.providers().approvals;
        let engine = self.world.ops.engine();
        let consented = engine
            .consented(plan, &**store, &self.world.approvers, self.actor.clone())
            .await;
        if let Err(Refusal::NotApproved { .. } | Refusal::Changed { .. }) = &consented {
            self.ask(&request, printer).await;
            printer.error(&format!("  → opsctl approve {} --key FILE", request.digest));
        }
        consented
    }

    /// Files the request for a plan that somebody has to approve.
    pub(crate) async fn ask_if_needed(&self, plan: &Plan<Draft>, printer: &Printer) {
        if plan.policy().persons > 0 {
            let request = plan.request(self.actor.clone(), self.world.now());
            self.ask(&request, printer).await;
        }
    }

    /// Files what others are asked to approve. That it cannot be filed is said, and keeps nothing from going on.
    pub(crate) async fn ask(&self, request: &ApprovalRequest, printer: &Printer) {
        let store = &self.world.ops.providers().approvals;
        let why = match tokio::time::timeout(STORE_BUDGET, store.request(request)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ 承認の依頼を保存できません ({why})"),
            &format!("⚠ the request for approval cannot be filed ({why})"),
        )));
    }

    /// Runs that began here and died before they were recorded; `opsctl resume` records them. One that gave way to another before it did
    /// anything has nothing to take up.
    pub(crate) async fn unrecorded(&self) -> Vec<RunId> {
        let engine = self.world.ops.engine();
        let mut unrecorded = Vec::new();
        for run in engine.runs().await.unwrap_or_default() {
            let entries = engine.entries(&run).await.unwrap_or_default();
            if started(&entries).is_some() && !published(&entries) && !gave_way(&entries) {
                unrecorded.push(run);
            }
        }
        unrecorded
    }
}

/// How long a store of approvals may take.
const STORE_BUDGET: Duration = Duration::from_secs(2);

/// Reads the configuration, and takes its language.
pub(crate) fn load(global: &Global, printer: &Printer) -> Result<OpsConfig, Failure> {
    let file = global.config.display().to_string();
    if !global.config.exists() {
        let remedy = "write it (examples/config has two to begin with), name it with --config, or try `opsctl drill`, which needs none";
        return Err(Failure::usage(
            format!("there is no configuration file {file}"),
            remedy,
        ));
    }
    let config = OpsConfig::load(&global.config).map_err(|error| match ConfigFaults::of(&error) {
        Some(faults) => Failure::Config {
            file: file.clone(),
            faults: faults.clone(),
        },
        None => Failure::Failed(error),
    })?;
    printer.prefer(config.lang);
    Ok(config)
}

/// Who acts: named, by the environment, or nobody in particular.
pub(crate) fn actor(global: &Global, env: &Env) -> Result<Actor, Failure> {
    let id = global
        .actor
        .clone()
        .or_else(|| env.text("OPS_ACTOR"))
        .or_else(|| env.text("USER"))
        .unwrap_or_else(|| "operator".to_owned());
    // An id that looks like a name or an address is masked before it can reach a journal.
    Ok(Actor::person(BuiltinMasker::new().mask(&id))?)
}

/// The only parameter so far is `services`.
fn parse_params(params: &[String]) -> Result<Option<Vec<String>>, Failure> {
    let mut services = None;
    for param in params {
        match param.split_once('=') {
            Some(("services", names)) => {
                services = Some(names.split(',').map(|name| name.trim().to_owned()).collect())
            }
            _ => {
                return Err(Failure::usage(
                    format!("--param {param} is not known"),
                    "use --param services=NAME,NAME",
                ));
            }
        }
    }
    Ok(services)
}

/// The run of `procedure` that holds the prior state of `target`; what is part of a larger stop is restored with it.
pub(crate) async fn holder(session: &Session, target: &TargetId, procedure: &str) -> Result<String, Failure> {
    let engine = session.world.ops.engine();
    let held = engine.held().await?;
    let run = held
        .iter()
        .find(|held| held.snapshot.target() == target)
        .map(|held| held.run.clone())
        .ok_or_else(|| {
            let what = format!("no run of this journal holds the prior state of {target}");
            Failure::usage(
                what,
                "it is not stopped, or was stopped elsewhere; restore it there",
            )
        })?;
    match started(&engine.entries(&run).await?) {
        Some((name, PlanKind::Stop)) if is_of(name, procedure) => Ok(run.to_string()),
        _ => Err(Failure::usage(
            format!("{target} was stopped as part of {run}"),
            format!("opsctl restore {run}"),
        )),
    }
}

/// A procedure of this name, one of its strengths, or one of its times.
fn is_of(name: &str, procedure: &str) -> bool {
    name.strip_prefix(procedure)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}

/// What a run began with.
pub(crate) fn started(entries: &[JournalEntry]) -> Option<(&str, &PlanKind)> {
    entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started { procedure, plan, .. } => Some((procedure.as_str(), plan)),
        _ => None,
    })
}

/// Whether a run was recorded and told to its end.
pub(crate) fn published(entries: &[JournalEntry]) -> bool {
    entries
        .iter()
        .any(|entry| matches!(entry.event, JournalEvent::Published { .. }))
}
