//! Passwords that are given to a program by an option of one letter: `mysql -u root -phunter2`.

use std::ops::Range;

use super::key;
use super::label::{self, Meaning};
use super::value::{Field, value, with_tail};
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
    if text.before(at) != b' ' {
        return None;
    }
    if !matches!(option, b'p' | b'P' | b'a' | b'u' | b'w') {
        return after_flags(text, at);
    }
    // `-p -u bob`: what stands behind is an option.
    if text.get(at + 2) == b' ' && text.get(at + 3) == b'-' {
        return None;
    }
    let (program, arguments) = run(text, at, option)?;
    // Behind a word of its own, sshpass has the options of another program.
    let mut words = arguments.split(|byte| *byte == b' ');
    if program.name == "sshpass" && words.any(|word| !word.is_empty() && word[0] != b'-') {
        return None;
    }
    let start = at + 2;
    let apart = text.get(start) == b' ';
    if apart && program.form == Touching {
        return None;
    }
    let start = start + usize::from(apart);
    if program.form == Pair {
        return behind_user(text, at, start);
    }
    if !opens(text, at, start) {
        return None;
    }
    let range = with_tail(text, value(text, start, Field::Assigned)?);
    let value = &text.bytes[range.clone()];
    // `-p/--password` names an option twice.
    let placeholder =
        value.eq_ignore_ascii_case(b"pass") || value.starts_with(b"YOUR_") || value.starts_with(b"/-");
    // `mysql -perhaps`: a word of letters is a password only beside another option.
    let word = program.form == Touching && value.iter().all(u8::is_ascii_lowercase) && !has_option(text, at);
    (value.len() >= LEAST && !placeholder && !word).then_some(range)
}

/// As [`password`], for the option of curl with flags before it in one word: `curl -sSu user:hunter2`.
fn after_flags(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let flags = text.bytes[at + 1..].iter().take(MOST_FLAGS);
    let flags = flags.take_while(|byte| FLAGS.contains(byte)).count();
    let option = at + 1 + flags;
    if flags == 0 || !text.starts(option, b"u ") {
        return None;
    }
    run(text, at, b'u')?;
    behind_user(text, at, option + 2)
}

/// What is secret behind an option of a word that begins with the two hyphens at `at`: `curl --user user:hunter2`, `--token abcd1234`.
pub(super) fn long_option(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    if !matches!(text.before(at), b' ' | b'\n' | 0) {
        return None;
    }
    let rest = &text.bytes[at + 2..];
    let is_of_name = |byte: &&u8| byte.is_ascii_lowercase() || **byte == b'-';
    let end = at + 2 + rest.iter().take(LONGEST_OPTION).take_while(is_of_name).count();
    let (name, sign) = (&text.bytes[at + 2..end], text.get(end));
    if matches!(name, b"user" | b"proxy-user") && matches!(sign, b' ' | b'=') {
        run(text, at, b'u')?;
        return behind_user(text, at, end + 1);
    }
    // With a sign, it is a field.
    if sign != b' ' || !key::may_be_name(text, end) || label::ending(text, end)?.meaning != Meaning::Secret {
        return None;
    }
    value(text, end, Field::Assigned).filter(|value| key::is_random(&text.bytes[value.clone()]))
}

const LONGEST_OPTION: usize = 32;

/// Flags of curl that have no argument.
const FLAGS: &[u8] = b"sSkvLfgiI#0";
const MOST_FLAGS: usize = 5;

/// The password of `user:password` at `start`, behind the option at `at`.
fn behind_user(text: &Text<'_>, at: usize, start: usize) -> Option<Range<usize>> {
    if !opens(text, at, start) {
        return None;
    }
    let quote = text.get(start);
    let quoted = matches!(quote, b'"' | b'\'');
    let from = start + usize::from(quoted);
    let is_user = |byte: &&u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b',' | b'}');
    let length = text
        .bytes
        .get(from..)?
        .iter()
        .take(64)
        .take_while(is_user)
        .position(|byte| *byte == b':')?;
    let first = from + length + 1;
    if length == 0 || !text.get(first).is_ascii_graphic() || text.get(first) == b'/' {
        return None;
    }
    let mut range = with_tail(text, value(text, first, Field::Assigned)?);
    // Within quotes it goes on behind a blank.
    if quoted && range.start == first {
        let rest = &text.bytes[range.end..text.bytes.len().min(range.end + FAR)];
        let end = rest.iter().position(|byte| *byte == quote || *byte == b'\n');
        range.end += end.filter(|end| rest[*end] == quote).unwrap_or(0);
    }
    let value = &text.bytes[range.clone()];
    let placeholder = value.eq_ignore_ascii_case(b"pass") || value.starts_with(b"YOUR_");
    (range.len() >= LEAST && !placeholder).then_some(range)
}

