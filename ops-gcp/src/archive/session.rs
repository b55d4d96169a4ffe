use std::fmt;

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
}

impl Session {
    pub(super) fn new(upload: ArchiveUpload, uri: SecretString) -> Self {
        Self {
            upload,
            uri,
            stored: 0,
            sha256: Sha256::new(),
            crc32c: 0,
            behind: Bytes::new(),
            in_doubt: false,
        }
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

    /// The CRC-32C over all bytes, if they are those of the upload.
    pub(super) fn sums_as_announced(&self) -> Option<u32> {
        let sha256 = self.sha256.clone().chain_update(&self.behind).finalize();
        let crc32c = crc32c::crc32c_append(self.crc32c, &self.behind);
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
