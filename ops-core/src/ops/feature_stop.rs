use std::sync::Arc;

use super::Ops;
use crate::actions::SwitchOff;
use crate::emergency::{Procedure, Refusal, Step};
use crate::error::Result;
use crate::guard::{Feature, KillSwitch};
use crate::model::Actor;
use crate::pipeline::Report;

/// One feature of this process with an emergency stop: what a service adds first. Cheap to clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ops_core::model::{Actor, TenantId};
/// use ops_core::{FeatureStop, Ops, Providers};
///
/// let ops = Ops::new(Providers::in_memory(), TenantId::new("org_soulsyncs")?);
/// let brain = FeatureStop::new(&ops, "llm-brain", Actor::service("chat-api")?).await?;
/// assert!(brain.allows());
/// brain.stop(Actor::person("alice")?).await?;
/// assert!(!brain.allows());
///
/// let elsewhere = FeatureStop::new(&ops, "llm-brain", Actor::service("worker")?).await?;
/// assert!(!elsewhere.allows());
/// elsewhere.refresh().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FeatureStop {
    ops: Ops,
    procedure: Procedure,
    switch: Arc<KillSwitch>,
    feature: Feature,
}

impl FeatureStop {
    /// A stop of `feature` in this process and in the store that all processes share, in the name of `service`.
    ///
    /// Reads the store once, so that a restart of a stopped service stays stopped.
    ///
    /// # Errors
    /// The store's, when it cannot be read: whether to start without it is the caller's decision. `InvalidInput` for a name that
    /// cannot be part of a target id.
    pub async fn new(ops: &Ops, feature: &str, service: Actor) -> Result<Self> {
        let providers = ops.providers();
        let (store, clock) = (Arc::clone(&providers.switches), Arc::clone(&providers.clock));
        let (switch, bit) = KillSwitch::single(feature);
        switch.refresh(&*store).await?;
        let switch = Arc::new(switch);
        let off = SwitchOff::new(store, clock, service, feature)?.with_local(Arc::clone(&switch))?;
        let procedure = Procedure::new(format!("switch:{feature}"), vec![Step::new(Arc::new(off))])?;
        Ok(Self {
            ops: ops.clone(),
            procedure,
            switch,
            feature: bit,
        })
    }

    /// Whether the feature may be used: one atomic load.
    #[inline]
    pub fn allows(&self) -> bool {
        self.switch.allows(self.feature)
    }

    /// Takes over what other processes have decided since: call it every second or so, and where nothing runs between requests, at
    /// the beginning of one. Without it, a stop made elsewhere reaches this process when it starts anew.
    ///
    /// # Errors
    /// The store's; what was in force stays in force.
    pub async fn refresh(&self) -> Result<()> {
        let store = &self.ops.providers().switches;
        self.switch.refresh(&**store).await.map(drop)
    }

    /// The handle it works through.
    pub fn ops(&self) -> &Ops {
        &self.ops
    }

    /// What `stop` carries out; a restore needs it.
    pub fn procedure(&self) -> &Procedure {
        &self.procedure
    }

    /// Stops the feature: in this process at once, then for all processes; records and tells.
    ///
    /// # Errors
    /// As [`Ops::stop`].
    ///
    /// # Cancellation
    /// As [`Ops::carry_out`].
    pub async fn stop(&self, actor: Actor) -> Result<Report, Refusal> {
        // Before anything that can wait.
        self.switch.stop_here(self.feature);
        self.ops.stop(&self.procedure, actor).await
    }
}
