use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, Method};
use ops_core::model::Text;
use ops_core::ports::{Deployed, DeployedService, Inventory};
use serde::Deserialize;

use super::client::Client;
use super::name::ServiceName;
use super::{CloudRunTraffic, PROVIDER};
use crate::error::from_response;
use crate::pages::{PAGES, page_url};

/// The Cloud Run services of a project, in the regions that it is told.
///
/// The vendor lists one region at a time and refuses the wildcard `-`, so a service in a region that nobody named is not
/// seen. It needs `run.services.list`, which a stop does not: give it the everyday credential.
#[derive(Clone, Debug)]
pub struct CloudRunInventory {
    client: Client,
    project: String,
    regions: Vec<String>,
}

impl CloudRunInventory {
    /// Lists with the client and the credential of `cloud_run`.
    ///
    /// # Errors
    /// `InvalidInput` for a project or region that cannot be, or without any region.
    pub fn new(
        cloud_run: &CloudRunTraffic,
        project: &str,
        regions: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let mut regions: Vec<_> = regions.into_iter().collect();
        regions.sort();
        regions.dedup();
        if regions.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "list services")
                .provider(PROVIDER)
                .context("regions", "name at least one"));
        }
        for region in &regions {
            ServiceName::new(project, region, "any")?;
        }
        Ok(Self {
            client: cloud_run.client.clone(),
            project: project.to_owned(),
            regions,
        })
    }

    /// Every service of one region, and the places that the vendor itself could not reach.
    async fn region(&self, region: &str) -> Result<(Vec<DeployedService>, Vec<String>)> {
        let (mut found, mut unreachable) = (Vec::new(), Vec::new());
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let url = format!(
                "{}/v2/projects/{}/locations/{region}/services",
                self.client.base_url, self.project
            );
            let url = page_url(&url, PAGE, token.as_deref());
            let response = self.client.ask(HttpRequest::new(Method::Get, url)).await?;
            if !response.is_success() {
                return Err(from_response(&response, LIST, PROVIDER));
            }
            let page: Page = response.json()?;
            for service in page.services {
                let name = service.name.rsplit('/').next().unwrap_or_default();
                let target = ServiceName::new(&self.project, region, name)?.target()?;
                found.push(DeployedService::new(target, name));
            }
            unreachable.extend(page.unreachable);
            match page.next_page_token.filter(|token| !token.is_empty()) {
                // An empty page with a token is a page: go on.
                Some(next) => token = Some(next),
                None => return Ok((found, unreachable)),
            }
        }
        Err(Error::new(ErrorKind::Unexpected, LIST)
            .provider(PROVIDER)
            .context("answer", "does not come to an end"))
    }
}

#[async_trait]
impl Inventory for CloudRunInventory {
    fn limitations(&self) -> Vec<Text> {
        let regions = self.regions.join(", ");
        vec![Text::new(
            format!(
                "Cloud Run は {regions} だけを調べます。他のリージョンのサービスは見つかりません（[gcp] inventory_regions で追加）"
            ),
            format!(
                "Cloud Run is looked at in {regions} only; services of other regions are not found (add them to inventory_regions in [gcp])"
            ),
        )]
    }

    async fn deployed(&self) -> Result<Deployed> {
        let mut deployed = Deployed::default();
        let mut failure = None;
        for region in &self.regions {
            let scope = format!("{PROVIDER}:{}/{region}/", self.project);
            match self.region(region).await {
                Ok((services, unreachable)) if unreachable.is_empty() => {
                    deployed.services.extend(services);
                    deployed.read.push(scope);
                }
                Ok((services, unreachable)) => {
                    deployed.services.extend(services);
                    let why = format!("the vendor could not reach {}", unreachable.join(", "));
                    deployed.unread.push((scope, why));
                }
                Err(error) => {
                    deployed.unread.push((scope, error.to_string()));
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) if deployed.unread.len() == self.regions.len() && deployed.services.is_empty() => {
                Err(error)
            }
            _ => Ok(deployed),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    services: Vec<Listed>,
    next_page_token: Option<String>,
    unreachable: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    name: String,
}

const LIST: &str = "list services";
const PAGE: u32 = 100;
