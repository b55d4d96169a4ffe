//! The embedded dictionaries: names by script, and words that are more than a name.

use std::sync::LazyLock;

use super::super::text::PREFECTURES;
use super::confidential::{CONDITIONS, LEAVE_ENDS};
use super::department::{STEMS, SUFFIX_ENDS};
use super::labels::{Label, japanese_labels, keys};
use super::person::{
    FAMILIES, GREETINGS, HONORIFIC_ENDS, HONORIFICS, NOUNS, ORGANISATIONS, PLACES, PREPOSITIONS, ROLES,
    SIDE_ENDS, TITLES, TOWNS,
};

/// What the dictionaries say of a word, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry(u16);

impl Entry {
    /// Of kanji or kana.
    pub(super) const SURNAME: Self = Self(1);
    pub(super) const RARE_SURNAME: Self = Self(2);
    pub(super) const GIVEN: Self = Self(4);
    /// Also a word, or the name of a place.
    pub(super) const ORDINARY: Self = Self(8);
    pub(super) const ROMAJI_SURNAME: Self = Self(16);
    pub(super) const ROMAJI_GIVEN: Self = Self(32);
    pub(super) const ENGLISH_SURNAME: Self = Self(64);
    pub(super) const ENGLISH_GIVEN: Self = Self(128);

    /// Of kanji or kana: names a role, a state, an organisation, where a name could stand.
    pub(super) const ROLE: Self = Self(16);
    /// Of kanji or kana: a disease, or the like.
    pub(super) const CONDITION: Self = Self(64);

    pub(super) const PREFECTURE: Self = Self(128);
    /// Of surnames in kanji: rather a place, rather another word, a town as well, a family first of all.
    pub(super) const PLACE: Self = Self(32);
    pub(super) const NOUN: Self = Self(256);
    pub(super) const TOWN: Self = Self(512);
    pub(super) const FAMILY: Self = Self(1024);

    /// Of Latin letters: part of the name of a company, a place, a month.
    pub(super) const ORGANISATION: Self = Self(256);
    /// Of Latin letters: goes before a name, as in [`Cue`](super::person::Cue).
    pub(super) const TITLE: Self = Self(512);
    pub(super) const GREETING: Self = Self(1024);
    pub(super) const PREPOSITION: Self = Self(2048);

    /// A surname in Latin letters.
    pub(super) const LATIN_SURNAME: Self = Self(16 | 64);
    /// Of a word that goes before a name.
    pub(super) const CUE: Self = Self(512 | 1024 | 2048);
    /// A given name in Latin letters.
    pub(super) const LATIN_GIVEN: Self = Self(32 | 128);

    /// Whether any of the bits of `other` is set.
    pub(super) fn is(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What may begin or end at a character, as bits.
pub(super) mod class {
    pub(in super::super) const HONORIFIC: u8 = 1;
    pub(in super::super) const DEPARTMENT: u8 = 2;
    pub(in super::super) const LABEL: u8 = 4;
    pub(in super::super) const PLACE: u8 = 8;
    /// A word for one's own side or the other one, which a name may touch.
    pub(in super::super) const SIDE: u8 = 16;
    pub(in super::super) const KATAKANA: u8 = 32;
    pub(in super::super) const LEAVE: u8 = 64;
}

const SOURCES: [(&str, Entry); 12] = [
    (include_str!("data/surnames.txt"), Entry::SURNAME),
    (include_str!("data/surnames_rare.txt"), Entry::RARE_SURNAME),
    (include_str!("data/given_names.txt"), Entry::GIVEN),
    (include_str!("data/ordinary.txt"), Entry::ORDINARY),
    (include_str!("data/surnames_kana.txt"), Entry::SURNAME),
    (include_str!("data/given_names_kana.txt"), Entry::GIVEN),
    (include_str!("data/ordinary_kana.txt"), Entry::ORDINARY),
    (include_str!("data/surnames_romaji.txt"), Entry::ROMAJI_SURNAME),
    (include_str!("data/given_names_romaji.txt"), Entry::ROMAJI_GIVEN),
    (include_str!("data/surnames_english.txt"), Entry::ENGLISH_SURNAME),
    (include_str!("data/given_names_english.txt"), Entry::ENGLISH_GIVEN),
    (include_str!("data/ordinary_english.txt"), Entry::ORDINARY),
];

/// Two to the power of this is the number of places of the table, about twice the number of words.
const BITS: u32 = 18;
/// Of each place of the table, the bits for [`Entry`]; the others are for the hash.
const ENTRY_BITS: u32 = 12;
const ENTRY_MASK: u32 = (1 << ENTRY_BITS) - 1;
/// The number of bits that tell with which two characters surnames begin.
const PAIRS: u32 = 17;
/// The number of bits that tell three letters.
const KEY_END: u32 = 15;

/// All dictionaries in one table of hashes, laid out at the first use in a few milliseconds. A word that is in none is taken for one of
/// them about once in a million times.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// 20 bits of the hash, 12 bits of [`Entry`]; 0 for a free place.
    words: Box<[u32]>,
    /// Labels by their characters from the last to the first.
    pub(super) labels: Endings<Label>,
    pub(super) keys: Endings<Label>,
    /// One bit for the last three letters of each key; of those of two, for both.
    key_ends: Box<[u64; 1 << (KEY_END - 6)]>,
    /// Honorifics by their number.
    pub(super) honorifics: Endings<u8>,
    pub(super) stems: Endings<()>,
    /// One bit for each hash of the first two characters of a surname in kanji.
    pairs: Box<[u64; 1 << (PAIRS - 6)]>,
    /// By code point of the basic plane.
    classes: Box<[u8; 1 << 16]>,
    /// One bit for each code point with a class.
    classed: Box<[u64; 1 << 10]>,
    /// One bit for each code point that is a surname by itself.
    alone: Box<[u64; 1 << 10]>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::read);

impl Lexicon {
    pub(super) fn get() -> &'static Self {
        &LEXICON
    }

