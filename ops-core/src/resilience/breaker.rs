use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a breaker opens, and how long it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerOptions {
    /// How many failures in a row open it; at least 1.
    pub failures: u32,
    /// How long it stays open at first; it doubles with every probe that fails.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// After so long without a result a probe counts as lost, and another one is let through.
    pub probe_patience: Duration,
}

impl Default for BreakerOptions {
    /// 3 failures; 0.2 s, doubling to 5 s; 1 s.
    fn default() -> Self {
        Self {
            failures: 3,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
            probe_patience: Duration::from_secs(1),
        }
    }
}

/// What a breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller decides on each")]
pub enum Passage {
    /// Go on.
    Free,
    /// Go on: it is the only one, and its result decides.
    Probe,
    /// Do not call; another attempt makes sense in so long.
    Closed(Duration),
}

/// Keeps calls from a service that does not answer: after some failures in a row they are not made for a while, and then one at a time.
///
/// It is observation and local to a process. It takes the time as an argument and waits for nothing. A probe whose result never comes (its
/// caller was cancelled) holds up nobody for longer than [`BreakerOptions::probe_patience`].
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Working { failures: u32 },
    Open { until: Duration, pause: Duration },
    Probing { since: Duration, pause: Duration },
}

impl Breaker {
    /// One that lets calls through.
    pub fn new(options: BreakerOptions) -> Self {
        Self {
            options,
            state: Mutex::new(State::Working { failures: 0 }),
        }
    }

    /// Whether a call may be made at `now`, a monotonic time.
    pub fn ask(&self, now: Duration) -> Passage {
        let mut state = self.lock();
        let (since_when, pause) = match *state {
            State::Working { .. } => return Passage::Free,
            State::Open { until, pause } => (until, pause),
            State::Probing { since, pause } => (since.saturating_add(self.options.probe_patience), pause),
        };
        if now < since_when {
            return Passage::Closed(since_when - now);
        }
        *state = State::Probing { since: now, pause };
        Passage::Probe
    }

    /// A call has answered, whatever it said.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        // A late result of a call from before says nothing new: the probe does.
        if !matches!(*state, State::Open { .. }) {
            *state = State::Working { failures: 0 };
        }
    }

    /// A call has not.
    pub fn failed(&self, now: Duration) {
        let mut state = self.lock();
        *state = match *state {
            State::Working { failures } if failures + 1 < self.options.failures => State::Working {
                failures: failures + 1,
            },
            State::Working { .. } => open(now, self.options.first_pause),
            State::Probing { pause, .. } => {
                open(now, pause.saturating_mul(2).min(self.options.longest_pause))
            }
            // A late result of a call from before says nothing new.
            still @ State::Open { .. } => still,
        };
    }

    /// Whether calls are let through freely.
    pub fn is_working(&self) -> bool {
        matches!(*self.lock(), State::Working { .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A state is replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(now: Duration, pause: Duration) -> State {
    State::Open {
        until: now.saturating_add(pause),
        pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_late_success_of_a_call_from_before_opens_nothing() {
        let breaker = Breaker::new(BreakerOptions::default());
        (0..3).for_each(|at| breaker.failed(ms(at)));
        breaker.succeeded();
        assert_eq!(breaker.ask(ms(3)), Passage::Closed(ms(199)));
        assert_eq!(breaker.ask(ms(202)), Passage::Probe);
        breaker.succeeded();
        assert_eq!(breaker.ask(ms(203)), Passage::Free);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_a_single_probe_through() {
        let breaker = Breaker::new(BreakerOptions::default());
        breaker.failed(ms(0));
        breaker.failed(ms(1));
        breaker.succeeded();
        breaker.failed(ms(2));
        breaker.failed(ms(3));
        assert_eq!(breaker.ask(ms(3)), Passage::Free, "not in a row");
        breaker.failed(ms(4));
        assert_eq!(breaker.ask(ms(5)), Passage::Closed(ms(199)));
        assert_eq!(breaker.ask(ms(204)), Passage::Probe);
        for _ in 0..100 {
            assert!(
                matches!(breaker.ask(ms(204)), Passage::Closed(_)),
                "one probe at a time"
            );
        }
        breaker.failed(ms(209));
        assert_eq!(
            breaker.ask(ms(209)),
            Passage::Closed(ms(400)),
            "the pause doubles"
        );
        assert_eq!(breaker.ask(ms(609)), Passage::Probe);
        breaker.succeeded();
        assert_eq!(breaker.ask(ms(610)), Passage::Free);
        assert!(breaker.is_working());
    }

    #[test]
    fn a_probe_without_a_result_gives_way_to_another_one() {
        let breaker = Breaker::new(BreakerOptions::default());
        (0..3).for_each(|_| breaker.failed(ms(0)));
        assert_eq!(breaker.ask(ms(200)), Passage::Probe);
        assert_eq!(breaker.ask(ms(700)), Passage::Closed(ms(500)));
        assert_eq!(breaker.ask(ms(1_200)), Passage::Probe);
    }

    #[test]
    fn late_failures_do_not_make_the_pause_longer() {
        let breaker = Breaker::new(BreakerOptions::default());
        (0..50).for_each(|_| breaker.failed(ms(0)));
        assert_eq!(breaker.ask(ms(0)), Passage::Closed(ms(200)));
        let mut now = ms(0);
        for _ in 0..20 {
            let Passage::Closed(wait) = breaker.ask(now) else {
                panic!("it must be open");
            };
            assert!(wait <= Duration::from_secs(5));
            now += wait;
            assert_eq!(breaker.ask(now), Passage::Probe);
            breaker.failed(now);
        }
    }
}
