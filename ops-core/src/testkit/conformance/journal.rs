use std::time::Duration;

use super::{at, fresh, fresh_run, ok};
use crate::model::{
    AbortCause, Actor, BrokenGlass, Digest, Opening, OutcomeStatus, PlanKind, PlannedGate, RunId, Snapshot,
    StepResult, TargetId, Text, Verdict,
};
use crate::ports::{GateMoment, Held, Journal, JournalEntry, JournalEvent};

/// The contract of [`Journal`]. It uses fresh runs and targets, so that it may run on a shared journal; its entries stay.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn journal(port: &dyn Journal) {
    entries_keep_their_order(port).await;
    the_first_writer_wins(port).await;
    one_of_eight_writers_wins(port).await;
}

async fn entries_keep_their_order(port: &dyn Journal) {
    let (first, second) = (fresh_run(), fresh_run());
    let unknown = ok("entries of an unknown run", port.entries(&first).await);
    assert!(unknown.is_empty(), "an unknown run must have no entries");

    let target = fresh_target();
    let expected = whole_run(&first, &target);
    for (position, entry) in expected.iter().enumerate() {
        ok("append", port.append(entry).await);
        if position == 1 {
            let other = JournalEntry::new(second.clone(), at(5), ended());
            ok("append to another run", port.append(&other).await);
        }
    }
    let found = ok("entries", port.entries(&first).await);
    assert_eq!(
        found, expected,
        "entries must come back as they were appended, in their order, without those of other runs"
    );

    let runs = ok("runs", port.runs().await);
    for run in [&first, &second] {
        let times = runs.iter().filter(|found| *found == run).count();
        assert_eq!(times, 1, "each run must be listed once");
    }
    assert!(runs.is_sorted(), "runs must be listed oldest first");
}

async fn the_first_writer_wins(port: &dyn Journal) {
    let target = fresh_target();
    let (first, second) = (fresh_run(), fresh_run());
    let wanted = hold(&first, &target, "before");
    let late = hold(&second, &target, "stopped");

    assert_eq!(
        ok("hold", port.hold(&wanted).await),
        wanted,
        "the first hold must win"
    );
    assert_eq!(
        ok("a second hold", port.hold(&late).await),
        wanted,
        "a second hold must return the first one's snapshot"
    );
    assert_eq!(
        held(port, &target).await,
        std::slice::from_ref(&wanted),
        "a second hold must change nothing"
    );

    ok("release by another run", port.release(&second, &target).await);
    assert_eq!(held(port, &target).await, [wanted], "only the holder may release");
    ok("release", port.release(&first, &target).await);
    assert!(
        held(port, &target).await.is_empty(),
        "a released target must not be held"
    );
    ok("a repeated release", port.release(&first, &target).await);

    assert_eq!(
        ok("hold after release", port.hold(&late).await),
        late,
        "a released target must be free for the next run"
    );
    ok(
        "release by the former holder",
        port.release(&first, &target).await,
    );
    assert_eq!(
        held(port, &target).await,
        [late],
        "a former holder must not release the next one's hold"
    );
    ok("release", port.release(&second, &target).await);
}

async fn one_of_eight_writers_wins(port: &dyn Journal) {
    let target = fresh_target();
    let wanted: Vec<_> = (0..8)
        .map(|writer| hold(&fresh_run(), &target, &format!("seen by {writer}")))
        .collect();
    let [a, b, c, d, e, f, g, h] = &wanted[..] else {
        unreachable!("eight were made")
    };
    let answers: [_; 8] = tokio::join!(
        port.hold(a),
        port.hold(b),
        port.hold(c),
        port.hold(d),
        port.hold(e),
        port.hold(f),
        port.hold(g),
        port.hold(h),
    )
    .into();
    let answers = answers.map(|answer| ok("hold by one of eight", answer));
    let winner = &answers[0];
    assert!(wanted.contains(winner), "the winner must be one of the writers");
    assert!(
        answers.iter().all(|answer| answer == winner),
        "all writers must be told the same winner"
    );
    assert_eq!(
        held(port, &target).await,
        std::slice::from_ref(winner),
        "what is held must be what the writers were told"
    );
    ok("release", port.release(&winner.run, &target).await);
}

