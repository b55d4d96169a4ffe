//! What kind of byte each of a window is, one bit for each byte and kind. The same is said with the operations of every vector.

use super::marks::Window;

/// What kind of byte each of the first 64 of a window is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Planes {
    pub(super) digit: u64,
    pub(super) letter: u64,
    /// Letters, digits, `_` and `-`.
    pub(super) word: u64,
    /// Hexadecimal digits.
    pub(super) hex: u64,
    /// `x`, which an extension begins with.
    pub(super) x: u64,
    pub(super) space: u64,
    /// The ASCII signs between two groups of digits: `-`, `.`, space, brackets.
    pub(super) joint: u64,
    /// What goes on a number after one sign: digits, `-`, space, `(`.
    pub(super) goes_on: u64,
    /// What makes the number right after it more than a number: letters, `-`, `+`, `(`, what is not ASCII.
    pub(super) opens: u64,
    /// What is not ASCII.
    pub(super) high: u64,
    /// `:` and `=`
    pub(super) colon: u64,
    /// Quotes and spaces, which may stand between a name and its colon.
    pub(super) quote: u64,
    /// The last letters of names of secrets, and what is not ASCII; with the widest vectors only behind a letter that names have before it.
    pub(super) name: u64,
    /// Signs, and pairs of letters, of [`Marks::sign`](super::marks::Marks::sign).
    pub(super) sign: u64,
    /// Two hyphens in a row.
    pub(super) dashes: u64,
}

/// The planes of some windows, side by side: what is done with them is done with as many at once as a vector holds.
#[derive(Debug, Default)]
pub(super) struct Rows {
    digit: [u64; ROWS],
    letter: [u64; ROWS],
    word: [u64; ROWS],
    hex: [u64; ROWS],
    x: [u64; ROWS],
    space: [u64; ROWS],
    joint: [u64; ROWS],
    goes_on: [u64; ROWS],
    opens: [u64; ROWS],
    high: [u64; ROWS],
    colon: [u64; ROWS],
    quote: [u64; ROWS],
    name: [u64; ROWS],
    sign: [u64; ROWS],
    dashes: [u64; ROWS],
}

/// How many windows are looked at side by side.
pub(super) const ROWS: usize = 4;

impl Rows {
    #[inline(always)]
    pub(super) fn get(&self, row: usize) -> Planes {
        Planes {
            digit: self.digit[row],
            letter: self.letter[row],
            word: self.word[row],
            hex: self.hex[row],
            x: self.x[row],
            space: self.space[row],
            joint: self.joint[row],
            goes_on: self.goes_on[row],
            opens: self.opens[row],
            high: self.high[row],
            colon: self.colon[row],
            quote: self.quote[row],
            name: self.name[row],
            sign: self.sign[row],
            dashes: self.dashes[row],
        }
    }

    #[inline(always)]
    pub(super) fn set(&mut self, row: usize, planes: &Planes) {
        self.digit[row] = planes.digit;
        self.letter[row] = planes.letter;
        self.word[row] = planes.word;
        self.hex[row] = planes.hex;
        self.x[row] = planes.x;
        self.space[row] = planes.space;
        self.joint[row] = planes.joint;
        self.goes_on[row] = planes.goes_on;
        self.opens[row] = planes.opens;
        self.high[row] = planes.high;
        self.colon[row] = planes.colon;
        self.quote[row] = planes.quote;
        self.name[row] = planes.name;
        self.sign[row] = planes.sign;
        self.dashes[row] = planes.dashes;
    }
}

pub(super) mod portable {
    use super::{NAMES, Planes, Window};
    use crate::masking::vector::portable::{WIDTH, and, bits, eq, letters, load, or, small, within};

