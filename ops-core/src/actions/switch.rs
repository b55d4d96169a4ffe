use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::guard::{Feature, KillSwitch};
use crate::messages;
use crate::model::{
    Accepted, Actor, Effect, IdempotencyKey, Observation, RunId, Snapshot, TargetId, TargetState, Text,
    Verdict,
};
use crate::ports::{Action, Clock, Ramp, SwitchState, SwitchStore, SwitchedOff};

/// Stops one feature by its kill switch: in this process at once, then in the store that all processes share.
#[derive(Clone, Debug)]
pub struct SwitchOff {
    store: Arc<dyn SwitchStore>,
    clock: Arc<dyn Clock>,
    actor: Actor,
    feature: String,
    target: TargetId,
    local: Option<(Arc<KillSwitch>, Feature)>,
}

const FORMAT: &str = "switch/1";
const STATE: &str = "state";
const OPEN: &str = "open";
const STOPPED: &str = "stopped";
/// How often a lost race for the store is run again.
const ROUNDS: usize = 16;

impl SwitchOff {
    /// Stops `feature` in `store`, in the name of `actor`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a feature name that cannot be part of a target id.
    pub fn new(
        store: Arc<dyn SwitchStore>,
        clock: Arc<dyn Clock>,
        actor: Actor,
        feature: impl Into<String>,
    ) -> Result<Self> {
        let feature = feature.into();
        let target = TargetId::new(format!("switch:{feature}"))?;
        Ok(Self {
            store,
            clock,
            actor,
            feature,
            target,
            local: None,
        })
    }

    /// Also stops the feature in this process, before the store is asked.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if `switch` has no such feature.
    pub fn with_local(mut self, switch: Arc<KillSwitch>) -> Result<Self> {
        let feature = switch.feature(&self.feature).ok_or_else(|| {
            Error::new(ErrorKind::InvalidConfig, "build switch action")
                .context("feature", "the kill switch has no feature of that name")
        })?;
        self.local = Some((switch, feature));
        Ok(self)
    }

    /// Stops the feature outside of a run: in this process at once, then in the store.
    ///
    /// # Errors
    /// The store's; the feature is stopped in this process all the same.
    pub async fn stop(&self) -> Result<Accepted> {
        self.close(None).await
    }

    /// Opens the feature in the store, then in this process.
    ///
    /// # Errors
    /// The store's; nothing is opened then.
    pub async fn open(&self) -> Result<Accepted> {
        let accepted = self
            .update(|stopped| stopped.remove(&self.feature).is_some())
            .await?;
        if let Some((switch, feature)) = &self.local {
            switch.open_here(*feature);
            switch.refresh(&*self.store).await?;
        }
        Ok(accepted)
    }

    async fn close(&self, run: Option<RunId>) -> Result<Accepted> {
        if let Some((switch, feature)) = &self.local {
            switch.stop_here(*feature);
        }
        let off = SwitchedOff::new(self.clock.now(), self.actor.clone(), run);
        let accepted = self.update(|stopped| {
            let open = !stopped.contains_key(&self.feature);
            if open {
                stopped.insert(self.feature.clone(), off.clone());
            }
            open
        });
        accepted.await
    }

    /// Reads, changes and writes until no other writer was in between.
    async fn update(&self, change: impl Fn(&mut BTreeMap<String, SwitchedOff>) -> bool) -> Result<Accepted> {
        for _ in 0..ROUNDS {
            let SwitchState {
                generation,
                mut stopped,
            } = self.store.read().await?;
            if !change(&mut stopped) {
                return Ok(Accepted::with_receipt(format!("generation {generation}")));
            }
            match self.store.write(generation, &stopped).await {
                Ok(generation) => return Ok(Accepted::with_receipt(format!("generation {generation}"))),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "write switch")
            .context("cause", "other writers were always faster"))
    }
}

#[async_trait]
impl Action for SwitchOff {
    fn target(&self) -> &TargetId {
        &self.target
    }

    fn effect(&self) -> Effect {
        Effect::Reversible
    }

    fn describe(&self) -> Text {
        messages::switch_off(&self.feature)
    }

    fn describe_restore(&self) -> Text {
        messages::switch_on(&self.feature)
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn observe(&self) -> Result<Observation> {
        let state = self.store.read().await?;
        let off = state.stopped.get(&self.feature);
        let stopped_here = self
            .local
            .as_ref()
            .is_none_or(|(switch, feature)| !switch.allows(*feature));
        let seen = match (off.is_some(), stopped_here) {
            (true, true) => TargetState::Stopped,
            (true, false) => TargetState::PartlyStopped,
            (false, _) => TargetState::Serving,
        };
        let value = if off.is_some() { STOPPED } else { OPEN };
        let snapshot = Snapshot::new(self.target.clone(), FORMAT).with_field(STATE, value);
        let blocked_here = self.local.is_some() && stopped_here && off.is_none();
        let settled = match blocked_here {
            true => Verdict::not_yet("open in the store, stopped in this process"),
            false => Verdict::Holds,
        };
        let marker = off.and_then(|off| off.run.clone());
        Ok(Observation::new(snapshot, seen)
            .with_settled(settled)
            .with_marker(marker))
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        self.close(RunId::new(key.run()).ok()).await
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        if prior.format() != FORMAT {
            return Err(
                Error::new(ErrorKind::InvalidInput, "restore switch").context("format", prior.format())
            );
        }
        if prior.field(STATE).and_then(serde_json::Value::as_str) != Some(OPEN) {
            return self.apply(key).await;
        }
        self.open().await
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}
