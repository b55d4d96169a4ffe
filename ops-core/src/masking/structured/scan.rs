use wide::u8x16;

/// Bytes that one step looks at.
pub(super) const STEP: usize = 64;

/// How long a run of word bytes must be to be looked at as a key.
pub(super) const LONG: u32 = 16;

/// One bit for each of 64 bytes: what kind of byte it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    /// ASCII digits.
    pub(super) digit: u64,
    /// Letters, digits, `_` and `-`.
    pub(super) word: u64,
    /// Signs that only a few kinds of value have, and letters that only a label such as `password` has together.
    pub(super) sign: u64,
    /// `:` and `=`.
    pub(super) colon: u64,
    /// What may be between two groups of digits: `-`, `.`, space, brackets, and what is not ASCII.
    joint: u64,
}

impl Masks {
    /// The masks of the 64 bytes from `at`; bytes past the end count as nothing.
    #[inline]
    pub(super) fn at(bytes: &[u8], at: usize) -> Self {
        if let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<{ STEP + 1 }>) {
            return Self::of(block);
        }
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else {
            return Self::default();
        };
        let mut block = [0; STEP + 1];
        block[..rest.len()].copy_from_slice(rest);
        Self::of(&block)
    }

    /// The byte after the 64 tells whether the last of them begins a pair.
    #[inline]
    fn of(block: &[u8; STEP + 1]) -> Self {
        let mut masks = Self::default();
        for part in 0..STEP / 16 {
            let this = lane(block, part * 16);
            let next = lane(block, part * 16 + 1);
            let small = this | u8x16::splat(0x20);
            let is = |lane: u8x16, byte: u8| lane.simd_eq(u8x16::splat(byte));
            let digit = within(this, b'0', b'9');
            let word = digit | within(small, b'a', b'z') | is(this, b'_') | is(this, b'-');
            // `sw` of password and passwd; 0x83 0x89 is the last letter of パスワード; `--` begins a private key.
            let pair = (is(small, b's') & is(next | u8x16::splat(0x20), b'w'))
                | (is(this, 0x83) & is(next, 0x89))
                | (is(this, b'-') & is(next, b'-'));
            let colon = is(this, b':') | is(this, b'=');
            let joint = within(this, b'(', b')')
                | within(this, b'-', b'.')
                | is(this, b' ')
                | within(this, 0x80, 0xff);
            let sign = is(this, b'@') | is(this, b'\\') | is(this, b'%') | is(this, 0xef) | pair;
            let shift = part * 16;
            masks.digit |= u64::from(digit.to_bitmask() as u16) << shift;
            masks.word |= u64::from(word.to_bitmask() as u16) << shift;
            masks.colon |= u64::from(colon.to_bitmask() as u16) << shift;
            masks.joint |= u64::from(joint.to_bitmask() as u16) << shift;
            masks.sign |= u64::from(sign.to_bitmask() as u16) << shift;
        }
        masks
    }

    /// Where a run of at least [`LONG`] word bytes may begin: not right after another such byte.
    #[inline]
    pub(super) fn long(self, before: bool, next: Self) -> u64 {
        let all = u128::from(self.word) | (u128::from(next.word) << STEP);
        let mut run = all;
        let mut length = 1;
        while length < LONG {
            run &= run >> length;
            length *= 2;
        }
        let starts = all & !((all << 1) | u128::from(before));
        (run & starts) as u64
    }

    /// Where a run of digits begins, but for one or two digits alone.
    #[inline]
    pub(super) fn numbers(self, before: bool, next: Self) -> u64 {
        let digit = u128::from(self.digit) | (u128::from(next.digit) << STEP);
        let joint = u128::from(self.joint) | (u128::from(next.joint) << STEP);
        let starts = digit & !((digit << 1) | u128::from(before));
        let three = digit & (digit >> 1) & (digit >> 2);
        // A sign, or two, or one of three bytes, and more digits.
        let on = joint & ((digit >> 1) | ((joint >> 1) & ((digit >> 2) | ((joint >> 2) & (digit >> 3)))));
        (starts & (three | (on >> 1) | ((digit >> 1) & (on >> 2)))) as u64
    }

    /// Those of the `:` and `=` before which a name may end that says that the value is secret, or that may be of an address.
    #[inline]
    pub(super) fn telling(self, bytes: &[u8], at: usize, next: Self) -> u64 {
        let colons = u128::from(self.colon) | (u128::from(next.colon) << STEP);
        let mut telling = 0;
        let mut rest = self.colon;
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            let place = at + bit as usize;
            let before = |count: usize| place.checked_sub(count).map_or(0, |place| bytes[place]);
            let (last, earlier) = (before(1), before(2));
            let name = NAMES[usize::from(last)]
                | (QUOTES[usize::from(last)] & (NAMES[usize::from(earlier)] | QUOTES[usize::from(earlier)]));
            // Two colons in a row, or seven groups of at most four digits.
            let ahead = colons >> bit;
            let address = ahead & 2 != 0 || (ahead & 0x1f_ffff).count_ones() > 4;
            telling |= u64::from(name | address) << bit;
        }
        telling
    }
}

