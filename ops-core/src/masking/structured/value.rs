//! What the value of a secret is, and what stands in its place where there is none.

use std::ops::Range;

use super::scheme::scheme;
use super::view::{BREAK, Text};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `name=value`, `"name": "value"`.
    Assigned,
    /// `name: value`, in which prose may follow.
    Told,
}

/// The value that begins at or soon after `at`.
pub(super) fn value(text: &Text<'_>, at: usize, field: Field) -> Option<Range<usize>> {
    let mut start = at;
    while matches!(text.get(start), b' ' | b'\t') && start - at < BLANKS {
        start += 1;
    }
    // `password:\nhunter2x`: a value may be all of the next line of a text with escaped breaks.
    let broken = text.get(start) == BREAK;
    while matches!(text.get(start), BREAK | b' ') && start - at < BLANKS {
        start += 1;
    }
    // As Rust writes what may be missing: `password: Some("hunter2x")`.
    let some = text.starts(start, b"Some(");
    if some {
        start += b"Some(".len();
    }
    start = wrapped(text, start);
    let quote = text.get(start);
    let range = if matches!(quote, b'"' | b'\'' | b'`') {
        let width = text.width(start);
        start += 1;
        start = scheme(text, start);
        let close = |end: &usize| {
            text.get(*end) == quote
                && text.width(*end) == width
                && !(quote == b'\'' && is_escaped(text, *end, start))
        };
        let limit = text.bytes.len().min(start + 16 * LONGEST);
        let end = (start..limit)
            .take_while(|end| text.get(*end) != b'\n')
            .find(close)
            // What is so long and has words in it is prose behind a quote that nothing closes.
            .filter(|end| end - start <= LONGEST || !text.bytes[start..*end].contains(&b' '))
            .unwrap_or_else(|| plain_end(text, start));
        start..end
    } else {
        start = scheme(text, start);
        for bracket in ["「", "『", "“"] {
            if text.starts(start, bracket.as_bytes()) {
                start += bracket.len();
            }
        }
        let end = plain_end(text, start);
        let value = &text.bytes[start..end];
        // `Token token="…"`: what stands here is the name of another field.
        if is_name(value, field)
            && matches!(text.get(end), b'"' | b'\'')
            && (text.get(end + 1).is_ascii_alphanumeric() || text.get(end + 1) == b'[')
        {
            return None;
        }
        let word = value.iter().all(u8::is_ascii_alphabetic);
        let line_ends = matches!(text.get(end), 0 | b'\n' | b'\r' | b'"' | BREAK);
        let ends = line_ends || matches!(text.get(end), b',' | b'}') || text.get(end) >= 0x80;
        // `Password:\nLogin`: a button.
        let button = word && !(value.len() >= 8 && value.iter().all(u8::is_ascii_lowercase));
        if broken && (!line_ends || button || field == Field::Assigned || value.contains(&b'=')) {
            return None;
        }
        if field == Field::Told && word && !ends && !some
            || is_expression(value, text.get(end), text.get(end + 1))
        {
            return None;
        }
        start..end
    };
    (!range.is_empty() && !is_placeholder(&text.bytes[range.clone()])).then_some(range)
}

const LONGEST: usize = 4096;

/// A password that a person chose, with what stands of it behind a `,` or `;` that is a sign of it, as in `p@ss,w0rd99`. Another field, a
/// number, a date or an address is none of it.
pub(super) fn with_tail(text: &Text<'_>, range: Range<usize>) -> Range<usize> {
    let mut end = range.end;
    while end - range.start < LONGEST_TAIL && matches!(text.get(end), b',' | b';') {
        let rest = &text.bytes[end + 1..];
        let ends = |byte: &u8| !byte.is_ascii_graphic() || ENDS.contains(byte);
        let length = rest
            .iter()
            .take(LONGEST_TAIL)
            .position(ends)
            .unwrap_or(rest.len().min(LONGEST_TAIL));
        let part = &rest[..length];
        let is_sign = |byte: &u8| {
            matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'+' | b'?' | b'~'
            )
        };
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || is_sign(byte);
        let letter = part.iter().any(u8::is_ascii_alphabetic);
        let other = part.iter().any(|byte| byte.is_ascii_digit() || is_sign(byte));
        if !letter || !other || !part.iter().all(plain) {
            break;
        }
        end += 1 + length;
    }
    range.start..end
}

const LONGEST_TAIL: usize = 64;

/// How many blanks and tabs stand beside a sign at most, as in a table.
pub(super) const BLANKS: usize = 32;