/// Whether no quote stands at `start`, or one that opens a text: the second one of a pair ends a text about the program of the option at `at`.
fn opens(text: &Text<'_>, at: usize, start: usize) -> bool {
    let quote = text.get(start);
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return true;
    }
    let width = text.width(start);
    let low = at.saturating_sub(FAR);
    // Within a string, what counts are the quotes of that string.
    let is_edge = |place: &usize| {
        text.get(*place) == b'\n' || width > 1 && text.get(*place) == b'"' && text.width(*place) == 1
    };
    let from = (low..at).rev().find(is_edge).map_or(low, |edge| edge + 1);
    // `\"` within a string is no end of it, and the sign in `it's` is no quote.
    let counts = |place: &usize| {
        text.get(*place) == quote
            && text.width(*place) == width
            && !(quote == b'\'' && is_apostrophe(text, *place))
    };
    quote != b'`' && (from..at).filter(counts).count() % 2 == 0
}

/// Whether the sign at `at` stands within a word, as in `it's`, and not behind the letter of an option.
fn is_apostrophe(text: &Text<'_>, at: usize) -> bool {
    let mut start = at;
    while text.before(start).is_ascii_alphabetic() && at - start < 24 {
        start -= 1;
    }
    start < at && text.before(start) != b'-' && text.get(at + 1).is_ascii_alphabetic()
}

/// The last program before the option at `at` that takes a password by one such, with its arguments so far: a whole word, behind which no other
/// script stands and no other command begins.
fn run<'a>(text: &Text<'a>, at: usize, option: u8) -> Option<(&'static Program, &'a [u8])> {
    let line = &text.bytes[at.saturating_sub(FAR)..at];
    for at in (0..line.len()).rev() {
        if !line[at].is_ascii() || line[at] == b'\n' {
            return None;
        }
        let before = at.checked_sub(1).map_or(b' ', |at| line[at]);
        let within = before.is_ascii_alphanumeric() || matches!(before, b'-' | b'_' | b'.');
        if within || !line[at].is_ascii_alphanumeric() {
            continue;
        }
        let arguments = |program: &Program| {
            let rest = line[at..].strip_prefix(program.name.as_bytes())?;
            rest.strip_prefix(b".exe").unwrap_or(rest).strip_prefix(b" ")
        };
        let mut programs = PROGRAMS.iter().filter(|program| program.option == option);
        if let Some(found) = programs.find_map(|program| Some((program, arguments(program)?))) {
            return (!has_end(found.1)).then_some(found);
        }
    }
    None
}

/// Whether another option stands before the one at `at` in its command. Of `mysql -u mysql -phunter2` the second word is no program.
fn has_option(text: &Text<'_>, at: usize) -> bool {
    let before = &text.bytes[at.saturating_sub(FAR)..at];
    let ends = |byte: &u8| matches!(byte, b'\n' | b'|' | b';' | b'&');
    let command = before.rsplit(ends).next().unwrap_or_default();
    memchr::memmem::find(command, b" -").is_some()
}

/// Whether a command ends among `arguments`, not within quotes as in `mysql -e "select 1; select 2"`.
fn has_end(arguments: &[u8]) -> bool {
    let mut open = None;
    arguments.iter().any(|byte| {
        match open {
            None if matches!(byte, b'"' | b'\'') => open = Some(*byte),
            Some(quote) if quote == *byte => open = None,
            _ => {}
        }
        open.is_none() && matches!(byte, b'|' | b';' | b'&')
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
            ("sshpass -p hunter2 ssh -p 2222 root@db", "hunter2"),
            ("sshpass -phunter2 ssh root@db", "hunter2"),
            ("docker login -u bob -p hunter2 registry", "hunter2"),
            ("redis-cli -h cache -a hunter2 ping", "hunter2"),
            ("ldapsearch -D cn=admin -w hunter2", "hunter2"),
            ("sshpass -p $PASS mysql -phunter2", "hunter2"),
            ("パスワードは mysql -phunter2", "hunter2"),
            ("curl -s -u admin:hunter2 http://db", "hunter2"),
            ("curl -u 'admin:hunter2' http://db", "hunter2"),
            ("curl -u \"admin:hunter 2x\" http://db", "hunter 2x"),
            ("curl -u admin:p@ss,w0rd99 http://db", "p@ss,w0rd99"),
            ("curl -sSu admin:hunter2 http://db", "hunter2"),
            ("mysql -u root mysql -phunter", "hunter"),
            ("mysql -u mysql -phunter", "hunter"),
            ("mysql.exe -u root -phunter2", "hunter2"),
            ("mysql -e \"select 1; select 2\" -u root -phunter2", "hunter2"),
            ("it's mysql -u a -p'hunter2x' db", "hunter2x"),
            ("I'm running mysql -u'root' -p'hunter2x'", "hunter2x"),
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
            "curl -sSf admin:hunter2",
            "curl -ou admin:hunter2",
            "mysql -e \"select 1\"; mkdir -public2",
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
    #[test]
    fn an_option_of_a_word_has_a_user_before_its_password() {
        let found = |line: &str| {
            let range = long_option(&Text::plain(line.as_bytes()), line.find("--")?)?;
            Some(line[range].to_owned())
        };
        for line in [
            "curl --user admin:hunter2x http://db",
            "curl --proxy-user 'a:hunter2x' http://db",
        ] {
            assert_eq!(found(line).as_deref(), Some("hunter2x"), "{line}");
        }
        for line in [
            "curl --user admin",
            "curl --user-agent a:hunter2x",
            "npm --user a:hunter2x",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
