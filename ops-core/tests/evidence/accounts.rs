use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::SuspendAccount;
use ops_core::emergency::{
    ApprovalKey, Approved, Approver, Approvers, Plan, Procedure, Refusal, Rule, SafetyRule, Step,
};
use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryAccounts;
use ops_core::model::{
    Actor, Approval, IdempotencyKey, Outcome, OutcomeStatus, RunId, Snapshot, TargetId, TargetState,
};
use ops_core::ports::{AccountSuspender, Action, Clock};
use ops_core::testkit::{self, ManualClock};
use ops_core::{Ops, Providers};

use super::support::tenant;

const USER: &str = "u-17";

/// One account, and a procedure that suspends it.
struct World {
    accounts: Arc<InMemoryAccounts>,
    action: Arc<SuspendAccount>,
    procedure: Procedure,
    ops: Ops,
}

impl World {
    fn new(suspended: bool) -> Self {
        Self::of(USER, suspended)
    }

    fn of(user: &str, suspended: bool) -> Self {
        let accounts = Arc::new(InMemoryAccounts::new());
        accounts.add_user(user);
        accounts.set_suspended(user, suspended);
        let action = SuspendAccount::new(Arc::<InMemoryAccounts>::clone(&accounts), user).unwrap();
        let action = Arc::new(action);
        // One of the tests waits for what never comes.
        let step = Step::new(Arc::<SuspendAccount>::clone(&action)).with_settle(Duration::from_secs(2));
        Self {
            accounts,
            action,
            procedure: Procedure::new("suspend", vec![step]).unwrap(),
            ops: Ops::new(Providers::in_memory(), tenant()),
        }
    }

    async fn stop(&self) -> RunId {
        let report = self.ops.stop(&self.procedure, kazu()).await.unwrap();
        assert_eq!(report.outcome.status, OutcomeStatus::Verified);
        assert!(!self.accounts.admits(USER));
        report.outcome.run
    }

    async fn restore(&self, run: &RunId) -> Result<Outcome, Refusal> {
        self.ops.engine().execute(self.agreed(run).await?).await
    }

    /// The plan of the way back, agreed to by two persons.
    async fn agreed(&self, run: &RunId) -> Result<Plan<Approved>, Refusal> {
        let plan = self.ops.engine().plan_restore(run, &self.procedure).await?;
        let now = self.ops.providers().clock.now();
        let keys = [
            ("bob", ApprovalKey::generate()),
            ("carol", ApprovalKey::generate()),
        ];
        let approvers: Approvers = keys
            .iter()
            .map(|(name, key)| Approver::new(*name, &key.public_hex()).unwrap())
            .collect();
        let until = now + Duration::from_secs(600);
        let signed = keys.map(|(name, key)| Approval::sign(name, plan.digest(), until, &key));
        plan.approve(&signed, &approvers, kazu(), now)
    }
}

fn key() -> IdempotencyKey {
    IdempotencyKey::for_step(&RunId::generate(ManualClock::self_moving().now()), 0)
}

fn kazu() -> Actor {
    Actor::person("kazu").unwrap()
}

#[tokio::test]
async fn accounts_in_memory_keep_the_contract() {
    let accounts = InMemoryAccounts::new();
    testkit::account_suspender(
        &accounts,
        |user| accounts.add_user(user),
        |user| accounts.admits(user),
    )
    .await;
    let world = World::new(false);
    testkit::action(&*world.action).await;
    world.accounts.set_reachable(false);
    let error = world.action.observe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.to_string().contains(USER));
}

#[tokio::test]
async fn the_way_back_resumes_what_was_not_suspended_before() {
    let world = World::new(false);
    let run = world.stop().await;
    let outcome = world.restore(&run).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!(world.accounts.admits(USER));
}

#[tokio::test]
async fn the_way_back_leaves_suspended_what_was_so_before() {
    let world = World::new(true);
    let run = world.stop().await;
    let refusal = world.restore(&run).await.unwrap_err();
    assert!(matches!(refusal, Refusal::NothingHeld { .. }), "{refusal}");
    assert!(!world.accounts.admits(USER));

    // The action by itself: what is written back is what was.
    let prior = world.action.observe().await.unwrap();
    world.action.restore(prior.snapshot(), &key()).await.unwrap();
    assert!(!world.accounts.admits(USER));
}

