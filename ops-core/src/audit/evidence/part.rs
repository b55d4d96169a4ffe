use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zstd::stream::{Decoder, Encoder};

use super::codec::{self, LONGEST, MAGIC, PartEntry};
use super::manifest::EvidencePart;
use crate::durable::{Directory, private};
use crate::model::Digest;

/// Writes one part.
pub(super) struct PartWriter {
    encoder: Encoder<'static, Hashing<BufWriter<File>>>,
    name: String,
    records: u64,
    first: u64,
    last: u64,
}

impl PartWriter {
    pub(super) fn create(directory: &Directory, name: String, first: u64) -> io::Result<Self> {
        let file = private()
            .write(true)
            .create_new(true)
            .open(directory.file(&name))?;
        let hashing = Hashing::new(BufWriter::with_capacity(BUFFER, file));
        let mut encoder = Encoder::new(hashing, LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.write_all(MAGIC)?;
        Ok(Self {
            encoder,
            name,
            records: 0,
            first,
            last: first,
        })
    }

    /// Takes whole entries up to position `last`, `records` of them records.
    pub(super) fn write(&mut self, entries: &[u8], records: u64, last: u64) -> io::Result<()> {
        self.encoder.write_all(entries)?;
        self.records += records;
        self.last = last;
        Ok(())
    }

    /// How long the file is by now, what the compressor still holds apart.
    pub(super) fn bytes(&self) -> u64 {
        self.encoder.get_ref().bytes
    }

    /// Ends the file and makes it survive a crash.
    pub(super) fn finish(self) -> io::Result<EvidencePart> {
        let hashing = self.encoder.finish()?;
        let (bytes, sha256) = (hashing.bytes, hashing.digest());
        let file = hashing.into_inner().into_inner()?;
        file.sync_all()?;
        Ok(EvidencePart {
            name: self.name,
            bytes,
            sha256,
            records: self.records,
            first: self.first,
            last: self.last,
        })
    }
}

/// Reads one part, entry by entry, and hashes the file on the way.
pub(super) struct PartReader {
    decoder: Decoder<'static, BufReader<Hashing<File>>>,
    buffer: Vec<u8>,
    at: usize,
}

/// Why a part cannot be read further.
#[derive(Debug)]
pub(super) enum Damage {
    /// Its bytes are not what a writer of parts wrote.
    Content,
    /// The disk refused.
    Disk(io::Error),
}

impl PartReader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = Hashing::new(File::open(path)?);
        let decoder = Decoder::with_buffer(BufReader::with_capacity(BUFFER, file))?;
        Ok(Self {
            decoder,
            buffer: Vec::new(),
            at: 0,
        })
    }

    /// Checks how it begins. To be called first.
    pub(super) fn begin(&mut self) -> Result<(), Damage> {
        if self.have(MAGIC.len())? && self.buffer.starts_with(MAGIC) {
            self.at = MAGIC.len();
            return Ok(());
        }
        Err(Damage::Content)
    }

    /// The next entry; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<PartEntry>, Damage> {
        if !self.have(4)? {
            return if self.at == self.buffer.len() {
                Ok(None)
            } else {
                Err(Damage::Content)
            };
        }
        let mut length = [0; 4];
        length.copy_from_slice(&self.buffer[self.at..self.at + 4]);
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST || !self.have(4 + length)? {
            return Err(Damage::Content);
        }
        let body = &self.buffer[self.at + 4..self.at + 4 + length];
        let entry = codec::read(body).ok_or(Damage::Content)?;
        self.at += 4 + length;
        Ok(Some(entry))
    }

    /// Length and hash of the whole file, read to its end whatever is in it.
    pub(super) fn finish(self) -> io::Result<(u64, Digest)> {
        let mut hashing = self.decoder.finish().into_inner();
        io::copy(&mut hashing, &mut io::sink())?;
        Ok((hashing.bytes, hashing.digest()))
    }

    /// Whether so many bytes are there from the present place on.
    fn have(&mut self, wanted: usize) -> Result<bool, Damage> {
        while self.buffer.len() - self.at < wanted {
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            let held = self.buffer.len();
            self.buffer.resize(held + BUFFER, 0);
            let read = self.decoder.read(&mut self.buffer[held..]);
            self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What the system itself refuses has a number; what the decoder refuses has none.
                Err(error) if error.raw_os_error().is_some() => return Err(Damage::Disk(error)),
                Err(_) => return Err(Damage::Content),
            }
        }
        Ok(true)
    }
}

/// The hash of a file that is passed through.
pub(super) struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    fn digest(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }

    fn into_inner(self) -> T {
        self.inner
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.passed(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.passed(&bytes[..read]);
        Ok(read)
    }
}

/// The fastest level: on audit records a higher one takes twice the time for a few percent.
const LEVEL: i32 = 1;
const BUFFER: usize = 256 * 1024;
