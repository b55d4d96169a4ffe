//! A script as it is sent: which statements, and whether in one transaction.

use serde::Serialize;

use super::hazard::refuses_transactions;
use super::tree::{Kind, Parsed, parse};
use crate::error::{Error, ErrorKind, Result};

/// A statement of a script, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statement {
    /// Where it begins, from 1.
    pub line: usize,
    /// Its text.
    pub sql: String,
    /// Whether the server refuses it inside a transaction.
    pub autocommit: bool,
}

/// Whether `script` is one transaction: its first line is `-- atomic` (or `-- atomic: why`), or it is wrapped in `BEGIN` and `COMMIT`.
pub fn is_whole(script: &str) -> bool {
    says_atomic(script) || is_wrapped(&parse(script))
}

/// Whether a `.down.sql` with this text is a way back: one of comments only is none. What cannot be read counts, and is told where it is planned.
pub fn is_way_back(down: &str) -> bool {
    statements(down).map_or(true, |found| !found.is_empty())
}

/// The statements of `script`, in their order, without the `BEGIN` and `COMMIT` around them.
///
/// # Errors
/// `InvalidInput` with the line where the parser gave up; for a first line that begins with the word *atomic* and goes on otherwise, which may be
/// meant or not; for a statement that begins or ends a transaction elsewhere; and, unless the
/// script [is one transaction](is_whole), for one that is about the session (`SET`, `LOCK`, `PREPARE`, temporary tables): every
/// statement runs in a session of its own, and would find nothing of it.
pub fn statements(script: &str) -> Result<Vec<Statement>> {
    let all = parse(script);
    let (wrapped, last) = (is_wrapped(&all), all.len().saturating_sub(1));
    let whole = wrapped || says_atomic(script);
    if !whole && speaks_of_atomic(script) {
        return Err(Error::new(ErrorKind::InvalidInput, "read script")
            .context(
                "line",
                line_of(script, script.len() - script.trim_start().len()).to_string(),
            )
            .context(
                "reason",
                "it may say that the script is one transaction, or only speak of something atomic",
            )
            .context(
                "remedy",
                "write `-- atomic` alone, or `-- atomic: why`; else begin the comment with another word",
            ));
    }
    let mut statements = Vec::new();
    for (at, parsed) in all.iter().enumerate() {
        let line = line_of(script, parsed.range.start);
        let wrong = |reason: &str, remedy: &'static str| {
            Err(Error::new(ErrorKind::InvalidInput, "read script")
                .context("line", line.to_string())
                .context("reason", reason)
                .context("remedy", remedy))
        };
        if let Some(error) = &parsed.error {
            return wrong(
                error,
                "write it as one PostgreSQL statement after the other, without commands of psql",
            );
        }
        if wrapped && (at == 0 || at == last) {
            continue;
        }
        if is_transaction_control(parsed) {
            return wrong(
                "it begins or ends a transaction in the middle of the script",
                "take it away; for one transaction let the script begin with the line `-- atomic`",
            );
        }
        if !whole && is_of_session(parsed) {
            return wrong(
                "it is about the session, and every statement has a session of its own",
                "take it away (a run sets its own lock_timeout), or let the script begin with the line `-- atomic`",
            );
        }
        statements.push(Statement {
            line,
            sql: script.get(parsed.range.clone()).unwrap_or_default().to_owned(),
            autocommit: refuses_transactions(&parsed.node),
        });
    }
    Ok(statements)
}

/// The line of `script` that has the byte `at`, from 1.
pub(super) fn line_of(script: &str, at: usize) -> usize {
    script
        .get(..at)
        .map_or(1, |before| before.matches('\n').count() + 1)
}

fn says_atomic(script: &str) -> bool {
    let comment = first_comment(script);
    let said = comment.split_once(':').map_or(comment, |(said, _)| said);
    said.trim().eq_ignore_ascii_case("atomic")
}

fn speaks_of_atomic(script: &str) -> bool {
    let mut words = first_comment(script).split(|letter: char| !letter.is_alphanumeric());
    let word = words.find(|word| !word.is_empty());
    word.is_some_and(|word| word.eq_ignore_ascii_case("atomic"))
}

/// What the first line says, if it is a comment.
fn first_comment(script: &str) -> &str {
    let first = script.trim_start().lines().next().unwrap_or_default();
    first.strip_prefix("--").unwrap_or_default()
}

fn is_wrapped(all: &[Parsed]) -> bool {
    let words = |parsed: Option<&Parsed>| parsed.map(|parsed| parsed.node.words()).unwrap_or_default();
    let (first, last) = (words(all.first()), words(all.last()));
    let plain = |words: &[String], of: &[&[&str]]| of.iter().any(|form| words == *form);
    all.len() > 1
        && plain(
            &first,
            &[
                &["begin"],
                &["begin", "transaction"],
                &["begin", "work"],
                &["start", "transaction"],
            ],
        )
        && plain(
            &last,
            &[
                &["commit"],
                &["commit", "transaction"],
                &["commit", "work"],
                &["end"],
            ],
        )
}

