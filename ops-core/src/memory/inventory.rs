use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::Result;
use crate::model::{TargetId, Text};
use crate::ports::{Deployed, DeployedService, Inventory};

/// Services that are deployed in memory, in parts of which some may be out of reach.
#[derive(Debug, Default)]
pub struct InMemoryInventory {
    services: Mutex<BTreeMap<TargetId, String>>,
    parts: Mutex<BTreeMap<String, Option<String>>>,
    plug: Plug,
}

impl InMemoryInventory {
    /// Nothing is deployed; the part `scope` (a beginning of target ids, as `memory:`) is looked at.
    pub fn new(scope: impl Into<String>) -> Self {
        let inventory = Self::default();
        lock(&inventory.parts).insert(scope.into(), None);
        inventory
    }

    /// Deploys a service.
    pub fn deploy(&self, target: TargetId, name: impl Into<String>) {
        lock(&self.services).insert(target, name.into());
    }

    /// Takes a service away.
    pub fn remove(&self, target: &TargetId) {
        lock(&self.services).remove(target);
    }

    /// From now on the part `scope` cannot be read, because of `why`.
    pub fn cut_off(&self, scope: impl Into<String>, why: impl Into<String>) {
        lock(&self.parts).insert(scope.into(), Some(why.into()));
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl Inventory for InMemoryInventory {
    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn deployed(&self) -> Result<Deployed> {
        self.plug.check("list services")?;
        let mut deployed = Deployed::default();
        for (scope, why) in &*lock(&self.parts) {
            match why {
                Some(why) => deployed.unread.push((scope.clone(), why.clone())),
                None => deployed.read.push(scope.clone()),
            }
        }
        let readable = |target: &TargetId| {
            let below = |scope: &String| target.as_str().starts_with(scope.as_str());
            deployed.read.iter().any(below) && !deployed.unread.iter().any(|(scope, _)| below(scope))
        };
        deployed.services = lock(&self.services)
            .iter()
            .filter(|(target, _)| readable(target))
            .map(|(target, name)| DeployedService::new(target.clone(), name))
            .collect();
        Ok(deployed)
    }
}
