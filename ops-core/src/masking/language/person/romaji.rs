//! Surnames of Japan in Latin letters.

/// Whether a word is spelt as surnames of Japan are in Latin letters, five letters or more.
pub(super) fn is_japanese(word: &[u8]) -> bool {
    let mut rest = word;
    let mut syllables = 0;
    while let [first, tail @ ..] = rest {
        let small = |at: usize| tail.get(at).map_or(0, |byte| byte | 0x20);
        let vowel = |byte: u8| matches!(byte, b'a' | b'i' | b'u' | b'e' | b'o');
        let length = match (first | 0x20, small(0), small(1)) {
            (vowel_alone, ..) if vowel(vowel_alone) => 1,
            (b'c' | b's', b'h', last) if vowel(last) => 3,
            (b't', b's', b'u') => 3,
            (b'k' | b'g' | b'n' | b'h' | b'b' | b'p' | b'm' | b'r', b'y', last) if vowel(last) => 3,
            (b'k' | b's' | b't' | b'p', double, _) if double == first | 0x20 => 1,
            (b't', b'c', b'h') => 1,
            (
                b'k' | b'g' | b's' | b'z' | b't' | b'd' | b'n' | b'h' | b'f' | b'b' | b'p' | b'm' | b'y'
                | b'r' | b'w' | b'j',
                last,
                _,
            ) if vowel(last) => 2,
            (b'n', ..) => 1,
            (b'm', b'b' | b'p', _) => 1,
            _ => return false,
        };
        syllables += 1;
        rest = rest.get(length..).unwrap_or_default();
    }
    syllables >= 3 && word.len() >= 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_syllables_are_told_from_others() {
        for word in [
            "Shiratori",
            "KAMOSHIDA",
            "Kambayashi",
            "Hattori",
            "Ijuuin",
            "Tsuchiya",
            "Ohno",
        ] {
            assert_eq!(is_japanese(word.as_bytes()), word != "Ohno", "{word}");
        }
        for word in [
            "Platform",
            "Ito",
            "Camera",
            "Street",
            "",
            "Ax",
            "Hokkaidoo-ken",
            "日本",
        ] {
            assert!(!is_japanese(word.as_bytes()), "{word}");
        }
    }
}
