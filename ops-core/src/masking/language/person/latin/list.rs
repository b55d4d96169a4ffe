//! The further names of a list: Megan, Patrick and Elena.

use super::super::super::scan::Scan;
use super::super::words::read;
use super::bare::{bare, is_brand, is_organisation};
use crate::model::PiiType;

/// Takes the further names of a list: Megan, Patrick and Elena.
pub(super) fn others(scan: &mut Scan<'_>, end: usize) {
    let mut end = end;
    for _ in 0..8 {
        let rest = &scan.text[end..];
        let Some(joint) = [", and ", ", ", "; ", " and ", " & ", " / "]
            .iter()
            .find(|joint| rest.starts_with(**joint))
        else {
            return;
        };
        let words = read(scan, end + joint.len(), false);
        let all = words.all();
        let Some(first) = all.first() else {
            return;
        };
        let second = all.get(1);
        let many = bare(scan, &words).or_else(|| {
            let alone = second.is_none() && first.is_given() && !first.is_ordinary();
            let pair = all.len() == 2
                && all.iter().any(|word| word.is_known() || word.is_japanese)
                && all.iter().all(|word| !word.is_ordinary() && !word.initial);
            (!is_organisation(all) && !is_brand(scan, all)).then_some(())?;
            if pair { Some(2) } else { alone.then_some(1) }
        });
        let Some(many) = many else {
            return;
        };
        let (start, to) = (first.start, all[many - 1].end);
        // Springfield, IL
        if scan.text[to..].starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '_')) {
            return;
        }
        scan.take(start, to, PiiType::Person);
        end = to;
    }
}
