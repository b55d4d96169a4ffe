//! Where a closer look is worth it, 64 bytes at a time. Everything else of a text is passed over at this speed.

/// How many bytes one step covers.
pub(super) const BLOCK: usize = 64;

/// A block with the byte before it and the four after it.
pub(super) type Around = [u8; BLOCK + 5];

/// The first byte of kana; those of kanji follow.
pub(super) const LEAD: u8 = 0xe3;

/// One bit for each byte of the block: kanji, katakana, a few hiragana; a space in front of a capital letter, of a word like `is` or `of` or with `w`; a
/// separator after a key; a `\u`.
#[inline]
pub(super) fn marks(around: &Around) -> u64 {
    let mut flags = [0u8; BLOCK];
    for (at, flag) in flags.iter_mut().enumerate() {
        let [before, this, next, second, third] = [
            around[at],
            around[at + 1],
            around[at + 2],
            around[at + 3],
            around[at + 4],
        ];
        // `is`, `of`; and `in`, `on`, which cost less to look at than to tell apart here.
        let link = (third == b' ') & (next | 6 == b'o');
        let space = (this == b' ') & (is_between(next, b'A', 26) | link | (next == b'w'));
        let key = is_between(before | 0x20, b'a', 26) | (before == b'"') | (before == b'\'');
        let separator = ((this == b':') | (this == b'=')) & key;
        let escape = (this == b'\\') & (next == b'u');
        // Of hiragana only ん, ま and な end a word of ours.
        let katakana = (next == 0x83) | ((next == 0x82) & (second >= 0x93));
        let hiragana = (next == 0x81) & ((second == 0xbe) | (second == 0xaa));
        let kana = (this == LEAD) & (katakana | hiragana);
        *flag = u8::from(space | separator | escape | kana | is_between(this, LEAD + 1, 6));
    }
    let mut marks = 0;
    for (at, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        // Gathers the lowest bits of eight bytes in one byte.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        marks |= bits << (8 * at);
    }
    marks
}

#[inline]
fn is_between(byte: u8, first: u8, many: u8) -> bool {
    byte.wrapping_sub(first) < many
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_where_the_rules_say() {
        let mut around = [b'x'; BLOCK + 5];
        let text = br#" as John is x "name": =1 \u3042 by"#;
        around[1..=text.len()].copy_from_slice(text);
        around[1 + 60] = 0xe5;
        let marks = marks(&around);
        let found: Vec<_> = (0..64).filter(|at| marks >> at & 1 == 1).collect();
        assert_eq!(found, [3, 8, 20, 25, 60]);
    }
}
