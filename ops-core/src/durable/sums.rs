use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// Length and sums of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) bytes: u64,
    pub(crate) crc32c: u32,
    pub(crate) sha256: Digest,
}

impl Sums {
    /// Of what is in memory.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            crc32c: crc32c::crc32c(bytes),
            sha256: Digest::of(bytes),
        }
    }

    /// Reads the file to its end. Blocks.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (mut hash, mut crc32c, mut bytes) = (Sha256::new(), 0, 0);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(Self {
                    bytes,
                    crc32c,
                    sha256: Digest::from_bytes(hash.finalize().into()),
                });
            }
            hash.update(&buffer[..read]);
            crc32c = crc32c::crc32c_append(crc32c, &buffer[..read]);
            bytes += read as u64;
        }
    }
}
