use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::{Receiver, channel};

use super::leaf::content;
use super::removals::{FIRST, LAST, REMOVED};
use super::{EvidenceManifest, EvidenceVerifier, Recorder};
use crate::durable::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, AuditRecord, Digest, LegalHold, Month, TenantId};
use crate::ports::{AuditPruner, Clock, MonthReading, MonthRemoval, TrailEntry};

/// Removes the months of the audit trail that are past their time, so that the rest stays verifiable.
///
/// - A month goes as a whole: of every tenant that has records of it, what may go must be in evidence that verifies, record by record, with a signed checkpoint.
/// - A [`LegalHold`] is stronger: what it keeps stays.
/// - The trail of each tenant says what was removed, by whom, and what evidence has it; the records that say so stay for good.
#[derive(Clone, Debug)]
pub struct TrailRetention {
    trail: Arc<dyn AuditPruner>,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    keep: Duration,
}

/// What is to become of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MonthPlan {
    /// The month.
    pub month: Month,
    /// Each tenant that has records of it.
    pub tenants: Vec<TenantMonth>,
}

/// What is to become of one tenant's records of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TenantMonth {
    /// What was read.
    pub reading: MonthReading,
    /// The evidence that has all of it.
    pub cover: Option<EvidenceCover>,
    /// Why there is no such evidence.
    pub uncovered: Option<String>,
}

/// Evidence that has every record of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EvidenceCover {
    /// Its directory.
    pub directory: PathBuf,
    /// The hash of its manifest.
    pub manifest: Digest,
    /// How many records the signed checkpoint covers.
    pub size: u64,
    /// The root that was signed.
    pub root: Digest,
}

impl MonthPlan {
    /// Whether the month can go now: something may, and all that may is in evidence.
    pub fn is_ready(&self) -> bool {
        self.removable() > 0 && self.tenants.iter().all(TenantMonth::is_ready)
    }

    /// How many records may go.
    pub fn removable(&self) -> u64 {
        self.tenants.iter().map(|tenant| tenant.reading.removable).sum()
    }

    /// Whether nothing is left of it but records that tell of removals, which stay for good.
    pub fn is_over(&self) -> bool {
        self.tenants
            .iter()
            .all(|tenant| tenant.reading.records == tenant.reading.telling)
    }

    /// How many records are held.
    pub fn held(&self) -> u64 {
        self.tenants.iter().map(|tenant| tenant.reading.held).sum()
    }
}

impl TenantMonth {
    /// Whether all that may go is in evidence, or nothing may go.
    pub fn is_ready(&self) -> bool {
        self.reading.removable == 0 || self.cover.is_some()
    }
}

impl TrailRetention {
    /// Removes from `trail` what is older than `keep`, a month at a time. `recorder` masks who did it.
    pub fn new(
        trail: Arc<dyn AuditPruner>,
        recorder: Recorder,
        clock: Arc<dyn Clock>,
        keep: Duration,
    ) -> Self {
        Self {
            trail,
            recorder,
            clock,
            keep,
        }
    }

    /// What is past its time and [not over](MonthPlan::is_over), oldest month first, and which of `evidence` (directories of exports) has it. Changes nothing. Reads what it plans to remove, and
    /// each fitting export once a month.
    ///
    /// # Errors
    /// As [`AuditPruner`], and when a file of an export cannot be read; [`ErrorKind::InvalidInput`] for a directory without a manifest that a known key signed. Evidence whose
    /// records do not verify is no error: it covers nothing, and the plan says why.
    pub async fn plan(&self, evidence: &[PathBuf], verifier: &EvidenceVerifier) -> Result<Vec<MonthPlan>> {
        let until = self.clock.now() - self.keep;
        let exports = exports(evidence, verifier).await?;
        let mut plans = Vec::new();
        for month in self.trail.months(until).await? {
            let mut plan = MonthPlan {
                month: month.month,
                tenants: Vec::new(),
            };
            for tenant in month.tenants {
                plan.tenants
                    .push(self.plan_tenant(tenant, month.month, &exports, verifier).await?);
            }
            if !plan.is_over() {
                plans.push(plan);
            }
        }
        Ok(plans)
    }

