use std::time::Duration;

use tracing::Instrument as _;

use super::Engine;
use super::span::of_look;
use crate::error::Result;
use crate::model::{Observation, Snapshot, Verdict};
use crate::ports::Action;
use crate::resilience::{Deadline, caught};

/// What the read-back of one step ended with.
#[derive(Debug)]
pub(super) struct ReadBack {
    pub(super) verdict: Verdict,
    pub(super) last: Option<Observation>,
}

/// One look may take so long; a target that does not answer is looked at again until the time to settle is over.
const ONE_LOOK: Duration = Duration::from_secs(5);
const SHORTEST_LOOK: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Engine {
    /// Looks until the wanted state is seen or `settle` is over; always looks at least once.
    pub(super) async fn read_back(
        &self,
        action: &dyn Action,
        settle: Duration,
        judge: impl Fn(&Observation) -> Verdict,
    ) -> ReadBack {
        let clock = &*self.clock;
        let deadline = Deadline::after(clock, settle);
        let mut pause = FIRST_PAUSE;
        let mut attempt = 0_u32;
        loop {
            attempt = attempt.saturating_add(1);
            let look = Deadline::after(clock, ONE_LOOK.min(settle.max(SHORTEST_LOOK)))
                .bound(clock, "verify", caught("verify", action.observe()))
                .instrument(of_look(attempt))
                .await;
            let (verdict, last) = match look {
                Ok(observation) => (judge(&observation), Some(observation)),
                Err(error) => (Verdict::unknown(error.to_string()), None),
            };
            if verdict.holds() || deadline.remaining(clock) <= pause {
                return ReadBack { verdict, last };
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Engine {
    /// One look, bounded; a provider that ends unexpectedly takes nobody along.
    pub(super) async fn look(&self, action: &dyn Action) -> Result<Observation> {
        Deadline::after(&*self.clock, ONE_LOOK)
            .bound(&*self.clock, "observe", caught("observe", action.observe()))
            .await
    }
}

/// Whether a target is exactly as in `prior`, and effectively so.
pub(super) fn restored(prior: &Snapshot, observed: &Observation) -> Verdict {
    if prior.restorable_bytes() == observed.snapshot().restorable_bytes() {
        return observed.settled().clone();
    }
    let differences = prior.differences(observed.snapshot());
    let paths: Vec<_> = differences
        .iter()
        .map(|difference| difference.path.as_str())
        .collect();
    Verdict::not_yet(format!("differs in {}", paths.join(", ")))
}
