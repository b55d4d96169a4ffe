//! The widest vectors that this machine has, and the one place of the crate that is `unsafe`: calls of what is compiled for more
//! instructions than every machine has.
//!
//! Functions that read text a window at a time are compiled for each kind of [`Vectors`]; those of [`portable`] and [`wide`] have operations
//! of the same names.

/// Makes the function that marks some steps in a row, of `marks` and the constants of the module around it.
macro_rules! stretch {
    ($(#[$feature:meta])?) => {
        /// The marks of the steps from `at` on, and how many steps there are.
        $(#[$feature])?
        pub(in crate::masking) fn stretch(
            windows: $crate::masking::vector::Windows<'_>,
            at: usize,
            stretch: &mut Stretch,
        ) -> usize {
            let mut count = 0;
            while count < stretch.len() && at + count * STEP < windows.length() {
                let place = at + count * STEP;
                stretch[count] = match windows.whole(place, BEFORE) {
                    Some(window) => marks(window),
                    None => marks(&windows.padded(place, BEFORE)),
                };
                count += 1;
            }
            count
        }
    };
}

pub(super) use stretch;

#[cfg(target_arch = "x86_64")]
pub(super) mod blocks;
pub(super) mod portable;
#[cfg(target_arch = "x86_64")]
pub(super) mod wide;
#[cfg(target_arch = "x86_64")]
pub(super) mod widest;
mod windows;

pub(super) use self::windows::{Room, Windows};
use super::{language, structured};

/// Where values of a form may be in the steps from `at` on: into `marks`; how many steps there are.
#[inline]
pub(super) fn structured(windows: Windows<'_>, at: usize, marks: &mut structured::Stretch) -> usize {
    Vectors::widest().structured(windows, at, marks)
}

/// Where values of language may be in the steps from `at` on: into `marks`; how many steps there are.
#[inline]
pub(super) fn language(windows: Windows<'_>, at: usize, marks: &mut language::Stretch) -> usize {
    Vectors::widest().language(windows, at, marks)
}

/// Vectors that this machine has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vectors(Width);

#[derive(Clone, Copy, Debug)]
enum Width {
    /// 16 bytes: every machine.
    Portable,
    /// 32 bytes: AVX2.
    #[cfg(target_arch = "x86_64")]
    Wide,
    /// 64 bytes, and a look into a table of 128: AVX-512 with VBMI.
    #[cfg(target_arch = "x86_64")]
    Widest,
}

impl Vectors {
    #[inline]
    fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if has_widest() {
                return Self(Width::Widest);
            }
            if has_wide() {
                return Self(Width::Wide);
            }
        }
        Self(Width::Portable)
    }

    /// All that the machine has.
    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let portable = std::iter::once(Self(Width::Portable));
        #[cfg(target_arch = "x86_64")]
        let portable = portable
            .chain(has_wide().then_some(Self(Width::Wide)))
            .chain(has_widest().then_some(Self(Width::Widest)));
        portable
    }

    /// Whether names of secrets are told by two letters.
    #[cfg(test)]
    pub(super) fn sees_two_letters(self) -> bool {
        match self.0 {
            Width::Portable => false,
            #[cfg(target_arch = "x86_64")]
            Width::Wide => false,
            #[cfg(target_arch = "x86_64")]
            Width::Widest => true,
        }
    }

    #[inline]
    pub(super) fn structured(
        self,
        windows: Windows<'_>,
        at: usize,
        marks: &mut structured::Stretch,
    ) -> usize {
        match self.0 {
            Width::Portable => structured::portable::stretch(windows, at, marks),
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "it is compiled for instructions that not every machine has"
            )]
            // SAFETY: this value is only made on a machine that has them.
            Width::Wide => unsafe { structured::wide::stretch(windows, at, marks) },
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "it is compiled for instructions that not every machine has"
            )]
            // SAFETY: this value is only made on a machine that has them.
            Width::Widest => unsafe { structured::widest::stretch(windows, at, marks) },
        }
    }

    #[inline]
    pub(super) fn language(self, windows: Windows<'_>, at: usize, marks: &mut language::Stretch) -> usize {
        match self.0 {
            Width::Portable => language::portable::stretch(windows, at, marks),
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "it is compiled for instructions that not every machine has"
            )]
            // SAFETY: this value is only made on a machine that has them.
            Width::Wide => unsafe { language::wide::stretch(windows, at, marks) },
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "it is compiled for instructions that not every machine has"
            )]
            // SAFETY: this value is only made on a machine that has them.
            Width::Widest => unsafe { language::widest::stretch(windows, at, marks) },
        }
    }
}

/// Whether the machine has the instructions that [`wide`] is compiled for.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_wide() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

/// Whether the machine has the instructions that [`widest`] is compiled for.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_widest() -> bool {
    is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512f")
        && has_wide()
}
