//! By which of their last bytes labels are looked up.

use super::label_table::{Entry, LABELS};

/// Calls `visit` for every label that `text` may end with.
#[inline]
pub(super) fn each(text: &[u8], mut visit: impl FnMut(&'static Entry)) {
    let mut all = |key: usize| {
        let mut next = HEADS[key];
        while let Some(entry) = LABELS.get(usize::from(next)) {
            visit(entry);
            next = NEXT[usize::from(next)];
        }
    };
    let [short, whole, letter] = keys(text);
    all(short);
    all(whole);
    all(letter);
}

/// What a byte may be to a search for labels, as bits.
pub(super) const PLAIN: u8 = 0;
/// The last byte of a label.
pub(super) const ENDS: u8 = 1;
/// A sign or digit that counts when it stands between label and value.
const COUNTS: u8 = 2;

pub(super) static KINDS: [u8; 256] = {
    let mut kinds = [PLAIN; 256];
    let mut index = 0;
    while index < LABELS.len() {
        let text = LABELS[index].text.as_bytes();
        let last = text[text.len() - 1];
        kinds[last as usize] |= ENDS;
        kinds[last.to_ascii_uppercase() as usize] |= ENDS;
        index += 1;
    }
    let counts = b"\n{};,0123456789\x0b\x81\x82";
    let mut index = 0;
    while index < counts.len() {
        kinds[counts[index] as usize] |= COUNTS;
        index += 1;
    }
    kinds
};

/// Whether a label may be what `text` ends with, by its last bytes.
#[inline]
pub(super) fn may_end(text: &[u8]) -> bool {
    let (last, previous) = (text[text.len() - 1], text[text.len() - 2]);
    // Most are told by two of them.
    if PAIRS[usize::from(previous) << 2 | usize::from(last) >> 6] >> (last & 63) & 1 == 0 {
        return false;
    }
    let third = text.len().checked_sub(3).map_or(0, |at| text[at]);
    let short = triple(0, previous, last);
    let whole = triple(third, previous, last);
    (TRIPLES[short / 64] >> (short % 64) | TRIPLES[whole / 64] >> (whole % 64)) & 1 == 1
}

/// Which last two bytes labels have, in small letters and capital ones.
static PAIRS: [u64; 1 << 10] = {
    let mut pairs = [0; 1 << 10];
    let mut index = 0;
    while index < LABELS.len() {
        let text = LABELS[index].text.as_bytes();
        let (previous, last) = (text[text.len() - 2], text[text.len() - 1]);
        let both = [
            [previous, last],
            [previous.to_ascii_uppercase(), last],
            [previous, last.to_ascii_uppercase()],
            [previous.to_ascii_uppercase(), last.to_ascii_uppercase()],
        ];
        let mut form = 0;
        while form < both.len() {
            let [previous, last] = both[form];
            pairs[(previous as usize) << 2 | (last as usize) >> 6] |= 1 << (last & 63);
            form += 1;
        }
        index += 1;
    }
    pairs
};

/// A hash of three bytes; 0 for `third` stands for any byte.
const fn triple(third: u8, previous: u8, last: u8) -> usize {
    let bytes = [
        third.to_ascii_lowercase(),
        previous.to_ascii_lowercase(),
        last.to_ascii_lowercase(),
        0,
    ];
    let hash = u32::from_le_bytes(bytes).wrapping_mul(0x9e37_79b1);
    (hash >> (32 - TRIPLES_BITS)) as usize
}

/// Of so many places, fewer than one in a hundred is taken: with fewer bits, much would be looked up that no label ends with.
const TRIPLES_BITS: u32 = 15;

/// Which last three bytes labels have; of short ones and such as have a sign there, the last two.
static TRIPLES: [u64; 1 << (TRIPLES_BITS - 6)] = {
    let mut triples = [0; 1 << (TRIPLES_BITS - 6)];
    let mut index = 0;
    while index < LABELS.len() {
        let text = LABELS[index].text.as_bytes();
        let length = text.len();
        let third = if length > 2 && text[length - 3] != b'~' {
            text[length - 3]
        } else {
            0
        };
        let triple = triple(third, text[length - 2], text[length - 1]);
        triples[triple / 64] |= 1 << (triple % 64);
        index += 1;
    }
    triples
};

/// The keys under which labels are filed that `text` may end with: of the short ones, of the others, and of those of one
/// letter of three bytes.
#[inline]
const fn keys(text: &[u8]) -> [usize; 3] {
    let length = text.len();
    let (previous, last) = (text[length - 2], text[length - 1]);
    if last < 0x80 {
        let before = length.wrapping_sub(general(text));
        // A sign between two words does not count.
        let before = if before > 1 && before < length && is_sign(text[before - 1]) {
            before - 1
        } else {
            before
        };
        let (first, second) = (
            byte(text, before.wrapping_sub(1)),
            byte(text, before.wrapping_sub(2)),
        );
        let second = if is_sign(second) { 0 } else { second };
        [
            key(previous, last, 0, 0),
            key(previous, last, first, second),
            EMPTY,
        ]
    } else {
        // Many end with 番号: what is before that tells them apart.
        [
            key(previous, last, byte(text, length.wrapping_sub(4)), 1),
            key(
                previous,
                last,
                byte(text, length.wrapping_sub(7)),
                byte(text, length.wrapping_sub(8)),
            ),
            key(previous, last, 2, 2),
        ]
    }
}

/// How long the word at the end is, if it is one that many labels end with; else two letters.
const fn general(text: &[u8]) -> usize {
    let words: [&[u8]; 8] = [
        b"number", b"code", b"key", b"card", b"token", b"license", b"num", b"acc",
    ];
    let last = text[text.len() - 1].to_ascii_lowercase();
    let mut index = 0;
    while index < words.len() {
        let word = words[index];
        index += 1;
        if word[word.len() - 1] != last {
            continue;
        }
        let mut same = 0;
        while same < word.len()
            && byte(text, text.len().wrapping_sub(same + 1)).to_ascii_lowercase()
                == word[word.len() - 1 - same]
        {
            same += 1;
        }
        if same == word.len() {
            return same;
        }
    }
    2
}

/// The key under which the label `text` is filed.
const fn key_of(text: &[u8]) -> usize {
    let last = text[text.len() - 1];
    // What is before such a short one is not of the label.
    let short = if last < 0x80 {
        text.len() < general(text) + 3
    } else {
        text.len() < 9
    };
    let keys = keys(text);
    match text.len() {
        3 if last >= 0x80 => keys[2],
        _ if short => keys[0],
        _ => keys[1],
    }
}

const fn is_sign(byte: u8) -> bool {
    matches!(byte, b'~' | b' ' | b'_' | b'-' | b'.' | b'\'')
}

const fn byte(text: &[u8], at: usize) -> u8 {
    if at < text.len() { text[at] } else { 0 }
}

const fn key(previous: u8, last: u8, third: u8, fourth: u8) -> usize {
    let key = previous.to_ascii_lowercase() as usize * 961
        + last.to_ascii_lowercase() as usize * 31
        + third.to_ascii_lowercase() as usize * 1021
        + fourth.to_ascii_lowercase() as usize * 577;
    key % EMPTY
}

const NONE: u16 = u16::MAX;

/// A key that no label has.
const EMPTY: usize = 4096;

/// The first label under each key.
static HEADS: [u16; EMPTY + 1] = chains().0;

/// The next label under the same key.
static NEXT: [u16; LABELS.len()] = chains().1;

const fn chains() -> ([u16; EMPTY + 1], [u16; LABELS.len()]) {
    let mut heads = [NONE; EMPTY + 1];
    let mut next = [NONE; LABELS.len()];
    let mut index = 0;
    while index < LABELS.len() {
        let key = key_of(LABELS[index].text.as_bytes());
        next[index] = heads[key];
        heads[key] = index as u16;
        index += 1;
    }
    (heads, next)
}
