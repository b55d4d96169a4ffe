//! Checkpoints that are signed and kept by themselves, and what they show about a trail.

mod reading;
mod task;
mod trouble;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use self::reading::Reading;
pub use self::task::{CheckpointStatus, CheckpointTask};
use self::trouble::{Trouble, wrong};
use super::evidence::{Brought, bring_checkpoint};
use super::{ArchivedFile, Checkpoint, Growth, Note, NoteSigner, NoteVerifier, Tree};
use crate::durable::{blocking, refused, write_plain};
use crate::error::{Error, ErrorKind, Result};
use crate::model::TenantId;
use crate::ports::{ArchiveHold, AuditStore, Clock, EvidenceArchive, PiiMasker};
use crate::resilience::Deadline;

/// Signs what a trail is, compares it with the checkpoint that was signed before, and keeps the newest one: in a file, and in an archive if it has one. What does not
/// fit its own chain, or the checkpoint before, is signed by nobody.
///
/// A trail is read as a whole the first time, and once a day; in between what came since and the last record, so that a look costs little. That finds a trail that was cut
/// off at its end, put back or computed anew at once; what was changed in the middle, with nothing else, within the day ([`whole_every`](Self::whole_every)).
///
/// Keep file and archive where whoever may write the trail cannot: else both can be put back. Give it the store that is written to, not a replica: one that is behind
/// looks like a trail that was cut off.
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
/// // On the way out, behind the drain:
/// let status = task.stop(Duration::from_secs(5)).await;
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
    known: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<Known>>>>,
}

/// What this process knows of a trail.
#[derive(Debug, Default)]
struct Known {
    /// The largest checkpoint that was seen: a file that is put back, or gone, hides nothing from this process.
    largest: Option<Checkpoint>,
    /// Never longer than that. `None` after what was wrong: the next look reads all.
    reading: Option<Reading>,
    /// How long the trail was when the archive had another one of that length. Nothing more is signed: the next length would hide it.
    forked: Option<u64>,
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
    /// Whether it was signed by this look; `false`: the file held it already.
    pub signed: bool,
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

    /// Brings each checkpoint into `archive`, as [`archive_checkpoint`](super::archive_checkpoint) does, before the file holds it.
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
    /// A trail that was put back from a backup is not the one that was signed: move the file away, and begin with another keeper. One file has one keeper.
    ///
    /// An archive that does not take the checkpoint within two minutes is no error here: it is signed all the same, and brought again by the next look.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the trail does not fit its own chain, or is not the one that was signed, by the file or in the archive; it names the position and what is
    /// wrong, and the file stays. [`ErrorKind::PermissionDenied`] for a file that none of our keys has signed; [`ErrorKind::InvalidInput`] for one that is no checkpoint, or of
    /// another trail; those of [`AuditStore::chain`], and of the disk.
    ///
    /// # Cancellation
    /// The file holds the old checkpoint or the new one. Look again.
    pub async fn keep(&self, tenant: &TenantId, file: impl AsRef<Path>) -> Result<SignedCheckpoint> {
        let kept = self.look(tenant, file.as_ref(), true).await;
        kept.map_err(Trouble::into_error)
    }

