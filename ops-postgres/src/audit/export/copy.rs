use std::fmt;

use ops_core::error::{Error, ErrorKind, Result};

use super::row::FIELDS;
use crate::error::error;

/// Cuts the binary format of `COPY` into rows.
#[derive(Default)]
pub(super) struct CopyRows {
    buffer: Vec<u8>,
    /// Where the last whole row ends, and how many there are.
    whole: usize,
    rows: usize,
    begun: bool,
    ended: bool,
}

/// The fields of a row; `None`: null.
pub(super) type Fields<'a> = [Option<&'a [u8]>; FIELDS];

impl CopyRows {
    /// Takes the next bytes; how many whole rows there are.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<usize> {
        self.buffer.extend_from_slice(chunk);
        if !self.begun {
            let Some((begin, _)) = self.buffer.split_first_chunk::<19>() else {
                return Ok(0);
            };
            // Signature, no flags, no extension.
            if begin != b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0" {
                return Err(unexpected());
            }
            self.begun = true;
            self.buffer.drain(..begin.len());
        }
        while let Some((count, rest)) = self.buffer[self.whole..].split_first_chunk::<2>() {
            match i16::from_be_bytes(*count) {
                // Behind the end nothing comes.
                -1 if rest.is_empty() => {
                    self.ended = true;
                    break;
                }
                count if usize::try_from(count) == Ok(FIELDS) && !self.ended => {}
                _ => return Err(unexpected()),
            }
            let Some((_, behind)) = fields(rest) else { break };
            self.whole = self.buffer.len() - behind.len();
            self.rows += 1;
        }
        Ok(self.rows)
    }

    /// The whole rows that are there, as they came.
    pub(super) fn take(&mut self) -> WholeRows {
        let rest = self.buffer.split_off(self.whole);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        self.buffer.reserve(self.whole);
        self.whole = 0;
        self.rows = 0;
        WholeRows { bytes, at: 0 }
    }

    /// Whether what is there is to be taken before more comes: memory holds a few such batches, whatever the rows are like.
    pub(super) fn is_batch(&self) -> bool {
        self.rows >= BATCH || (self.rows > 0 && self.whole >= BATCH_BYTES)
    }

    /// Whether a whole row is there.
    pub(super) fn any(&self) -> bool {
        self.rows > 0
    }

    /// Checks that the server said that this was all.
    pub(super) fn finish(&self) -> Result<()> {
        if self.ended { Ok(()) } else { Err(unexpected()) }
    }
}

/// Rows that came whole. They hold salts and personal values: `Debug` shows none of them.
pub(super) struct WholeRows {
    bytes: Vec<u8>,
    at: usize,
}

impl fmt::Debug for WholeRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WholeRows")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl WholeRows {
    /// The fields of the next row.
    pub(super) fn next(&mut self) -> Option<Fields<'_>> {
        let (fields, behind) = fields(self.bytes.get(self.at + 2..)?)?;
        self.at = self.bytes.len() - behind.len();
        Some(fields)
    }
}

/// The fields of a row, and what is behind it; `None`: it is not whole.
fn fields(mut rest: &[u8]) -> Option<(Fields<'_>, &[u8])> {
    let mut fields = [None; FIELDS];
    for field in &mut fields {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        if let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) {
            let (value, behind) = rest.split_at_checked(length)?;
            *field = Some(value);
            rest = behind;
        }
    }
    Some((fields, rest))
}

const BATCH: usize = 1000;
/// So many bytes at once, or one row.
const BATCH_BYTES: usize = 4 << 20;

fn unexpected() -> Error {
    error(ErrorKind::Unexpected, super::EXPORT)
        .context("reason", "the server's copy is not of the form that is known")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied() -> Vec<u8> {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for row in 0..3_u8 {
            bytes.extend(i16::try_from(FIELDS).unwrap().to_be_bytes());
            for _ in 1..FIELDS {
                bytes.extend([0, 0, 0, 1, row]);
            }
            bytes.extend((-1_i32).to_be_bytes());
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    #[test]
    fn rows_come_whole_however_the_bytes_are_cut() {
        let bytes = copied();
        for size in 1..40 {
            let (mut rows, mut found) = (CopyRows::default(), Vec::new());
            for chunk in bytes.chunks(size) {
                let count = rows.push(chunk).unwrap();
                let (before, mut whole) = (found.len(), rows.take());
                while let Some(fields) = whole.next() {
                    found.push(fields[0].unwrap()[0]);
                    assert_eq!(fields[FIELDS - 1], None);
                }
                assert_eq!(found.len(), before + count);
            }
            rows.finish().unwrap();
            assert_eq!(found, [0, 1, 2], "in pieces of {size}");
        }
    }

    /// A copy of rows whose first field has so many bytes; the head of the format is not among them.
    fn row(bytes: usize) -> Vec<u8> {
        let mut row = i16::try_from(FIELDS).unwrap().to_be_bytes().to_vec();
        row.extend(i32::try_from(bytes).unwrap().to_be_bytes());
        row.extend(vec![b's'; bytes]);
        row.extend([0xff; 4].repeat(FIELDS - 1));
        row
    }

    #[test]
    fn a_batch_is_bounded_in_rows_and_in_bytes() {
        let begun = || {
            let mut rows = CopyRows::default();
            rows.push(&copied()[..19]).unwrap();
            rows
        };
        // (bytes of a row, rows that make a batch)
        for (bytes, batch) in [
            (1, BATCH),
            (BATCH_BYTES / 8, 8),
            (BATCH_BYTES - 1, 1),
            (3 * BATCH_BYTES, 1),
        ] {
            let mut rows = begun();
            let row = row(bytes);
            for n in 1..=batch {
                // The row is not whole yet.
                rows.push(&row[..row.len() - 1]).unwrap();
                assert!(!rows.is_batch(), "{bytes}: {n} of {batch}");
                rows.push(&row[row.len() - 1..]).unwrap();
            }
            assert!(rows.is_batch(), "{bytes}");
            rows.take();
            assert!(!rows.is_batch(), "{bytes}: taken");
        }
    }

    #[test]
    fn rows_show_nothing_of_themselves() {
        let mut rows = CopyRows::default();
        rows.push(&copied()[..19]).unwrap();
        rows.push(&row(40)).unwrap();
        let shown = format!("{:?}", rows.take());
        assert!(
            shown.contains("WholeRows") && !shown.contains("115, 115") && !shown.contains("sss"),
            "{shown}"
        );
    }

    #[test]
    fn a_copy_that_ends_early_is_an_error() {
        let bytes = copied();
        let mut rows = CopyRows::default();
        assert_eq!(rows.push(&bytes[..bytes.len() - 2]).unwrap(), 3);
        assert!(rows.finish().is_err());
        let mut other = CopyRows::default();
        assert!(other.push(b"no copy of any kind, and long enough").is_err());
        let mut longer = CopyRows::default();
        longer.push(&bytes).unwrap();
        longer.finish().unwrap();
        assert!(longer.push(&[0]).is_err());
    }
}
