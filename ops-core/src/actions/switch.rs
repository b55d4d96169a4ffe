use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::guard::{Feature, KillSwitch, Moment};
use crate::messages;
use crate::model::{
    Accepted, Actor, Effect, IdempotencyKey, Observation, RunId, Share, Snapshot, TargetId, TargetState,
    Text, Verdict,
};
use crate::ports::{Action, Clock, Presence, ProcessRegistry, Ramp, SwitchState, SwitchStore, SwitchedOff};
use crate::resilience::Deadline;

/// Stops one feature by its kill switch: in this process at once, then in the store that all processes share.
#[derive(Clone, Debug)]
pub struct SwitchOff {
    store: Arc<dyn SwitchStore>,
    clock: Arc<dyn Clock>,
    actor: Actor,
    feature: String,
    target: TargetId,
    local: Option<(Arc<KillSwitch>, Feature)>,
    processes: Option<Arc<dyn ProcessRegistry>>,
}

const FORMAT: &str = "switch/1";
const STATE: &str = "state";
const OPEN: &str = "open";
const STOPPED: &str = "stopped";
const PARTLY: &str = "partly open";
/// In hundredths of a percent; only where the state is [`PARTLY`].
const ADMITTED: &str = "admitted";
/// How long the processes may take to be listed; what waits for the verdict is not the stop.
/// Less than the engine grants an observation, so that a slow list is a verdict of its own and not a failed look.
const LIST_BUDGET: Duration = Duration::from_secs(1);
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
            processes: None,
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

    /// Lets the verdict of a stop wait until every process that has the feature has applied it, and names those that have not. Without it, as
    /// with a registry that no process reports to, the store alone decides.
    #[must_use]
    pub fn with_acknowledgements(mut self, processes: Arc<dyn ProcessRegistry>) -> Self {
        self.processes = Some(processes);
        self
    }

    /// Stops the feature outside of a run: in this process at once, then in the store.
    ///
    /// # Errors
    /// The store's; the feature is stopped in this process all the same.
    pub async fn stop(&self) -> Result<Accepted> {
        self.close(None).await
    }

    /// Opens the feature in the store, then in this process. A stop that is made in this process meanwhile stays.
    ///
    /// # Errors
    /// The store's; nothing is opened then.
    pub async fn open(&self) -> Result<Accepted> {
        let since = self.moment();
        let accepted = self
            .update(|stopped| stopped.remove(&self.feature).is_some())
            .await?;
        self.open_local(since).await?;
        Ok(accepted)
    }

    /// As [`open`](Self::open), but only what was agreed on: the switches as `generation` has them.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when they were written since, by whomever: nothing is opened then. Else the store's.
    pub async fn open_at(&self, generation: u64) -> Result<Accepted> {
        let since = self.moment();
        let SwitchState {
            generation: found,
            mut stopped,
        } = self.store.read().await?;
        if found != generation {
            return Err(Error::new(ErrorKind::Conflict, "open switch")
                .context("agreed generation", generation.to_string())
                .context("found", found.to_string()));
        }
        stopped.remove(&self.feature);
        let written = self.store.write(generation, &stopped).await?;
        self.open_local(since).await?;
        Ok(Accepted::with_receipt(format!("generation {written}")))
    }

    /// Now, where this process has the feature too.
    fn moment(&self) -> Option<Moment> {
        self.local.as_ref().map(|(switch, _)| switch.moment())
    }

    async fn open_local(&self, since: Option<Moment>) -> Result<()> {
        if let (Some((switch, feature)), Some(since)) = (&self.local, since) {
            switch.open_here_unless_stopped(*feature, &since);
            switch.refresh(&*self.store).await?;
        }
        Ok(())
    }

    /// Stops it for all but `share`.
    async fn admit(&self, share: Share, run: Option<RunId>) -> Result<Accepted> {
        let since = self.moment();
        let mut off = SwitchedOff::new(self.clock.now(), self.actor.clone(), run);
        off.admitted = Some(share);
        let accepted = self.update(|stopped| {
            let known = stopped.get_mut(&self.feature);
            if known.as_ref().is_some_and(|known| known.admitted == Some(share)) {
                return false;
            }
            match known {
                Some(known) => known.admitted = Some(share),
                None => drop(stopped.insert(self.feature.clone(), off.clone())),
            }
            true
        });
        let accepted = accepted.await?;
        self.open_local(since).await?;
        Ok(accepted)
    }

    /// Whether every process that has the feature has applied `generation`.
    async fn acknowledged(&self, generation: u64) -> Verdict {
        let Some(processes) = &self.processes else {
            return Verdict::Holds;
        };
        let clock = &*self.clock;
        let listed = Deadline::after(clock, LIST_BUDGET)
            .bound(clock, "list processes", processes.processes())
            .await;
        match listed {
            Ok(presences) => judged(&presences, &self.feature, generation),
            Err(error) => Verdict::unknown(format!("which processes have applied it: {error}")),
        }
    }

    async fn close(&self, run: Option<RunId>) -> Result<Accepted> {
        if let Some((switch, feature)) = &self.local {
            switch.stop_here(*feature);
        }
        let off = SwitchedOff::new(self.clock.now(), self.actor.clone(), run);
        let accepted = self.update(|stopped| {
            let Some(known) = stopped.get_mut(&self.feature) else {
                stopped.insert(self.feature.clone(), off.clone());
                return true;
            };
            // Partly open: nobody is let in any more.
            known.admitted.take().is_some()
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
        let silent = self
            .processes
            .as_ref()
            .map(|_| messages::silent_processes_expire());
        silent.into_iter().collect()
    }

    async fn observe(&self) -> Result<Observation> {
        let state = self.store.read().await?;
        let off = state.stopped.get(&self.feature);
        let stopped_here = self
            .local
            .as_ref()
            .is_none_or(|(switch, feature)| !switch.allows(*feature));
        let admitted = off.and_then(|off| off.admitted);
        let seen = match (off, admitted, stopped_here) {
            (Some(_), None, true) => TargetState::Stopped,
            (Some(_), _, _) => TargetState::PartlyStopped,
            (None, _, _) => TargetState::Serving,
        };
        let snapshot = Snapshot::new(self.target.clone(), FORMAT);
        let snapshot = match (off, admitted) {
            (None, _) => snapshot.with_field(STATE, OPEN),
            (Some(_), None) => snapshot.with_field(STATE, STOPPED),
            (Some(_), Some(share)) => snapshot
                .with_field(STATE, PARTLY)
                .with_field(ADMITTED, share.as_basis_points()),
        };
        let blocked_here = self.local.is_some() && stopped_here && off.is_none();
        let settled = match (blocked_here, seen) {
            (true, _) => Verdict::not_yet("open in the store, stopped in this process"),
            (_, TargetState::Stopped) => self.acknowledged(state.generation).await,
            _ => Verdict::Holds,
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
        match prior.field(STATE).and_then(serde_json::Value::as_str) {
            Some(OPEN) => self.open().await,
            Some(PARTLY) => {
                let share = prior.field(ADMITTED).and_then(serde_json::Value::as_u64);
                let share = Share::basis_points(share.and_then(|share| share.try_into().ok()).unwrap_or(0))?;
                self.admit(share, RunId::new(key.run()).ok()).await
            }
            _ => self.apply(key).await,
        }
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        Some(self)
    }
}

#[async_trait]
impl Ramp for SwitchOff {
    async fn open_partly(&self, _prior: &Snapshot, share: Share, key: &IdempotencyKey) -> Result<Accepted> {
        self.admit(share, RunId::new(key.run()).ok()).await
    }

    fn verify_share(&self, observed: &Observation, share: Share) -> Verdict {
        let admitted = observed
            .snapshot()
            .field(ADMITTED)
            .and_then(serde_json::Value::as_u64);
        match admitted {
            Some(admitted) if admitted == u64::from(share.as_basis_points()) => observed.settled().clone(),
            Some(admitted) => Verdict::not_yet(format!("open for {admitted} of 10000, not for {share}")),
            None => Verdict::not_yet(format!("not partly open, but should be for {share}")),
        }
    }
}

/// Names who has not applied `generation` of `feature`.
fn judged(presences: &[Presence], feature: &str, generation: u64) -> Verdict {
    let owing = presences
        .iter()
        .filter(|presence| presence.owes(feature, generation));
    let owing: Vec<String> = owing.map(described).collect();
    if owing.is_empty() {
        return Verdict::Holds;
    }
    let more = match owing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = owing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    Verdict::not_yet(format!("not applied by {named}{more}"))
}

fn described(presence: &Presence) -> String {
    let name = presence.process.name();
    match presence.is_missing() {
        true => format!("{name}: missing, silent for {} s", presence.silent_for.as_secs()),
        false => name,
    }
}

/// More names than this make no sentence.
const NAMED: usize = 8;
