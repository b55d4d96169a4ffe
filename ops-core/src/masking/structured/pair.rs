//! Values that stand apart from the name of their field: in a list, or beside the name in an object.

use std::ops::Range;

use super::value::{is_foreign, is_placeholder};
use super::view::{BREAK, Text};

/// The end of the name that the field belongs to whose own name, `value`, ends before `end`: `{"name": "DB_PASSWORD", "value": …}`.
#[inline]
pub(super) fn name_end(text: &Text<'_>, end: usize) -> Option<usize> {
    (text.ends(end, b"alue")).then(|| beside(text, end)).flatten()
}

fn beside(text: &Text<'_>, end: usize) -> Option<usize> {
    let start = end.checked_sub(b"value".len())?;
    let quote = text.before(start);
    if !matches!(text.get(start), b'v' | b'V') || !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let mut at = back(text, start - 1);
    if text.before(at) != b',' {
        return None;
    }
    at = back(text, at - 1);
    if text.before(at) != quote {
        return None;
    }
    let last = at - 1;
    let low = last.saturating_sub(LONGEST_NAME);
    let first = low + memchr::memrchr(quote, &text.bytes[low..last])?;
    at = back(text, first);
    if text.before(at) != b':' {
        return None;
    }
    at = back(text, at - 1);
    let key = text.bytes[..at].strip_suffix(&[quote])?;
    let named = ["name", "key", "field", "header", "id"].iter().any(|name| {
        let from = key.len().checked_sub(name.len() + 1);
        from.is_some_and(|from| key[from] == quote && key[from + 1..].eq_ignore_ascii_case(name.as_bytes()))
    });
    named.then_some(last)
}

/// The place before the blanks that end before `at`.
fn back(text: &Text<'_>, at: usize) -> usize {
    let mut start = at;
    while text.before(start) == b' ' && at - start < 4 {
        start -= 1;
    }
    start
}

const LONGEST_NAME: usize = 64;
const LONGEST_ELEMENT: usize = 1024;

/// Whether what stands beside a name may be its value, and is no text for people.
pub(super) fn is_value(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_graphic)
}

/// Where the first element of the list begins that stands at `at`, with its quote.
pub(super) fn list(text: &Text<'_>, at: usize) -> Option<usize> {
    let rest = text.bytes.get(at..)?;
    let blanks = |rest: &[u8]| rest.iter().take(4).take_while(|byte| **byte == b' ').count();
    let open = blanks(rest);
    let rest = rest.get(open..)?.strip_prefix(b"[")?;
    let inner = blanks(rest);
    matches!(rest.get(inner), Some(b'"' | b'\'')).then_some(at + open + 1 + inner)
}

/// Whether `range` is the first element of a list, and another one follows.
pub(super) fn is_first_element(text: &Text<'_>, range: &Range<usize>) -> bool {
    let quote = range.start.saturating_sub(1);
    matches!(text.get(quote), b'"' | b'\'')
        && text.before(back(text, quote)) == b'['
        && text.get(range.end + 1) == b','
}

/// The element of a list behind the one that is `range`, a secret, if it may be one too.
pub(super) fn next_element(text: &Text<'_>, range: &Range<usize>) -> Option<Range<usize>> {
    let (quote, width) = (text.get(range.end), text.width(range.end));
    let is_quote = |at: usize| text.get(at) == quote && text.width(at) == width;
    let opened = matches!(quote, b'"' | b'\'') && text.get(range.end + 1) == b',';
    let start = range.end + 2 + usize::from(text.get(range.end + 2) == b' ');
    if !opened || !is_quote(start) {
        return None;
    }
    let limit = text.bytes.len().min(start + LONGEST_ELEMENT);
    let end = (start + 1..limit)
        .take_while(|at| text.get(*at) != b'\n')
        .find(|at| is_quote(*at))?;
    let value = &text.bytes[start + 1..end];
    // Beside a secret, a word is one too.
    let found = is_within(value) && !value.is_empty() && !is_placeholder(value) && text.get(end + 1) != b':';
    found.then_some(start + 1..end)
}

/// Whether an element of a list may be a secret: not `["is too short"]`, as a form says of a password.
pub(super) fn is_element(value: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.');
    // `min:8`
    let rule = memchr::memchr(b':', value).is_some_and(|sign| {
        value[..sign].iter().all(word) && value[sign + 1..].iter().all(u8::is_ascii_digit)
    });
    is_within(value) && !value.iter().all(word) && !rule && !is_placeholder(value)
}

/// As [`is_value`], where the quotes say that a letter beyond ASCII and an escape belong to it.
fn is_within(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == BREAK || *byte >= 0x80)
        && (value.is_ascii() || is_foreign(value))
}
