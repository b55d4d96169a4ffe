//! What is known of the limits besides the decision: counts, repeat offenders, who is near a limit.

mod callers;
mod offenders;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use self::callers::{Callers, Entry};
use self::offenders::{Denials, Peak};
pub use self::offenders::{LimitCallerId, NearLimit, Offence, OffenceRules};
use crate::model::{EndpointClass, LimitCaller, LimitDecision, LimitKey, LimitRequest, LimitTime, Signal};
use crate::ports::Clock;

/// Watches what the limits decide: counters for a metrics endpoint, an alert for callers that are denied again and again, and who comes near
/// a limit. It decides nothing, and what it remembers is bounded.
///
/// ```
/// use std::sync::Arc;
/// use ops_core::clock::SystemClock;
/// use ops_core::guard::{LimitMonitor, LocalLimiter, OffenceRules};
/// use ops_core::model::{EndpointClass, LimitKey, LimitRequest, LimitTable};
/// use ops_core::ports::RateLimiter;
///
/// let (monitor, mut signals) = LimitMonitor::new(OffenceRules::default(), Arc::new(SystemClock::new()));
/// let limiter = LocalLimiter::new(LimitTable::preset())?;
/// let request = LimitRequest::new(EndpointClass::Admin, LimitKey::user("org_soulsyncs", "u1"));
/// for _ in 0..10 + 100 {
///     monitor.record(&request, None, &limiter.check(&request));
/// }
/// assert_eq!(signals.try_next().map(|signal| signal.alert), Some("rate_limit_exceeded".to_owned()));
/// assert!(signals.try_next().is_none(), "once");
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Debug)]
pub struct LimitMonitor {
    rules: OffenceRules,
    clock: Arc<dyn Clock>,
    counts: [ClassCounts; EndpointClass::ALL.len()],
    degraded: AtomicU64,
    offences: AtomicU64,
    unsent: AtomicU64,
    denials: Callers<Denials>,
    peaks: Callers<Peak>,
    alert: mpsc::Sender<Signal>,
}

#[derive(Debug, Default)]
struct ClassCounts {
    admitted: AtomicU64,
    denied: AtomicU64,
    would_deny: AtomicU64,
}

/// The alerts of a [`LimitMonitor`]. At most 256 wait; more are counted and dropped.
#[derive(Debug)]
pub struct OffenceSignals {
    receiver: mpsc::Receiver<Signal>,
}

impl OffenceSignals {
    /// The next one; `None` when the monitor is gone.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Signal> {
        self.receiver.recv().await
    }

    /// The next one, if one waits.
    pub fn try_next(&mut self) -> Option<Signal> {
        self.receiver.try_recv().ok()
    }
}

const MOST_WAITING: usize = 256;

impl LimitMonitor {
    /// A monitor, and where its alerts come out.
    pub fn new(rules: OffenceRules, clock: Arc<dyn Clock>) -> (Arc<Self>, OffenceSignals) {
        let (alert, receiver) = mpsc::channel(MOST_WAITING);
        let monitor = Self {
            rules,
            clock,
            counts: Default::default(),
            degraded: AtomicU64::new(0),
            offences: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            denials: Callers::new(rules.most_callers),
            peaks: Callers::new(rules.most_callers),
            alert,
        };
        (Arc::new(monitor), OffenceSignals { receiver })
    }

    /// Takes note of a decision that was followed. `address` is where the request came from, if that is known.
    pub fn record(&self, request: &LimitRequest<'_>, address: Option<IpAddr>, decision: &LimitDecision) {
        let counts = &self.counts[request.class.position()];
        if decision.is_admitted() {
            counts.admitted.fetch_add(1, Ordering::Relaxed);
        } else {
            counts.denied.fetch_add(1, Ordering::Relaxed);
            self.denied(request, address);
        }
        self.note(request, decision);
    }

