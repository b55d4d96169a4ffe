use serde::{Deserialize, Serialize};

use super::{Actor, Digest, Opening, PlanKind, PlannedStep, Timestamp};

/// One person's signed consent to one plan, until a time. It proves nothing until it is checked against the person's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub(crate) person: String,
    pub(crate) plan: Digest,
    pub(crate) until: Timestamp,
    /// 128 hexadecimal digits.
    pub(crate) signature: String,
}

impl Approval {
    /// Who claims to have signed.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// The plan that was signed.
    pub fn plan(&self) -> Digest {
        self.plan
    }

    /// When it runs out.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Tells this signature from every other one, however its digits are spelt.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(format!("ops-signature/1 {}", self.signature.to_ascii_lowercase()).as_bytes())
    }
}

/// What somebody asks others to approve, with everything that they must see before they sign.
///
/// Anybody who can write to a store can make one up: show it only if [`is_genuine`](Self::is_genuine).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// What an approval signs.
    pub digest: Digest,
    /// The procedure.
    pub procedure: String,
    /// Stop or restore.
    pub plan: PlanKind,
    /// The steps with the observed prior state and drift.
    pub steps: Vec<PlannedStep>,
    /// Whether the restore overwrites what others changed.
    pub accept_drift: bool,
    /// For a restore: its gates, or the reason to go without.
    #[serde(default, skip_serializing_if = "Opening::is_plain")]
    pub opening: Opening,
    /// Who asked. A claim: the digest does not cover it.
    pub asked_by: Actor,
    /// When.
    pub at: Timestamp,
    /// Until when an approval can be of use.
    pub until: Timestamp,
}

impl ApprovalRequest {
    /// A request of `asked_by` for the plan of these steps; its digest is computed.
    pub fn new(
        procedure: impl Into<String>,
        plan: PlanKind,
        steps: Vec<PlannedStep>,
        (accept_drift, opening): (bool, Opening),
        asked_by: Actor,
        (at, until): (Timestamp, Timestamp),
    ) -> Self {
        let procedure = procedure.into();
        Self {
            digest: Digest::of_plan(&procedure, &plan, &steps, accept_drift, &opening),
            procedure,
            plan,
            steps,
            accept_drift,
            opening,
            asked_by,
            at,
            until,
        }
    }

    /// Whether what it shows is what its digest stands for.
    pub fn is_genuine(&self) -> bool {
        self.digest
            == Digest::of_plan(
                &self.procedure,
                &self.plan,
                &self.steps,
                self.accept_drift,
                &self.opening,
            )
    }
}

/// Why somebody went against the rules, and which: kept in the journal for the review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BrokenGlass {
    /// The reason, masked.
    pub reason: String,
    /// The rules that were named.
    pub overrides: Vec<String>,
}

impl BrokenGlass {
    /// A broken glass.
    pub fn new(reason: impl Into<String>, overrides: Vec<String>) -> Self {
        Self {
            reason: reason.into(),
            overrides,
        }
    }
}
