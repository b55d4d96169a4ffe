use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};

use super::directory::private;
use super::frame::BEGINNING;
use super::{Directory, again, refused};
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
    /// Makes the file with `room` bytes behind its beginning; name and length survive a crash. It has its name only when it is whole: whoever sees it knows
    /// that nothing more comes into those before it. On an error for want of room there is no such file.
    pub(crate) fn create(directory: &Directory, number: u64, room: usize) -> Result<Self> {
        let name = segment_name(number);
        let (made, path) = (directory.file(&format!(".{name}")), directory.file(&name));
        let create = || {
            let mut file = private().write(true).create(true).truncate(true).open(&made)?;
            file.write_all(&BEGINNING)?;
            io::copy(
                &mut io::Read::take(io::repeat(0), u64::try_from(room).unwrap_or(u64::MAX)),
                &mut file,
            )?;
            file.sync_all()?;
            file.seek(SeekFrom::Start(BEGINNING.len() as u64))?;
            fs::rename(&made, &path)?;
            Ok(file)
        };
        let file = create().map_err(|source| {
            // Left over, it would only take space.
            let _ = fs::remove_file(&made);
            refused("make segment", &path, source)
        })?;
        // It may be seen by now: whatever the cause, this is no want of room.
        directory.sync().map_err(|cause| again(&cause))?;
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
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_segment_is_seen_only_when_it_is_whole() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        let room = 1 << 20;
        // Whatever had the name shows what is written under it.
        let path = directory.file(&segment_name(1));
        fs::write(&path, "before").unwrap();
        let mut before = File::open(&path).unwrap();
        Segment::create(&directory, 1, room).unwrap();
        let mut text = String::new();
        before.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before");
        assert_eq!(
            fs::metadata(&path).unwrap().len(),
            (BEGINNING.len() + room) as u64
        );
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
