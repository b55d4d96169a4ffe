//! Checkpoints that are signed and kept by themselves, and what they show about a trail.

mod reading;
mod task;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use self::reading::Reading;
pub use self::task::{CheckpointStatus, CheckpointTask};
use super::{ArchivedFile, Checkpoint, Growth, Note, NoteSigner, NoteVerifier, archive_checkpoint};
use crate::durable::{blocking, read_plain, write_plain};
use crate::error::{Error, ErrorKind, Result};
use crate::model::TenantId;
use crate::ports::{ArchiveHold, AuditStore, Clock, EvidenceArchive, PiiMasker};

/// Signs what a trail is, compares it with the checkpoint that was signed before, and keeps the newest one: in a file, and in an archive if it has one. What does not
/// fit its own chain, or the checkpoint before, is signed by nobody.
///
/// A trail is read as a whole the first time, and once a day; in between only what came since, so that a look costs little. That finds records that were cut off, put
/// back or computed anew at once, and a record that was edited without that within the day.
///
/// Keep file and archive where whoever may write the trail cannot: else both can be put back.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use ops_core::audit::NoteSigner;
/// use ops_core::model::TenantId;
/// use ops_core::{Ops, Providers};
///
/// # let directory = tempfile::tempdir()?;
/// let tenant = TenantId::new("org_soulsyncs")?;
/// let ops = Ops::new(Providers::in_directory(directory.path())?, tenant.clone());
/// let signer = NoteSigner::generate("audit.example.com")?;
///
/// // Held as long as the service lives; one for all its tenants.
/// let task = ops
///     .checkpoint_keeper(signer)
///     .start(directory.path().join("checkpoints"), [tenant], Duration::from_secs(300))?;
/// let status = task.stop().await;
/// assert!(status.faults.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct CheckpointKeeper {
    store: Arc<dyn AuditStore>,
    masker: Arc<dyn PiiMasker>,
    clock: Arc<dyn Clock>,
    signers: Vec<NoteSigner>,
    keys: Vec<NoteVerifier>,
    shelf: Option<Shelf>,
    whole_every: Duration,
    /// Who holds it looks at a trail: one at a time.
    known: Mutex<HashMap<TenantId, Known>>,
}

/// What this process knows of a trail.
#[derive(Debug, Default)]
struct Known {
    /// The largest checkpoint that was seen: a file that is put back, or gone, hides nothing from this process.
    largest: Option<Checkpoint>,
    /// Never longer than that. `None` after what was wrong: the next look reads all.
    reading: Option<Reading>,
}

/// Where checkpoints are brought.
#[derive(Debug)]
struct Shelf {
    archive: Arc<dyn EvidenceArchive>,
    folder: String,
    hold: ArchiveHold,
}

/// What one look at a trail has given.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedCheckpoint {
    /// What the trail is now.
    pub checkpoint: Checkpoint,
    /// What it says about the one before. Never a fault: that is an error.
    pub growth: Growth,
    /// The signed text that the file holds.
    pub note: Note,
    /// What became of it in the archive; `None` without an archive, and where this one is known to be there.
    pub archived: Option<Result<ArchivedFile>>,
}

impl CheckpointKeeper {
    /// Signs with `signer`, whose name is that of the log.
    pub fn new(
        store: Arc<dyn AuditStore>,
        masker: Arc<dyn PiiMasker>,
        clock: Arc<dyn Clock>,
        signer: NoteSigner,
    ) -> Self {
        Self {
            store,
            masker,
            clock,
            keys: vec![signer.verifier().clone()],
            signers: vec![signer],
            shelf: None,
            whole_every: WHOLE_EVERY,
            known: Mutex::default(),
        }
    }

    /// Signs with another key beside: a witness, or the next key while keys are changed.
    #[must_use]
    pub fn with_signer(mut self, signer: NoteSigner) -> Self {
        self.keys.push(signer.verifier().clone());
        self.signers.push(signer);
        self
    }

    /// Takes checkpoints that one of these has signed as ours, too: the keys of before.
    #[must_use]
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = NoteVerifier>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Brings each checkpoint into `archive`, as [`archive_checkpoint`] does.
    #[must_use]
    pub fn with_archive(
        mut self,
        archive: Arc<dyn EvidenceArchive>,
        folder: impl Into<String>,
        hold: ArchiveHold,
    ) -> Self {
        self.shelf = Some(Shelf {
            archive,
            folder: folder.into(),
            hold,
        });
        self
    }

    /// Reads a trail as a whole again after this time. Default: a day. Zero: at every look.
    #[must_use]
    pub fn whole_every(mut self, interval: Duration) -> Self {
        self.whole_every = interval;
        self
    }

