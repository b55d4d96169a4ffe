//! A drill walks the production path, reports what it saw, and its report turns false when the world does not keep its word.
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;

use std::sync::Arc;
use std::time::Duration;

use ops_core::actions::{Rehearsal, Rehearsed};
use ops_core::audit::Recorded;
use ops_core::emergency::{ApprovalPolicy, Procedure, Refusal, Step};
use ops_core::error::ErrorKind;
use ops_core::file::FileDrillLog;
use ops_core::memory::{InMemoryAudit, InMemoryDrillLog, InMemoryJournal};
use ops_core::model::{DrillVerdict, LastDrill, OutcomeStatus, TenantId};
use ops_core::pipeline::{DrillSetup, DrillWorld, Drilled, drill};
use ops_core::ports::Action;
use ops_core::{DrillProof, Ops, Providers};
use support_emergency::{Fault, Stop, Target, VirtualClock, alice, quick};

fn providers() -> Providers {
    Providers {
        clock: Arc::new(VirtualClock::new()),
        ..Providers::in_memory()
    }
}

fn ops(providers: &Providers) -> Ops {
    Ops::new(providers.clone(), TenantId::new("org_drill").unwrap())
}

fn procedure(targets: &[Arc<Target>]) -> Procedure {
    let steps = targets.iter().map(|target| quick(Step::new(Stop::of(target))));
    Procedure::new("stop-all", steps.collect()).unwrap()
}

async fn drilled(providers: &Providers, targets: &[Arc<Target>]) -> Drilled {
    let setup = DrillSetup::new(alice(), "scripted targets").with_injected(["nothing".to_owned()]);
    let world = || async { Ok::<_, Refusal>(DrillWorld::new(ops(providers), procedure(targets))) };
    drill(setup, world).await.unwrap()
}

fn targets() -> Vec<Arc<Target>> {
    (0..3).map(Target::numbered).collect()
}

