use std::fmt;
use std::sync::{Arc, Weak};

use bytes::{Buf as _, Bytes};
use ops_core::ports::ArchiveUpload;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// A chunk that is not the last must be a multiple of this. Unverified: the description of the API does not say it, its pages do.
pub(super) const CHUNK: usize = 256 * 1024;

/// A resumable upload of this process. `Debug` shows neither its secret nor its bytes.
pub(super) struct Session {
    pub(super) upload: ArchiveUpload,
    /// Whoever has it can write the object.
    pub(super) uri: SecretString,
    /// So many bytes are in the archive for certain, and in the sums.
    pub(super) stored: u64,
    sha256: Sha256,
    crc32c: u32,
    /// What follows them and is still here: what was sent and is in doubt, or the last bytes.
    pub(super) behind: Bytes,
    /// A request was sent whose outcome is not known.
    pub(super) in_doubt: bool,
    /// Held by the call that is under way. A call that is dropped gives it up.
    turn: Weak<()>,
    /// Which of all sessions it was.
    pub(super) number: u64,
}

impl Session {
    pub(super) fn new(upload: ArchiveUpload, uri: SecretString, number: u64) -> Self {
        Self {
            upload,
            uri,
            stored: 0,
            sha256: Sha256::new(),
            crc32c: 0,
            behind: Bytes::new(),
            in_doubt: false,
            turn: Weak::new(),
            number,
        }
    }

    /// The turn, to be held while a request is under way: what one call learns must not be taken for the outcome of another. `None` while there is one.
    pub(super) fn take_turn(&mut self) -> Option<Arc<()>> {
        if self.turn.strong_count() > 0 {
            return None;
        }
        let turn = Arc::new(());
        self.turn = Arc::downgrade(&turn);
        Some(turn)
    }

    /// Where the upload stands, the bytes here included.
    pub(super) fn stands(&self) -> u64 {
        self.stored + self.behind.len() as u64
    }

    /// The archive has so many bytes. `false` when these cannot be those that were sent: then nothing of the session is of use.
    pub(super) fn settle(&mut self, stored: u64) -> bool {
        let Some(more) = stored
            .checked_sub(self.stored)
            .and_then(|more| usize::try_from(more).ok())
            .filter(|more| *more <= self.behind.len())
        else {
            return false;
        };
        let arrived = &self.behind[..more];
        self.sha256.update(arrived);
        self.crc32c = crc32c::crc32c_append(self.crc32c, arrived);
        self.behind.advance(more);
        self.stored = stored;
        self.in_doubt = false;
        true
    }

    /// Keeps what is behind only if it is the end of the upload, and short: the caller has the rest.
    pub(super) fn keep_tail_only(&mut self) {
        if self.stands() != self.upload.bytes || self.behind.len() > CHUNK {
            self.behind.clear();
        } else {
            // Not the whole chunk that it was part of.
            self.behind = Bytes::copy_from_slice(&self.behind);
        }
    }

    /// The CRC-32C over all bytes, once they are all here or stored.
    pub(super) fn whole_crc32c(&self) -> Option<u32> {
        let whole = self.stands() == self.upload.bytes;
        whole.then(|| crc32c::crc32c_append(self.crc32c, &self.behind))
    }

    /// The CRC-32C over all bytes, if they are those of the upload.
    pub(super) fn sums_as_announced(&self) -> Option<u32> {
        let sha256 = self.sha256.clone().chain_update(&self.behind).finalize();
        let crc32c = self.whole_crc32c()?;
        let same = sha256[..] == self.upload.sha256.as_bytes()[..]
            && self.upload.crc32c.is_none_or(|announced| announced == crc32c);
        same.then_some(crc32c)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("upload", &self.upload.name)
            .field("stored", &self.stored)
            .field("behind", &format_args!("{} bytes", self.behind.len()))
            .field("in_doubt", &self.in_doubt)
            .finish_non_exhaustive()
    }
}