    async fn plan_tenant(
        &self,
        tenant: TenantId,
        month: Month,
        exports: &[Export],
        verifier: &EvidenceVerifier,
    ) -> Result<TenantMonth> {
        let holds = self.trail.holds_on(&tenant).await?;
        let mut uncovered = None;
        for export in exports.iter().filter(|export| export.is_of(&tenant, month)) {
            let shown = Shown::of(export, month, verifier);
            match self.read(&tenant, month, &holds, Some(shown)).await? {
                (reading, None) => {
                    return Ok(TenantMonth {
                        reading,
                        cover: Some(export.cover.clone()),
                        uncovered: None,
                    });
                }
                (_, Some(reason)) => {
                    uncovered = Some(format!("{}: {reason}", export.cover.directory.display()));
                }
            }
        }
        let (reading, unreadable) = self.read(&tenant, month, &holds, None).await?;
        let none = || "no evidence of this tenant has the whole month and a signed checkpoint".to_owned();
        Ok(TenantMonth {
            reading,
            cover: None,
            uncovered: Some(unreadable.or(uncovered).unwrap_or_else(none)),
        })
    }

    /// Reads the month of a tenant, beside what evidence shows of it. The reason why that is not the same.
    async fn read(
        &self,
        tenant: &TenantId,
        month: Month,
        holds: &[LegalHold],
        mut shown: Option<Shown>,
    ) -> Result<(MonthReading, Option<String>)> {
        let mut reading = MonthReading::new(tenant.clone());
        let (mut after, mut reason) = (0, None);
        loop {
            let page = self.trail.in_month(tenant, month, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence();
            for entry in &page {
                let TrailEntry::Record { receipt, record } = entry else {
                    let what = format!("position {} cannot be read: verify the chain", entry.sequence());
                    return Ok((reading, Some(what)));
                };
                let content = content(record);
                reading.push(receipt, record, &content, holds);
                if let Some(shown) = &mut shown
                    && reason.is_none()
                    && !shown.has(receipt.sequence, receipt.hash, content).await
                {
                    reason = Some(format!(
                        "it does not have the record of position {} as it is stored; export again",
                        receipt.sequence
                    ));
                }
            }
        }
        if let Some(shown) = shown {
            reason = shown.end().await?.or(reason);
        }
        Ok((reading, reason))
    }

    /// Removes a month as planned, for `by`. The trail of each tenant tells of it. The evidence is not read again: plan and prune in one go.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless the plan [is ready](MonthPlan::is_ready) and the month past its time; [`ErrorKind::Conflict`] when the trail or its holds have changed since, and nothing was removed; as
    /// [`AuditPruner::prune`].
    ///
    /// # Cancellation
    /// All or nothing of the month is removed.
    pub async fn prune(&self, plan: &MonthPlan, by: &Actor) -> Result<()> {
        if !plan.is_ready() {
            return Err(Error::new(ErrorKind::InvalidInput, REMOVE)
                .context("month", plan.month.to_string())
                .context("reason", "not all of it is in evidence that verifies"));
        }
        if plan.month.end() > self.clock.now() - self.keep {
            return Err(Error::new(ErrorKind::InvalidInput, REMOVE)
                .context("month", plan.month.to_string())
                .context("reason", "it is not past its time"));
        }
        let removals: Vec<_> = plan
            .tenants
            .iter()
            .filter_map(|tenant| {
                let record = self.record(plan.month, tenant, by)?;
                Some(MonthRemoval::new(tenant.reading.clone(), record))
            })
            .collect();
        self.trail.prune(plan.month, &removals).await
    }

    /// What the trail says of it; `None` where nothing goes.
    fn record(&self, month: Month, tenant: &TenantMonth, by: &Actor) -> Option<AuditRecord> {
        let reading = &tenant.reading;
        let cover = tenant.cover.as_ref()?;
        let record = AuditRecord::new(
            self.clock.now(),
            reading.tenant.clone(),
            by.clone(),
            MonthReading::TOLD,
            "audit_log",
            month.to_string(),
        );
        let mut record = self.recorder.prepared(record);
        // Numbers and hashes of our own: a masker must not take one for a telephone number.
        record.action = MonthReading::TOLD.to_owned();
        record.resource_id = month.to_string();
        record.details = [
            (FIRST, reading.first?.to_string()),
            (LAST, reading.last?.to_string()),
            (REMOVED, reading.removable.to_string()),
            ("held", reading.held.to_string()),
            ("evidence", cover.manifest.to_string()),
            ("root", cover.root.to_string()),
            ("size", cover.size.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        Some(record)
    }
}

/// An export that may have a month.
#[derive(Clone, Debug)]
struct Export {
    manifest: EvidenceManifest,
    cover: EvidenceCover,
}

impl Export {
    /// Whether it is of the tenant, and takes every record of the month.
    fn is_of(&self, tenant: &TenantId, month: Month) -> bool {
        let filter = &self.manifest.filter;
        let mut any_time = filter.clone();
        (any_time.from, any_time.until) = (None, None);
        self.manifest.tenant == *tenant
            && any_time.is_everything()
            && filter.from.is_none_or(|from| from <= month.begin())
            && filter.until.is_none_or(|until| until >= month.end())
    }
}

/// The exports among `directories` that a known key and a checkpoint are signed for.
async fn exports(directories: &[PathBuf], verifier: &EvidenceVerifier) -> Result<Vec<Export>> {
    let (directories, verifier) = (directories.to_vec(), verifier.clone());
    blocking(REMOVE, move || {
        let mut exports = Vec::new();
        for directory in directories {
            let Some((manifest, sha256)) = verifier.manifest_signed(&directory)? else {
                return Err(Error::new(ErrorKind::InvalidInput, REMOVE)
                    .context("evidence", directory.display().to_string())
                    .context("reason", "there is no manifest in it that a known key signed"));
            };
            if let (Some(root), Some(_)) = (manifest.root, &manifest.checkpoint) {
                let cover = EvidenceCover {
                    directory,
                    manifest: sha256,
                    size: manifest.size,
                    root,
                };
                exports.push(Export { manifest, cover });
            }
        }
        Ok(exports)
    })
    .await
}

/// What evidence shows of a month, in the order of the trail, while it is verified.
struct Shown {
    records: Receiver<(u64, Digest, Digest)>,
    next: Option<(u64, Digest, Digest)>,
    verdict: tokio::task::JoinHandle<Result<Option<String>>>,
}

impl Shown {
    fn of(export: &Export, month: Month, verifier: &EvidenceVerifier) -> Self {
        let (send, records) = channel(AHEAD);
        let (directory, verifier) = (export.cover.directory.clone(), verifier.clone());
        let verdict = tokio::spawn(blocking(REMOVE, move || {
            verify(&directory, month, &verifier, &mut |record| {
                // Who listens no more has found a difference.
                let _ = send.blocking_send(record);
            })
        }));
        Self {
            records,
            next: None,
            verdict,
        }
    }

    /// Whether it shows this record at this position.
    async fn has(&mut self, sequence: u64, hash: Digest, content: Digest) -> bool {
        while self.next.as_ref().is_none_or(|(at, ..)| *at < sequence) {
            match self.records.recv().await {
                Some(next) => self.next = Some(next),
                None => return false,
            }
        }
        self.next == Some((sequence, hash, content))
    }

    /// Why it is no evidence after all.
    async fn end(mut self) -> Result<Option<String>> {
        while self.records.recv().await.is_some() {}
        self.verdict.await.unwrap_or_else(|failed| {
            Err(Error::new(ErrorKind::Unexpected, REMOVE).context("reason", failed.to_string()))
        })
    }
}

fn verify(
    directory: &Path,
    month: Month,
    verifier: &EvidenceVerifier,
    show: &mut dyn FnMut((u64, Digest, Digest)),
) -> Result<Option<String>> {
    let verdict = verifier.verify_each(directory, |receipt, record| {
        if Month::of(record.at) == month {
            show((receipt.sequence, receipt.hash, content(record)));
        }
    })?;
    Ok(verdict
        .faults
        .first()
        .map(|fault| format!("it does not verify: {}", fault.what)))
}

const REMOVE: &str = "remove month of the audit trail";
/// How many records are read at once.
const PAGE: u32 = 10_000;
/// How many records the verifier is ahead at most.
const AHEAD: usize = 1024;
