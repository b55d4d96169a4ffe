//! Where a closer look is worth it, 64 bytes at a time. Everything else of a text is passed over at this speed.

/// How many bytes one step covers.
pub(super) const STEP: usize = 64;

/// A step with the byte before it and the four after it.
pub(super) type Window = [u8; STEP + 5];

/// How many bytes before a step are in its window.
const BEFORE: usize = 1;

/// The first byte of kana; those of kanji follow.
pub(super) const LEAD: u8 = 0xe3;

/// The last bytes of ん, and of the katakana that end a word of ours, of their first row: ク ザ ス.
const FIRST_ENDS: [u8; 6] = [0x93, 0xaf, 0xb6, 0xb9, 0xb9, 0xb9];

/// Of their last row: ド ナ ブ プ ム ー.
const LAST_ENDS: [u8; 6] = [0x89, 0x8a, 0x96, 0x97, 0xa0, 0xbc];

/// The marks of some steps in a row.
pub(in crate::masking) type Stretch = [Marks; 16];

/// The places of a step that are worth a look, one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::masking) struct Marks {
    /// Kanji.
    pub(super) kanji: u64,
    /// Kana that end a word of ours: some katakana, ん, the ま of さま and the な of ふりがな.
    pub(super) kana: u64,
    /// Katakana.
    pub(super) katakana: u64,
    /// A space in front of a capital letter, of a word like `is` or `of` or with `wa` or `wi`; a separator after a key; a `\u`; the
    /// hyphen of `-san`.
    pub(super) sign: u64,
}

