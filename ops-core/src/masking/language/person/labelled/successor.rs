//! Who comes after a person: 坂本から阿部へ変わりました.

use super::super::super::letters::{Window, is_space};
use super::super::super::scan::Scan;
use super::super::frames::is_noun;
use super::super::parse::{self, Points, is_name};
use super::is_said;
use crate::model::PiiType;

/// Takes who comes after the person that ends at `end`: 坂本から阿部へ変わりました, 坂本→阿部.
pub(super) fn successor(scan: &mut Scan<'_>, end: usize) {
    let rest = scan.text[end..].trim_start_matches(is_space);
    let Some((sign, behind)) = ["から", "より", "→", "⇒", "➡"]
        .iter()
        .find_map(|sign| Some((*sign, rest.strip_prefix(sign)?)))
    else {
        return;
    };
    let behind = behind.trim_start_matches(is_space);
    let start = scan.text.len() - behind.len();
    let window = Window::after(scan.text, start, 12, |c| is_name(c) || is_space(c));
    let Some((length, points)) = parse::forward(scan.lexicon, window.chars()) else {
        return;
    };
    let name_end = window.place(length);
    let next = &scan.text[name_end..];
    let arrow = !matches!(sign, "から" | "より")
        && (is_said(next) || next.starts_with(['に', 'へ', '(', '（', ' ', '　']));
    if points >= Points::SURNAME && !is_noun(scan, &window.chars()[..length]) && (is_handed(next) || arrow) {
        scan.take(start, name_end, PiiType::Person);
    }
}

/// Whether something is handed to the person in front of `rest`: 阿部へ変わりました.
pub(in super::super) fn is_handed(rest: &str) -> bool {
    const CHANGES: [&str; 9] = [
        "変",
        "交代",
        "代わ",
        "替",
        "引き",
        "引継",
        "異動",
        "バトン",
        "なり",
    ];
    rest.strip_prefix(['に', 'へ', 'と'])
        .is_some_and(|rest| CHANGES.iter().any(|change| rest.starts_with(change)))
}
