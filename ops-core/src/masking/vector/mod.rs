//! The widest vectors that this machine has, and the one place of the crate that is `unsafe`: calls of what is compiled for more
//! instructions than every machine has.
//!
//! Functions that read text a window at a time are written once, by a macro over the operations of [`portable`] and [`wide`], which have the
//! same names.

/// Makes the function that marks some steps in a row, of `marks` and the constants of the module around it.
macro_rules! stretch {
    ($fill:literal $(, #[$feature:meta])?) => {
        /// The marks of the steps from `at` on, and how many steps there are.
        $(#[$feature])?
        pub(in crate::masking) fn stretch(bytes: &[u8], at: usize, stretch: &mut Stretch) -> usize {
            let mut count = 0;
            while count < stretch.len() && at + count * STEP < bytes.len() {
                let place = at + count * STEP;
                let window = place.checked_sub(BEFORE).and_then(|from| bytes[from..].first_chunk());
                stretch[count] = match window {
                    Some(window) => marks(window),
                    None => marks(&$crate::masking::vector::padded(bytes, place, BEFORE, $fill)),
                };
                count += 1;
            }
            count
        }
    };
}

pub(super) use stretch;

pub(super) mod portable;
#[cfg(target_arch = "x86_64")]
pub(super) mod wide;

use super::{language, structured};

/// Where values of a form may be in the steps from `at` on: into `marks`; how many steps there are.
#[inline]
pub(super) fn structured(bytes: &[u8], at: usize, marks: &mut structured::Stretch) -> usize {
    #[cfg(target_arch = "x86_64")]
    if has_wide() {
        #[expect(
            unsafe_code,
            reason = "it is compiled for instructions that not every machine has"
        )]
        // SAFETY: this machine has them.
        return unsafe { structured::wide::stretch(bytes, at, marks) };
    }
    structured::portable::stretch(bytes, at, marks)
}

/// Where values of language may be in the steps from `at` on: into `marks`; how many steps there are.
#[inline]
pub(super) fn language(bytes: &[u8], at: usize, marks: &mut language::Stretch) -> usize {
    #[cfg(target_arch = "x86_64")]
    if has_wide() {
        #[expect(
            unsafe_code,
            reason = "it is compiled for instructions that not every machine has"
        )]
        // SAFETY: this machine has them.
        return unsafe { language::wide::stretch(bytes, at, marks) };
    }
    language::portable::stretch(bytes, at, marks)
}

/// The window of the step at `at`, which `before` bytes of the text belong to as well; filled up where there is no text.
#[inline]
pub(super) fn padded<const N: usize>(bytes: &[u8], at: usize, before: usize, fill: u8) -> [u8; N] {
    let mut window = [fill; N];
    let from = at.saturating_sub(before);
    let shift = before.saturating_sub(at);
    let length = (bytes.len() - from).min(N - shift);
    window[shift..shift + length].copy_from_slice(&bytes[from..from + length]);
    window
}

/// Whether the machine has the instructions that [`wide`] is compiled for.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_wide() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

/// A set of letters; a vector's bytes that are among them, small or capital, are found at once.
#[derive(Debug)]
pub(super) struct Letters {
    set: &'static [u8],
    /// For each lower half of a byte, the upper halves with which it is one of them: the first bit for 6, the second for 7.
    halves: (i64, i64),
}

impl Letters {
    /// The small letters `set`.
    pub(super) const fn of(set: &'static [u8]) -> Self {
        let (mut low, mut high) = (0, 0);
        let mut index = 0;
        while index < set.len() {
            let bit = if set[index] >> 4 == 6 { 1 } else { 2 };
            let half = set[index] & 0xf;
            if half < 8 {
                low |= bit << (8 * half);
            } else {
                high |= bit << (8 * (half - 8));
            }
            index += 1;
        }
        Self {
            set,
            halves: (low, high),
        }
    }
}
