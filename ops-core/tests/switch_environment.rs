//! The variable of the first runbook, from the preset to its effect.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicU32, Ordering};

use ops_core::config::{Env, Preset, SwitchConfig, preset};
use ops_core::model::{Actor, OutcomeStatus, TenantId};
use ops_core::{FeatureStop, Ops, Providers};

/// A process of the service, as it is started with `env`.
async fn started(ops: &Ops, brain: &SwitchConfig, env: &[(&str, &str)]) -> FeatureStop {
    let env = Env::from_pairs(env.iter().copied());
    FeatureStop::configured(ops, brain, &env, Actor::service("chat-api").unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_process_started_with_the_runbooks_variable_never_asks_the_model_whatever_the_shared_switch_says() {
    let config = preset(Preset::SoulKun).unwrap();
    let brain = config
        .switches
        .iter()
        .find(|switch| switch.name == "llm-brain")
        .unwrap();
    let ops = Ops::new(Providers::in_memory(), TenantId::new("org_soulsyncs").unwrap());
    let asked = AtomicU32::new(0);
    let ask = || async {
        asked.fetch_add(1, Ordering::SeqCst);
        "an answer"
    };

    let off = started(&ops, brain, &[("USE_BRAIN_ARCHITECTURE", "false")]).await;
    assert!(!off.allows());
    assert_eq!(off.run(ask()).await, None);
    off.refresh().await.unwrap();
    assert_eq!(
        off.run(ask()).await,
        None,
        "the shared switch is open, and does not open this"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);

    for env in [&[("USE_BRAIN_ARCHITECTURE", "true")][..], &[]] {
        let on = started(&ops, brain, env).await;
        assert_eq!(
            on.run(ask()).await,
            Some("an answer"),
            "opened by a restart without it"
        );
    }
    // It is a layer of its own: the shared switch stops what the variable does not.
    let on = started(&ops, brain, &[("USE_BRAIN_ARCHITECTURE", "true")]).await;
    let stopped = off.stop(Actor::person("alice").unwrap()).await.unwrap();
    assert_eq!(stopped.outcome.status, OutcomeStatus::Verified);
    on.refresh().await.unwrap();
    assert_eq!(on.run(ask()).await, None);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
