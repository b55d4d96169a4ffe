use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::model::Text;
use ops_core::ports::{Deployed, DeployedService, Inventory};

use super::client::RailwayClient;
use super::{PROVIDER, RailwayTraffic};

/// The services of one Railway environment.
#[derive(Clone, Debug)]
pub struct RailwayInventory {
    client: Arc<RailwayClient>,
    project: String,
    environment: String,
}

impl RailwayInventory {
    /// Lists with the client and the credential of `railway`.
    ///
    /// # Errors
    /// As [`RailwayTraffic::target`].
    pub fn new(railway: &RailwayTraffic, project_id: &str, environment_id: &str) -> Result<Self> {
        RailwayTraffic::target(project_id, environment_id, "any")?;
        Ok(Self {
            client: Arc::clone(&railway.client),
            project: project_id.to_owned(),
            environment: environment_id.to_owned(),
        })
    }
}

#[async_trait]
impl Inventory for RailwayInventory {
    fn limitations(&self) -> Vec<Text> {
        vec![Text::new(
            "Railway: 設定した環境だけを調べます。他のプロジェクトと環境は対象外です",
            "Railway: only the configured environment is looked at, no other project or environment",
        )]
    }

    async fn deployed(&self) -> Result<Deployed> {
        let mut deployed = Deployed::default();
        for (id, name) in self.client.services(&self.project, &self.environment).await? {
            let target = RailwayTraffic::target(&self.project, &self.environment, &id)?;
            deployed.services.push(DeployedService::new(target, name));
        }
        deployed
            .read
            .push(format!("{PROVIDER}:{}/{}/", self.project, self.environment));
        Ok(deployed)
    }
}
