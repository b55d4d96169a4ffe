//! Names in katakana, and readings.

use super::super::letters::{Window, char_at, ends_with, is_hiragana, is_kanji, is_katakana, is_space};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::bare::{introduces, is_surname};
use super::honorific::is_company;
use super::labelled::joined;
use super::latin;
use super::parse::{self, Points};
use crate::model::PiiType;

/// Takes a name in katakana in front of an honorific.
pub(super) fn katakana_before(scan: &mut Scan<'_>, end: usize, known: bool) {
    let window = Window::before(scan.text, end, 24, |c| {
        is_katakana(c) || matches!(c, '・' | '＝' | ' ' | '\u{3000}')
    });
    let chars = window.chars();
    let from = chars
        .iter()
        .position(|c| !is_space(*c) && *c != '・')
        .unwrap_or(0);
    let chars = &chars[from..];
    let last = chars
        .iter()
        .rposition(|c| is_space(*c))
        .map_or(0, |space| space + 1);
    let surname_first = last > 1 && {
        let before = chars[..last - 1]
            .iter()
            .rposition(|c| is_space(*c))
            .map_or(0, |space| space + 1);
        let word = scan.lexicon.word(&chars[before..last - 1]);
        word.is(Entry::SURNAME) || word.is(Entry::GIVEN) && !word.is(Entry::ORDINARY)
    };
    let begin = if surname_first {
        chars[..last - 1]
            .iter()
            .rposition(|c| is_space(*c))
            .map_or(0, |space| space + 1)
    } else {
        last
    };
    // 乾エリカ様: a surname in kanji in front; 伊藤忠システムズ様: a company.
    let start = window.place(from + begin);
    if is_company_word(&chars[begin..]) || is_company(&scan.text[..start]) {
        return;
    }
    if scan.lexicon.word(&chars[begin..]).is(Entry::GIVEN)
        && let Some(surname) = surname_before(scan, start)
    {
        scan.push(surname, end, PiiType::Person);
        return;
    }
    let name = &chars[begin..];
    let foreign = name.contains(&'・') || name.contains(&'＝');
    let entry = scan.lexicon.word(name);
    let is_known = foreign
        || surname_first
        || entry.is(Entry::SURNAME)
        || entry.is(Entry::GIVEN)
        || parse::whole(scan.lexicon, name).is_some();
    if name.len() > 1 && !entry.is(Entry::ROLE) && (is_known || !known && name.len() <= 8) {
        scan.push(window.place(from + begin), end, PiiType::Person);
    }
}

/// Whether a word in katakana ends as names of companies do.
fn is_company_word(word: &[char]) -> bool {
    [
        "システムズ",
        "システム",
        "サービス",
        "テクノロジー",
        "テクノロジーズ",
        "ソリューション",
        "ソリューションズ",
        "エンジニアリング",
        "コーポレーション",
        "ホールディングス",
        "モーターズ",
        "エレクトロニクス",
        "パートナーズ",
        "コンサルティング",
        "ロジスティクス",
    ]
    .iter()
    .any(|end| ends_with(word, end))
}

/// Where the surname in kanji begins that ends at `end`, where nothing but it stands before a name.
fn surname_before(scan: &Scan<'_>, end: usize) -> Option<usize> {
    let window = Window::before(scan.text, end, 5, is_kanji);
    is_surname(scan, window.chars()).then(|| window.start())
}

