use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Digest, Timestamp};

/// What an object in an archive is called: segments of letters, digits, `.`, `_` and `-` with `/` between them, 200 characters at most; no segment
/// is empty, or begins with a dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArchiveName(String);

impl ArchiveName {
    /// A name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for any other text.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let segment =
            |segment: &str| !segment.is_empty() && !segment.starts_with('.') && segment.chars().all(plain);
        if text.len() > 200 || !text.split('/').all(segment) {
            return Err(Error::new(ErrorKind::InvalidInput, "name archive object").context(
                "name",
                "must be segments of letters, digits, `.`, `_` and `-` with `/` between them, 200 characters at most, none with a dot in front",
            ));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ArchiveName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<ArchiveName> for String {
    fn from(name: ArchiveName) -> Self {
        name.0
    }
}

/// What is brought to an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArchiveUpload {
    /// What it is called there.
    pub name: ArchiveName,
    /// How long it is.
    pub bytes: u64,
    /// Over all of it.
    pub sha256: Digest,
    /// Over all of it too, where it is known: an archive that computes it by itself can refuse what was changed on the way.
    #[serde(default)]
    pub crc32c: Option<u32>,
    /// What protects the object from the moment it is whole.
    #[serde(default)]
    pub hold: ArchiveHold,
}

impl ArchiveUpload {
    /// An upload that nothing protects.
    pub fn new(name: ArchiveName, bytes: u64, sha256: Digest) -> Self {
        Self {
            name,
            bytes,
            sha256,
            crc32c: None,
            hold: ArchiveHold::default(),
        }
    }

    /// Says the CRC-32C too.
    #[must_use]
    pub fn with_crc32c(mut self, crc32c: u32) -> Self {
        self.crc32c = Some(crc32c);
        self
    }

    /// Held like this from the moment it is whole.
    #[must_use]
    pub fn with_hold(mut self, hold: ArchiveHold) -> Self {
        self.hold = hold;
        self
    }
}

/// What keeps an object from being deleted and written over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArchiveHold {
    /// Until somebody lifts it.
    pub held: bool,
    /// Until this time; it can be moved further away only.
    pub retained_until: Option<Timestamp>,
}

impl ArchiveHold {
    /// A hold that lasts until it is lifted.
    pub fn held() -> Self {
        Self {
            held: true,
            retained_until: None,
        }
    }

    /// Also until this time.
    #[must_use]
    pub fn until(mut self, time: Timestamp) -> Self {
        self.retained_until = Some(time);
        self
    }

    /// What keeps an object as both do.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            held: self.held || other.held,
            retained_until: self.retained_until.max(other.retained_until),
        }
    }

    /// Whether it keeps an object at least as `asked`.
    pub fn covers(&self, asked: &Self) -> bool {
        (self.held || !asked.held) && self.retained_until >= asked.retained_until
    }
}

/// What an archive has, as the archive itself computed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArchivedObject {
    /// How long it is.
    pub bytes: u64,
    /// CRC-32C over what is stored: finds a fault of the way there. It is no protection against people; the signed manifest is.
    pub crc32c: u32,
    /// What protects it.
    pub hold: ArchiveHold,
}

impl ArchivedObject {
    /// What is stored.
    pub fn new(bytes: u64, crc32c: u32, hold: ArchiveHold) -> Self {
        Self { bytes, crc32c, hold }
    }
}

/// What an [`EvidenceArchive`] can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveCapability {
    /// A chunk that is not the last must be a multiple of this many bytes; 0 and 1: any.
    pub chunk: u32,
    /// An upload that another process began is taken up.
    pub resumes_across_processes: bool,
    /// A retention time is kept even against the owner of the archive.
    pub locks_retention: bool,
}

/// Keeps evidence away from the machine that made it.
///
/// # Contract
/// - [`begin`](Self::begin) says how much of the upload is there already: all of it when the object is complete. Then only the rest is [`put`](Self::put).
/// - An object that is complete never changes: another content under its name is `Conflict`.
/// - [`finish`](Self::finish) makes the object whole, or none: what does not have the length and the hash of the upload is refused and thrown away.
/// - An object that was not there before has the hold of its upload from its first moment; one that was there keeps its own.
/// - A hold that is not lifted, and a retention time that has not passed, refuse [`delete`](Self::delete) with `PermissionDenied`.
/// - [`observe`](Self::observe) tells what is stored, never what was sent.
///
/// # Errors
/// `NotFound`, `Conflict`, `InvalidInput`, `PermissionDenied`, `Unavailable`, `Timeout`.
///
/// # Cancellation
/// Dropping `put` may leave the chunk stored: `begin` again tells.
#[async_trait]
pub trait EvidenceArchive: Debug + Send + Sync + 'static {
    /// What this provider can do.
    fn capability(&self) -> ArchiveCapability;
    /// Begins or takes up an upload; how many bytes are there.
    async fn begin(&self, upload: &ArchiveUpload) -> Result<u64>;
    /// Adds bytes at `offset`, which must be where the upload stands; where it stands then.
    async fn put(&self, upload: &ArchiveUpload, offset: u64, chunk: &[u8]) -> Result<u64>;
    /// Ends an upload of which every byte is there. Repeating it is harmless.
    async fn finish(&self, upload: &ArchiveUpload) -> Result<ArchivedObject>;
    /// What is stored under a name.
    async fn observe(&self, name: &ArchiveName) -> Result<Option<ArchivedObject>>;
    /// At most `most` bytes from `offset` on; none: that was all.
    async fn read(&self, name: &ArchiveName, offset: u64, most: u32) -> Result<Vec<u8>>;
    /// Sets what protects an object. `held` may be lifted; a retention time may not be taken away or moved nearer (`PermissionDenied`).
    async fn hold(&self, name: &ArchiveName, hold: &ArchiveHold) -> Result<()>;
    /// Deletes an object that nothing protects; one that is not there is deleted.
    async fn delete(&self, name: &ArchiveName) -> Result<()>;
}