/// The last letters of names of secrets.
static NAMES: [bool; 256] = {
    let mut names = [false; 256];
    let letters = b"dtnyeslvcpwDTNYESLVCPW";
    let mut index = 0;
    while index < letters.len() {
        names[letters[index] as usize] = true;
        index += 1;
    }
    let mut byte = 0x80;
    while byte < 256 {
        names[byte] = true;
        byte += 1;
    }
    names
};

/// What may be between a name and its sign.
static QUOTES: [bool; 256] = {
    let mut quotes = [false; 256];
    quotes[b'"' as usize] = true;
    quotes[b'\'' as usize] = true;
    quotes[b'`' as usize] = true;
    quotes[b' ' as usize] = true;
    quotes
};

#[inline]
fn lane(block: &[u8; STEP + 1], at: usize) -> u8x16 {
    let mut lane = [0; 16];
    lane.copy_from_slice(&block[at..at + 16]);
    u8x16::from(lane)
}

#[inline]
fn within(lane: u8x16, low: u8, high: u8) -> u8x16 {
    let above = lane - u8x16::splat(low);
    above.min(u8x16::splat(high - low)).simd_eq(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_bits_and_the_end_of_the_text_has_none() {
        let text = "a1-_ @:=\\%password パスワード";
        let masks = Masks::at(text.as_bytes(), 0);
        let bits = |mask: u64| (0..64).filter(|bit| mask >> bit & 1 == 1).collect::<Vec<_>>();
        assert_eq!(bits(masks.digit), [1]);
        assert_eq!(bits(masks.word), [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17]);
        assert_eq!(bits(masks.sign), [5, 8, 9, 13, text.len() as u64 - 2]);
        assert_eq!(bits(masks.colon), [6, 7]);
        assert_eq!(Masks::at(text.as_bytes(), 64).word, 0);
    }

    #[test]
    fn one_or_two_digits_count_only_with_more_after_a_sign() {
        let starts = |text: &str| Masks::at(text.as_bytes(), 0).numbers(false, Masks::default());
        assert_eq!(starts("1 a 22, 333 4"), 1 << 8);
        assert_eq!(starts("1.2"), 1);
        assert_eq!(starts("x03(12)"), 2);
        assert_eq!(starts("(03) 12"), 2);
        assert_eq!(starts("03ー12"), 1);
    }

    #[test]
    fn a_colon_tells_after_the_end_of_a_name_or_within_an_address() {
        let telling =
            |text: &str| Masks::at(text.as_bytes(), 0).telling(text.as_bytes(), 0, Masks::default());
        assert_eq!(telling("10:20:30"), 0);
        assert_eq!(telling("\"key\": 1"), 1 << 5);
        assert_eq!(telling("job: 1"), 0);
        assert_eq!(telling("pwd = 1"), 1 << 4);
        assert_eq!(telling("::1"), 1);
        assert_eq!(telling("a1:b2:c3:d4:e5:f6:a7:b8") & 4, 4);
    }

    #[test]
    fn a_long_run_is_seen_across_the_edge_of_a_step() {
        for start in [0, 1, 40, 50, 63] {
            let mut text = vec![b' '; 160];
            text[start..start + 16].fill(b'x');
            let long = Masks::at(&text, 0).long(false, Masks::at(&text, 64));
            assert_eq!(long, 1 << start);
            text[start + 15] = b' ';
            assert_eq!(Masks::at(&text, 0).long(false, Masks::at(&text, 64)), 0);
        }
    }
}
