use ops_core::error::Result;
use ops_core::model::TargetId;

use crate::vercel::VercelTraffic;

/// A project as it is when the simulation begins.
#[derive(Clone, Debug)]
#[must_use = "a seed does nothing until it is added"]
pub struct ProjectSeed {
    target: TargetId,
    pub(super) id: String,
    pub(super) team: Option<String>,
    pub(super) auto_assign: bool,
    pub(super) paused: bool,
}

impl ProjectSeed {
    /// A project of the personal scope that serves, was never paused, and gives its domains to each new deployment.
    ///
    /// # Errors
    /// As [`VercelTraffic::target`].
    pub fn new(project_id: &str) -> Result<Self> {
        Ok(Self {
            target: VercelTraffic::target(project_id)?,
            id: project_id.to_owned(),
            team: None,
            auto_assign: true,
            paused: false,
        })
    }

    /// Makes it a project of a team: requests without that `teamId` do not see it.
    pub fn with_team(mut self, team: impl Into<String>) -> Self {
        self.team = Some(team.into());
        self
    }

    /// Whether new production deployments get the domains; off after a rollback.
    pub fn with_auto_assign(mut self, enabled: bool) -> Self {
        self.auto_assign = enabled;
        self
    }

    /// Whether it is paused.
    pub fn with_paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// The target that stands for this project.
    pub fn target(&self) -> &TargetId {
        &self.target
    }
}
