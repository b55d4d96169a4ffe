use std::time::Duration;

/// Microseconds since a point that all users of one state share: the start of a process, or 1970 for a shared store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitTime(u64);

impl LimitTime {
    /// The point itself.
    pub const ZERO: Self = Self(0);

    /// So many microseconds after the point.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the point.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for LimitTime {
    /// Whole microseconds; what is beyond 584 thousand years is cut.
    fn from(since: Duration) -> Self {
        let micros = since
            .as_secs()
            .saturating_mul(1_000_000)
            .saturating_add(u64::from(since.subsec_micros()));
        Self(micros)
    }
}
