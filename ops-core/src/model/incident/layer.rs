use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Where the fault is: the answer of the triage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum IncidentLayer {
    /// What asks the language model.
    LlmBrain,
    /// What checks the answers of the language model.
    Guardian,
    /// The database.
    Database,
    /// An interface of somebody else.
    ExternalApi,
    /// What runs in the browser, and what delivers it.
    FrontEnd,
    /// The application's own services.
    BackEnd,
    /// Network, names, certificates, machines.
    Infrastructure,
    /// A layer that a newer version knows.
    Newer(String),
}

impl IncidentLayer {
    /// The layers that this version knows.
    pub const ALL: [Self; 7] = [
        Self::LlmBrain,
        Self::Guardian,
        Self::Database,
        Self::ExternalApi,
        Self::FrontEnd,
        Self::BackEnd,
        Self::Infrastructure,
    ];

    /// `llm-brain`, `guardian`, `database`, `external-api`, `front-end`, `back-end`, `infrastructure`, or what a newer version wrote.
    pub fn name(&self) -> &str {
        match self {
            Self::LlmBrain => "llm-brain",
            Self::Guardian => "guardian",
            Self::Database => "database",
            Self::ExternalApi => "external-api",
            Self::FrontEnd => "front-end",
            Self::BackEnd => "back-end",
            Self::Infrastructure => "infrastructure",
            Self::Newer(name) => name,
        }
    }
}

impl fmt::Display for IncidentLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<String> for IncidentLayer {
    fn from(name: String) -> Self {
        let known = Self::ALL.into_iter().find(|layer| layer.name() == name);
        known.unwrap_or(Self::Newer(name))
    }
}

impl From<IncidentLayer> for String {
    fn from(layer: IncidentLayer) -> Self {
        layer.name().to_owned()
    }
}

impl FromStr for IncidentLayer {
    type Err = Error;

    /// Reads a name that this version knows.
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|layer| layer.name() == text);
        known.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "read layer").context(
                "layer",
                "must be one of llm-brain, guardian, database, external-api, front-end, back-end, infrastructure",
            )
        })
    }
}