    fn read() -> Self {
        let mut lexicon = Self {
            words: vec![0; 1 << BITS].into(),
            labels: Endings::new(12),
            keys: Endings::new(12),
            key_ends: Box::new([0; 1 << (KEY_END - 6)]),
            honorifics: Endings::new(9),
            stems: Endings::new(13),
            pairs: Box::new([0; 1 << (PAIRS - 6)]),
            classes: Box::new([0; 1 << 16]),
            classed: Box::new([0; 1 << 10]),
            alone: Box::new([0; 1 << 10]),
        };
        for (source, entry) in SOURCES {
            for line in source.lines() {
                let mut parts = line.split(' ');
                let head = hash(parts.next().unwrap_or_default().chars());
                let surname = entry.is(Entry::SURNAME) || entry.is(Entry::RARE_SURNAME);
                for tail in parts {
                    let tail = if tail == "-" { "" } else { tail };
                    lexicon.insert(tail.chars().fold(head, step), entry);
                    if surname && let (Some(first), Some(second)) = (line.chars().next(), tail.chars().next())
                    {
                        let pair = pair(first as usize, second as usize);
                        lexicon.pairs[pair >> 6] |= 1 << (pair & 63);
                    }
                }
                if entry.is(Entry::SURNAME)
                    && let Some(first) = line.chars().next()
                    && lexicon.word(&[first]).is(Entry::SURNAME)
                {
                    lexicon.alone[first as usize >> 6 & 0x3ff] |= 1 << (first as usize & 63);
                }
            }
        }
        for (words, entry) in [
            (ROLES, Entry::ROLE),
            (CONDITIONS, Entry::CONDITION),
            (PREFECTURES, Entry::PREFECTURE),
            (PLACES, Entry::PLACE),
            (NOUNS, Entry::NOUN),
            (TOWNS, Entry::TOWN),
            (FAMILIES, Entry::FAMILY),
            (ORGANISATIONS, Entry::ORGANISATION),
            (TITLES, Entry::TITLE),
            (GREETINGS, Entry::GREETING),
            (PREPOSITIONS, Entry::PREPOSITION),
        ] {
            for word in words.split_ascii_whitespace() {
                lexicon.insert(hash(word.chars()), entry);
            }
        }
        japanese_labels(|word, label| {
            lexicon.labels.insert(word, label);
            if let Some(last) = word.chars().next_back() {
                lexicon.mark(last, class::LABEL);
            }
        });
        keys(|key, label| {
            lexicon.keys.insert_whole(key, label);
            let end = match *key.as_bytes() {
                [.., before, middle, last] => key_end(before, middle, last),
                [middle, last] => key_end(0, middle, last),
                _ => return,
            };
            lexicon.key_ends[end >> 6] |= 1 << (end & 63);
        });
        for (number, honorific) in (0..).zip(HONORIFICS) {
            lexicon.honorifics.insert(honorific.word, number);
        }
        for stem in STEMS.split_ascii_whitespace() {
            lexicon.stems.insert(stem, ());
        }
        for (ends, bit) in [
            (HONORIFIC_ENDS, class::HONORIFIC),
            (SUFFIX_ENDS, class::DEPARTMENT),
            (LEAVE_ENDS, class::LEAVE),
            (SIDE_ENDS, class::SIDE),
            ("県都府道市区町村郡", class::PLACE),
        ] {
            for end in ends.chars() {
                lexicon.mark(end, bit);
            }
        }
        for c in '\u{30a1}'..='\u{30f4}' {
            lexicon.mark(c, class::KATAKANA);
        }
        lexicon
    }

