use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::messages;
use crate::model::{LimitCaller, LimitKey, LimitName, LimitTime, Severity, Signal, Timestamp};

/// When a caller that is denied again and again is reported. The default is the first runbook's: 100 times within a minute, of one user or
/// of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OffenceRules {
    /// How many denials, 1 to 10 000. Default: 100.
    pub denials: u32,
    /// Within how many seconds. Default: 60.
    pub within_seconds: u32,
    /// Whether the denials of a user count. Default: yes.
    pub users: bool,
    /// Whether the denials of an address count, of all users behind it and of callers who are not signed in. Default: yes.
    pub addresses: bool,
    /// From which percentage of a limit on a caller is near it. Default: 80.
    pub near_percent: u32,
    /// How many callers are remembered. Default: 4096.
    pub most_callers: usize,
}

impl Default for OffenceRules {
    fn default() -> Self {
        Self {
            denials: 100,
            within_seconds: 60,
            users: true,
            addresses: true,
            near_percent: 80,
            most_callers: 4_096,
        }
    }
}

impl OffenceRules {
    /// The same for another number of denials.
    #[must_use]
    pub fn with_denials(mut self, denials: u32) -> Self {
        self.denials = denials;
        self
    }

    /// The same with another number of callers.
    #[must_use]
    pub fn with_most_callers(mut self, callers: usize) -> Self {
        self.most_callers = callers;
        self
    }

    pub(super) fn within(&self) -> Duration {
        Duration::from_secs(u64::from(self.within_seconds))
    }

    pub(super) fn threshold(&self) -> usize {
        usize::try_from(self.denials.clamp(1, 10_000)).unwrap_or(1)
    }
}

/// Who called, by the ids that the operator looks people up with. `Display` is for the operator; it is no text for a log. `Debug` names nobody.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitCallerId {
    /// A user of a tenant.
    User {
        /// The tenant.
        tenant: String,
        /// The id in its directory.
        user: String,
    },
    /// An address; of IPv6 the first 64 bits.
    Address(IpAddr),
}

impl LimitCallerId {
    pub(in crate::guard) fn of(key: &LimitKey<'_>) -> Self {
        match key.caller() {
            LimitCaller::User(user) => Self::User {
                tenant: key.tenant().to_owned(),
                user: user.to_owned(),
            },
            LimitCaller::Address(address) => Self::Address(address),
        }
    }

    /// As limits count it.
    pub fn key(&self) -> LimitKey<'_> {
        match self {
            Self::User { tenant, user } => LimitKey::user(tenant, user),
            Self::Address(address) => LimitKey::address(*address),
        }
    }

    /// As an alert may show it: the beginning, which helps to find it and tells nobody who it is.
    pub fn masked(&self) -> String {
        match self {
            Self::User { user, .. } => {
                let first = user.chars().next().filter(|_| user.chars().nth(3).is_some());
                format!("{}***", first.map(String::from).unwrap_or_default())
            }
            Self::Address(IpAddr::V4(address)) => {
                let [a, b, ..] = address.octets();
                format!("{a}.{b}.*.*")
            }
            Self::Address(IpAddr::V6(address)) => {
                let [a, b, ..] = address.segments();
                format!("{a:x}:{b:x}:*")
            }
        }
    }
}

impl fmt::Debug for LimitCallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User { .. } => "User(..)",
            Self::Address(_) => "Address(..)",
        })
    }
}

impl fmt::Display for LimitCallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { tenant, user } => write!(f, "{tenant}/{user}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// A caller that went on beyond a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offence {
    /// Who.
    pub caller: LimitCallerId,
    /// How often.
    pub denials: usize,
    /// Within how long.
    pub within: Duration,
    reference: u64,
}

impl Offence {
    pub(in crate::guard) fn of(
        caller: LimitCallerId,
        denials: usize,
        within: Duration,
        reference: u64,
    ) -> Self {
        Self {
            caller,
            denials,
            within,
            reference,
        }
    }

    /// What stands for the caller in the alert. It names nobody and is the same as long as the process lives; over instances that share limits,
    /// as long as their secret does.
    pub fn reference(&self) -> String {
        format!("{:016x}", self.reference)
    }

    /// The alert `rate_limit_exceeded`. The caller stands in it masked, with its [`reference`](Self::reference) as label `caller`. Who it is, says
    /// [`caller`](Self::caller) to the operator; keep it where alerts are handed on. [`LimitMonitor::caller`](super::LimitMonitor::caller) knows the
    /// references of its own alerts only, not those of limits that instances share.
    pub fn signal(&self, at: Timestamp) -> Signal {
        let is_user = matches!(self.caller, LimitCallerId::User { .. });
        let who = format!("{} ({})", self.caller.masked(), self.reference());
        let summary = messages::rate_limit_exceeded(is_user, &who, self.denials, self.within.as_secs());
        let first = messages::rate_limit_first_action();
        let signal = Signal::new("rate_limit_exceeded", Severity::P3, at, summary, first)
            .with_count(u64::try_from(self.denials).unwrap_or(u64::MAX))
            .with_label("caller", self.reference());
        match &self.caller {
            LimitCallerId::User { tenant, .. } => signal.with_label("tenant", tenant),
            LimitCallerId::Address(_) => signal,
        }
    }
}

/// The newest denials of one caller, oldest first.
#[derive(Debug, Default)]
pub(super) struct Denials {
    times: VecDeque<LimitTime>,
    raised: bool,
}

impl Denials {
    /// Whether this denial is the one to raise the alert with.
    pub(super) fn note(&mut self, at: LimitTime, rules: &OffenceRules) -> bool {
        let threshold = rules.threshold();
        // Times of other threads may come late.
        let place = self.times.partition_point(|known| *known <= at);
        self.times.insert(place, at);
        if self.times.len() > threshold {
            self.times.pop_front();
        }
        let span = match (self.times.front(), self.times.back()) {
            (Some(first), Some(last)) if self.times.len() == threshold => last.since(*first),
            _ => Duration::MAX,
        };
        let over = span <= rules.within();
        let raise = over && !self.raised;
        self.raised = over;
        raise
    }

    /// How many came after `since`.
    pub(super) fn after(&self, since: LimitTime) -> u64 {
        let first = self.times.partition_point(|known| *known < since);
        u64::try_from(self.times.len() - first).unwrap_or(u64::MAX)
    }
}

/// The most that one caller has used of a limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak {
    limit: Option<LimitName>,
    pub(super) percent: u32,
    times: u64,
    last: Option<Timestamp>,
}

impl Peak {
    pub(super) fn note(&mut self, limit: LimitName, percent: u32, at: Timestamp) {
        if percent > self.percent || self.limit.is_none() {
            (self.limit, self.percent) = (Some(limit), percent);
        }
        self.times += 1;
        self.last = Some(at);
    }
}

/// A caller that came near a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NearLimit {
    /// Who.
    pub caller: LimitCallerId,
    /// The limit of which most was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitName>,
    /// How much of it, in percent.
    pub percent: u32,
    /// How many requests found it so.
    pub times: u64,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

impl NearLimit {
    pub(super) fn new(caller: LimitCallerId, peak: Peak) -> Self {
        Self {
            caller,
            limit: peak.limit,
            percent: peak.percent,
            times: peak.times,
            last: peak.last,
        }
    }
}
