use ops_core::error::{Error, ErrorKind, Result};
use secrecy::SecretString;
use sqlx::ConnectOptions;
use std::process::Command;

use crate::error::error;
use crate::store::options;

/// The schema of the database of `url`, as the program `pg_dump --schema-only` in `PATH` writes it; commands of psql left out, so that
/// the same schema gives the same bytes.
///
/// # Errors
/// `NotFound` when there is no such program; `Unavailable` with its own words when it fails (it refuses a server newer than itself).
pub async fn schema_dump(url: &SecretString) -> Result<String> {
    let mut command = command(url)?;
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(|cause| failed("it did not end").source(cause))?;
    let output = output.map_err(|cause| {
        error(ErrorKind::NotFound, DUMP)
            .context("program", "pg_dump")
            .context("remedy", "install the client programs of PostgreSQL")
            .source(cause)
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(said.lines().next().unwrap_or_default()));
    }
    let text = String::from_utf8(output.stdout).map_err(|cause| failed("it wrote no UTF-8").source(cause))?;
    let lines = text.lines().filter(|line| !line.starts_with('\\'));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// The password goes by the environment: arguments are for everybody to see.
fn command(url: &SecretString) -> Result<Command> {
    let url = options(url)?.to_url_lossy();
    let mut command = Command::new("pg_dump");
    command
        // Whoever holds a table for long is not worth a dump that never ends.
        .args(["--schema-only", "--no-password", "--lock-wait-timeout=5s"])
        .env("PGHOST", url.host_str().unwrap_or("localhost"))
        .env("PGPORT", url.port().unwrap_or(5432).to_string())
        .env("PGUSER", decoded(url.username()))
        .env("PGDATABASE", decoded(url.path().trim_start_matches('/')));
    if let Some(password) = url.password() {
        command.env("PGPASSWORD", decoded(password));
    }
    if let Some((_, mode)) = url.query_pairs().find(|(name, _)| name == "sslmode") {
        command.env("PGSSLMODE", mode.as_ref());
    }
    Ok(command)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn failed(reason: &str) -> Error {
    error(ErrorKind::Unavailable, DUMP).context("reason", reason)
}

const DUMP: &str = "dump the schema";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_no_argument() {
        let url = SecretString::from("postgres://me:s%40fe@db.example:6543/shop".to_owned());
        let command = command(&url).unwrap();
        let arguments: Vec<_> = command
            .get_args()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        assert!(!arguments.concat().contains("s@fe"), "{arguments:?}");
        let password = command.get_envs().find(|(name, _)| *name == "PGPASSWORD");
        assert_eq!(password.and_then(|(_, value)| value), Some("s@fe".as_ref()));
    }
}
