use std::sync::Arc;
use std::time::Duration;

use super::Delivery;
use crate::audit::{Recorded, Recorder};
use crate::masking::LeakSignals;
use crate::model::{Actor, AuditOutcome, AuditRecord, Signal, TenantId};
use crate::ports::{Clock, Notifier};
use crate::resilience::{Deadline, caught};

/// Tells people of personal data that reached a last gate, and records it.
///
/// It runs in a task of its own, behind the bounded queue of the alarm: no line of a log waits for it.
#[derive(Clone, Debug)]
pub struct LeakWatch {
    recorder: Arc<Recorder>,
    notifier: Arc<dyn Notifier>,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
    actor: Actor,
    audiences: Vec<String>,
}

/// How long one notice may take.
const NOTICE_BUDGET: Duration = Duration::from_secs(5);

impl LeakWatch {
    /// A watch that tells nobody yet. `actor` is who the record names: this service.
    pub fn new(
        recorder: Arc<Recorder>,
        notifier: Arc<dyn Notifier>,
        clock: Arc<dyn Clock>,
        tenant: TenantId,
        actor: Actor,
    ) -> Self {
        Self {
            recorder,
            notifier,
            clock,
            tenant,
            actor,
            audiences: Vec::new(),
        }
    }

    /// Also tells `audience`; the first runbook names `#emergency` and the person in charge.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Answers every signal until the alarm is gone. A channel or store that fails ends nothing.
    ///
    /// # Cancellation
    /// Dropping the future leaves the signals that wait unanswered; the one in hand may be half told.
    pub async fn run(self, mut signals: LeakSignals) {
        while let Some(leak) = signals.next().await {
            let signal = leak.signal();
            let (recorded, deliveries) = self.answer(&signal).await;
            let told = deliveries
                .iter()
                .filter(|delivery| delivery.error.is_none())
                .count();
            tracing::warn!(
                alert = signal.alert,
                count = signal.count,
                told,
                recorded = recorded.kept().is_ok(),
                "personal data was masked at a last gate"
            );
        }
    }

    /// Records one signal and tells every audience, each within five seconds.
    pub async fn answer(&self, signal: &Signal) -> (Recorded, Vec<Delivery>) {
        let recorded = self.recorder.record(self.record(signal)).await;
        let mut deliveries = Vec::new();
        for audience in &self.audiences {
            let notice = signal.notice(audience);
            let send = caught("send notice", self.notifier.send(&notice));
            let sent = Deadline::after(&*self.clock, NOTICE_BUDGET)
                .bound(&*self.clock, "send notice", send)
                .await;
            let (receipt, error) = match sent {
                Ok(accepted) => (accepted.receipt().map(str::to_owned), None),
                Err(error) => (
                    None,
                    Some(format!("{} failed: {}", error.operation(), error.kind())),
                ),
            };
            deliveries.push(Delivery {
                audience: audience.clone(),
                receipt,
                error,
            });
        }
        (recorded, deliveries)
    }

    fn record(&self, signal: &Signal) -> AuditRecord {
        let place = signal.labels.get("place").map_or("?", String::as_str);
        let record = AuditRecord::new(
            self.clock.now(),
            self.tenant.clone(),
            self.actor.clone(),
            signal.alert.as_str(),
            "gate",
            place,
        )
        .with_outcome(AuditOutcome::Succeeded)
        .with_detail("count", signal.count.to_string());
        let labels = signal.labels.iter();
        labels.fold(record, |record, (name, value)| record.with_detail(name, value))
    }
}
