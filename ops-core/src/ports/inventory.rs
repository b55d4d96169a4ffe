use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{TargetId, Text};

/// What is deployed, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployed {
    /// The services that were found.
    pub services: Vec<DeployedService>,
    /// What was read to its end: beginnings of target ids (`cloud-run:project/region/`). A target below one of them that is
    /// not among the services does not exist.
    pub read: Vec<String>,
    /// What could not be read, and why. Nothing can be said about a target below one of them.
    pub unread: Vec<(String, String)>,
}

/// One deployed service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DeployedService {
    /// As a procedure would name it.
    pub target: TargetId,
    /// What people call it.
    pub name: String,
}

impl DeployedService {
    /// The service `target`, called `name`.
    pub fn new(target: TargetId, name: impl Into<String>) -> Self {
        Self {
            target,
            name: name.into(),
        }
    }
}

/// Lists what is deployed in a vendor's project, environment or team.
///
/// # Contract
/// - Only reads, every page to the last.
/// - A part that fails (a region) is in [`Deployed::unread`]; the others are still listed.
/// - A service has the same target id as for the provider that stops it.
///
/// # Errors
/// When nothing at all could be listed: `PermissionDenied`, `Unauthenticated`, `Unavailable`, `Timeout`, `Unexpected`.
///
/// # Cancellation
/// Dropping the future has no effect.
#[async_trait]
pub trait Inventory: Debug + Send + Sync + 'static {
    /// Where it does not look, for the report.
    fn limitations(&self) -> Vec<Text>;
    /// Lists everything.
    async fn deployed(&self) -> Result<Deployed>;
}
