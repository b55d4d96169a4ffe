use std::collections::BTreeMap;
use std::future::Future;

use super::Report;
use crate::emergency::{
    ApprovalKey, Approved, Approver, Approvers, Confirmation, Draft, Plan, Procedure, Refusal,
};
use crate::error::{Error, Result};
use crate::model::{Actor, Approval, DrillReport, DrilledStep, DrilledTarget, PlannedStep, RunId};
use crate::ops::Ops;
use crate::ports::{AuditQuery, JournalEntry};

/// What a drill acts on: a handle over providers, and a procedure made of their actions.
#[derive(Clone, Debug)]
pub struct DrillWorld {
    ops: Ops,
    procedure: Procedure,
}

impl DrillWorld {
    /// A world. What the procedure leads to is stopped and restored in earnest: give it simulated vendors, providers in memory, or
    /// [`Rehearsal`](crate::actions::Rehearsal)s.
    pub fn new(ops: Ops, procedure: Procedure) -> Self {
        Self { ops, procedure }
    }
}

/// Who drills, and what the report says of the circumstances.
#[derive(Clone, Debug)]
pub struct DrillSetup {
    actor: Actor,
    world: String,
    injected: Vec<String>,
    versions: BTreeMap<String, String>,
}

impl DrillSetup {
    /// `actor` drills on what is called `world`: simulated vendors, in memory, probes only.
    pub fn new(actor: Actor, world: impl Into<String>) -> Self {
        let versions = [("ops-core".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        Self {
            actor,
            world: world.into(),
            injected: Vec::new(),
            versions: versions.into(),
        }
    }

    /// Says what is made to go wrong.
    #[must_use]
    pub fn with_injected(mut self, what: impl IntoIterator<Item = String>) -> Self {
        self.injected.extend(what);
        self
    }

    /// Names something that takes part, and its version.
    #[must_use]
    pub fn with_version(mut self, what: impl Into<String>, version: impl Into<String>) -> Self {
        self.versions.insert(what.into(), version.into());
        self
    }
}

/// A drill that has ended: the evidence, and everything that it was made from.
#[derive(Debug)]
#[must_use = "a drill says what failed"]
#[non_exhaustive]
pub struct Drilled {
    /// The evidence.
    pub report: DrillReport,
    /// The plan of the stop.
    pub plan: Plan<Draft>,
    /// The run that stopped.
    pub stop: Report,
    /// The run that restored, or why not.
    pub restore: Result<Report, Refusal>,
    /// The journal of both runs.
    pub entries: Vec<JournalEntry>,
}

/// Drills a procedure: plans, has approved, stops, plans the restore, has it approved, restores, and reads everything once more.
///
/// This is the production path, and nothing below it knows of the drill. `world` is called twice: for the drill, and for the
/// fresh clients of the last read. Approvals are signed with keys that are made here and thrown away; the report says so.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use ops_core::error::Error;
/// use ops_core::model::{Actor, TargetId, TenantId};
/// use ops_core::pipeline::{DrillSetup, DrillWorld, drill};
/// use ops_core::{Ops, Providers, actions::StopTraffic, emergency::Refusal, memory::InMemoryTraffic, procedures::api_stop};
///
/// let traffic = Arc::new(InMemoryTraffic::new());
/// let target = TargetId::new("memory:chat-api")?;
/// traffic.add_service(target.clone());
/// let ops = Ops::new(Providers::in_memory(), TenantId::new("org_soulsyncs")?);
///
/// let setup = DrillSetup::new(Actor::person("alice")?, "in memory");
/// let drilled = drill(setup, || async {
///     let stop = StopTraffic::new(traffic.clone(), target.clone(), "chat-api");
///     Ok::<_, Refusal>(DrillWorld::new(ops.clone(), api_stop("api-stop", vec![Arc::new(stop)], |step| step)?))
/// })
/// .await?;
/// assert!(drilled.report.verdict().passed());
/// # Ok(()) }
/// ```
///
/// # Errors
/// What `world` gives the first time; the refusal of the stop. A refused restore is part of the report.
///
/// # Cancellation
/// As [`Ops::carry_out`]: what has begun goes on, and the targets stay stopped.
pub async fn drill<W, E>(setup: DrillSetup, world: impl Fn() -> W + Send + Sync) -> Result<Drilled, E>
where
    W: Future<Output = Result<DrillWorld, E>> + Send,
    E: From<Refusal> + Send,
{
    let DrillWorld { ops, procedure } = world().await?;
    let clock = &ops.providers().clock;
    let started_at = clock.now();
    let mut signed = Signed::default();
    let plan = ops.plan(&procedure).await;
    let approved = signed.approve(&ops, plan.clone(), &setup.actor)?;
    let stop = ops.carry_out(approved, &setup.actor).await?;
    let run = &stop.outcome.run;

    let restored = restore(&ops, &procedure, run, &mut signed, &setup.actor).await;
    let confirmed = match &restored {
        Ok((_, report)) => confirm(&world, &report.outcome.run).await,
        Err(_) => Vec::new(),
    };
    let restored_run = restored.as_ref().ok().map(|(_, report)| report);
    let audit_verified = audit_is_whole(&ops, &stop, restored_run).await;
    let mut entries = ops.engine().entries(run).await.unwrap_or_default();
    if let Some(report) = restored_run {
        entries.extend(
            ops.engine()
                .entries(&report.outcome.run)
                .await
                .unwrap_or_default(),
        );
    }
    let outcomes = || [Some(&stop), restored_run].into_iter().flatten();
    let report = DrillReport {
        run: run.clone(),
        restore_run: restored_run.map(|report| report.outcome.run.clone()),
        procedure: procedure.name().to_owned(),
        world: setup.world,
        started_at,
        ended_at: clock.now(),
        stop_digest: stop.outcome.digest,
        restore_digest: restored_run.map(|report| report.outcome.digest),
        approvals: outcomes().map(|report| report.outcome.approval.clone()).collect(),
        throw_away_keys: signed.keys.iter().map(ApprovalKey::public_hex).collect(),
        stopped: stop.outcome.status,
        restored: restored_run.map(|report| report.outcome.status),
        restore_refused: restored.as_ref().err().map(ToString::to_string),
        stop_took: stop.outcome.took,
        stop_promised: plan.promised(),
        restore_took: restored_run.map(|report| report.outcome.took),
        stop_steps: drilled_steps(plan.steps(), &stop),
        restore_steps: restored
            .as_ref()
            .map(|(steps, report)| drilled_steps(steps, report))
            .unwrap_or_default(),
        confirmed,
        journalled: outcomes().all(|report| report.outcome.journalled),
        audited: outcomes().all(|report| report.outcome.audited),
        audit_verified,
        injected: setup.injected,
        versions: setup.versions,
    };
    Ok(Drilled {
        report,
        plan,
        stop,
        restore: restored.map(|(_, report)| report),
        entries,
    })
}

async fn restore(
    ops: &Ops,
    procedure: &Procedure,
    run: &RunId,
    signed: &mut Signed,
    actor: &Actor,
) -> Result<(Vec<PlannedStep>, Report), Refusal> {
    let plan = ops.engine().plan_restore(run, procedure).await?;
    let steps = plan.steps().to_vec();
    let approved = signed.approve(ops, plan, actor)?;
    Ok((steps, ops.carry_out(approved, actor).await?))
}

/// What a second read through fresh clients shows. What cannot be read is not exact.
async fn confirm<W, E>(world: &(impl Fn() -> W + Send + Sync), restore: &RunId) -> Vec<DrilledTarget>
where
    W: Future<Output = Result<DrillWorld, E>> + Send,
    E: From<Refusal> + Send,
{
    let Ok(DrillWorld { ops, procedure }) = world().await else {
        return Vec::new();
    };
    let seen = |confirmation: Confirmation| DrilledTarget {
        target: confirmation.target,
        exact: confirmation.verdict.holds(),
        seen: confirmation.verdict.reason().map(str::to_owned),
        differences: confirmation
            .differences
            .into_iter()
            .map(|difference| difference.path)
            .collect(),
    };
    let confirmed = ops.engine().confirm(restore, &procedure).await;
    confirmed.unwrap_or_default().into_iter().map(seen).collect()
}

/// Whether the chain is intact and has one record of every step.
async fn audit_is_whole(ops: &Ops, stop: &Report, restore: Option<&Report>) -> bool {
    let (audit, tenant) = (&ops.providers().audit, ops.tenant());
    let intact = audit.verify(tenant).await.is_ok_and(|report| report.intact());
    let query = AuditQuery {
        limit: Some(1000),
        actions: vec!["emergency.stop".to_owned(), "emergency.restore".to_owned()],
        from: Some(stop.outcome.started_at),
        ..AuditQuery::default()
    };
    let Ok(page) = audit.search(tenant, &query).await else {
        return false;
    };
    let recorded = |report: &Report| {
        let of_run = |run: &Option<RunId>| run.as_ref() == Some(&report.outcome.run);
        let found = page.records.iter().filter(|record| of_run(&record.run));
        found.count() == report.outcome.steps.len()
    };
    intact && recorded(stop) && restore.is_none_or(recorded)
}

fn drilled_steps(planned: &[PlannedStep], report: &Report) -> Vec<DrilledStep> {
    let step = |planned: &PlannedStep| {
        let mut steps = report.outcome.steps.iter();
        let step = steps.find(|step| step.step == planned.step)?;
        Some(DrilledStep::new(planned, step))
    };
    planned.iter().filter_map(step).collect()
}

/// As many keys as were needed, made for one drill.
#[derive(Debug, Default)]
struct Signed {
    keys: Vec<ApprovalKey>,
}

impl Signed {
    /// Approves as persons would: every approval is checked as any other.
    fn approve(&mut self, ops: &Ops, plan: Plan<Draft>, actor: &Actor) -> Result<Plan<Approved>, Refusal> {
        let (policy, now) = (*plan.policy(), ops.providers().clock.now());
        while self.keys.len() < policy.persons {
            self.keys.push(ApprovalKey::generate());
        }
        let named = || {
            (1..)
                .zip(&self.keys)
                .map(|(number, key)| (format!("drill-approver-{number}"), key))
        };
        let approvers = named()
            .map(|(name, key)| Approver::new(name, &key.public_hex()))
            .collect::<Result<Approvers, Error>>()?;
        let sign = |(name, key)| Approval::sign(name, plan.digest(), now + policy.valid_for, key);
        let approvals: Vec<_> = named().take(policy.persons).map(sign).collect();
        plan.approve(&approvals, &approvers, actor.clone(), now)
    }
}
