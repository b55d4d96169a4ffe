//! Rows of a table in which surname and given name have a cell each.

use super::super::letters::{Window, char_before};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::parse::is_name;

/// The given name in the cell behind the one that the surname `name` from `at` to `end` fills: "中村","裕樹".
pub(super) fn given_in_next(scan: &Scan<'_>, name: &[char], at: usize, end: usize) -> Option<(usize, usize)> {
    let bytes = scan.text.as_bytes();
    let before = char_before(scan.text, at);
    let quote = before.filter(|c| matches!(c, '"' | '\''));
    if quote.is_none() && !before.is_none_or(|c| matches!(c, ',' | '\t' | '|' | '\n')) {
        return None;
    }
    let quoted = usize::from(quote.is_some());
    let sign = *bytes.get(end + quoted)?;
    if !matches!(sign, b',' | b'\t' | b'|') || quoted == 1 && bytes.get(end) != bytes.get(at - 1) {
        return None;
    }
    let mut start = end + quoted + 1;
    start += usize::from(bytes.get(start) == Some(&b' '));
    if quoted == 1 && bytes.get(start) != bytes.get(at - 1) {
        return None;
    }
    start += quoted;
    let window = Window::after(scan.text, start, 7, is_name);
    let given = window.chars();
    let to = window.end();
    let closed = match bytes.get(to) {
        None => quoted == 0,
        Some(byte) if quoted == 1 => Some(byte) == bytes.get(at - 1),
        Some(byte) => *byte == sign || matches!(byte, b'\n' | b'\r'),
    };
    let (first, second) = (scan.lexicon.word(name), scan.lexicon.word(given));
    // 青森,岩手 and 森,林 are no names.
    let words = second.is(Entry::SURNAME)
        || (first.is(Entry::ORDINARY) || first.is(Entry::PLACE))
            && (second.is(Entry::ORDINARY) || given.len() < 2);
    let known = first.is(Entry::SURNAME) || first.is(Entry::RARE_SURNAME) && !second.is(Entry::ORDINARY);
    (closed && known && second.is(Entry::GIVEN) && !words).then_some((start, to))
}
