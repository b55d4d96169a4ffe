use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Ops;
use crate::actions::SwitchOff;
use crate::config::{Env, SwitchConfig};
use crate::emergency::{Procedure, Refusal, Step};
use crate::error::Result;
use crate::guard::{
    EntryRefresh, Feature, GuardedCall, KillSwitch, RefreshOptions, SwitchHealth, SwitchRefresher,
};
use crate::model::Actor;
use crate::pipeline::Report;
use crate::ports::SwitchLink;

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
    entry: Arc<EntryRefresh>,
    refresher: Option<Arc<SwitchRefresher>>,
}

impl FeatureStop {
    /// A stop of `feature` in this process and in the store that all processes share, in the name of `service`.
    ///
    /// Reads the store once, for a second at most, so that a restart of a stopped service stays stopped. If it cannot be read, the feature
    /// begins open; [`configured`](Self::configured) takes another default.
    ///
    /// # Errors
    /// `InvalidInput` for a name that cannot be part of a target id.
    pub async fn new(ops: &Ops, feature: &str, service: Actor) -> Result<Self> {
        Self::configured(ops, &SwitchConfig::new(feature), &Env::process(), service).await
    }

    /// As [`new`](Self::new), with the default, the variable and the staleness of `feature`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn configured(ops: &Ops, feature: &SwitchConfig, env: &Env, service: Actor) -> Result<Self> {
        let providers = ops.providers();
        let (store, clock) = (Arc::clone(&providers.switches), Arc::clone(&providers.clock));
        let (switch, bit) = KillSwitch::single_configured(feature, env);
        let switch = Arc::new(switch);
        let entry = EntryRefresh::new(Arc::clone(&switch), Arc::clone(&store), Arc::clone(&clock));
        if let Err(error) = entry.refresh().await {
            tracing::warn!(%error, feature = feature.name, "the switch store cannot be read; the feature begins with its default");
        }
        let off = SwitchOff::new(store, clock, service, &feature.name)?
            .with_local(Arc::clone(&switch))?
            .with_acknowledgements(Arc::clone(&providers.processes));
        let procedure = Procedure::new(format!("switch:{}", feature.name), vec![Step::new(Arc::new(off))])?;
        Ok(Self {
            ops: ops.clone(),
            procedure,
            switch,
            feature: bit,
            entry: Arc::new(entry),
            refresher: None,
        })
    }

    /// Takes over what other processes decide, by a thread of its own ([`SwitchRefresher`]), for as long as a clone of this lives.
    ///
    /// # Errors
    /// As [`SwitchRefresher::start`].
    pub fn kept_fresh<F, W>(mut self, options: RefreshOptions, connect: F) -> Result<Self>
    where
        F: Fn() -> W + Send + Sync + 'static,
        W: Future<Output = Result<SwitchLink>> + Send + 'static,
    {
        let refresher = SwitchRefresher::start(Arc::clone(&self.switch), options, connect)?;
        self.refresher = Some(Arc::new(refresher));
        Ok(self)
    }

    /// Whether the feature may be used by everybody: one atomic load.
    #[inline]
    pub fn allows(&self) -> bool {
        self.switch.allows(self.feature)
    }

    /// Whether `subject` may use it: see [`KillSwitch::admits`].
    pub fn admits(&self, subject: &str) -> bool {
        self.switch.admits(self.feature, subject)
    }

    /// Lets a call in and counts it: see [`KillSwitch::enter`].
    pub fn enter(&self) -> Option<GuardedCall<'_>> {
        self.switch.enter(self.feature)
    }

    /// Runs `work`, and ends it in the middle when the feature is stopped: see [`KillSwitch::run`].
    pub async fn run<F: Future>(&self, work: F) -> Option<F::Output> {
        self.switch.run(self.feature, work).await
    }

    /// Ends when the feature is stopped: see [`KillSwitch::stopped`].
    pub async fn stopped(&self) {
        self.switch.stopped(self.feature).await;
    }

    /// Takes over what other processes have decided since. Not needed with [`kept_fresh`](Self::kept_fresh); where nothing runs between
    /// requests, use [`refresh_if_older`](Self::refresh_if_older).
    ///
    /// # Errors
    /// The store's; what was in force stays in force.
    pub async fn refresh(&self) -> Result<()> {
        self.entry.refresh().await
    }

    /// As [`refresh`](Self::refresh) unless that was tried within `max_age`: at the beginning of a request, where nothing runs between
    /// requests. See [`EntryRefresh`] for the bound.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    pub async fn refresh_if_older(&self, max_age: Duration) -> Result<()> {
        self.entry.refresh_if_older(max_age).await
    }

    /// How well this process knows what the others have decided; `None` without [`kept_fresh`](Self::kept_fresh).
    pub fn health(&self) -> Option<SwitchHealth> {
        self.refresher.as_ref().map(|refresher| refresher.health())
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
