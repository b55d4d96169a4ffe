use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// What goes wrong with a request to a simulated vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The answer comes later.
    Latency(Duration),
    /// The connection is cut before the request has any effect.
    Refused,
    /// 429 with `Retry-After: 1`, no effect.
    TooManyRequests,
    /// 503, no effect.
    Unavailable,
    /// 403, no effect.
    Forbidden,
    /// The request has its effect, then the connection is cut.
    LostAnswer,
    /// The change is accepted and never becomes effective.
    NeverEnds,
    /// Another deployer changes the target right after the request.
    Drift,
}

impl FromStr for Fault {
    type Err = Error;

    /// `latency`, `refused`, `429`, `503`, `403`, `lost-answer`, `never-ends`, `drift`.
    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "latency" => Self::Latency(Duration::from_millis(300)),
            "refused" => Self::Refused,
            "429" => Self::TooManyRequests,
            "503" => Self::Unavailable,
            "403" => Self::Forbidden,
            "lost-answer" => Self::LostAnswer,
            "never-ends" => Self::NeverEnds,
            "drift" => Self::Drift,
            _ => {
                return Err(Error::new(ErrorKind::InvalidInput, "read fault").context(
                    "fault",
                    "must be latency, refused, 429, 503, 403, lost-answer, never-ends or drift",
                ));
            }
        })
    }
}

/// A fault, the target it meets, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// Only for targets whose name contains this; empty: for all.
    pub target: String,
    /// Only for changing requests (not reads).
    pub writes_only: bool,
    /// So often; `None`: always.
    pub times: Option<u32>,
}

impl FaultRule {
    /// `fault` for every changing request to a target whose name contains `target`.
    pub fn on_writes(fault: Fault, target: impl Into<String>) -> Self {
        Self {
            fault,
            target: target.into(),
            writes_only: true,
            times: None,
        }
    }

    /// `fault` for every request to a target whose name contains `target`.
    pub fn on_all(fault: Fault, target: impl Into<String>) -> Self {
        Self {
            writes_only: false,
            ..Self::on_writes(fault, target)
        }
    }

    /// Ends after `times` requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// The faults of a simulated world; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<FaultRule>>>);

impl Faults {
    /// No faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule; earlier rules come first.
    pub fn add(&self, rule: FaultRule) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault that meets this request, counting it as used.
    pub fn strike(&self, target: &str, write: bool) -> Option<Fault> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.iter_mut().find(|rule| {
            rule.times != Some(0)
                && (write || !rule.writes_only)
                && (rule.target.is_empty() || target.contains(&rule.target))
        })?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.fault)
    }
}
