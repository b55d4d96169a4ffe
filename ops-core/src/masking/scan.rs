use std::ops::Range;

use super::FieldRules;

/// A field with its value, found in text of any form: `name=value`, `name: value`, JSON, JSON within JSON, `Debug` of a struct.
pub(super) struct FieldInText<'a> {
    pub(super) name: &'a str,
    /// The value without its quotes.
    pub(super) value: Range<usize>,
    /// What closes the name, a quote with the backslashes before it; `None` if the name is not in quotes.
    pub(super) name_quote: Option<&'a str>,
    pub(super) in_quotes: bool,
}

/// Calls `visit` for every dropped, kept, or long numeric field of `text`, in order.
///
/// The end of a value without quotes is a guess: it is the end of a word, of brackets, or of a header.
pub(super) fn scan<'a>(text: &'a str, rules: &FieldRules, mut visit: impl FnMut(Interest, FieldInText<'a>)) {
    let bytes = text.as_bytes();
    let mut strings = text.trim_start().starts_with('{').then(Strings::default);
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| matches!(byte, b'=' | b':')) {
        let sign = at + found;
        at = sign + 1;
        let Some((name, name_quote)) = name_before(text, sign) else {
            continue;
        };
        let interest = if rules.drops(name) {
            Interest::Dropped
        } else if rules.keeps(name) {
            Interest::Kept
        } else if name_quote.is_some() && number_follows(bytes, at) {
            Interest::Number
        } else {
            continue;
        };
        let inside = strings.as_mut().is_some_and(|strings| strings.hold(bytes, sign));
        let end = if inside {
            string_end(bytes, sign, b'"', 0)
        } else {
            bytes.len()
        };
        let Some(field) = value_after(&bytes[..end], sign, name, name_quote) else {
            continue;
        };
        if interest == Interest::Dropped {
            at = at.max(field.value.end);
        }
        visit(interest, field);
    }
}

/// Why a field is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    Dropped,
    Kept,
    /// A bare number of JSON that is long enough for an official number.
    Number,
}

/// Shorter numbers are counts, years, ports.
const SHORTEST_NUMBER: usize = 9;

fn name_before(text: &str, sign: usize) -> Option<(&str, Option<&str>)> {
    let bytes = text.as_bytes();
    if matches!(bytes.get(sign + 1), Some(b'=' | b':')) && bytes[sign] == bytes[sign + 1] {
        return None;
    }
    let mut end = sign;
    while end > 0 && bytes[end - 1] == b' ' && sign - end < 2 {
        end -= 1;
    }
    let quote = match end.checked_sub(1).map(|at| bytes[at]) {
        Some(quote @ (b'"' | b'\'')) => Some(quote),
        _ => None,
    };
    let Some(quote) = quote else {
        let start = name_start(bytes, end);
        return (start < end).then(|| (&text[start..end], None));
    };
    let closed = end;
    end -= 1;
    let level = backslashes_before(bytes, end);
    if !(level + 1).is_power_of_two() {
        // A backslash of the text, and not of a quote within a string.
        return None;
    }
    end -= level;
    let start = name_start(bytes, end);
    let opened = start.checked_sub(1).map(|at| bytes[at]) == Some(quote);
    (start < end && opened).then(|| (&text[start..end], Some(&text[end..closed])))
}

fn name_start(bytes: &[u8], end: usize) -> usize {
    let length = bytes[..end]
        .iter()
        .rev()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || !byte.is_ascii()
        })
        .count();
    end - length
}

fn backslashes_before(bytes: &[u8], end: usize) -> usize {
    bytes[..end]
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
}

fn number_follows(bytes: &[u8], at: usize) -> bool {
    let value = bytes[at..].trim_ascii_start();
    let value = value.strip_prefix(b"-").unwrap_or(value);
    value.iter().take_while(|byte| byte.is_ascii_digit()).count() >= SHORTEST_NUMBER
}

/// Which parts of JSON are strings. A quote behind `password=` ends the string that it is in, and opens none.
#[derive(Default)]
struct Strings {
    at: usize,
    inside: bool,
}

