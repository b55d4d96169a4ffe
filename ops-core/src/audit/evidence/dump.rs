use std::io::BufRead;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What a plain `pg_dump` file holds of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DumpReport {
    /// Rows of the table and its partitions.
    pub rows: u64,
    /// The tables that were found, with their rows.
    pub tables: Vec<(String, u64)>,
    /// Whether the last line of a dump is there; without it the dump was cut off.
    pub whole: bool,
    /// How many rows there should be, if that is known.
    pub expected: Option<u64>,
    /// What is wrong; empty: it is complete, as far as that is known.
    pub faults: Vec<String>,
}

impl DumpReport {
    /// Nothing is wrong.
    pub fn complete(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Reads a plain, data-only dump (`pg_dump --data-only`) and says how many rows of `table` it holds: of the table itself and of those that begin with
/// its name and a `_`, as partitions do.
///
/// A dump of a table behind row level security, or of the parent of partitions, may be empty while `pg_dump` ends with 0. A file of rows alone proves nothing
/// about what they hold: for that, export evidence.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when the text cannot be read; [`ErrorKind::InvalidInput`] for a dump of another form.
pub fn check_dump(mut dump: impl BufRead, table: &str, expected: Option<u64>) -> Result<DumpReport> {
    let mut tables: Vec<(String, u64)> = Vec::new();
    let (mut whole, mut copying, mut counts) = (false, false, false);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        let read = dump
            .read_until(b'\n', &mut line)
            .map_err(|source| Error::new(ErrorKind::Unavailable, CHECK).source(source))?;
        if read == 0 {
            break;
        }
        number += 1;
        let torn = line.pop_if(|end| *end == b'\n').is_none();
        line.pop_if(|end| *end == b'\r');
        if number == 1 && line.starts_with(b"PGDMP") {
            return Err(Error::new(ErrorKind::InvalidInput, CHECK).context(
                "dump",
                "must be plain text: turn it into one with `pg_restore --file=-`",
            ));
        }
        if copying {
            if line == b"\\." {
                copying = false;
            } else if counts
                && !torn
                && let Some((_, rows)) = tables.last_mut()
            {
                *rows += 1;
            }
        } else if let Some(name) = copied(&line) {
            copying = true;
            counts = of_table(&name, table);
            if counts {
                tables.push((name, 0));
            }
        } else if line == b"-- PostgreSQL database dump complete" {
            whole = true;
        } else if inserts(&line) {
            return Err(Error::new(ErrorKind::InvalidInput, CHECK)
                .context("dump", "must have its rows as COPY: leave out --inserts"));
        }
    }
    let rows = tables.iter().map(|(_, rows)| rows).sum();
    let mut faults = Vec::new();
    if number == 0 {
        faults.push("the file is empty".to_owned());
    } else if copying || !whole {
        faults.push("the dump was cut off: its last line is missing".to_owned());
    }
    if tables.is_empty() {
        faults.push(format!(
            "it holds no rows of a table {table}: pg_dump was given another name, or a parent of partitions"
        ));
    } else if rows == 0 && expected != Some(0) {
        faults.push(
            "it holds no row: row level security hid them all, or the table is the parent of partitions (dump those too)"
                .to_owned(),
        );
    }
    if let Some(expected) = expected.filter(|expected| *expected != rows) {
        faults.push(format!("it holds {rows} rows, and {expected} were counted"));
    }
    Ok(DumpReport {
        rows,
        tables,
        whole,
        expected,
        faults,
    })
}

/// The table in `COPY schema.table (columns) FROM stdin;`, without quotes.
fn copied(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("COPY ")?.strip_suffix(" FROM stdin;")?;
    let name = rest.split_once(" (").map_or(rest, |(name, _)| name);
    Some(name.replace('"', ""))
}

fn inserts(line: &[u8]) -> bool {
    line.starts_with(b"INSERT INTO ")
}

/// Whether `name` is the table, with or without its schema, or one of its partitions.
fn of_table(name: &str, table: &str) -> bool {
    let bare = if table.contains('.') {
        name
    } else {
        name.rsplit('.').next().unwrap_or(name)
    };
    bare.strip_prefix(table)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

const CHECK: &str = "check dump";

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = "\n-- PostgreSQL database dump complete\n";

    fn check(dump: &str, expected: Option<u64>) -> DumpReport {
        check_dump(dump.as_bytes(), "audit_logs", expected).unwrap()
    }

    #[test]
    fn a_dump_is_complete_when_it_has_the_rows_that_were_counted_and_its_end() {
        let dump = format!(
            "COPY public.audit_logs (id, note) FROM stdin;\n1\ta\n2\t\\N\n\\.\nCOPY public.others (id) FROM stdin;\n7\n\\.\n{END}"
        );
        let report = check(&dump, Some(2));
        assert!(
            report.complete() && report.rows == 2 && report.whole,
            "{report:?}"
        );
        assert!(!check(&dump, Some(3)).complete());
        assert!(!check(&dump[..dump.len() - 5], Some(2)).complete(), "cut off");
        assert!(!check(&dump[..60], None).complete(), "cut off in a row");
    }

    #[test]
    fn rows_of_partitions_count_and_an_empty_parent_is_named() {
        let parts = "COPY audit_logs_2026_01 (id) FROM stdin;\n1\n\\.\nCOPY audit_logs_2026_02 (id) FROM stdin;\n2\n3\n\\.\n";
        let report = check(&format!("{parts}{END}"), Some(3));
        assert!(report.complete() && report.tables.len() == 2, "{report:?}");
        for empty in [
            "",
            END,
            "COPY public.audit_logs (id) FROM stdin;\n\\.\n\n-- PostgreSQL database dump complete\n",
        ] {
            let report = check(empty, None);
            assert!(!report.complete() && report.rows == 0, "{report:?}");
        }
        let asked = "COPY public.audit_logs (id) FROM stdin;\n\\.\n\n-- PostgreSQL database dump complete\n";
        assert!(check(asked, Some(0)).complete());
    }

    #[test]
    fn a_dump_of_another_form_is_refused_with_the_remedy() {
        for other in ["PGDMP\x01\x02", "INSERT INTO public.audit_logs VALUES (1);\n"] {
            let error = check_dump(other.as_bytes(), "audit_logs", None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
