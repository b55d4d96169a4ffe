/// What a segment of frames begins with: its format, filled up with zeros.
pub(crate) const BEGINNING: [u8; 16] = *b"ops-spool/2\n\0\0\0\0";

/// A frame: mark, length of the payload, CRC-32C over all behind itself and the length, number, payload.
const MARK: [u8; 4] = [0xf5, b'O', b'F', 0xfa];
const HEAD: usize = 20;
/// No payload may have more bytes; what claims more is damaged.
pub(crate) const MOST: usize = 16 << 20;

/// Appends a frame.
pub(crate) fn write(into: &mut Vec<u8>, number: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let number = number.to_le_bytes();
    into.extend(MARK);
    into.extend(length);
    into.extend(sum(&length, &number, payload).to_le_bytes());
    into.extend(number);
    into.extend_from_slice(payload);
}

/// What stands at a place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Frame {
        number: u64,
        payload: &'a [u8],
        /// The place behind it.
        end: usize,
    },
    /// Nothing but zeros follows, or nothing at all.
    End,
    /// No whole frame.
    Damage {
        /// Where the next whole frame is; `None`: there is none behind, as after a crash in the middle of a write.
        next: Option<usize>,
    },
}

/// Reads what stands at `at`.
pub(crate) fn read(segment: &[u8], at: usize) -> Found<'_> {
    let rest = segment.get(at..).unwrap_or_default();
    if let Some((number, payload)) = frame(rest) {
        return Found::Frame {
            number,
            payload,
            end: at + HEAD + payload.len(),
        };
    }
    if rest.iter().all(|byte| *byte == 0) {
        return Found::End;
    }
    let next = (at + 1..segment.len()).find(|at| segment[*at] == MARK[0] && frame(&segment[*at..]).is_some());
    Found::Damage { next }
}

fn frame(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let payload = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let payload = rest.get(..payload).filter(|payload| payload.len() <= MOST)?;
    (sum(length, number, payload) == u32::from_le_bytes(*crc))
        .then_some((u64::from_le_bytes(*number), payload))
}

fn sum(length: &[u8; 4], number: &[u8; 8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(length), number), payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, payload) in (7..).zip(payloads) {
            write(&mut bytes, number, payload);
        }
        bytes
    }

    fn numbers(segment: &[u8]) -> (Vec<u64>, usize) {
        let (mut numbers, mut damages, mut at) = (Vec::new(), 0, 0);
        loop {
            match read(segment, at) {
                Found::Frame { number, end, .. } => {
                    numbers.push(number);
                    at = end;
                }
                Found::End => return (numbers, damages),
                Found::Damage { next } => {
                    damages += 1;
                    let Some(next) = next else {
                        return (numbers, damages);
                    };
                    at = next;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn frames_read_back_with_zeros_behind(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8), zeros in 0..50_usize) {
            let mut bytes = segment(&payloads);
            bytes.extend(vec![0; zeros]);
            prop_assert_eq!(numbers(&bytes), ((7..7 + payloads.len() as u64).collect(), 0));
        }

        #[test]
        fn every_changed_byte_costs_its_own_frame_only(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut bytes = segment(&payloads);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let (found, damages) = numbers(&bytes);
            prop_assert_eq!((found.len(), damages), (payloads.len() - 1, 1));
        }

        #[test]
        fn a_cut_loses_what_was_cut_only(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6), cut in any::<prop::sample::Index>()) {
            let bytes = segment(&payloads);
            let cut = cut.index(bytes.len());
            let (mut whole, mut end) = (0, 0);
            for payload in &payloads {
                end += HEAD + payload.len();
                whole += usize::from(end <= cut);
            }
            prop_assert_eq!(numbers(&bytes[..cut]).0.len(), whole);
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = numbers(&bytes);
        }
    }
}
