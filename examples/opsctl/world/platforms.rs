use std::sync::Arc;

use ops_core::config::{
    Env, GcpConfig, OpsConfig, Platform, RailwayConfig, RailwayTokenKind, ServiceConfig, VercelConfig,
};
use ops_core::error::Result;
use ops_core::http::{HostPolicy, HttpTransport, ReqwestTransport};
use ops_core::model::{TargetId, Text};
use ops_core::ports::{Clock, QueueInspector, QueuesFound, TrafficController};
use ops_gcp::archive::CloudStorageArchive;
use ops_gcp::auth::StaticToken;
use ops_gcp::identity::IdentityUsers;
use ops_gcp::queues::GcpQueues;
use ops_gcp::run::CloudRunTraffic;
use ops_railway::railway::{RailwayToken, RailwayTraffic};
use ops_railway::vercel::VercelTraffic;
use secrecy::SecretString;

use super::users::Users;
use crate::exit::Failure;
use crate::sim_world::{SIMULATED_EMERGENCY_TOKEN, SIMULATED_TOKEN};

/// One client a platform; a platform without a usable credential is only an error for the procedures that need it.
#[derive(Debug)]
pub(super) struct Platforms {
    cloud_run: Option<Client>,
    railway: Option<Client>,
    vercel: Option<Client>,
    transport: Arc<dyn HttpTransport>,
    /// What lists the queues of Google Cloud; why nothing does.
    queues: Option<Result<GcpQueues, String>>,
    /// What reaches buckets of Google Cloud; its project is configured.
    buckets: Option<Buckets>,
    /// The users at Identity Toolkit, where the configuration names their project.
    pub(super) users: Option<Users>,
    /// Credentials that the button should have and has not.
    pub(super) warnings: Vec<Text>,
}

/// The everyday credential: evidence is nothing that the button needs.
#[derive(Clone, Debug)]
struct Buckets {
    token: Option<SecretString>,
    gcp: GcpConfig,
}

type Client = Result<Arc<dyn TrafficController>, String>;

fn client(built: Result<impl TrafficController>) -> Option<Client> {
    Some(match built {
        Ok(controller) => Ok(Arc::new(controller)),
        Err(error) => Err(error.to_string()),
    })
}

/// Makes clients: with the credential of the button, or with the everyday one.
#[derive(Clone, Debug)]
pub(super) struct Connector<'a> {
    env: &'a Env,
    transport: Arc<dyn HttpTransport>,
    clock: Arc<dyn Clock>,
    simulated: bool,
}

/// The two credentials of a platform.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) everyday: Option<SecretString>,
    pub(super) emergency: Option<SecretString>,
}

impl Tokens {
    /// What stops and restores: a missing credential of its own must not keep the button from working.
    pub(super) fn button(&self) -> Option<SecretString> {
        self.emergency.clone().or_else(|| self.everyday.clone())
    }

    /// What looks around.
    pub(super) fn looking(&self) -> Option<SecretString> {
        self.everyday.clone().or_else(|| self.emergency.clone())
    }
}

impl<'a> Connector<'a> {
    pub(super) fn new(config: &OpsConfig, env: &'a Env, clock: &Arc<dyn Clock>) -> Result<Self> {
        let policy = if config.loopback_only {
            HostPolicy::LoopbackOnly
        } else {
            HostPolicy::Any
        };
        Ok(Self {
            env,
            transport: Arc::new(ReqwestTransport::new(policy)?),
            clock: Arc::clone(clock),
            simulated: config.loopback_only,
        })
    }

    pub(super) fn tokens(&self, everyday: &str, emergency: Option<&str>) -> Tokens {
        let read = |name: &str, simulated: &str| {
            self.env
                .secret(name)
                .or_else(|| self.simulated.then(|| SecretString::from(simulated)))
        };
        Tokens {
            everyday: read(everyday, SIMULATED_TOKEN),
            emergency: emergency.and_then(|name| read(name, SIMULATED_EMERGENCY_TOKEN)),
        }
    }

    pub(super) fn cloud_run(&self, gcp: &GcpConfig, token: SecretString) -> Result<CloudRunTraffic> {
        let builder = CloudRunTraffic::builder()
            .with_transport(Arc::clone(&self.transport))
            .with_token(Arc::new(StaticToken::new(token)))
            .with_base_url(&gcp.run_base_url)
            .with_clock(Arc::clone(&self.clock));
        match &gcp.api_base_url {
            Some(url) => builder.with_resource_manager_url(url),
            None => builder,
        }
        .build()
    }