impl Strings {
    /// Whether `place`, which is behind every place asked for before, is in a string.
    fn hold(&mut self, bytes: &[u8], place: usize) -> bool {
        while self.at < place {
            match bytes[self.at] {
                b'\\' if self.inside => self.at += 1,
                b'"' => self.inside = !self.inside,
                _ => {}
            }
            self.at += 1;
        }
        self.inside
    }
}

fn value_after<'a>(
    bytes: &[u8],
    sign: usize,
    name: &'a str,
    name_quote: Option<&'a str>,
) -> Option<FieldInText<'a>> {
    let mut start = sign + 1;
    let spaced = bytes[sign] == b':' || bytes[sign - 1] == b' ';
    while let Some(byte) = bytes.get(start) {
        match byte {
            b' ' | b'\t' if spaced => start += 1,
            b'\n' | b'\r' if name_quote.is_some() => start += 1,
            _ => break,
        }
    }
    let first = *bytes.get(start)?;
    let level = bytes[start..].iter().take_while(|byte| **byte == b'\\').count();
    let (value, in_quotes) = match bytes.get(start + level) {
        Some(quote @ (b'"' | b'\'')) => {
            let from = start + level + 1;
            (from..string_end(bytes, from, *quote, level), true)
        }
        _ if matches!(first, b'{' | b'[' | b'(') => (start..group_end(bytes, start), false),
        _ if name_quote.is_none() && bytes[sign] == b':' && header(name) => {
            (start..line_end(bytes, start), false)
        }
        _ => (start..word_end(bytes, start), false),
    };
    (!value.is_empty()).then_some(FieldInText {
        name,
        value,
        name_quote,
        in_quotes,
    })
}

/// Where the string ends whose quotes have `level` backslashes before them: at its closing quote, or at that of a string around it.
fn string_end(bytes: &[u8], from: usize, quote: u8, level: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == quote {
            let run = backslashes_before(&bytes[from..], at - from);
            if run < level || run % (2 * (level + 1)) == level {
                return at - run.min(level);
            }
        }
        at += 1;
    }
    bytes.len()
}

/// Behind the bracket that closes the one at `from`; brackets in strings do not count.
fn group_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                let level = backslashes_before(bytes, at);
                at = string_end(bytes, at + 1, b'"', level);
                at += backslashes_before_quote(bytes, at);
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// How many backslashes stand between `at` and the quote that follows them.
fn backslashes_before_quote(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| **byte == b'\\')
        .count()
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        match bytes.get(at) {
            None => return at,
            // `Some("x")`, `Secret("x")`, `Secret { inner: "x" }`
            Some(b'(' | b'{' | b'[') if at > from => return group_end(bytes, at),
            Some(b' ') => {
                let word = &bytes[from..at];
                let follows = bytes.get(at + 1).copied().unwrap_or(b' ');
                if follows == b'{' && word.first().is_some_and(u8::is_ascii_uppercase) {
                    return group_end(bytes, at + 1);
                }
                let scheme = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
                if !scheme || follows == b' ' {
                    return at;
                }
                at += 1;
            }
            Some(b'\\') if matches!(bytes.get(at + 1), Some(b'n' | b'r' | b't' | b'"')) => return at,
            Some(byte) if byte.is_ascii_whitespace() || b",;)}]\"'&|<>".contains(byte) => return at,
            Some(_) => at += 1,
        }
    }
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'\n' | b'\r' | b'"')
            || (*byte == b'\\' && matches!(bytes.get(at + 1), Some(b'n' | b'r' | b'"')))
        {
            break;
        }
        at += 1;
    }
    at
}

/// Values of these have spaces in them.
fn header(name: &str) -> bool {
    let ends = |header: &str| {
        name.len() >= header.len()
            && name.as_bytes()[name.len() - header.len()..].eq_ignore_ascii_case(header.as_bytes())
    };
    ends("cookie") || ends("authorization")
}

/// Words of an `Authorization` header that the secret follows.
const SCHEMES: [&[u8]; 5] = [b"Bearer", b"Basic", b"Digest", b"Token", b"Negotiate"];
