use std::io::{self, BufRead, Read as _, Seek, SeekFrom};

use ops_core::model::Timestamp;

use super::label::latest;

/// The head and the table of contents of an archive of `pg_dump`, in the custom and in the directory form.
#[derive(Debug, Default)]
pub(super) struct Toc {
    /// The database that was dumped.
    pub(super) database: Option<String>,
    pub(super) entries: Vec<Entry>,
    /// When it began, or later: it says so in the time of its place, without the zone.
    pub(super) began: Option<Timestamp>,
    int_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    id: i64,
    /// `TABLE`, `TABLE DATA`, …
    pub(super) kind: String,
    /// In the directory form: its file, without the ending of a compression.
    pub(super) file: Option<String>,
    /// Whether its data are rows as `COPY` writes them, with an end.
    pub(super) copies: bool,
    data: Data,
}

/// Where the data of an entry is, in the custom form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    None,
    Somewhere,
    At(u64),
}

/// Why an archive could not be judged.
#[derive(Debug)]
pub(super) enum Unread {
    /// It ends in the middle.
    CutOff,
    /// It does not say what an archive says: damaged.
    Odd(&'static str),
    /// Of a version that is not known here.
    Version(u8, u8),
    Io(io::Error),
}

impl From<io::Error> for Unread {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Io(cause),
        }
    }
}

/// Which of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Custom,
    Directory,
}