    fn mark(&mut self, c: char, bit: u8) {
        if let Some(class) = self.classes.get_mut(c as usize) {
            *class |= bit;
            self.classed[c as usize >> 6] |= 1 << (c as usize & 63);
        }
    }

    fn insert(&mut self, hash: u64, entry: Entry) {
        let tag = tag(hash);
        let mut at = (hash >> (64 - BITS)) as usize;
        loop {
            let word = &mut self.words[at];
            if *word == 0 || *word >> ENTRY_BITS == tag {
                *word = tag << ENTRY_BITS | *word & ENTRY_MASK | u32::from(entry.0);
                return;
            }
            at = (at + 1) & ((1 << BITS) - 1);
        }
    }

    /// What is known of the word with `hash`.
    #[inline]
    pub(super) fn entry(&self, hash: u64) -> Entry {
        let tag = tag(hash);
        let mut at = (hash >> (64 - BITS)) as usize;
        loop {
            let word = self.words[at];
            if word == 0 {
                return Entry::default();
            }
            if word >> ENTRY_BITS == tag {
                return Entry((word & ENTRY_MASK) as u16);
            }
            at = (at + 1) & ((1 << BITS) - 1);
        }
    }

    pub(super) fn word(&self, chars: &[char]) -> Entry {
        self.entry(hash(chars.iter().copied()))
    }

    /// Whether a key ends with these letters, small or capital; 0 stands for what is before the first letter of a key.
    #[inline]
    pub(super) fn has_key_end(&self, before: u8, middle: u8, last: u8) -> bool {
        let end = key_end(before, middle, last);
        self.key_ends[end >> 6] >> (end & 63) & 1 == 1
    }

    /// Whether a surname may begin with the character of code `first`, behind which the kanji of code `second` stands.
    #[inline]
    pub(super) fn may_begin(&self, first: usize, second: Option<usize>) -> bool {
        let alone = self.alone[first >> 6 & 0x3ff] >> (first & 63) & 1 == 1;
        alone
            || second.is_some_and(|second| {
                let pair = pair(first, second);
                self.pairs[pair >> 6] >> (pair & 63) & 1 == 1
            })
    }

    /// What may begin or end at the character with `code`.
    #[inline]
    pub(super) fn class(&self, code: usize) -> u8 {
        if self.is_classed(code) {
            self.classes[code & 0xffff]
        } else {
            0
        }
    }

    /// Whether something may begin or end at the character with `code`.
    #[inline]
    pub(super) fn is_classed(&self, code: usize) -> bool {
        let code = code & 0xffff;
        self.classed[code >> 6 & 0x3ff] >> (code & 63) & 1 == 1
    }

    /// Whether the character is a surname by itself.
    #[inline]
    pub(super) fn is_alone(&self, c: char) -> bool {
        let code = c as usize & 0xffff;
        self.alone[code >> 6] >> (code & 63) & 1 == 1
    }
}

/// Words looked up from their last character to the first, so that a look ends as soon as no word ends like that.
#[derive(Debug)]
pub(super) struct Endings<T> {
    /// Part of the hash, and the value if a whole word is meant; the hash is 0 in a free place.
    table: Box<[(u32, Option<T>)]>,
    bits: u32,
}

impl<T: Copy> Endings<T> {
    fn new(bits: u32) -> Self {
        Self {
            table: vec![(0, None); 1 << bits].into(),
            bits,
        }
    }

    fn insert(&mut self, word: &str, value: T) {
        let mut hash = SEED;
        let mut left = word.chars().count();
        for c in word.chars().rev() {
            hash = step(hash, c);
            left -= 1;
            self.set(hash, (left == 0).then_some(value));
        }
    }

    /// Inserts a word, and of what it ends with only the last three characters.
    fn insert_whole(&mut self, word: &str, value: T) {
        if word.len() > 3 {
            self.set(word.chars().rev().take(3).fold(SEED, step), None);
        }
        self.set(word.chars().rev().fold(SEED, step), Some(value));
    }

