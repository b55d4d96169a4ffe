//! Vectors of 32 bytes.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_sub_epi8,
};

use super::blocks::Blocks;

pub(in super::super) const WIDTH: usize = 32;

#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn load(window: &[u8], at: usize) -> __m256i {
    let lane: &[u8; WIDTH] = window[at..at + WIDTH].first_chunk().unwrap_or(&[0; WIDTH]);
    #[expect(unsafe_code, reason = "there is no safe way to read a vector")]
    // SAFETY: the pointer is that of an array of as many bytes; it need not be aligned.
    unsafe {
        _mm256_loadu_si256(lane.as_ptr().cast())
    }
}

#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn eq(lane: __m256i, byte: u8) -> __m256i {
    _mm256_cmpeq_epi8(lane, _mm256_set1_epi8(byte as i8))
}

#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn within(lane: __m256i, low: u8, high: u8) -> __m256i {
    let above = _mm256_sub_epi8(lane, _mm256_set1_epi8(low as i8));
    _mm256_cmpeq_epi8(
        _mm256_min_epu8(above, _mm256_set1_epi8((high - low) as i8)),
        above,
    )
}

#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn and(a: __m256i, b: __m256i) -> __m256i {
    _mm256_and_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn or(a: __m256i, b: __m256i) -> __m256i {
    _mm256_or_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn small(lane: __m256i) -> __m256i {
    or(lane, _mm256_set1_epi8(0x20))
}

/// For each byte, a bit for every one of `blocks` that it is in; of what is not ASCII, none.
#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn of(lane: __m256i, blocks: &Blocks) -> __m256i {
    let ((rows, later_rows), (columns, later_columns)) = (blocks.rows, blocks.columns);
    let columns = _mm256_set_epi64x(later_columns, columns, later_columns, columns);
    let rows = _mm256_set_epi64x(later_rows, rows, later_rows, rows);
    let row = and(_mm256_srli_epi16(lane, 4), _mm256_set1_epi8(0x0f));
    and(_mm256_shuffle_epi8(columns, lane), _mm256_shuffle_epi8(rows, row))
}

/// The bytes that are in any block of `bits`, which are the lower seven.
#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn any(kinds: __m256i, bits: i8) -> __m256i {
    _mm256_cmpgt_epi8(and(kinds, _mm256_set1_epi8(bits)), _mm256_setzero_si256())
}

#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn bits(lane: __m256i) -> u64 {
    u64::from(_mm256_movemask_epi8(lane) as u32)
}