#[tokio::test]
async fn an_account_that_somebody_else_has_resumed_is_left_to_them() {
    // It was not suspended before: as before, nothing is to be put back.
    let world = World::new(false);
    let run = world.stop().await;
    world.accounts.set_suspended(USER, false);
    let outcome = world.restore(&run).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    assert!(world.accounts.admits(USER));

    // It was: that it is open is somebody else's doing, and nothing of ours is to be taken back.
    let world = World::new(true);
    let run = world.stop().await;
    world.accounts.set_suspended(USER, false);
    let refusal = world.restore(&run).await.unwrap_err();
    assert!(matches!(refusal, Refusal::NothingHeld { .. }), "{refusal}");
    assert!(world.accounts.admits(USER), "nothing was changed");
}

/// Between the agreement and the write somebody else suspends what was resumed by hand: agreed was that nothing is to be done.
#[tokio::test]
async fn an_account_that_changes_after_the_agreement_is_left_alone() {
    let world = World::new(false);
    let run = world.stop().await;
    world.accounts.set_suspended(USER, false);
    let plan = world.agreed(&run).await.unwrap();
    world.accounts.set_suspended(USER, true);
    let outcome = world.ops.engine().execute(plan).await.unwrap();
    assert_ne!(outcome.status, OutcomeStatus::Verified);
    assert!(!world.accounts.admits(USER), "their suspension stays");
}

#[tokio::test]
async fn the_snapshot_holds_whether_it_was_suspended_and_nothing_else() {
    for suspended in [false, true] {
        let world = World::new(suspended);
        let observed = world.action.observe().await.unwrap();
        let fields: Vec<_> = observed.snapshot().fields().iter().collect();
        assert_eq!(fields, [(&"suspended".to_owned(), &suspended.into())]);
        assert!(observed.snapshot().witness().is_empty());
        let state = match suspended {
            true => TargetState::Stopped,
            false => TargetState::Serving,
        };
        assert_eq!(observed.state(), state);
    }
}

#[tokio::test]
async fn a_snapshot_of_another_account_or_form_opens_nothing() {
    let world = World::new(false);
    world.stop().await;
    let ours = world.action.target();
    let other = TargetId::new("account:memory/u-18").unwrap();
    for prior in [
        Snapshot::new(other, "account/1").with_field("suspended", false),
        Snapshot::new(ours.clone(), "account/2").with_field("suspended", false),
        Snapshot::new(ours.clone(), "account/1").with_field("suspended", "false"),
        Snapshot::new(ours.clone(), "account/1"),
    ] {
        let error = world.action.restore(&prior, &key()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{prior:?}");
        assert!(!world.accounts.admits(USER), "{prior:?}");
    }
    assert_eq!(
        ours.as_str(),
        format!("account:{}/{USER}", world.accounts.directory())
    );
}

/// Some directories have the address of a person for an id.
#[tokio::test]
async fn an_id_that_is_an_address_is_in_no_error_of_a_plan() {
    let address = "hanako.sato@example.com";
    let world = World::of(address, false);
    let target = world.action.target().clone();
    let report = world.ops.stop(&world.procedure, kazu()).await.unwrap();
    let run = report.outcome.run;

    let elsewhere = Arc::new(InMemoryAccounts::new());
    let another = SuspendAccount::new(elsewhere, USER).unwrap();
    let another = Procedure::new("suspend", vec![Step::new(Arc::new(another))]).unwrap();
    let wrong = world.ops.engine().plan_restore(&run, &another).await.unwrap_err();
    assert!(matches!(wrong, Refusal::WrongProcedure { .. }), "{wrong}");

    world.accounts.set_reachable(false);
    let unread = world.restore(&run).await.unwrap_err();
    assert!(matches!(unread, Refusal::Undecided(_)), "{unread}");
    assert!(unread.to_string().contains("account:"), "which is said: {unread}");

    let unseen = SafetyRule::Requires { stopped: target };
    let misfit = another.with_rule(Rule::new("first", unseen)).unwrap_err();

    let shown = format!("{wrong} {wrong:?} {unread} {unread:?} {misfit} {misfit:?}");
    assert!(!shown.contains(address), "{shown}");
}