    pub(super) fn queues(
        &self,
        gcp: &GcpConfig,
        token: SecretString,
        regions: Vec<String>,
    ) -> Result<GcpQueues> {
        let queues = GcpQueues::new(&self.cloud_run(gcp, token)?, &gcp.project, regions)?;
        match &gcp.api_base_url {
            Some(url) => queues.with_base_url(url),
            None => Ok(queues),
        }
    }

    pub(super) fn users(&self, gcp: &GcpConfig, token: SecretString, project: &str) -> Result<IdentityUsers> {
        let users = IdentityUsers::new(&self.cloud_run(gcp, token)?, project)?;
        match &gcp.api_base_url {
            Some(url) => users.with_base_url(url),
            None => Ok(users),
        }
    }

    pub(super) fn archive(
        &self,
        gcp: &GcpConfig,
        token: SecretString,
        bucket: &str,
    ) -> Result<CloudStorageArchive> {
        cloud_storage(&self.transport, gcp, token, bucket)
    }

    pub(super) fn railway(&self, railway: &RailwayConfig, token: SecretString) -> Result<RailwayTraffic> {
        let token = match railway.token_kind {
            RailwayTokenKind::Bearer => RailwayToken::Bearer(token),
            _ => RailwayToken::Project(token),
        };
        RailwayTraffic::builder()
            .with_transport(Arc::clone(&self.transport))
            .with_token(token)
            .with_base_url(&railway.base_url)
            .with_clock(Arc::clone(&self.clock))
            .build()
    }

    pub(super) fn vercel(&self, vercel: &VercelConfig, token: SecretString) -> Result<VercelTraffic> {
        VercelTraffic::builder()
            .with_transport(Arc::clone(&self.transport))
            .with_token(token)
            .with_team(vercel.team.clone())
            .with_base_url(&vercel.base_url)
            .with_clock(Arc::clone(&self.clock))
            .build()
    }
}

impl Platforms {
    pub(super) fn new(config: &OpsConfig, env: &Env, clock: &Arc<dyn Clock>) -> Result<Self> {
        let connector = Connector::new(config, env, clock)?;
        let mut platforms = Self {
            cloud_run: None,
            railway: None,
            vercel: None,
            transport: Arc::clone(&connector.transport),
            queues: None,
            buckets: None,
            users: None,
            warnings: Vec::new(),
        };
        if let Some(gcp) = &config.gcp {
            let token = platforms.button(&connector, &gcp.token_env, gcp.emergency_token_env.as_deref());
            platforms.cloud_run = token.and_then(|token| client(connector.cloud_run(gcp, token)));
            let tokens = connector.tokens(&gcp.token_env, gcp.emergency_token_env.as_deref());
            platforms.queues = Some(match tokens.looking() {
                Some(token) => connector
                    .queues(gcp, token, regions(config))
                    .map_err(|error| error.to_string()),
                None => Err(format!("{} is not set", gcp.token_env)),
            });
            platforms.users = gcp.identity_project.as_deref().map(|project| {
                let made = |token: Option<SecretString>| match token {
                    Some(token) => connector
                        .users(gcp, token, project)
                        .map_err(|error| error.to_string()),
                    None => Err(format!("{} is not set", gcp.token_env)),
                };
                Users {
                    acting: made(tokens.button()),
                    looking: made(tokens.looking()),
                }
            });
            platforms.buckets = Some(Buckets {
                token: tokens.looking(),
                gcp: gcp.clone(),
            });
        }
        if let Some(railway) = &config.railway {
            let emergency = railway.emergency_token_env.as_deref();
            let token = platforms.button(&connector, &railway.token_env, emergency);
            platforms.railway = token.and_then(|token| client(connector.railway(railway, token)));
        }
        if let Some(vercel) = &config.vercel {
            let emergency = vercel.emergency_token_env.as_deref();
            let token = platforms.button(&connector, &vercel.token_env, emergency);
            platforms.vercel = token.and_then(|token| client(connector.vercel(vercel, token)));
        }
        Ok(platforms)
    }

    /// The one that follows the host policy of the configuration.
    pub(super) fn transport(&self) -> Arc<dyn HttpTransport> {
        Arc::clone(&self.transport)
    }

