use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ed25519_dalek::VerifyingKey;

use super::Refusal;
use super::glass::{BREAK_GLASS_VALID, GATES};
use super::plan::{Approved, Draft, Plan};
use super::signature::from_hex;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, ActorKind, Approval, BrokenGlass, Digest, PlanKind, Timestamp};

/// How many different persons must approve, and for how long an approval may be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalPolicy {
    /// How many different persons. The one who runs the plan is not counted under the name that they gave; it is not proven.
    pub persons: usize,
    /// An approval that claims to be valid for longer than this is refused.
    pub valid_for: Duration,
}

impl ApprovalPolicy {
    /// Nobody: closing is unilateral.
    pub fn stop() -> Self {
        Self::of(0)
    }

    /// Two persons.
    pub fn restore() -> Self {
        Self::of(2)
    }

    /// So many persons, 30 minutes.
    pub fn of(persons: usize) -> Self {
        Self {
            persons,
            valid_for: Duration::from_secs(30 * 60),
        }
    }

    /// Sets the longest validity.
    #[must_use]
    pub fn with_valid_for(mut self, valid_for: Duration) -> Self {
        self.valid_for = valid_for;
        self
    }
}

/// A person who may approve, with their Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    name: String,
    key: VerifyingKey,
}

impl Approver {
    /// An approver; `public_key` is 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for anything that is not an Ed25519 public key.
    pub fn new(name: impl Into<String>, public_key: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidConfig, "read approver").context(
                "public_key",
                "must be an Ed25519 public key of 64 hexadecimal digits",
            )
        };
        let bytes: [u8; 32] = from_hex(public_key)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(wrong)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
        Ok(Self {
            name: name.into(),
            key,
        })
    }
}

/// The persons who may approve.
#[derive(Clone, Debug, Default)]
pub struct Approvers(BTreeMap<String, VerifyingKey>);

impl Approvers {
    /// Nobody: only plans that need no approval can be carried out, and stops by break-glass.
    pub fn none() -> Self {
        Self::default()
    }

    pub(super) fn key_of(&self, person: &str) -> Option<&VerifyingKey> {
        self.0.get(person)
    }
}

/// Enough valid approvals of one digest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consent {
    /// Who approved, by name.
    pub persons: Vec<String>,
    /// When the first of the approvals runs out.
    pub until: Timestamp,
    /// The fingerprints of their signatures.
    pub signatures: Vec<Digest>,
}

impl Approvers {
    /// Whether `approvals` meet `policy` for what `digest` stands for: enough different persons, none of them `actor`, each with a
    /// valid signature that has not run out.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] naming what is wrong with each approval.
    pub fn consent(
        &self,
        digest: Digest,
        policy: &ApprovalPolicy,
        approvals: &[Approval],
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Consent, Refusal> {
        let mut valid = BTreeMap::new();
        // A person with two names has one key.
        let mut keys = BTreeSet::new();
        let mut faults = Vec::new();
        let mut signatures = Vec::new();
        for approval in approvals {
            match approval.check(digest, policy, self, actor, now) {
                Ok(key) if keys.insert(key.to_bytes()) => {
                    valid.insert(approval.person.clone(), approval.until);
                    signatures.push(approval.fingerprint());
                }
                Ok(_) => {
                    // It must not serve for a second run.
                    signatures.push(approval.fingerprint());
                    faults.push(match valid.contains_key(&approval.person) {
                        true => format!("{} approved twice and counts once", approval.person),
                        false => format!("{} has the key of another approver", approval.person),
                    });
                }
                Err(fault) => faults.push(format!("{} {fault}", approval.person)),
            }
        }
        if valid.len() < policy.persons {
            return Err(Refusal::NotApproved {
                needed: policy.persons,
                valid: valid.len(),
                faults,
            });
        }
        let ends = valid.values().copied().chain([now + policy.valid_for]);
        let until = ends.min().unwrap_or(now);
        let persons = valid.into_keys().collect();
        Ok(Consent {
            persons,
            until,
            signatures,
        })
    }
}

/// Why nobody but a person goes without gates.
pub(super) fn persons_only(policy: &ApprovalPolicy) -> Refusal {
    Refusal::NotApproved {
        needed: policy.persons,
        valid: 0,
        faults: vec!["only a person may restore without gates".to_owned()],
    }
}

impl FromIterator<Approver> for Approvers {
    fn from_iter<I: IntoIterator<Item = Approver>>(approvers: I) -> Self {
        Self(
            approvers
                .into_iter()
                .map(|approver| (approver.name, approver.key))
                .collect(),
        )
    }
}

impl Plan<Draft> {
    /// Approves the plan if its policy is met: enough different persons, none of them the one who runs it, each with a valid
    /// signature over this very plan that has not run out. Only persons and programs may restore, never automation.
    ///
    /// # Errors
    /// [`Refusal::NotApproved`] naming what is wrong with each approval, [`Refusal::Drifted`], [`Refusal::Violates`],
    /// [`Refusal::AutomationMayNotRestore`].
    pub fn approve(
        self,
        approvals: &[Approval],
        approvers: &Approvers,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Plan<Approved>, Refusal> {
        self.check_restore(&actor)?;
        let broken = self.violations(&actor, &BTreeSet::new(), now);
        if !broken.is_empty() {
            return Err(Refusal::Violates { rules: broken });
        }
        let consent = approvers.consent(self.digest(), self.policy(), approvals, &actor, now)?;
        let approval = match consent.persons.as_slice() {
            [] => "no approval needed".to_owned(),
            persons => format!("approved by {}", persons.join(", ")),
        };
        // Who need not be asked has not been used.
        let signatures = if self.policy().persons == 0 {
            Vec::new()
        } else {
            consent.signatures
        };
        let (approval, until) = match &self.opening().ungated {
            None => (approval, consent.until),
            Some(reason) => (
                format!("{approval}; break-glass without gates: {reason}"),
                consent.until.min(now + BREAK_GLASS_VALID),
            ),
        };
        let reason = self.opening().ungated.clone();
        let glass = reason.map(|reason| BrokenGlass::new(reason, vec![GATES.to_owned()]));
        Ok(self.into_approved(Approved {
            actor,
            approval,
            until,
            signatures,
            glass,
        }))
    }

    fn check_restore(&self, actor: &Actor) -> Result<(), Refusal> {
        if matches!(self.kind(), PlanKind::Stop) {
            return Ok(());
        }
        if actor.kind() == ActorKind::Automation {
            return Err(Refusal::AutomationMayNotRestore);
        }
        if self.opening().ungated.is_some() && actor.kind() != ActorKind::Person {
            return Err(persons_only(self.policy()));
        }
        let steps: Vec<_> = self
            .steps()
            .iter()
            .filter(|step| !step.drift.is_empty())
            .cloned()
            .collect();
        if !steps.is_empty() && !self.accepts_drift() {
            return Err(Refusal::Drifted { steps });
        }
        Ok(())
    }
}