    /// Takes note of a decision that was not followed, in shadow mode: nobody was denied, so nobody is an offender.
    pub fn record_shadow(&self, request: &LimitRequest<'_>, decision: &LimitDecision) {
        let counts = &self.counts[request.class.position()];
        counts.admitted.fetch_add(1, Ordering::Relaxed);
        if !decision.is_admitted() {
            counts.would_deny.fetch_add(1, Ordering::Relaxed);
        }
        self.note(request, decision);
    }

    /// Who an alert of this monitor means, by its label `caller`; `None` when so many came since that it was forgotten, and for alerts of others: of
    /// other processes, and those that [`flush_denials`](super::DistributedLimiter::flush_denials) gives, which know their caller. For the operator:
    /// alerts name nobody.
    pub fn caller(&self, reference: &str) -> Option<LimitCallerId> {
        self.denials.find(u64::from_str_radix(reference, 16).ok()?)
    }

    /// Callers who have used at least the configured share of a limit, those who used most first, since the last
    /// [`forget_near`](Self::forget_near).
    pub fn near_limit(&self) -> Vec<NearLimit> {
        let mut found = self.peaks.map(|id, peak| NearLimit::new(id.clone(), *peak));
        found.sort_by(|one, other| {
            other
                .percent
                .cmp(&one.percent)
                .then_with(|| other.times.cmp(&one.times))
        });
        found
    }

    /// Begins a new period of [`near_limit`](Self::near_limit).
    pub fn forget_near(&self) {
        self.peaks.clear();
    }

