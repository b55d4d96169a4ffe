//! Who may do what: two other persons for a restore, break-glass for a stop, never automation for a restore.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::time::Duration;

use ops_core::emergency::{
    ApprovalKey, ApprovalPolicy, Approved, Approver, Approvers, BreakGlass, Draft, Plan, Refusal,
};
use ops_core::model::{Actor, Approval, Digest, OutcomeStatus, Timestamp};
use ops_core::ports::JournalEvent;
use support_emergency::{World, alice};

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// A stopped world and the plan that would open it.
async fn restore_plan() -> (World, Plan<Draft>) {
    let world = World::of(2);
    let stopped = world.stop().await;
    let plan = world
        .engine
        .plan_restore(&stopped.run, &world.procedure())
        .await
        .unwrap();
    (world, plan)
}

/// The approval as its JSON, changed.
fn tampered(approval: &Approval, change: impl Fn(&mut serde_json::Value)) -> Approval {
    let mut json = serde_json::to_value(approval).unwrap();
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

#[track_caller]
fn not_approved(result: Result<Plan<Approved>, Refusal>) -> (usize, usize, String) {
    match result {
        Err(Refusal::NotApproved {
            needed,
            valid,
            faults,
        }) => (needed, valid, faults.join("; ")),
        other => panic!("must not be approved: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn two_other_persons_may_approve_a_restore() {
    let (world, plan) = restore_plan().await;
    let now = world.clock.time();
    let one = [world.people.sign("bob", &plan, now)];
    let refused = plan
        .clone()
        .approve(&one, &world.people.approvers(), alice(), now);
    assert_eq!(not_approved(refused), (2, 1, String::new()));
    let refused = plan.clone().approve(&[], &world.people.approvers(), alice(), now);
    assert_eq!(not_approved(refused), (2, 0, String::new()));
    let approved = world.people.approve(plan, now).unwrap();
    let outcome = world.engine.execute(approved).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    let entries = world.engine.entries(&outcome.run).await.unwrap();
    match &entries[0].event {
        JournalEvent::Started { approval, actor, .. } => {
            assert_eq!(
                (approval.as_str(), actor.id()),
                ("approved by bob, carol", "alice")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_is_wrong_with_an_approval_is_named() {
    let (world, plan) = restore_plan().await;
    let now = world.clock.time();
    let people = &world.people;
    let bob = people.sign("bob", &plan, now);
    let sign = |name: &str, until: Timestamp| Approval::sign(name, plan.digest(), until, people.key(name));
    let stranger = Approval::sign("mallory", plan.digest(), now + TEN_MINUTES, people.key("dave"));
    let borrowed = Approval::sign("carol", plan.digest(), now + TEN_MINUTES, people.key("dave"));
    let other_plan = Approval::sign(
        "carol",
        Digest::of(b"other"),
        now + TEN_MINUTES,
        people.key("carol"),
    );
    let carol = people.sign("carol", &plan, now);
    let flipped = tampered(&carol, |json| {
        let signature = json["signature"].as_str().unwrap();
        let flipped = if signature.starts_with('0') { "1" } else { "0" };
        json["signature"] = format!("{flipped}{}", &signature[1..]).into();
    });
    let prolonged = tampered(&carol, |json| {
        json["until"] = (now + 2 * TEN_MINUTES).to_string().into();
    });
    let moved = tampered(&other_plan, |json| {
        json["plan"] = plan.digest().to_string().into()
    });
    let renamed = tampered(&carol, |json| json["person"] = "dave".into());
    let garbage = tampered(&carol, |json| json["signature"] = "これは署名ではない".into());
    let signs = tampered(&carol, |json| {
        // The same bytes, spelt otherwise: one signature has one text.
        let signature = json["signature"].as_str().unwrap();
        json["signature"] = signature.replacen('0', "+", 1).into();
    });
    let cases = [
        (bob.clone(), "twice"),
        (sign("bob", now + Duration::from_secs(60)), "twice"),
        (stranger, "not among the approvers"),
        (other_plan, "another plan"),
        (sign("carol", now), "too long ago"),
        (sign("carol", now - TEN_MINUTES), "too long ago"),
        (
            sign("carol", now + Duration::from_secs(30 * 60 + 1)),
            "longer than allowed",
        ),
        (borrowed, "signature that does not fit"),
        (flipped, "signature that does not fit"),
        (prolonged, "signature that does not fit"),
        (moved, "signature that does not fit"),
        (renamed, "signature that does not fit"),
        (garbage, "no readable signature"),
        (signs, "signature"),
    ];
    for (second, fault) in cases {
        let approvals = [bob.clone(), second];
        let refused = plan
            .clone()
            .approve(&approvals, &people.approvers(), alice(), now);
        let (needed, valid, faults) = not_approved(refused);
        assert_eq!((needed, valid), (2, 1), "{fault}");
        assert!(faults.contains(fault), "{fault:?} must be named in {faults:?}");
    }
    let longest = [bob, sign("carol", now + Duration::from_secs(30 * 60))];
    plan.approve(&longest, &people.approvers(), alice(), now).unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_single_flipped_bit_of_a_signature_is_noticed() {
    let (world, plan) = restore_plan().await;
    let now = world.clock.time();
    let (bob, carol) = (
        world.people.sign("bob", &plan, now),
        world.people.sign("carol", &plan, now),
    );
    for bit in 0..512 {
        let flipped = tampered(&carol, |json| {
            let mut digits: Vec<_> = json["signature"].as_str().unwrap().chars().collect();
            let digit = digits[bit / 4].to_digit(16).unwrap() ^ (1 << (bit % 4));
            digits[bit / 4] = char::from_digit(digit, 16).unwrap();
            json["signature"] = digits.into_iter().collect::<String>().into();
        });
        let refused = plan
            .clone()
            .approve(&[bob.clone(), flipped], &world.people.approvers(), alice(), now);
        assert_eq!(not_approved(refused).1, 1, "bit {bit}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_runs_a_plan_cannot_approve_it() {
    let (world, plan) = restore_plan().await;
    let now = world.clock.time();
    let approvals = [
        world.people.sign("bob", &plan, now),
        world.people.sign("carol", &plan, now),
    ];
    let bob = Actor::person("bob").unwrap();
    let (_, valid, faults) = not_approved(plan.approve(&approvals, &world.people.approvers(), bob, now));
    assert_eq!(valid, 1);
    assert!(faults.contains("bob runs the plan"), "{faults}");
}

#[tokio::test(start_paused = true)]
async fn one_key_under_two_names_is_one_person() {
    let (world, plan) = restore_plan().await;
    let now = world.clock.time();
    let key = ApprovalKey::generate();
    let twins: Approvers = ["erin", "erin-admin"]
        .map(|name| Approver::new(name, &key.public_hex()).unwrap())
        .into_iter()
        .collect();
    let sign = |name| Approval::sign(name, plan.digest(), now + TEN_MINUTES, &key);
    let approvals = [sign("erin"), sign("erin-admin")];
    let (_, valid, faults) = not_approved(plan.approve(&approvals, &twins, alice(), now));
    assert_eq!(valid, 1);
    assert!(faults.contains("key of another approver"), "{faults}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_void_as_soon_as_the_world_differs() {
    let (world, plan) = restore_plan().await;
    let now = world.clock.time();
    let approvals = [
        world.people.sign("bob", &plan, now),
        world.people.sign("carol", &plan, now),
    ];
    let run = match plan.kind() {
        ops_core::model::PlanKind::Restore { of } => of.clone(),
        other => panic!("{other:?}"),
    };
    let again = world.engine.plan_restore(&run, &world.procedure()).await.unwrap();
    assert_eq!(
        again.digest(),
        plan.digest(),
        "the same world, so the approvals hold for the new plan"
    );
    again
        .approve(&approvals, &world.people.approvers(), alice(), now)
        .unwrap();

    world.targets[0].deploy();
    let drifted = world
        .engine
        .plan_restore(&run, &world.procedure())
        .await
        .unwrap()
        .accepting_drift();
    let (_, valid, faults) =
        not_approved(drifted.approve(&approvals, &world.people.approvers(), alice(), now));
    assert_eq!(valid, 0);
    assert!(faults.contains("another plan"), "{faults}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_ran_out_before_the_plan_was_carried_out_is_refused() {
    let (world, plan) = restore_plan().await;
    let approved = world.people.approve(plan, world.clock.time()).unwrap();
    tokio::time::sleep(TEN_MINUTES).await;
    let refused = world.engine.execute(approved).await.unwrap_err();
    assert!(matches!(refused, Refusal::Expired), "{refused}");
    assert!(world.all_stopped());
    assert_eq!(world.held().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn automation_may_stop_but_not_restore() {
    let world = World::of(1);
    let robot = Actor::automation("cost-guard").unwrap();
    let now = world.clock.time();
    let plan = world.engine.plan_stop(&world.procedure()).await;
    let plan = plan.approve(&[], &Approvers::none(), robot.clone(), now).unwrap();
    let stopped = world.engine.execute(plan).await.unwrap();
    assert_eq!(stopped.status, OutcomeStatus::Verified);

    let plan = world
        .engine
        .plan_restore(&stopped.run, &world.procedure())
        .await
        .unwrap();
    let approvals = [
        world.people.sign("bob", &plan, now),
        world.people.sign("carol", &plan, now),
    ];
    let refused = plan
        .approve(&approvals, &world.people.approvers(), robot.clone(), now)
        .unwrap_err();
    assert!(matches!(refused, Refusal::AutomationMayNotRestore), "{refused}");

    let plan = world
        .engine
        .plan_restore(&stopped.run, &world.procedure())
        .await
        .unwrap();
    let plan = world.people.approve(plan, world.clock.time()).unwrap();
    let restore = plan.run().clone();
    let _ = world.engine.execute(plan).await.unwrap();
    let refused = world
        .engine
        .resume(&restore, &world.procedure(), &robot)
        .await
        .unwrap_err();
    assert!(matches!(refused, Refusal::AutomationMayNotRestore), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_person_may_break_the_glass_for_a_stop_for_fifteen_minutes() {
    let world = World::of(1);
    let procedure = world.procedure().with_stop_approval(ApprovalPolicy::of(1));
    let glass = || {
        BreakGlass::new("the approver is on a plane")
            .unwrap()
            .overriding("approvals")
    };
    let now = world.clock.time();

    let plan = world.engine.plan_stop(&procedure).await;
    assert_eq!(
        not_approved(plan.clone().approve(&[], &world.people.approvers(), alice(), now)).0,
        1
    );
    for actor in [
        Actor::automation("robot").unwrap(),
        Actor::service("cron").unwrap(),
    ] {
        let (_, _, faults) = not_approved(plan.clone().break_glass(glass(), actor, now));
        assert!(faults.contains("only a person"), "{faults}");
    }
    let late = plan.clone().break_glass(glass(), alice(), now).unwrap();
    let broken = plan.break_glass(glass(), alice(), now).unwrap();
    let outcome = world.engine.execute(broken).await.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Verified);
    let entries = world.engine.entries(&outcome.run).await.unwrap();
    let JournalEvent::Started { approval, .. } = &entries[0].event else {
        panic!("{:?}", entries[0]);
    };
    assert!(
        approval.contains("the approver is on a plane") && approval.contains("overrides: approvals"),
        "{approval}"
    );

    let plan = world.engine.plan_restore(&outcome.run, &procedure).await.unwrap();
    let (_, _, faults) = not_approved(plan.break_glass(glass(), alice(), now));
    assert!(faults.contains("only for a stop"), "{faults}");

    tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_secs(15 * 60)).await;
    assert!(matches!(
        world.engine.execute(late).await.unwrap_err(),
        Refusal::Expired
    ));
}

#[test]
fn a_broken_glass_needs_a_reason_and_a_key_its_digits() {
    for reason in ["", "  short  ", "         \n          "] {
        BreakGlass::new(reason).unwrap_err();
    }
    BreakGlass::new("本番で課金が暴走しているため").unwrap();
    for key in ["", "zz", &"+f".repeat(32), &"あ".repeat(32), &"0".repeat(63)] {
        Approver::new("bob", key).unwrap_err();
        ApprovalKey::from_hex(&(*key).to_owned().into()).unwrap_err();
    }
}

#[test]
fn a_private_key_is_not_shown() {
    let key = ApprovalKey::generate();
    use secrecy::ExposeSecret;
    assert!(!format!("{key:?}").contains(key.to_hex().expose_secret()));
    assert!(format!("{key:?}").contains(&key.public_hex()));
}