/// Whether a value without quotes is the name of a field with its sign: `token=`. The end of base64 has its sign elsewhere.
fn is_name(value: &[u8], field: Field) -> bool {
    let name = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'.');
    // `serializers.CharField(label="…"`
    let called = |rest: &[u8]| {
        let Some(open) = memchr::memchr(b'(', rest) else {
            return false;
        };
        let (path, argument) = (&rest[..open], &rest[open + 1..]);
        let word = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        path.contains(&b'.') && rest.last() != Some(&b'=')
            || path.len() >= 3 && path.iter().all(word) && !argument.is_empty() && argument.iter().all(word)
    };
    let rest = value.strip_suffix(b"=");
    rest.is_some_and(|rest| field == Field::Told && rest.iter().all(name) || called(rest))
}

/// Whether an odd number of backslashes stands between `start` and the quote at `at`, as they are in the text as given.
fn is_escaped(text: &Text<'_>, at: usize, start: usize) -> bool {
    let is_escape = |place: &usize| text.get(*place) == b'\\' && text.width(*place) == 1;
    (start..at).rev().take_while(is_escape).count() % 2 == 1
}

/// All of the value of which `range` is found. What is read of a value before it is known to be one is bounded, so that time is linear.
pub(super) fn whole(text: &Text<'_>, range: Range<usize>) -> Range<usize> {
    if range.len() < LONGEST / 4 {
        return range;
    }
    range.start..run_end(text, range.end, usize::MAX)
}

/// The quote of the text that stands within constructors from `at` on, as in `Some(Secret("hunter2"))` or `Secret { value: "hunter2" }`, or behind the
/// letter that tells the kind of a string; else `at`.
fn wrapped(text: &Text<'_>, at: usize) -> usize {
    let is_quote = |place: usize| matches!(text.get(place), b'"' | b'\'');
    let mut start = at;
    for _ in 0..MOST_WRAPPERS {
        if is_quote(start) {
            return start;
        }
        let rest = text.bytes.get(start..).unwrap_or_default();
        let is_path = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':');
        let length = rest.iter().take(LONGEST_WRAPPER).take_while(is_path).count();
        let path = &rest[..length];
        let next = start + length;
        if matches!(
            path,
            [b'b' | b'B' | b'r' | b'R' | b'f' | b'F' | b'u' | b'U' | b'L']
        ) && is_quote(next)
            || length == 0 && text.get(next) == b'@' && is_quote(next + 1)
        {
            return next + usize::from(length == 0);
        }
        if text.get(next) == b'(' && is_constructor(path) {
            start = next + 1;
        } else if text.starts(next, b" { ") && path.first().is_some_and(u8::is_ascii_uppercase) {
            let rest = &text.bytes[next + 3..];
            let is_name = |byte: &&u8| byte.is_ascii_lowercase() || **byte == b'_';
            let name = rest.iter().take(LONGEST_WRAPPER).take_while(is_name).count();
            if name == 0 || !rest[name..].starts_with(b": ") {
                return at;
            }
            start = next + 3 + name + 2;
        } else {
            return at;
        }
    }
    if is_quote(start) { start } else { at }
}

const MOST_WRAPPERS: usize = 4;
const LONGEST_WRAPPER: usize = 48;

/// Whether a call of `path` makes a value of the text that it is given, and does not look one up by its name.
fn is_constructor(path: &[u8]) -> bool {
    let last = path
        .rsplit(|byte| matches!(byte, b'.' | b':'))
        .next()
        .unwrap_or_default();
    let type_name = last.len() == path.len() && last.first().is_some_and(u8::is_ascii_uppercase);
    let of_text = OF_TEXT.iter().any(|end| last.ends_with(end));
    type_name && last.iter().any(u8::is_ascii_lowercase) && !of_text
        || [
            &b"new"[..],
            b"from",
            b"token",
            b"password",
            b"secret",
            b"b64decode",
        ]
        .contains(&last)
}

/// The end of a value without quotes; where it is very long, of its beginning.
pub(super) fn plain_end(text: &Text<'_>, at: usize) -> usize {
    run_end(text, at, LONGEST / 4)
}

/// What ends a value without quotes.
const ENDS: [u8; 11] = *b"\"'`,;)]}<>|";

/// As [`plain_end`], of at most `most` bytes.
fn run_end(text: &Text<'_>, at: usize, most: usize) -> usize {
    let mut end = at;
    while text.get(end).is_ascii_graphic()
        && !ENDS.contains(&text.get(end))
        && !(text.get(end) == b'&' && is_between_fields(text, end))
    {
        // Cut off here, the value goes on.
        if end - at == most {
            return end;
        }
        end += 1;
    }
    while end > at && matches!(text.before(end), b'.' | b':' | b'?') {
        end -= 1;
    }
    end
}

