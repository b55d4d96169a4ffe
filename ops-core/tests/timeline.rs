//! The timeline of a run: computed from its journal, in words, the same every time.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use ops_core::emergency::timeline;
use ops_core::error::ErrorKind;
use ops_core::model::{AbortCause, Actor, Lang, RunId, TargetId, Timestamp, Verdict};
use ops_core::ports::{GateMoment, JournalEntry, JournalEvent};
use support_emergency::{Fault, World, quick};

#[tokio::test(start_paused = true)]
async fn it_names_every_step_with_what_happened_and_when() {
    let world = World::of(2);
    world.targets[1].every_apply(Fault::Fail(ErrorKind::PermissionDenied));
    let outcome = world.stop_by(&world.procedure_with(|_, step| quick(step))).await;
    let entries = world.engine.entries(&outcome.run).await.unwrap();
    let timeline = timeline(&entries).unwrap();
    assert_eq!(
        (&timeline.run, timeline.procedure.as_str()),
        (&outcome.run, "stop-all")
    );
    assert_eq!(timeline.plan.as_ref(), Some(&outcome.kind));
    assert_eq!(timeline.lines.len(), entries.len());
    assert!(timeline.lines.iter().map(|line| line.offset).is_sorted());
    assert_eq!(timeline.lasted, timeline.lines.last().unwrap().offset);
    assert!(timeline.lasted >= outcome.steps[0].elapsed);
    let said = |lang: Lang| {
        timeline
            .lines
            .iter()
            .map(|line| line.what.get(lang))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for text in [
        "alice began the stop stop-all (no approval needed)",
        "called",
        "accepted",
        "done and verified",
        "failed:",
        "the run ended: partly done",
    ] {
        assert!(said(Lang::En).contains(text), "{text}: {}", said(Lang::En));
    }
    assert!(said(Lang::Ja).contains("alice が停止「stop-all」を開始"));
    let of_target = |at: usize| {
        timeline
            .lines
            .iter()
            .filter(|line| line.target.as_ref() == Some(world.targets[at].id()))
            .count()
    };
    assert_eq!((of_target(0), of_target(1)), (3, 3), "intent, answer, verdict");
}

#[tokio::test(start_paused = true)]
async fn a_restore_names_the_run_that_it_undoes() {
    let world = World::of(1);
    let stop = world.stop().await;
    let restore = world.restore(&stop.run).await.unwrap();
    let timeline = timeline(&world.engine.entries(&restore.run).await.unwrap()).unwrap();
    let first = timeline.lines[0].what.get(Lang::En);
    assert!(
        first.contains(stop.run.as_str()) && first.contains("approved by bob, carol"),
        "{first}"
    );
}

#[test]
fn a_run_without_its_beginning_and_with_a_clock_that_went_back_is_shown_all_the_same() {
    let run = RunId::generate(Timestamp::UNIX_EPOCH);
    let at = |seconds: i64| Timestamp::from_unix_micros(seconds * 1_000_000);
    let target = TargetId::new("test:t|0").unwrap();
    let applied = JournalEvent::Applied {
        step: 3,
        target,
        error: Some("a | b\n<script>".to_owned()),
        unanswered: false,
    };
    let entries = [
        JournalEntry::new(run.clone(), at(100), applied),
        JournalEntry::new(run, at(90), JournalEvent::Published { audited: false }),
    ];
    let timeline = timeline(&entries).unwrap();
    assert!(timeline.procedure.is_empty() && timeline.plan.is_none());
    assert!(timeline.lines[1].offset.is_zero() && timeline.lasted.is_zero());
    let markdown = timeline.to_markdown(Lang::En);
    let rows: Vec<_> = markdown.lines().skip(4).collect();
    assert_eq!(rows.len(), 2, "a vendor's text breaks no row: {markdown}");
    assert!(
        rows[0].contains(r"a \| b \<script\>") && rows[0].contains("| 4 |"),
        "{}",
        rows[0]
    );
    assert_eq!(ops_core::emergency::timeline(&[]), None);
}

#[test]
fn gates_an_abort_and_a_review_are_told_in_their_own_words() {
    let run = RunId::generate(Timestamp::UNIX_EPOCH);
    let target = TargetId::new("test:t").unwrap();
    let gate = |moment| JournalEvent::Gate { gate: 1, moment };
    let unhealthy = Verdict::NotYet {
        reason: "HTTP 503".to_owned(),
    };
    let cause = AbortCause::Asked {
        by: Actor::person("carol").unwrap(),
        reason: "still failing".to_owned(),
    };
    let closed = |verdict| JournalEvent::ClosedAgain {
        target: target.clone(),
        verdict,
        left: None,
    };
    let reviewed = JournalEvent::Reviewed {
        by: Actor::person("dave").unwrap(),
        note: "it was right".to_owned(),
    };
    let told = [
        (
            gate(GateMoment::Waiting),
            "gate 2 … began to look",
            "確認 2 … 確認を開始",
        ),
        (
            gate(GateMoment::Saw { seen: Verdict::Holds }),
            "gate 2 … saw: healthy",
            "確認 2 … 正常",
        ),
        (
            gate(GateMoment::Saw {
                seen: unhealthy.clone(),
            }),
            "gate 2 … saw: not healthy: HTTP 503",
            "確認 2 … 正常でない: HTTP 503",
        ),
        (gate(GateMoment::Passed), "gate 2 … passed", "確認 2 … 通過"),
        (
            gate(GateMoment::Failed {
                reason: "patience".to_owned(),
            }),
            "gate 2 … failed: patience",
            "確認 2 … 通過できず: patience",
        ),
        (
            JournalEvent::Aborted { cause },
            "aborted: aborted by carol: still failing; what was opened is closed again",
            "中止: carol が中止した: still failing。開けたものをもう一度止める",
        ),
        (
            closed(Verdict::Holds),
            "test:t closed again … verified",
            "test:t をもう一度停止 … 確認済み",
        ),
        (
            closed(unhealthy),
            "test:t closed again … not seen to be stopped: HTTP 503",
            "test:t をもう一度停止 … 停止を確認できず: HTTP 503",
        ),
        (
            reviewed,
            "reviewed by dave: it was right",
            "dave がレビュー: it was right",
        ),
    ];
    for (event, en, ja) in told {
        let about = matches!(event, JournalEvent::ClosedAgain { .. }).then(|| target.clone());
        let entry = JournalEntry::new(run.clone(), Timestamp::UNIX_EPOCH, event);
        let line = timeline(&[entry]).unwrap().lines.remove(0);
        assert_eq!((line.what.get(Lang::En), line.what.get(Lang::Ja)), (en, ja));
        assert_eq!(line.target, about);
    }
}
