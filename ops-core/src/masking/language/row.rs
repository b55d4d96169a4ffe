//! Rows of a table of employees, whose headings stand in another line: a number, a name, a department, a grade.

use super::scan::Scan;
use crate::model::PiiType;

/// How many cells to either side are looked at, and how long one is at most.
const CELLS: usize = 3;
const LONGEST: usize = 48;

/// Takes the employee's number and the grade in the row in which the department from `start` to `end` fills a cell next to one that a name fills.
pub(super) fn around(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.text.as_bytes();
    let Some(sign) = edge_before(bytes, start) else {
        return;
    };
    let closes = end + spaces(&bytes[end..]);
    if bytes
        .get(closes)
        .is_some_and(|byte| *byte != sign && !matches!(byte, b'\n' | b'\r'))
    {
        return;
    }
    let Some(name) = cells_before(scan, start, sign) else {
        return;
    };
    if let Some((from, to)) = name {
        scan.insert(from, to, PiiType::EmployeeId);
    }
    let bytes = scan.text.as_bytes();
    let from = closes + 1;
    let from = from + spaces(bytes.get(from..).unwrap_or_default());
    let rest = bytes.get(from..).unwrap_or_default();
    let letters = match rest {
        [b'S' | b'A'..=b'E', b'+' | b'-', ..] => 2,
        [b'S' | b'A'..=b'E', ..] => 1,
        _ => return,
    };
    let behind = from + letters;
    let behind = behind + spaces(&bytes[behind..]);
    if bytes.get(closes) == Some(&sign)
        && bytes
            .get(behind)
            .is_none_or(|byte| *byte == sign || matches!(byte, b'\n' | b'\r'))
    {
        scan.take(from, from + letters, PiiType::Confidential);
    }
}

/// The sign between cells that stands before `at`.
fn edge_before(bytes: &[u8], at: usize) -> Option<u8> {
    let at = at - spaces_before(&bytes[..at]);
    let sign = *bytes.get(at.checked_sub(1)?)?;
    matches!(sign, b',' | b'\t' | b'|').then_some(sign)
}

fn spaces(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(4)
        .take_while(|byte| matches!(byte, b' ' | b'"'))
        .count()
}

fn spaces_before(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .take(4)
        .take_while(|byte| matches!(byte, b' ' | b'"'))
        .count()
}

/// Whether a name fills one of the cells before `start`, and the number of an employee if one fills another.
#[expect(
    clippy::option_option,
    reason = "a row without a name, and one without a number"
)]
fn cells_before(scan: &Scan<'_>, start: usize, sign: u8) -> Option<Option<(usize, usize)>> {
    let bytes = scan.text.as_bytes();
    let (mut named, mut number) = (false, None);
    let mut to = start - spaces_before(&bytes[..start]) - 1;
    for _ in 0..CELLS {
        let near = &bytes[to.saturating_sub(LONGEST)..to];
        let edge = near.iter().rposition(|byte| *byte == sign || *byte == b'\n');
        let from = match edge {
            Some(edge) => to - near.len() + edge + 1,
            None if to <= LONGEST => 0,
            None => break,
        };
        let first = from + spaces(&bytes[from..to]);
        let last = (to - spaces_before(&bytes[..to])).max(first);
        named |= scan.fills(first, last, PiiType::Person);
        if is_number(&bytes[first..last]) {
            number = Some((first, last));
        }
        if from == 0 || bytes[from - 1] == b'\n' {
            break;
        }
        to = from - 1;
    }
    named.then_some(number)
}

/// Whether a cell has the form of the number of an employee, and is no date.
fn is_number(cell: &[u8]) -> bool {
    let letters = cell.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let rest = &cell[letters..];
    let digits = rest.strip_prefix(b"-").unwrap_or(rest);
    let date = digits.len() == 8 && (digits.starts_with(b"19") || digits.starts_with(b"20"));
    letters <= 4
        && (letters > 0 || rest.len() == digits.len())
        && (4..=9).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && !(letters == 0 && date)
}
