use std::collections::BTreeSet;
use std::time::Duration;

use super::plan::{Approved, Draft, Plan};
use super::{Refusal, Violation};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, ActorKind, BrokenGlass, PlanKind, Timestamp};

/// Why a person acts against the rules, and against which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    reason: String,
    overrides: BTreeSet<String>,
}

/// The name by which missing approvals are overridden.
pub(super) const APPROVALS: &str = "approvals";

/// The name by which a restore goes without gates.
pub(super) const GATES: &str = "gates";

/// How long a broken glass stays open.
pub(super) const BREAK_GLASS_VALID: Duration = Duration::from_secs(15 * 60);

impl BreakGlass {
    /// A reason of at least 10 characters, so that the review has something to review.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a shorter one.
    pub fn new(reason: impl Into<String>) -> Result<Self> {
        let reason = reason.into();
        if reason.trim().chars().count() < 10 {
            return Err(Error::new(ErrorKind::InvalidInput, "break glass")
                .context("reason", "must say in at least 10 characters why"));
        }
        Ok(Self {
            reason,
            overrides: BTreeSet::new(),
        })
    }

    /// Names a rule that is broken: `approvals` for missing signatures, else the rule's name.
    #[must_use]
    pub fn overriding(mut self, rule: impl Into<String>) -> Self {
        self.overrides.insert(rule.into());
        self
    }

    /// Why.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

impl Plan<Draft> {
    /// Goes ahead against the rules that `glass` names, for 15 minutes. Only a person may; for a stop only. It opens a review task.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] for a restore and for anybody but a person; [`Refusal::UnknownRule`];
    /// [`Refusal::Violates`] with all that is broken and not named.
    pub fn break_glass(
        self,
        glass: BreakGlass,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Plan<Approved>, Refusal> {
        if actor.kind() != ActorKind::Person || !matches!(self.kind(), PlanKind::Stop) {
            let faults = vec!["only a person may break the glass, and only for a stop".to_owned()];
            return Err(Refusal::NotApproved {
                needed: self.policy().persons,
                valid: 0,
                faults,
            });
        }
        let rules = self.procedure().rules().iter().map(|rule| rule.name().to_owned());
        let known: Vec<_> = [APPROVALS.to_owned()].into_iter().chain(rules).collect();
        if let Some(name) = glass.overrides.iter().find(|name| !known.contains(name)) {
            let name = name.clone();
            return Err(Refusal::UnknownRule { name, known });
        }
        let mut broken = self.violations(&actor, &glass.overrides, now);
        let persons = self.policy().persons;
        if persons > 0 && !glass.overrides.contains(APPROVALS) {
            broken.insert(
                0,
                Violation::new(APPROVALS, format!("{persons} persons must approve")),
            );
        }
        if !broken.is_empty() {
            return Err(Refusal::Violates { rules: broken });
        }
        let overrides: Vec<_> = glass.overrides.into_iter().collect();
        let shown = match overrides.as_slice() {
            [] => "nothing".to_owned(),
            named => named.join(", "),
        };
        let approval = format!("break-glass: {} (overrides: {shown})", glass.reason);
        Ok(self.into_approved(Approved {
            actor,
            approval,
            until: now + BREAK_GLASS_VALID,
            signatures: Vec::new(),
            glass: Some(BrokenGlass::new(glass.reason, overrides)),
        }))
    }
}
