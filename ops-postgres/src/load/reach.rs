use std::io;
use std::time::Duration;

use ops_core::model::DatabaseReach;
use secrecy::SecretString;
use sqlx::{Connection, PgConnection};

use crate::store::options;

/// Tries to connect to the database of `url` once, within three seconds, and tells what became of it. Needs none of our tables. Nothing of the URL is in the answer.
pub async fn database_reach(url: &SecretString) -> DatabaseReach {
    let Ok(options) = options(url) else {
        return DatabaseReach::BadUrl;
    };
    match tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await {
        Err(_) => DatabaseReach::NoAnswer,
        Ok(Err(cause)) => of(&cause),
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            DatabaseReach::Answers
        }
    }
}

fn of(cause: &sqlx::Error) -> DatabaseReach {
    match cause {
        sqlx::Error::Database(cause) => of_code(&cause.code().unwrap_or_default()),
        sqlx::Error::Tls(_) => DatabaseReach::Tls,
        sqlx::Error::Configuration(_) => DatabaseReach::BadUrl,
        sqlx::Error::Io(cause) => of_io(cause),
        _ => DatabaseReach::Other,
    }
}

fn of_code(code: &str) -> DatabaseReach {
    match code {
        "53300" => DatabaseReach::TooManyConnections,
        "3D000" => DatabaseReach::NoDatabase,
        "42501" => DatabaseReach::NotPermitted,
        "57P01" | "57P02" | "57P03" => DatabaseReach::NotReady,
        code if code.starts_with("28") => DatabaseReach::Unauthenticated,
        _ => DatabaseReach::Other,
    }
}

fn of_io(cause: &io::Error) -> DatabaseReach {
    match cause.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound | io::ErrorKind::ConnectionReset => {
            DatabaseReach::Refused
        }
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            DatabaseReach::NoAnswer
        }
        // The resolver's own kind has no name here.
        _ if cause.to_string().contains("lookup address") => DatabaseReach::UnknownHost,
        _ => DatabaseReach::Other,
    }
}

const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_not_to_connect_is_told_apart() {
        for (code, reach) in [
            ("53300", DatabaseReach::TooManyConnections),
            ("28P01", DatabaseReach::Unauthenticated),
            ("28000", DatabaseReach::Unauthenticated),
            ("3D000", DatabaseReach::NoDatabase),
            ("42501", DatabaseReach::NotPermitted),
            ("57P03", DatabaseReach::NotReady),
            ("XX000", DatabaseReach::Other),
        ] {
            assert_eq!(of_code(code), reach, "{code}");
        }
        let io = |kind| of(&sqlx::Error::Io(io::Error::from(kind)));
        assert_eq!(io(io::ErrorKind::ConnectionRefused), DatabaseReach::Refused);
        assert_eq!(io(io::ErrorKind::HostUnreachable), DatabaseReach::NoAnswer);
        let unknown = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(of(&sqlx::Error::Io(unknown)), DatabaseReach::UnknownHost);
        assert_eq!(of(&sqlx::Error::Tls("certificate".into())), DatabaseReach::Tls);
    }

    #[tokio::test]
    async fn what_is_no_url_is_not_tried() {
        let url = SecretString::from("postgres//nobody");
        assert_eq!(database_reach(&url).await, DatabaseReach::BadUrl);
    }
}
