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
        let state = match (&verdict.manifest, verdict.files_changed) {
            (None, _) => return Ok(self.seen(TargetState::Serving)),
            (Some(_), true) => TargetState::PartlyStopped,
            // A trail with faults is evidence too: the export says what is wrong with it.
            (Some(_), false) => TargetState::Stopped,
        };
        let seen = self.seen(state);
        Ok(match verdict.faults.first() {
            Some(fault) => seen.with_caveat(messages::evidence_has_faults(&fault.what)),
            None => seen,
        })
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        match observed.state() {
            TargetState::Stopped => Verdict::Holds,
            TargetState::PartlyStopped => Verdict::not_yet("the files are not those that were exported"),
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
