use super::atomic::{AtomicU64, Ordering, fence};

/// The stops that are in force, and those among them that were made in this process.
///
/// Bits 0 to 62 are features. Whoever puts another set in force is kept out by others of the kind with a lock; stops made here need none.
#[derive(Debug)]
pub(super) struct Word {
    in_force: AtomicU64,
    local: AtomicU64,
}

/// Set by every stop made here: what was computed before it must not be put in force.
const TOUCHED: u64 = 1 << 63;

impl Word {
    pub(super) fn new(stopped: u64) -> Self {
        Self {
            in_force: AtomicU64::new(stopped),
            local: AtomicU64::new(0),
        }
    }

    /// Whether none of `bits` is stopped.
    #[inline]
    pub(super) fn allows(&self, bits: u64) -> bool {
        self.in_force.load(Ordering::Relaxed) & bits == 0
    }

    /// Stops `bits` here. In force when it returns, and until [`forget`](Self::forget).
    pub(super) fn stop_here(&self, bits: u64) {
        self.local.fetch_or(bits, Ordering::AcqRel);
        self.in_force.fetch_or(bits | TOUCHED, Ordering::AcqRel);
    }

    /// The bits that were stopped here.
    pub(super) fn local(&self) -> u64 {
        self.local.load(Ordering::Acquire)
    }

    /// Lets go of stops made here; what is in force stays until [`put_in_force`](Self::put_in_force).
    pub(super) fn forget(&self, bits: u64) {
        self.local.fetch_and(!bits, Ordering::AcqRel);
    }

    /// Puts `others`, the stops of every other layer, in force beside those made here. The caller holds the lock.
    pub(super) fn put_in_force(&self, others: u64) {
        loop {
            let seen = self.in_force.fetch_and(!TOUCHED, Ordering::AcqRel) & !TOUCHED;
            // A stop made after this point touches the word again, so that the exchange fails.
            let wanted = others | self.local.load(Ordering::Acquire);
            let exchanged = self
                .in_force
                .compare_exchange(seen, wanted, Ordering::AcqRel, Ordering::Acquire);
            if exchanged.is_ok() {
                return;
            }
        }
    }
}

/// How many calls have begun, and how many of them run.
#[derive(Debug)]
pub(super) struct Count {
    begun: AtomicU64,
    running: AtomicU64,
}

impl Count {
    pub(super) fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            running: AtomicU64::new(0),
        }
    }

    /// Counts a call if `allowed` still says so once it is counted.
    pub(super) fn begin(&self, allowed: impl FnOnce() -> bool) -> bool {
        self.running.fetch_add(1, Ordering::AcqRel);
        // Either this call sees the stop, or whoever counts after the stop sees this call.
        fence(Ordering::SeqCst);
        if allowed() {
            self.begun.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.end();
        false
    }

    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// After a stop was put in force by this thread: every call that was not refused and has not ended.
    pub(super) fn running(&self) -> u64 {
        fence(Ordering::SeqCst);
        self.running.load(Ordering::Acquire)
    }
}
