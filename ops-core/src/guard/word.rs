use super::atomic::{AtomicU64, Ordering, fence};

/// The stops that are in force, and those among them that were made in this process.
///
/// Bits 0 to 62 are features. Whoever puts another set in force or forgets stops is kept out by others of the kind with a lock; stops made
/// here need none.
#[derive(Debug)]
pub(super) struct Word {
    in_force: AtomicU64,
    local: AtomicU64,
    /// By feature.
    stops: Vec<Stops>,
}

/// How many stops of a feature were begun here, and how many of them have returned.
#[derive(Debug)]
struct Stops {
    begun: AtomicU64,
    made: AtomicU64,
}

/// Which features were at rest at a moment, and how often each had been stopped here by then.
#[derive(Clone, Debug)]
pub(crate) struct Moment(Vec<Option<u64>>);

/// Set by every stop made here: what was computed before it must not be put in force, and nothing be forgotten for it.
const TOUCHED: u64 = 1 << 63;

impl Word {
    pub(super) fn new(stopped: u64, features: usize) -> Self {
        let stops = || Stops {
            begun: AtomicU64::new(0),
            made: AtomicU64::new(0),
        };
        Self {
            in_force: AtomicU64::new(stopped),
            local: AtomicU64::new(0),
            stops: (0..features).map(|_| stops()).collect(),
        }
    }

    /// Whether none of `bits` is stopped.
    #[inline]
    pub(super) fn allows(&self, bits: u64) -> bool {
        self.in_force.load(Ordering::Relaxed) & bits == 0
    }

    /// Stops a feature here. In force when it returns, and until [`forget`](Self::forget).
    pub(super) fn stop_here(&self, feature: usize) {
        let bit = bit(feature);
        let stops = self.stops.get(feature);
        if let Some(stops) = stops {
            stops.begun.fetch_add(1, Ordering::AcqRel);
        }
        self.local.fetch_or(bit | TOUCHED, Ordering::AcqRel);
        self.in_force.fetch_or(bit | TOUCHED, Ordering::AcqRel);
        if let Some(stops) = stops {
            stops.made.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The bits that were stopped here.
    pub(super) fn local(&self) -> u64 {
        self.local.load(Ordering::Acquire) & !TOUCHED
    }

    /// Now: to be taken before the read whose outcome may let stops be forgotten.
    pub(super) fn moment(&self) -> Moment {
        let moment = |stops: &Stops| {
            // In this order: equal means that none was under way in between.
            let made = stops.made.load(Ordering::Acquire);
            (stops.begun.load(Ordering::Acquire) == made).then_some(made)
        };
        Moment(self.stops.iter().map(moment).collect())
    }

    /// Lets go of stops made here, but of none that was begun, or not yet made, after `since`. What is in force stays until
    /// [`put_in_force`](Self::put_in_force). The caller holds the lock.
    pub(super) fn forget(&self, bits: u64, since: &Moment) {
        loop {
            let seen = self.local.fetch_and(!TOUCHED, Ordering::AcqRel) & !TOUCHED;
            // A stop that is not among those counted here touches the bits again, so that the exchange fails.
            let kept = seen & !(bits & self.unstopped_since(since));
            let exchanged = self
                .local
                .compare_exchange(seen, kept, Ordering::AcqRel, Ordering::Acquire);
            if exchanged.is_ok() {
                return;
            }
        }
    }

    fn unstopped_since(&self, since: &Moment) -> u64 {
        let features = self.stops.iter().zip(&since.0).enumerate();
        let unstopped = features
            .filter(|(_, (stops, before))| Some(stops.begun.load(Ordering::Acquire)) == **before)
            .map(|(feature, _)| bit(feature));
        unstopped.fold(0, |bits, bit| bits | bit)
    }

    /// Puts `others`, the stops of every other layer, in force beside those made here. The caller holds the lock.
    pub(super) fn put_in_force(&self, others: u64) {
        loop {
            let seen = self.in_force.fetch_and(!TOUCHED, Ordering::AcqRel) & !TOUCHED;
            // A stop made after this point touches the word again, so that the exchange fails.
            let wanted = others | self.local();
            let exchanged = self
                .in_force
                .compare_exchange(seen, wanted, Ordering::AcqRel, Ordering::Acquire);
            if exchanged.is_ok() {
                return;
            }
        }
    }
}

/// There are 63 features at most.
fn bit(feature: usize) -> u64 {
    1 << (feature & 63)
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
