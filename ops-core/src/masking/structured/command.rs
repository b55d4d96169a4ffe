//! Passwords that are given to a program by an option of one letter: `mysql -u root -phunter2`.

use std::ops::Range;

use super::value::{Field, value};
use super::view::Text;

/// A program that takes a password by an option.
struct Program {
    /// With the first of its arguments, if that makes the difference.
    name: &'static str,
    option: u8,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-phunter2`: behind a space stands something else.
    Touching,
    /// `-p hunter2`, or without the space.
    Either,
    /// `-u user:hunter2`.
    Pair,
}

use Form::{Either, Pair, Touching};

const fn program(name: &'static str, option: u8, form: Form) -> Program {
    Program { name, option, form }
}

static PROGRAMS: [Program; 23] = [
    program("mysql", b'p', Touching),
    program("mysqldump", b'p', Touching),
    program("mysqladmin", b'p', Touching),
    program("mysqlimport", b'p', Touching),
    program("mysqlcheck", b'p', Touching),
    program("mariadb", b'p', Touching),
    program("mariadb-dump", b'p', Touching),
    program("7z", b'p', Touching),
    program("sshpass", b'p', Either),
    program("docker login", b'p', Either),
    program("podman login", b'p', Either),
    program("mongo", b'p', Either),
    program("mongosh", b'p', Either),
    program("mongodump", b'p', Either),
    program("mongorestore", b'p', Either),
    program("redis-cli", b'a', Either),
    program("ldapsearch", b'w', Either),
    program("ldapmodify", b'w', Either),
    program("ldapadd", b'w', Either),
    program("sqlcmd", b'P', Either),
    program("unzip", b'P', Either),
    program("ipmitool", b'P', Either),
    program("curl", b'u', Pair),
];

/// How far before its option a program is sought.
const FAR: usize = 160;

/// How long a password is at least.
const LEAST: usize = 3;

/// The password behind the hyphen at `at`, if the option of a program begins there that takes one.
pub(super) fn password(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let option = text.get(at + 1);
    if text.before(at) != b' ' || !matches!(option, b'p' | b'P' | b'a' | b'u' | b'w') {
        return None;
    }
    let before = &text.bytes[at.saturating_sub(FAR)..at];
    let line = memchr::memrchr3(b'\n', b'|', b';', before).map_or(before, |end| &before[end + 1..]);
    let program = PROGRAMS
        .iter()
        .find(|program| program.option == option && runs(line, program.name.as_bytes()))?;
    let mut start = at + 2;
    let apart = text.get(start) == b' ';
    if apart && (program.form == Touching || text.get(start + 1) == b'-') {
        return None;
    }
    if program.form == Pair {
        start += usize::from(apart);
        start += usize::from(matches!(text.get(start), b'"' | b'\''));
        let user = text.bytes.get(start..)?.iter().take(64);
        let mut user = user.take_while(|byte| byte.is_ascii_graphic());
        start += user.position(|byte| *byte == b':')? + 1;
    }
    value(text, start, Field::Assigned).filter(|range| range.len() >= LEAST)
}

/// Whether `line` runs the program `name`: a whole word, with arguments behind it.
fn runs(line: &[u8], name: &[u8]) -> bool {
    memchr::memmem::find_iter(line, name).any(|at| {
        let before = at.checked_sub(1).map_or(b' ', |at| line[at]);
        let begins = !(before.is_ascii_alphanumeric() || matches!(before, b'-' | b'_' | b'.'));
        begins && line.get(at + name.len()) == Some(&b' ')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<&str> {
        let text = Text::plain(line.as_bytes());
        line.match_indices(" -")
            .filter_map(|(at, _)| password(&text, at + 1))
            .map(|range| &line[range])
            .collect()
    }

    #[test]
    fn a_password_stands_behind_the_option_of_its_program() {
        for (line, expected) in [
            ("mysql -u root -phunter2 app", "hunter2"),
            ("$ /usr/bin/mysqldump -uapp -p'S3cr3t pw' app > x", "S3cr3t pw"),
            ("mysql -h db -p\"a;b9\"", "a;b9"),
            ("sshpass -p hunter2 ssh root@db", "hunter2"),
            ("sshpass -phunter2 ssh root@db", "hunter2"),
            ("docker login -u bob -p hunter2 registry", "hunter2"),
            ("redis-cli -h cache -a hunter2 ping", "hunter2"),
            ("ldapsearch -D cn=admin -w hunter2", "hunter2"),
            ("curl -s -u admin:hunter2 http://db", "hunter2"),
            ("curl -u 'admin:hunter2' http://db", "hunter2"),
        ] {
            assert_eq!(found(line), [expected], "{line}");
        }
    }

    #[test]
    fn options_of_other_programs_and_what_stands_for_a_password_are_none() {
        for line in [
            "mysql -u root -p app",
            "mysql -p",
            "mysql -u root -p$PASSWORD",
            "mysql -P 3306",
            "mysql -p[API_KEY]",
            "mysql ok | sort -plain",
            "mysql ok; mkdir -public",
            "docker run -p 8080:80 web",
            "docker login -p -u bob",
            "mkdir -parents",
            "my-mysql -phunter2",
            "mysqlx -phunter2",
            "curl -u admin http://db",
            "curl -u $USER:$TOKEN http://db",
            "redis-cli -a",
            "sudo -u app:app ls",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }
}
