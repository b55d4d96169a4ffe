use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::durable::{Directory, Log, Place, blocking, damaged};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Accepted, Notice};
use crate::ports::Notifier;

/// An **outbox**, not a channel: notices are kept in `notices.jsonl` and reach nobody until something reads them there.
///
/// For a start without a chat or a mail server, and as the last resort beside one.
#[derive(Clone, Debug)]
pub struct FileNotices {
    outbox: Arc<Outbox>,
}

#[derive(Debug)]
struct Outbox {
    log: Log,
    known: Mutex<(Place, HashSet<String>)>,
}

impl FileNotices {
    /// Opens the outbox in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let outbox = Outbox {
            log: Log::new(Directory::open(directory)?.file("notices.jsonl"), FORMAT),
            known: Mutex::default(),
        };
        Ok(Self {
            outbox: Arc::new(outbox),
        })
    }

    /// All notices in the outbox, oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`]; [`ErrorKind::Unexpected`] for a file that is damaged or foreign.
    pub async fn notices(&self) -> Result<Vec<Notice>> {
        let outbox = Arc::clone(&self.outbox);
        blocking("read notices", move || outbox.parse(outbox.log.read()?)).await
    }
}

#[async_trait]
impl Notifier for FileNotices {
    async fn send(&self, notice: &Notice) -> Result<Accepted> {
        let (outbox, notice) = (Arc::clone(&self.outbox), notice.clone());
        blocking("keep notice", move || outbox.keep(&notice)).await
    }
}

impl Outbox {
    fn keep(&self, notice: &Notice) -> Result<Accepted> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (read, keys) = &mut *known;
        let locked = self.log.lock()?;
        let (lines, place) = locked.read_after(*read)?;
        keys.extend(
            self.parse(self.log.whole(lines)?)?
                .into_iter()
                .map(|notice| notice.key),
        );
        *read = place;
        if !keys.contains(&notice.key) {
            let text = serde_json::to_string(notice)
                .map_err(|source| Error::new(ErrorKind::InvalidInput, "keep notice").source(source))?;
            locked.append(&[text])?;
        }
        Ok(Accepted::with_receipt("kept in the outbox, sent to nobody"))
    }

    fn parse(&self, lines: Vec<(u64, String)>) -> Result<Vec<Notice>> {
        lines
            .into_iter()
            .map(|(number, text)| {
                serde_json::from_str(&text)
                    .map_err(|_| damaged("read notices", self.log.path(), number, "is no notice"))
            })
            .collect()
    }
}

const FORMAT: &str = "ops-notices/1";
