use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::config::{Env, LimitsIn, OpsConfig, SharedLimitsConfig};
use ops_core::error::{Error, ErrorKind};
use ops_core::file::FileLimits;
use ops_core::http::HostPolicy;
use ops_core::model::{LimitTable, Text};
use ops_core::ports::{LimitStore, Published};
use ops_postgres::{PostgresLimits, PostgresStore};
use ops_railway::redis::RedisLimits;

use crate::exit::Failure;

/// The limits that the instances obey: those of the store that they share, else those of the file.
#[derive(Debug)]
pub(super) enum Limits {
    File(FileLimits),
    Shared {
        store: Box<dyn LimitStore>,
        name: &'static str,
    },
}

/// How long one call of the store may take. The instances do not wait for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Others may change limits at the same time.
const ATTEMPTS: u32 = 3;

impl Limits {
    pub(super) async fn of(config: &OpsConfig) -> Result<Self, Failure> {
        let Some(shared) = &config.shared_limits else {
            return Ok(Self::File(FileLimits::open(config.state_dir.clone())?));
        };
        let env = Env::process();
        let Some(url) = env.secret(&shared.url_env) else {
            return Err(Failure::usage(
                format!("the environment variable {} is not set", shared.url_env),
                "the instances share their limits in that store: set it to its URL",
            ));
        };
        Ok(match shared.store {
            LimitsIn::Postgres => {
                let store = PostgresStore::connect(&url).await?;
                store.check_schema().await?;
                Self::Shared {
                    store: Box::new(PostgresLimits::new(&store)),
                    name: "postgres",
                }
            }
            _ => Self::Shared {
                store: Box::new(redis(config, shared, &env)?),
                name: "redis",
            },
        })
    }

    /// Where they stand, for the operator.
    pub(super) fn place(&self) -> &'static str {
        match self {
            Self::File(_) => "limits.toml",
            Self::Shared { name, .. } => name,
        }
    }

    pub(super) async fn read(&self) -> Result<LimitTable, Failure> {
        match self {
            Self::File(file) => Ok(file.read().await?),
            Self::Shared { store, .. } => stored(&**store).await?.ok_or_else(|| {
                Failure::usage(
                    "the shared store has no limits yet",
                    "they come with the first request to an instance: try again then",
                )
            }),
        }
    }

    /// Makes hold what `change` makes of the limits. Gives them, and whether they were read back. If it cannot be known whether they hold, they were
    /// not.
    pub(super) async fn change<F>(&self, change: F) -> Result<(LimitTable, bool), Failure>
    where
        F: Fn(&LimitTable) -> Result<LimitTable, Error> + Clone + Send + 'static,
    {
        let store = match self {
            Self::File(file) => {
                let table = file.change(change).await?;
                // A written file is not yet a file that can be read.
                let holds = file.read().await.is_ok_and(|read| read == table);
                return Ok((table, holds));
            }
            Self::Shared { store, .. } => &**store,
        };
        for _ in 0..ATTEMPTS {
            let next = change(&self.read().await?)?;
            next.validate()?;
            let published = bound("publish limits", store.publish(&next)).await;
            let read = stored(store).await;
            match (published, read) {
                (Ok(Published::Kept { .. }), _) => {}
                // Its answer was lost, not the change.
                (_, Ok(Some(read))) if read == next => return Ok((next, true)),
                (Err(error), Ok(_)) => return Err(error.into()),
                _ => return Ok((next, false)),
            }
        }
        Err(Failure::Overtaken {
            what: Text::new(
                "制限がほかの人によって同時に変更されています",
                "others change the limits at the same time",
            ),
            remedy: "opsctl limits show".to_owned(),
        })
    }
}

fn redis(config: &OpsConfig, shared: &SharedLimitsConfig, env: &Env) -> Result<RedisLimits, Error> {
    let policy = match config.loopback_only {
        true => HostPolicy::LoopbackOnly,
        false => HostPolicy::Any,
    };
    RedisLimits::builder()
        .with_config(shared, env)
        .with_host_policy(policy)
        .with_clock(Arc::new(SystemClock::new()))
        .build()
}

async fn stored(store: &dyn LimitStore) -> Result<Option<LimitTable>, Error> {
    bound("read limits", store.table()).await
}

async fn bound<T>(operation: &'static str, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::new(ErrorKind::Timeout, operation);
    tokio::time::timeout(PATIENCE, call).await.map_err(late)?
}
