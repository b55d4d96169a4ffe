use std::time::Duration;

use super::{EndpointClass, LimitName, LimitRule, LimitScope, LimitSemantics, MAX_LIMITS_AT_ONCE};

/// How a key stands with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a store of another crate makes it from four numbers"
)]
pub struct Standing {
    /// Whether this limit lets the request pass.
    pub admitted: bool,
    /// How much is left, after this request if it is admitted.
    pub remaining: u32,
    /// How long until the whole allowance is there again if nothing more is used.
    pub reset: Duration,
    /// How long until the same request is admitted: zero if it is, `None` if not before the limit itself changes.
    pub retry_after: Option<Duration>,
}

/// What one limit says to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitVerdict {
    /// Its name.
    pub name: LimitName,
    /// What it counts.
    pub class: EndpointClass,
    /// Who shares the allowance.
    pub scope: LimitScope,
    /// What its numbers mean.
    pub semantics: LimitSemantics,
    /// How many, as in force for this key at this time.
    pub limit: u32,
    /// In which period.
    pub per: Duration,
    /// How the key stands.
    pub standing: Standing,
}

impl LimitVerdict {
    /// What `rule`, with `limit` in force, says.
    pub fn new(rule: &LimitRule, limit: u32, standing: Standing) -> Self {
        Self {
            name: rule.name,
            class: rule.class,
            scope: rule.scope,
            semantics: rule.semantics,
            limit,
            per: rule.per(),
            standing,
        }
    }
}

/// What all limits that apply to a request say to it. Denied is a value, not an error. It is copied, never allocated.
///
/// A request is admitted by all of them or by none: one that any limit denies uses up nothing of any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitDecision {
    verdicts: [Option<LimitVerdict>; MAX_LIMITS_AT_ONCE],
    count: usize,
    degraded: bool,
}

impl LimitDecision {
    /// No limit applies.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Adds what one more limit says; what is beyond [`MAX_LIMITS_AT_ONCE`] is left out, and no table has more.
    pub fn push(&mut self, verdict: LimitVerdict) {
        if let Some(free) = self.verdicts.get_mut(self.count) {
            *free = Some(verdict);
            self.count += 1;
        }
    }

    /// Marks an answer that was given without the shared count, from a bounded local share.
    #[must_use]
    pub fn with_degraded(mut self) -> Self {
        self.degraded = true;
        self
    }

    /// Whether the shared count could not be asked.
    pub fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// Whether the request may go on.
    pub fn is_admitted(&self) -> bool {
        self.verdicts().all(|verdict| verdict.standing.admitted)
    }

    /// What each limit says, in the order of the table.
    pub fn verdicts(&self) -> impl Iterator<Item = &LimitVerdict> {
        self.verdicts.iter().flatten()
    }

    /// How long until the same request is admitted if nothing else is used meanwhile: zero if it is now, `None` if not before a limit
    /// changes.
    pub fn retry_after(&self) -> Option<Duration> {
        self.verdicts().try_fold(Duration::ZERO, |longest, verdict| {
            Some(longest.max(verdict.standing.retry_after?))
        })
    }

    /// The limit to tell the caller about: of those that deny, the one that does so for longest; else the one with the least left.
    pub fn binding(&self) -> Option<&LimitVerdict> {
        let denied = self
            .verdicts()
            .filter(|verdict| !verdict.standing.admitted)
            .max_by_key(|verdict| verdict.standing.retry_after.unwrap_or(Duration::MAX));
        denied.or_else(|| self.verdicts().min_by_key(|verdict| verdict.standing.remaining))
    }
}