fn is_transaction_control(parsed: &Parsed) -> bool {
    let words = parsed.node.words();
    let words: Vec<&str> = words.iter().take(3).map(String::as_str).collect();
    match words.as_slice() {
        ["begin" | "start" | "commit" | "end" | "abort", ..] | ["prepare", "transaction", ..] => true,
        // To a savepoint only takes back a part.
        ["rollback", ..] => parsed.node.kind() != Kind::ROLLBACK_TO_SAVEPOINT,
        _ => false,
    }
}

fn is_of_session(parsed: &Parsed) -> bool {
    const FIRST: [&str; 14] = [
        "set",
        "reset",
        "discard",
        "lock",
        "savepoint",
        "release",
        "rollback",
        "prepare",
        "deallocate",
        "execute",
        "declare",
        "fetch",
        "move",
        "close",
    ];
    let words = parsed.node.words();
    let first = words.first().map(String::as_str).unwrap_or_default();
    FIRST.contains(&first)
        // In a search path it is no object of the session.
        || words.windows(2).any(|pair| pair[0].trim_matches('"') == "pg_temp" && pair[1] == ".")
        || parsed.node.contains(Kind::TEMP)
        || parsed.node.all(Kind::CALL_EXPR).iter().any(|call| {
            let callee = call.children().next().and_then(|callee| callee.name().pop());
            callee.as_deref() == Some("set_config")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_one_transaction_when_it_says_so() {
        for whole in [
            "-- atomic\nselect 1;",
            "\n-- ATOMIC: both or none\nselect 1;",
            "--atomic\nselect 1;",
            "-- why\nbegin;\nselect 1;\ncommit;",
            "START TRANSACTION; select 1; END;",
        ] {
            assert!(is_whole(whole), "{whole}");
            assert_eq!(statements(whole).unwrap().len(), 1, "{whole}");
        }
        for not in [
            "select 1;",
            "-- atomically\nselect 1;",
            "-- atomic counters of orders\nselect 1;",
            "begin; select 1;",
            "begin; select 1; rollback;",
        ] {
            assert!(!is_whole(not), "{not}");
        }
    }

    #[test]
    fn a_way_back_has_a_statement() {
        for none in [
            "",
            " \n",
            "-- nothing to undo\n",
            "/* later */;",
            "begin;\n-- nothing\ncommit;",
        ] {
            assert!(!is_way_back(none), "{none}");
        }
        for some in ["select 1", "-- why\ndrop table a;", "\\connect other"] {
            assert!(is_way_back(some), "{some}");
        }
    }

    #[test]
    fn a_first_line_that_only_speaks_of_something_atomic_is_refused() {
        for unclear in [
            "\n-- atomic counters of orders\nselect 1;",
            "-- [atomic]\nselect 1;",
            "--- atomic\nselect 1;",
        ] {
            let error = statements(unclear).unwrap_err().to_string();
            assert!(error.contains("-- atomic: why"), "{unclear}: {error}");
        }
        let wrapped = "-- atomic counters of orders\nbegin;\nselect 1;\ncommit;";
        assert!(
            is_whole(wrapped) && statements(wrapped).is_ok(),
            "it says what it is"
        );
    }

    #[test]
    fn a_transaction_is_never_taken_apart() {
        for script in [
            "begin;\ndelete from orders;\nrollback;",
            "begin;\nselect 1;",
            "select 1;\ncommit;",
            "-- atomic\nselect 1;\ncommit;\nselect 2;",
            "begin; select 1; commit; begin; select 2; commit;",
            "begin isolation level serializable;\nselect 1;\ncommit;",
            "select 1;\nprepare transaction 'a';",
        ] {
            let error = statements(script).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{script}");
            assert!(error.to_string().contains("transaction"), "{script}: {error}");
        }
    }

    #[test]
    fn what_is_about_the_session_needs_one_transaction() {
        for sql in [
            "set search_path to shop",
            "set local lock_timeout = '2s'",
            "set role app",
            "set session authorization app",
            "reset all",
            "lock table orders in share mode",
            "savepoint a",
            "prepare q as select 1",
            "create temp table t (id int)",
            "create temporary view v as select 1",
            "create temp table t as select 1",
            "select 1 as a into temp t",
            "create table pg_temp.t (id int)",
            "insert into \"pg_temp\".t values (1)",
            "drop table PG_TEMP.t",
            "select set_config('search_path', 'shop', false)",
            "declare c cursor for select 1",
        ] {
            let error = statements(&format!("select 1;\n{sql};")).unwrap_err().to_string();
            assert!(
                error.contains("session") && error.contains("line: 2"),
                "{sql}: {error}"
            );
            assert!(
                statements(&format!("-- atomic\nselect 1;\n{sql};")).is_ok(),
                "{sql}"
            );
        }
        for sql in [
            "update orders set a = 1; alter table orders set (fillfactor = 70);",
            // As the server's manual recommends it.
            "create function f() returns int language sql set search_path = pg_catalog, pg_temp as 'select 1';",
        ] {
            assert!(statements(sql).is_ok(), "{sql}");
        }
    }
}
