use std::pin::pin;

use super::{Feature, KillSwitch};

impl KillSwitch {
    /// Ends when the feature is not open for everybody any more, at once if it is not now: beside a stream in `select!`, it ends the stream. It is
    /// woken by whatever flips the bit in this process (a stop made here, an adopted state, staleness), not by polling.
    ///
    /// ```
    /// # use ops_core::guard::KillSwitch;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let (switch, brain) = KillSwitch::single("llm-brain");
    /// # let next_token = std::future::pending::<()>; switch.stop_here(brain);
    /// tokio::select! {
    ///     biased;
    ///     () = switch.stopped(brain) => println!("the answer ends here"),
    ///     token = next_token() => println!("{token:?}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Cancellation
    /// Dropping it has no effect.
    pub async fn stopped(&self, feature: Feature) {
        self.until(|| !self.allows(feature)).await;
    }

    /// Ends when `subject` may not use the feature any more: as [`stopped`](Self::stopped), by [`admits`](Self::admits).
    ///
    /// # Cancellation
    /// Dropping it has no effect.
    pub async fn stopped_for(&self, feature: Feature, subject: &str) {
        self.until(|| !self.admits(feature, subject)).await;
    }

    async fn until(&self, reached: impl Fn() -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if reached() {
                return;
            }
            changed.await;
        }
    }
}
