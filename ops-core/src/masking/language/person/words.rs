use super::super::lexicon::{Entry, SEED, hash, step_small};
use super::super::scan::Scan;
use super::romaji::is_japanese;

/// A word of a name in Latin letters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) entry: Entry,
    /// A single letter, with or without a full stop.
    pub(super) initial: bool,
    /// It is spelt as surnames of Japan are, and no other word that is known.
    pub(super) is_japanese: bool,
}

impl Word {
    pub(super) fn is_surname(&self) -> bool {
        self.entry.is(Entry::LATIN_SURNAME)
    }

    pub(super) fn is_given(&self) -> bool {
        self.entry.is(Entry::LATIN_GIVEN)
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_surname() || self.is_given()
    }

    pub(super) fn is_ordinary(&self) -> bool {
        self.entry.is(Entry::ORDINARY)
    }
}

/// Up to four words in a row, a space between two.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words {
    pub(super) words: [Word; 5],
    pub(super) len: usize,
}

impl Words {
    pub(super) fn all(&self) -> &[Word] {
        &self.words[..self.len]
    }
}

/// The start of the word that ends at `end`.
pub(super) fn word_start(bytes: &[u8], end: usize) -> usize {
    let low = end.saturating_sub(24);
    let mut start = end;
    while start > low {
        let length = match bytes[start - 1] {
            byte if byte.is_ascii_alphabetic() || matches!(byte, b'\'' | b'-') => 1,
            0x80..=0xbf if start > low + 1 && letter_length(&bytes[start - 2..]) == 2 => 2,
            _ => break,
        };
        start -= length;
    }
    while start < end && letter_length(&bytes[start..]) == 0 {
        start += 1;
    }
    start
}

/// The letters without the marks of Latin-1 (À to ÿ) in the order of their last bytes.
const PLAIN: &[u8; 64] = b"aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty";

/// The length of the letter that begins `bytes`, with or without a mark: 0 if none does.
fn letter_length(bytes: &[u8]) -> usize {
    match *bytes {
        [byte, ..] if byte.is_ascii_alphabetic() => 1,
        [0xc3, last @ 0x80..=0xbf, ..] if PLAIN[usize::from(last & 0x3f)] != b'*' => 2,
        _ => 0,
    }
}

/// The words that begin at `start`: capitalised, or of any case if `any_case`, and initials.
pub(super) fn read(scan: &Scan<'_>, start: usize, any_case: bool) -> Words {
    let bytes = scan.text.as_bytes();
    let mut words = Words::default();
    let mut at = start;
    while words.len < 4 {
        let length = word_length(&bytes[at..]);
        let Some(first) = bytes.get(at).filter(|byte| byte.is_ascii_alphabetic()) else {
            break;
        };
        let particle = matches!(
            &bytes[at..at + length],
            b"de" | b"van" | b"von" | b"der" | b"da" | b"di" | b"del" | b"la" | b"bin" | b"al"
        );
        if length > 24 || !(any_case || first.is_ascii_uppercase() || particle && words.len > 0) {
            break;
        }
        let mut end = at + length;
        let initial = length == 1;
        // A word that goes on with a digit or a sign is no name.
        if bytes
            .get(end)
            .is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'_' | b'@' | b'/' | b'='))
        {
            break;
        }
        let dotted = initial && bytes.get(end) == Some(&b'.');
        if dotted {
            end += 1;
        }
        words.words[words.len] = Word {
            start: at,
            end,
            entry: if initial {
                Entry::default()
            } else {
                entry(scan, &bytes[at..end])
            },
            initial,
            is_japanese: is_japanese(&bytes[at..end]) && !initial,
        };
        let word = &mut words.words[words.len];
        word.is_japanese &=
            !word.is_ordinary() && !word.entry.is(Entry::ORGANISATION) && !word.entry.is(Entry::CUE);
        words.len += 1;
        let mut gap = 0;
        if bytes.get(end) == Some(&b' ') {
            gap = 1;
        } else if bytes[end..].starts_with("\u{3000}".as_bytes()) {
            gap = 3;
        }
        if gap == 0 || !bytes.get(end + gap).is_some_and(u8::is_ascii_alphabetic) {
            break;
        }
        at = end + gap;
    }
    // A particle or an initial ends no name.
    let ends_none = |word: &Word| word.initial || bytes[word.start].is_ascii_lowercase();
    while !any_case && words.len > 1 && ends_none(&words.words[words.len - 1]) {
        words.len -= 1;
    }
    words
}

/// The length of a word of letters, with an apostrophe or a hyphen inside.
pub(super) fn word_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    while length < bytes.len().min(32) {
        let byte = bytes[length];
        let inner = matches!(byte, b'\'' | b'-')
            && length > 0
            && bytes.get(length + 1).is_some_and(u8::is_ascii_alphabetic);
        // 's ends a name, and so does -san.
        if inner && byte == b'-' && is_honorific(&bytes[length + 1..]) {
            break;
        }
        if inner
            && byte == b'\''
            && bytes[length + 1] == b's'
            && !bytes.get(length + 2).is_some_and(u8::is_ascii_alphabetic)
        {
            break;
        }
        let step = if inner { 1 } else { letter_length(&bytes[length..]) };
        if step == 0 {
            break;
        }
        length += step;
    }
    length
}

/// Whether an honorific of Japan in small letters begins `bytes`, as behind the hyphen of Inoue-san.
pub(super) fn is_honorific(bytes: &[u8]) -> bool {
    [b"san".as_slice(), b"sama", b"sensei", b"kun", b"chan"]
        .iter()
        .any(|word| bytes.starts_with(word) && !bytes.get(word.len()).is_some_and(u8::is_ascii_alphanumeric))
}

/// What is known of a word; of one with a hyphen or an apostrophe, of its last part too.
pub(super) fn entry(scan: &Scan<'_>, word: &[u8]) -> Entry {
    let (mut letters, mut joined) = (SEED, false);
    for byte in word {
        if byte.is_ascii_alphabetic() {
            letters = step_small(letters, byte | 0x20);
        } else if (0x80..=0xbf).contains(byte) {
            letters = step_small(letters, PLAIN[usize::from(byte & 0x3f)]);
        }
        joined |= matches!(byte, b'-' | b'\'');
    }
    let whole = scan.lexicon.entry(letters);
    if !joined || whole.is(Entry::LATIN_GIVEN) || whole.is(Entry::LATIN_SURNAME) {
        return whole;
    }
    word.rsplit(|byte| matches!(byte, b'-' | b'\''))
        .next()
        .filter(|last| last.len() < word.len() && last.len() > 1)
        .map_or(whole, |last| {
            scan.lexicon
                .entry(hash(last.iter().map(|byte| char::from(*byte))))
        })
}
