//! The metrics of the machinery: what is counted, and that labels stay bounded and masked.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ops_core::emergency::{Approvers, Meter, Procedure, Refusal, Step, Watch as _};
use ops_core::error::ErrorKind;
use ops_core::masking::{BuiltinMasker, LeakAlarm, LeakPlace, LeakSink};
use ops_core::memory::InMemoryJournal;
use ops_core::model::{Digest, Opening, OutcomeStatus, PlanKind, RunId, TargetId, TenantId, Timestamp};
use ops_core::pipeline::{DrillSetup, DrillWorld, drill};
use ops_core::ports::{Journal, JournalEntry, JournalEvent};
use ops_core::{Ops, Providers};
use support_emergency::{Fault, Stop, Target, VirtualClock, alice, quick};

struct Bench {
    clock: Arc<VirtualClock>,
    journal: Arc<InMemoryJournal>,
    ops: Ops,
}

impl Bench {
    fn new() -> Self {
        let (clock, journal) = (Arc::new(VirtualClock::new()), Arc::new(InMemoryJournal::new()));
        let providers = Providers {
            clock: clock.clone(),
            journal: journal.clone(),
            journal_spool: Some(Arc::new(InMemoryJournal::new())),
            ..Providers::in_memory()
        };
        let ops = Ops::new(providers, TenantId::new("org_metrics").unwrap());
        let meter = Arc::new(Meter::new(Arc::new(BuiltinMasker::new())));
        Self {
            clock,
            journal,
            ops: ops.with_meter(meter),
        }
    }

    async fn value(&self, sample: &str) -> Option<f64> {
        samples(&self.ops.metrics(&["stop-all"]).await)
            .get(sample)
            .copied()
    }
}

