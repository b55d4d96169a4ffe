use std::io::{self, ErrorKind, Read, Write};

use super::{BuiltinMasker, MaskStream};

/// A writer that masks what goes through it. Each line is written once it has ended; [`finish`](Self::finish) writes the rest, as dropping
/// it does, which cannot tell an error.
///
/// ```
/// use std::io::Write;
///
/// use ops_core::masking::BuiltinMasker;
///
/// let mut writer = BuiltinMasker::new().writer(Vec::new());
/// writer.write_all("tel 090-99".as_bytes())?;
/// writer.write_all("99-1234".as_bytes())?;
/// assert_eq!(writer.finish()?, b"tel 090-****-1234");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct MaskWriter<W: Write> {
    stream: MaskStream,
    /// `None` once it was finished.
    output: Option<W>,
    masked: String,
}

impl<W: Write> MaskWriter<W> {
    pub(super) fn new(stream: MaskStream, output: W) -> Self {
        Self {
            stream,
            output: Some(output),
            masked: String::new(),
        }
    }

    /// Writes what is held back, flushes, and gives the output back.
    ///
    /// # Errors
    /// Those of the output, which is then dropped.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        // Only this function takes it, and it takes the writer.
        self.output.take().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        self.stream.finish(&mut self.masked);
        let written = output.write_all(self.masked.as_bytes());
        self.masked.clear();
        written.and_then(|()| output.flush())
    }
}

impl<W: Write> Write for MaskWriter<W> {
    /// Takes all of `chunk`. An error of the output is told, though the chunk was taken: what it would have written is lost.
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        let Some(output) = &mut self.output else {
            return Err(ErrorKind::NotConnected.into());
        };
        self.stream.push(chunk, &mut self.masked);
        let written = output.write_all(self.masked.as_bytes());
        self.masked.clear();
        written.map(|()| chunk.len())
    }

    /// Flushes the output. A line that has not ended stays held back.
    fn flush(&mut self) -> io::Result<()> {
        self.output.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for MaskWriter<W> {
    fn drop(&mut self) {
        if !self.stream.is_empty() && !std::thread::panicking() {
            let _ = self.end();
        }
    }
}

/// Masks all of `input` into `output`, in constant memory; gives how many bytes were read. Blocks.
///
/// ```
/// use ops_core::masking::{BuiltinMasker, mask_all};
///
/// let mut out = Vec::new();
/// mask_all(&BuiltinMasker::new(), "mail tanaka@example.com".as_bytes(), &mut out)?;
/// assert_eq!(out, b"mail t***@example.com");
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
/// Those of reading and writing; what was masked until then is written.
pub fn mask_all(masker: &BuiltinMasker, mut input: impl Read, output: impl Write) -> io::Result<u64> {
    let mut writer = masker.writer(output);
    let mut chunk = vec![0; CHUNK];
    let mut read = 0;
    loop {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                writer.write_all(&chunk[..length])?;
                read += length as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    writer.finish()?;
    Ok(read)
}

const CHUNK: usize = 64 * 1024;
