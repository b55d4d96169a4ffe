//! Names in Latin letters: Amanda J. Ford, Mr. Ford, Ueda Aoi.

mod bare;
mod cue;
mod honorific;
mod labelled;
mod list;
mod reading;

pub(in super::super) use self::bare::ORGANISATIONS;
pub(in super::super) use self::cue::{GREETINGS, PREPOSITIONS, TITLES};
pub(in super::super) use self::honorific::addressed;
pub(super) use self::honorific::before_honorific;
pub(super) use self::labelled::labelled;
pub(super) use self::reading::reading;

use self::bare::bare;
use self::cue::{Cue, after_cue, cue, own_cue};
use self::list::others;
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::romaji::is_japanese;
use super::words::{entry, read, word_length, word_start};
use crate::model::PiiType;

/// Takes the name around the space at `at`, behind which a capital letter stands.
pub(in super::super) fn capitalised(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.text.as_bytes();
    // A letter behind a digit is no word: `04.567Z INFO`.
    if let [.., b'0'..=b'9', b'A'..=b'Z' | b'a'..=b'z'] = bytes[..at] {
        return;
    }
    let mut end = at;
    let dotted = end > 0 && matches!(bytes[end - 1], b'.' | b',' | b':');
    if dotted {
        end -= 1;
    }
    if end == 0 || !(bytes[end - 1].is_ascii_alphabetic() || (0x80..=0xbf).contains(&bytes[end - 1])) {
        return;
    }
    let start = word_start(bytes, end);
    let word = &bytes[start..end];
    if word.is_empty() || word.len() > 20 {
        return;
    }
    if start > 0 && matches!(bytes[start - 1], b'0'..=b'9' | b'_' | b'@' | b'/' | b'\\') {
        return;
    }
    if word == b"I'm" || word == b"m" && bytes[..start].ends_with("I\u{2019}".as_bytes()) {
        if let Some((start, end)) = after_cue(scan, at + 1, Cue::Introduction) {
            scan.take(start, end, PiiType::Person);
        }
        return;
    }
    let before = entry(scan, word);
    if let Some(cue) = own_cue(bytes, start, word)
        && let Some((start, end)) = after_cue(scan, at + 1, cue)
    {
        scan.take(start, end, PiiType::Person);
        return;
    }
    // Mr., not the ms of a time.
    let small = before.is(Entry::TITLE)
        && !(word[0].is_ascii_uppercase() && word[1..].iter().all(u8::is_ascii_lowercase))
        && !word.eq_ignore_ascii_case(b"attn");
    if let Some(cue) = cue(before).filter(|_| !small) {
        // `Ford. By …`: a sentence ends there.
        if !dotted || cue != Cue::Preposition {
            if let Some((name, end)) = after_cue(scan, at + 1, cue) {
                if let Some(subject) = subject(scan, start) {
                    scan.push(subject, start - 1, PiiType::Person);
                }
                scan.take(name, end, PiiType::Person);
                if cue == Cue::Greeting {
                    others(scan, end);
                }
            }
            return;
        }
    }
    if dotted && bytes[at - 1] == b',' {
        if let Some(end) = inverted(scan, start, at) {
            scan.take(start, end, PiiType::Person);
        }
        return;
    }
    // Without a word in front that says so, both must be known.
    let word_behind = &bytes[at + 1..at + 1 + word_length(&bytes[at + 1..])];
    let next = entry(scan, word_behind);
    let romaji = before.is(Entry::ROMAJI_GIVEN) && is_japanese(word_behind);
    if !next.is(Entry::LATIN_SURNAME) && !next.is(Entry::LATIN_GIVEN) && !romaji {
        return;
    }
    let initial = word.len() == 1 && word[0].is_ascii_uppercase();
    if dotted && !(initial && bytes[at - 1] == b'.') {
        return;
    }
    if !word[0].is_ascii_uppercase() {
        return;
    }
    let mut first = start;
    if initial {
        // The word in front of an initial: Amanda J. Ford.
        if start < 2 || bytes[start - 1] != b' ' {
            return;
        }
        first = word_start(bytes, start - 1);
        if !bytes.get(first).is_some_and(u8::is_ascii_uppercase) || first + 1 >= start {
            return;
        }
    }
    let words = read(scan, first, false);
    if let Some(many) = bare(scan, &words) {
        scan.take(words.words[0].start, words.words[many - 1].end, PiiType::Person);
    }
}

/// Where the given name ends that stands behind the comma of the surname from `start` to the space at `at`, in a line or a cell of their own:
/// Dickson, Megan.
fn inverted(scan: &Scan<'_>, start: usize, at: usize) -> Option<usize> {
    let bytes = scan.text.as_bytes();
    let opens = start == 0
        || matches!(bytes[start - 1], b'\n' | b'"' | b'\t' | b';' | b'|' | b'>')
        || bytes[..start].ends_with(b": ");
    let words = read(scan, at + 1, false);
    let given = match words.all() {
        [given] => given,
        [given, middle] if middle.initial => given,
        _ => return None,
    };
    let end = words.all().last()?.end;
    let closes = bytes
        .get(end)
        .is_none_or(|byte| matches!(byte, b'\n' | b'\r' | b'"' | b'\t' | b';' | b'|' | b'<'));
    let surname = entry(scan, &bytes[start..at - 1]);
    let known = surname.is(Entry::LATIN_SURNAME) && given.is_given();
    let words = surname.is(Entry::ORDINARY) && given.is_ordinary()
        || surname.is(Entry::ORGANISATION)
        || given.entry.is(Entry::ORGANISATION);
    (opens && closes && known && !words).then_some(end)
}

/// What people do to one another, in the past.
const DEEDS: [&str; 9] = [
    "asked", "told", "emailed", "called", "reminded", "invited", "thanked", "informed", "messaged",
];

/// Where the given name begins that stands alone in front of the verb at `start`: Andrew asked Olivia Johnson.
fn subject(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let bytes = scan.text.as_bytes();
    let verb = &bytes[start..start + word_length(&bytes[start..])];
    if start < 3 || bytes[start - 1] != b' ' || !DEEDS.iter().any(|deed| deed.as_bytes() == verb) {
        return None;
    }
    let first = word_start(bytes, start - 1);
    let word = entry(scan, &bytes[first..start - 1]);
    let begins = first == 0 || matches!(bytes[first - 1], b' ' | b'\n' | b'(' | b'"');
    let fits = word.is(Entry::LATIN_GIVEN) && !word.is(Entry::ORDINARY) && !word.is(Entry::ORGANISATION);
    (fits && begins && bytes[first].is_ascii_uppercase() && first + 2 < start - 1).then_some(first)
}
