use std::time::Duration;

use super::Ops;
use crate::audit::Recorded;
use crate::error::Result;
use crate::model::{Actor, AuditOutcome, AuditRecord, DrillReport, LastDrill};
use crate::ports::AuditQuery;
use crate::resilience::Deadline;

/// The action of the record that proves the report of a drill.
const ACTION: &str = "emergency.drill";
const DIGEST: &str = "digest";

/// How long a plan waits for the evidence that it shows.
const LOOK_UP_BUDGET: Duration = Duration::from_secs(2);

/// What the audit trail says of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum DrillProof {
    /// The trail has a record with the digest of this report.
    Proven,
    /// The trail has a record of this run with another digest: the report is not what was recorded.
    Differs,
    /// The trail has no record of it; it may still wait in the spool.
    NotRecorded,
}

impl DrillProof {
    /// `proven`, `differs` or `not_recorded`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Differs => "differs",
            Self::NotRecorded => "not_recorded",
        }
    }
}

impl Ops {
    /// Keeps the report of a drill as evidence, and its digest in the audit trail, so that a report that is changed later shows.
    ///
    /// # Errors
    /// Those of [`DrillLog::append`](crate::ports::DrillLog::append). What became of the record is a value.
    pub async fn keep_drill(&self, report: &DrillReport, actor: &Actor) -> Result<Recorded> {
        let providers = self.providers();
        providers.drills.append(report).await?;
        let verdict = report.verdict();
        let outcome = match verdict.passed() {
            true => AuditOutcome::Succeeded,
            false => AuditOutcome::Failed,
        };
        let record = AuditRecord::new(
            providers.clock.now(),
            self.tenant().clone(),
            actor.clone(),
            ACTION,
            "drill",
            report.procedure.as_str(),
        );
        let record = record
            .with_outcome(outcome)
            .with_run(report.run.clone())
            .with_detail(DIGEST, report.digest().to_string())
            .with_detail("verdict", verdict.name())
            .with_detail("world", report.world.as_str());
        Ok(self.record(record).await)
    }

    /// The last drill of a procedure, to be shown beside a plan. `None` also when it cannot be found out within 2 s: nothing depends on it.
    pub async fn last_drill(&self, procedure: &str) -> Option<LastDrill> {
        let providers = self.providers();
        let clock = &*providers.clock;
        let newest = Deadline::after(clock, LOOK_UP_BUDGET)
            .bound(clock, "read drill report", providers.drills.newest(procedure))
            .await;
        match newest {
            Ok(report) => report.as_ref().map(LastDrill::of),
            Err(error) => {
                tracing::warn!(%error, "the last drill cannot be shown");
                None
            }
        }
    }

    /// Whether the audit trail has this very report.
    ///
    /// # Errors
    /// The audit store's.
    pub async fn prove_drill(&self, report: &DrillReport) -> Result<DrillProof> {
        let mut query = AuditQuery {
            actions: vec![ACTION.to_owned()],
            from: Some(report.started_at),
            limit: Some(1000),
            ..AuditQuery::default()
        };
        let digest = report.digest().to_string();
        let mut proof = DrillProof::NotRecorded;
        loop {
            let page = self.providers().audit.search(self.tenant(), &query).await?;
            for record in page
                .records
                .iter()
                .filter(|record| record.run.as_ref() == Some(&report.run))
            {
                if record.details.get(DIGEST) != Some(&digest) {
                    return Ok(DrillProof::Differs);
                }
                proof = DrillProof::Proven;
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(proof),
            }
        }
    }
}
