use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`DistributedLimiter`](super::DistributedLimiter) has done since it was made, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SharedLimitFigures {
    /// Checks, whatever they were told.
    pub checks: u64,
    /// Those that were denied.
    pub denied: u64,
    /// Denials that a remembered one answered, without a call.
    pub remembered: u64,
    /// Checks that the store could not answer: decided by the local share, or denied.
    pub degraded: u64,
    /// Calls of the store that decided checks.
    pub calls: u64,
    /// Those that failed or took too long.
    pub failed_calls: u64,
    /// Denials that no alarm can be raised for, because more callers were denied at a time than are counted.
    pub uncounted_denials: u64,
    /// Whether the store answers, as far as this instance knows.
    pub store_answers: bool,
    /// The version of the limits that this instance works with.
    pub table_version: u64,
    /// Whether the store had another table of the version that this instance was given: that one holds. Raise the version of the new one.
    pub table_differs: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) checks: Counter,
    pub(super) denied: Counter,
    pub(super) remembered: Counter,
    pub(super) degraded: Counter,
    pub(super) calls: Counter,
    pub(super) failed_calls: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl SharedLimitFigures {
    /// As lines of the Prometheus text format. They name no caller.
    pub fn to_prometheus(&self) -> String {
        let lines = [
            ("checks_total", self.checks),
            ("denied_total", self.denied),
            ("remembered_denials_total", self.remembered),
            ("degraded_total", self.degraded),
            ("store_calls_total", self.calls),
            ("failed_store_calls_total", self.failed_calls),
            ("uncounted_denials_total", self.uncounted_denials),
            ("store_answers", u64::from(self.store_answers)),
            ("table_version", self.table_version),
            ("table_differs", u64::from(self.table_differs)),
        ];
        let mut text = String::new();
        for (name, value) in lines {
            let kind = if name.ends_with("_total") {
                "counter"
            } else {
                "gauge"
            };
            text.push_str(&format!(
                "# TYPE ops_shared_limits_{name} {kind}\nops_shared_limits_{name} {value}\n"
            ));
        }
        text
    }
}
