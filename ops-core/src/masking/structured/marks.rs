//! Where a closer look at a form is worth it, 46 bytes at a time.

use super::planes::{Planes, ROWS, Rows};

/// Bytes that one step looks at.
pub(super) const STEP: usize = 46;

/// A step, the two bytes before it, and what follows it as far as a step looks.
pub(super) type Window = [u8; 65];

/// How many bytes before a step are in its window.
const BEFORE: usize = 2;

/// So few steps, as of a line of a log, are not looked at side by side: what was written row by row can be read as vectors only some time later.
const FEW: usize = 2;

/// How long a run of word bytes must be to be looked at as a key.
pub(super) const LONG: usize = 16;

/// The marks of some steps in a row.
pub(in crate::masking) type Stretch = [Marks; 4 * ROWS];

/// The places of a step that are worth a look, one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::masking) struct Marks {
    /// Where a run of digits begins, but for one or two digits alone and for small numbers that nothing is about.
    pub(super) number: u64,
    /// Where a run of at least [`LONG`] word bytes begins.
    pub(super) long: u64,
    /// Signs that only a few kinds of value have, and letters that only a label such as `password` has together.
    pub(super) sign: u64,
    /// Where two hyphens stand in a row, as at the beginning of a private key. No place to look at: those of `sign` are among them.
    pub(super) dashes: u64,
}

impl Marks {
    #[inline]
    pub(super) fn all(self) -> u64 {
        self.number | self.long | self.sign
    }
}

impl Planes {
    #[inline(always)]
    fn marks(&self) -> Marks {
        let step = ((1 << STEP) - 1) << BEFORE;
        let cut = |mask: u64| (mask & step) >> BEFORE;
        Marks {
            number: cut(self.numbers() & !self.idle()),
            long: cut(self.long()),
            sign: cut(self.sign | self.telling() | self.options()),
            dashes: cut(self.dashes),
        }
    }

    /// Where a run of digits begins, but for one or two digits alone.
    #[inline(always)]
    fn numbers(&self) -> u64 {
        let (digit, joint) = (self.digit, self.joint | self.high);
        let three = digit & digit >> 1 & digit >> 2;
        // A sign, or two, or one of three bytes, and more digits.
        let on = joint & (digit >> 1 | joint >> 1 & (digit >> 2 | joint >> 2 & digit >> 3));
        self.starts() & (three | on >> 1 | digit >> 1 & on >> 2)
    }

    #[inline(always)]
    fn starts(&self) -> u64 {
        self.digit & !(self.digit << 1)
    }

    /// The beginnings of numbers of few digits, or of up to four with a unit, which no label is before: what
    /// [`is_idle`](super::Search::is_idle) says of them, which knows longer ones too.
    #[inline(always)]
    fn idle(&self) -> u64 {
        let digit = self.digit;
        let [second, third, fourth, fifth] = [digit >> 1, digit >> 2, digit >> 3, digit >> 4];
        // What ends a number that no other goes on.
        let end = !(digit | self.high | self.joint & self.goes_on >> 1) & !self.x;
        let unit = self.letter & !self.x;
        let short = !second & end >> 1 | second & !third & end >> 2;
        let word = self.space << 1 & (self.letter | digit) << 2;
        let three = second & third & !fourth & (unit >> 3 | end >> 3 & word);
        let four = second & third & fourth & !fifth & unit >> 4;
        self.starts() & !(self.opens << 1) & (short | three | four)
    }

    /// Where a run of at least [`LONG`] word bytes begins.
    #[inline(always)]
    fn long(&self) -> u64 {
        let mut run = self.word;
        run &= run >> 1;
        run &= run >> 2;
        run &= run >> 4;
        run &= run >> 8;
        run & !(self.word << 1)
    }

    /// Where an option of one letter begins, as a password may stand behind.
    #[inline(always)]
    fn options(&self) -> u64 {
        let hyphen = self.word & self.joint;
        self.space << 1 & hyphen & self.letter >> 1
    }

    /// Those of the `:` and `=` before which a name may end that says that the value is secret, or that may be of an address: two in a
    /// row, or three of which at most four hexadecimal digits stand between two.
    #[inline(always)]
    fn telling(&self) -> u64 {
        let (colon, quote) = (self.colon, self.quote);
        let name = self.name << 1 | quote << 1 & (self.name | quote) << 2;
        let near = |colon: u64| {
            let two = colon >> 1 | colon >> 2;
            two | two >> 2 | colon >> 5
        };
        let address = near(colon & near(colon)) & self.hex << 1 & self.hex >> 1;
        colon & (name | address | colon >> 1)
    }
}

