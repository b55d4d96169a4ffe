//! Evidence in a bucket of Cloud Storage: resumable uploads that make an object whole or none, never write over one, and hold it from its first moment.
//!
//! | of the port | at the vendor |
//! |---|---|
//! | begin, put | a resumable upload under `ifGenerationMatch=0`, in chunks of 256 KiB |
//! | finish | the last bytes, which are kept back until all of them have the hash that was announced |
//! | [`held`](ops_core::ports::ArchiveHold::held) | a temporary hold on the object; read: that, or an event-based one |
//! | [`retained_until`](ops_core::ports::ArchiveHold::retained_until) | the retention of the object; the bucket must have been made with object retention |
//! | observe | size and CRC-32C as the vendor computed them |
//!
//! An event-based hold is somebody else's, who lifts it when their event comes; this provider sets and lifts none. So whoever asks for `held` on such an object gets a
//! temporary hold beside it, which the vendor allows: what was asked for stays when the other one goes. A retention is another matter: the vendor takes none beside an
//! event-based hold, and it is refused here before anything is written. An upload of what is there already counts an event-based hold as a hold, and adds none.

mod builder;
mod client;
mod object;
mod readiness;
mod session;
#[cfg(feature = "sim")]
pub mod sim;
mod upload;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::ports::{
    ArchiveCapability, ArchiveHold, ArchiveName, ArchiveUpload, ArchivedObject, EvidenceArchive,
};

pub use self::builder::CloudStorageArchiveBuilder;
use self::client::{Client, Progress};
use self::object::{ObjectPatch, RetentionPatch, whole_second};
pub use self::readiness::REQUIRED;
use self::session::{CHUNK, Session};
use self::upload::{Ending, Sending, Standing};

/// Keeps evidence in one bucket.
///
/// An upload that this process began is taken up where it stands; one that another process began starts anew, because its session is a secret that is
/// written nowhere. The vendor forgets sessions after a week.
///
/// A bucket can keep objects longer by a policy of its own: [`observe`](EvidenceArchive::observe) tells the later of both times.
///
/// ```
/// use std::sync::Arc;
///
/// use ops_core::{error::Result, http::HttpTransport};
/// use ops_gcp::{archive::CloudStorageArchive, auth::TokenSource};
///
/// fn evidence(transport: Arc<dyn HttpTransport>, token: Arc<dyn TokenSource>) -> Result<CloudStorageArchive> {
///     CloudStorageArchive::builder("soul-kun-evidence")
///         .with_transport(transport)
///         .with_token(token)
///         .build()
/// }
/// ```
#[derive(Debug)]
pub struct CloudStorageArchive {
    client: Client,
    locks: bool,
    /// Never locked while a request is under way.
    sessions: Mutex<BTreeMap<ArchiveName, Session>>,
}

impl CloudStorageArchive {
    /// An archive in `bucket`.
    pub fn builder(bucket: impl Into<String>) -> CloudStorageArchiveBuilder {
        CloudStorageArchiveBuilder::new(bucket.into())
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<ArchiveName, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(
        &self,
        kind: ErrorKind,
        operation: &'static str,
        name: &ArchiveName,
        reason: &'static str,
    ) -> Error {
        self.client
            .name_in(Error::new(kind, operation).provider(PROVIDER), name)
            .context("reason", reason)
    }

    fn under_way(&self, name: &ArchiveName) -> Error {
        self.to_begin_again(name, "another call of this upload is under way")
    }

    fn to_begin_again(&self, name: &ArchiveName, reason: &'static str) -> Error {
        self.refused(ErrorKind::Unavailable, UPLOAD, name, reason)
            .with_retry(Retry::Safe)
    }
}

#[async_trait]
impl EvidenceArchive for CloudStorageArchive {
    fn capability(&self) -> ArchiveCapability {
        let mut capability = ArchiveCapability::default();
        capability.chunk = u32::try_from(CHUNK).unwrap_or(u32::MAX);
        capability.locks_retention = self.locks;
        capability
    }

