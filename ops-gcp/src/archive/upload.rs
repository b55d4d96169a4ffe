//! Uploads that this process began, and what is known of them.

use std::sync::Arc;

use bytes::Bytes;
use ops_core::error::{ErrorKind, Result, Retry};
use ops_core::ports::{ArchiveUpload, ArchivedObject};
use secrecy::{ExposeSecret as _, SecretString};

use super::client::Progress;
use super::object::Object;
use super::session::{CHUNK, Session};
use super::{CloudStorageArchive, UPLOAD};

impl CloudStorageArchive {
    /// The object, if what it holds is the upload. `crc32c` is that of the bytes, where it is known.
    ///
    /// # Errors
    /// `Conflict` when the name has another content.
    pub(super) fn accept(
        &self,
        object: &Object,
        upload: &ArchiveUpload,
        crc32c: Option<u32>,
    ) -> Result<ArchivedObject> {
        let stored = object.archived()?;
        let announced = object.announced_sha256();
        let same = stored.bytes == upload.bytes
            && announced.is_none_or(|sha256| sha256 == upload.sha256.to_string())
            && match upload.crc32c.or(crc32c) {
                Some(crc32c) => crc32c == stored.crc32c,
                None => announced.is_some(),
            };
        match same {
            true => Ok(stored),
            false => Err(self.refused(
                ErrorKind::Conflict,
                UPLOAD,
                &upload.name,
                "the name has another content",
            )),
        }
    }

    pub(super) async fn there(
        &self,
        upload: &ArchiveUpload,
        crc32c: Option<u32>,
    ) -> Result<Option<ArchivedObject>> {
        match self.client.object(&upload.name, UPLOAD).await? {
            Some(object) => self.accept(&object, upload, crc32c).map(Some),
            None => Ok(None),
        }
    }

    /// Asks where an upload of this process stands. `None`: there is none to take up.
    pub(super) async fn ask(&self, upload: &ArchiveUpload) -> Result<Option<Standing>> {
        let (uri, crc32c, _turn) = match self.sessions().get_mut(&upload.name) {
            Some(session) if session.upload == *upload => match session.take_turn() {
                Some(turn) => (session.uri.clone(), session.whole_crc32c(), turn),
                None => return Err(self.under_way(&upload.name)),
            },
            _ => return Ok(None),
        };
        let range = format!("bytes */{}", upload.bytes);
        let progress = match self.client.send(&uri, &range, Bytes::new(), upload).await {
            // It will say so each time: whatever it is, nothing more comes of it.
            Err(error) if error.retry() == Retry::Never => {
                self.forget(upload, &uri);
                return Ok(match error.kind() {
                    ErrorKind::Conflict => self.there(upload, crc32c).await?.map(Standing::Whole),
                    _ => None,
                });
            }
            progress => progress?,
        };
        if let Progress::Whole(object) = progress {
            self.forget(upload, &uri);
            let whole = self.accept(&object, upload, crc32c)?;
            return Ok(Some(Standing::Whole(whole)));
        }
        let mut sessions = self.sessions();
        let Some(session) = sessions.get_mut(&upload.name).filter(|known| known.is(&uri)) else {
            return Ok(None);
        };
        match progress {
            Progress::Stands(stored) if session.settle(stored) => {
                session.keep_tail_only();
                Ok(Some(Standing::At(session.stands())))
            }
            // Other bytes than were sent, or no session any more.
            _ => Ok(None),
        }
    }

    /// Remembers a session; what it takes the place of is thrown away.
    pub(super) async fn remember(&self, upload: &ArchiveUpload, uri: SecretString) {
        let mut before = Vec::new();
        {
            let mut sessions = self.sessions();
            let newest = sessions.values().map(|session| session.number).max();
            let session = Session::new(upload.clone(), uri, newest.map_or(0, |newest| newest + 1));
            before.extend(sessions.insert(upload.name.clone(), session));
            // Whoever gave up an upload says so to nobody.
            if sessions.len() > MOST_SESSIONS {
                let oldest = sessions.values().min_by_key(|session| session.number);
                let oldest = oldest.map(|session| session.upload.name.clone());
                before.extend(oldest.and_then(|oldest| sessions.remove(&oldest)));
            }
        }
        for session in before {
            self.client.cancel(&session.uri).await;
        }
    }