/// Makes `stretch` of the `planes` for a kind of vectors.
macro_rules! marking {
    ($vectors:ident $(, #[$feature:meta])?) => {
        use super::super::planes::$vectors::planes;
        use super::super::planes::{ROWS, Rows};
        use super::{BEFORE, FEW, STEP, Stretch, mark};
        use crate::masking::vector::Windows;

        /// The marks of the steps from `at` on, and how many steps there are.
        $(#[$feature])?
        pub(in crate::masking) fn stretch(windows: Windows<'_>, at: usize, stretch: &mut Stretch) -> usize {
            let mut count = 0;
            let mut first = Rows::default();
            for [one, other] in stretch.as_chunks_mut().0.as_chunks_mut().0 {
                let some = fill(windows, at + count * STEP, &mut first);
                count += some;
                if some <= FEW {
                    for (row, marks) in one.iter_mut().enumerate().take(some) {
                        *marks = first.get(row).marks();
                    }
                    break;
                }
                if some < ROWS {
                    mark(&first, one);
                    break;
                }
                // What was written row by row can be read as vectors only some time later: in between, there are the next rows.
                let mut second = Rows::default();
                let more = fill(windows, at + count * STEP, &mut second);
                count += more;
                mark(&first, one);
                mark(&second, other);
                if more < ROWS {
                    break;
                }
            }
            count
        }

        /// The planes of the windows from `at` on, and how many windows there are.
        $(#[$feature])?
        #[inline]
        fn fill(windows: Windows<'_>, at: usize, rows: &mut Rows) -> usize {
            let mut row = 0;
            while row < ROWS && at + row * STEP < windows.length() {
                let place = at + row * STEP;
                match windows.whole(place, BEFORE) {
                    Some(window) => rows.set(row, &planes(window)),
                    None => rows.set(row, &planes(&windows.padded(place, BEFORE))),
                }
                row += 1;
            }
            row
        }
    };
}

/// Makes the marks of `rows`. Written so that it becomes vectors of the function that it is part of.
#[inline(always)]
fn mark(rows: &Rows, marks: &mut [Marks; ROWS]) {
    let (mut number, mut long, mut sign, mut dashes) = ([0; ROWS], [0; ROWS], [0; ROWS], [0; ROWS]);
    for row in 0..ROWS {
        let marks = rows.get(row).marks();
        (number[row], long[row], sign[row], dashes[row]) =
            (marks.number, marks.long, marks.sign, marks.dashes);
    }
    for (row, marks) in marks.iter_mut().enumerate() {
        *marks = Marks {
            number: number[row],
            long: long[row],
            sign: sign[row],
            dashes: dashes[row],
        };
    }
}

pub(in crate::masking) mod portable {
    marking!(portable);
}

#[cfg(target_arch = "x86_64")]
pub(in crate::masking) mod wide {
    marking!(wide, #[target_feature(enable = "avx2,bmi1,bmi2")]);
}

#[cfg(target_arch = "x86_64")]
pub(in crate::masking) mod widest {
    marking!(widest, #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,bmi1,bmi2")]);
}

#[cfg(test)]
mod tests {
    use super::super::key;
    use super::super::label::Meaning;
    use super::super::label_table::LABELS;
    use super::super::view::Text;
    use super::*;
    use crate::masking::vector::{Vectors, Windows};

    fn marks(text: &[u8]) -> Vec<Marks> {
        let mut marks = Stretch::default();
        let count = portable::stretch(Windows::of(text), 0, &mut marks);
        marks[..count].to_vec()
    }

    fn bits(mask: u64) -> Vec<u32> {
        (0..64).filter(|bit| mask >> bit & 1 == 1).collect()
    }

    #[test]
    fn signs_and_the_pairs_of_labels_are_marked() {
        let text = "a1-_ @|\\%password パスワード";
        let last = text.len() as u32 - 2;
        assert_eq!(bits(marks(text.as_bytes())[0].sign), [5, 7, 8, 12, last]);
    }

    #[test]
    fn one_or_two_digits_count_only_with_more_after_a_sign() {
        let starts = |text: &str| bits(marks(text.as_bytes())[0].number);
        assert_eq!(starts("1 a 22, 333 4"), [8]);
        assert_eq!(starts("1.2"), [0]);
        assert_eq!(starts("x03(12)"), [1]);
        assert_eq!(starts("(03) 12"), [1]);
        assert_eq!(starts("03ー12"), [0]);
    }

    #[test]
    fn small_numbers_and_numbers_with_a_unit_are_passed_over() {
        let starts = |text: &str| bits(marks(text.as_bytes())[0].number);
        for idle in [
            "took 12 of 34 ms",
            "took 123ms, 4096kb",
            "worker 276 idle",
            "a 276",
        ] {
            assert_eq!(starts(idle), [0; 0], "{idle}");
        }
        assert_eq!(starts("ext 123x45"), [4]);
        assert_eq!(starts("no: 276"), [4]);
        assert_eq!(starts("a-123ms"), [2]);
        assert_eq!(starts("room 276-1"), [5]);
    }

    #[test]
    fn a_colon_tells_after_the_end_of_a_name_or_within_an_address() {
        let telling = |text: &str| bits(marks(text.as_bytes())[0].sign);
        assert_eq!(telling("10:20:30"), [0; 0]);
        assert_eq!(telling("\"key\": 1"), [5]);
        assert_eq!(telling("job: 1"), [0; 0]);
        assert_eq!(telling("pwd = 1"), [4]);
        assert_eq!(telling("::1"), [0]);
        assert_eq!(telling("a1:b2:c3:d4:e5:f6:a7:b8")[0], 2);
    }

    #[test]
    fn a_long_run_is_seen_across_the_edge_of_a_step() {
        for start in [0, 1, 30, 40, 45] {
            let mut text = vec![b' '; 160];
            text[start..start + 16].fill(b'x');
            assert_eq!(marks(&text)[0].long, 1 << start);
            text[start + 15] = b' ';
            assert_eq!(marks(&text)[0].long, 0);
        }
    }

    #[test]
    fn every_vector_sees_the_names_of_secrets() {
        let mut names = 0;
        for number in 0..26 * 26 * 26 {
            let letter = |place: u32| char::from(b'a' + (number / 26_u32.pow(place) % 26) as u8);
            let name = String::from_iter([letter(2), letter(1), letter(0)]);
            if !key::may_be_name(&Text::plain(name.as_bytes()), name.len()) {
                continue;
            }
            names += 1;
            for name in [name.to_uppercase(), name] {
                // Also where a step begins.
                for front in (0..3).chain(STEP - 5..STEP) {
                    for sign in [":", "=", "\":", "' =", " :"] {
                        let text = [&"-".repeat(front), &name, sign].concat();
                        let at = text.len() - 1;
                        for vectors in Vectors::all() {
                            let mut marks = Stretch::default();
                            vectors.structured(Windows::of(text.as_bytes()), 0, &mut marks);
                            let marked = marks[at / STEP].sign >> (at % STEP) & 1;
                            assert_eq!(marked, 1, "{text} {vectors:?}");
                        }
                    }
                }
            }
        }
        assert!(names > 40, "{names}");
    }

    #[test]
    fn every_vector_sees_each_label_of_a_secret() {
        // Behind these, only a number is found: too many names of other things end like them.
        let unseen = ["api~key~id", "pin~no"];
        let secrets = LABELS.iter().filter(|entry| entry.meaning == Meaning::Secret);
        for (entry, sign) in secrets.flat_map(|entry| ["", "_"].map(|sign| (entry, sign))) {
            let name = entry.text.replace('~', sign);
            let may_be = key::may_be_name(&Text::plain(name.as_bytes()), name.len());
            assert_eq!(may_be, !unseen.contains(&entry.text), "{name}");
            let text = format!("{name}:");
            let at = text.len() - 1;
            for vectors in Vectors::all().filter(|_| may_be) {
                let mut marks = Stretch::default();
                vectors.structured(Windows::of(text.as_bytes()), 0, &mut marks);
                assert_eq!(marks[at / STEP].sign >> (at % STEP) & 1, 1, "{text} {vectors:?}");
            }
        }
    }

    #[test]
    fn every_vector_sees_the_same() {
        let mut state = 7_u64;
        let text: Vec<u8> = (0..20_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let byte = (state >> 40) as u8;
                match state >> 62 {
                    0 => byte,
                    1 => byte & 0x7f,
                    _ => b"0123456789-_.:= \"aswxSW(@\x83\x89\x83\x89"[usize::from(byte) % 29],
                }
            })
            .chain(0..=255)
            .collect();
        let (mut some, mut more) = (Stretch::default(), Stretch::default());
        for length in [1, 45, 46, 47, 63, 64, 65, 127, 700, text.len()] {
            for at in (0..length).step_by(STEP * some.len()) {
                let windows = Windows::of(&text[..length]);
                let count = portable::stretch(windows, at, &mut some);
                for vectors in Vectors::all() {
                    assert_eq!(vectors.structured(windows, at, &mut more), count);
                    for (step, (some, more)) in some.iter().zip(&mut more[..count]).enumerate() {
                        // The widest see two letters of a name, and nothing that the others do not see.
                        let unseen = some.sign & !more.sign;
                        assert!(unseen == 0 || vectors.sees_two_letters(), "{vectors:?}");
                        for bit in bits(unseen) {
                            let sign = text[at + step * STEP + bit as usize];
                            assert!(matches!(sign, b':' | b'='), "{vectors:?}");
                        }
                        more.sign |= unseen;
                    }
                    assert_eq!(some[..count], more[..count], "{vectors:?}");
                }
            }
        }
    }
}
