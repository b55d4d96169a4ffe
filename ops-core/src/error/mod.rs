//! One error for everything that talks to the outside.

mod kind;
mod retry;

use std::error::Error as StdError;
use std::fmt;

pub use self::kind::ErrorKind;
pub use self::retry::Retry;

/// Result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

/// A failure: what was attempted, by which provider, and whether trying again can help.
///
/// An `Error` means "could not do it" or "could not find out". A denial is a value, never an error.
/// Texts carry no secret, no response body and no personal data.
///
/// ```
/// use ops_core::error::{Error, ErrorKind, Retry};
///
/// let error = Error::new(ErrorKind::Unavailable, "stop").provider("cloud-run").context("target", "soul-kun-api");
/// assert_eq!(error.retry(), Retry::Safe);
/// assert_eq!(error.to_string(), "stop on cloud-run failed: unavailable (target: soul-kun-api)");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    provider: &'static str,
    retry: Retry,
    context: Vec<(&'static str, String)>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind` met while doing `operation`; [`Retry`] follows from the kind.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            provider: "",
            retry: kind.default_retry(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Names the provider that failed.
    #[must_use]
    pub fn provider(mut self, provider: &'static str) -> Self {
        self.0.provider = provider;
        self
    }

    /// Overrides what the kind says about trying again.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Adds a fact about the failure. `value` must hold no secret and no personal data.
    #[must_use]
    pub fn context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((name, value.into()));
        self
    }

    /// Keeps the cause. Its text is shown, so it must hold no secret.
    #[must_use]
    pub fn source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that was attempted.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The provider that failed, empty when none was involved.
    pub fn provider_name(&self) -> &'static str {
        self.0.provider
    }

    /// Whether the same call may be made again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            operation,
            provider,
            context,
            source,
            ..
        } = &*self.0;
        write!(f, "{operation}")?;
        if !provider.is_empty() {
            write!(f, " on {provider}")?;
        }
        write!(f, " failed: {kind}")?;
        for (position, (name, value)) in context.iter().enumerate() {
            let open = if position == 0 { " (" } else { ", " };
            write!(f, "{open}{name}: {value}")?;
        }
        if !context.is_empty() {
            write!(f, ")")?;
        }
        if let Some(source) = source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
