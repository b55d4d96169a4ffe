use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Delivery, Report};
use crate::audit::{Recorded, Recorder};
use crate::emergency::{Contact, Forgotten, Review};
use crate::error::Result;
use crate::masking::target_named;
use crate::messages;
use crate::model::{
    Accepted, Actor, AuditOutcome, AuditRecord, Lang, Notice, Outcome, PlanKind, Severity, StepReport,
    StepResult, TargetId, TenantId, Text, Timestamp,
};
use crate::ports::{Clock, Notifier, PiiMasker};
use crate::resilience::Deadline;

/// How long one notice may take.
const NOTICE_BUDGET: Duration = Duration::from_secs(5);

/// The audit action of giving up a prior state.
const FORGET: &str = "emergency.forget";

/// Records an outcome and tells people, after the effects and never in their way.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// Where records go.
    recorder: Arc<Recorder>,
    notifier: Arc<dyn Notifier>,
    masker: Arc<dyn PiiMasker>,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
}

impl Publisher {
    /// A publisher for one tenant.
    pub fn new(
        recorder: Arc<Recorder>,
        notifier: Arc<dyn Notifier>,
        masker: Arc<dyn PiiMasker>,
        clock: Arc<dyn Clock>,
        tenant: TenantId,
    ) -> Self {
        Self {
            recorder,
            notifier,
            masker,
            clock,
            tenant,
        }
    }

    /// Whose records these are.
    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Records every step of `outcome` and sends every notice, at the same time, each within its own deadline.
    pub async fn publish(&self, outcome: Outcome, actor: &Actor, contacts: &[Contact]) -> Report {
        let (unrecorded, notices) = tokio::join!(self.record(&outcome, actor), self.tell(&outcome, contacts));
        let outcome = Outcome {
            audited: unrecorded.is_empty(),
            ..outcome
        };
        Report {
            outcome,
            notices,
            unrecorded,
        }
    }

