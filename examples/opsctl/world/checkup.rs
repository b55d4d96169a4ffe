//! What the doctor looks at, from the configuration. Nothing here makes a directory, a table or a connection that writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use ops_core::config::{DatabaseConfig, Env, OpsConfig, Platform};
use ops_core::error::Result;
use ops_core::file::FileReadiness;
use ops_core::governance::{Credential, Examination, Ignored, check_approvers, check_credential};
use ops_core::messages::{
    need_credential_set, need_notifications, need_reachable, need_store, need_valid_credential,
};
use ops_core::model::{Check, TargetId, Text};
use ops_core::ports::{Clock, Inventory, ReadinessProbe, SwitchStore};
use ops_gcp::run::CloudRunInventory;
use ops_postgres::{
    PostgresDatabaseGuard, PostgresReadiness, PostgresStore, PostgresSwitchHints, PostgresSwitchStore,
};
use ops_railway::railway::RailwayInventory;
use ops_railway::vercel::VercelInventory;

use super::arrive;
use super::platforms::{Connector, Tokens, regions, target};
use crate::exit::Failure;

/// Everything that the configuration names.
pub(crate) async fn examination(
    config: &OpsConfig,
    env: &Env,
    clock: &Arc<dyn Clock>,
) -> Result<Examination, Failure> {
    let covered: BTreeSet<&str> = config
        .procedures
        .iter()
        .flat_map(|procedure| procedure.kind.services())
        .map(String::as_str)
        .collect();
    let mut examination = Examination::new()
        .with_checks(check_approvers(config))
        .with_probe(
            "state_dir",
            Arc::new(FileReadiness::new(&config.state_dir)) as _,
            [],
        );
    let mut targets = Vec::new();
    for service in &config.services {
        let (target, _) = target(config, service)?;
        examination = match covered.contains(service.name.as_str()) {
            true => examination.with_covered(target.clone()),
            false => examination.with_listed(target.clone()),
        };
        targets.push((service.platform, target));
    }
    for uncovered in &config.uncovered {
        let target = TargetId::new(&uncovered.target)?;
        examination = examination.with_ignored(Ignored::new(target, &uncovered.reason, uncovered.ends()));
    }
    let of = |platform: Platform| -> Vec<TargetId> {
        let of_platform = targets.iter().filter(|(other, _)| *other == platform);
        of_platform.map(|(_, target)| target.clone()).collect()
    };
    let connector = Connector::new(config, env, clock)?;
    if let Some(gcp) = &config.gcp {
        let emergency = gcp.emergency_token_env.as_deref();
        let tokens = connector.tokens(&gcp.token_env, emergency);
        examination = credential(examination, "Google Cloud", &gcp.token_env, emergency, &tokens);
        let regions = regions(config);
        if let Some(token) = tokens.looking().filter(|_| !regions.is_empty()) {
            examination = match connector.queues(gcp, token, regions.clone()) {
                Ok(queues) => examination.with_probe("Google Cloud (queues)", Arc::new(queues), []),
                Err(error) => {
                    examination.with_checks([need_valid_credential("Google Cloud (queues)").failed(&error)])
                }
            };
        }
        if let (Some(bucket), Some(token)) = (&gcp.evidence_bucket, tokens.looking()) {
            examination = examination.with_checks(match connector.archive(gcp, token, bucket) {
                Ok(archive) => archive.examine().await,
                Err(error) => vec![need_valid_credential("Google Cloud (Cloud Storage)").failed(&error)],
            });
        }
        if let (Some(project), Some(token)) = (&gcp.identity_project, tokens.button()) {
            examination = match connector.users(gcp, token, project) {
                Ok(users) => examination.with_probe("Google Cloud (users)", Arc::new(users), []),
                Err(error) => {
                    examination.with_checks([need_valid_credential("Google Cloud (users)").failed(&error)])
                }
            };
        }
        let made = Made {
            probe: tokens
                .button()
                .map(|token| connector.cloud_run(gcp, token).map(|made| Arc::new(made) as _)),
            inventory: tokens.looking().filter(|_| !regions.is_empty()).map(|token| {
                let cloud_run = connector.cloud_run(gcp, token)?;
                Ok(Arc::new(CloudRunInventory::new(&cloud_run, &gcp.project, regions)?) as _)
            }),
        };
        examination = made.into(examination, "cloud-run", of(Platform::CloudRun));
    }
    if let Some(railway) = &config.railway {
        let emergency = railway.emergency_token_env.as_deref();
        let tokens = connector.tokens(&railway.token_env, emergency);
        examination = credential(examination, "Railway", &railway.token_env, emergency, &tokens);
        let made = Made {
            probe: tokens
                .button()
                .map(|token| connector.railway(railway, token).map(|made| Arc::new(made) as _)),
            inventory: tokens.looking().map(|token| {
                let traffic = connector.railway(railway, token)?;
                let listed = RailwayInventory::new(&traffic, &railway.project, &railway.environment)?;
                Ok(Arc::new(listed) as _)
            }),
        };
        examination = made.into(examination, "railway", of(Platform::Railway));
    }
    if let Some(vercel) = &config.vercel {
        let emergency = vercel.emergency_token_env.as_deref();
        let tokens = connector.tokens(&vercel.token_env, emergency);
        examination = credential(examination, "Vercel", &vercel.token_env, emergency, &tokens);
        let made = Made {
            probe: tokens
                .button()
                .map(|token| connector.vercel(vercel, token).map(|made| Arc::new(made) as _)),
            inventory: tokens.looking().map(|token| {
                let traffic = connector.vercel(vercel, token)?;
                Ok(Arc::new(VercelInventory::new(&traffic)) as _)
            }),
        };
        examination = made.into(examination, "vercel", of(Platform::Vercel));
    }
    if let Some(database) = &config.database {
        examination = with_database(examination, database, env, clock).await;
    }
    Ok(examination)
}