    /// The credential that stops and restores, with a warning where it is not the one that was meant.
    fn button(
        &mut self,
        connector: &Connector<'_>,
        everyday: &str,
        emergency: Option<&str>,
    ) -> Option<SecretString> {
        let tokens = connector.tokens(everyday, emergency);
        if let (Some(name), None) = (emergency, &tokens.emergency) {
            self.warnings.push(Text::new(
                format!("緊急用の資格情報 {name} が設定されていないため、日常用の {everyday} を使います"),
                format!("the emergency credential {name} is not set: the everyday one, {everyday}, is used"),
            ));
        }
        tokens.button()
    }

    /// What tells which queues deliver to a target, and what could not be made of it.
    pub(super) fn queue_inspectors(&self) -> (Vec<Arc<dyn QueueInspector>>, QueuesFound) {
        match &self.queues {
            None => (Vec::new(), QueuesFound::default()),
            Some(Ok(queues)) => (queues.inspectors(), QueuesFound::default()),
            Some(Err(why)) => (Vec::new(), QueuesFound::unread("Google Cloud", why)),
        }
    }

    /// An archive in a bucket.
    pub(super) fn archive(&self, bucket: &str) -> Result<CloudStorageArchive, Failure> {
        let Some(Buckets { token, gcp }) = &self.buckets else {
            return Err(Failure::usage(
                format!("gs://{bucket} cannot be reached: there is no [gcp] in the configuration"),
                "add [gcp] with project and token_env",
            ));
        };
        let Some(token) = token else {
            return Err(Failure::usage(
                "no credential for Cloud Storage",
                format!("set the environment variable {}", gcp.token_env),
            ));
        };
        Ok(cloud_storage(&self.transport, gcp, token.clone(), bucket)?)
    }

    pub(super) fn controller(
        &self,
        config: &OpsConfig,
        service: &ServiceConfig,
    ) -> Result<(Arc<dyn TrafficController>, TargetId), Failure> {
        let (target, token) = target(config, service)?;
        let platform = service.platform.as_str();
        let controller = match service.platform {
            Platform::CloudRun => &self.cloud_run,
            Platform::Railway => &self.railway,
            Platform::Vercel => &self.vercel,
            _ => &None,
        };
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

fn cloud_storage(
    transport: &Arc<dyn HttpTransport>,
    gcp: &GcpConfig,
    token: SecretString,
    bucket: &str,
) -> Result<CloudStorageArchive> {
    let builder = CloudStorageArchive::builder(bucket)
        .with_transport(Arc::clone(transport))
        .with_token(Arc::new(StaticToken::new(token)));
    match &gcp.api_base_url {
        Some(url) => builder.with_base_url(url),
        None => builder,
    }
    .build()
}

/// The regions that the configuration speaks of: the vendor lists one at a time.
pub(super) fn regions(config: &OpsConfig) -> Vec<String> {
    let gcp = config.gcp.iter();
    let own = gcp.flat_map(|gcp| gcp.region.iter().chain(&gcp.inventory_regions));
    let of_services = config
        .services
        .iter()
        .filter_map(|service| service.region.as_ref());
    own.chain(of_services).cloned().collect()
}

/// What a service is called in journals, and the variable of its platform's everyday credential.
pub(super) fn target<'a>(
    config: &'a OpsConfig,
    service: &ServiceConfig,
) -> Result<(TargetId, &'a str), Failure> {
    match (service.platform, &config.gcp, &config.railway, &config.vercel) {
        (Platform::CloudRun, Some(gcp), _, _) => {
            let region = service
                .region
                .as_deref()
                .or(gcp.region.as_deref())
                .unwrap_or_default();
            let target = CloudRunTraffic::target(&gcp.project, region, &service.id)?;
            Ok((target, &gcp.token_env))
        }
        (Platform::Railway, _, Some(railway), _) => {
            let target = RailwayTraffic::target(&railway.project, &railway.environment, &service.id)?;
            Ok((target, &railway.token_env))
        }
        (Platform::Vercel, _, _, Some(vercel)) => {
            Ok((VercelTraffic::target(&service.id)?, &vercel.token_env))
        }
        (platform, ..) => {
            let what = format!(
                "service {} is on {}, which is not configured",
                service.name,
                platform.as_str()
            );
            Err(Failure::usage(what, "add the platform's table to ops.toml"))
        }
    }
}
