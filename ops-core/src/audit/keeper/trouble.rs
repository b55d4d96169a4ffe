use super::SIGN;
use crate::error::{Error, ErrorKind};

/// Why a look came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The trail, or the checkpoint of before, is not what it was: somebody must look.
    Fault(Error),
    /// Nothing is known by it: the store or the disk is away.
    Passing(Error),
}

impl Trouble {
    /// What a store said: one that answers and makes no sense is no outage.
    pub(super) fn of_store(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Unexpected => Self::Fault(error),
            _ => Self::Passing(error),
        }
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Fault(error) | Self::Passing(error) => error,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Passing(error)
    }
}

/// What is wrong with a trail, and where.
pub(super) fn wrong(sequence: u64, what: impl Into<String>) -> Trouble {
    let error = Error::new(ErrorKind::Conflict, SIGN)
        .context("position", sequence.to_string())
        .context("trail", what);
    Trouble::Fault(error)
}
