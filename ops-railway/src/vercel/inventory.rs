use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::model::Text;
use ops_core::ports::{Deployed, DeployedService, Inventory};

use super::client::VercelClient;
use super::{PROVIDER, VercelTraffic};

/// The projects of a Vercel team, or of the token's personal account.
#[derive(Clone, Debug)]
pub struct VercelInventory {
    client: Arc<VercelClient>,
}

impl VercelInventory {
    /// Lists with the client, the team and the credential of `vercel`.
    pub fn new(vercel: &VercelTraffic) -> Self {
        Self {
            client: Arc::clone(&vercel.client),
        }
    }
}

#[async_trait]
impl Inventory for VercelInventory {
    fn limitations(&self) -> Vec<Text> {
        let (ja, en) = match self.client.team() {
            Some(team) => (format!("チーム {team}"), format!("team {team}")),
            None => ("個人アカウント".to_owned(), "the personal account".to_owned()),
        };
        vec![Text::new(
            format!("Vercel: {ja} のプロジェクトだけを調べます"),
            format!("Vercel: only projects of {en} are looked at"),
        )]
    }

    async fn deployed(&self) -> Result<Deployed> {
        let mut deployed = Deployed::default();
        for (id, name) in self.client.projects().await? {
            deployed
                .services
                .push(DeployedService::new(VercelTraffic::target(&id)?, name));
        }
        deployed.read.push(format!("{PROVIDER}:"));
        Ok(deployed)
    }
}
