//! The common call: checks of one limit each that differ in nothing but the caller. A plain statement admits them at a fraction of the price of
//! the function.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::model::{Gcra, LimitDigest, LimitSemantics, LimitTime, Standing, Strict, StrictRing};
use ops_core::ports::{CountedLimit, LimitCheck, LimitStamp};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool};

use super::{signed, unsigned};

/// Checks that one statement may admit. It changes the rows of those whom the limits of the stamp admit, and nothing else (but it has locked
/// the others, which the server notes in them). The function answers for the others: who is denied pays for that, and seldom comes back before its time.
pub(super) struct Alike {
    /// In order, each once.
    keys: Vec<LimitDigest>,
    limit: CountedLimit,
    cost: u32,
    /// What the cost takes, and what may be used before it: of a burst in microseconds.
    takes: i64,
    room: i64,
}

/// Who was admitted, and the time of that.
pub(super) struct Admitted {
    pub(super) at: LimitTime,
    pub(super) standings: BTreeMap<LimitDigest, Standing>,
}

impl Alike {
    /// `None` for more than one limit, for a look, for what is never admitted, for callers with limits of their own, and for a caller that is named twice.
    pub(super) fn of(checks: &[LimitCheck]) -> Option<Self> {
        let mut keys = BTreeSet::new();
        let mut all: Option<(CountedLimit, u32)> = None;
        for check in checks {
            let mut limits = check.limits();
            let (Some(limit), None) = (limits.next(), limits.next()) else {
                return None;
            };
            let (known, cost) = all.get_or_insert((*limit, check.cost()));
            let mut same = *limit;
            same.key = known.key;
            if same != *known || check.cost() != *cost || !keys.insert(limit.key) {
                return None;
            }
        }
        let (limit, cost) = all?;
        let (most, unit) = match limit.semantics {
            LimitSemantics::Burst => (limit.limit, micros(Gcra::new(limit.limit, limit.per).interval())?),
            LimitSemantics::Strict => (limit.limit.min(Strict::MAX_LIMIT), 1),
            _ => return None,
        };
        if cost == 0 || cost > most {
            return None;
        }
        let takes = unit.checked_mul(i64::from(cost))?;
        Some(Self {
            keys: keys.into_iter().collect(),
            limit,
            cost,
            takes,
            room: unit.checked_mul(i64::from(most))? - takes,
        })
    }

