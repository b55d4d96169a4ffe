//! Postal addresses of Japan, in Japanese and in Latin letters, and of English-speaking countries.

mod building;
mod english;
mod japanese;
mod places;

pub(super) use self::english::{english, may_be_english};
pub(super) use self::japanese::japanese;

use super::labels::Value;
use super::letters::{char_at, is_digit, is_latin};
use super::person;
use super::scan::Scan;
use crate::model::PiiType;

/// The longest value of a field that is taken whole, in bytes.
const LONGEST: usize = 240;

/// Takes the address that a label announces; whether there was one.
pub(super) fn labelled(scan: &mut Scan<'_>, value: Value) -> bool {
    let text = scan.text;
    let start = after_postal_code(text, value.start);
    if let Some(closer) = value.closer {
        let within = &text[start..];
        let limit = within
            .char_indices()
            .take(LONGEST)
            .find(|(at, c)| *c == closer || *c == '\n' || *c == '\\' || *at > LONGEST);
        if let Some((length, end)) = limit
            && (end == closer || end == '\\')
        {
            let field = within[..length].trim_end();
            let brackets = !matches!(closer, '"' | '\'');
            if is_field(field) && !brackets {
                scan.take(start, start + field.len(), PiiType::Address);
                return true;
            }
        }
    }
    let found = match char_at(text, start) {
        Some(c) if c.is_ascii_digit() || is_latin(c) => english::at(text, start),
        _ => japanese::labelled(scan, start),
    };
    if let Some(end) = found {
        scan.take(start, end, PiiType::Address);
        person::after_address(scan, end);
    }
    found.is_some()
}

/// Whether a whole field is an address: words and a number, or words for places in Japan.
fn is_field(field: &str) -> bool {
    let strange = field.contains(['@', '{', '}', '[', '_', '=']) || field.contains("://");
    if strange || field.len() < 6 {
        return false;
    }
    let japanese =
        field.contains(['県', '都', '府', '道', '市', '区', '町', '村', '郡']) && !field.is_ascii();
    let number = field.chars().any(is_digit);
    let words = field
        .split(' ')
        .filter(|word| {
            word.len() > 1
                && word
                    .chars()
                    .all(|c| is_latin(c) || matches!(c, ',' | '.' | '-' | '\''))
        })
        .count();
    japanese || number && words >= 2
}

/// The place behind a postal code, which is no part of the address.
fn after_postal_code(text: &str, start: usize) -> usize {
    let mut at = start;
    let mut digits = 0;
    let mut mark = false;
    for c in text[start..].chars().take(14) {
        match c {
            '〒' => mark = true,
            _ if is_digit(c) && digits < 7 => digits += 1,
            '-' | '－' | 'ー' | '‐' | '−' if digits == 3 => {}
            ' ' | '\u{3000}' | ',' | '、' if digits == 0 || digits == 7 => {}
            _ => break,
        }
        at += c.len_utf8();
    }
    if digits == 7 || mark && digits == 0 {
        at
    } else {
        start
    }
}
