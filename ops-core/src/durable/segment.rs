use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};

use super::directory::private;
use super::frame::BEGINNING;
use super::{Directory, refused};
use crate::error::Result;

/// What a file of frames is written through. A test puts its own in place of the disk.
pub(crate) trait Medium: Send {
    /// Writes behind what was written before.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all of it survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file whose room was taken beforehand, so that a write changes data only.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
}

impl Segment {
    /// Makes the file with `room` bytes behind its beginning; name and length survive a crash.
    pub(crate) fn create(directory: &Directory, number: u64, room: usize) -> Result<Self> {
        let path = directory.file(&segment_name(number));
        let mut file = private()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| refused("make segment", &path, source))?;
        let mut fill = || {
            file.write_all(&BEGINNING)?;
            io::copy(
                &mut io::Read::take(io::repeat(0), u64::try_from(room).unwrap_or(u64::MAX)),
                &mut file,
            )?;
            file.sync_all()?;
            file.seek(SeekFrom::Start(BEGINNING.len() as u64))
        };
        fill().map_err(|source| {
            // A file without room, such as on a full disk, must not stand in the way of the next try.
            let _ = fs::remove_file(&path);
            refused("make segment", &path, source)
        })?;
        directory.sync()?;
        Ok(Self { file })
    }
}

impl Medium for Segment {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The numbers of the segments in a directory, in their order.
pub(crate) fn segments(directory: &Directory) -> Result<Vec<u64>> {
    let names = directory.names()?;
    let numbers = names
        .iter()
        .filter_map(|name| name.strip_suffix(END)?.parse().ok());
    Ok(numbers.collect())
}

/// The file of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:012}{END}")
}

const END: &str = ".segment";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_segment_that_is_there_is_not_touched() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        let mut first = Segment::create(&directory, 1, 100).unwrap();
        first.write(b"kept").unwrap();
        let before = fs::read(directory.file(&segment_name(1))).unwrap();
        let error = Segment::create(&directory, 1, 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(fs::read(directory.file(&segment_name(1))).unwrap(), before);
    }
}
