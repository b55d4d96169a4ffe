use std::sync::Arc;

use async_trait::async_trait;

use super::Recorder;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, TenantId};
use crate::ports::{AuditEraser, ForgetPerson};

/// The audit trail as a place with traces of a person: an erasure that is given it forgets them there too, through [`Recorder::forget`].
///
/// # Errors
/// Beside those of [`Recorder::forget`], [`ErrorKind::Unsupported`] when records are left that name the person in a field without a salt: their values are in
/// the hashes. The others are done by then.
#[derive(Clone, Debug)]
pub struct TracesInTrail {
    recorder: Recorder,
    eraser: Arc<dyn AuditEraser>,
    by: Actor,
    reference: String,
}

impl TracesInTrail {
    /// Forgets with `eraser`, and records with `recorder` that `by` did so for the request `reference`, which must not name the person.
    pub fn new(
        recorder: Recorder,
        eraser: Arc<dyn AuditEraser>,
        by: Actor,
        reference: impl Into<String>,
    ) -> Self {
        Self {
            recorder,
            eraser,
            by,
            reference: reference.into(),
        }
    }
}

#[async_trait]
impl ForgetPerson for TracesInTrail {
    fn name(&self) -> &str {
        "salts of the audit trail"
    }

    async fn forget(&self, tenant: &TenantId, person: &str) -> Result<u64> {
        let forgotten = self
            .recorder
            .forget(&*self.eraser, tenant, person, self.by.clone(), &self.reference)
            .await?;
        match forgotten.left {
            0 => Ok(forgotten.records),
            left => Err(
                Error::new(ErrorKind::Unsupported, "forget person in audit trail").context(
                    "left",
                    format!("{left} records name the person in a field without a salt"),
                ),
            ),
        }
    }
}