impl Toc {
    /// Reads as `pg_restore` does: versions 1.12 (PostgreSQL 9) to 1.16 (17 and 18).
    pub(super) fn read(from: &mut impl BufRead, form: Form) -> Result<Self, Unread> {
        let mut magic = [0; 5];
        from.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(Unread::Odd("it does not begin as an archive of pg_dump does"));
        }
        let (major, minor, _) = (byte(from)?, byte(from)?, byte(from)?);
        if major != 1 || !(12..=16).contains(&minor) {
            return Err(Unread::Version(major, minor));
        }
        let (int_bytes, offset_bytes) = (usize::from(byte(from)?), usize::from(byte(from)?));
        if !(2..=8).contains(&int_bytes) || !(2..=8).contains(&offset_bytes) {
            return Err(Unread::Odd("its numbers have an odd size"));
        }
        let form_byte = byte(from)?;
        // A directory says that it is a tar, for old reasons.
        if form == Form::Custom && form_byte != 1 {
            return Err(Unread::Odd("it is a tar, which is not judged"));
        }
        let mut toc = Self {
            int_bytes,
            ..Self::default()
        };
        match minor {
            15.. => drop(byte(from)?),
            _ => drop(toc.int(from)?),
        }
        let mut clock = [0; 7];
        for part in &mut clock {
            *part = toc.int(from)?;
        }
        let [second, minute, hour, day, month, year, _] = clock;
        let (year, month) = (year.saturating_add(1900), month.saturating_add(1));
        toc.began = latest(&format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        ));
        toc.database = toc.text(from)?;
        let _versions = (toc.text(from)?, toc.text(from)?);
        let count = toc.int(from)?;
        for _ in 0..count {
            let entry = toc.entry(from, minor, offset_bytes, form)?;
            toc.entries.push(entry);
        }
        Ok(toc)
    }

    fn entry(
        &self,
        from: &mut impl BufRead,
        minor: u8,
        offset_bytes: usize,
        form: Form,
    ) -> Result<Entry, Unread> {
        let (id, _had_data) = (self.int(from)?, self.int(from)?);
        let _oids = (self.text(from)?, self.text(from)?);
        let _tag = self.text(from)?;
        let kind = self.text(from)?.unwrap_or_default();
        let _section = self.int(from)?;
        let _definition_and_drop = (self.text(from)?, self.text(from)?);
        let copies = self.text(from)?.is_some_and(|copy| copy.starts_with("COPY "));
        let _schema_and_tablespace = (self.text(from)?, self.text(from)?);
        if minor >= 14 {
            self.text(from)?;
        }
        if minor >= 16 {
            self.int(from)?;
        }
        let _owner_and_oids = (self.text(from)?, self.text(from)?);
        while self.text(from)?.is_some() {}
        let mut entry = Entry {
            id,
            kind,
            file: None,
            copies,
            data: Data::None,
        };
        match form {
            Form::Directory => entry.file = self.text(from)?.filter(|file| !file.is_empty()),
            Form::Custom => {
                let flag = byte(from)?;
                let at = number(from, offset_bytes)?;
                entry.data = match flag {
                    1 => Data::Somewhere,
                    2 => Data::At(at),
                    3 => Data::None,
                    _ => return Err(Unread::Odd("an entry says oddly where its data are")),
                };
            }
        }
        Ok(entry)
    }

    /// Whether it has tables and the data of none: `pg_dump --schema-only`.
    pub(super) fn is_schema_only(&self) -> bool {
        let has = |kind: &str| self.entries.iter().any(|entry| entry.kind == kind);
        has("TABLE") && !has("TABLE DATA")
    }

    /// Follows the data of the custom form to the end of the file, without reading them: from the last block where the dump could note where each
    /// begins, else from the first. `from` stands behind the table of contents.
    pub(super) fn follow(&self, from: &mut (impl BufRead + Seek)) -> Result<(), Unread> {
        let data: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| entry.data != Data::None)
            .collect();
        let places: Vec<(u64, i64)> = data
            .iter()
            .filter_map(|entry| match entry.data {
                Data::At(at) => Some((at, entry.id)),
                _ => None,
            })
            .collect();
        let end = from_end(from)?;
        let mut wanted: Vec<i64> = data.iter().map(|entry| entry.id).collect();
        if places.len() == data.len()
            && let Some((at, last)) = places.iter().max()
        {
            from.seek(SeekFrom::Start(*at))?;
            wanted = vec![*last];
        }
        while !wanted.is_empty() {
            let block = byte(from)?;
            let id = self.int(from)?;
            let place = wanted.iter().position(|wanted| *wanted == id);
            let Some(place) = place else {
                return Err(Unread::Odd("the data of an entry are not where they should be"));
            };
            wanted.swap_remove(place);
            match block {
                1 => self.skip(from, end)?,
                3 => {
                    while self.int(from)? != 0 {
                        self.skip(from, end)?;
                    }
                }
                _ => return Err(Unread::Odd("a block of data is of no kind")),
            }
        }
        Ok(())
    }

    /// Pieces, each behind its length, until one of none.
    fn skip(&self, from: &mut (impl BufRead + Seek), end: u64) -> Result<(), Unread> {
        loop {
            let length = self.int(from)?;
            let Ok(length) = u64::try_from(length) else {
                return Err(Unread::Odd("a piece of data has a negative length"));
            };
            if length == 0 {
                return Ok(());
            }
            let there = from.stream_position()?;
            // A file can be sought beyond its end.
            if length > end.saturating_sub(there) {
                return Err(Unread::CutOff);
            }
            let buffered = from.fill_buf()?.len();
            match usize::try_from(length) {
                Ok(length) if length <= buffered => from.consume(length),
                _ => drop(from.seek(SeekFrom::Start(there + length))?),
            }
        }
    }

    fn int(&self, from: &mut impl BufRead) -> Result<i64, Unread> {
        let negative = byte(from)? != 0;
        let size = i64::try_from(number(from, self.int_bytes)?);
        let size = size.map_err(|_| Unread::Odd("a number is too large"))?;
        Ok(if negative { -size } else { size })
    }

    fn text(&self, from: &mut impl BufRead) -> Result<Option<String>, Unread> {
        let length = self.int(from)?;
        let Ok(length) = usize::try_from(length) else {
            return Ok(None);
        };
        if length > LONGEST {
            return Err(Unread::Odd("a text is too long"));
        }
        let mut bytes = Vec::new();
        let read = from.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        if read < length {
            return Err(Unread::CutOff);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn from_end(from: &mut impl Seek) -> io::Result<u64> {
    let here = from.stream_position()?;
    let end = from.seek(SeekFrom::End(0))?;
    from.seek(SeekFrom::Start(here))?;
    Ok(end)
}

fn byte(from: &mut impl BufRead) -> io::Result<u8> {
    let mut one = [0];
    from.read_exact(&mut one)?;
    Ok(one[0])
}

fn number(from: &mut impl BufRead, bytes: usize) -> io::Result<u64> {
    let mut all = [0; 8];
    from.read_exact(&mut all[..bytes])?;
    Ok(u64::from_le_bytes(all))
}

pub(super) const MAGIC: &[u8; 5] = b"PGDMP";
/// No statement of a schema is longer.
const LONGEST: usize = 256 << 20;