async fn held(port: &dyn Journal, target: &TargetId) -> Vec<Held> {
    let mut held = ok("held", port.held().await);
    held.retain(|held| held.snapshot.target() == target);
    held
}

fn hold(run: &RunId, target: &TargetId, state: &str) -> Held {
    let snapshot = Snapshot::new(target.clone(), "conformance/1")
        .with_field("state", state)
        .with_field("数", 1.5)
        .with_witness("revision", "a-1");
    Held::new(run.clone(), at(0), snapshot)
}

fn whole_run(run: &RunId, target: &TargetId) -> Vec<JournalEntry> {
    let left = Snapshot::new(target.clone(), "conformance/1").with_field("state", "stopped");
    let gate = PlannedGate::new(
        0,
        1,
        Text::new("門", "gate"),
        vec!["api".to_owned()],
        Duration::from_secs(60),
    );
    let mut opening = Opening::default();
    opening.gates.push(gate);
    opening.ungated = Some("改行\nと \"引用\"".to_owned());
    let events = [
        JournalEvent::Started {
            procedure: "conformance".to_owned(),
            plan: PlanKind::Restore { of: run.clone() },
            digest: Digest::of(b"plan"),
            actor: ok("an actor", Actor::person("conformance")),
            approval: "緊急: 改行\nと \"引用\"".to_owned(),
            steps: Vec::new(),
            signatures: vec![Digest::of(b"signature")],
            glass: Some(BrokenGlass::new("課金が暴走", vec!["approvals".to_owned()])),
            opening,
            after: vec![run.clone()],
        },
        JournalEvent::Intent {
            step: 0,
            target: target.clone(),
            timeout: Some(Duration::from_secs(30)),
            automated: true,
        },
        JournalEvent::Applied {
            step: 0,
            target: target.clone(),
            error: Some("stop failed: timed out".to_owned()),
            unanswered: true,
        },
        JournalEvent::Verified {
            step: 0,
            target: target.clone(),
            result: StepResult::Done,
            verdict: Verdict::not_yet("1 request is running"),
            left: Some(left),
        },
        JournalEvent::Gate {
            gate: 0,
            moment: GateMoment::Waiting,
        },
        JournalEvent::Gate {
            gate: 0,
            moment: GateMoment::Saw {
                seen: Verdict::unknown("no answer"),
            },
        },
        JournalEvent::Gate {
            gate: 0,
            moment: GateMoment::Failed {
                reason: "no answer".to_owned(),
            },
        },
        JournalEvent::Aborted {
            cause: AbortCause::Gate {
                gate: 0,
                reason: "no answer".to_owned(),
            },
        },
        JournalEvent::ClosedAgain {
            target: target.clone(),
            verdict: Verdict::Holds,
            left: None,
        },
        ended(),
        JournalEvent::Forgotten {
            targets: vec![target.clone()],
            by: ok("an actor", Actor::person("operator")),
            reason: "the service is gone".to_owned(),
            persons: vec!["bob".to_owned()],
            signatures: vec![Digest::of(b"signature")],
        },
        JournalEvent::Reviewed {
            by: ok("an actor", Actor::person("reviewer")),
            note: "確認した".to_owned(),
        },
    ];
    // The times run backwards: the order is that of appending, not that of a clock.
    (0..)
        .zip(events)
        .map(|(position, event)| JournalEntry::new(run.clone(), at(10 - position), event))
        .collect()
}

fn ended() -> JournalEvent {
    JournalEvent::Ended {
        status: OutcomeStatus::Verified,
    }
}

fn fresh_target() -> TargetId {
    ok(
        "a target id",
        TargetId::new(format!("conformance:{}", fresh("target"))),
    )
}
