use crate::error::{Error, Result};

/// What journal and spool know together.
#[derive(Debug)]
pub(super) struct Reading<T> {
    pub(super) found: Vec<T>,
    /// Why the journal could not be read; `found` is then what the spool of this machine has, and no more.
    pub(super) missing: Option<Error>,
}

impl<T> Reading<T> {
    /// What was found, if the journal was among those that were read: the spool does not know what other processes did.
    ///
    /// # Errors
    /// The journal's.
    pub(super) fn whole(self) -> Result<Vec<T>> {
        match self.missing {
            None => Ok(self.found),
            Some(error) => Err(error),
        }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(Vec<T>) -> Vec<U>) -> Reading<U> {
        Reading {
            found: change(self.found),
            missing: self.missing,
        }
    }
}
