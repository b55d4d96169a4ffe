//! Names of half width beside the number of an account.

use super::super::super::letters::{Window, is_digit, is_narrow, is_space};
use super::super::super::scan::Scan;
use super::run::narrow_run;
use crate::model::PiiType;

/// Takes the name of half width behind the number of an account: 普通 8950624 ﾌｼﾞﾜﾗ ｲﾁﾛｳ. Whether there was one.
pub(in super::super::super) fn holder(scan: &mut Scan<'_>, end: usize) -> bool {
    let rest = &scan.text[end..];
    let number = rest.trim_start_matches([
        ' ', '　', ')', '）', ':', '：', '番', '号', '.', 'N', 'o', ',', '\t', '|',
    ]);
    let behind = number.trim_start_matches(is_digit);
    let digits = number.len() - behind.len();
    let name = behind.trim_start_matches([' ', '　', '/', '／', '、', ',', '\t', '|']);
    if rest.len() - number.len() > 16 || !(4..=24).contains(&digits) || behind.len() - name.len() > 6 {
        return false;
    }
    if name.len() == behind.len() {
        return holder_before(scan, end);
    }
    let start = scan.text.len() - name.len();
    let window = Window::after(scan.text, start, 30, |c| is_narrow(c) || is_space(c));
    if window.chars().is_empty() {
        return holder_before(scan, end);
    }
    let Some(length) = narrow_run(window.chars()) else {
        return false;
    };
    // ﾐﾅﾄｼｮｳｼﾞ(ｶ: a company.
    let end = window.place(length);
    if scan.text[end..].starts_with(['(', '（', ')', '）']) {
        return false;
    }
    scan.take(start, end, PiiType::Person);
    true
}

/// Takes the name of half width in a cell of its own in front of the kind of the account that ends at `end`: ﾌｼﾞﾜﾗ ｲﾁﾛｳ,ﾐﾅﾄ銀行,普通,8950624.
fn holder_before(scan: &mut Scan<'_>, end: usize) -> bool {
    let is_edge = |c: char| matches!(c, ',' | '、' | '\t' | '|' | '｜' | '/' | '／');
    let window = Window::before(scan.text, end, 40, |c| c != '\n');
    let chars = window.chars();
    let Some(last) = chars.iter().rposition(|c| is_narrow(*c)) else {
        return false;
    };
    let first = chars[..last]
        .iter()
        .rposition(|c| !is_narrow(*c) && !is_space(*c))
        .map_or(0, |at| at + 1);
    let opens = first > 0 && is_edge(chars[first - 1])
        || first == 0
            && scan.text[..window.start()]
                .chars()
                .next_back()
                .is_none_or(|c| c == '\n' || is_edge(c));
    let name = &chars[first..=last];
    let words = name.split(|c| is_space(*c)).filter(|word| word.len() > 1).count();
    if !opens || !is_edge(chars[last + 1]) || words != 2 || narrow_run(name) != Some(name.len()) {
        return false;
    }
    scan.push(window.place(first), window.place(last + 1), PiiType::Person);
    true
}
