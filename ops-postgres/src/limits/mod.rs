mod alike;
mod arrays;
mod sweep;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{LimitTable, LimitTime};
use ops_core::ports::{
    DenialCount, DenialTotal, DenialsCounted, LimitCheck, LimitStamp, LimitStore, LimitsChecked, Published,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Row};

use self::alike::{Admitted, Alike};
use self::arrays::{Places, Verdicts};
use self::sweep::Sweeper;
use crate::PostgresStore;
use crate::error::{error, failed};

/// Limits that instances share, in the schema `ops`: for a service that has PostgreSQL and no Redis.
///
/// It has three connections of its own, two for checks. One statement decides all checks of a call by the server's clock; a check that is denied changes no state (its row may be locked). Checks
/// of one limit each that differ only in the caller are admitted by a plain statement, and only asked about a second time where that does not admit them.
/// Every minute a task goes through the states and deletes those that count no more. They stand in an unlogged table: a crash of the server gives everybody a fresh allowance, and a replica cannot be asked. The table
/// of limits is a logged one and survives.
///
/// A role that does not own the schema needs [`PostgresStore::grant_limits`].
pub struct PostgresLimits {
    pool: PgPool,
    /// For what must not wait for checks, and what they must not wait for.
    beside: PgPool,
    sweeper: Sweeper,
}

/// As many as [`DistributedLimiter`](ops_core::guard::DistributedLimiter) has calls in flight.
const CONNECTIONS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(3);

const CHECK: &str = "check limits";
const COUNT: &str = "count denials";
const READ: &str = "read limits";
const PUBLISH: &str = "publish limits";

