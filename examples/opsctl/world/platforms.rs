use std::sync::Arc;

use ops_core::config::{Env, OpsConfig, Platform, RailwayTokenKind, ServiceConfig};
use ops_core::error::Result;
use ops_core::http::{HostPolicy, HttpTransport, ReqwestTransport};
use ops_core::model::TargetId;
use ops_core::ports::{Clock, TrafficController};
use ops_gcp::auth::StaticToken;
use ops_gcp::run::CloudRunTraffic;
use ops_railway::railway::{RailwayToken, RailwayTraffic};
use ops_railway::vercel::VercelTraffic;
use secrecy::SecretString;

use crate::exit::Failure;
use crate::sim_world::SIMULATED_TOKEN;

/// One client a platform; a platform without a usable credential is only an error for the procedures that need it.
#[derive(Debug)]
pub(super) struct Platforms {
    cloud_run: Option<Client>,
    railway: Option<Client>,
    vercel: Option<Client>,
    transport: Arc<dyn HttpTransport>,
}

type Client = Result<Arc<dyn TrafficController>, String>;

fn client(built: Result<impl TrafficController>) -> Option<Client> {
    Some(match built {
        Ok(controller) => Ok(Arc::new(controller)),
        Err(error) => Err(error.to_string()),
    })
}

impl Platforms {
    pub(super) fn new(config: &OpsConfig, env: &Env, clock: &Arc<dyn Clock>) -> Result<Self> {
        let policy = if config.loopback_only {
            HostPolicy::LoopbackOnly
        } else {
            HostPolicy::Any
        };
        let transport: Arc<dyn HttpTransport> = Arc::new(ReqwestTransport::new(policy)?);
        let token = |name: &str| {
            env.secret(name)
                .or_else(|| config.loopback_only.then(|| SecretString::from(SIMULATED_TOKEN)))
        };
        let mut platforms = Self {
            cloud_run: None,
            railway: None,
            vercel: None,
            transport: Arc::clone(&transport),
        };
        if let Some((gcp, token)) = config
            .gcp
            .as_ref()
            .and_then(|gcp| Some((gcp, token(&gcp.token_env)?)))
        {
            let built = CloudRunTraffic::builder()
                .with_transport(Arc::clone(&transport))
                .with_token(Arc::new(StaticToken::new(token)))
                .with_base_url(&gcp.run_base_url)
                .with_clock(Arc::clone(clock))
                .build();
            platforms.cloud_run = client(built);
        }
        if let Some((railway, token)) = config
            .railway
            .as_ref()
            .and_then(|railway| Some((railway, token(&railway.token_env)?)))
        {
            let token = match railway.token_kind {
                RailwayTokenKind::Bearer => RailwayToken::Bearer(token),
                _ => RailwayToken::Project(token),
            };
            let built = RailwayTraffic::builder()
                .with_transport(Arc::clone(&transport))
                .with_token(token)
                .with_base_url(&railway.base_url)
                .with_clock(Arc::clone(clock))
                .build();
            platforms.railway = client(built);
        }
        if let Some((vercel, token)) = config
            .vercel
            .as_ref()
            .and_then(|vercel| Some((vercel, token(&vercel.token_env)?)))
        {
            let built = VercelTraffic::builder()
                .with_transport(transport)
                .with_token(token)
                .with_team(vercel.team.clone())
                .with_base_url(&vercel.base_url)
                .with_clock(Arc::clone(clock))
                .build();
            platforms.vercel = client(built);
        }
        Ok(platforms)
    }

    /// The one that follows the host policy of the configuration.
    pub(super) fn transport(&self) -> Arc<dyn HttpTransport> {
        Arc::clone(&self.transport)
    }

    pub(super) fn controller(
        &self,
        config: &OpsConfig,
        service: &ServiceConfig,
    ) -> Result<(Arc<dyn TrafficController>, TargetId), Failure> {
        let (controller, target, token) =
            match (service.platform, &config.gcp, &config.railway, &config.vercel) {
                (Platform::CloudRun, Some(gcp), _, _) => {
                    let region = service
                        .region
                        .as_deref()
                        .or(gcp.region.as_deref())
                        .unwrap_or_default();
                    (
                        &self.cloud_run,
                        CloudRunTraffic::target(&gcp.project, region, &service.id)?,
                        &gcp.token_env,
                    )
                }
                (Platform::Railway, _, Some(railway), _) => {
                    let target = RailwayTraffic::target(&railway.project, &railway.environment, &service.id)?;
                    (&self.railway, target, &railway.token_env)
                }
                (Platform::Vercel, _, _, Some(vercel)) => (
                    &self.vercel,
                    VercelTraffic::target(&service.id)?,
                    &vercel.token_env,
                ),
                (platform, ..) => {
                    let what = format!(
                        "service {} is on {}, which is not configured",
                        service.name,
                        platform.as_str()
                    );
                    return Err(Failure::usage(what, "add the platform's table to ops.toml"));
                }
            };
        let platform = service.platform.as_str();
        let controller = match controller {
            Some(Ok(controller)) => controller,
            Some(Err(why)) => {
                let remedy = format!("correct the table of {platform} and the environment variable {token}");
                return Err(Failure::usage(
                    format!("{platform} cannot be used: {why}"),
                    remedy,
                ));
            }
            None => {
                let remedy = format!("set the environment variable {token}");
                return Err(Failure::usage(format!("no credential for {platform}"), remedy));
            }
        };
        Ok((Arc::clone(controller), target))
    }
}
