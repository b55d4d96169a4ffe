use std::sync::Arc;
use std::time::Duration;

use super::Ops;
use crate::emergency::{Meter, Refusal};
use crate::error::Result;
use crate::resilience::Deadline;

/// How long the stores may take to say what is held and what was drilled.
const LOOK_UP_BUDGET: Duration = Duration::from_secs(2);

impl Ops {
    /// Counts what is done through this handle and its later clones.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<Meter>) -> Self {
        self.meter = Some(Arc::clone(&meter));
        self.with_watch(meter)
    }

    /// The metrics of the machinery in the Prometheus text format: the counters of this process, the prior states that are held, and
    /// the age of the last drill of each of `procedures`. Empty without [`with_meter`](Self::with_meter).
    ///
    /// What cannot be found out within 2 s is left out, so that an alert on its absence fires.
    pub async fn metrics(&self, procedures: &[&str]) -> String {
        let Some(meter) = &self.meter else {
            return String::new();
        };
        let clock = &*self.providers.clock;
        let deadline = Deadline::after(clock, LOOK_UP_BUDGET);
        let held: Result<_> = deadline
            .bound(clock, "read held states", self.engine.held())
            .await;
        meter.set_held(
            held.ok()
                .map(|held| u64::try_from(held.len()).unwrap_or(u64::MAX)),
        );
        for procedure in procedures {
            if let Some(last) = self.last_drill(procedure).await {
                meter.set_last_drill(procedure, &last);
            }
        }
        meter.render(clock.now())
    }

    pub(super) fn counted<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if let (Err(refusal), Some(meter)) = (&result, &self.meter) {
            meter.refused(refusal);
        }
        result
    }
}