    /// Looks at the trail of `tenant`, compares it with the checkpoint in `file`, and puts a newer one in its place. A file that is missing is made. Once this keeper has
    /// signed a larger one than the file holds, that one counts.
    ///
    /// A trail that was put back from a backup is not the one that was signed: move the file away, and begin with another keeper.
    ///
    /// An archive that does not take the checkpoint is no error here: it is signed all the same, and brought again by the next look.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the trail does not fit its own chain, or is not the one that was signed; it names the position and what is wrong, and the file
    /// stays. [`ErrorKind::PermissionDenied`] for a file that none of our keys has signed; [`ErrorKind::InvalidInput`] for one that is no checkpoint, or of another
    /// trail; those of [`AuditStore::chain`], and of the disk.
    ///
    /// # Cancellation
    /// The file holds the old checkpoint or the new one. Look again.
    pub async fn keep(&self, tenant: &TenantId, file: impl AsRef<Path>) -> Result<SignedCheckpoint> {
        let file = std::path::absolute(file.as_ref())
            .map_err(|source| Error::new(ErrorKind::InvalidInput, SIGN).source(source))?;
        let mut known = self.known.lock().await;
        let known = known.entry(tenant.clone()).or_default();
        let seen = self.seen(&file, tenant).await?;
        let in_file = seen.as_ref().map(|(_, checkpoint)| checkpoint);
        // Of two of one size, ours: the file's may have been put there.
        let before = match (&known.largest, in_file) {
            (Some(ours), Some(theirs)) if theirs.size > ours.size => Some(theirs.clone()),
            (Some(ours), _) => Some(ours.clone()),
            (None, theirs) => theirs.cloned(),
        };
        let mut reading = known
            .reading
            .take()
            .filter(|reading| !reading.is_due(&*self.clock))
            .unwrap_or_else(|| Reading::begin(&*self.clock, self.whole_every));
        let growth = reading.catch_up(&*self.store, tenant, before.as_ref()).await?;
        let checkpoint = reading.checkpoint(self.log(), tenant)?;
        let note = match seen {
            Some((note, there)) if there == checkpoint && self.is_signed(&note) => note,
            _ => self.sign(&file, &checkpoint).await?,
        };
        known.largest = Some(checkpoint.clone());
        let archived = match &self.shelf {
            Some(shelf) if !reading.is_archived(&note) => Some(self.bring(shelf, &note).await),
            _ => None,
        };
        if let Some(Ok(_)) = &archived {
            reading.archived(&note);
        }
        known.reading = Some(reading);
        Ok(SignedCheckpoint {
            checkpoint,
            growth,
            note,
            archived,
        })
    }

    fn log(&self) -> &str {
        self.signers.first().map_or("", |signer| signer.verifier().name())
    }

    /// The checkpoint that was signed before.
    async fn seen(&self, file: &Path, tenant: &TenantId) -> Result<Option<(Note, Checkpoint)>> {
        let Some(text) = read(file).await? else {
            return Ok(None);
        };
        let named = |error: Error| error.context("file", file.display().to_string());
        let note: Note = text.parse().map_err(named)?;
        note.verify(&self.keys).map_err(named)?;
        let checkpoint: Checkpoint = note.text().parse().map_err(named)?;
        let ours = Checkpoint::of(self.log(), tenant, &super::Tree::new())?.origin;
        match checkpoint.origin == ours {
            true => Ok(Some((note, checkpoint))),
            false => Err(named(Error::new(ErrorKind::InvalidInput, SIGN).context(
                "origin",
                format!("is {}, and must be {ours}: name another file", checkpoint.origin),
            ))),
        }
    }

    /// Whether each of our signers has signed it.
    fn is_signed(&self, note: &Note) -> bool {
        let mut keys = self.signers.iter().map(NoteSigner::verifier);
        keys.all(|key| note.verify(std::slice::from_ref(key)).is_ok())
    }

    async fn sign(&self, file: &Path, checkpoint: &Checkpoint) -> Result<Note> {
        let note = checkpoint.sign(&self.signers.iter().collect::<Vec<_>>())?;
        let (place, text) = (file.to_owned(), note.to_string());
        blocking(SIGN, move || write_plain(&place, text)).await?;
        match read(file).await? {
            Some(there) if there == note.to_string() => Ok(note),
            _ => Err(Error::new(ErrorKind::Unexpected, SIGN)
                .context("file", file.display().to_string())
                .context("reason", "does not hold what was written")),
        }
    }

    async fn bring(&self, shelf: &Shelf, note: &Note) -> Result<ArchivedFile> {
        let Shelf {
            archive,
            folder,
            hold,
        } = shelf;
        archive_checkpoint(&**archive, folder, note, &self.keys, hold, &*self.clock).await
    }
}

async fn read(file: &Path) -> Result<Option<String>> {
    let place = file.to_owned();
    blocking(SIGN, move || read_plain(&place)).await
}

const SIGN: &str = "sign checkpoint";
const WHOLE_EVERY: Duration = Duration::from_secs(24 * 3_600);
