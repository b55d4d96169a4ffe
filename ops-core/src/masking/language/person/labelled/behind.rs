//! Names behind an address or a department.

use super::super::super::letters::{Window, char_at, is_space};
use super::super::super::lexicon::Entry;
use super::super::super::scan::Scan;
use super::super::frames::{belongs, is_noun};
use super::super::parse::{self, Points, is_name};
use crate::model::PiiType;

/// Takes surname and given name behind an address, with which a field or a line ends: 東京都…4番24号 松本遥.
pub(in super::super::super) fn after_address(scan: &mut Scan<'_>, end: usize) {
    let Some(space) = char_at(scan.text, end).filter(|c| is_space(*c)) else {
        return;
    };
    let start = end + space.len_utf8();
    let window = Window::after(scan.text, start, 12, |c| is_name(c) || is_space(c));
    if let Some((length, Points::FULL)) = parse::forward(scan.lexicon, window.chars()) {
        let name_end = window.place(length);
        let closed = char_at(scan.text, name_end)
            .is_none_or(|c| matches!(c, '\n' | '\r' | ',' | '"' | ')' | '）' | '|' | '\t' | '（' | '('));
        if closed && length > 2 {
            scan.take(start, name_end, PiiType::Person);
        }
    }
}

/// Takes the surname behind a department: 営業部の田中が, 営業部 田中.
pub(in super::super::super) fn after_department(scan: &mut Scan<'_>, end: usize) {
    let Some(joint) = char_at(scan.text, end).filter(|c| *c == 'の' || is_space(*c)) else {
        return;
    };
    let start = end + joint.len_utf8();
    let window = Window::after(scan.text, start, 12, |c| is_name(c) || is_space(c));
    if let Some((length, points)) = parse::forward(scan.lexicon, window.chars())
        && (points >= Points::SURNAME || points == Points::RARE && length > 2)
        && {
            let name = &window.chars()[..length];
            !scan.lexicon.word(name).is(Entry::ORDINARY)
                // 営業部の山本です, 購買課 原宛
                || points == Points::SURNAME && !is_noun(scan, name) && belongs(&scan.text[window.place(length)..])
        }
    {
        scan.push(start, window.place(length), PiiType::Person);
    }
}
