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

    /// How many bytes the whole rows have that are there.
    pub(super) fn bytes(&self) -> usize {
        self.whole
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
