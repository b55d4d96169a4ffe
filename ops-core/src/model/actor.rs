use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What sort of actor did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActorKind {
    /// A human being.
    Person,
    /// A rule that acted by itself. Automation may stop, never restore.
    Automation,
    /// A program acting for nobody in particular.
    Service,
}

/// Who did something: an id from the operator's own directory, not a name or a mail address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    kind: ActorKind,
    id: String,
}

impl Actor {
    /// A person.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when `id` is empty, longer than 100 characters or holds a control character.
    pub fn person(id: impl Into<String>) -> Result<Self> {
        Self::new(ActorKind::Person, id)
    }

    /// A rule that acts by itself.
    ///
    /// # Errors
    /// As [`person`](Self::person).
    pub fn automation(id: impl Into<String>) -> Result<Self> {
        Self::new(ActorKind::Automation, id)
    }

    /// A program.
    ///
    /// # Errors
    /// As [`person`](Self::person).
    pub fn service(id: impl Into<String>) -> Result<Self> {
        Self::new(ActorKind::Service, id)
    }

    fn new(kind: ActorKind, id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.chars().count() > 100 || id.chars().any(char::is_control) {
            return Err(Error::new(ErrorKind::InvalidInput, "read actor")
                .context("actor", "must be 1 to 100 characters without control characters"));
        }
        Ok(Self { kind, id })
    }

    /// The same sort of actor under another id, for instance a masked one: control characters are left out, what is longer than 100
    /// characters is cut, and an empty id becomes `masked`.
    #[must_use]
    pub fn renamed(&self, id: &str) -> Self {
        let id: String = id.chars().filter(|c| !c.is_control()).take(100).collect();
        Self {
            kind: self.kind,
            id: if id.is_empty() { "masked".to_owned() } else { id },
        }
    }

    /// What sort of actor this is.
    pub fn kind(&self) -> ActorKind {
        self.kind
    }

    /// The id in the operator's directory.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.id)
    }
}
