//! Readings in brackets behind a name of Japan: 上田 葵（Ueda Aoi）.

use super::super::super::scan::Scan;
use super::super::words::read;
use super::bare::is_organisation;
use crate::model::PiiType;

/// Takes the reading in Latin letters that begins at `start`, in brackets behind a name of Japan: 上田 葵（Ueda Aoi）.
pub(in super::super) fn reading(scan: &mut Scan<'_>, start: usize) {
    let words = read(scan, start, false);
    let (Some(first), Some(last)) = (words.all().first(), words.all().last()) else {
        return;
    };
    let (from, to) = (first.start, last.end);
    let closed = scan.text[to..].starts_with([')', '）']);
    let known = words.all().iter().any(|word| word.is_known() || word.is_japanese);
    if closed && words.all().len() == 2 && known && !is_organisation(words.all()) {
        scan.push(from, to, PiiType::Person);
    }
}
