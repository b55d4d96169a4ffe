use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::CopyKind;
use ops_core::ports::PiiMasker;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::restore::TEST;
use super::script::feed;
use crate::error::error;

/// What a program of PostgreSQL said that it could not do, and whether it ended well.
pub(super) struct Said {
    pub(super) errors: Vec<String>,
    /// Roles that it missed.
    pub(super) missing_roles: Vec<String>,
    pub(super) ended_well: bool,
}

/// Restores `dump` into `database` of `server`. `pg_restore` goes on after an error, so that all are known. `psql` does not: after a table that cannot be made
/// it would take its rows, which are others' words, for commands; and it takes no backslash command of the dump ([`feed`]).
///
/// # Errors
/// `NotFound` when the program is missing, `Unsupported` for a `psql` that cannot be kept from backslash commands, `Unavailable` when the dump cannot be read.
///
/// # Cancellation
/// Dropping the future ends the program.
pub(super) async fn restore(
    programs: &Path,
    kind: CopyKind,
    dump: &Path,
    server: &PgConnectOptions,
    database: &str,
    masker: &dyn PiiMasker,
) -> Result<Said> {
    let name = match kind {
        CopyKind::PlainDump => "psql",
        _ => "pg_restore",
    };
    // Of the server's own version where it is there, else the one that is found.
    let beside = programs.join(name);
    let mut command = match beside.is_file() {
        true => Command::new(beside),
        false => Command::new(name),
    };
    let port = server.get_port().to_string();
    command.args(["-w", "-h", server.get_host(), "-p", &port]).args([
        "-U",
        server.get_username(),
        "-d",
        database,
    ]);
    match kind {
        CopyKind::PlainDump => command
            .args([
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-v",
                "VERBOSITY=terse",
                "-f",
                "-",
            ])
            .stdin(Stdio::piped()),
        _ => command.arg(dump).stdin(Stdio::null()),
    };
    // Nothing of the surroundings leads it elsewhere or changes its language.
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C")
        .envs(
            server
                .to_url_lossy()
                .password()
                .map(|password| ("PGPASSWORD", password.to_owned())),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let script = match kind {
        CopyKind::PlainDump => Some(File::open(dump).map_err(unread)?),
        _ => None,
    };
    let child = command.spawn().map_err(|cause| {
        error(ErrorKind::NotFound, TEST)
            .context("program", name)
            .context("remedy", "install the client programs of PostgreSQL")
            .source(cause)
    })?;
    let mut running = Running(child);
    let feeding = script.zip(running.0.stdin.take()).map(|(script, stdin)| {
        let key = Uuid::new_v4().simple().to_string();
        tokio::task::spawn_blocking(move || feed(script, stdin, &key))
    });
    let stderr = running.0.stderr.take();
    let lines = tokio::task::spawn_blocking(move || stderr.map(lines).unwrap_or_default())
        .await
        .map_err(|cause| error(ErrorKind::Unavailable, TEST).source(cause))?;
    // It has closed its last stream: it ends now.
    let status = running.0.wait();
    let status = status.map_err(|cause| error(ErrorKind::Unavailable, TEST).source(cause))?;
    if let Some(feeding) = feeding {
        let fed = feeding
            .await
            .map_err(|cause| error(ErrorKind::Unavailable, TEST).source(cause))?;
        fed.map_err(unread)?;
    }
    if lines.iter().any(|line| line.ends_with(UNKNOWN)) {
        return Err(error(ErrorKind::Unsupported, TEST)
            .context(
                "program",
                "psql is too old to keep a script from starting programs",
            )
            .context(
                "remedy",
                "update it to its newest minor version, or dump with -Fc",
            ));
    }
    let complaints: Vec<String> = lines.iter().filter_map(|line| complaint(line)).collect();
    // As it was said: a role may be called like a mail address.
    let mut missing_roles: Vec<String> = complaints
        .iter()
        .filter_map(|line| missing_role(line).map(str::to_owned))
        .collect();
    missing_roles.sort_unstable();
    missing_roles.dedup();
    let mut errors: Vec<String> = complaints
        .iter()
        .map(|line| masker.mask(line).into_owned())
        .collect();
    errors.dedup();
    Ok(Said {
        errors,
        missing_roles,
        ended_well: status.success(),
    })
}

fn unread(cause: std::io::Error) -> Error {
    error(ErrorKind::Unavailable, TEST)
        .context("dump", "cannot be read")
        .source(cause)
}

fn lines(stderr: ChildStderr) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    // Read to the end, so that the program never waits; kept are the first.
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if lines.len() < MOST {
            lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        line.clear();
    }
    lines
}

