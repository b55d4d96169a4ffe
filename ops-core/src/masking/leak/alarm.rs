use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{LeakPlace, LeakSink};
use crate::masking::Detector;
use crate::masking::scrub::guarded;
use crate::messages;
use crate::model::{PiiType, Severity, Signal, Timestamp};
use crate::ports::Clock;

/// Counts personal values that reached a last gate, and raises a signal for them. Cheap to clone: clones count together.
///
/// It never blocks and does no I/O: what a lock or a full queue does not take is counted instead. One signal a type and place
/// goes out per interval, a minute by default, with the number of hits since the one before. At most 256 places are told apart; the
/// rest are one place called `elsewhere`. Nothing of it holds the value.
///
/// Hits that follow the last signal of a place wait for the next hit there: [`counts`](Self::counts) has them at once.
#[derive(Clone)]
pub struct LeakAlarm(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    detector: Detector,
    interval: Duration,
    out: Sender<Leak>,
    places: Mutex<BTreeMap<Key, Hits>>,
    total: AtomicU64,
    unplaced: AtomicU64,
    unsent: AtomicU64,
}

type Key = (Option<PiiType>, LeakSink, LeakPlace);

#[derive(Clone, Copy, Debug, Default)]
struct Hits {
    total: u64,
    untold: u64,
    told: Option<Duration>,
}

/// Hits at one gate, of one type, from one place, since the last signal about them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leak {
    /// What was found; `None` for a field that is dropped by its name, or a value that the alarm's detector does not know.
    pub kind: Option<PiiType>,
    /// Which gate.
    pub sink: LeakSink,
    /// Where it came from.
    pub place: LeakPlace,
    /// When the last of them was found.
    pub at: Timestamp,
    /// How many.
    pub count: u64,
}

/// All hits of one type at one gate from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakCount {
    /// As in [`Leak`].
    pub kind: Option<PiiType>,
    /// Which gate.
    pub sink: LeakSink,
    /// Where they came from.
    pub place: LeakPlace,
    /// How many since the alarm was made.
    pub count: u64,
}

/// The signals of a [`LeakAlarm`], to be taken by one reader.
#[derive(Debug)]
pub struct LeakSignals(Receiver<Leak>);

impl LeakAlarm {
    /// An alarm, and the end at which its signals arrive. At most 64 of them wait.
    pub fn new(clock: Arc<dyn Clock>) -> (Self, LeakSignals) {
        Self::with_detector(clock, Detector::new())
    }

    /// As [`new`](Self::new), with the detector that names the types.
    pub fn with_detector(clock: Arc<dyn Clock>, detector: Detector) -> (Self, LeakSignals) {
        Self::with_interval(clock, detector, INTERVAL)
    }

    /// As [`with_detector`](Self::with_detector), with the least time between two signals of one type and place.
    pub fn with_interval(
        clock: Arc<dyn Clock>,
        detector: Detector,
        interval: Duration,
    ) -> (Self, LeakSignals) {
        let (out, signals) = mpsc::channel(WAITING);
        let inner = Inner {
            clock,
            detector,
            interval,
            out,
            places: Mutex::default(),
            total: AtomicU64::new(0),
            unplaced: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
        };
        (Self(Arc::new(inner)), LeakSignals(signals))
    }

    /// Reports that `text` had to be masked at a gate. Only types are taken from it.
    pub fn report(&self, text: &str, sink: LeakSink, place: LeakPlace) {
        let found = guarded(|| self.0.detector.detect(text)).unwrap_or_default();
        let mut kinds: Vec<_> = found.iter().map(|span| Some(span.kind)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            kinds.push(None);
        }
        for kind in kinds {
            self.count(kind, sink, place.clone());
        }
    }

    /// How many hits there were, one for each type in a text.
    pub fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }

    /// Hits that are in the total but under no place, because another thread was just counting.
    pub fn unplaced(&self) -> u64 {
        self.0.unplaced.load(Ordering::Relaxed)
    }

    /// Signals that found the queue full or nobody reading it. Their hits are in the next signal of the same place.
    pub fn unsent(&self) -> u64 {
        self.0.unsent.load(Ordering::Relaxed)
    }

    /// The hits by type, gate and place.
    pub fn counts(&self) -> Vec<LeakCount> {
        let places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = places.iter().map(|((kind, sink, place), hits)| LeakCount {
            kind: *kind,
            sink: *sink,
            place: place.clone(),
            count: hits.total,
        });
        counts.collect()
    }

    /// The counters in the text format of Prometheus; types and gates as labels, no places.
    pub fn metrics(&self) -> String {
        let mut sums: BTreeMap<_, u64> = BTreeMap::new();
        for count in self.counts() {
            *sums.entry((name(count.kind), count.sink.as_str())).or_default() += count.count;
        }
        let mut text = String::from(
            "# HELP ops_pii_leaks_total Personal values that a last gate masked\n# TYPE ops_pii_leaks_total counter\n",
        );
        for ((kind, sink), count) in sums {
            let _ = writeln!(
                text,
                "ops_pii_leaks_total{{type=\"{kind}\",sink=\"{sink}\"}} {count}"
            );
        }
        text
    }

    fn count(&self, kind: Option<PiiType>, sink: LeakSink, place: LeakPlace) {
        self.0.total.fetch_add(1, Ordering::Relaxed);
        let mut places = match self.0.places.try_lock() {
            Ok(places) => places,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.0.unplaced.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let mut key = (kind, sink, place);
        if places.len() >= PLACES && !places.contains_key(&key) {
            key.2 = LeakPlace::target("elsewhere");
        }
        let now = self.0.clock.monotonic();
        let hits = places.entry(key.clone()).or_default();
        hits.total += 1;
        hits.untold += 1;
        if hits
            .told
            .is_some_and(|told| now.saturating_sub(told) < self.0.interval)
        {
            return;
        }
        let (kind, sink, place) = key;
        let leak = Leak {
            kind,
            sink,
            place,
            at: self.0.clock.now(),
            count: hits.untold,
        };
        match self.0.out.try_send(leak) {
            Ok(()) => (hits.untold, hits.told) = (0, Some(now)),
            Err(_) => {
                self.0.unsent.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Debug for LeakAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakAlarm")
            .field("total", &self.total())
            .finish_non_exhaustive()
    }
}

impl Leak {
    /// The alert of the first runbook. A leak is of the worst severity there is.
    pub const ALERT: &str = "pii_leak_detected";

    /// The signal for the pipeline and for people.
    pub fn signal(&self) -> Signal {
        let kind = name(self.kind);
        Signal::new(
            Self::ALERT,
            Severity::P1,
            self.at,
            messages::pii_leaked(kind, self.sink.as_str(), &self.place.to_string(), self.count),
            messages::pii_leak_first_action(),
        )
        .with_label("type", kind)
        .with_label("sink", self.sink.as_str())
        .with_label("place", self.place.to_string())
        .with_count(self.count)
    }
}

impl LeakSignals {
    /// Waits for the next leak; `None` once every clone of the alarm is gone.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Leak> {
        self.0.recv().await
    }

    /// The next leak, if one waits.
    pub fn try_next(&mut self) -> Option<Leak> {
        self.0.try_recv().ok()
    }
}

fn name(kind: Option<PiiType>) -> &'static str {
    kind.map_or("FIELD", PiiType::as_str)
}

/// The least time between two signals of one type and place.
const INTERVAL: Duration = Duration::from_secs(60);

/// How many signals wait for their reader.
const WAITING: usize = 64;

/// How many places are told apart.
const PLACES: usize = 256;