    async fn record(&self, outcome: &Outcome, actor: &Actor) -> Vec<String> {
        let mut tasks = JoinSet::new();
        for step in &outcome.steps {
            let (recorder, record) = (
                Arc::clone(&self.recorder),
                self.audit_record(outcome, step, actor),
            );
            let target = step.target.clone();
            tasks.spawn(async move { (target, recorder.record_in_store(record).await) });
        }
        if let Some(due) = outcome.review_due {
            let (recorder, record) = (Arc::clone(&self.recorder), self.glass_record(outcome, actor, due));
            if let Some(step) = outcome.steps.first() {
                let target = step.target.clone();
                tasks.spawn(async move { (target, recorder.record_in_store(record).await) });
            }
        }
        let mut unrecorded = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok((_, Recorded::Stored(_))) => {}
                Ok((target, Recorded::Spooled { reason })) => unrecorded.push(format!(
                    "{}: in the spool, not in the audit store: {reason}",
                    target_named(&target)
                )),
                Ok((target, Recorded::Kept)) => {
                    unrecorded.push(format!("{}: in the spool, on its way", target_named(&target)))
                }
                Ok((target, Recorded::Lost { reason } | Recorded::Refused { reason })) => {
                    unrecorded.push(format!("{}: not recorded: {reason}", target_named(&target)))
                }
                Err(_) => unrecorded.push("a record: the audit store ended unexpectedly".to_owned()),
            }
        }
        unrecorded.sort();
        unrecorded
    }

    fn audit_record(&self, outcome: &Outcome, step: &StepReport, actor: &Actor) -> AuditRecord {
        let action = match outcome.kind {
            PlanKind::Stop => "emergency.stop",
            PlanKind::Restore { .. } => "emergency.restore",
            PlanKind::Forget { .. } => FORGET,
        };
        let ended = match (&step.result, step.verdict.holds()) {
            (_, true) => AuditOutcome::Succeeded,
            (StepResult::Failed { .. } | StepResult::Skipped, _) => AuditOutcome::Failed,
            _ => AuditOutcome::Unknown,
        };
        let record = AuditRecord::new(
            self.clock.now(),
            self.tenant.clone(),
            actor.clone(),
            action,
            step.target.system(),
            step.target.name(),
        )
        .with_outcome(ended)
        .with_run(outcome.run.clone())
        .with_detail("procedure", outcome.procedure.as_str())
        .with_detail("step", step.action.get(Lang::En))
        .with_detail("plan", outcome.digest.to_string())
        .with_detail("approval", outcome.approval.as_str())
        .with_detail("result", step.result.name())
        .with_detail("verdict", step.verdict.name());
        let record = match &outcome.aborted {
            Some(aborted) => {
                record.with_detail("aborted", messages::abort_cause(&aborted.cause).get(Lang::En))
            }
            None => record,
        };
        match step.result.reason().or(step.verdict.reason()) {
            Some(reason) => record.with_detail("reason", reason),
            None => record,
        }
    }

    fn glass_record(&self, outcome: &Outcome, actor: &Actor, due: Timestamp) -> AuditRecord {
        AuditRecord::new(
            self.clock.now(),
            self.tenant.clone(),
            actor.clone(),
            "emergency.break_glass",
            "procedure",
            outcome.procedure.as_str(),
        )
        .with_outcome(AuditOutcome::Succeeded)
        .with_run(outcome.run.clone())
        .with_detail("approval", outcome.approval.as_str())
        .with_detail("review_due", due.to_string())
    }

    pub(crate) fn review_record(&self, review: &Review, by: &Actor, note: &str) -> AuditRecord {
        AuditRecord::new(
            self.clock.now(),
            self.tenant.clone(),
            by.clone(),
            "emergency.review",
            "procedure",
            review.procedure.as_str(),
        )
        .with_outcome(AuditOutcome::Succeeded)
        .with_run(review.run.clone())
        .with_detail("note", note)
    }

    /// A record for each target, of those that are still held too.
    pub(crate) fn forget_records(&self, forgotten: &Forgotten, by: &Actor) -> Vec<AuditRecord> {
        let record = |target: &TargetId, outcome| {
            AuditRecord::new(
                self.clock.now(),
                self.tenant.clone(),
                by.clone(),
                FORGET,
                "target",
                target.as_str(),
            )
            .with_outcome(outcome)
            .with_run(forgotten.run.clone())
            .with_detail("reason", forgotten.reason.as_str())
            .with_detail("approved_by", forgotten.persons.join(", "))
        };
        let done = forgotten
            .targets
            .iter()
            .map(|target| record(target, AuditOutcome::Succeeded));
        let failed = forgotten
            .still_held
            .iter()
            .map(|(target, _)| record(target, AuditOutcome::Failed));
        done.chain(failed).collect()
    }

    async fn tell(&self, outcome: &Outcome, contacts: &[Contact]) -> Vec<Delivery> {
        let mut tasks = JoinSet::new();
        for (position, contact) in contacts.iter().enumerate() {
            let notice = self.notice(outcome, contact.audience());
            let (notifier, clock) = (Arc::clone(&self.notifier), Arc::clone(&self.clock));
            tasks.spawn(async move {
                let deadline = Deadline::after(&*clock, NOTICE_BUDGET);
                let sent: Result<Accepted> = deadline
                    .bound(&*clock, "send notice", notifier.send(&notice))
                    .await;
                (position, sent)
            });
        }
        let cut_off = || Some("the notifier ended unexpectedly".to_owned());
        let mut deliveries: Vec<_> = contacts
            .iter()
            .map(|contact| Delivery {
                audience: contact.audience().to_owned(),
                receipt: None,
                error: cut_off(),
            })
            .collect();
        while let Some(ended) = tasks.join_next().await {
            if let Ok((position, sent)) = ended {
                let delivery = &mut deliveries[position];
                (delivery.receipt, delivery.error) = match sent {
                    Ok(accepted) => (accepted.receipt().map(|said| self.masked(said)), None),
                    Err(error) => (None, Some(self.masked(&error.to_string()))),
                };
            }
        }
        deliveries
    }

    fn masked(&self, text: &str) -> String {
        self.masker.mask(text).into_owned()
    }

    fn notice(&self, outcome: &Outcome, audience: &str) -> Notice {
        let lines = |lang: Lang| {
            let gates = outcome
                .gates
                .iter()
                .map(|gate| messages::gate_line(gate).get(lang).to_owned());
            let aborted = outcome
                .aborted
                .iter()
                .map(|aborted| messages::aborted(aborted).get(lang).to_owned());
            let lines = outcome.steps.iter().map(|step| {
                messages::step_line(&step.action, &step.result, &step.verdict)
                    .get(lang)
                    .to_owned()
            });
            let glass = outcome.review_due.map(|due| {
                messages::broken_glass(&outcome.approval, due)
                    .get(lang)
                    .to_owned()
            });
            self.masker
                .mask(
                    &lines
                        .chain(glass)
                        .chain(gates)
                        .chain(aborted)
                        .chain([format!("{} {}", outcome.run, outcome.started_at.to_jst())])
                        .collect::<Vec<_>>()
                        .join("\n"),
                )
                .into_owned()
        };
        let body = Text::new(lines(Lang::Ja), lines(Lang::En));
        let at = self.clock.now();
        let subject = messages::notice_subject(&outcome.kind, &outcome.procedure, outcome.status);
        let subject = Text::new(
            self.masked(subject.get(Lang::Ja)),
            self.masked(subject.get(Lang::En)),
        );
        Notice::new(
            // A resumed run has something new to tell.
            format!("{}/{audience}/{}", outcome.run, at.as_unix_micros()),
            audience,
            Severity::P1,
            at,
            subject,
            body,
        )
    }
}
