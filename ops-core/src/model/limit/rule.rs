use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The classes of requests that have a limit of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndpointClass {
    /// Any request. A limit of this class counts the requests of every class.
    Api,
    /// A call of the language model.
    Llm,
    /// A search.
    Search,
    /// Administration.
    Admin,
}

impl EndpointClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Api, Self::Llm, Self::Search, Self::Admin];

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) const fn position(self) -> usize {
        match self {
            Self::Api => 0,
            Self::Llm => 1,
            Self::Search => 2,
            Self::Admin => 3,
        }
    }

    /// `api`, `llm`, `search` or `admin`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Llm => "llm",
            Self::Search => "search",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for EndpointClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EndpointClass {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|class| class.name() == text)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "read endpoint class")
                    .context("class", "must be api, llm, search or admin")
            })
    }
}

/// The name of a limit, as it stands in `RateLimit` fields: 1 to 15 lower-case letters, digits and hyphens. Copied, never allocated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LimitName {
    text: [u8; 15],
    length: u8,
}

impl LimitName {
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for any other text.
    pub fn new(text: &str) -> Result<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut name = Self {
            text: [0; 15],
            length: 0,
        };
        if text.is_empty() || text.len() > name.text.len() || !text.bytes().all(fits) {
            return Err(Error::new(ErrorKind::InvalidInput, "read limit name")
                .context("name", "must be 1 to 15 lower-case letters, digits and hyphens"));
        }
        name.text[..text.len()].copy_from_slice(text.as_bytes());
        name.length = u8::try_from(text.len()).unwrap_or_default();
        Ok(name)
    }

    /// The name of a class.
    #[expect(
        clippy::expect_used,
        reason = "the preset makes one of each class, in tests too"
    )]
    pub fn of(class: EndpointClass) -> Self {
        Self::new(class.name()).expect("lower-case letters")
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // Only ASCII is let in.
        std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl TryFrom<String> for LimitName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

impl From<LimitName> for String {
    fn from(name: LimitName) -> Self {
        name.as_str().to_owned()
    }
}

impl FromStr for LimitName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

/// What "so many in so long" means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitSemantics {
    /// No window of the period, wherever it begins, holds more than the limit. What was used is given back within a thirtieth of the
    /// period after it has left the window, never earlier.
    #[default]
    Strict,
    /// The limit at once, and then one every period / limit (GCRA). The worst window holds almost twice the limit.
    Burst,
}

/// Who shares an allowance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitScope {
    /// Every user of every tenant has one; so has every address of callers who are not signed in.
    #[default]
    User,
    /// All users of a tenant share one. An address has one of its own.
    Tenant,
}

/// One limit: so many requests of a class in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitRule {
    /// Its name, unique in a table. Required.
    pub name: LimitName,
    /// The requests that it counts. Required.
    pub class: EndpointClass,
    /// Who shares an allowance. Default: each user has one.
    #[serde(default)]
    pub scope: LimitScope,
    /// How many; 0 admits nothing. Required.
    pub limit: u32,
    /// The period in seconds, 1 to 2 678 400 (31 days). Default: 60.
    #[serde(default = "minute")]
    pub per_seconds: u32,
    /// What the two numbers mean. Default: strict.
    #[serde(default)]
    pub semantics: LimitSemantics,
}

impl LimitRule {
    /// A strict limit of each user per minute.
    pub fn per_minute(name: LimitName, class: EndpointClass, limit: u32) -> Self {
        Self {
            name,
            class,
            scope: LimitScope::User,
            limit,
            per_seconds: minute(),
            semantics: LimitSemantics::Strict,
        }
    }

    /// The same with another meaning.
    #[must_use]
    pub fn with_semantics(mut self, semantics: LimitSemantics) -> Self {
        self.semantics = semantics;
        self
    }

    /// The same with another period, in seconds.
    #[must_use]
    pub fn with_period(mut self, seconds: u32) -> Self {
        self.per_seconds = seconds;
        self
    }

    /// The same for others.
    #[must_use]
    pub fn with_scope(mut self, scope: LimitScope) -> Self {
        self.scope = scope;
        self
    }

    /// The period.
    pub fn per(&self) -> Duration {
        Duration::from_secs(u64::from(self.per_seconds))
    }

    /// Whether it counts requests of `class`.
    pub fn counts(&self, class: EndpointClass) -> bool {
        self.class == class || self.class == EndpointClass::Api
    }
}

fn minute() -> u32 {
    60
}
