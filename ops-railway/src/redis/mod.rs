//! Redis (Upstash's, Valkey, any other) as the store of limits that instances share.
//!
//! One script decides many requests, each with all of its limits, by the server's clock, and checks in the same run that the caller knows the
//! limits that hold. Callers stand there as digests. All keys carry one hash tag, so a cluster keeps them on one node. Redis 6.2 or later.
//!
//! What a server without persistence forgets when it restarts, or a fail-over loses, is allowance that was used: callers then get a fresh one.
//! The table of limits is put back by the first instance that notices.

mod address;
mod builder;
mod burst;
mod error;
mod lasting;
mod link;
mod packed;
mod script;
mod strict;
mod tls;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{LimitDigest, LimitTable};
use ops_core::ports::{
    DenialCount, DenialsCounted, LimitCheck, LimitStamp, LimitStore, LimitsChecked, Published,
};
use redis::Value;

use self::burst::Burst;
use self::error::error;
use self::link::Link;
use self::packed::Packed;
use self::script::Script;
use self::strict::StrictCall;
use self::wire::Requests;

pub use self::builder::RedisLimitsBuilder;

const PROVIDER: &str = "redis";
const CHECK: &str = "check limits";

/// Limits in Redis.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use ops_core::clock::SystemClock;
/// use ops_core::http::HostPolicy;
/// use ops_core::ports::LimitStore;
/// use ops_railway::redis::RedisLimits;
/// use secrecy::SecretString;
///
/// # async fn example() -> ops_core::error::Result<()> {
/// let url = SecretString::from("rediss://default:TOKEN@eu2-one-1.upstash.io:6379");
/// let store = RedisLimits::builder()
///     .with_url(url)
///     .with_host_policy(HostPolicy::Any)
///     .with_clock(Arc::new(SystemClock::new()))
///     .build()?;
/// store.connect().await?;
/// println!("{:?}", store.table().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RedisLimits {
    link: Arc<Link>,
    /// What keys begin with; the braces are a cluster's hash tag.
    prefix: String,
}

impl RedisLimits {
    /// Collects what it needs.
    pub fn builder() -> RedisLimitsBuilder {
        RedisLimitsBuilder::new()
    }

    /// Connects now, so that the first check need not wait for it.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout` after 3 s, `Unauthenticated`, `PermissionDenied`.
    pub async fn connect(&self) -> Result<()> {
        self.link.command("connect", &redis::cmd("PING")).await.map(drop)
    }

    /// Runs the script of a common call.
    async fn ask(
        &self,
        script: Script,
        stamp: LimitStamp,
        packed: &Packed,
        numbers: &[u8],
        own: &[&[u8]],
    ) -> Result<Value> {
        let answer = self.link.run(CHECK, script, |command| {
            command.arg(4).arg(self.table_key());
            command.arg(&self.state_keys(packed.span));
            command
                .arg(stamp.version)
                .arg(numbers)
                .arg(format!("turn:{}", packed.span))
                .arg(&packed.names)
                .arg(own);
        });
        answer.await
    }

    fn table_key(&self) -> Vec<u8> {
        format!("{}table", self.prefix).into_bytes()
    }

    /// The hashes that hold states for `span` microseconds at least.
    fn state_keys(&self, span: u64) -> [Vec<u8>; 3] {
        [0, 1, 2].map(|turn| format!("{}states:{}:{turn}", self.prefix, span / 1_000_000).into_bytes())
    }

    /// Apart from the states: a rule may be named as denials are.
    fn denials_key(&self, digest: &LimitDigest) -> Vec<u8> {
        [self.prefix.as_bytes(), b"denials:", digest.as_bytes()].concat()
    }
}

#[async_trait]
impl LimitStore for RedisLimits {
    async fn check(&self, stamp: LimitStamp, checks: &[LimitCheck]) -> Result<LimitsChecked> {
        if let Some(call) = Burst::of(checks) {
            let numbers = call.packed.numbers(stamp, &call.numbers);
            let answer = self
                .ask(Script::Burst, stamp, &call.packed, &numbers, &[])
                .await?;
            return packed::checked(&answer, |used| call.decided(used));
        }
        if let Some(call) = StrictCall::of(checks) {
            let numbers = call.packed.numbers(stamp, &[]);
            let own: [&[u8]; 2] = [&call.rules, &call.sets];
            let answer = self
                .ask(Script::Strict, stamp, &call.packed, &numbers, &own)
                .await?;
            return packed::checked(&answer, |used| call.decided(used));
        }
        let requests = Requests::of(checks)?;
        let answer = self.link.run(CHECK, Script::Check, |command| {
            command.arg(1 + 3 * requests.spans.len()).arg(self.table_key());
            for span in &requests.spans {
                command.arg(&self.state_keys(span.micros));
            }
            command
                .arg(stamp.version)
                .arg(stamp.from.as_micros())
                .arg(stamp.until.as_micros())
                .arg(requests.lengths())
                .arg(&requests.rules)
                .arg(&requests.bytes);
            for (key, _) in requests.states() {
                command.arg(key.as_bytes());
            }
        });
        wire::checked(&answer.await?, &requests)
    }

    async fn count_denials(&self, counts: &[DenialCount]) -> Result<DenialsCounted> {
        let bytes = wire::denials(counts);
        let answer = self.link.run("count denials", Script::Denials, |command| {
            command.arg(counts.len() + 1).arg(self.table_key());
            for count in counts {
                command.arg(self.denials_key(&count.key));
            }
            command.arg(&bytes);
        });
        wire::denials_counted(&answer.await?, counts.len())
    }

    async fn table(&self) -> Result<Option<LimitTable>> {
        let mut command = redis::cmd("HGET");
        command.arg(self.table_key()).arg("table");
        match self.link.command("read limits", &command).await? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|fault| {
                error(ErrorKind::Unexpected, "read limits")
                    .context("fault", format!("{:?}", fault.classify()))
            }),
            _ => Err(error(ErrorKind::Unexpected, "read limits")),
        }
    }

    async fn publish(&self, table: &LimitTable) -> Result<Published> {
        let text = serde_json::to_string(table)
            .map_err(|source| error(ErrorKind::InvalidInput, "publish limits").source(source))?;
        let answer = self.link.run("publish limits", Script::Publish, |command| {
            command.arg(1).arg(self.table_key()).arg(table.version).arg(&text);
        });
        let told = match answer.await? {
            Value::Array(parts) => match parts.as_slice() {
                [version, taken] => wire::number(version).zip(wire::number(taken)),
                _ => None,
            },
            _ => None,
        };
        match told {
            Some((_, 1)) => Ok(Published::Taken),
            Some((version, _)) => Ok(Published::Kept { version }),
            None => Err(error(ErrorKind::Unexpected, "publish limits")),
        }
    }
}
