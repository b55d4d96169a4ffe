use std::time::Duration;

use serde::Serialize;

use super::report::Report;
use super::rule::{slug, variable};
use super::section::Section;

/// Where limits are counted that instances share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitsIn {
    /// Redis, Upstash's or any other.
    Redis,
    /// PostgreSQL, migrated.
    Postgres,
}

/// `[shared_limits]`: the store in which all instances of a service count limits together. Without it each instance counts for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SharedLimitsConfig {
    /// `redis` or `postgres`. Default: `redis`.
    pub store: LimitsIn,
    /// The environment variable with the URL. Default: `REDIS_URL`, or `DATABASE_URL` for PostgreSQL.
    pub url_env: String,
    /// The environment variable with the secret under which callers stand in the store, 16 characters at least and the same for all
    /// instances. Default: `OPS_LIMITS_SECRET`.
    pub secret_env: String,
    /// Keeps services apart that share a Redis: lower-case letters, digits and hyphens, a letter first, at most 32. Default: `limits`.
    pub space: String,
    /// The greatest number of instances there may be at a time; while the store is away each of them admits its part of a limit, rounded down.
    /// Default: 10.
    pub max_instances: u32,
    /// How long one call of the store may take, in milliseconds, 1 to 1000. Default: 5.
    #[serde(serialize_with = "as_millis", rename = "timeout_ms")]
    pub timeout: Duration,
    /// Whether the network to Redis is private, so that TLS may be left out. Default: `false`.
    pub private_network: bool,
}

impl SharedLimitsConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        let store = section.choice("store", STORES, report).unwrap_or(LimitsIn::Redis);
        let url_env = match store {
            LimitsIn::Redis => "REDIS_URL",
            LimitsIn::Postgres => "DATABASE_URL",
        };
        let space = section.text_or("space", "limits", slug, report);
        if space.len() > 32 {
            report.fault(
                section.place_of("space"),
                section.path_of("space"),
                "is too long",
                "use at most 32 letters, digits and hyphens",
            );
        }
        Self {
            store,
            url_env: section.text_or("url_env", url_env, variable, report),
            secret_env: section.text_or("secret_env", "OPS_LIMITS_SECRET", variable, report),
            space,
            max_instances: section.number("max_instances", 10, 1..=100_000, report),
            timeout: Duration::from_millis(u64::from(section.number("timeout_ms", 5, 1..=1_000, report))),
            private_network: section.flag("private_network", report),
        }
    }
}

const STORES: &[(&str, LimitsIn)] = &[("redis", LimitsIn::Redis), ("postgres", LimitsIn::Postgres)];

fn as_millis<S: serde::Serializer>(timeout: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(timeout.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OpsConfig;

    #[test]
    fn the_shared_store_has_defaults_and_bounds() {
        assert_eq!(OpsConfig::parse("").unwrap().shared_limits, None);
        let config = OpsConfig::parse("[shared_limits]")
            .unwrap()
            .shared_limits
            .unwrap();
        assert_eq!(
            (config.store, config.url_env.as_str()),
            (LimitsIn::Redis, "REDIS_URL")
        );
        assert_eq!(
            (config.max_instances, config.timeout),
            (10, Duration::from_millis(5))
        );
        let postgres =
            OpsConfig::parse("[shared_limits]\nstore = 'postgres'\ntimeout_ms = 20\nmax_instances = 4")
                .unwrap();
        let postgres = postgres.shared_limits.unwrap();
        assert_eq!(
            (postgres.url_env.as_str(), postgres.max_instances),
            ("DATABASE_URL", 4)
        );
        for wrong in [
            "store = 'memcached'",
            "timeout_ms = 0",
            "max_instances = 0",
            "space = 'A B'",
            "space = 'abcdefghijklmnopqrstuvwxyzabcdefgh'",
            "url = 'redis://h'",
        ] {
            let faults = OpsConfig::parse(&format!("[shared_limits]\n{wrong}")).unwrap_err();
            assert!(faults.to_string().contains("shared_limits."), "{wrong}: {faults}");
        }
    }
}
