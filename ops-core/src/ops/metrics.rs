use std::sync::Arc;
use std::time::Duration;

use super::Ops;
use crate::audit::DrainStatus;
use crate::emergency::{Meter, Refusal, Watch, gave_way};
use crate::error::Result;
use crate::masking::LeakAlarm;
use crate::model::Timestamp;
use crate::ports::{JournalEntry, JournalEvent};
use crate::resilience::Deadline;

/// How long the stores may take to say what is held and what was drilled.
const LOOK_UP_BUDGET: Duration = Duration::from_secs(2);

/// How long the journal may take to give all that it has.
const REPLAY_BUDGET: Duration = Duration::from_secs(20);

const SPOOLED: &str = "ops_audit_spool_records";
const SPOOLED_HELP: &str = "Audit records that the store has not taken yet.";
const SPOOLED_AGE: &str = "ops_oldest_spooled_record_age_seconds";
const SPOOLED_AGE_HELP: &str = "Since what the oldest of them tells; 0 without any.";

impl Ops {
    /// Counts what is done through this handle and its later clones.
    #[must_use]
    pub fn with_meter(mut self, meter: Arc<Meter>) -> Self {
        self.meter = Some(Arc::clone(&meter));
        self.with_watch(meter)
    }

    /// Shows the counters of `alarm` beside those of the machinery.
    #[must_use]
    pub fn with_leak_alarm(mut self, alarm: LeakAlarm) -> Self {
        self.leaks = Some(alarm);
        self
    }

    /// The metrics of the machinery in the Prometheus text format: the counters of this process, the prior states that are held,
    /// the age of the last drill of each of `procedures`, and the hits of the leak alarm. Empty without [`with_meter`](Self::with_meter) and
    /// [`with_leak_alarm`](Self::with_leak_alarm).
    ///
    /// What cannot be found out within 2 s is left out, so that an alert on its absence fires.
    pub async fn metrics(&self, procedures: &[&str]) -> String {
        let leaks = self.leaks.as_ref().map(LeakAlarm::metrics).unwrap_or_default();
        let Some(meter) = &self.meter else {
            return leaks;
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
        if let Some(drain) = self.recorder.drain_status() {
            self.set_drain(meter, &drain);
        }
        meter.render(clock.now()) + &leaks
    }

    /// Besides the depth: without a drain that is what a job says that runs now and then.
    fn set_drain(&self, meter: &Meter, drain: &DrainStatus) {
        let now = self.providers.clock.now();
        let age = drain
            .oldest
            .map_or(0.0, |at| now.saturating_since(at).as_secs_f64());
        for (name, help, value) in [
            (SPOOLED, SPOOLED_HELP, drain.depth as f64),
            (SPOOLED_AGE, SPOOLED_AGE_HELP, age),
            (
                "ops_audit_spool_bytes",
                "Bytes that the spool takes on the disk.",
                drain.bytes as f64,
            ),
            (
                "ops_audit_drain_lag_seconds",
                "How old the newest record was when the store took it.",
                drain.lag.as_secs_f64(),
            ),
            (
                "ops_audit_drain_failures",
                "How often bringing records to the store ended with an error since this process began.",
                drain.failures as f64,
            ),
            (
                "ops_audit_records_refused",
                "Records that the store will never take since this process began; they are in refused.jsonl.",
                drain.refused as f64,
            ),
        ] {
            meter.set_gauge(name, help, value);
        }
    }

    /// The metrics of what is durable, in the same format, for a job that runs now and then and holds no `Ops` for long: a meter of its own
    /// is shown every entry of the journal, so that the counters are those of all runs ever. Besides: runs that were never recorded and told to
    /// their end, runs that cannot be read, audit records that wait in the spool.
    ///
    /// # Errors
    /// The journal's when not even its list of runs can be read in 20 s. A run that cannot be read is counted.
    pub async fn durable_metrics(&self, procedures: &[&str]) -> Result<String> {
        let clock = &*self.providers.clock;
        let meter = Arc::new(Meter::new(Arc::clone(&self.providers.masker)));
        let deadline = Deadline::after(clock, REPLAY_BUDGET);
        let runs = deadline
            .bound(clock, "read the journal", self.engine.runs())
            .await?;
        let (mut unpublished, mut oldest, mut unreadable) = (0_u32, None, 0_u32);
        for run in runs {
            let entries = self.engine.entries(&run);
            let Ok(entries) = deadline.bound(clock, "read a run", entries).await else {
                unreadable = unreadable.saturating_add(1);
                continue;
            };
            entries.iter().for_each(|entry| meter.seen(entry));
            let published = |entry: &JournalEntry| matches!(entry.event, JournalEvent::Published { .. });
            let owed = !entries.iter().any(published) && !gave_way(&entries);
            if let Some(first) = entries.first().filter(|_| owed) {
                unpublished = unpublished.saturating_add(1);
                oldest = Some(oldest.map_or(first.at, |oldest: Timestamp| oldest.min(first.at)));
            }
        }
        let now = clock.now();
        let age = |since: Option<Timestamp>| since.map_or(0.0, |at| now.saturating_since(at).as_secs_f64());
        for (name, help, value) in [
            (
                "ops_runs_unpublished",
                "Runs that were not recorded and told to their end: resume them.",
                f64::from(unpublished),
            ),
            (
                "ops_oldest_unpublished_run_age_seconds",
                "Since the oldest of them began; 0 without any.",
                age(oldest),
            ),
            (
                "ops_runs_unreadable",
                "Runs whose entries cannot be read.",
                f64::from(unreadable),
            ),
        ] {
            meter.set_gauge(name, help, value);
        }
        if let Some(spool) = &self.providers.audit_spool
            && let Ok(status) = deadline.bound(clock, "read the spool", spool.status()).await
        {
            let count = u32::try_from(status.records).unwrap_or(u32::MAX);
            let oldest = status.oldest;
            meter.set_gauge(SPOOLED, SPOOLED_HELP, f64::from(count));
            meter.set_gauge(SPOOLED_AGE, SPOOLED_AGE_HELP, age(oldest));
        }
        let mut of_the_past = self.clone();
        of_the_past.meter = Some(meter);
        Ok(of_the_past.metrics(procedures).await)
    }

    pub(super) fn counted<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if let (Err(refusal), Some(meter)) = (&result, &self.meter) {
            meter.refused(refusal);
        }
        result
    }
}
