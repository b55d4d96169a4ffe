use std::fmt;

use super::Retry;

/// What kind of failure an [`Error`](super::Error) is; callers match on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Somebody else changed the thing meanwhile (a stale etag, a lost compare-and-set).
    Conflict,
    /// The configuration is wrong; retrying cannot help.
    InvalidConfig,
    /// An argument is wrong; retrying cannot help.
    InvalidInput,
    /// The target does not exist, or not for this caller.
    NotFound,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// The provider asks to slow down.
    RateLimited,
    /// No answer in time; the effect may or may not have happened.
    Timeout,
    /// The caller is not known: a missing, wrong or expired credential.
    Unauthenticated,
    /// The provider cannot be reached or says it cannot serve.
    Unavailable,
    /// The provider answered something that its contract does not allow.
    Unexpected,
    /// This provider cannot do it, whoever asks.
    Unsupported,
}

impl ErrorKind {
    pub(super) fn default_retry(self) -> Retry {
        match self {
            Self::RateLimited | Self::Timeout | Self::Unavailable => Retry::Safe,
            _ => Retry::Never,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "conflict",
            Self::InvalidConfig => "invalid configuration",
            Self::InvalidInput => "invalid input",
            Self::NotFound => "not found",
            Self::PermissionDenied => "permission denied",
            Self::RateLimited => "rate limited",
            Self::Timeout => "timed out",
            Self::Unauthenticated => "not authenticated",
            Self::Unavailable => "unavailable",
            Self::Unexpected => "unexpected answer",
            Self::Unsupported => "not supported",
        })
    }
}
