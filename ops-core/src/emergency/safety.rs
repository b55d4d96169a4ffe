use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::execute::{Run, report};
use super::plan::{Approved, Draft, Plan};
use super::procedure::{Procedure, Step};
use super::rules::{Rule, View, Violation};
use super::{Engine, Refusal};
use crate::messages::WITHHELD;
use crate::model::{
    Actor, ActorKind, BrokenGlass, PlanKind, PlannedStep, RunId, StepReport, StepResult, TargetId, Timestamp,
    Verdict,
};

pub(super) use super::rules::Looks;

/// What a run keeps to from stage to stage.
#[derive(Debug)]
pub(super) struct Safety {
    pub(super) overrides: BTreeSet<String>,
    pub(super) actor: ActorKind,
    /// All steps of the plan.
    pub(super) steps: Vec<PlannedStep>,
    /// The stage for which the rules have just been judged.
    pub(super) judged: Option<u32>,
    pub(super) broken_glass: bool,
    /// For a broken glass.
    pub(super) review_due: Option<Timestamp>,
}

impl Plan<Draft> {
    /// What a stop by `actor` would break now, but for what is overridden.
    pub(super) fn violations(
        &self,
        actor: &Actor,
        overrides: &BTreeSet<String>,
        now: Timestamp,
    ) -> Vec<Violation> {
        if !matches!(self.kind(), PlanKind::Stop) {
            return Vec::new();
        }
        let view = View {
            steps: self.steps(),
            looks: self.looks(),
            stage: None,
            actor: actor.kind(),
            now,
        };
        broken(self.procedure().rules(), overrides, view)
    }

    /// The rules that a stop by `actor` would break: what a plan shows, and what a broken glass has to name.
    pub fn broken_rules(&self, actor: &Actor, now: Timestamp) -> Vec<Violation> {
        self.violations(actor, &BTreeSet::new(), now)
    }
}

impl Engine {
    /// Observes what the rules look at, at most 2 s; without rules nothing.
    pub(super) async fn look_around(&self, procedure: &Procedure) -> Looks {
        let wanted: BTreeSet<TargetId> = procedure
            .rules
            .iter()
            .flat_map(|rule| rule.rule().targets())
            .cloned()
            .collect();
        if wanted.is_empty() {
            return Looks::new();
        }
        let of_steps = procedure.steps.iter().map(|step| &step.action);
        let seen: BTreeMap<_, _> = of_steps
            .chain(&procedure.watched)
            .filter(|action| wanted.contains(action.target()))
            .map(|action| (action.target().clone(), Step::new(Arc::clone(action))))
            .collect();
        let (targets, steps): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
        let observed = self.observe_all(&steps).await;
        let states = observed
            .into_iter()
            .map(|observed| observed.ok().map(|observed| observed.state()));
        targets.into_iter().zip(states).collect()
    }

    /// Judges the rules, and for automation its limits, right before the first effect.
    pub(super) async fn permit(
        &self,
        run: &RunId,
        procedure: &Procedure,
        steps: &[PlannedStep],
        looks: Looks,
        authority: &Approved,
    ) -> Result<Safety, Refusal> {
        let safety = Safety::of(authority, steps);
        let view = View {
            steps,
            looks: &looks,
            stage: None,
            actor: safety.actor,
            now: self.clock.now(),
        };
        let mut rules = broken(&procedure.rules, &safety.overrides, view);
        if safety.actor == ActorKind::Automation {
            rules.extend(self.beyond_automation(run, procedure, steps).await);
        }
        if !rules.is_empty() {
            return Err(Refusal::Violates { rules });
        }
        Ok(safety)
    }

    /// Why the next stage of a stop must not begin: its rules, judged on fresh observations.
    pub(super) async fn withheld(&self, run: &Run, todo: &[PlannedStep]) -> Option<String> {
        let stage = todo.first()?.stage;
        let (procedure, safety) = (&run.procedure, &run.safety);
        if !matches!(run.kind, PlanKind::Stop) || procedure.rules.is_empty() || safety.judged == Some(stage) {
            return None;
        }
        let looks = self.look_around(procedure).await;
        let view = View {
            steps: &safety.steps,
            looks: &looks,
            stage: Some(stage),
            actor: safety.actor,
            now: self.clock.now(),
        };
        let broken = broken(&procedure.rules, &safety.overrides, view);
        let broken: Vec<_> = broken.iter().map(ToString::to_string).collect();
        (!broken.is_empty()).then(|| self.masked(format!("{WITHHELD}{}", broken.join(", "))))
    }
}

impl Safety {
    pub(super) fn of(authority: &Approved, steps: &[PlannedStep]) -> Self {
        let overrides = authority
            .glass
            .iter()
            .flat_map(|glass| glass.overrides.iter().cloned());
        Self {
            overrides: overrides.collect(),
            actor: authority.actor.kind(),
            steps: steps.to_vec(),
            judged: steps.iter().map(|step| step.stage).min(),
            broken_glass: authority.glass.is_some(),
            review_due: None,
        }
    }

    /// Of a run that is taken up: every stage is judged anew.
    pub(super) fn again(actor: ActorKind, glass: Option<BrokenGlass>, steps: &[PlannedStep]) -> Self {
        Self {
            broken_glass: glass.is_some(),
            overrides: glass
                .map(|glass| glass.overrides.into_iter().collect())
                .unwrap_or_default(),
            actor,
            steps: steps.to_vec(),
            judged: None,
            review_due: None,
        }
    }
}

/// The report of a step whose stage was withheld.
pub(super) fn not_attempted(planned: PlannedStep, reason: &str) -> StepReport {
    report(
        planned,
        StepResult::Skipped,
        Verdict::unknown(reason),
        std::time::Duration::ZERO,
        true,
    )
}

fn broken(rules: &[Rule], overrides: &BTreeSet<String>, view: View<'_>) -> Vec<Violation> {
    let kept = rules.iter().filter(|rule| !overrides.contains(rule.name()));
    kept.filter_map(|rule| rule.broken_by(view)).collect()
}