/// Makes `marks` and `stretch` of the operations of a module of [`vector`](crate::masking::vector).
macro_rules! marking {
    ($vectors:ident $(, #[$feature:meta])?) => {
        use super::{BEFORE, FIRST_ENDS, LAST_ENDS, LEAD, Marks, STEP, Stretch, Window};
        use crate::masking::vector::stretch;
        use crate::masking::vector::$vectors::{WIDTH, and, bits, eq, load, or, small, within};

        $(#[$feature])?
        #[inline(never)]
        fn marks(window: &Window) -> Marks {
            let mut marks = Marks::default();
            let mut at = 0;
            while at < STEP {
                let before = load(window, at);
                let this = load(window, at + 1);
                let next = load(window, at + 2);
                let second = load(window, at + 3);
                let third = load(window, at + 4);
                // `is`, `of`; and `in`, `on`, which cost less to look at than to tell apart here.
                let link = and(eq(third, b' '), or(eq(next, b'i'), eq(next, b'o')));
                // `was`, `will`, `with`.
                let was = and(eq(next, b'w'), or(eq(second, b'a'), eq(second, b'i')));
                let word = or(within(next, b'A', b'Z'), or(link, was));
                let key = or(
                    within(small(before), b'a', b'z'),
                    or(eq(before, b'"'), eq(before, b'\'')),
                );
                let equals = eq(this, b'=');
                let spaced = and(equals, eq(before, b' '));
                let ends = or(or(eq(this, b':'), eq(this, b'>')), equals);
                let separator = or(and(ends, key), spaced);
                let escape = and(eq(this, b'\\'), eq(next, b'u'));
                let honorific = and(and(eq(this, b'-'), eq(next, b's')), eq(second, b'a'));
                let escape = or(escape, honorific);
                let sign = or(and(eq(this, b' '), word), or(separator, escape));
                let katakana = or(eq(next, 0x83), and(eq(next, 0x82), within(second, 0xa1, 0xff)));
                let among = |row: u8, lasts: [u8; 6]| {
                    let [a, b, c, d, e, f] = lasts.map(|last| eq(second, last));
                    and(eq(next, row), or(or(or(a, b), or(c, d)), or(e, f)))
                };
                let ends = or(among(0x82, FIRST_ENDS), among(0x83, LAST_ENDS));
                // ま behind さ or サ, な behind が or ガ.
                let behind = small(before);
                let hiragana = or(
                    and(eq(second, 0xbe), eq(behind, 0xb5)),
                    and(eq(second, 0xaa), eq(behind, 0xac)),
                );
                let hiragana = and(eq(next, 0x81), hiragana);
                let lead = eq(this, LEAD);
                marks.sign |= bits(sign) << at;
                marks.kana |= bits(and(lead, or(ends, hiragana))) << at;
                marks.katakana |= bits(and(lead, katakana)) << at;
                marks.kanji |= bits(within(this, LEAD + 1, 0xe9)) << at;
                at += WIDTH;
            }
            marks
        }

        stretch!($(#[$feature])?);
    };
}

pub(in crate::masking) mod portable {
    marking!(portable);
}

#[cfg(target_arch = "x86_64")]
pub(in crate::masking) mod wide {
    marking!(wide, #[target_feature(enable = "avx2,bmi1,bmi2")]);
}

/// Vectors of 64 bytes, with one set of ASCII for each question.
#[cfg(target_arch = "x86_64")]
pub(in crate::masking) mod widest {
    use super::{BEFORE, FIRST_ENDS, LAST_ENDS, LEAD, Marks, STEP, Stretch, Window};
    use crate::masking::vector::stretch;
    use crate::masking::vector::widest::{Lows, Sets, ascii, eq, has, load, of, within};

    /// What ends a key, a space, what separates a key from its value, a backslash; what begins a word of ours, or may begin `is` and `of`;
    /// the letter of an escape.
    static SETS: Sets = Sets::new()
        .with_letters(KEY)
        .with(KEY, b"\"'")
        .with(SPACE, b" ")
        .with(SEPARATOR, b":=>")
        .with(BACKSLASH, b"\\")
        .with(WORD, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        .with(LINK, b"io")
        .with(ESCAPE, b"u");
    const KEY: u8 = 1;
    const SPACE: u8 = 2;
    const SEPARATOR: u8 = 4;
    const BACKSLASH: u8 = 8;
    const WORD: u8 = 16;
    const LINK: u8 = 32;
    const ESCAPE: u8 = 64;

    static ENDS: Lows = Lows::new().with(FIRST, &FIRST_ENDS).with(LAST, &LAST_ENDS);
    const FIRST: u8 = 1;
    const LAST: u8 = 2;

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    fn marks(window: &Window) -> Marks {
        let this = load(window, 1);
        let next = load(window, 2);
        let second = load(window, 3);
        let kinds = of(this, ascii(this), &SETS);
        let next_kinds = of(next, ascii(next), &SETS);
        // What is before each byte, and two behind its next one.
        let before = has(kinds, KEY) << 1 | u64::from(SETS.has(window[0], KEY));
        let behind_space = has(kinds, SPACE) << 1 | u64::from(SETS.has(window[0], SPACE));
        let spaced = behind_space & eq(this, b'=');
        let space_third = eq(load(window, 4), b' ');
        let was = eq(next, b'w') & (eq(second, b'a') | eq(second, b'i'));
        let word = has(next_kinds, WORD) | space_third & has(next_kinds, LINK) | was;
        let escape = has(kinds, BACKSLASH) & has(next_kinds, ESCAPE);
        let addressed = eq(this, b'-') & eq(next, b's') & eq(second, b'a');
        let (row, last_row) = (eq(next, 0x82), eq(next, 0x83));
        let katakana = last_row | row & within(second, 0xa1, 0xff);
        let ends = ENDS.of(second);
        let ends = row & has(ends, FIRST) | last_row & has(ends, LAST);
        let behind = load(window, 0);
        let honorific = eq(second, 0xbe) & (eq(behind, 0x95) | eq(behind, 0xb5));
        let reading = eq(second, 0xaa) & (eq(behind, 0x8c) | eq(behind, 0xac));
        let hiragana = eq(next, 0x81) & (honorific | reading);
        let lead = eq(this, LEAD);
        Marks {
            kanji: within(this, LEAD + 1, 0xe9),
            kana: lead & (ends | hiragana),
            katakana: lead & katakana,
            sign: has(kinds, SPACE) & word | has(kinds, SEPARATOR) & before | spaced | escape | addressed,
        }
    }

    stretch!(#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,bmi2")]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::vector::{Vectors, Windows};

    #[test]
    fn marks_stand_where_the_rules_say() {
        let mut text = br#" as John is x "name": =1 \u3042 <b>y"#.to_vec();
        text.resize(60, b'x');
        text.extend("営ナな".bytes());
        text.extend("がなあな".bytes());
        let mut marks = Stretch::default();
        assert_eq!(portable::stretch(Windows::of(&text), 0, &mut marks), 2);
        let found = |mask: u64| (0..64).filter(|at| mask >> at & 1 == 1).collect::<Vec<_>>();
        assert_eq!(found(marks[0].sign), [3, 8, 20, 22, 25, 34]);
        assert_eq!(found(marks[0].kanji), [60]);
        assert_eq!(found(marks[0].kana), [63]);
        assert_eq!(found(marks[1].kana), [8]);
    }

    #[test]
    fn every_vector_sees_the_same() {
        let mut text = "氏名：田中　ナナ \"name\": \\u3042 Mr. X is w=1、カタカナん".repeat(40);
        let mut state = 7_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let signs = [
                " ", ":", "=", ">", "\"", "'", "\\u", "w", "Z", "i", "o", "9", "氏", "ナ", "ま", "な", "ん",
                "さ", "が", "り", " wa", " wi", " wo", "-san", "-sa", "-s",
            ];
            match state >> 62 {
                0 => text.push((state >> 40) as u8 as char),
                1 => text.push(char::from_u32(0x3000 + (state >> 40 & 0x7fff) as u32).unwrap_or('x')),
                _ => text.push_str(signs[(state >> 40) as usize % signs.len()]),
            }
        }
        let (mut some, mut more) = (Stretch::default(), Stretch::default());
        for length in [1, 63, 64, 65, 128, 129, text.len()] {
            for at in (0..length).step_by(STEP * some.len()) {
                let windows = Windows::of(&text.as_bytes()[..length]);
                let count = portable::stretch(windows, at, &mut some);
                for vectors in Vectors::all() {
                    assert_eq!(vectors.language(windows, at, &mut more), count);
                    assert_eq!(some[..count], more[..count], "{vectors:?}");
                }
            }
        }
    }
}
