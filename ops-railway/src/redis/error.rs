use ops_core::error::{Error, ErrorKind};
use redis::{ErrorKind as DriverKind, RedisError, ServerErrorKind};

use super::PROVIDER;

/// An error of this provider.
pub(super) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).provider(PROVIDER)
}

/// Maps a failure of `operation`. The driver's text may repeat keys, so only what is known to be harmless is told.
pub(super) fn failed(operation: &'static str, cause: &RedisError) -> Error {
    let (kind, reason) = meaning(cause);
    error(kind, operation).context("reason", reason)
}

/// Whether the connection is of no more use: it broke, or it leads to a server that will not do.
pub(super) fn ends_connection(cause: &RedisError) -> bool {
    let elsewhere = matches!(
        cause.kind(),
        DriverKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::Moved | ServerErrorKind::MasterDown)
    );
    elsewhere
        || (!matches!(cause.kind(), DriverKind::Server(_))
            && (cause.is_unrecoverable_error() || cause.is_timeout()))
}

pub(super) fn is_missing_script(cause: &RedisError) -> bool {
    cause.kind() == DriverKind::Server(ServerErrorKind::NoScript)
}

fn meaning(cause: &RedisError) -> (ErrorKind, &'static str) {
    if cause.is_timeout() {
        return (ErrorKind::Timeout, "no answer in time");
    }
    match cause.kind() {
        DriverKind::AuthenticationFailed => (ErrorKind::Unauthenticated, "the password is wrong"),
        DriverKind::Io => (ErrorKind::Unavailable, "the connection broke"),
        DriverKind::Parse | DriverKind::UnexpectedReturnType => {
            (ErrorKind::Unexpected, "the answer cannot be read")
        }
        DriverKind::Server(kind) => match kind {
            ServerErrorKind::ReadOnly => (ErrorKind::Unavailable, "the server is a read-only replica"),
            ServerErrorKind::BusyLoading => (ErrorKind::Unavailable, "the server is loading its data"),
            ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain => {
                (ErrorKind::Unavailable, "the server has no primary")
            }
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot => (
                ErrorKind::Unsupported,
                "the server is a node of a cluster that has these keys elsewhere: give the address of the node that has them, or of a proxy",
            ),
            ServerErrorKind::NoPerm => (ErrorKind::PermissionDenied, RIGHTS),
            // What a script may not comes without a code of its own.
            _ if cause
                .detail()
                .is_some_and(|text| text.contains("can't run this command")) =>
            {
                (ErrorKind::PermissionDenied, RIGHTS)
            }
            _ => coded(cause),
        },
        _ => coded(cause),
    }
}

const RIGHTS: &str = "the user may not: it needs evalsha, eval, script|load, time, get, set, hget, hmget, hset, unlink, pexpire and access to the keys ops:*";

fn coded(cause: &RedisError) -> (ErrorKind, &'static str) {
    match cause.code() {
        Some("NOAUTH") => (ErrorKind::Unauthenticated, "the server wants a password"),
        Some("WRONGPASS") => (ErrorKind::Unauthenticated, "the password is wrong"),
        Some("OOM") => (ErrorKind::Unavailable, "the server has no memory left"),
        Some("MISCONF" | "NOREPLICAS" | "BUSY") => (ErrorKind::Unavailable, "the server takes no writes now"),
        _ => (ErrorKind::Unexpected, "the server answered with an error"),
    }
}