    fn set(&mut self, hash: u64, value: Option<T>) {
        let tag = (hash >> 16) as u32 | 1;
        let mut at = (hash >> (64 - self.bits)) as usize;
        while self.table[at].0 != 0 && self.table[at].0 != tag {
            at = (at + 1) & (self.table.len() - 1);
        }
        let (known, old) = self.table[at];
        // Of a word in two lists, the first counts.
        self.table[at] = (tag, if known == tag { old.or(value) } else { value });
    }

    /// `None`: no word ends like that; the value, if it is a whole word.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<Option<T>> {
        let tag = (hash >> 16) as u32 | 1;
        let mut at = (hash >> (64 - self.bits)) as usize;
        loop {
            let (known, value) = self.table[at];
            if known == tag {
                return Some(value);
            }
            if known == 0 {
                return None;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    /// The longest word at the end of `chars`: its length.
    pub(super) fn longest(&self, chars: impl Iterator<Item = char>) -> Option<(usize, T)> {
        let mut hash = SEED;
        let mut found = None;
        for (length, c) in (1..).zip(chars) {
            hash = step(hash, c);
            match self.get(hash) {
                None => break,
                Some(Some(value)) => found = Some((length, value)),
                Some(None) => {}
            }
        }
        found
    }
}

/// Five bits for each of three letters. Those of no other ASCII letter or digit are the same, which only lets more keys be looked at.
#[inline]
fn key_end(before: u8, middle: u8, last: u8) -> usize {
    let bits = |byte: u8| usize::from(byte & 0x1f);
    bits(before) << 10 | bits(middle) << 5 | bits(last)
}

#[inline]
fn pair(first: usize, second: usize) -> usize {
    let both = (first as u64) << 16 | second as u64;
    (both.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PAIRS)) as usize
}

fn tag(hash: u64) -> u32 {
    // Never 0, which marks a free place.
    (hash >> 16) as u32 & 0xf_ffff | 1
}

pub(super) fn hash(chars: impl Iterator<Item = char>) -> u64 {
    chars.fold(SEED, step)
}

pub(super) const SEED: u64 = 0x243f_6a88_85a3_08d3;

/// One character more. Katakana counts as hiragana, capital and full-width letters as small ones.
#[inline]
pub(super) fn step(hash: u64, c: char) -> u64 {
    let c = match c {
        'A'..='Z' => c as u32 + 32,
        '\u{30a1}'..='\u{30f6}' => c as u32 - 0x60,
        'Ａ'..='Ｚ' => c as u32 - 'Ａ' as u32 + 'a' as u32,
        'ａ'..='ｚ' => c as u32 - 'ａ' as u32 + 'a' as u32,
        // Other forms of the same, which names are written with.
        '﨑' => '崎' as u32,
        '髙' => '高' as u32,
        '德' => '徳' as u32,
        '濵' => '濱' as u32,
        _ => c as u32,
    };
    (hash.rotate_left(5) ^ u64::from(c)).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// As [`step`], for a small letter or a digit.
#[inline]
pub(super) fn step_small(hash: u64, byte: u8) -> u64 {
    (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(word: &str) -> Entry {
        Lexicon::get().entry(hash(word.chars()))
    }

    #[test]
    fn the_notice_names_every_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/masking/language/data");
        let notice = include_str!("data/NOTICE");
        let names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "NOTICE")
            .collect();
        assert_eq!(names.len(), SOURCES.len());
        for name in names {
            assert!(notice.contains(&name), "{name}");
        }
    }

    #[test]
    fn words_of_each_dictionary_are_known() {
        for (word, expected) in [
            ("佐藤", Entry::SURNAME),
            ("東海林", Entry::SURNAME),
            ("幹", Entry::GIVEN),
            ("ササキ", Entry::SURNAME),
            ("さゆり", Entry::GIVEN),
            ("Tanaka", Entry::ROMAJI_SURNAME),
            ("KENJI", Entry::ROMAJI_GIVEN),
            ("Ford", Entry::ENGLISH_SURNAME),
            ("Amanda", Entry::ENGLISH_GIVEN),
            ("April", Entry::ORDINARY),
        ] {
            assert!(entry(word).is(expected), "{word}");
        }
        for word in ["", "佐藤田", "障害対応", "Kubernetes", "キャッシュ機構"] {
            assert_eq!(entry(word), Entry::default(), "{word}");
        }
    }

    #[test]
    fn the_table_is_not_crowded() {
        let lexicon = Lexicon::get();
        let used = lexicon.words.iter().filter(|word| **word != 0).count();
        assert!((100_000..160_000).contains(&used), "{used}");
    }
}
