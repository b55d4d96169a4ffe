use std::time::Duration;

use super::{fresh_run, ok};
use crate::error::Result;
use crate::model::{Accepted, IdempotencyKey, Observation, Snapshot, TargetId, TargetState};
use crate::ports::{Action, DatabaseGuard, TrafficController};

/// Anything that is observed, stopped and restored: the three ports share these clauses of their contracts.
pub(super) enum Stoppable<'a> {
    Traffic(&'a dyn TrafficController, &'a TargetId),
    Database(&'a dyn DatabaseGuard, &'a TargetId),
    Action(&'a dyn Action),
}

impl Stoppable<'_> {
    /// observe → stop → stop again → restore → restore again, each judged by what `observe` reads.
    pub(super) async fn stops_and_restores_exactly(&self) {
        let prior = self
            .settled("be serving before the suite begins", |seen| {
                seen.state() == TargetState::Serving
            })
            .await;
        assert_eq!(
            prior.snapshot().target(),
            self.target(),
            "a snapshot must name the target it was taken of"
        );
        assert!(
            !prior.snapshot().fields().is_empty(),
            "a snapshot must hold the fields that a stop changes"
        );
        let again = ok("a second observe", self.observe().await);
        assert_eq!(
            again.snapshot().restorable_bytes(),
            prior.snapshot().restorable_bytes(),
            "two observations of an untouched target must have the same restorable bytes (no volatile value belongs in the fields)"
        );

        let run = fresh_run();
        let stop = IdempotencyKey::for_step(&run, 0);
        ok("stop", self.stop(&stop).await);
        let stopped = self.settled("be stopped after a stop", is_stopped).await;
        assert_ne!(
            stopped.snapshot().restorable_bytes(),
            prior.snapshot().restorable_bytes(),
            "the snapshot must hold the fields that a stop changes"
        );
        if let Some(marker) = stopped.marker() {
            assert_eq!(
                marker, &run,
                "the marker on the target must be the run that stopped it"
            );
        }

        ok("a stop repeated with the same key", self.stop(&stop).await);
        let other = IdempotencyKey::for_step(&fresh_run(), 0);
        ok(
            "a stop of a stopped target by another run",
            self.stop(&other).await,
        );
        let twice = self.settled("be stopped after three stops", is_stopped).await;
        assert_eq!(
            twice.snapshot().restorable_bytes(),
            stopped.snapshot().restorable_bytes(),
            "stopping a stopped target must change nothing"
        );

        let restore = IdempotencyKey::for_step(&fresh_run(), 0);
        ok("restore", self.restore(prior.snapshot(), &restore).await);
        self.restored(&prior, "be exactly as before after a restore")
            .await;
        ok(
            "a repeated restore",
            self.restore(prior.snapshot(), &restore).await,
        );
        self.restored(&prior, "be exactly as before after two restores")
            .await;
    }

    async fn restored(&self, prior: &Observation, wanted: &str) {
        let bytes = prior.snapshot().restorable_bytes();
        let last = self
            .poll(|seen| seen.snapshot().restorable_bytes() == bytes)
            .await;
        let differences = prior.snapshot().differences(last.snapshot());
        assert_eq!(
            last.snapshot().restorable_bytes(),
            bytes,
            "{} must {wanted}, but differs: {differences:?}",
            self.target()
        );
        assert_eq!(last.state(), prior.state(), "{} must {wanted}", self.target());
        assert!(
            last.settled().holds(),
            "{} must settle after a restore: {:?}",
            self.target(),
            last.settled()
        );
    }

    async fn settled(&self, wanted: &str, judge: impl Fn(&Observation) -> bool + Send + Sync) -> Observation {
        let last = self.poll(&judge).await;
        assert!(
            judge(&last) && last.settled().holds(),
            "{} must {wanted}, but is {:?}, settled: {:?}",
            self.target(),
            last.state(),
            last.settled()
        );
        last
    }

    /// Observes until `judge` accepts and the vendor has settled, so often at most; gives the last observation.
    async fn poll(&self, judge: impl Fn(&Observation) -> bool + Send + Sync) -> Observation {
        let mut last = ok("observe", self.observe().await);
        for _ in 0..POLLS {
            if judge(&last) && last.settled().holds() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            last = ok("observe", self.observe().await);
        }
        last
    }

    fn target(&self) -> &TargetId {
        match self {
            Self::Traffic(_, target) | Self::Database(_, target) => target,
            Self::Action(action) => action.target(),
        }
    }

    async fn observe(&self) -> Result<Observation> {
        match self {
            Self::Traffic(port, target) => port.observe(target).await,
            Self::Database(port, target) => port.observe(target).await,
            Self::Action(action) => action.observe().await,
        }
    }

    async fn stop(&self, key: &IdempotencyKey) -> Result<Accepted> {
        match self {
            Self::Traffic(port, target) => port.stop(target, key).await,
            Self::Database(port, target) => port.set_read_only(target, key).await,
            Self::Action(action) => action.apply(key).await,
        }
    }

    async fn restore(&self, prior: &Snapshot, key: &IdempotencyKey) -> Result<Accepted> {
        match self {
            Self::Traffic(port, _) => port.restore(prior, key).await,
            Self::Database(port, _) => port.restore(prior, key).await,
            Self::Action(action) => action.restore(prior, key).await,
        }
    }
}

/// A vendor's change may take effect later: so often and with this pause is looked before it counts as broken.
const POLLS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

fn is_stopped(seen: &Observation) -> bool {
    seen.state() == TargetState::Stopped
}
