use ops_core::error::Result;
use ops_core::model::TargetId;
use serde_json::Value;

use crate::railway::RailwayTraffic;
use crate::railway::target::{ServiceRef, wrong_form};

/// A service as it is when the simulation begins.
#[derive(Clone, Debug)]
#[must_use = "a seed does nothing until it is added"]
pub struct ServiceSeed {
    target: TargetId,
    pub(super) place: ServiceRef,
    pub(super) auto_deploy: bool,
    pub(super) edge_rules: Option<Value>,
    pub(super) rule_limit: usize,
    pub(super) public: bool,
    pub(super) cron: Option<String>,
    pub(super) running: Vec<String>,
    pub(super) asleep: bool,
    pub(super) pending: Vec<(String, &'static str)>,
}

/// The state of a seeded deployment that is on its way to being live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It is being built.
    Building,
    /// It waits for a build machine.
    Queued,
    /// It waits for another deployment.
    Waiting,
    /// It waits for a person, and does not go live by itself.
    NeedsApproval,
    /// It is being set up.
    Initializing,
    /// It is being started.
    Deploying,
}

impl Progress {
    fn as_str(self) -> &'static str {
        match self {
            Self::Building => "BUILDING",
            Self::Queued => "QUEUED",
            Self::Waiting => "WAITING",
            Self::NeedsApproval => "NEEDS_APPROVAL",
            Self::Initializing => "INITIALIZING",
            Self::Deploying => "DEPLOYING",
        }
    }
}

impl ServiceSeed {
    /// A service with a public domain, auto-deploy on, one live deployment
    /// (`{environment_id}-{service_id}-d1`), no edge rules, and a plan that allows ten of them.
    ///
    /// # Errors
    /// As [`RailwayTraffic::target`].
    pub fn new(project_id: &str, environment_id: &str, service_id: &str) -> Result<Self> {
        let target = RailwayTraffic::target(project_id, environment_id, service_id)?;
        let place =
            ServiceRef::parse(&target).ok_or_else(|| wrong_form(ops_core::error::ErrorKind::InvalidInput))?;
        Ok(Self {
            target,
            place,
            auto_deploy: true,
            edge_rules: None,
            rule_limit: 10,
            public: true,
            cron: None,
            running: vec![format!("{environment_id}-{service_id}-d1")],
            asleep: false,
            pending: Vec::new(),
        })
    }

    /// Whether a push makes a deployment.
    pub fn with_auto_deploy(mut self, enabled: bool) -> Self {
        self.auto_deploy = enabled;
        self
    }

    /// The section of edge rules; rules without an id get one.
    pub fn with_edge_rules(mut self, section: Value) -> Self {
        self.edge_rules = Some(section);
        self
    }

    /// How many edge rules the plan allows.
    pub fn with_rule_limit(mut self, limit: usize) -> Self {
        self.rule_limit = limit;
        self
    }

    /// The ids of the live deployments.
    pub fn with_running<I: Into<String>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.running = ids.into_iter().map(Into::into).collect();
        self
    }

    /// Lets the live deployments sleep: they have no instance, and a visitor is answered all the same.
    pub fn asleep(mut self) -> Self {
        self.asleep = true;
        self
    }

    /// Adds a deployment in progress.
    pub fn with_pending(mut self, id: impl Into<String>, progress: Progress) -> Self {
        self.pending.push((id.into(), progress.as_str()));
        self
    }

    /// Takes the public domain away; the vendor then refuses edge rules.
    pub fn without_public_domain(mut self) -> Self {
        self.public = false;
        self
    }

    /// Sets a cron schedule.
    pub fn with_cron(mut self, schedule: impl Into<String>) -> Self {
        self.cron = Some(schedule.into());
        self
    }

    /// The target that stands for this service.
    pub fn target(&self) -> &TargetId {
        &self.target
    }
}
