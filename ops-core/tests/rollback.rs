//! A rollback goes back in the order of its rules, and what must not go back before something else does not.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::actions::StopTraffic;
use ops_core::emergency::{Refusal, Step};
use ops_core::error::{ErrorKind, Result};
use ops_core::memory::InMemoryTraffic;
use ops_core::model::{
    Accepted, Actor, DrilledStep, Effect, IdempotencyKey, Observation, OutcomeStatus, Snapshot, TargetId,
    TenantId, Text, Verdict,
};
use ops_core::pipeline::{DrillSetup, DrillWorld, drill};
use ops_core::ports::{Action, Ramp};
use ops_core::procedures::{Component, rollback};
use ops_core::{Ops, Providers};

fn components(traffic: &Arc<InMemoryTraffic>) -> Vec<(Component, Arc<dyn Action>)> {
    let action = |component: Component| {
        let target = target(component);
        traffic.add_service(target.clone());
        let action = StopTraffic::new(Arc::clone(traffic) as _, target, component.word());
        (component, Arc::new(action) as Arc<dyn Action>)
    };
    Component::ALL.into_iter().map(action).collect()
}

fn target(component: Component) -> TargetId {
    TargetId::new(format!("memory:{}", component.word())).unwrap()
}

#[tokio::test]
async fn the_procedure_closes_in_that_order_and_opens_in_the_reverse_one() {
    let traffic = Arc::new(InMemoryTraffic::new());
    let procedure = rollback("rollback", components(&traffic), |step| step).unwrap();
    let ops = Ops::new(Providers::in_memory(), TenantId::new("org_a").unwrap());
    let alice = Actor::person("alice").unwrap();
    let world = || async { Ok::<_, Refusal>(DrillWorld::new(ops.clone(), procedure.clone())) };
    let report = drill(DrillSetup::new(alice, "in memory"), world)
        .await
        .unwrap()
        .report;
    assert!(report.verdict().passed(), "{report:#?}");
    let stages = |steps: &[DrilledStep]| {
        let stage = |step: &DrilledStep| (step.target.name().to_owned(), step.stage);
        steps.iter().map(stage).collect::<BTreeMap<_, _>>()
    };
    let (back, forth) = (stages(&report.stop_steps), stages(&report.restore_steps));
    assert_eq!(
        (
            back["front-end"],
            back["back-end"],
            back["schema"],
            back["ai-model"]
        ),
        (0, 1, 2, 2)
    );
    assert_eq!(
        (
            forth["front-end"],
            forth["back-end"],
            forth["schema"],
            forth["ai-model"]
        ),
        (2, 1, 0, 0)
    );
    let twice = [components(&traffic), components(&traffic)].concat();
    let twice = rollback("rollback", twice, |step| step).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn a_back_end_that_does_not_go_back_keeps_the_schema_and_the_model_as_they_are() {
    let traffic = Arc::new(InMemoryTraffic::new());
    let components = components(&traffic)
        .into_iter()
        .map(|(component, action)| match component {
            Component::BackEnd => (component, Arc::new(Stuck(action)) as Arc<dyn Action>),
            _ => (component, action),
        });
    let quick = |step: Step| step.with_settle(Duration::ZERO);
    let procedure = rollback("rollback", components.collect(), quick).unwrap();
    let ops = Ops::new(Providers::in_memory(), TenantId::new("org_a").unwrap());
    let report = ops
        .stop(&procedure, Actor::person("alice").unwrap())
        .await
        .unwrap();
    assert!(!traffic.probe(&target(Component::FrontEnd)), "{report:#?}");
    for kept in [Component::BackEnd, Component::Schema, Component::AiModel] {
        assert!(traffic.probe(&target(kept)), "{kept:?}: {report:#?}");
    }
    assert_eq!(report.outcome.status, OutcomeStatus::Partial);
}

/// Accepted, and nothing happens.
#[derive(Debug)]
struct Stuck(Arc<dyn Action>);

#[async_trait]
impl Action for Stuck {
    fn target(&self) -> &TargetId {
        self.0.target()
    }
    fn effect(&self) -> Effect {
        self.0.effect()
    }
    fn describe(&self) -> Text {
        self.0.describe()
    }
    fn describe_restore(&self) -> Text {
        self.0.describe_restore()
    }
    fn limitations(&self) -> Vec<Text> {
        self.0.limitations()
    }
    async fn observe(&self) -> Result<Observation> {
        self.0.observe().await
    }
    fn verify(&self, observed: &Observation) -> Verdict {
        self.0.verify(observed)
    }
    async fn apply(&self, _: &IdempotencyKey) -> Result<Accepted> {
        Ok(Accepted::new())
    }
    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        self.0.restore(prior, key).await
    }
    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}
