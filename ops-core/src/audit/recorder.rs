use std::sync::Arc;
use std::time::Duration;

use super::{Delivered, Spool};
use crate::error::Result;
use crate::model::AuditRecord;
use crate::ports::{AuditReceipt, AuditStore, Clock, PiiMasker};
use crate::resilience::{Deadline, caught};

/// Masks audit records and gets them to the store, or to the spool while the store cannot take them.
///
/// Recording never fails its caller: what became of the record is a value.
///
/// # What is masked
/// The texts `action`, `resource_type` and `resource_id`, every detail (its name counts as a label: a detail called `氏名` holds
/// a name), and the actor's id. Ids should be opaque: of a mail address used as an id only the masked form is kept, so
/// that two people may become one. Tenant, run, times and ids are kept as they are. What store and spool say when they fail is masked
/// too, in [`Recorded`] and in the spool.
#[derive(Clone, Debug)]
pub struct Recorder {
    store: Arc<dyn AuditStore>,
    masker: Arc<dyn PiiMasker>,
    clock: Arc<dyn Clock>,
    spool: Option<Spool>,
    deadline: Duration,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a record may be lost"]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum Recorded {
    /// The store has it.
    Stored(AuditReceipt),
    /// It is in the spool; [`Recorder::deliver`] brings it to the store.
    Spooled {
        /// What the store said.
        reason: String,
    },
    /// Neither store nor spool has it.
    Lost {
        /// What store and spool said.
        reason: String,
    },
}

const APPEND: &str = "append audit record";

/// How long the store may take unless [`Recorder::with_deadline`] says otherwise.
const DEADLINE: Duration = Duration::from_secs(3);

impl Recorder {
    /// A recorder without a spool, which gives the store three seconds.
    pub fn new(store: Arc<dyn AuditStore>, masker: Arc<dyn PiiMasker>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            masker,
            clock,
            spool: None,
            deadline: DEADLINE,
        }
    }

    /// Keeps records in `spool` while the store cannot take them.
    #[must_use]
    pub fn with_spool(mut self, spool: Spool) -> Self {
        self.spool = Some(spool);
        self
    }

    /// Sets how long the store may take.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Masks and records.
    ///
    /// # Cancellation
    /// Dropping the future may leave the record stored or in the spool, or neither; recording it again is harmless.
    pub async fn record(&self, record: AuditRecord) -> Recorded {
        let record = self.masked(record);
        let stored = Deadline::after(&*self.clock, self.deadline)
            .bound(&*self.clock, APPEND, caught(APPEND, self.store.append(&record)))
            .await;
        // After a timeout the store may have the record all the same: it knows the id when the spool delivers it again.
        let reason = match stored {
            Ok(receipt) => return Recorded::Stored(receipt),
            Err(error) => self.masker.mask(&error.to_string()).into_owned(),
        };
        let Some(spool) = &self.spool else {
            return Recorded::Lost {
                reason: format!("{reason}; there is no spool"),
            };
        };
        match spool.append(record).await {
            Ok(()) => Recorded::Spooled { reason },
            Err(error) => Recorded::Lost {
                reason: self.masker.mask(&format!("{reason}; {error}")).into_owned(),
            },
        }
    }

    /// Hands what is in the spool to the store; without a spool there is nothing to do.
    ///
    /// # Errors
    /// As [`Spool::deliver`].
    pub async fn deliver(&self) -> Result<Delivered> {
        match &self.spool {
            Some(spool) => spool.deliver_masked(&*self.store, Some(&*self.masker)).await,
            None => Ok(Delivered::default()),
        }
    }

    fn masked(&self, mut record: AuditRecord) -> AuditRecord {
        let mask = |text: &str| self.masker.mask(text).into_owned();
        record.actor = record.actor.renamed(&mask(record.actor.id()));
        record.action = mask(&record.action);
        record.resource_type = mask(&record.resource_type);
        record.resource_id = mask(&record.resource_id);
        for (name, value) in &mut record.details {
            *value = self.masked_detail(name, value);
        }
        record
    }

    fn masked_detail(&self, name: &str, value: &str) -> String {
        let label = format!("{name}: ");
        let labelled = format!("{label}{value}");
        match self.masker.mask(&labelled).strip_prefix(&label) {
            Some(masked) => masked.to_owned(),
            // The name itself was masked.
            None => self.masker.mask(value).into_owned(),
        }
    }
}