/// Whether a field stands behind the escaped break of a line that begins `text`, behind which `next` stands: `\nUSER=bob`.
pub(super) fn is_field_behind_break(text: &[u8], next: u8) -> bool {
    let rest = text.get(2..).unwrap_or_default();
    let name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = rest.iter().take_while(name).count();
    matches!(text, [b'\\', b'n' | b'r' | b't', ..])
        && matches!(rest.get(length).copied().unwrap_or(next), b':' | b'=')
}

/// Whether another field follows the `&` at `at`, or nothing: else it belongs to the value.
fn is_between_fields(text: &Text<'_>, at: usize) -> bool {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']');
    let rest = text.bytes.get(at + 1..).unwrap_or_default();
    let length = rest.iter().take(64).take_while(|byte| name(**byte)).count();
    let next = rest.get(length).copied().unwrap_or(0);
    match length {
        0 => !next.is_ascii_graphic() || next == b'&',
        _ => next == b'=' || rest.starts_with(b"amp;"),
    }
}

/// Whether a value without quotes, behind which `next` and `behind` stand, is an expression of a program: a call, an element, an attribute.
fn is_expression(value: &[u8], next: u8, behind: u8) -> bool {
    let path = |byte: &&u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.');
    let length = value.iter().take_while(path).count();
    let small = value.iter().take(3).all(u8::is_ascii_lowercase);
    if length >= 3 && (small || length + 1 == value.len()) && matches!(value.get(length), Some(b'(' | b'[')) {
        let (name, rest) = (&value[..length], &value[length + 1..]);
        // `abc(def)` may be a password, `tokens[0]` is none.
        let number = rest.iter().all(u8::is_ascii_digit);
        let element = value[length] == b'[' && number && (name.last() == Some(&b's') || ROWS.contains(&name));
        // `generateToken(32)`
        let capital = |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
        let method = value[length] == b'(' && number && name.windows(2).any(capital);
        let called =
            rest.is_empty() || name.iter().any(|byte| matches!(byte, b'_' | b'.')) || element || method;
        return match next {
            b'"' | b'\'' => rest.is_empty(),
            b')' | b']' => {
                called && (!behind.is_ascii_graphic() || matches!(behind, b',' | b';' | b')' | b'?' | b'.'))
            }
            _ => false,
        };
    }
    if is_type(value) {
        return true;
    }
    let named = value
        .iter()
        .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'));
    // `config.horse` may be a password.
    let written = |name: &[u8]| name.iter().any(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    named
        && OBJECTS
            .iter()
            .any(|object| value.strip_prefix(*object).is_some_and(written))
}

/// Whether a value is a type of a text: `String`, `&str`, `System.Security.SecureString`, `Column(String`.
fn is_type(value: &[u8]) -> bool {
    let path =
        |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b':' | b'(' | b'[' | b'&');
    let last = value
        .rsplit(|byte| !byte.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    value == b"&str"
        || value.iter().all(path)
            && last.ends_with(b"String")
            && last.first().is_some_and(u8::is_ascii_uppercase)
}

/// What a program calls the rows whose parts it takes.
const ROWS: [&[u8]; 8] = [
    b"argv",
    b"row",
    b"match",
    b"self",
    b"auth",
    b"authorization",
    b"line",
    b"data",
];

/// What a program reads its settings from.
const OBJECTS: [&[u8]; 12] = [
    b"process.env.",
    b"os.environ.",
    b"import.meta.env.",
    b"var.",
    b"local.",
    b"secrets.",
    b"settings.",
    b"config.",
    b"self.",
    b"this.",
    b"args.",
    b"env.",
];

/// How types end that are made of a text for people: `CharField("Password")`.
const OF_TEXT: [&[u8]; 9] = [
    b"Field",
    b"Input",
    b"Column",
    b"Label",
    b"Error",
    b"Exception",
    b"Argument",
    b"Option",
    b"Text",
];

/// Whether a value says that there is none, or that it is masked or filled in elsewhere.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let masked = |byte: &u8| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'#');
    value.windows(3).any(|part| part == b"***")
        || value.iter().all(masked)
        || matches!(value[0], b'<' | b'[' | b'{')
        || value.starts_with(b"${")
        || value.strip_prefix(b"(").is_some_and(is_remark)
        || is_variable(value)
        || value.starts_with(b"$(")
        || value.starts_with(b"#{")
        || value[0] == b'`'
        || is_filled_in(value)
        || value.starts_with(b"%s")
        || value.strip_prefix(b"%(").is_some_and(|name| {
            let name = name.strip_suffix(b")s").unwrap_or(name);
            name.iter()
                .all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        })
        || value.len() <= LONGEST_WORD
            && WORDS
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a value with letters beyond ASCII may be a password, and is no text for people: one word with a number in it, `ひみつ1234`.
pub(super) fn is_foreign(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    // Of two bytes each: Latin letters with a mark, Greek and Cyrillic ones.
    let letters = !value.iter().any(|byte| *byte >= 0xe0);
    // 8文字以上128文字以下
    let kanji = value.iter().any(|byte| matches!(byte, 0xe4..=0xe9));
    !value.contains(&b' ') && !kanji && (digits > 2 || letters && digits > 0)
}

/// Words that say that there is no value.
const WORDS: [&str; 48] = [
    "null",
    "none",
    "true",
    "false",
    "nil",
    "undefined",
    "empty",
    "required",
    "optional",
    "missing",
    "invalid",
    "incorrect",
    "expired",
    "redacted",
    "masked",
    "hidden",
    "changed",
    "updated",
    "reset",
    "unset",
    "wrong",
    "failed",
    "not",
    "no",
    "yes",
    "bearer",
    "basic",
    "token",
    "string",
    "str",
    "is",
    "was",
    "has",
    "for",
    "unknown",
    "n/a",
    "filtered",
    "removed",
    "secret",
    "password",
    "rotated",
    "ok",
    "the",
    "xxxx",
    "accepted",
    "!vault",
    "!ref",
    "!sub",
];

/// The longest word that says that there is no value: `undefined`.
const LONGEST_WORD: usize = 9;

/// Whether what stands behind a bracket says why no value is shown: `(sensitive value)`, `(known after apply)`.
fn is_remark(rest: &[u8]) -> bool {
    let word = rest
        .split(|byte| matches!(byte, b' ' | b')'))
        .next()
        .unwrap_or_default();
    [
        "sensitive",
        "known",
        "hidden",
        "redacted",
        "masked",
        "none",
        "null",
        "unset",
        "empty",
        "not",
    ]
    .iter()
    .any(|remark| word.eq_ignore_ascii_case(remark.as_bytes()))
}

/// Whether a value is a name that a build or a shell of Windows fills in: `@db.password@`, `%DB_PASSWORD%`.
fn is_filled_in(value: &[u8]) -> bool {
    let [first @ (b'@' | b'%'), name @ .., last] = value else {
        return false;
    };
    let is_name = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.');
    first == last && !name.is_empty() && name.iter().all(is_name)
}

/// Whether a value is the name of a variable of a shell, `$TOKEN`. With a digit it may be a password.
fn is_variable(value: &[u8]) -> bool {
    let [b'$', name @ ..] = value else {
        return false;
    };
    let small = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    // `$ecret` and `$h_y` may be passwords, `$password` and `$db_password` are none.
    let told = || {
        name.iter().all(small)
            && name.rsplit(|byte| *byte == b'_').any(|part| {
                let alone = [&b"password"[..], b"passwd", b"pass", b"token"].contains(&part);
                alone || part.len() < name.len() && [&b"pw"[..], b"pwd", b"secret", b"key"].contains(&part)
            })
    };
    !name.is_empty() && (name.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_') || told())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_word_is_loses_none_of_ours() {
        for word in WORDS {
            assert!(
                word.len() <= LONGEST_WORD && is_placeholder(word.as_bytes()),
                "{word}"
            );
        }
    }

    fn assigned(given: &str) -> Option<&str> {
        let range = value(&Text::plain(given.as_bytes()), 0, Field::Assigned)?;
        Some(&given[range])
    }

    #[test]
    fn an_ampersand_ends_a_value_only_before_another_field() {
        for (given, expected) in [
            ("tr0ub4dor&3", "tr0ub4dor&3"),
            ("a&b&c9 ", "a&b&c9"),
            ("hunter2&ssl=true", "hunter2"),
            ("hunter2&amp;ssl", "hunter2"),
            ("hunter2& ", "hunter2"),
            ("hunter2&", "hunter2"),
        ] {
            assert_eq!(assigned(given), Some(expected), "{given}");
        }
    }

    #[test]
    fn an_expression_of_a_program_is_no_value() {
        for code in [
            "os.environ[\"DB_PASSWORD\"]",
            "os.getenv('DB_PASSWORD')",
            "getpass()",
            "read_secret(path)",
            "process.env.DB_PASSWORD",
            "var.db_password",
            "settings.PASSWORD",
        ] {
            assert_eq!(assigned(code), None, "{code}");
        }
        for secret in [
            "(x9!kP2",
            "ab[c9",
            "S3cret(9",
            "config.9",
            "config.horse",
            "settings.secret",
            "correct.horse",
            "pass(word",
        ] {
            assert_eq!(assigned(secret), Some(secret), "{secret}");
        }
    }
}
