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
    // `-p -u bob`: what stands behind is an option.
    if text.get(at + 2) == b' ' && text.get(at + 3) == b'-' {
        return None;
    }
    let before = &text.bytes[at.saturating_sub(FAR)..at];
    let ends = |byte: &u8| matches!(byte, b'\n' | b'|' | b';' | b'&');
    let line = before
        .iter()
        .rposition(ends)
        .map_or(before, |end| &before[end + 1..]);
    let (program, arguments) = run(line, option)?;
    // Behind a word of its own, sshpass has the options of another program.
    let mut words = arguments.split(|byte| *byte == b' ');
    if program.name == "sshpass" && words.any(|word| !word.is_empty() && word[0] != b'-') {
        return None;
    }
    let mut start = at + 2;
    let apart = text.get(start) == b' ';
    if apart && program.form == Touching {
        return None;
    }
    let quote = text.get(start + usize::from(apart));
    if matches!(quote, b'"' | b'\'' | b'`') {
        // The second one of a pair ends a text about the program.
        let width = text.width(start + usize::from(apart));
        let from = at - before.iter().rev().take_while(|byte| **byte != b'\n').count();
        // `\"` within a string is no end of it, and the sign in `it's` is no quote.
        let counts = |place: &usize| {
            text.get(*place) == quote
                && text.width(*place) == width
                && !(quote == b'\''
                    && text.before(*place).is_ascii_lowercase()
                    && matches!(text.get(*place + 1), b's' | b't')
                    && !text.get(*place + 2).is_ascii_graphic())
        };
        if quote == b'`' || (from..at).filter(counts).count() % 2 == 1 {
            return None;
        }
    }
    if program.form == Pair {
        start += usize::from(apart);
        start += usize::from(matches!(text.get(start), b'"' | b'\''));
        let user = text.bytes.get(start..)?.iter().take(64);
        let is_user = |byte: &&u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b',' | b'}');
        let length = user.take_while(is_user).position(|byte| *byte == b':')?;
        start += length + 1;
        if length == 0 || !text.get(start).is_ascii_graphic() || text.get(start) == b'/' {
            return None;
        }
    }
    let range = value(text, start, Field::Assigned)?;
    let value = &text.bytes[range.clone()];
    // `-p/--password` names an option twice.
    let placeholder =
        value.eq_ignore_ascii_case(b"pass") || value.starts_with(b"YOUR_") || value.starts_with(b"/-");
    // `mysql -perhaps`: a word of letters is a password only beside another option.
    let word =
        program.form == Touching && value.iter().all(u8::is_ascii_lowercase) && !arguments.contains(&b'-');
    (value.len() >= LEAST && !placeholder && !word).then_some(range)
}

/// The last program of `line` that takes a password by `option`, with its arguments so far: a whole word, behind which no other script stands.
fn run(line: &[u8], option: u8) -> Option<(&'static Program, &[u8])> {
    for at in (0..line.len()).rev() {
        if !line[at].is_ascii() {
            return None;
        }
        let before = at.checked_sub(1).map_or(b' ', |at| line[at]);
        let within = before.is_ascii_alphanumeric() || matches!(before, b'-' | b'_' | b'.');
        if within || !line[at].is_ascii_alphanumeric() {
            continue;
        }
        let arguments = |program: &Program| {
            line[at..]
                .strip_prefix(program.name.as_bytes())?
                .strip_prefix(b" ")
        };
        let mut programs = PROGRAMS.iter().filter(|program| program.option == option);
        if let Some(found) = programs.find_map(|program| Some((program, arguments(program)?))) {
            return Some(found);
        }
    }
    None
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
            ("sshpass -p hunter2 ssh -p 2222 root@db", "hunter2"),
            ("sshpass -phunter2 ssh root@db", "hunter2"),
            ("docker login -u bob -p hunter2 registry", "hunter2"),
            ("redis-cli -h cache -a hunter2 ping", "hunter2"),
            ("ldapsearch -D cn=admin -w hunter2", "hunter2"),
            ("sshpass -p $PASS mysql -phunter2", "hunter2"),
            ("パスワードは mysql -phunter2", "hunter2"),
            ("curl -s -u admin:hunter2 http://db", "hunter2"),
            ("curl -u 'admin:hunter2' http://db", "hunter2"),
            ("it's mysql -u a -p'hunter2x' db", "hunter2x"),
            ("don't run: sshpass -p 'hunter2x' ssh", "hunter2x"),
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
            "mysql -p/--password",
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
            "sshpass -e ssh -p 2222 host",
            "mysql -u app db && docker run -p8080:80 web",
            "docker login の後に ssh -p 2222 host",
            "apt install mysql -python",
            "`mysql -u root -p` and `use app`",
            "\"mysql -p\" and \"mysqldump -p\"",
            "'redis-cli -a' and 'auth'",
            "curl -u admin: http://x:8080",
            "curl -v -u http://x",
            "curl -u USER:PASS http://x",
            "{\"cmd\":\"curl -u admin\",\"url\":\"http://x\"}",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }
}
