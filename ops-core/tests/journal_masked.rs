//! Nothing raw reaches the journal: neither who acted, nor why, nor what a vendor said.
#![allow(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::sync::Arc;

use ops_core::actions::StopTraffic;
use ops_core::emergency::BreakGlass;
use ops_core::memory::{InMemoryJournal, InMemoryTraffic};
use ops_core::model::{Actor, TargetId, TenantId};
use ops_core::ports::Journal;
use ops_core::procedures::api_stop;
use ops_core::{Ops, Providers};

#[tokio::test]
async fn addresses_and_numbers_are_masked_before_they_are_journalled() {
    let journal = Arc::new(InMemoryJournal::new());
    let providers = Providers {
        journal: Arc::clone(&journal) as _,
        ..Providers::in_memory()
    };
    let ops = Ops::new(providers, TenantId::new("org").unwrap());
    let target = TargetId::new("memory:api").unwrap();
    let traffic = Arc::new(InMemoryTraffic::new());
    traffic.add_service(target.clone());
    let stop = StopTraffic::new(traffic, target, "api");
    let procedure = api_stop("api-stop", vec![Arc::new(stop)], |step| step).unwrap();

    let actor = Actor::person("hanako.sato@example.com").unwrap();
    let glass = BreakGlass::new("call 090-1234-5678 or hanako.sato@example.com").unwrap();
    let plan = ops.plan(&procedure).await;
    let now = ops.providers().clock.now();
    let plan = plan.break_glass(glass, actor.clone(), now).unwrap();
    let report = ops.carry_out(plan, &actor).await.unwrap();

    let entries = journal.entries(&report.outcome.run).await.unwrap();
    let text = serde_json::to_string(&(entries, report)).unwrap();
    assert!(
        text.contains("h***@example.com") && text.contains("090-****-5678"),
        "{text}"
    );
    assert!(!text.contains("hanako") && !text.contains("1234-5678"), "{text}");
}