    /// Forgets a session, unless another has taken its place.
    pub(super) fn forget(&self, upload: &ArchiveUpload, uri: &SecretString) {
        let mut sessions = self.sessions();
        if sessions.get(&upload.name).is_some_and(|known| known.is(uri)) {
            sessions.remove(&upload.name);
        }
    }

    /// What is sent next, marked as sent: its session, its place, and how long the upload stands when all of it has arrived.
    pub(super) fn sending(&self, upload: &ArchiveUpload, offset: u64, chunk: &[u8]) -> Result<Sending> {
        let refused = |kind, reason| self.refused(kind, UPLOAD, &upload.name, reason);
        let mut sessions = self.sessions();
        let Some(session) = sessions
            .get_mut(&upload.name)
            .filter(|session| session.upload == *upload)
        else {
            return Err(refused(ErrorKind::NotFound, "begin the upload first"));
        };
        if session.in_doubt {
            return Err(refused(
                ErrorKind::Conflict,
                "what arrived of the last chunk is not known: begin again",
            ));
        }
        let end = offset.saturating_add(chunk.len() as u64);
        if offset != session.stands() || end > upload.bytes {
            return Err(refused(ErrorKind::Conflict, "the upload stands elsewhere"));
        }
        let last = end == upload.bytes;
        if !last && !chunk.len().is_multiple_of(CHUNK) {
            return Err(refused(
                ErrorKind::InvalidInput,
                "a chunk that is not the last must be a multiple of 262144 bytes",
            ));
        }
        if chunk.is_empty() {
            return Ok(Sending::Nothing(end));
        }
        // With its last byte the object would be whole.
        let most = if last {
            (chunk.len() - 1) / CHUNK * CHUNK
        } else {
            chunk.len()
        };
        let Some(turn) = session.take_turn() else {
            return Err(self.under_way(&upload.name));
        };
        session.behind = Bytes::copy_from_slice(chunk);
        if most == 0 {
            return Ok(Sending::Nothing(end));
        }
        session.in_doubt = true;
        let until = offset + most as u64;
        Ok(Sending::Bytes {
            uri: session.uri.clone(),
            body: session.behind.slice(..most),
            range: format!("bytes {offset}-{}/{}", until - 1, upload.bytes),
            until,
            turn,
        })
    }

    /// The last bytes, when all of them are as announced.
    pub(super) fn ending(&self, upload: &ArchiveUpload) -> Result<Ending> {
        let mut sessions = self.sessions();
        let Some(session) = sessions
            .get_mut(&upload.name)
            .filter(|session| session.upload == *upload)
        else {
            return Ok(Ending::NoSession);
        };
        if session.in_doubt {
            return Ok(Ending::InDoubt);
        }
        if session.stands() < upload.bytes {
            return Err(self.refused(ErrorKind::Conflict, UPLOAD, &upload.name, "bytes are missing"));
        }
        let (uri, body) = (session.uri.clone(), session.behind.clone());
        let Some(crc32c) = session.sums_as_announced() else {
            sessions.remove(&upload.name);
            return Ok(Ending::OtherBytes(uri));
        };
        let Some(turn) = session.take_turn() else {
            return Err(self.under_way(&upload.name));
        };
        session.in_doubt = true;
        let range = match upload.bytes {
            0 => "bytes */0".to_owned(),
            bytes => format!("bytes {}-{}/{bytes}", session.stored, bytes - 1),
        };
        Ok(Ending::Bytes {
            uri,
            body,
            range,
            crc32c,
            turn,
        })
    }
}

/// Where an upload stands that was begun before.
#[derive(Debug)]
pub(super) enum Standing {
    At(u64),
    Whole(ArchivedObject),
}

#[derive(Debug)]
pub(super) enum Sending {
    /// The upload stands here; what is behind goes with `finish`.
    Nothing(u64),
    Bytes {
        uri: SecretString,
        body: Bytes,
        range: String,
        until: u64,
        turn: Arc<()>,
    },
}

#[derive(Debug)]
pub(super) enum Ending {
    NoSession,
    InDoubt,
    OtherBytes(SecretString),
    Bytes {
        uri: SecretString,
        body: Bytes,
        range: String,
        crc32c: u32,
        turn: Arc<()>,
    },
}

impl Session {
    pub(super) fn is(&self, uri: &SecretString) -> bool {
        self.uri.expose_secret() == uri.expose_secret()
    }
}

/// Uploads that have begun and were not ended: the oldest of more is given up.
const MOST_SESSIONS: usize = 100;
