//! The way from `record` to the store: the task that brings records there, what happens without room, and what can be forgotten.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]
#![allow(clippy::clone_on_ref_ptr, reason = "a test shares its doubles as ports")]

mod ahead;
#[cfg(unix)]
mod crash;
mod drain;
mod forget;
#[cfg(unix)]
mod full;
mod troubled;

use std::sync::Arc;

use ops_core::audit::{Recorder, Spool};
use ops_core::masking::BuiltinMasker;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{AuditStore, Clock};

fn tenant() -> TenantId {
    TenantId::new("org_a").unwrap()
}

fn record(n: i64) -> AuditRecord {
    acting("report.view", n)
}

fn acting(action: &str, n: i64) -> AuditRecord {
    let actor = Actor::person("kazu").unwrap();
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n);
    AuditRecord::new(at, tenant(), actor, action, "report", n.to_string())
}

fn recorder<S: AuditStore>(store: &Arc<S>, spool: Spool, clock: Arc<dyn Clock>) -> Recorder {
    let store = Arc::clone(store) as Arc<dyn AuditStore>;
    Recorder::new(store, Arc::new(BuiltinMasker::new()), clock).with_spool(spool)
}