/// The complaint in a line, without what it quotes of the data; `None` for a line that goes with one, which may show a row.
fn complaint(line: &str) -> Option<String> {
    let said = match line.split_once("pg_restore: error: ") {
        Some((before, said)) if before.is_empty() || before.ends_with(": ") => said,
        _ => {
            let ours = line.starts_with("psql:");
            let (_, said) = line
                .split_once("ERROR:  ")
                .filter(|_| ours)
                .or_else(|| line.split_once("error: ").filter(|_| ours))?;
            said
        }
    };
    // `invalid input syntax for type integer: "…"` shows a value.
    let said = said.split(": \"").next().unwrap_or(said);
    Some(without_values(said).chars().take(200).collect())
}

/// Names stay, and any other text in quotes goes: it may be a value.
fn without_values(said: &str) -> String {
    let mut parts = said.split('"');
    let mut kept = parts.next().unwrap_or_default().to_owned();
    while let Some(quoted) = parts.next() {
        let is_name = NAMED.iter().any(|kind| kept.ends_with(kind));
        kept.push('"');
        kept.push_str(if is_name { quoted } else { "…" });
        kept.push('"');
        kept.push_str(parts.next().unwrap_or_default());
    }
    kept
}

/// What stands before the name of something in a message of the server.
const NAMED: [&str; 14] = [
    "relation ",
    "table ",
    "column ",
    "role ",
    "type ",
    "extension ",
    "function ",
    "schema ",
    "constraint ",
    "database ",
    "index ",
    "language ",
    "collation ",
    "tablespace ",
];

/// The role that a complaint misses.
fn missing_role(complaint: &str) -> Option<&str> {
    let (_, rest) = complaint.split_once("role \"")?;
    rest.strip_suffix("\" does not exist")
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

const MOST: usize = 2000;
/// The first line of a script that we restrict, or that restricts itself.
const UNKNOWN: &str = "invalid command \\restrict";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_what_failed_and_shows_no_value() {
        for (line, wanted) in [
            (
                "pg_restore: error: could not execute query: ERROR:  role \"shop\" does not exist",
                Some("could not execute query: ERROR:  role \"shop\" does not exist"),
            ),
            (
                "pg_restore: error: COPY failed for table \"t\": ERROR:  invalid input syntax for type integer: \"Yamada\"",
                Some("COPY failed for table \"t\": ERROR:  invalid input syntax for type integer"),
            ),
            (
                "psql:/tmp/x.sql:12: ERROR:  relation \"orders\" does not exist",
                Some("relation \"orders\" does not exist"),
            ),
            (
                "psql:/tmp/x.sql:9: ERROR:  syntax error at or near \"Yamada\"",
                Some("syntax error at or near \"…\""),
            ),
            (
                "pg_restore: error: COPY failed for table \"t\": ERROR:  value \"4711\" is out of range for type integer",
                Some("COPY failed for table \"t\": ERROR:  value \"…\" is out of range for type integer"),
            ),
            ("DETAIL:  Key (mail)=(a@b.example) already exists.", None),
            ("CONTEXT:  COPY t, line 1, column id: \"Yamada ERROR:  x\"", None),
            ("Command was: INSERT 'pg_restore: error: x'", None),
            ("pg_restore: warning: errors ignored on restore: 3", None),
        ] {
            assert_eq!(complaint(line).as_deref(), wanted, "{line}");
        }
        assert_eq!(missing_role("ERROR:  role \"shop\" does not exist"), Some("shop"));
        assert_eq!(missing_role("relation \"x\" does not exist"), None);
    }
}
