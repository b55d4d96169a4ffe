//! The common call while there is little to do: one check of one limit. A plain statement admits it at about half the price of the function.

use ops_core::model::{Gcra, LimitDigest, LimitSemantics, LimitTime, Standing, Strict, StrictRing};
use ops_core::ports::{CountedLimit, LimitCheck, LimitStamp, LimitsChecked};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool};

use super::{signed, unsigned};

/// A check that one statement may admit. It changes the row only where the limits of the stamp hold and admit it; in every other case it changes
/// nothing (but it has locked the row, which the server notes in it) and the function answers: who is denied pays for that, and seldom comes back
/// before its time.
pub(super) struct Single {
    limit: CountedLimit,
    cost: u32,
    /// What the cost takes, and what may be used before it: of a burst in microseconds.
    takes: i64,
    room: i64,
}

impl Single {
    /// `None` for more than one limit, for a look, and for what is never admitted.
    pub(super) fn of(checks: &[LimitCheck]) -> Option<Self> {
        let [check] = checks else { return None };
        let mut limits = check.limits();
        let (Some(limit), None) = (limits.next(), limits.next()) else {
            return None;
        };
        let (most, unit) = match limit.semantics {
            LimitSemantics::Burst => (limit.limit, micros(Gcra::new(limit.limit, limit.per).interval())?),
            LimitSemantics::Strict => (limit.limit.min(Strict::MAX_LIMIT), 1),
            _ => return None,
        };
        let cost = check.cost();
        if cost == 0 || cost > most {
            return None;
        }
        let takes = unit.checked_mul(i64::from(cost))?;
        Some(Self {
            limit: *limit,
            cost,
            takes,
            room: unit.checked_mul(i64::from(most))? - takes,
        })
    }

    /// `None`: it changed nothing.
    pub(super) async fn admit(
        &self,
        pool: &PgPool,
        stamp: LimitStamp,
    ) -> sqlx::Result<Option<LimitsChecked>> {
        let admitted = match self.limit.semantics {
            LimitSemantics::Strict => self.strict(pool, stamp).await,
            _ => self.burst(pool, stamp).await,
        };
        match admitted {
            Ok(Some((at, standing))) => {
                let standings = vec![standing];
                Ok(Some(LimitsChecked::Decided { at, standings }))
            }
            Ok(None) => Ok(None),
            // The function may still deny, which needs no write.
            Err(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some("25006") => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    async fn burst(&self, pool: &PgPool, stamp: LimitStamp) -> sqlx::Result<Option<(LimitTime, Standing)>> {
        let row: Option<(i64, i64)> = self.row(BURST, None, pool, stamp).await?;
        Ok(row.map(|(after, now)| {
            let before = LimitTime::from_micros(unsigned(after.saturating_sub(self.takes)));
            let now = LimitTime::from_micros(unsigned(now));
            let gcra = Gcra::new(self.limit.limit, self.limit.per);
            (now, gcra.decide(before, now, self.cost).0)
        }))
    }

    async fn strict(&self, pool: &PgPool, stamp: LimitStamp) -> sqlx::Result<Option<(LimitTime, Standing)>> {
        let strict = Strict::new(self.limit.limit, self.limit.per);
        let slot = LimitTime::from(strict.slot()).as_micros();
        let row: Option<(Vec<i64>, i64)> = self.row(STRICT, Some(signed(slot)), pool, stamp).await?;
        Ok(row.map(|(mut slots, now)| {
            if let Some(newest) = slots.last_mut() {
                *newest -= self.takes;
            }
            let now = LimitTime::from_micros(unsigned(now));
            (now, strict.decide(self.ring(&slots, slot), now, self.cost).0)
        }))
    }

    /// What stood there, by using it once more.
    fn ring(&self, slots: &[i64], width: u64) -> StrictRing {
        let all = Strict::new(Strict::MAX_LIMIT, self.limit.per);
        slots.iter().fold(StrictRing::default(), |ring, held| {
            let begins = LimitTime::from_micros(unsigned(held >> 16).saturating_mul(width));
            let count = u32::try_from(held & 0xffff).unwrap_or_default();
            all.decide(ring, begins, count).1
        })
    }

    /// The row that the statement leaves, if it changes it, and the time.
    async fn row<R>(
        &self,
        statement: &'static str,
        slot: Option<i64>,
        pool: &PgPool,
        stamp: LimitStamp,
    ) -> sqlx::Result<Option<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let query = sqlx::query_as(statement)
            .bind(part(&self.limit.key))
            .bind(self.limit.key.as_bytes().as_slice())
            .bind(signed(stamp.version))
            .bind(signed(stamp.from.as_micros()))
            .bind(signed(stamp.until.as_micros()))
            .bind(self.takes)
            .bind(self.room);
        let query = match slot {
            Some(slot) => query.bind(slot),
            None => query,
        };
        query.fetch_optional(pool).await
    }
}

/// The part whose lock a call with this key takes.
pub(super) fn part(key: &LimitDigest) -> i32 {
    i32::from(key.as_bytes()[0] & 15)
}

fn micros(duration: std::time::Duration) -> Option<i64> {
    i64::try_from(LimitTime::from(duration).as_micros()).ok()
}

// The time is that at which the statement began, the same wherever it is asked for; what others wrote while this one waited for its part counts as
// in every decision at an earlier time. The lock of the part keeps the function away, which reads before it writes. Without a table there is no row.
macro_rules! now {
    () => {
        "(extract(epoch from statement_timestamp()) * 1000000)::bigint"
    };
}

macro_rules! in_force {
    () => {
        concat!(
            "from (select ",
            now!(),
            " as now, pg_advisory_xact_lock(1869640812, $1) from ops.limit_table t where t.version = $3 offset 0) n
             where n.now >= $4 and n.now < $5"
        )
    };
}

/// As [`Gcra`] has it. The row that would be inserted says what time it is.
const BURST: &str = concat!(
    "insert into ops.limit_state as s (key, at, expires) select $2, n.now + $6, n.now + $6 ",
    in_force!(),
    " on conflict (key) do update set
        at = greatest(s.at, excluded.at - $6) + $6,
        expires = greatest(s.at, excluded.at - $6) + $6
      where s.at - (excluded.at - $6) <= $7
      returning s.at, ",
    now!()
);

/// As [`Strict`] has it, in the form of the column `counts`. The row that would be inserted says which slot it is.
const STRICT: &str = concat!(
    "insert into ops.limit_state as s (key, at, counts, expires)
      select $2, n.now / $8, array[(n.now / $8 << 16) + $6], (n.now / $8 + 31) * $8 ",
    in_force!(),
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
      returning s.counts, ",
    now!()
);
