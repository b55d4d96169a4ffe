//! Names in Latin letters behind a label.

use super::super::super::labels::{Strength, Value};
use super::super::super::scan::Scan;
use super::super::words::{Word, read};
use super::bare::{bare, is_no_name, is_organisation};
use super::honorific::is_addressed;
use super::list::others;
use crate::model::PiiType;

/// Takes the name that a label announces; whether there was one.
pub(in super::super) fn labelled(scan: &mut Scan<'_>, value: Value, strength: Strength) -> bool {
    let words = read(scan, value.start, true);
    let all = words.all();
    let bytes = scan.text.as_bytes();
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return false;
    };
    if all.len() == 1 && is_no_name(scan, first) {
        return false;
    }
    let mut end = last.end;
    let mut many = all.len();
    let closed = match value.closer {
        Some(closer) => scan.text[end..].starts_with(closer) || scan.text[end..].starts_with('\\'),
        None => false,
    };
    // Ford, Amanda: in quotes, or where nothing else can follow.
    if let (Some(_), [_]) = (value.closer, all)
        && bytes[end..].starts_with(b", ")
    {
        let rest = read(scan, end + 2, true);
        if let Some(given) = rest.all().last()
            && value
                .closer
                .is_some_and(|closer| scan.text[given.end..].starts_with(closer))
            && (first.is_known() || rest.words[0].is_known())
        {
            scan.take(first.start, given.end, PiiType::Person);
            return true;
        }
    }
    let goes_on = bytes.get(end).is_some_and(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'@' | b'-' | b'/' | b'=' | b':' | b'.') && !closed
    });
    let full_stop =
        bytes.get(end) == Some(&b'.') && !bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    if goes_on && !full_stop && !is_addressed(scan, last) && all.len() < 3 {
        return false;
    }
    let full = |word: &&Word| !word.initial;
    let count = all.iter().filter(full).count();
    let known = all
        .iter()
        .any(|word| word.is_known() && !word.is_ordinary() && word.end - word.start > 2);
    let ordinary = all
        .iter()
        .filter(|word| word.is_ordinary() && !word.is_known())
        .count();
    let is_lower = all.iter().any(|word| bytes[word.start].is_ascii_lowercase());
    let full_name = bare(scan, &words);
    if full_name.is_some_and(|most| most < many) && !closed {
        many = full_name.unwrap_or(many);
        // van Dyke
        while many < all.len() && bytes[all[many - 1].start].is_ascii_lowercase() {
            many += 1;
        }
        end = all[many - 1].end;
    }
    let fits = if full_name.is_some() {
        true
    } else if is_organisation(all) && strength != Strength::Sure {
        false
    } else {
        match strength {
            Strength::Sure => {
                !is_lower && (count > 1 || known || closed) || count > 1 && known || closed && known
            }
            Strength::Fair => {
                !is_lower
                    && (known || closed && count == 2 && all.iter().filter(full).all(|word| word.is_japanese))
                    && ordinary == 0
                    && (count == 2
                        || count == 3
                        || first.is_given()
                        || first.is_surname()
                        || first.initial && last.is_surname())
            }
            Strength::Weak => {
                !is_lower
                    && known
                    && count >= 2
                    && ordinary == 0
                    && count <= 3
                    && all
                        .iter()
                        .filter(full)
                        .all(|word| word.is_known() || !word.is_ordinary())
            }
        }
    };
    if !fits {
        return false;
    }
    scan.take(first.start, end, PiiType::Person);
    if strength >= Strength::Fair && value.closer.is_none() {
        others(scan, end);
    }
    true
}