    /// `None`: it changed nothing.
    pub(super) async fn admit(&self, pool: &PgPool, stamp: LimitStamp) -> sqlx::Result<Option<Admitted>> {
        let admitted = match self.limit.semantics {
            LimitSemantics::Strict => self.strict(pool, stamp).await,
            _ => self.burst(pool, stamp).await,
        };
        match admitted {
            Ok(admitted) => Ok(admitted),
            // The function may still deny, which needs no write.
            Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some("25006") => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    async fn burst(&self, pool: &PgPool, stamp: LimitStamp) -> sqlx::Result<Option<Admitted>> {
        let statement = if self.is_alone() { BURST } else { BURSTS };
        let rows: Vec<(Vec<u8>, i64, i64)> = self.rows(statement, None, pool, stamp).await?;
        let gcra = Gcra::new(self.limit.limit, self.limit.per);
        Ok(self.admitted(rows, |after, now| {
            let before = LimitTime::from_micros(unsigned(after.saturating_sub(self.takes)));
            gcra.decide(before, now, self.cost).0
        }))
    }

    async fn strict(&self, pool: &PgPool, stamp: LimitStamp) -> sqlx::Result<Option<Admitted>> {
        let strict = Strict::new(self.limit.limit, self.limit.per);
        let slot = LimitTime::from(strict.slot()).as_micros();
        let statement = if self.is_alone() { STRICT } else { STRICTS };
        let rows: Vec<(Vec<u8>, Vec<i64>, i64)> =
            self.rows(statement, Some(signed(slot)), pool, stamp).await?;
        Ok(self.admitted(rows, |mut slots, now| {
            if let Some(newest) = slots.last_mut() {
                *newest -= self.takes;
            }
            strict.decide(ring(&slots), now, self.cost).0
        }))
    }

    /// What the rows that were changed tell.
    fn admitted<S>(
        &self,
        rows: Vec<(Vec<u8>, S, i64)>,
        standing: impl Fn(S, LimitTime) -> Standing,
    ) -> Option<Admitted> {
        let at = LimitTime::from_micros(unsigned(rows.first()?.2));
        let mut state_of: BTreeMap<Vec<u8>, S> =
            rows.into_iter().map(|(key, state, _)| (key, state)).collect();
        let told = self.keys.iter().filter_map(|key| {
            let state = state_of.remove(key.as_bytes().as_slice())?;
            Some((*key, standing(state, at)))
        });
        Some(Admitted {
            at,
            standings: told.collect(),
        })
    }

    fn is_alone(&self) -> bool {
        self.keys.len() == 1
    }

    /// The rows that the statement has changed, and the time.
    async fn rows<R>(
        &self,
        statement: &'static str,
        slot: Option<i64>,
        pool: &PgPool,
        stamp: LimitStamp,
    ) -> sqlx::Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let bytes = |key: &LimitDigest| key.as_bytes().to_vec();
        let query = sqlx::query_as(statement);
        let query = match self.keys.as_slice() {
            [key] => query.bind(part(key)).bind(bytes(key)),
            keys => {
                let parts: BTreeSet<i32> = keys.iter().map(part).collect();
                let keys: Vec<Vec<u8>> = keys.iter().map(bytes).collect();
                query.bind(parts.into_iter().collect::<Vec<_>>()).bind(keys)
            }
        };
        let query = query
            .bind(signed(stamp.version))
            .bind(signed(stamp.from.as_micros()))
            .bind(signed(stamp.until.as_micros()))
            .bind(self.takes)
            .bind(self.room);
        let query = match slot {
            Some(slot) => query.bind(slot),
            None => query,
        };
        query.fetch_all(pool).await
    }
}

/// The slots as the column `counts` has them, oldest first.
fn ring(slots: &[i64]) -> StrictRing {
    let slot = |held: &i64| unsigned(held >> 16);
    let count = |held: &i64| u16::try_from(held & 0xffff).unwrap_or_default();
    StrictRing::of_slots(
        slots.last().map_or(0, slot),
        slots.iter().map(|held| (slot(held), count(held))),
    )
}

/// The part whose lock a call with this key takes.
pub(super) fn part(key: &LimitDigest) -> i32 {
    i32::from(key.as_bytes()[0] & 15)
}

fn micros(duration: std::time::Duration) -> Option<i64> {
    i64::try_from(LimitTime::from(duration).as_micros()).ok()
}

// The time is that at which the statement began, the same wherever it is asked for; what others wrote while this one waited for its parts counts as
// in every decision at an earlier time. The locks of the parts keep the function away, which reads before it writes. Without a table there is no row.
macro_rules! now {
    () => {
        "(extract(epoch from statement_timestamp()) * 1000000)::bigint"
    };
}

/// One caller, `$2` in the part `$1`.
macro_rules! one {
    () => {
        concat!(
            "from (select $2 as key, ",
            now!(),
            " as now, pg_advisory_xact_lock_shared(1869640812, $1) from ops.limit_table t where t.version = $3 offset 0) n
             where n.now >= $4 and n.now < $5"
        )
    };
}

/// Callers, `$2` in the parts `$1`, both in order: locks are taken in one order, and all of them before a row is touched.
macro_rules! many {
    () => {
        concat!(
            "from (
                select ",
            now!(),
            " as now, (select count(pg_advisory_xact_lock_shared(1869640812, part)) from unnest($1::integer[]) part) as locks
                from ops.limit_table t where t.version = $3 offset 0
             ) n, unnest($2::bytea[]) key
             where n.now >= $4 and n.now < $5 and n.locks > 0"
        )
    };
}

/// As [`Gcra`] has it. The row that would be inserted says what time it is.
macro_rules! burst {
    ($from:expr) => {
        concat!(
            "insert into ops.limit_state as s (key, at, expires) select key, n.now + $6, n.now + $6 ",
            $from,
            " on conflict (key) do update set
                at = greatest(s.at, excluded.at - $6) + $6,
                expires = greatest(s.at, excluded.at - $6) + $6
              where s.at - (excluded.at - $6) <= $7
              returning s.key, s.at, ",
            now!()
        )
    };
}

/// As [`Strict`] has it, in the form of the column `counts`. The row that would be inserted says which slot it is.
macro_rules! strict {
    ($from:expr) => {
        concat!(
            "insert into ops.limit_state as s (key, at, counts, expires)
              select key, n.now / $8, array[(n.now / $8 << 16) + $6], (n.now / $8 + 31) * $8 ",
            $from,
            " on conflict (key) do update set
                at = greatest(s.at, excluded.at),
                counts = array(
                    select c from unnest(s.counts) c
                    where (c >> 16) > greatest(s.at, excluded.at) - 31 and (c >> 16) < greatest(s.at, excluded.at)
                ) || case
                    when (s.counts[cardinality(s.counts)] >> 16) = greatest(s.at, excluded.at)
                    then s.counts[cardinality(s.counts)] + $6
                    else (greatest(s.at, excluded.at) << 16) + $6
                end,
                expires = (greatest(s.at, excluded.at) + 31) * $8
              where coalesce((
                    select sum((c & 65535)::int) from unnest(s.counts) c where (c >> 16) > greatest(s.at, excluded.at) - 31
                ), 0) <= $7
              returning s.key, s.counts, ",
            now!()
        )
    };
}

const BURST: &str = burst!(one!());
const BURSTS: &str = burst!(many!());
const STRICT: &str = strict!(one!());
const STRICTS: &str = strict!(many!());
