use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

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

/// A segment that nobody sees yet. Dropped without being shown, it is removed.
#[derive(Debug)]
pub(crate) struct HiddenSegment {
    segment: Segment,
    name: HiddenName,
}

#[derive(Debug)]
struct HiddenName(PathBuf);

impl HiddenSegment {
    /// Makes the file with `room` bytes behind its beginning; they survive a crash. On an error there is no such file.
    pub(crate) fn create(directory: &Directory, number: u64, room: usize) -> Result<Self> {
        let made = directory.file(&format!(".{}", segment_name(number)));
        let name = HiddenName(made.clone());
        let create = || {
            let mut file = private().write(true).create(true).truncate(true).open(&made)?;
            fill(&mut file, room)?;
            file.sync_all()?;
            file.seek(SeekFrom::Start(BEGINNING.len() as u64))?;
            Ok(file)
        };
        let file = create().map_err(|source| refused("make segment", &made, source))?;
        Ok(Self {
            segment: Segment { file },
            name,
        })
    }

    /// Gives it the name of segment `number` in `directory`, which survives a crash: whoever sees it knows that nothing more comes into those before it.
    ///
    /// After an error it may be seen all the same.
    pub(crate) fn show(self, directory: &Directory, number: u64) -> Result<Segment> {
        let Self { segment, name } = self;
        let path = directory.file(&segment_name(number));
        let renamed = fs::rename(&name.0, &path);
        renamed.map_err(|source| again(&refused("make segment", &path, source)))?;
        // Whatever the cause, this is no want of room.
        directory.sync().map_err(|cause| again(&cause))?;
        Ok(segment)
    }
}

/// Writes the beginning and `room` zeros, at places that are multiples of a page: the rest of a page that is written in part is cleared by the system first.
fn fill(file: &mut File, room: usize) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    chunk[..BEGINNING.len()].copy_from_slice(&BEGINNING);
    let mut left = BEGINNING.len().saturating_add(room);
    while left > 0 {
        let now = left.min(CHUNK);
        file.write_all(&chunk[..now])?;
        chunk[..BEGINNING.len()].fill(0);
        left -= now;
    }
    Ok(())
}

impl Drop for HiddenName {
    fn drop(&mut self) {
        // Left over, it would only take space, until its directory is removed. Nothing has this name once it was shown.
        let _ = fs::remove_file(&self.0);
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

/// Removes the segments of a process that is gone that nobody will ever see.
pub(crate) fn remove_hidden(directory: &Directory) -> Result<()> {
    directory.remove_hidden(END)
}

/// How many bytes the segments in a directory take, those included that nobody sees yet.
pub(crate) fn segment_bytes(directory: &Directory) -> Result<u64> {
    directory.bytes_of(END)
}

/// The file of a segment.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:012}{END}")
}

const END: &str = ".segment";
const CHUNK: usize = 64 << 10;

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
        let hidden = HiddenSegment::create(&directory, 1, room).unwrap();
        assert_eq!(segments(&directory).unwrap(), [1], "the one before");
        hidden.show(&directory, 1).unwrap();
        let mut text = String::new();
        before.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before");
        assert_eq!(
            fs::metadata(&path).unwrap().len(),
            (BEGINNING.len() + room) as u64
        );
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_segment_that_nobody_saw_is_counted_and_removed_with_its_value() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        fs::write(directory.file("lock"), "other bytes").unwrap();
        let hidden = HiddenSegment::create(&directory, 1, 1000).unwrap();
        assert!(segments(&directory).unwrap().is_empty());
        assert_eq!(
            segment_bytes(&directory).unwrap(),
            (BEGINNING.len() + 1000) as u64
        );
        drop(hidden);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_segment_is_its_beginning_and_zeros() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path()).unwrap();
        for (number, room) in [(1, 0), (2, 1), (3, CHUNK - BEGINNING.len()), (4, 3 * CHUNK)] {
            let hidden = HiddenSegment::create(&directory, number, room).unwrap();
            hidden.show(&directory, number).unwrap();
            let bytes = fs::read(directory.file(&segment_name(number))).unwrap();
            let (beginning, rest) = bytes.split_at(BEGINNING.len());
            assert_eq!(beginning, BEGINNING);
            assert!(rest.len() == room && rest.iter().all(|byte| *byte == 0));
        }
    }
}