/// Takes surname and given name in katakana with a space between, both known.
pub(in super::super) fn katakana(scan: &mut Scan<'_>, at: usize) {
    let text = scan.text;
    let bytes = text.as_bytes();
    let mut end = at + 3;
    while end < at + 21 && bytes.get(end) == Some(&0xe3) && matches!(bytes.get(end + 1), Some(0x82 | 0x83)) {
        end += 3;
    }
    // ハセガワと申します
    if end > at + 3 && introduces(&text[end..]) {
        let window = Window::after(text, at, 8, is_katakana);
        let word = scan.lexicon.word(window.chars());
        if window.end() == end && word.is(Entry::SURNAME) {
            scan.take(at, end, PiiType::Person);
        }
        return;
    }
    if bytes.get(end) != Some(&b' ') && !bytes[end..].starts_with("\u{3000}".as_bytes()) {
        return;
    }
    let window = Window::after(text, at, 16, |c| is_katakana(c) || is_space(c));
    let chars = window.chars();
    let Some(space) = chars
        .iter()
        .position(|c| is_space(*c))
        .filter(|space| (2..=6).contains(space))
    else {
        return;
    };
    let second = chars[space + 1..].iter().take_while(|c| is_katakana(**c)).count();
    if !(2..=6).contains(&second) {
        return;
    }
    let surname = scan.lexicon.word(&chars[..space]);
    let given = scan.lexicon.word(&chars[space + 1..space + 1 + second]);
    let ordinary = surname.is(Entry::ORDINARY) && given.is(Entry::ORDINARY);
    let end = window.place(space + 1 + second);
    if surname.is(Entry::SURNAME)
        && given.is(Entry::GIVEN)
        && !ordinary
        && !char_at(text, end).is_some_and(|c| is_kanji(c) || c == '・')
    {
        scan.take(at, end, PiiType::Person);
    }
}

/// What a name in kana is worth.
pub(super) fn kana_points(scan: &Scan<'_>, chars: &[char]) -> Option<Points> {
    chars
        .split(|c| is_space(*c) || *c == '・')
        .filter_map(|part| parse::whole(scan.lexicon, part))
        .max()
}

/// Takes the reading of a name in brackets behind it: 田中太郎（タナカ タロウ）.
pub(super) fn reading(scan: &mut Scan<'_>, end: usize) {
    if reading_in_cell(scan, end) {
        return;
    }
    let Some(open) = char_at(scan.text, end).filter(|c| matches!(c, '(' | '（')) else {
        return;
    };
    let start = end + open.len_utf8();
    let window = Window::after(scan.text, start, 18, |c| {
        is_katakana(c) || is_hiragana(c) || is_space(c)
    });
    let chars = window.chars();
    let closed = char_at(scan.text, window.end()).is_some_and(|c| matches!(c, ')' | '）'));
    if closed && chars.len() >= 3 && kana_points(scan, chars) >= Some(Points::GIVEN) {
        scan.push(start, window.end(), PiiType::Person);
    }
    if chars.is_empty() {
        latin::reading(scan, start);
    }
}

/// Takes the reading of a name in katakana in the next cell of a table: 佐々木 太一,ササキタイチ. Whether there was one.
fn reading_in_cell(scan: &mut Scan<'_>, end: usize) -> bool {
    let bytes = scan.text.as_bytes();
    let quote = usize::from(matches!(bytes.get(end), Some(b'"' | b'\'')));
    if !matches!(bytes.get(end + quote), Some(b',' | b'\t' | b'|' | b';')) {
        return false;
    }
    let rest = scan.text[end + quote + 1..].trim_start_matches(' ');
    let rest = if quote == 1 {
        rest.trim_start_matches(['"', '\''])
    } else {
        rest
    };
    let start = scan.text.len() - rest.len();
    let window = Window::after(scan.text, start, 18, |c| is_katakana(c) || is_space(c));
    let chars = window.chars();
    let mut length = chars.len();
    while length > 0 && is_space(chars[length - 1]) {
        length -= 1;
    }
    let closed = char_at(scan.text, window.end())
        .is_none_or(|c| matches!(c, ',' | '\t' | '|' | ';' | '"' | '\'' | '\n' | '\r'));
    let name = &chars[..length];
    let fits = closed && length >= 3 && kana_points(scan, name).or(joined(scan, name)) >= Some(Points::GIVEN);
    if fits {
        scan.push(start, window.place(length), PiiType::Person);
    }
    fits
}