    #[inline]
    pub(in super::super) fn planes(window: &Window) -> Planes {
        let mut planes = Planes::default();
        let mut at = 0;
        while at < 64 {
            let this = load(window, at);
            let next = load(window, at + 1);
            let low = small(this);
            let digit = within(this, b'0', b'9');
            let letter = within(low, b'a', b'z');
            let (hyphen, space, open) = (eq(this, b'-'), eq(this, b' '), eq(this, b'('));
            let between = or(hyphen, or(space, open));
            let dashes = and(hyphen, eq(next, b'-'));
            // `sw` of password and passwd; 0x83 0x89 is the last letter of パスワード; `--` begins a private key.
            let pair = or(
                and(eq(low, b's'), eq(small(next), b'w')),
                or(and(eq(this, 0x83), eq(next, 0x89)), dashes),
            );
            let sign = or(
                or(eq(this, b'@'), eq(this, b'\\')),
                or(eq(this, b'%'), eq(this, 0xef)),
            );
            let quote = or(eq(this, b'"'), or(eq(this, b'\''), or(eq(this, b'`'), space)));
            planes.digit |= bits(digit) << at;
            planes.letter |= bits(letter) << at;
            planes.word |= bits(or(or(digit, letter), or(hyphen, eq(this, b'_')))) << at;
            planes.hex |= bits(or(digit, within(low, b'a', b'f'))) << at;
            planes.x |= bits(eq(this, b'x')) << at;
            planes.space |= bits(space) << at;
            planes.joint |= bits(or(between, or(eq(this, b')'), eq(this, b'.')))) << at;
            planes.goes_on |= bits(or(digit, between)) << at;
            // The highest bit of a byte counts, so that `this` stands for what is not ASCII.
            planes.opens |= bits(or(or(letter, or(hyphen, open)), or(eq(this, b'+'), this))) << at;
            planes.high |= bits(this) << at;
            planes.colon |= bits(or(eq(this, b':'), eq(this, b'='))) << at;
            planes.quote |= bits(quote) << at;
            planes.name |= bits(or(letters(this, NAMES), this)) << at;
            planes.sign |= bits(or(sign, pair)) << at;
            planes.dashes |= bits(dashes) << at;
            at += WIDTH;
        }
        planes
    }
}

/// The last letters of names of secrets.
const NAMES: &[u8] = b"dtnyeslvcpwr";

/// Vectors of 32 bytes: sixteen blocks of the table of ASCII, of which every kind is made, are told apart by two looks.
#[cfg(target_arch = "x86_64")]
pub(super) mod wide {
    use super::{Planes, Window};
    use crate::masking::vector::blocks::{Blocks, block};
    use crate::masking::vector::wide::{WIDTH, and, any, bits, eq, load, of, or, small};

