use ops_core::error::{Error, ErrorKind, Result};

use super::row::FIELDS;
use crate::error::error;

/// Cuts the binary format of `COPY` into rows.
#[derive(Debug, Default)]
pub(super) struct CopyRows {
    buffer: Vec<u8>,
    at: usize,
    begun: bool,
    ended: bool,
}

/// The fields of a row; `None`: null.
pub(super) type Fields<'a> = [Option<&'a [u8]>; FIELDS];

impl CopyRows {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// The next row, if it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Fields<'_>>> {
        let mut rest = &self.buffer[self.at..];
        if !self.begun {
            let Some((begin, behind)) = rest.split_first_chunk::<19>() else {
                return Ok(None);
            };
            // Signature, no flags, no extension.
            if begin != b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0" {
                return Err(unexpected());
            }
            self.begun = true;
            self.at += begin.len();
            rest = behind;
        }
        let Some((count, mut rest)) = rest.split_first_chunk::<2>() else {
            return Ok(None);
        };
        match i16::from_be_bytes(*count) {
            -1 => {
                self.ended = true;
                self.at += 2;
                return if self.at == self.buffer.len() {
                    Ok(None)
                } else {
                    Err(unexpected())
                };
            }
            count if usize::try_from(count) == Ok(FIELDS) => {}
            _ => return Err(unexpected()),
        }
        let whole = rest.len();
        let mut fields = [None; FIELDS];
        for field in &mut fields {
            let Some((length, behind)) = rest.split_first_chunk::<4>() else {
                return Ok(None);
            };
            rest = behind;
            if let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) {
                let Some((value, behind)) = rest.split_at_checked(length) else {
                    return Ok(None);
                };
                *field = Some(value);
                rest = behind;
            }
        }
        self.at += 2 + whole - rest.len();
        Ok(Some(fields))
    }

    /// Checks that the server said that this was all.
    pub(super) fn finish(&self) -> Result<()> {
        if self.ended { Ok(()) } else { Err(unexpected()) }
    }
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
                rows.push(chunk);
                while let Some(fields) = rows.next().unwrap() {
                    found.push(fields[0].unwrap()[0]);
                    assert_eq!(fields[FIELDS - 1], None);
                }
            }
            rows.finish().unwrap();
            assert_eq!(found, [0, 1, 2], "in pieces of {size}");
        }
    }

    #[test]
    fn a_copy_that_ends_early_is_an_error() {
        let bytes = copied();
        let mut rows = CopyRows::default();
        rows.push(&bytes[..bytes.len() - 2]);
        while rows.next().unwrap().is_some() {}
        assert!(rows.finish().is_err());
        let mut other = CopyRows::default();
        other.push(b"no copy of any kind, and long enough");
        assert!(other.next().is_err());
    }
}