    async fn begin(&self, upload: &ArchiveUpload) -> Result<u64> {
        if self.there(upload, None).await?.is_some() {
            self.sessions().remove(&upload.name);
            return Ok(upload.bytes);
        }
        match self.ask(upload).await? {
            Some(Standing::Whole(_)) => return Ok(upload.bytes),
            Some(Standing::At(stands)) => return Ok(stands),
            None => {}
        }
        let uri = self.client.start(upload, self.locks).await?;
        self.remember(upload, uri).await;
        Ok(0)
    }

    async fn put(&self, upload: &ArchiveUpload, offset: u64, chunk: &[u8]) -> Result<u64> {
        let (uri, body, range, until, _turn) = match self.sending(upload, offset, chunk)? {
            Sending::Nothing(end) => return Ok(end),
            Sending::Bytes {
                uri,
                body,
                range,
                until,
                turn,
            } => (uri, body, range, until, turn),
        };
        // Whoever drops this, or an error, leaves the chunk in doubt: `begin` asks what arrived.
        let progress = self.client.send(&uri, &range, body, upload).await?;
        let mut sessions = self.sessions();
        let Some(session) = sessions.get_mut(&upload.name).filter(|known| known.is(&uri)) else {
            return Err(self.refused(
                ErrorKind::Conflict,
                UPLOAD,
                &upload.name,
                "another upload has taken its place",
            ));
        };
        match progress {
            Progress::Stands(stored) if stored <= until && session.settle(stored) => {
                session.keep_tail_only();
                Ok(session.stands())
            }
            Progress::Gone => {
                sessions.remove(&upload.name);
                Err(self.to_begin_again(&upload.name, "the upload has ended before its end: begin again"))
            }
            Progress::Stands(_) | Progress::Whole(_) => {
                sessions.remove(&upload.name);
                Err(self.to_begin_again(
                    &upload.name,
                    "the archive has other bytes than were sent: begin again",
                ))
            }
        }
    }

