use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::note::{Note, NoteSigner};
use super::tree::{Tree, verify_consistency};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Digest, TenantId};

/// How long the trail of a tenant was, and the root of its hash tree then: the text that is signed and kept where the keeper of the trail
/// cannot change it. The form is the checkpoint of C2SP's transparency logs.
///
/// ```
/// use ops_core::audit::{Checkpoint, Note, NoteSigner, Tree, leaf_hash};
/// use ops_core::model::TenantId;
///
/// let tenant = TenantId::new("org_soulsyncs")?;
/// let tree: Tree = [leaf_hash(b"first")].into_iter().collect();
/// let signer = NoteSigner::generate("audit.example.com")?;
///
/// let note = Checkpoint::of("audit.example.com", &tenant, &tree)?.sign(&[&signer])?.to_string();
///
/// let note: Note = note.parse()?;
/// note.verify(&[signer.verifier().clone()])?;
/// let read: Checkpoint = note.text().parse()?;
/// assert_eq!((read.size, read.root), (1, tree.root()));
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Whose trail it is: a name of the log and the tenant, `audit.example.com/org_soulsyncs`.
    pub origin: String,
    /// How many records it had.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
}

/// What a newer checkpoint says about the largest one that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Growth {
    /// Nothing was seen before.
    First,
    /// The same trail.
    Same,
    /// The same trail with records behind.
    Grown,
    /// Fewer records than before: the newest were cut off, or an older state was put back.
    RolledBack,
    /// Another trail: records that the older checkpoint covers were changed, and the hashes were computed anew.
    Forked,
}

impl Growth {
    /// Whether the newer checkpoint may take the place of the older one.
    pub fn is_sound(self) -> bool {
        self.fault().is_none()
    }

    /// What is wrong with the trail, in words that go behind "the trail"; `None` for what is sound.
    pub fn fault(self) -> Option<&'static str> {
        match self {
            Self::First | Self::Same | Self::Grown => None,
            Self::RolledBack => Some(
                "has fewer records than were signed: the newest were cut off, or an older state was put back",
            ),
            Self::Forked => Some(
                "is not the one that was signed: records were changed, removed or inserted, and the hashes computed anew",
            ),
        }
    }
}

impl Checkpoint {
    /// The checkpoint of `tree`, which holds the records of `tenant` in the log called `log`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name that is empty, or has a space, a plus sign, a stroke or a control character.
    pub fn of(log: &str, tenant: &TenantId, tree: &Tree) -> Result<Self> {
        Self::with_root(log, tenant, tree.size(), tree.root())
    }

    /// As [`of`](Self::of), for a tree of which size and root are known.
    pub(crate) fn with_root(log: &str, tenant: &TenantId, size: u64, root: Digest) -> Result<Self> {
        let unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '+' | '/');
        if log.is_empty() || log.contains(unfit) {
            return Err(Error::new(ErrorKind::InvalidInput, "write checkpoint").context(
                "log",
                "must be a name without space, plus sign and stroke, such as audit.example.com",
            ));
        }
        Ok(Self {
            origin: format!("{log}/{tenant}"),
            size,
            root,
        })
    }

    /// The tenant that the origin names.
    pub fn tenant(&self) -> Option<&str> {
        self.origin.split_once('/').map(|(_, tenant)| tenant)
    }

    /// The signed note: by the key of the log, and by a witness or the next key while keys are changed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] without any signer.
    pub fn sign(&self, signers: &[&NoteSigner]) -> Result<Note> {
        if signers.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "sign checkpoint")
                .context("signers", "must be at least one"));
        }
        let note = Note::new(self.to_string())?;
        Ok(signers.iter().fold(note, |note, signer| note.sign(signer)))
    }

    /// What this checkpoint says about `seen`, the largest one seen before. `proof` is one of consistency between the two.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the two are of different trails.
    pub fn growth(&self, seen: Option<&Self>, proof: &[Digest]) -> Result<Growth> {
        let Some(seen) = seen else {
            return Ok(Growth::First);
        };
        if seen.origin != self.origin {
            return Err(Error::new(ErrorKind::InvalidInput, "compare checkpoints")
                .context("origin", "must be the same in both"));
        }
        Ok(if self.size < seen.size {
            Growth::RolledBack
        } else if self.size == seen.size {
            if self.root == seen.root {
                Growth::Same
            } else {
                Growth::Forked
            }
        } else if verify_consistency(seen.size, &seen.root, self.size, &self.root, proof) {
            Growth::Grown
        } else {
            Growth::Forked
        })
    }
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root = STANDARD.encode(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    /// Reads the text of a note. Further lines are allowed and passed over.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read checkpoint").context(
                "text",
                "must be lines of origin, number of records and root in base64",
            )
        };
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(wrong());
        };
        // One number has one form: neither a sign nor zeros in front.
        let number: u64 = size.parse().map_err(|_| wrong())?;
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|root| root.try_into().ok())
            .ok_or_else(wrong)?;
        if origin.is_empty() || number.to_string() != size {
            return Err(wrong());
        }
        Ok(Self {
            origin: origin.to_owned(),
            size: number,
            root: Digest::from_bytes(root),
        })
    }
}
