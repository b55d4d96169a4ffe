//! Names in katakana of half width: ﾀﾅｶ様, ﾔﾏﾀﾞ ﾀﾛｳさん.

use super::super::letters::{Window, is_narrow, is_space};
use super::super::lexicon::{Entry, SEED, step};
use super::super::scan::Scan;
use crate::model::PiiType;

/// The katakana of half width in the order of their code points, from U+FF66 on.
const WIDE: &str = "ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";

/// What the dictionaries know of a word of half width.
pub(super) fn entry(scan: &Scan<'_>, word: &[char]) -> Entry {
    let mut hash = SEED;
    for (at, c) in word.iter().enumerate() {
        let Some(wide) = (u32::from(*c).checked_sub(0xff66)).and_then(|code| WIDE.chars().nth(code as usize))
        else {
            continue;
        };
        // A sign of its own behind it makes カ ガ, and ハ バ パ.
        let shift = match word.get(at + 1) {
            Some('ﾞ') if wide == 'ウ' => 'ヴ' as u32 - 'ウ' as u32,
            Some('ﾞ') => 1,
            Some('ﾟ') => 2,
            _ => 0,
        };
        hash = step(hash, char::from_u32(u32::from(wide) + shift).unwrap_or(wide));
    }
    scan.lexicon.entry(hash)
}

/// Takes a name of half width in front of an honorific: one word or two.
pub(super) fn narrow_before(scan: &mut Scan<'_>, end: usize) {
    let window = Window::before(scan.text, end, 24, |c| is_narrow(c) || is_space(c));
    let chars = window.chars();
    let word = |to: usize| to - chars[..to].iter().rev().take_while(|c| is_narrow(**c)).count();
    let last = word(chars.len());
    let mut first = last;
    if last > 1 {
        let before = word(last - 1);
        let surname = entry(scan, &chars[before..last - 1]);
        if surname.is(Entry::SURNAME) || surname.is(Entry::RARE_SURNAME) {
            first = before;
        }
    }
    let known = entry(scan, &chars[last..]);
    if chars.len() - last > 1 && !known.is(Entry::ROLE) {
        scan.push(window.place(first), end, PiiType::Person);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_half_width_are_known_as_those_of_full_width() {
        let mut found = Vec::new();
        let scan = Scan::new("", &mut found);
        let known = |word: &str| entry(&scan, &word.chars().collect::<Vec<_>>());
        for word in ["ﾀﾅｶ", "ﾔﾏﾀﾞ", "ﾜﾀﾅﾍﾞ", "ﾊｯﾄﾘ"] {
            assert!(known(word).is(Entry::SURNAME), "{word}");
        }
        assert!(known("ｼﾞｭﾝﾍﾟｲ").is(Entry::GIVEN));
        assert!(known("ﾒｰｶｰ").is(Entry::ROLE));
        assert!(!known("ﾀﾅｶﾞ").is(Entry::SURNAME));
    }
}
