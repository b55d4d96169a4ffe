use std::collections::BTreeMap;
use std::future::Future;

use super::{Feature, KillSwitch};
use crate::ports::CallCount;

/// A call that was let in. It counts as running until this is dropped.
#[derive(Debug)]
#[must_use = "the call counts as running only while this is held"]
pub struct GuardedCall<'s> {
    switch: &'s KillSwitch,
    feature: Feature,
}

impl Drop for GuardedCall<'_> {
    fn drop(&mut self) {
        self.switch.features[self.feature.at()].calls.end();
    }
}

impl KillSwitch {
    /// Lets a call in and counts it; `None`: the feature is stopped. Costs a few atomic writes where [`allows`](Self::allows) reads once,
    /// so that an acknowledged stop can say how many calls still run: zero then means none.
    pub fn enter(&self, feature: Feature) -> Option<GuardedCall<'_>> {
        self.begin(feature, || self.allows(feature))
    }

    /// As [`enter`](Self::enter), by [`admits`](Self::admits).
    pub fn enter_as(&self, feature: Feature, subject: &str) -> Option<GuardedCall<'_>> {
        self.begin(feature, || self.admits(feature, subject))
    }

    /// Runs `work` as a guarded call, and drops it in the middle when the feature is stopped; `None`: stopped, before or meanwhile.
    pub async fn run<F: Future>(&self, feature: Feature, work: F) -> Option<F::Output> {
        let _call = self.enter(feature)?;
        tokio::select! {
            biased;
            () = self.stopped(feature) => None,
            output = work => Some(output),
        }
    }

    /// The guarded calls of each feature.
    pub fn calls(&self) -> BTreeMap<String, CallCount> {
        let count = |feature: &super::FeatureState| {
            let calls = &feature.calls;
            (
                feature.config.name.clone(),
                CallCount::new(calls.begun(), calls.running()),
            )
        };
        self.features.iter().map(count).collect()
    }

    fn begin(&self, feature: Feature, allowed: impl FnOnce() -> bool) -> Option<GuardedCall<'_>> {
        let call = || GuardedCall {
            switch: self,
            feature,
        };
        self.features[feature.at()].calls.begin(allowed).then(call)
    }
}
