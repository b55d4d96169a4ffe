use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::audit::{AuditReader, EvidenceExport, EvidenceRequest, EvidenceVerifier};
use crate::error::{ErrorKind, Result};
use crate::messages;
use crate::model::{
    Accepted, Effect, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Text, Verdict,
};
use crate::ports::{Action, Ramp};

/// Preserves evidence: exports it, and holds once the files verify by themselves. The way back keeps it.
#[derive(Clone, Debug)]
pub struct PreserveEvidence {
    reader: AuditReader,
    export: Arc<EvidenceExport>,
    request: EvidenceRequest,
    verifier: EvidenceVerifier,
    directory: PathBuf,
    target: TargetId,
}

impl PreserveEvidence {
    /// Exports into `directory`; `verifier` checks what was written.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an incident whose id cannot be part of a target id.
    pub fn new(
        reader: AuditReader,
        export: Arc<EvidenceExport>,
        request: EvidenceRequest,
        verifier: EvidenceVerifier,
        directory: impl Into<PathBuf>,
    ) -> Result<Self> {
        let target = TargetId::new(format!("evidence:{}", request.incident))?;
        Ok(Self {
            reader,
            export,
            request,
            verifier,
            directory: directory.into(),
            target,
        })
    }

    fn seen(&self, state: TargetState) -> Observation {
        Observation::new(Snapshot::new(self.target.clone(), FORMAT), state)
    }
}

#[async_trait]
impl Action for PreserveEvidence {
    fn target(&self) -> &TargetId {
        &self.target
    }

    fn effect(&self) -> Effect {
        Effect::Observe
    }

    fn describe(&self) -> Text {
        messages::preserve_evidence(&self.request.incident)
    }

    fn describe_restore(&self) -> Text {
        messages::evidence_is_kept(&self.request.incident)
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn observe(&self) -> Result<Observation> {
        let (verifier, directory) = (self.verifier.clone(), self.directory.clone());
        let verdict = crate::durable::blocking("verify evidence", move || verifier.verify(directory)).await;
        let verdict = match verdict {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(self.seen(TargetState::Serving)),
            verdict => verdict?,
        };
        Ok(match (&verdict.manifest, verdict.faults.first()) {
            (None, _) => self.seen(TargetState::Serving),
            (Some(_), None) => self.seen(TargetState::Stopped),
            // It is there, and it says what is wrong: with the trail, or with the files.
            (Some(_), Some(fault)) => self
                .seen(TargetState::Stopped)
                .with_caveat(messages::evidence_has_faults(&fault.what)),
        })
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        match observed.state() {
            TargetState::Stopped => Verdict::Holds,
            _ => Verdict::not_yet("there is no whole export yet"),
        }
    }

    async fn apply(&self, _key: &IdempotencyKey) -> Result<Accepted> {
        let manifest = self
            .reader
            .export(&self.export, &self.request, &self.directory)
            .await?;
        Ok(Accepted::with_receipt(format!("{} records", manifest.records)))
    }

    async fn restore(&self, _prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        Ok(Accepted::default())
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        None
    }
}

const FORMAT: &str = "evidence/1";