impl PostgresLimits {
    /// The limits of `store`, whose schema is migrated. It connects when it is first asked.
    pub fn new(store: &PostgresStore) -> Self {
        // The plans depend on no value, and making them anew for each call would cost more than the call.
        let options = store
            .pool()
            .connect_options()
            .as_ref()
            .clone()
            .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")]);
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                // It would cost a round trip before each call.
                .test_before_acquire(false)
                .connect_lazy_with(options.clone())
        };
        Self {
            pool: pool(CONNECTIONS),
            beside: pool(1),
            sweeper: Sweeper::default(),
        }
    }

    /// Connects now, so that the first check need not wait for it.
    ///
    /// # Errors
    /// `Unavailable`, `InvalidConfig` when the schema is not migrated, `PermissionDenied`.
    pub async fn connect(&self) -> Result<()> {
        self.check(LimitStamp::of_version(0), &[]).await.map(drop)
    }

    /// Closes all connections. Later calls are `Unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
        self.beside.close().await;
    }

    /// Those who were not admitted, by the function. Where other limits have come to hold meanwhile, all are told so: who was counted already
    /// is counted again when it asks anew, which makes its limit stricter by that.
    async fn decide_others(
        &self,
        stamp: LimitStamp,
        checks: &[LimitCheck],
        admitted: Admitted,
    ) -> Result<LimitsChecked> {
        let standing = |check: &LimitCheck| admitted.standings.get(&check.limits().next()?.key).copied();
        let others: Vec<LimitCheck> = checks
            .iter()
            .filter(|check| standing(check).is_none())
            .copied()
            .collect();
        let mut at = admitted.at;
        let mut rest = Vec::new();
        if !others.is_empty() {
            match self.decide(stamp, &others).await? {
                LimitsChecked::Decided { at: later, standings } => {
                    at = later;
                    rest = standings;
                }
                superseded => return Ok(superseded),
            }
        }
        let mut rest = rest.into_iter();
        let standings = checks
            .iter()
            .filter_map(|check| standing(check).or_else(|| rest.next()));
        Ok(LimitsChecked::Decided {
            at,
            standings: standings.collect(),
        })
    }

    /// By the function, whatever they are.
    async fn decide(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked> {
        let places = Places::of(checks);
        let row = sqlx::query("select * from ops.check_limits($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(signed(stamp.version))
            .bind(signed(stamp.from.as_micros()))
            .bind(signed(stamp.until.as_micros()))
            .bind(&places.keys)
            .bind(&places.parts)
            .bind(&places.spot)
            .bind(&places.strict)
            .bind(&places.limits)
            .bind(&places.steps)
            .bind(&places.costs)
            .bind(&places.same)
            .fetch_one(&self.pool)
            .await
            .map_err(failed(CHECK))?;
        let at = LimitTime::from_micros(unsigned(row.try_get("now_micros").map_err(failed(CHECK))?));
        if !row.try_get::<bool, _>("holds").map_err(failed(CHECK))? {
            let version = unsigned(row.try_get("version").map_err(failed(CHECK))?);
            return Ok(LimitsChecked::Superseded { version, at });
        }
        if places.keys.is_empty() {
            let standings = Vec::new();
            return Ok(LimitsChecked::Decided { at, standings });
        }
        let verdicts = Verdicts {
            verdicts: row.try_get("verdicts").map_err(failed(CHECK))?,
            lefts: row.try_get("lefts").map_err(failed(CHECK))?,
            resets: row.try_get("resets").map_err(failed(CHECK))?,
            retries: row.try_get("retries").map_err(failed(CHECK))?,
        };
        let standings = verdicts.standings();
        Ok(LimitsChecked::Decided { at, standings })
    }
}

#[async_trait]
impl LimitStore for PostgresLimits {
    async fn check(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked> {
        let admitted = match Alike::of(checks) {
            Some(alike) => alike.admit(&self.pool, stamp).await.map_err(failed(CHECK))?,
            None => None,
        };
        let checked = match admitted {
            Some(admitted) => self.decide_others(stamp, checks, admitted).await?,
            None => self.decide(stamp, checks).await?,
        };
        let (LimitsChecked::Decided { at, .. } | LimitsChecked::Superseded { at, .. }) = &checked;
        self.sweeper.begin(&self.beside, *at);
        Ok(checked)
    }

    async fn count_denials(&self, counts: &[DenialCount]) -> Result<DenialsCounted> {
        let keys: Vec<Vec<u8>> = counts.iter().map(|count| count.key.as_bytes().to_vec()).collect();
        let number = |value: fn(&DenialCount) -> u64| -> Vec<i64> {
            counts.iter().map(|count| signed(value(count))).collect()
        };
        let row = sqlx::query(
            "select c.*, (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_micros
             from ops.count_denials($1, $2, $3, $4) c",
        )
        .bind(keys)
        .bind(number(|count| u64::from(count.denied)))
        .bind(number(|count| u64::from(count.threshold)))
        .bind(number(|count| LimitTime::from(count.per).as_micros().max(1)))
        .fetch_one(&self.beside)
        .await
        .map_err(failed(COUNT))?;
        let totals: Vec<i64> = row.try_get("totals").map_err(failed(COUNT))?;
        let raised: Vec<bool> = row.try_get("raised").map_err(failed(COUNT))?;
        let version = unsigned(row.try_get("version").map_err(failed(COUNT))?);
        let now = unsigned(row.try_get("now_micros").map_err(failed(COUNT))?);
        self.sweeper.begin(&self.beside, LimitTime::from_micros(now));
        let totals = totals.into_iter().zip(raised).map(|(total, raised)| DenialTotal {
            total: u32::try_from(total).unwrap_or(u32::MAX),
            raised,
        });
        Ok(DenialsCounted {
            version,
            totals: totals.collect(),
        })
    }

    async fn table(&self) -> Result<Option<LimitTable>> {
        let text: Option<String> = sqlx::query_scalar("select content from ops.limit_table")
            .fetch_optional(&self.beside)
            .await
            .map_err(failed(READ))?;
        text.map(|text| read(&text)).transpose()
    }

    async fn publish(&self, table: &LimitTable) -> Result<Published> {
        let text = serde_json::to_string(table)
            .map_err(|cause| error(ErrorKind::InvalidInput, PUBLISH).source(cause))?;
        let version = signed(table.version);
        let taken = sqlx::query(
            "insert into ops.limit_table as t (version, content) values ($1, $2)
             on conflict (only_row) do update set version = excluded.version, content = excluded.content
             where t.version < excluded.version or (t.version, t.content) = (excluded.version, excluded.content)",
        )
        .bind(version)
        .bind(&text)
        .execute(&self.beside)
        .await
        .map_err(failed(PUBLISH))?;
        if taken.rows_affected() > 0 {
            return Ok(Published::Taken);
        }
        let version: i64 = sqlx::query_scalar("select version from ops.limit_table")
            .fetch_one(&self.beside)
            .await
            .map_err(failed(PUBLISH))?;
        Ok(Published::Kept {
            version: unsigned(version),
        })
    }
}

impl fmt::Debug for PostgresLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLimits").finish_non_exhaustive()
    }
}

fn read(text: &str) -> Result<LimitTable> {
    serde_json::from_str(text).map_err(|fault| -> Error {
        error(ErrorKind::Unexpected, READ).context("fault", format!("{:?}", fault.classify()))
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
