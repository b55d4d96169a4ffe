//! The environment as tests see it. Nothing else in the testkit reads it.

/// A server to use instead of a throw-away one; databases are created and dropped on it.
pub(super) fn test_database_url() -> Option<String> {
    read("OPS_TEST_DATABASE_URL")
}

/// A Redis to use instead of a throw-away one; tests use keys that nobody else uses.
pub(super) fn test_redis_url() -> Option<String> {
    read("OPS_TEST_REDIS_URL")
}

/// Whether a test that finds no server must fail instead of being left out.
pub(super) fn live_is_required() -> bool {
    read("OPS_REQUIRE_LIVE").is_some_and(|value| value != "0")
}

/// Folders in which programs are looked for.
pub(super) fn program_path() -> Option<String> {
    read("PATH")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the testkit reads the environment"
)]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
