use std::sync::Arc;
use std::time::Duration;

use super::drain::Drains;
use super::{Delivered, Drain, DrainOptions, DrainStatus, Spool};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Actor, ActorKind, AuditOutcome, AuditRecord, Salt, TenantId, Withheld};
use crate::ports::{AuditEraser, AuditReceipt, AuditStore, Clock, Forgotten, PiiMasker};
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
///
/// # What can be forgotten
/// A field that tells of a person gets a salt, so that its value can be removed later ([`forget`](Self::forget)) while the hashes hold: the actor's id where the actor is a
/// person, the resource's id where the resource is a `user`, and the details `ip`, `email`, `user` and `resource`; [`with_personal`](Self::with_personal) names others.
///
/// # Order of store and spool
/// While a [`Drain`] runs, a record goes to the spool first: recording takes a share of one disk write and needs no store. Without one it goes to the store first, and to the spool when
/// the store cannot take it.
#[derive(Clone, Debug)]
pub struct Recorder {
    store: Arc<dyn AuditStore>,
    masker: Arc<dyn PiiMasker>,
    clock: Arc<dyn Clock>,
    spool: Option<Spool>,
    deadline: Duration,
    personal: Arc<[String]>,
    drains: Arc<Drains>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a record may be lost"]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum Recorded {
    /// The store has it.
    Stored(AuditReceipt),
    /// It survives a crash of this machine, and the drain brings it to the store.
    Kept,
    /// It is in the spool; [`Recorder::deliver`] brings it to the store.
    Spooled {
        /// What the store said.
        reason: String,
    },
    /// Neither store nor spool has room for it, and what it tells of must not be done without a record of it: see [`SpoolQuota::refuse`](super::SpoolQuota::refuse).
    Refused {
        /// What store and spool said.
        reason: String,
    },
    /// Neither store nor spool has it.
    Lost {
        /// What store and spool said.
        reason: String,
    },
}

impl Recorded {
    /// Whether it survives a crash, in the store or on its way there. The reason why not.
    ///
    /// # Errors
    /// What store and spool said: nobody has the record.
    pub fn kept(self) -> Result<(), String> {
        match self {
            Self::Stored(_) | Self::Kept | Self::Spooled { .. } => Ok(()),
            Self::Refused { reason } | Self::Lost { reason } => Err(reason),
        }
    }
}

const APPEND: &str = "append audit record";

/// The action of the records about a person who was forgotten.
const FORGET: &str = "audit.forget";

