use ops_core::error::{Error, ErrorKind, Retry};
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

pub(crate) const PROVIDER: &str = "postgres";

/// An error of this provider.
pub(crate) fn error(kind: ErrorKind, operation: &'static str) -> Error {
    Error::new(kind, operation).provider(PROVIDER)
}

/// Maps a failure of `operation`.
pub(crate) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy {
    move |cause| from_driver(operation, cause)
}

/// Maps a failure of `operation` that came from running migrations.
pub(crate) fn migration_failed(operation: &'static str) -> impl Fn(MigrateError) -> Error {
    move |cause| match cause {
        MigrateError::Execute(cause) => from_driver(operation, cause),
        MigrateError::ExecuteMigration(cause, version) => {
            from_driver(operation, cause).context("migration", version.to_string())
        }
        other => error(ErrorKind::InvalidConfig, operation).context("reason", other.to_string()),
    }
}

/// What a failed statement means for those that are still to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// There is no connection, so nothing else can be run.
    Lost,
    /// Somebody else's transaction is in the way.
    Held,
    /// What the statement names was dropped meanwhile.
    Vanished,
    /// This one cannot be done; others may.
    Refused,
}

impl Setback {
    pub(crate) fn of(cause: &Error) -> Self {
        match cause.kind() {
            ErrorKind::Unavailable | ErrorKind::Unauthenticated => Self::Lost,
            ErrorKind::Timeout | ErrorKind::Conflict => Self::Held,
            _ => Self::Refused,
        }
    }

    fn of_driver(cause: &sqlx::Error) -> Self {
        let sqlx::Error::Database(cause) = cause else {
            return Self::Lost;
        };
        let code = cause.code().unwrap_or_default();
        match code.as_ref() {
            "42P01" | "42704" | "3F000" => Self::Vanished,
            "55P03" | "57014" | "40001" | "40P01" => Self::Held,
            "XX000" if cause.message().contains("concurrently") => Self::Held,
            "XX000" if cause.message().contains("cache lookup failed") => Self::Vanished,
            "57P01" | "57P02" | "57P03" | "57P04" | "57P05" => Self::Lost,
            code if code.starts_with("08") => Self::Lost,
            _ => Self::Refused,
        }
    }
}

/// Maps a failure of `operation`, and tells what it means for the rest.
pub(crate) fn setback(operation: &'static str, cause: sqlx::Error) -> (Setback, Error) {
    (Setback::of_driver(&cause), from_driver(operation, cause))
}

fn from_driver(operation: &'static str, cause: sqlx::Error) -> Error {
    match cause {
        sqlx::Error::Database(cause) => from_server(operation, cause.as_ref()),
        // The pool keeps trying while the server refuses; either way nothing was sent.
        sqlx::Error::PoolTimedOut => {
            error(ErrorKind::Unavailable, operation).context("reason", "no connection in time")
        }
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            error(ErrorKind::Unavailable, operation).context("reason", "the connection pool is closed")
        }
        sqlx::Error::Io(cause) => error(ErrorKind::Unavailable, operation).source(cause),
        sqlx::Error::Tls(_) => {
            error(ErrorKind::Unavailable, operation).context("reason", "the TLS handshake failed")
        }
        sqlx::Error::Configuration(_) => error(ErrorKind::InvalidConfig, operation),
        _ => {
            error(ErrorKind::Unexpected, operation).context("reason", "the driver could not read the answer")
        }
    }
}

fn from_server(operation: &'static str, cause: &dyn DatabaseError) -> Error {
    let code = cause.code().unwrap_or_default().into_owned();
    let changed_meanwhile = code == "XX000" && cause.message().contains("concurrently");
    let mut mapped = error(
        if changed_meanwhile {
            ErrorKind::Conflict
        } else {
            kind_of(&code)
        },
        operation,
    );
    if changed_meanwhile || matches!(code.as_str(), "40001" | "40P01") {
        mapped = mapped.with_retry(Retry::Safe);
    }
    // Messages of the classes 22 and 23 repeat data.
    if !matches!(code.get(..2), Some("22" | "23")) {
        mapped = mapped.context("reason", cause.message());
    }
    mapped.context("sqlstate", code)
}

fn kind_of(code: &str) -> ErrorKind {
    match code {
        // "cannot execute … in a read-only transaction": the store cannot take writes now, later it can.
        "25006" => ErrorKind::Unavailable,
        "57014" | "55P03" | "25P03" => ErrorKind::Timeout,
        "40001" | "40P01" | "23505" | "42P04" | "42710" | "55006" => ErrorKind::Conflict,
        "42501" => ErrorKind::PermissionDenied,
        "3D000" => ErrorKind::NotFound,
        "3F000" | "42P01" | "42703" => ErrorKind::InvalidConfig,
        "0A000" => ErrorKind::Unsupported,
        _ => match code.get(..2) {
            Some("08" | "53" | "57") => ErrorKind::Unavailable,
            Some("28") => ErrorKind::Unauthenticated,
            Some("22") => ErrorKind::InvalidInput,
            _ => ErrorKind::Unexpected,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_takes_no_writes_now_is_unavailable() {
        for code in ["25006", "57P01", "57P03", "53300", "53100", "08006"] {
            assert_eq!(kind_of(code), ErrorKind::Unavailable, "{code}");
        }
        assert_eq!(kind_of("28P01"), ErrorKind::Unauthenticated);
        assert_eq!(kind_of(""), ErrorKind::Unexpected);
    }
}