    async fn look(&self, tenant: &TenantId, file: &Path, bring: bool) -> Result<SignedCheckpoint, Trouble> {
        let file = std::path::absolute(file)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, SIGN).source(source))?;
        let known = {
            let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(tenant.clone()).or_default())
        };
        let mut known = known.lock().await;
        if let Some(size) = known.forked {
            return Err(forked(size));
        }
        let seen = self.seen(&file, tenant).await?;
        let in_file = seen.as_ref().map(|(_, checkpoint)| checkpoint);
        // Of two of one size, ours: the file's may have been put there.
        let before = match (&known.largest, in_file) {
            (Some(ours), Some(theirs)) if theirs.size > ours.size => Some(theirs.clone()),
            (Some(ours), _) => Some(ours.clone()),
            (None, theirs) => theirs.cloned(),
        };
        // A copy: after an outage the next look goes on from what was read before.
        let mut reading = known
            .reading
            .clone()
            .filter(|reading| !reading.is_due(&*self.clock))
            .unwrap_or_else(|| Reading::begin(&*self.clock, self.whole_every));
        let growth = match reading.catch_up(&*self.store, tenant, before.as_ref()).await {
            Ok(growth) => growth,
            Err(trouble) => {
                if matches!(trouble, Trouble::Fault(_)) {
                    known.reading = None;
                }
                return Err(trouble);
            }
        };
        let checkpoint = reading.checkpoint(self.log(), tenant)?;
        let (note, signed) = match seen {
            Some((note, there)) if there == checkpoint && self.is_signed(&note) => (note, false),
            _ => (checkpoint.sign(&self.signers.iter().collect::<Vec<_>>())?, true),
        };
        let mut archived = None;
        if let Some(shelf) = self
            .shelf
            .as_ref()
            .filter(|_| bring && !reading.is_archived(&note))
        {
            archived = match self.bring(shelf, &note).await {
                Ok(Brought::Forked(_)) => {
                    known.forked = Some(checkpoint.size);
                    return Err(forked(checkpoint.size));
                }
                Ok(Brought::Kept(file)) => {
                    reading.archived(&note);
                    Some(Ok(file))
                }
                Err(error) => Some(Err(error)),
            };
        }
        if signed {
            write(&file, &note).await?;
        }
        known.largest = Some(checkpoint.clone());
        known.reading = Some(reading);
        Ok(SignedCheckpoint {
            checkpoint,
            growth,
            note,
            signed,
            archived,
        })
    }

    fn log(&self) -> &str {
        self.signers.first().map_or("", |signer| signer.verifier().name())
    }

    /// The checkpoint that was signed before. One that is not ours may have been put there.
    async fn seen(&self, file: &Path, tenant: &TenantId) -> Result<Option<(Note, Checkpoint)>, Trouble> {
        let Some(text) = read(file).await? else {
            return Ok(None);
        };
        let read = || -> Result<_> {
            let note: Note = text.parse()?;
            note.verify(&self.keys)?;
            let checkpoint: Checkpoint = note.text().parse()?;
            let ours = Checkpoint::of(self.log(), tenant, &Tree::new())?.origin;
            match checkpoint.origin == ours {
                true => Ok((note, checkpoint)),
                false => Err(Error::new(ErrorKind::InvalidInput, SIGN).context(
                    "origin",
                    format!("is {}, and must be {ours}: name another file", checkpoint.origin),
                )),
            }
        };
        let seen = read().map_err(|error| error.context("file", file.display().to_string()));
        seen.map(Some).map_err(Trouble::Fault)
    }

    /// Whether each of our signers has signed it.
    fn is_signed(&self, note: &Note) -> bool {
        let mut keys = self.signers.iter().map(NoteSigner::verifier);
        keys.all(|key| note.verify(std::slice::from_ref(key)).is_ok())
    }

    async fn bring(&self, shelf: &Shelf, note: &Note) -> Result<Brought> {
        let clock = &*self.clock;
        let bring = bring_checkpoint(
            &*shelf.archive,
            &shelf.folder,
            note,
            &self.keys,
            &shelf.hold,
            clock,
        );
        Deadline::after(clock, PATIENCE).bound(clock, SIGN, bring).await
    }
}

fn forked(size: u64) -> Trouble {
    wrong(
        size,
        "is not the one in the archive: another one of this length was signed before",
    )
}

/// What a file holds; what is no text is no checkpoint either.
async fn read(file: &Path) -> Result<Option<String>> {
    let place = file.to_owned();
    blocking(SIGN, move || match fs::read(&place) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(refused(SIGN, &place, source)),
    })
    .await
}

async fn write(file: &Path, note: &Note) -> Result<()> {
    let (place, text) = (file.to_owned(), note.to_string());
    blocking(SIGN, move || write_plain(&place, text)).await?;
    match read(file).await? {
        Some(there) if there == note.to_string() => Ok(()),
        _ => Err(Error::new(ErrorKind::Unexpected, SIGN)
            .context("file", file.display().to_string())
            .context("reason", "does not hold what was written")),
    }
}

const SIGN: &str = "sign checkpoint";
/// How long an archive may take for one checkpoint, its attempts together.
const PATIENCE: Duration = Duration::from_secs(120);
const WHOLE_EVERY: Duration = Duration::from_secs(24 * 3_600);