fn credential(
    examination: Examination,
    platform: &str,
    everyday_env: &str,
    emergency_env: Option<&str>,
    tokens: &Tokens,
) -> Examination {
    examination.with_checks(check_credential(&Credential {
        platform,
        everyday_env,
        everyday: tokens.everyday.as_ref(),
        emergency_env,
        emergency: tokens.emergency.as_ref(),
    }))
}

/// What could be made for a platform; `None` where there is no credential to make it with.
struct Made {
    probe: Option<Result<Arc<dyn ReadinessProbe>>>,
    inventory: Option<Result<Arc<dyn Inventory>>>,
}

impl Made {
    fn into(self, examination: Examination, name: &str, targets: Vec<TargetId>) -> Examination {
        let examination = match self.probe {
            Some(Ok(probe)) => examination.with_probe(name, probe, targets),
            Some(Err(error)) => examination.with_checks([need_valid_credential(name).failed(&error)]),
            None => examination,
        };
        match self.inventory {
            Some(Ok(inventory)) => examination.with_inventory(name, inventory),
            Some(Err(error)) => {
                examination.with_checks([ops_core::messages::need_inventory(name).failed(&error)])
            }
            None => examination,
        }
    }
}

/// Connects and migrates nothing.
async fn with_database(
    examination: Examination,
    database: &DatabaseConfig,
    env: &Env,
    clock: &Arc<dyn Clock>,
) -> Examination {
    let need = need_credential_set(&database.url_env);
    let Some(url) = env.secret(&database.url_env) else {
        return examination.with_checks([need.missing("is not set")]);
    };
    let mut checks: Vec<Check> = vec![need.ready()];
    let store = match PostgresStore::connect(&url).await {
        Ok(store) => store,
        Err(error) => {
            checks.push(need_reachable(&database.url_env).failed(&error));
            return examination.with_checks(checks);
        }
    };
    let switches = PostgresSwitchStore::new(&store).read().await;
    let need = need_store(store.database(), Text::new("停止スイッチ", "switch table"));
    checks.push(match switches {
        Ok(_) => need.ready(),
        Err(error) => need.failed(&error),
    });
    let need = need_notifications(store.database());
    checks.push(match arrive(&PostgresSwitchHints::new(&store)).await {
        Ok(true) => need.ready(),
        Ok(false) => need.missing("one was sent and did not arrive: a transaction-mode pooler swallows them"),
        Err(error) => need.failed(&error),
    });
    let mut guard = PostgresDatabaseGuard::new(&store);
    let mut audit = None;
    if let Some(name) = &database.audit_url_env {
        let need = need_credential_set(name);
        match env.secret(name) {
            None => checks.push(need.missing("is not set")),
            Some(url) => {
                checks.push(need.ready());
                match connect_audit(&url).await {
                    Ok((store, role)) => {
                        guard = guard.with_exempt_role(role);
                        audit = Some(store);
                    }
                    Err(error) => checks.push(need_reachable(name).failed(&error)),
                }
            }
        }
    }
    let mut probe = PostgresReadiness::new(&guard, Arc::clone(clock));
    if let Some(audit) = &audit {
        probe = probe.with_audit(audit);
    }
    let target = PostgresDatabaseGuard::target(database.name.as_deref().unwrap_or(store.database()));
    examination
        .with_checks(checks)
        .with_probe("postgres", Arc::new(probe), target.ok())
}

async fn connect_audit(url: &secrecy::SecretString) -> Result<(PostgresStore, String)> {
    let store = PostgresStore::connect(url).await?;
    let role = store.role().await?;
    Ok((store, role))
}
