use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many records are given at once: half as many after a batch that took too long, twice as many after one that was soon done.
#[derive(Debug)]
pub(super) struct Size(AtomicUsize);

impl Size {
    pub(super) fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A batch of so many was soon done.
    pub(super) fn grow(&self, batch: usize) {
        if batch >= self.now() {
            self.0.store((batch * 2).min(MOST), Ordering::Relaxed);
        }
    }

    /// A batch of so many took too long.
    pub(super) fn halve(&self, batch: usize) {
        self.0.store((batch / 2).max(1), Ordering::Relaxed);
    }
}

impl Default for Size {
    /// Few, so that one delivery gets on with a slow store too.
    fn default() -> Self {
        Self(AtomicUsize::new(256))
    }
}

/// A batch that is done within it may be followed by a larger one. It is well below what a store lets a chain wait for its lock: whoever else gives a batch
/// to the same chain finds it free in time.
pub(super) const SOON: Duration = Duration::from_secs(2);
/// So many records at once, and no more.
pub(super) const MOST: usize = 4096;
