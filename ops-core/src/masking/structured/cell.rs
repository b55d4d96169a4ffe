//! What the cells beside a number say of it, as in the rows of a table.

use super::view::Text;
use crate::masking::text::PREFECTURES;

/// Whether the cell in front of the one that begins at `start` names a company: `株式会社サンプル,7000012050002`.
pub(super) fn is_behind_company(text: &Text<'_>, start: usize) -> bool {
    let mut end = start;
    while matches!(text.before(end), b'"' | b' ') && start - end < 3 {
        end -= 1;
    }
    if !matches!(text.before(end), b',' | b'\t' | b'|') {
        return false;
    }
    end -= 1;
    let before = &text.bytes[end.saturating_sub(CELL)..end];
    let cell = before
        .iter()
        .rposition(|byte| matches!(byte, b',' | b'\t' | b'|' | b'\n'))
        .map_or(before, |edge| &before[edge + 1..]);
    ["会社", "法人", "組合"]
        .iter()
        .any(|sign| memchr::memmem::find(cell, sign.as_bytes()).is_some())
}

/// How long a cell with the name of a company is at most, in bytes.
const CELL: usize = 90;

/// Whether an address follows: the name of a prefecture, after at most a few signs; if `in_cells`, after those between the cells of a table, too.
pub(super) fn is_before_prefecture(text: &Text<'_>, end: usize, in_cells: bool) -> bool {
    let mut at = end;
    let is_sign =
        |byte| matches!(byte, b' ' | b',' | b')') || in_cells && matches!(byte, b'"' | b'\'' | b'\t' | b'|');
    while is_sign(text.get(at)) && at - end < 4 {
        at += 1;
    }
    for sign in ["　", "、", "）"] {
        if text.starts(at, sign.as_bytes()) {
            at += sign.len();
        }
    }
    text.get(at) >= 0x80
        && PREFECTURES
            .split(' ')
            .any(|name| text.starts(at, name.as_bytes()))
}