/// Every line of the format: a comment, or a name with labels and a number.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn procedure(name: &str, targets: &[Arc<Target>]) -> Procedure {
    let steps = targets.iter().map(|target| quick(Step::new(Stop::of(target))));
    Procedure::new(name, steps.collect()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn runs_steps_times_and_held_states_are_counted() {
    let bench = Bench::new();
    let targets: Vec<_> = (0..3).map(Target::numbered).collect();
    targets[0].every_apply(Fault::Fail(ErrorKind::PermissionDenied));
    targets[1].set_latency(Duration::from_millis(400));
    let report = bench
        .ops
        .stop(&procedure("stop-all", &targets), alice())
        .await
        .unwrap();
    assert!(report.outcome.audited);
    let stop = r#"procedure="stop-all",kind="stop""#;
    for (sample, value) in [
        (format!("ops_runs_started_total{{{stop}}}"), 1.0),
        (format!("ops_runs_ended_total{{{stop},status=\"partial\"}}"), 1.0),
        (format!("ops_steps_total{{{stop},result=\"done\"}}"), 2.0),
        (format!("ops_steps_total{{{stop},result=\"failed\"}}"), 1.0),
        (format!("ops_steps_unverified_total{{{stop}}}"), 1.0),
        ("ops_step_accept_seconds_count{kind=\"stop\"}".to_owned(), 3.0),
        ("ops_step_verify_seconds_count{kind=\"stop\"}".to_owned(), 3.0),
        (
            "ops_step_accept_seconds_bucket{kind=\"stop\",le=\"0.25\"}".to_owned(),
            2.0,
        ),
        (
            "ops_step_accept_seconds_bucket{kind=\"stop\",le=\"0.5\"}".to_owned(),
            3.0,
        ),
        (
            "ops_step_verify_seconds_bucket{kind=\"stop\",le=\"+Inf\"}".to_owned(),
            3.0,
        ),
        // Beginning, three a step, end, published.
        ("ops_journal_entries_total{kept=\"journal\"}".to_owned(), 12.0),
        ("ops_runs_unaudited_total".to_owned(), 0.0),
        ("ops_runs_open".to_owned(), 0.0),
        ("ops_held_states".to_owned(), 3.0),
    ] {
        assert_eq!(bench.value(&sample).await, Some(value), "{sample}");
    }
    let slowest = bench
        .value("ops_step_verify_seconds_sum{kind=\"stop\"}")
        .await
        .unwrap();
    assert!((0.8..1.2).contains(&slowest), "{slowest}");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_down_refusals_and_the_age_of_a_drill_show() {
    let bench = Bench::new();
    let targets: Vec<_> = (0..2).map(Target::numbered).collect();
    let all = procedure("stop-all", &targets);
    let drilled = drill(DrillSetup::new(alice(), "in memory"), || async {
        Ok::<_, Refusal>(DrillWorld::new(bench.ops.clone(), all.clone()))
    });
    let report = drilled.await.unwrap().report;
    assert_eq!(
        bench
            .value("ops_last_drill_age_seconds{procedure=\"stop-all\"}")
            .await,
        None
    );
    let _ = bench.ops.keep_drill(&report, &alice()).await.unwrap();
    tokio::time::advance(Duration::from_secs(3600)).await;
    let age = bench
        .value("ops_last_drill_age_seconds{procedure=\"stop-all\"}")
        .await
        .unwrap();
    assert!((3600.0..3605.0).contains(&age), "{age}");
    assert_eq!(
        bench.value("ops_last_drill_passed{procedure=\"stop-all\"}").await,
        Some(1.0)
    );

    bench.journal.set_reachable(false);
    let _ = bench.ops.stop(&all, alice()).await.unwrap();
    assert_eq!(
        bench.value("ops_journal_entries_total{kept=\"spool\"}").await,
        Some(9.0)
    );
    let plan = bench.ops.plan(&all).await;
    let plan = plan
        .approve(&[], &Approvers::none(), alice(), bench.clock.time())
        .unwrap();
    tokio::time::advance(Duration::from_secs(7200)).await;
    assert!(matches!(
        bench.ops.carry_out(plan, &alice()).await,
        Err(Refusal::Expired)
    ));
    assert_eq!(
        bench.value("ops_refusals_total{refusal=\"expired\"}").await,
        Some(1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn labels_are_masked_and_their_number_is_bounded() {
    let bench = Bench::new();
    let target = [Target::numbered(0)];
    let personal = "of taro.yamada@example.com\"\n".to_owned();
    let names = std::iter::once(personal).chain((1..100).map(|number| format!("procedure-{number}")));
    for name in names {
        let _ = bench.ops.stop(&procedure(&name, &target), alice()).await.unwrap();
    }
    let text = bench.ops.metrics(&[]).await;
    assert!(!text.contains("taro.yamada"), "{text}");
    let samples = samples(&text);
    let begun: Vec<_> = samples
        .iter()
        .filter(|(name, _)| name.starts_with("ops_runs_started_total{"))
        .collect();
    assert_eq!(begun.len(), 33, "32 procedures, and all others together");
    assert_eq!(
        samples[r#"ops_runs_started_total{procedure="other",kind="stop"}"#],
        68.0
    );
    assert_eq!(begun.iter().map(|(_, value)| **value).sum::<f64>(), 100.0);
}

#[tokio::test(start_paused = true)]
async fn a_procedure_of_one_occasion_is_counted_with_its_like() {
    let bench = Bench::new();
    let target = [Target::numbered(0)];
    for name in [
        "user:-/u-17@2026-01-30T09:00:00Z",
        "user:-/u-18@2026-01-30T09:00:01Z",
        "switch:llm-brain",
        "a@b",
    ] {
        let _ = bench.ops.stop(&procedure(name, &target), alice()).await.unwrap();
    }
    let samples = samples(&bench.ops.metrics(&[]).await);
    for (label, runs) in [("user", 2.0), ("switch:llm-brain", 1.0), ("a@b", 1.0)] {
        let name = format!("ops_runs_started_total{{procedure=\"{label}\",kind=\"stop\"}}");
        assert_eq!(samples[name.as_str()], runs, "{label}");
    }
}

/// A run that begins, and has the answer of its only step so much later.
fn begun(meter: &Meter, run: &RunId, answered: Duration) {
    let at = Timestamp::UNIX_EPOCH;
    let target = TargetId::new("test:t0").unwrap();
    let started = JournalEvent::Started {
        procedure: "stop-all".to_owned(),
        plan: PlanKind::Stop,
        digest: Digest::of(b""),
        actor: alice(),
        approval: String::new(),
        steps: Vec::new(),
        signatures: Vec::new(),
        glass: None,
        opening: Opening::default(),
        after: Vec::new(),
    };
    let intent = JournalEvent::Intent {
        step: 0,
        target: target.clone(),
        timeout: None,
        automated: false,
    };
    let applied = JournalEvent::Applied {
        step: 0,
        target,
        error: None,
        unanswered: false,
    };
    for (at, event) in [(at, started), (at, intent), (at + answered, applied)] {
        meter.seen(&JournalEntry::new(run.clone(), at, event));
    }
}

#[test]
fn what_took_exactly_as_long_as_a_bucket_says_is_in_it() {
    let meter = Meter::new(Arc::new(BuiltinMasker::new()));
    begun(&meter, &RunId::new("run_1").unwrap(), Duration::from_millis(500));
    let shown = samples(&meter.render(Timestamp::UNIX_EPOCH));
    let bucket = |le: &str| shown[&format!("ops_step_accept_seconds_bucket{{kind=\"stop\",le=\"{le}\"}}")];
    assert_eq!(["0.25", "0.5", "1"].map(bucket), [0.0, 1.0, 1.0]);
}

#[test]
fn every_sample_is_of_a_metric_that_says_what_it_is() {
    let meter = Meter::new(Arc::new(BuiltinMasker::new()));
    begun(&meter, &RunId::new("run_1").unwrap(), Duration::ZERO);
    let text = meter.render(Timestamp::UNIX_EPOCH);
    for sample in samples(&text).into_keys() {
        let name = sample.split('{').next().unwrap();
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        let name = whole.unwrap_or(name);
        for said in ["HELP", "TYPE"] {
            assert!(
                text.contains(&format!("# {said} {name} ")),
                "{said} of {name}: {text}"
            );
        }
    }
}

#[test]
fn a_run_whose_records_are_not_all_in_the_audit_trail_counts() {
    let meter = Meter::new(Arc::new(BuiltinMasker::new()));
    for audited in [true, false, true] {
        let published = JournalEvent::Published { audited };
        let run = RunId::new("run_1").unwrap();
        meter.seen(&JournalEntry::new(run, Timestamp::UNIX_EPOCH, published));
    }
    let shown = samples(&meter.render(Timestamp::UNIX_EPOCH));
    assert_eq!(shown["ops_runs_unaudited_total"], 1.0);
}

#[test]
fn runs_that_are_under_way_together_keep_their_names_and_those_that_never_end_do_not_pile_up() {
    let meter = Meter::new(Arc::new(BuiltinMasker::new()));
    let run = |number: usize| RunId::new(format!("run_{number:04}")).unwrap();
    let end = |number: usize| {
        let status = OutcomeStatus::Verified;
        let ended = JournalEvent::Ended { status };
        meter.seen(&JournalEntry::new(run(number), Timestamp::UNIX_EPOCH, ended));
    };
    let open = || samples(&meter.render(Timestamp::UNIX_EPOCH))["ops_runs_open"];
    for number in 0..2 {
        begun(&meter, &run(number), Duration::ZERO);
    }
    assert_eq!(open(), 2.0);
    (0..2).for_each(end);
    let shown = samples(&meter.render(Timestamp::UNIX_EPOCH));
    let ended = r#"ops_runs_ended_total{procedure="stop-all",kind="stop",status="verified"}"#;
    assert_eq!((shown[ended], open()), (2.0, 0.0));

    for number in 2..2000 {
        begun(&meter, &run(number), Duration::ZERO);
    }
    assert_eq!(open(), 1024.0);
    end(1999);
    assert_eq!(open(), 1023.0, "the newest are remembered");
}

#[tokio::test(start_paused = true)]
async fn without_a_meter_there_are_no_metrics() {
    let ops = Ops::new(Providers::in_memory(), TenantId::new("org_metrics").unwrap());
    assert_eq!(ops.metrics(&["stop-all"]).await, "");
}

/// What a job that runs now and then can show: all of it from what is kept.
#[tokio::test(start_paused = true)]
async fn what_is_durable_is_shown_by_a_process_that_has_done_nothing_itself() {
    let bench = Bench::new();
    let targets: Vec<_> = (0..2).map(Target::numbered).collect();
    let all = procedure("stop-all", &targets);
    let drilled = drill(DrillSetup::new(alice(), "in memory"), || async {
        Ok::<_, Refusal>(DrillWorld::new(bench.ops.clone(), all.clone()))
    });
    let kept = drilled.await.unwrap().report;
    let _ = bench.ops.keep_drill(&kept, &alice()).await.unwrap();
    let report = bench.ops.stop(&all, alice()).await.unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;

    let other = Ops::new(
        bench.ops.providers().clone(),
        TenantId::new("org_metrics").unwrap(),
    );
    let shown = samples(&other.durable_metrics(&["stop-all"]).await.unwrap());
    let stop = r#"procedure="stop-all",kind="stop""#;
    assert!(shown[&format!("ops_runs_started_total{{{stop}}}")] >= 1.0);
    assert_eq!(shown["ops_last_drill_passed{procedure=\"stop-all\"}"], 1.0);
    assert_eq!(shown["ops_runs_unpublished"], 0.0);
    assert_eq!(shown["ops_oldest_unpublished_run_age_seconds"], 0.0);
    assert_eq!(shown["ops_runs_unreadable"], 0.0);
    assert!(shown.contains_key("ops_held_states"));

    // A run that died on the way.
    let entries = bench.ops.engine().entries(&report.outcome.run).await.unwrap();
    let mut began = entries[0].clone();
    began.at = bench.clock.time() - Duration::from_secs(90);
    began.run = ops_core::model::RunId::new("run_died").unwrap();
    bench.journal.append(&began).await.unwrap();
    let shown = samples(&other.durable_metrics(&[]).await.unwrap());
    assert_eq!(shown["ops_runs_unpublished"], 1.0);
    let age = shown["ops_oldest_unpublished_run_age_seconds"];
    assert!((90.0..100.0).contains(&age), "{age}");
    assert_eq!(other.metrics(&[]).await, "", "its own meter is not touched");

    // Nothing is made up when the journal cannot be read.
    bench.journal.set_reachable(false);
    let spool = Ops::new(
        Providers {
            journal_spool: None,
            ..bench.ops.providers().clone()
        },
        TenantId::new("org_metrics").unwrap(),
    );
    assert!(spool.durable_metrics(&[]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_hits_of_the_leak_alarm_are_among_the_metrics() {
    let bench = Bench::new();
    let hit = "ops_pii_leaks_total{type=\"EMAIL\",sink=\"log\"}";
    let (alarm, _signals) = LeakAlarm::new(bench.clock.clone());
    let ops = bench.ops.clone().with_leak_alarm(alarm.clone());
    alarm.report("tanaka@example.com", LeakSink::Log, LeakPlace::target("billing"));
    assert_eq!(samples(&ops.metrics(&[]).await).get(hit), Some(&1.0));
    assert_eq!(bench.value(hit).await, None);

    // Also where nobody counts runs.
    let plain = Ops::new(ops.providers().clone(), TenantId::new("org_metrics").unwrap());
    assert_eq!(plain.metrics(&[]).await, "");
    let plain = plain.with_leak_alarm(alarm);
    assert_eq!(samples(&plain.metrics(&[]).await).len(), 1);
}
