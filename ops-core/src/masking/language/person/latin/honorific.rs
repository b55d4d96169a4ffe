//! Names in front of an honorific of Japan: Saeki-san, John Smith様.

use super::super::super::lexicon::Entry;
use super::super::super::scan::Scan;
use super::super::words::{Word, entry, is_honorific, read, word_start};
use super::cue::cue;
use crate::model::PiiType;

/// Takes the surname in front of the hyphen at `at`, if an honorific of Japan follows, where no space stands before it: 受付でSaeki-sanを.
pub(in super::super::super) fn addressed(scan: &mut Scan<'_>, at: usize) {
    let bytes = scan.text.as_bytes();
    if !is_honorific(&bytes[at + 1..]) {
        return;
    }
    let start = word_start(bytes, at);
    let edge = start == 0
        || bytes[start - 1] >= 0x80
        || matches!(bytes[start - 1], b'\n' | b'(' | b'"' | b',' | b'@' | b':')
        // [09:13] Aoki-san: behind no word, where the space is not looked at.
        || bytes[start - 1] == b' ' && (start < 2 || !bytes[start - 2].is_ascii_alphabetic());
    if !edge || !bytes.get(start).is_some_and(u8::is_ascii_uppercase) {
        return;
    }
    let words = read(scan, start, false);
    if let [word] = words.all()
        && word.end == at
        && is_addressed(scan, word)
    {
        scan.push(start, at, PiiType::Person);
    }
}

/// Whether an honorific of Japan follows a surname: Inoue-san.
pub(super) fn is_addressed(scan: &Scan<'_>, word: &Word) -> bool {
    let rest = &scan.text.as_bytes()[word.end..];
    let known =
        word.entry.is(Entry::ROMAJI_SURNAME) || word.entry.is(Entry::ROMAJI_GIVEN) || word.is_japanese;
    known && rest.first() == Some(&b'-') && is_honorific(&rest[1..])
}

/// Takes the name in Latin letters that ends at `end`, in front of an honorific or title of Japanese.
pub(in super::super) fn before_honorific(scan: &mut Scan<'_>, end: usize, known: bool) {
    let bytes = scan.text.as_bytes();
    let mut start = end;
    for _ in 0..3 {
        let word = word_start(bytes, start);
        if word == start || !bytes[word].is_ascii_uppercase() {
            break;
        }
        start = word;
        if start < 2 || bytes[start - 1] != b' ' {
            break;
        }
        let before = word_start(bytes, start - 1);
        if before == start - 1
            || !bytes[before].is_ascii_uppercase()
            || cue(entry(scan, &bytes[before..start - 1])).is_some()
        {
            break;
        }
        start -= 1;
    }
    let start = if bytes.get(start) == Some(&b' ') {
        start + 1
    } else {
        start
    };
    let words = read(scan, start, false);
    let all = words.all();
    let Some(last) = all.last().filter(|last| last.end == end) else {
        return;
    };
    let capitals = all
        .iter()
        .all(|word| bytes[word.start..word.end].iter().all(u8::is_ascii_uppercase));
    let any_known = all.iter().any(Word::is_known);
    if any_known || !known && !capitals && last.end - last.start > 2 {
        // API担当 John Smith様: only the words of the name.
        scan.push(all[0].start, end, PiiType::Person);
    }
}
