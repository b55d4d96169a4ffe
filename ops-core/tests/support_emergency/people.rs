use std::sync::LazyLock;
use std::time::Duration;

use ops_core::emergency::{ApprovalKey, Approved, Approver, Approvers, Draft, Plan, Refusal};
use ops_core::model::{Actor, Approval, Timestamp};

/// Bob, Carol and Dave, who may approve, with their keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct People {
    keys: &'static [(&'static str, ApprovalKey); 3],
}

static KEYS: LazyLock<[(&str, ApprovalKey); 3]> = LazyLock::new(|| {
    // Any digits do: the keys need only be different.
    let key = |digit: &str| ApprovalKey::from_hex(&digit.repeat(64).into()).unwrap();
    [("bob", key("b")), ("carol", key("c")), ("dave", key("d"))]
});

impl People {
    pub(crate) fn new() -> Self {
        Self { keys: &KEYS }
    }

    pub(crate) fn key(&self, name: &str) -> &ApprovalKey {
        let (_, key) = self.keys.iter().find(|(known, _)| *known == name).unwrap();
        key
    }

    pub(crate) fn approvers(&self) -> Approvers {
        let approver = |(name, key): &(&str, ApprovalKey)| Approver::new(*name, &key.public_hex()).unwrap();
        self.keys.iter().map(approver).collect()
    }

    /// `name` signs `plan` for ten minutes.
    pub(crate) fn sign<S>(&self, name: &str, plan: &Plan<S>, now: Timestamp) -> Approval {
        let until = now + Duration::from_secs(600);
        Approval::sign(name, plan.digest(), until, self.key(name))
    }

    /// Bob and Carol approve what Alice runs, if anybody must.
    pub(crate) fn approve(&self, plan: Plan<Draft>, now: Timestamp) -> Result<Plan<Approved>, Refusal> {
        if plan.policy().persons == 0 {
            return plan.approve(&[], &Approvers::none(), alice(), now);
        }
        let approvals = [self.sign("bob", &plan, now), self.sign("carol", &plan, now)];
        plan.approve(&approvals, &self.approvers(), alice(), now)
    }
}

pub(crate) fn alice() -> Actor {
    Actor::person("alice").unwrap()
}