    /// The letters that are in the rows of `A`, those in the rows of `P`, digits, `-`, `_`, hexadecimal letters, `:` and `=`; and signs
    /// between two groups of digits.
    const FIRST: Blocks = Blocks::of([
        block(&[4, 6], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        block(&[5, 7], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        block(&[3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        block(&[2], &[13]),
        block(&[5], &[15]),
        block(&[4, 6], &[1, 2, 3, 4, 5, 6]),
        block(&[3], &[10, 13]),
        block(&[2], &[0, 8, 9, 13, 14]),
    ]);

    /// The last letters of names of secrets, in the two pairs of rows; quotes in the row of the space, and the other one; the space; what
    /// opens a number but for letters; `x`; and what goes on a number but for digits.
    const SECOND: Blocks = Blocks::of([
        block(&[4, 6], &[3, 4, 5, 12, 14]),
        block(&[5, 7], &[0, 2, 3, 4, 6, 7, 9]),
        block(&[2], &[0, 2, 7]),
        block(&[6], &[0]),
        block(&[2], &[0]),
        block(&[2], &[8, 11, 13]),
        block(&[7], &[8]),
        block(&[2], &[0, 8, 13]),
    ]);

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(in super::super) fn planes(window: &Window) -> Planes {
        let mut planes = Planes::default();
        let mut at = 0;
        while at < 64 {
            let this = load(window, at);
            let next = load(window, at + 1);
            let (first, second) = (of(this, &FIRST), of(this, &SECOND));
            let dashes = and(eq(this, b'-'), eq(next, b'-'));
            let pair = or(
                and(eq(small(this), b's'), eq(small(next), b'w')),
                or(and(eq(this, 0x83), eq(next, 0x89)), dashes),
            );
            let sign = or(
                or(eq(this, b'@'), eq(this, b'\\')),
                or(eq(this, b'%'), eq(this, 0xef)),
            );
            planes.digit |= bits(any(first, 0b100)) << at;
            planes.letter |= bits(any(first, 0b11)) << at;
            planes.word |= bits(any(first, 0b1_1111)) << at;
            planes.hex |= bits(any(first, 0b10_0100)) << at;
            planes.colon |= bits(any(first, 0b100_0000)) << at;
            planes.joint |= bits(first) << at;
            planes.name |= bits(any(second, 0b11)) << at;
            planes.quote |= bits(any(second, 0b1100)) << at;
            planes.space |= bits(any(second, 0b1_0000)) << at;
            planes.opens |= bits(any(second, 0b10_0000)) << at;
            planes.x |= bits(any(second, 0b100_0000)) << at;
            planes.goes_on |= bits(second) << at;
            planes.high |= bits(this) << at;
            planes.sign |= bits(or(sign, pair)) << at;
            planes.dashes |= bits(dashes) << at;
            at += WIDTH;
        }
        planes.goes_on |= planes.digit;
        planes.opens |= planes.letter | planes.high;
        planes.name |= planes.high;
        planes
    }
}

/// Vectors of 64 bytes: sixteen sets of ASCII, one for each kind, are told apart by two looks.
#[cfg(target_arch = "x86_64")]
pub(super) mod widest {
    use super::{NAMES, Planes, Window};
    use crate::masking::vector::widest::{Sets, and, ascii, eq, has, load, of};

    static FIRST: Sets = {
        let mut sets = Sets::new();
        sets = sets.with(DIGIT, b"0123456789");
        sets = sets.with_letters(LETTER);
        sets = sets.with_letters(WORD).with(WORD, b"0123456789-_");
        sets = sets.with(HEX, b"0123456789abcdefABCDEF");
        sets = sets.with(COLON, b":=");
        sets = sets.with(JOINT, b"-. ()");
        sets = sets.with(GOES_ON, b"0123456789- (");
        sets.with_letters(OPENS).with(OPENS, b"-+(")
    };
    const DIGIT: u8 = 1;
    const LETTER: u8 = 2;
    const WORD: u8 = 4;
    const HEX: u8 = 8;
    const COLON: u8 = 16;
    const JOINT: u8 = 32;
    const GOES_ON: u8 = 64;
    const OPENS: u8 = 128;

    static SECOND: Sets = {
        let mut sets = Sets::new();
        sets = sets.with_small_and_capital(NAME, NAMES);
        sets = sets.with(QUOTE, b"\"'` ");
        sets = sets.with(SPACE, b" ");
        sets = sets.with(X, b"x");
        sets = sets.with(SIGN, b"@\\%");
        sets = sets.with(S, b"sS");
        sets = sets.with(W, b"wW");
        sets.with(HYPHEN, b"-")
    };
    /// The last two letters of names of secrets, such as `rd` and `ey`, in groups: a letter of a set of the first and one of the same set of the
    /// second. A few pairs more are among them.
    static BEFORE_LAST: Sets = Sets::new()
        .with_small_and_capital(1, b"e")
        .with_small_and_capital(2, b"rw")
        .with_small_and_capital(4, b"iou")
        .with_small_and_capital(8, b"sd")
        .with_small_and_capital(16, b"la")
        .with_small_and_capital(32, b"v")
        .with_small_and_capital(64, b"tp");
    static LAST: Sets = Sets::new()
        .with_small_and_capital(1, b"tnyr")
        .with_small_and_capital(2, b"dt")
        .with_small_and_capital(4, b"nce")
        .with_small_and_capital(8, b"es")
        .with_small_and_capital(16, b"sl")
        .with_small_and_capital(32, b"vc")
        .with_small_and_capital(64, b"pw");

    const NAME: u8 = 1;
    const QUOTE: u8 = 2;
    const SPACE: u8 = 4;
    const X: u8 = 8;
    const SIGN: u8 = 16;
    const S: u8 = 32;
    const W: u8 = 64;
    const HYPHEN: u8 = 128;

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    pub(in super::super) fn planes(window: &Window) -> Planes {
        let this = load(window, 0);
        let ascii = ascii(this);
        let (first, second) = (of(this, ascii, &FIRST), of(this, ascii, &SECOND));
        let hyphen = has(second, HYPHEN);
        // Before the first byte nothing is seen, so that it counts by itself.
        let both = and(of(this, ascii, &BEFORE_LAST), of(load(window, 1), !0, &LAST));
        let name = has(both, 0xff) << 1 | has(second, NAME) & 1;
        // No pair begins with the last byte: it is behind the step.
        let dashes = hyphen & hyphen >> 1;
        let pair = has(second, S) & has(second, W) >> 1 | eq(this, 0x83) & eq(this, 0x89) >> 1 | dashes;
        Planes {
            digit: has(first, DIGIT),
            letter: has(first, LETTER),
            word: has(first, WORD),
            hex: has(first, HEX),
            x: has(second, X),
            space: has(second, SPACE),
            joint: has(first, JOINT),
            goes_on: has(first, GOES_ON),
            opens: has(first, OPENS) | !ascii,
            high: !ascii,
            colon: has(first, COLON),
            quote: has(second, QUOTE),
            name: name | !ascii,
            sign: has(second, SIGN) | eq(this, 0xef) | pair,
            dashes,
        }
    }
}
