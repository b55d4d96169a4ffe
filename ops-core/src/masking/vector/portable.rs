//! Vectors of 16 bytes, which every machine has.

use wide::u8x16;

pub(in super::super) const WIDTH: usize = 16;

#[inline]
pub(in super::super) fn load(window: &[u8], at: usize) -> u8x16 {
    let mut lane = [0; WIDTH];
    lane.copy_from_slice(&window[at..at + WIDTH]);
    u8x16::from(lane)
}

#[inline]
pub(in super::super) fn eq(lane: u8x16, byte: u8) -> u8x16 {
    lane.simd_eq(u8x16::splat(byte))
}

#[inline]
pub(in super::super) fn within(lane: u8x16, low: u8, high: u8) -> u8x16 {
    let above = lane - u8x16::splat(low);
    above.min(u8x16::splat(high - low)).simd_eq(above)
}

#[inline]
pub(in super::super) fn and(a: u8x16, b: u8x16) -> u8x16 {
    a & b
}

#[inline]
pub(in super::super) fn or(a: u8x16, b: u8x16) -> u8x16 {
    a | b
}

/// Capital letters as small ones; other bytes may become letters only if they were no ASCII.
#[inline]
pub(in super::super) fn small(lane: u8x16) -> u8x16 {
    lane | u8x16::splat(0x20)
}

/// The bytes that are among `letters`, small or capital.
#[inline]
pub(in super::super) fn letters(lane: u8x16, letters: &[u8]) -> u8x16 {
    let low = small(lane);
    letters
        .iter()
        .fold(u8x16::splat(0), |found, letter| found | eq(low, *letter))
}

/// One bit for each byte that is 0x80 or more.
#[inline]
pub(in super::super) fn bits(lane: u8x16) -> u64 {
    u64::from(lane.to_bitmask() as u16)
}
