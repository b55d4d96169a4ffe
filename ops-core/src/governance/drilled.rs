use std::collections::BTreeMap;

use crate::error::Result;
use crate::model::{Actor, Completion, DrillReport, DueEvidence, DueKey, DueOutcome, Period, Recurring};

/// What drills have settled: of each item that names a drill, every period in which one of that procedure ended, if of each world that it was drilled in the last one
/// passed; by the last of them. Nothing of it is kept anywhere but in the reports.
///
/// # Errors
/// None, but for a name of ours that is not one.
pub fn drilled(items: &[Recurring], reports: &[DrillReport]) -> Result<Vec<Completion>> {
    let by = Actor::automation("drill")?;
    let mut ended: Vec<&DrillReport> = reports.iter().collect();
    ended.sort_by_key(|report| report.ended_at);
    let mut settled = Vec::new();
    for item in items {
        // The last one of each world, by period.
        let mut last: BTreeMap<DueKey, BTreeMap<&str, &DrillReport>> = BTreeMap::new();
        for report in &ended {
            let is_meant = item.drill.as_ref() == Some(&report.procedure);
            if let Some(key) = item
                .key(Period::of(item.every, report.ended_at))
                .filter(|_| is_meant)
            {
                last.entry(key).or_default().insert(&report.world, report);
            }
        }
        for (key, worlds) in last {
            let newest = worlds.values().max_by_key(|report| report.ended_at);
            if let Some(newest) = newest
                && worlds.values().all(|report| report.verdict().passed())
            {
                let run = newest.run.clone();
                settled.push(
                    Completion::new(key, DueOutcome::Done, newest.ended_at, by.clone())
                        .with_evidence(DueEvidence::Run { run }),
                );
            }
        }
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{
        Digest, DrilledStep, DrilledTarget, Every, OutcomeStatus, RunId, StepResult, TargetId, Text,
        Timestamp, Verdict,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn report(procedure: &str, ended: &str, restored: OutcomeStatus) -> DrillReport {
        let target = TargetId::new("service:api").unwrap();
        DrillReport {
            run: RunId::generate(at(ended)),
            restore_run: None,
            procedure: procedure.to_owned(),
            world: "test".to_owned(),
            started_at: at("2026-01-01T00:00:00Z"),
            ended_at: at(ended),
            stop_digest: Digest::of(b"stop"),
            restore_digest: None,
            approvals: Vec::new(),
            throw_away_keys: Vec::new(),
            stopped: OutcomeStatus::Verified,
            restored: Some(restored),
            restore_refused: None,
            stop_took: Duration::ZERO,
            stop_promised: Duration::ZERO,
            restore_took: None,
            stop_steps: vec![DrilledStep {
                step: 0,
                stage: 0,
                target: target.clone(),
                action: Text::new("停止", "stop"),
                result: StepResult::Done,
                verdict: Verdict::Holds,
                promised: Duration::ZERO,
                took: Duration::ZERO,
                within_target: true,
                prior_digest: None,
                journalled: true,
            }],
            restore_steps: Vec::new(),
            confirmed: vec![DrilledTarget {
                target,
                exact: true,
                seen: None,
                differences: Vec::new(),
            }],
            journalled: true,
            audited: true,
            audit_verified: true,
            injected: Vec::new(),
            versions: BTreeMap::new(),
        }
    }

    #[test]
    fn a_drill_that_passed_settles_the_period_in_japan_in_which_it_ended_and_no_other_does() {
        let (passed, failed) = (OutcomeStatus::Verified, OutcomeStatus::Failed);
        let reports = [
            report("api-stop", "2026-11-29T00:00:00Z", passed),
            // Another one, earlier in November, and one that is in December in Japan.
            report("api-stop", "2026-11-02T00:00:00Z", passed),
            report("api-stop", "2026-11-30T15:00:00Z", passed),
            report("api-stop", "2026-10-02T00:00:00Z", failed),
            report("llm-brain-stop", "2026-09-02T00:00:00Z", passed),
        ];
        let mut item = Recurring::new("drill", "drill", Every::Monthly);
        assert_eq!(drilled(&[item.clone()], &reports).unwrap(), [], "it names none");
        item.drill = Some("api-stop".to_owned());
        let settled = drilled(&[item], &reports).unwrap();
        let found: Vec<_> = settled
            .iter()
            .map(|one| (one.key.as_str(), one.evidence.clone()))
            .collect();
        let run = |place: usize| {
            let run = reports[place].run.clone();
            Some(DueEvidence::Run { run })
        };
        assert_eq!(found, [("drill/2026-11", run(0)), ("drill/2026-12", run(2))]);
    }

    #[test]
    fn of_each_world_the_last_drill_of_a_period_must_have_passed() {
        let (passed, failed) = (OutcomeStatus::Verified, OutcomeStatus::Failed);
        let in_world = |world: &str, ended: &str, restored| {
            let mut report = report("api-stop", ended, restored);
            report.world = world.to_owned();
            report
        };
        let mut item = Recurring::new("drill", "drill", Every::Monthly);
        item.drill = Some("api-stop".to_owned());
        let mut reports = vec![
            in_world("gcp", "2026-11-02T00:00:00Z", passed),
            in_world("paas", "2026-11-02T00:01:00Z", failed),
        ];
        let settled = |reports: &[DrillReport]| drilled(std::slice::from_ref(&item), reports).unwrap().len();
        assert_eq!(settled(&reports), 0, "one world failed");
        reports.push(in_world("paas", "2026-11-03T00:00:00Z", passed));
        assert_eq!(settled(&reports), 1);
        reports.push(in_world("gcp", "2026-11-04T00:00:00Z", failed));
        assert_eq!(settled(&reports), 0, "it no longer passes");
    }
}