/// The fields that get a salt unless others are named.
const PERSONAL: [&str; 6] = [
    "actor",
    "resource_id",
    "details.ip",
    "details.email",
    "details.user",
    // What a reader of the trail asked for.
    "details.resource",
];

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
            personal: PERSONAL.map(str::to_owned).into(),
            drains: Arc::default(),
        }
    }

    /// Names the fields that get a salt: `actor`, `resource_id` and `details.NAME`.
    #[must_use]
    pub fn with_personal(mut self, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.personal = fields.into_iter().map(Into::into).collect();
        self
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
        match &self.spool {
            Some(spool) if self.drains.any() => {
                let action = record.action.clone();
                match spool.append(self.prepared(record)).await {
                    Ok(()) => Recorded::Kept,
                    Err(error) => self.not_kept(spool, &action, &error, error.to_string()),
                }
            }
            _ => self.record_in_store(record).await,
        }
    }

    /// As [`record`](Self::record), but to the store first also while a drain runs: for whoever must say whether the store has it.
    pub(crate) async fn record_in_store(&self, record: AuditRecord) -> Recorded {
        let record = self.prepared(record);
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
        let action = record.action.clone();
        match spool.append(record).await {
            Ok(()) => Recorded::Spooled { reason },
            Err(error) => self.not_kept(spool, &action, &error, format!("{reason}; {error}")),
        }
    }

    fn not_kept(&self, spool: &Spool, action: &str, error: &Error, said: String) -> Recorded {
        let reason = self.masker.mask(&said).into_owned();
        match error.kind() == ErrorKind::RateLimited && spool.quota().refuses(action) {
            true => Recorded::Refused { reason },
            false => Recorded::Lost { reason },
        }
    }

    /// Starts a task that brings what is in the spool to the store by itself, what other processes left behind included. It ends when the handle is
    /// dropped or [stopped](Drain::stop).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] without a spool.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn drain(&self, options: DrainOptions) -> Result<Drain> {
        let Some(spool) = &self.spool else {
            return Err(Error::new(ErrorKind::InvalidConfig, "start audit drain").context(
                "spool",
                "is missing: give the recorder one (Recorder::with_spool)",
            ));
        };
        Ok(Drain::start(
            spool.clone(),
            Arc::clone(&self.store),
            Arc::clone(&self.masker),
            Arc::clone(&self.clock),
            Arc::clone(&self.drains),
            options,
        ))
    }

    /// What the newest drain has done; `None` while none runs.
    pub fn drain_status(&self) -> Option<DrainStatus> {
        self.drains.status()
    }

    /// Removes what `person` is called from the trail of `tenant`, and records that: first that it is to be done, then what was done. The records do not name the
    /// person; `reference` is the number of their request, say.
    ///
    /// # Errors
    /// Those of [`AuditEraser::forget`], and [`ErrorKind::Unavailable`] when the intent could not be recorded, or when records that name the person stay in the
    /// spool, from which they would come back: then nothing is removed.
    ///
    /// # Cancellation
    /// Dropping the future may leave a part removed; do it again.
    pub async fn forget(
        &self,
        eraser: &dyn AuditEraser,
        tenant: &TenantId,
        person: &str,
        by: Actor,
        reference: &str,
    ) -> Result<Forgotten> {
        let record = |outcome| {
            AuditRecord::new(
                self.clock.now(),
                tenant.clone(),
                by.clone(),
                FORGET,
                "person",
                reference,
            )
            .with_outcome(outcome)
        };
        let intent = record(AuditOutcome::Unknown).with_detail("step", "intent");
        if let Err(reason) = self.record(intent).await.kept() {
            return Err(Error::new(ErrorKind::Unavailable, "forget person in audit trail")
                .context("reason", format!("the intent cannot be recorded: {reason}")));
        }
        self.bring(tenant, person).await?;
        let forgotten = eraser.forget(tenant, person).await;
        let done = match &forgotten {
            Ok(forgotten) => record(AuditOutcome::Succeeded)
                .with_detail("records", forgotten.records.to_string())
                .with_detail("left", forgotten.left.to_string())
                .with_detail("held", forgotten.held.to_string()),
            Err(error) => record(AuditOutcome::Failed).with_detail("error", error.kind().to_string()),
        };
        if let Err(reason) = self.record(done.with_detail("step", "done")).await.kept() {
            tracing::error!(
                reason,
                "what was forgotten is not in the audit trail, its intent is"
            );
        }
        forgotten
    }

    /// Brings what names `person` from the spool to the store.
    async fn bring(&self, tenant: &TenantId, person: &str) -> Result<()> {
        let Some(spool) = &self.spool else {
            return Ok(());
        };
        if let Err(error) = self.deliver().await {
            tracing::warn!(kind = %error.kind(), "the spool was not delivered");
        }
        let mut waiting = spool.pending().await?;
        waiting
            .retain_mut(|record| record.tenant == *tenant && record.forget(person) != Withheld::Unconcerned);
        match waiting.len() {
            0 => Ok(()),
            theirs => Err(
                Error::new(ErrorKind::Unavailable, "forget person in audit trail").context(
                    "reason",
                    format!("{theirs} records that name the person wait in the spool"),
                ),
            ),
        }
    }

    /// Hands what is in the spool to the store; without a spool there is nothing to do.
    ///
    /// # Errors
    /// As [`Spool::deliver`].
    pub async fn deliver(&self) -> Result<Delivered> {
        match &self.spool {
            Some(spool) => spool.deliver_whole(&*self.store, Some(&*self.masker)).await,
            None => Ok(Delivered::default()),
        }
    }

    /// Masked, with salts.
    pub(super) fn prepared(&self, record: AuditRecord) -> AuditRecord {
        let mut record = self.masked(record);
        for field in &*self.personal {
            let tells_of_nobody = match field.as_str() {
                "actor" => record.actor.kind() != ActorKind::Person,
                "resource_id" => record.resource_type != "user",
                _ => false,
            };
            if tells_of_nobody || record.field(field).is_none() {
                continue;
            }
            match Salt::random() {
                Ok(salt) => record = record.with_salt(field, salt),
                Err(error) => {
                    tracing::error!(%error, field, "recorded without a salt: it cannot be forgotten")
                }
            }
        }
        record
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
