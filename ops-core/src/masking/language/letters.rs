//! Kinds of characters, and bounded looks to either side of a place.

use super::super::text::half_width;

/// The most characters that are read to either side of a place. What is longer is no name, address or value.
pub(super) const REACH: usize = 48;

pub(super) fn is_kanji(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' | '々' | '〆' | '\u{20000}'..='\u{3ffff}')
}

pub(super) fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}')
}

pub(super) fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30fa}' | 'ー' | '\u{ff66}'..='\u{ff9f}')
}

pub(super) fn is_digit(c: char) -> bool {
    matches!(c, '0'..='9' | '０'..='９')
}

pub(super) fn is_kanji_numeral(c: char) -> bool {
    matches!(
        c,
        '一' | '二' | '三' | '四' | '五' | '六' | '七' | '八' | '九' | '十' | '百' | '〇'
    )
}

pub(super) fn is_latin(c: char) -> bool {
    half_width(c).is_ascii_alphabetic()
}

/// The signs that people type between the numbers of an address.
pub(super) fn is_hyphen(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | 'ー' | 'ｰ' | '－' | '~'
    )
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{3000}')
}

/// Katakana of half width, in which banks and public offices write names.
pub(super) fn is_narrow(c: char) -> bool {
    matches!(c, '\u{ff66}'..='\u{ff9f}')
}

pub(super) fn starts_with(chars: &[char], word: &str) -> bool {
    let mut chars = chars.iter();
    word.chars().all(|c| chars.next() == Some(&c))
}

pub(super) fn ends_with(chars: &[char], word: &str) -> bool {
    let length = word.chars().count();
    chars.len() >= length && starts_with(&chars[chars.len() - length..], word)
}

/// Characters of a line in a row, with their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    chars: [char; REACH],
    start: usize,
    /// Of the characters and the end, from `start`: at most four bytes a character.
    places: [u8; REACH + 1],
    len: usize,
}

impl Window {
    /// The characters from `start` on, as long as `wanted` takes them, at most `most`.
    pub(super) fn after(text: &str, start: usize, most: usize, wanted: impl Fn(char) -> bool) -> Self {
        let mut window = Self {
            chars: ['\0'; REACH],
            start,
            places: [0; REACH + 1],
            len: 0,
        };
        for c in text[start..].chars().take(most.min(REACH)) {
            if !wanted(c) {
                break;
            }
            let at = window.places[window.len];
            window.chars[window.len] = c;
            window.len += 1;
            window.places[window.len] = at + c.len_utf8() as u8;
        }
        window
    }

    /// The characters that end at `end`, as far back as `wanted` takes them, at most `most`.
    pub(super) fn before(text: &str, end: usize, most: usize, wanted: impl Fn(char) -> bool) -> Self {
        let mut start = end;
        for c in text[..end].chars().rev().take(most.min(REACH)) {
            if !wanted(c) {
                break;
            }
            start -= c.len_utf8();
        }
        let length = end - start;
        Self::after(&text[..start + length], start, REACH, |_| true)
    }

    pub(super) fn chars(&self) -> &[char] {
        &self.chars[..self.len]
    }

    /// The byte at which character `index` begins; of the length, the byte after the last.
    pub(super) fn place(&self, index: usize) -> usize {
        self.start + usize::from(self.places[index])
    }

    pub(super) fn end(&self) -> usize {
        self.place(self.len)
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }
}

pub(super) fn char_at(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

pub(super) fn char_before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

/// A note in brackets.
pub(super) enum Note {
    /// No bracket opens.
    None,
    /// One opens and does not close near by.
    Open,
    /// Where the closing bracket is, and what stands behind it.
    Closed { close: usize, behind: usize },
}

/// The note that begins at `at` and has at most so many characters, brackets included.
pub(super) fn note_at(text: &str, at: usize, most: usize) -> Note {
    let close = match char_at(text, at) {
        Some('(') => ')',
        Some('（') => '）',
        _ => return Note::None,
    };
    let mut chars = text[at..].char_indices().take(most);
    match chars.find(|(_, c)| *c == close || *c == '\n') {
        Some((length, c)) if c == close => Note::Closed {
            close: at + length,
            behind: at + length + close.len_utf8(),
        },
        _ => Note::Open,
    }
}