    /// The counters in the Prometheus text format. No label names a caller.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "# HELP ops_rate_limit_requests_total Requests by class and by what the limits said.\n# TYPE ops_rate_limit_requests_total counter"
        );
        for (class, counts) in EndpointClass::ALL.into_iter().zip(&self.counts) {
            for (said, count) in [
                ("admitted", &counts.admitted),
                ("denied", &counts.denied),
                ("would_deny", &counts.would_deny),
            ] {
                let count = count.load(Ordering::Relaxed);
                let _ = writeln!(
                    text,
                    "ops_rate_limit_requests_total{{class=\"{class}\",decision=\"{said}\"}} {count}"
                );
            }
        }
        for (name, help, count) in [
            (
                "ops_rate_limit_degraded_total",
                "Answers without the shared count.",
                &self.degraded,
            ),
            (
                "ops_rate_limit_offences_total",
                "Callers that went on beyond a limit.",
                &self.offences,
            ),
            (
                "ops_rate_limit_alerts_dropped_total",
                "Alerts that nobody took.",
                &self.unsent,
            ),
        ] {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}"
            );
        }
        text
    }

    fn note(&self, request: &LimitRequest<'_>, decision: &LimitDecision) {
        if decision.is_degraded() {
            self.degraded.fetch_add(1, Ordering::Relaxed);
        }
        for limit in decision.verdicts() {
            let used = limit.limit.saturating_sub(limit.standing.remaining);
            let near = u64::from(used) * 100 >= u64::from(limit.limit) * u64::from(self.rules.near_percent);
            if near && limit.limit > 0 {
                let percent =
                    u32::try_from(u64::from(used) * 100 / u64::from(limit.limit)).unwrap_or(u32::MAX);
                let now = self.clock.now();
                let note = |peak: &mut Peak| peak.note(limit.name, percent, now);
                self.peaks.entry(&request.key, LimitTime::ZERO, note);
            }
        }
    }

    fn denied(&self, request: &LimitRequest<'_>, address: Option<IpAddr>) {
        let now = LimitTime::from(self.clock.monotonic());
        let anonymous = matches!(request.key.caller(), LimitCaller::Address(_));
        if self.rules.users && !anonymous || self.rules.addresses && anonymous {
            self.deny(&request.key, now);
        }
        if let Some(address) = address
            && self.rules.addresses
            && !anonymous
        {
            self.deny(&LimitKey::address(address), now);
        }
    }

    fn deny(&self, key: &LimitKey<'_>, at: LimitTime) {
        let within = u64::try_from(self.rules.within().as_micros()).unwrap_or(u64::MAX);
        let since = LimitTime::from_micros(at.as_micros().saturating_sub(within));
        let (reference, raised) = self
            .denials
            .entry(key, since, |denials| denials.note(at, &self.rules));
        if !raised {
            return;
        }
        self.offences.fetch_add(1, Ordering::Relaxed);
        let (denials, within) = (self.rules.threshold(), self.rules.within());
        let offence = Offence::of(LimitCallerId::of(key), denials, within, reference);
        if self.alert.try_send(offence.signal(self.clock.now())).is_err() {
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Entry for Denials {
    fn worth(&self, since: LimitTime) -> u64 {
        self.after(since)
    }
}

impl Entry for Peak {
    fn worth(&self, _: LimitTime) -> u64 {
        u64::from(self.percent)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::guard::LocalLimiter;
    use crate::model::{LimitTable, Timestamp};
    use crate::ports::RateLimiter;
    use crate::testkit::ManualClock;

    fn monitor(rules: OffenceRules) -> (Arc<LimitMonitor>, OffenceSignals, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let (monitor, signals) = LimitMonitor::new(rules, Arc::clone(&clock) as Arc<dyn Clock>);
        (monitor, signals, clock)
    }

    /// A decision that denies: administration, of which ten are gone.
    fn denial(key: LimitKey<'static>) -> (LimitRequest<'static>, LimitDecision) {
        let limiter = LocalLimiter::new(LimitTable::preset()).unwrap();
        let request = LimitRequest::new(EndpointClass::Admin, key);
        while limiter.check(&request).is_admitted() {}
        (request, limiter.check(&request))
    }

    const USER: LimitKey<'static> = LimitKey::user("org_a", "u1");

    #[test]
    fn ninety_nine_denials_within_a_minute_raise_nothing_and_a_hundred_raise_one_alert() {
        let (monitor, mut signals, clock) = monitor(OffenceRules::default());
        let (request, denied) = denial(USER);
        for _ in 0..99 {
            clock.advance(Duration::from_millis(600));
            monitor.record(&request, None, &denied);
        }
        assert!(signals.try_next().is_none());
        clock.advance(Duration::from_millis(600));
        monitor.record(&request, None, &denied);
        let signal = signals.try_next().expect("the hundredth");
        assert_eq!(
            (signal.alert.as_str(), signal.count),
            ("rate_limit_exceeded", 100)
        );
        assert_eq!(signal.severity, crate::model::Severity::P3);
        assert_eq!(
            monitor.caller(&signal.labels["caller"]),
            Some(LimitCallerId::of(&USER))
        );
        for _ in 0..500 {
            clock.advance(Duration::from_millis(100));
            monitor.record(&request, None, &denied);
        }
        assert!(signals.try_next().is_none(), "once, as long as it goes on");
        clock.advance(Duration::from_secs(61));
        for _ in 0..100 {
            monitor.record(&request, None, &denied);
        }
        assert!(signals.try_next().is_some(), "and again after a quiet minute");
    }

    #[test]
    fn a_hundred_denials_in_more_than_a_minute_raise_nothing() {
        let (monitor, mut signals, clock) = monitor(OffenceRules::default());
        let (request, denied) = denial(USER);
        for _ in 0..1_000 {
            clock.advance(Duration::from_micros(606_100));
            monitor.record(&request, None, &denied);
        }
        assert!(signals.try_next().is_none());
    }

    #[test]
    fn many_users_behind_one_address_are_an_offender_together() {
        let address = "192.0.2.7".parse().unwrap();
        let (monitor, mut signals, _) = monitor(OffenceRules::default());
        let (_, denied) = denial(USER);
        for n in 0..100 {
            let user = format!("u{n}");
            let request = LimitRequest::new(EndpointClass::Admin, LimitKey::user("org_a", &user));
            monitor.record(&request, Some(address), &denied);
        }
        let signal = signals.try_next().expect("raised");
        let caller = monitor.caller(&signal.labels["caller"]);
        assert_eq!(caller, Some(LimitCallerId::Address(address)));
        assert!(signals.try_next().is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_flood_does_not_hide_an_offender() {
        let (monitor, mut signals, _) = monitor(OffenceRules::default().with_most_callers(256));
        let (request, denied) = denial(USER);
        // The first of them may give way before the second comes.
        for n in 0..110_u32 {
            monitor.record(&request, None, &denied);
            for other in 0..200 {
                let flood = std::net::Ipv4Addr::from(n * 200 + other).into();
                monitor.record(
                    &LimitRequest::new(EndpointClass::Api, LimitKey::address(flood)),
                    None,
                    &denied,
                );
            }
        }
        assert!(monitor.denials.map(|_, _| ()).len() <= 256);
        let signal = signals.try_next().expect("raised");
        assert_eq!(
            monitor.caller(&signal.labels["caller"]),
            Some(LimitCallerId::of(&USER))
        );
    }

    #[test]
    fn neither_an_alert_nor_debug_names_a_caller() {
        for (key, told, raw) in [
            (LimitKey::user("org_a", "tanaka.hanako"), "t***", "tanaka"),
            (LimitKey::user("org_a", "u1"), "***", "u1"),
            (
                LimitKey::address("203.0.113.9".parse().unwrap()),
                "203.0.*.*",
                ".113",
            ),
            (
                LimitKey::address("2001:db8:77:88::9".parse().unwrap()),
                "2001:db8:*",
                ":77",
            ),
        ] {
            let (monitor, mut signals, _) = monitor(OffenceRules::default().with_denials(1));
            let (request, denied) = denial(key);
            monitor.record(&request, None, &denied);
            let signal = signals.try_next().expect("raised");
            let caller = signal.labels["caller"].clone();
            let told = format!("{told} ({caller})");
            for lang in [crate::model::Lang::Ja, crate::model::Lang::En] {
                assert!(signal.summary.get(lang).contains(&told), "{:?}", signal.summary);
            }
            let text = serde_json::to_string(&signal).unwrap().replace(&caller, "");
            let offence = Offence::of(LimitCallerId::of(&key), 1, Duration::ZERO, 7);
            for shown in [
                text,
                format!("{monitor:?} {offence:?} {:?}", monitor.near_limit()),
            ] {
                assert!(!shown.contains(raw), "{shown}");
            }
            assert_eq!(monitor.caller(&caller), Some(LimitCallerId::of(&key)));
            assert_eq!(monitor.caller("none"), None);
        }
    }

    #[test]
    fn who_is_near_a_limit_is_listed_and_shadow_mode_denies_nobody() {
        let (monitor, mut signals, _) = monitor(OffenceRules::default());
        let limiter = LocalLimiter::new(LimitTable::preset()).unwrap();
        for (user, count) in [("calm", 10), ("near", 17), ("over", 150)] {
            for _ in 0..count {
                let request = LimitRequest::new(EndpointClass::Llm, LimitKey::user("org_a", user));
                monitor.record_shadow(&request, &limiter.check(&request));
            }
        }
        let near = monitor.near_limit();
        let listed: Vec<_> = near
            .iter()
            .map(|one| (one.caller.to_string(), one.percent))
            .collect();
        assert_eq!(
            listed,
            [("org_a/over".to_owned(), 100), ("org_a/near".to_owned(), 85)]
        );
        assert!(signals.try_next().is_none());
        let metrics = monitor.metrics();
        assert!(
            metrics.contains("{class=\"llm\",decision=\"would_deny\"} 130"),
            "{metrics}"
        );
        assert!(metrics.contains("{class=\"llm\",decision=\"denied\"} 0"));
        assert!(!metrics.contains("over"));
        monitor.forget_near();
        assert!(monitor.near_limit().is_empty());
    }
}