    async fn finish(&self, upload: &ArchiveUpload) -> Result<ArchivedObject> {
        let mut ending = self.ending(upload)?;
        if matches!(ending, Ending::InDoubt) {
            ending = match self.ask(upload).await? {
                Some(Standing::Whole(object)) => return Ok(object),
                Some(Standing::At(_)) => self.ending(upload)?,
                None => Ending::InDoubt,
            };
        }
        let (uri, body, range, crc32c, _turn) = match ending {
            Ending::Bytes {
                uri,
                body,
                range,
                crc32c,
                turn,
            } => (uri, body, range, crc32c, turn),
            Ending::InDoubt => {
                return Err(self.to_begin_again(&upload.name, "what arrived is not known: begin again"));
            }
            Ending::OtherBytes(uri) => {
                self.client.cancel(&uri).await;
                return Err(self.refused(
                    ErrorKind::InvalidInput,
                    UPLOAD,
                    &upload.name,
                    "the bytes do not have the hash of the upload",
                ));
            }
            Ending::NoSession => {
                return match self.there(upload, None).await? {
                    Some(object) => Ok(object),
                    None => Err(self.refused(
                        ErrorKind::NotFound,
                        UPLOAD,
                        &upload.name,
                        "begin the upload first",
                    )),
                };
            }
        };
        let progress = self.client.send(&uri, &range, body, upload).await;
        match progress {
            Ok(Progress::Whole(object)) => {
                self.forget(upload, &uri);
                let stored = object.archived()?;
                match (stored.bytes, stored.crc32c) == (upload.bytes, crc32c) {
                    true => Ok(stored),
                    // It cannot be thrown away: it may be held already.
                    false => Err(self.refused(
                        ErrorKind::Conflict,
                        UPLOAD,
                        &upload.name,
                        "what arrived is not what was sent: lift its hold, delete it and upload again",
                    )),
                }
            }
            Ok(Progress::Stands(stored)) => {
                if let Some(session) = self
                    .sessions()
                    .get_mut(&upload.name)
                    .filter(|known| known.is(&uri))
                    && session.settle(stored)
                {
                    session.keep_tail_only();
                }
                Err(self.to_begin_again(
                    &upload.name,
                    "the archive did not take the last bytes: begin again",
                ))
            }
            // Somebody was first: with the same content, that is as good.
            Ok(Progress::Gone) => {
                self.forget(upload, &uri);
                self.there(upload, Some(crc32c)).await?.ok_or_else(|| {
                    self.to_begin_again(&upload.name, "the upload has ended before its end: begin again")
                })
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.forget(upload, &uri);
                self.there(upload, Some(crc32c)).await?.ok_or(error)
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.forget(upload, &uri);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn observe(&self, name: &ArchiveName) -> Result<Option<ArchivedObject>> {
        match self.client.object(name, "observe archive").await? {
            Some(object) => object.archived().map(Some),
            None => Ok(None),
        }
    }

    async fn read(&self, name: &ArchiveName, offset: u64, most: u32) -> Result<Vec<u8>> {
        self.client.read(name, offset, most).await
    }

    async fn hold(&self, name: &ArchiveName, hold: &ArchiveHold) -> Result<()> {
        let Some(object) = self.client.object(name, HOLD).await? else {
            return Err(self.refused(ErrorKind::NotFound, HOLD, name, "there is no such object"));
        };
        let (own, kept) = (object.own_retention()?, object.archived()?.hold.retained_until);
        let asked = hold.retained_until.map(whole_second);
        if asked < own {
            return Err(self.refused(
                ErrorKind::PermissionDenied,
                HOLD,
                name,
                "a retention time can be moved further away only",
            ));
        }
        if !hold.held && object.event_based_hold {
            return Err(self.refused(
                ErrorKind::Conflict,
                HOLD,
                name,
                "it has an event-based hold too, which somebody else must lift",
            ));
        }
        let locked = object.is_locked();
        let lock = self.locks && !locked && own.is_some();
        let mut patch = ObjectPatch::default();
        if object.temporary_hold != hold.held {
            patch.temporary_hold = Some(hold.held);
        }
        // What the bucket keeps as long by itself is not written to the object.
        let longer = asked.filter(|asked| Some(*asked) > kept);
        if longer.is_some() && object.event_based_hold {
            return Err(self.refused(
                ErrorKind::Conflict,
                HOLD,
                name,
                "it has an event-based hold, beside which the vendor takes no retention; somebody else must lift it first",
            ));
        }
        if let Some(until) = longer.or(own).filter(|_| lock || longer.is_some()) {
            patch.retention = Some(RetentionPatch::new(until, locked || self.locks));
        }
        if patch == ObjectPatch::default() {
            return Ok(());
        }
        let told = self.client.patch(name, &object, &patch, lock).await?.archived()?;
        match told.hold.covers(hold) {
            true => Ok(()),
            false => Err(self.refused(
                ErrorKind::Unexpected,
                HOLD,
                name,
                "the archive does not hold it as asked",
            )),
        }
    }

    async fn delete(&self, name: &ArchiveName) -> Result<()> {
        let Some(object) = self.client.object(name, DELETE).await? else {
            return Ok(());
        };
        let hold = object.archived()?.hold;
        if hold.held {
            return Err(self.refused(ErrorKind::PermissionDenied, DELETE, name, "the object is held"));
        }
        let deleted = self.client.delete(name, &object).await;
        match (deleted, hold.retained_until) {
            // Its own clock decides.
            (Err(error), Some(until)) if error.kind() == ErrorKind::PermissionDenied => {
                Err(error.context("retained_until", until.to_string()))
            }
            (deleted, _) => deleted,
        }
    }
}

const PROVIDER: &str = "cloud-storage";
const UPLOAD: &str = "upload evidence";
const HOLD: &str = "hold evidence";
const DELETE: &str = "delete evidence";