#[tokio::test(start_paused = true)]
async fn a_drill_stops_restores_exactly_and_reports_what_it_saw() {
    let (providers, targets) = (providers(), targets());
    let before: Vec<_> = targets.iter().map(|target| target.bytes()).collect();
    let Drilled {
        report,
        entries,
        stop,
        ..
    } = drilled(&providers, &targets).await;
    assert_eq!(report.verdict(), DrillVerdict::Passed, "{report:#?}");
    assert_eq!(report.stop_steps.len(), 3);
    assert_eq!(report.restore_steps.len(), 3);
    assert!(
        report
            .confirmed
            .iter()
            .all(|seen| seen.exact && seen.differences.is_empty())
    );
    assert!(
        report
            .stop_steps
            .iter()
            .all(|step| step.prior_digest.is_some() && step.took > Duration::ZERO)
    );
    assert!(report.within_target() && report.stop_took > Duration::ZERO);
    assert_eq!(report.stop_promised, Duration::from_secs(60));
    assert_eq!(report.throw_away_keys.len(), 2, "two persons approve a restore");
    assert!(
        report.approvals[1].contains("drill-approver-1, drill-approver-2"),
        "{:?}",
        report.approvals
    );
    assert_eq!(report.injected, ["nothing"]);
    assert!(report.versions.contains_key("ops-core"));
    assert!(report.ended_at >= report.started_at);
    assert_eq!(
        entries
            .iter()
            .filter(|entry| entry.run == stop.outcome.run)
            .count()
            * 2,
        entries.len()
    );
    let after: Vec<_> = targets.iter().map(|target| target.bytes()).collect();
    assert_eq!(before, after);
    assert!(
        targets
            .iter()
            .all(|target| target.applied().len() == 1 && target.restored() == 1),
        "it was done in earnest"
    );
    // The report is a value: it survives its own text.
    let text = serde_json::to_string(&report).unwrap();
    let back: ops_core::model::DrillReport = serde_json::from_str(&text).unwrap();
    assert_eq!((back.digest(), &back), (report.digest(), &report));
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_goes_wrong_turns_the_report_false_and_is_named() {
    type Break = fn(&Target);
    let cases: [(Break, DrillVerdict); 5] = [
        (
            |target| target.every_apply(Fault::NeverEffective),
            DrillVerdict::NotStopped,
        ),
        (
            |target| target.every_apply(Fault::Fail(ErrorKind::PermissionDenied)),
            DrillVerdict::NotStopped,
        ),
        (
            |target| target.every_restore(Fault::NeverEffective),
            DrillVerdict::NotRestored,
        ),
        (
            |target| target.every_restore(Fault::Fail(ErrorKind::PermissionDenied)),
            DrillVerdict::NotRestored,
        ),
        (
            |target| target.next_apply(Fault::DeployedMeanwhile),
            DrillVerdict::RestoreRefused,
        ),
    ];
    for (at, (break_it, expected)) in cases.into_iter().enumerate() {
        let (providers, targets) = (providers(), targets());
        break_it(&targets[1]);
        let report = drilled(&providers, &targets).await.report;
        assert_eq!(report.verdict(), expected, "case {at}: {report:#?}");
        assert!(
            expected == DrillVerdict::NotStopped || !report.restored_exactly(),
            "case {at}"
        );
        if expected == DrillVerdict::RestoreRefused {
            assert!(
                report
                    .restore_refused
                    .as_deref()
                    .is_some_and(|why| why.contains("test:t1"))
            );
            assert_eq!((report.restored, report.restore_run), (None, None));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_changes_after_the_restore_was_verified_is_not_exact_and_its_field_is_named() {
    let (providers, targets) = (providers(), targets());
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let drilled = drill(DrillSetup::new(alice(), "scripted targets"), || async {
        if calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            // The restore has verified; the fresh clients are made.
            targets[2].set("ingress", "internal".into());
        }
        Ok::<_, Refusal>(DrillWorld::new(ops(&providers), procedure(&targets)))
    });
    let report = drilled.await.unwrap().report;
    assert_eq!(report.restored, Some(OutcomeStatus::Verified));
    assert_eq!(report.verdict(), DrillVerdict::NotExact);
    let differing: Vec<_> = report.confirmed.iter().filter(|seen| !seen.exact).collect();
    assert_eq!((differing.len(), &differing[0].target), (1, targets[2].id()));
    assert_eq!(differing[0].differences, ["ingress"]);
}

#[tokio::test(start_paused = true)]
async fn a_drill_that_is_not_recorded_is_not_passed() {
    let targets = targets();
    let (audit, journal) = (Arc::new(InMemoryAudit::new()), Arc::new(InMemoryJournal::new()));
    audit.set_reachable(false);
    let without_audit = Providers { audit, ..providers() };
    let report = drilled(&without_audit, &targets).await.report;
    assert_eq!(report.verdict(), DrillVerdict::NotRecorded);
    assert!(report.restored_exactly() && !report.audited && !report.audit_verified);

    journal.set_reachable(false);
    let spool: Arc<InMemoryJournal> = Arc::default();
    let without_journal = Providers {
        journal,
        journal_spool: Some(spool),
        ..providers()
    };
    let report = drilled(&without_journal, &targets).await.report;
    // Nobody can vouch for approvals without the journal.
    assert_eq!(report.verdict(), DrillVerdict::RestoreRefused);
    assert!(!report.journalled);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_needs_approvals_gets_them_from_keys_that_are_thrown_away() {
    let (providers, targets) = (providers(), targets());
    let world = || async {
        let procedure = procedure(&targets).with_stop_approval(ApprovalPolicy::of(3));
        Ok::<_, Refusal>(DrillWorld::new(ops(&providers), procedure))
    };
    let report = drill(DrillSetup::new(alice(), "scripted targets"), world)
        .await
        .unwrap()
        .report;
    assert!(report.verdict().passed());
    assert_eq!(report.throw_away_keys.len(), 3);
    assert!(
        report.approvals[0].contains("drill-approver-3"),
        "{:?}",
        report.approvals
    );
}

#[tokio::test(start_paused = true)]
async fn the_evidence_is_kept_shown_and_proven_by_the_audit_trail() {
    let directory = tempfile::tempdir().unwrap();
    let providers = Providers {
        drills: Arc::new(FileDrillLog::open(directory.path()).unwrap()),
        ..providers()
    };
    let (ops, targets) = (ops(&providers), targets());
    assert_eq!(ops.last_drill("stop-all").await, None);
    let report = drilled(&providers, &targets).await.report;
    assert_eq!(ops.prove_drill(&report).await.unwrap(), DrillProof::NotRecorded);
    let recorded = ops.keep_drill(&report, &alice()).await.unwrap();
    assert!(matches!(recorded, Recorded::Stored(_)));
    assert_eq!(ops.prove_drill(&report).await.unwrap(), DrillProof::Proven);
    assert_eq!(ops.last_drill("stop-all").await, Some(LastDrill::of(&report)));

    // Somebody makes a failed drill look better, checksums and all.
    let mut better = report.clone();
    better.stop_took = Duration::from_millis(1);
    assert_eq!(ops.prove_drill(&better).await.unwrap(), DrillProof::Differs);
    // Somebody changes the file and nothing else.
    let file = std::fs::read_dir(directory.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("scripted", "polished")).unwrap();
    assert_eq!(
        providers.drills.list().await.unwrap_err().kind(),
        ErrorKind::Unexpected
    );
    assert_eq!(
        ops.last_drill("stop-all").await,
        None,
        "a plan goes on without it"
    );
}

#[tokio::test(start_paused = true)]
async fn evidence_that_cannot_be_kept_is_an_error_and_one_that_cannot_be_read_is_none() {
    let drills = Arc::new(InMemoryDrillLog::new());
    let providers = Providers {
        drills: drills.clone(),
        ..providers()
    };
    let report = drilled(&providers, &targets()).await.report;
    drills.set_reachable(false);
    assert!(ops(&providers).keep_drill(&report, &alice()).await.is_err());
    assert_eq!(ops(&providers).last_drill("stop-all").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_walks_the_whole_path_and_changes_nothing() {
    let (providers, targets) = (providers(), targets());
    let before: Vec<_> = targets.iter().map(|target| target.bytes()).collect();
    let rehearsals: Vec<_> = targets
        .iter()
        .map(|target| Arc::new(Rehearsal::new(Stop::of(target))))
        .collect();
    let world = || async {
        let steps = rehearsals
            .iter()
            .map(|action| Step::new(Arc::clone(action) as Arc<dyn Action>));
        let procedure = Procedure::new("stop-all", steps.collect())?;
        Ok::<_, Refusal>(DrillWorld::new(ops(&providers), procedure))
    };
    let drilled = drill(DrillSetup::new(alice(), "probes only"), world)
        .await
        .unwrap();
    assert!(drilled.report.verdict().passed(), "{:#?}", drilled.report);
    let said = |step: &ops_core::model::StepReport| {
        step.caveats
            .iter()
            .any(|caveat| caveat.get(ops_core::model::Lang::En).starts_with("probes only"))
    };
    assert!(
        drilled.stop.outcome.steps.iter().all(said),
        "it says that nothing was stopped"
    );
    for (target, rehearsal) in targets.iter().zip(&rehearsals) {
        assert!(target.applied().is_empty() && target.restored() == 0);
        let recorded = rehearsal.recorded();
        assert!(
            matches!(recorded.as_slice(), [Rehearsed::Apply { .. }, Rehearsed::Restore { prior, .. }] if prior.restorable_bytes() == target.bytes())
        );
    }
    assert_eq!(
        before,
        targets.iter().map(|target| target.bytes()).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_of_a_target_that_cannot_be_read_is_not_passed() {
    let (providers, targets) = (providers(), targets());
    targets[0].every_observe(Fault::Fail(ErrorKind::PermissionDenied));
    let world = || async {
        let steps = targets
            .iter()
            .map(|target| quick(Step::new(Arc::new(Rehearsal::new(Stop::of(target))))));
        let procedure = Procedure::new("stop-all", steps.collect())?;
        Ok::<_, Refusal>(DrillWorld::new(ops(&providers), procedure))
    };
    let report = drill(DrillSetup::new(alice(), "probes only"), world)
        .await
        .unwrap()
        .report;
    assert_eq!(report.verdict(), DrillVerdict::NotStopped);
}

/// The production path knows of no drill: below the pipeline the word is not in the code.
#[test]
fn the_engine_has_no_branch_on_being_a_drill() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for room in [
        "emergency",
        "actions",
        "guard",
        "audit",
        "procedures",
        "resilience",
    ] {
        for file in std::fs::read_dir(root.join(room)).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let mut named = code.filter(|line| line.to_lowercase().contains("drill"));
            // The meter counts its age; it decides nothing.
            if !path.ends_with("meter.rs") {
                assert_eq!(named.next(), None, "{}", path.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} sources were found");
}
