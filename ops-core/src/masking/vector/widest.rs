//! Vectors of 64 bytes, whose comparisons give bits, and sets of ASCII that one look into a table tells.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_loadu_si512,
    _mm512_maskz_permutex2var_epi8, _mm512_movepi8_mask, _mm512_permutexvar_epi8, _mm512_set1_epi8,
    _mm512_sub_epi8, _mm512_test_epi8_mask,
};

/// Eight sets of ASCII: for each byte a bit for those that it is in.
#[derive(Debug)]
pub(in super::super) struct Sets([u8; 128]);

impl Sets {
    pub(in super::super) const fn new() -> Self {
        Self([0; 128])
    }

    /// With `bytes` in the set of `bit`.
    pub(in super::super) const fn with(mut self, bit: u8, bytes: &[u8]) -> Self {
        let mut index = 0;
        while index < bytes.len() {
            self.0[bytes[index] as usize] |= bit;
            index += 1;
        }
        self
    }

    /// With the capital letters of `letters` too.
    pub(in super::super) const fn with_small_and_capital(mut self, bit: u8, letters: &[u8]) -> Self {
        self = self.with(bit, letters);
        let mut index = 0;
        while index < letters.len() {
            self.0[letters[index].to_ascii_uppercase() as usize] |= bit;
            index += 1;
        }
        self
    }

    /// Whether `byte` is in a set of `bits`.
    #[inline]
    pub(in super::super) fn has(&self, byte: u8, bits: u8) -> bool {
        self.0.get(usize::from(byte)).is_some_and(|sets| sets & bits != 0)
    }

    /// With all letters.
    pub(in super::super) const fn with_letters(self, bit: u8) -> Self {
        self.with_small_and_capital(bit, b"abcdefghijklmnopqrstuvwxyz")
    }
}

/// Eight sets of bytes of which only the lower six bits count, as those behind the first one of a character.
#[derive(Debug)]
pub(in super::super) struct Lows([u8; 64]);

impl Lows {
    pub(in super::super) const fn new() -> Self {
        Self([0; 64])
    }

    /// With `bytes` in the set of `bit`.
    pub(in super::super) const fn with(mut self, bit: u8, bytes: &[u8]) -> Self {
        let mut index = 0;
        while index < bytes.len() {
            self.0[(bytes[index] & 0x3f) as usize] |= bit;
            index += 1;
        }
        self
    }

    /// For each byte, a bit for every one of the sets that it is in.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    pub(in super::super) fn of(&self, lane: __m512i) -> __m512i {
        _mm512_permutexvar_epi8(lane, load(&self.0, 0))
    }
}

/// The 64 bytes of `window` from `at` on.
#[target_feature(enable = "avx512f")]
#[inline]
pub(in super::super) fn load(window: &[u8], at: usize) -> __m512i {
    let lane: &[u8; 64] = window[at..at + 64].first_chunk().unwrap_or(&[0; 64]);
    #[expect(unsafe_code, reason = "there is no safe way to read a vector")]
    // SAFETY: the pointer is that of an array of as many bytes; it need not be aligned.
    unsafe {
        _mm512_loadu_si512(lane.as_ptr().cast())
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(in super::super) fn eq(lane: __m512i, byte: u8) -> u64 {
    _mm512_cmpeq_epi8_mask(lane, _mm512_set1_epi8(byte as i8))
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(in super::super) fn within(lane: __m512i, low: u8, high: u8) -> u64 {
    let above = _mm512_sub_epi8(lane, _mm512_set1_epi8(low as i8));
    _mm512_cmple_epu8_mask(above, _mm512_set1_epi8((high - low) as i8))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(in super::super) fn and(a: __m512i, b: __m512i) -> __m512i {
    _mm512_and_si512(a, b)
}

/// Which bytes are ASCII.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(in super::super) fn ascii(lane: __m512i) -> u64 {
    !_mm512_movepi8_mask(lane)
}

/// For each byte that is `ascii`, a bit for every one of `sets` that it is in; for others none.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
pub(in super::super) fn of(lane: __m512i, ascii: u64, sets: &Sets) -> __m512i {
    _mm512_maskz_permutex2var_epi8(ascii, load(&sets.0, 0), lane, load(&sets.0, 64))
}

/// Which bytes are in a set of `bits`.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(in super::super) fn has(kinds: __m512i, bits: u8) -> u64 {
    _mm512_test_epi8_mask(kinds, _mm512_set1_epi8(bits as i8))
}
