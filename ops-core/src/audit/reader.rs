use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::exposure::exposure;
use super::{
    EvidenceExport, EvidenceManifest, EvidenceRequest, Exposure, Note, RecordProof, Recorder, prove,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, AuditOutcome, AuditRecord, TenantId, Timestamp};
use crate::ports::{AuditPage, AuditQuery, AuditStore, Clock, EvidenceFilter};

/// Reads the trail for people, and records who read what: nobody reads it unseen.
///
/// What cannot be recorded, not even in the spool, is not shown.
#[derive(Clone, Debug)]
pub struct AuditReader {
    store: Arc<dyn AuditStore>,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
}

impl AuditReader {
    /// Reads `store`, and records with `recorder`.
    pub fn new(store: Arc<dyn AuditStore>, recorder: Recorder, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            recorder,
            clock,
        }
    }

    /// Searches for `by`, and records `audit.search` with the conditions and the number of records.
    ///
    /// # Errors
    /// As [`AuditStore::search`]; `Unavailable` when the search cannot be recorded.
    pub async fn search(&self, by: &Actor, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        let found = self.store.search(tenant, query).await;
        let record = self
            .record(by, tenant, SEARCH, "search", &EvidenceFilter::of(query))
            .with_outcome(outcome(&found));
        let record = match &found {
            Ok(page) => record.with_detail("records", page.records.len().to_string()),
            Err(_) => record,
        };
        self.keep(record).await?;
        found
    }

    /// Exports for [`EvidenceRequest::by`]. `audit.export` is recorded before, so that the export holds it, and after, with the number of records and the
    /// hash of the manifest's root.
    ///
    /// # Errors
    /// As [`EvidenceExport::write`]; `Unavailable` when the export cannot be recorded.
    pub async fn export(
        &self,
        export: &EvidenceExport,
        request: &EvidenceRequest,
        directory: impl AsRef<Path>,
    ) -> Result<EvidenceManifest> {
        let record = || {
            self.record(
                &request.by,
                &request.tenant,
                EXPORT,
                &request.incident,
                &request.filter,
            )
        };
        self.keep(
            record()
                .with_outcome(AuditOutcome::Unknown)
                .with_detail("stage", "begun"),
        )
        .await?;
        let written = export.write(request, directory).await;
        let record = record()
            .with_outcome(outcome(&written))
            .with_detail("stage", "ended");
        let record = match &written {
            Ok(manifest) => {
                let root = manifest
                    .root
                    .map_or_else(|| "none".to_owned(), |root| root.to_string());
                record
                    .with_detail("records", manifest.records.to_string())
                    .with_detail("root", root)
            }
            Err(_) => record,
        };
        // The files are there by now: that this is missing is told by the trail, which has the beginning.
        self.keep(record).await?;
        written
    }

    /// What `user` did since `since`, and who touched `resource` (type and id) since then: both directions of an incident. Denied attempts count too. Records
    /// `audit.exposure` with what was asked.
    ///
    /// At most 10,000 pairs of somebody and something a direction; then [`Exposure::cut`] is true.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn exposure(
        &self,
        by: &Actor,
        tenant: &TenantId,
        user: Option<&str>,
        resource: Option<(&str, &str)>,
        since: Timestamp,
    ) -> Result<Exposure> {
        let found = exposure(&*self.store, tenant, user, resource, since).await;
        let filter = EvidenceFilter {
            actor: user.map(str::to_owned),
            resource_type: resource.map(|(kind, _)| kind.to_owned()),
            resource_id: resource.map(|(_, id)| id.to_owned()),
            from: Some(since),
            ..EvidenceFilter::default()
        };
        let record = self.record(by, tenant, EXPOSURE, "exposure", &filter);
        self.keep(record.with_outcome(outcome(&found))).await?;
        found
    }

    /// [Proves](prove) one record for `by`, who is shown it by that. Records `audit.prove`.
    ///
    /// # Errors
    /// As [`prove`]; `Unavailable` when it cannot be recorded.
    pub async fn prove(
        &self,
        by: &Actor,
        tenant: &TenantId,
        id: Uuid,
        checkpoint: &Note,
    ) -> Result<RecordProof> {
        let proof = prove(&*self.store, tenant, id, checkpoint).await;
        let record = self.record(by, tenant, PROVE, &id.to_string(), &EvidenceFilter::default());
        self.keep(record.with_outcome(outcome(&proof))).await?;
        proof
    }

    fn record(
        &self,
        by: &Actor,
        tenant: &TenantId,
        action: &str,
        what: &str,
        filter: &EvidenceFilter,
    ) -> AuditRecord {
        let record = AuditRecord::new(
            self.clock.now(),
            tenant.clone(),
            by.clone(),
            action,
            "audit_log",
            what,
        );
        let conditions = [
            ("user", filter.actor.clone()),
            ("type", filter.resource_type.clone()),
            ("resource", filter.resource_id.clone()),
            ("from", filter.from.map(|from| from.to_string())),
            ("until", filter.until.map(|until| until.to_string())),
            (
                "actions",
                (!filter.actions.is_empty()).then(|| filter.actions.join(" ")),
            ),
        ];
        conditions
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .fold(record, |record, (name, value)| record.with_detail(name, value))
    }

    async fn keep(&self, record: AuditRecord) -> Result<()> {
        let kept = self.recorder.record(record).await.kept();
        kept.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "read audit trail").context(
                "reason",
                "the reading cannot be recorded, and nobody reads unseen",
            )
        })
    }
}

fn outcome<T>(result: &Result<T>) -> AuditOutcome {
    match result {
        Ok(_) => AuditOutcome::Succeeded,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => AuditOutcome::Denied,
        Err(_) => AuditOutcome::Failed,
    }
}

const SEARCH: &str = "audit.search";
const EXPORT: &str = "audit.export";
const EXPOSURE: &str = "audit.exposure";
const PROVE: &str = "audit.prove";
