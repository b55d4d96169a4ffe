use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// What a tar holds, by the heads of its files.
#[derive(Debug, Default)]
pub(super) struct Tar {
    /// Whether every file in it is there, and its end.
    pub(super) whole: bool,
    /// The sizes of its files.
    pub(super) bytes: u64,
    /// The first bytes of `backup_label`.
    pub(super) label: Option<Vec<u8>>,
    /// The first bytes of `global/pg_control`.
    pub(super) control: Option<Vec<u8>>,
}

impl Tar {
    /// Goes from head to head, over what is between them, up to the two empty blocks at the end.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(4096, file);
        let mut tar = Self::default();
        let (mut at, mut empty) = (0, 0);
        let mut head = [0; BLOCK];
        while empty < 2 {
            if at + BLOCK as u64 > length {
                return Ok(tar);
            }
            reader.read_exact(&mut head)?;
            at += BLOCK as u64;
            if head == [0; BLOCK] {
                empty += 1;
                continue;
            }
            let Some(size) = size(&head).filter(|_| empty == 0) else {
                return Ok(tar);
            };
            let next = at + size.next_multiple_of(BLOCK as u64);
            if next > length {
                return Ok(tar);
            }
            tar.bytes += size;
            let name = head[..NAME].split(|byte| *byte == 0).next().unwrap_or_default();
            let wanted = match name {
                b"backup_label" => Some(&mut tar.label),
                b"global/pg_control" => Some(&mut tar.control),
                _ => None,
            };
            if let Some(wanted) = wanted {
                let mut bytes = Vec::new();
                reader.by_ref().take(size.min(KEPT)).read_to_end(&mut bytes)?;
                *wanted = Some(bytes);
            }
            reader.seek(SeekFrom::Start(next))?;
            at = next;
        }
        tar.whole = true;
        Ok(tar)
    }
}

/// `None`: this is no head.
fn size(head: &[u8; BLOCK]) -> Option<u64> {
    if &head[257..262] != b"ustar" {
        return None;
    }
    let field = &head[124..136];
    // What does not fit into eleven octal digits is binary.
    if field[0] & 0x80 != 0 {
        return Some(u64::from_be_bytes(field[4..].try_into().ok()?));
    }
    let digits = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(digits.trim_matches(['\0', ' ']), 8).ok()
}

const BLOCK: usize = 512;
const NAME: usize = 100;
const KEPT: u64 = 1024;
