use std::ops::Range;

/// Text to search, and where its bytes come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// The place of each byte and of the end in the text that was given; `None` if this is that text.
    origin: Option<&'a [usize]>,
}

impl<'a> Text<'a> {
    pub(super) fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes, origin: None }
    }

    /// Whether this is the text as given, in which full width letters and escapes still stand.
    pub(super) fn is_plain(&self) -> bool {
        self.origin.is_none()
    }

    pub(super) fn get(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The byte before `at`, 0 at the start.
    pub(super) fn before(&self, at: usize) -> u8 {
        self.get(at.wrapping_sub(1))
    }

    pub(super) fn starts(&self, at: usize, with: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(with))
    }

    pub(super) fn ends(&self, at: usize, with: &[u8]) -> bool {
        self.bytes[..at].ends_with(with)
    }

    /// As [`ends`](Self::ends), in letters of any case.
    pub(super) fn ends_any(&self, at: usize, with: &[u8]) -> bool {
        at.checked_sub(with.len())
            .is_some_and(|start| self.bytes[start..at].eq_ignore_ascii_case(with))
    }

    /// How many bytes the byte at `at` takes in the text as given: two for a `\"`.
    pub(super) fn width(&self, at: usize) -> usize {
        self.origin
            .and_then(|origin| Some(origin.get(at + 1)? - origin.get(at)?))
            .unwrap_or(1)
    }

    /// The same range in the text as given.
    pub(super) fn given(&self, range: Range<usize>) -> Range<usize> {
        match self.origin {
            Some(origin) => origin[range.start]..origin[range.end],
            None => range,
        }
    }
}

/// A line with escapes undone and full width letters in half width. Kept between lines, so that it allocates only to grow.
#[derive(Debug, Default)]
pub(super) struct View {
    bytes: Vec<u8>,
    origin: Vec<usize>,
    spare: (Vec<u8>, Vec<usize>),
}

impl View {
    /// What `line` says, which begins at byte `at` of the text as given.
    pub(super) fn read(&mut self, line: &[u8], at: usize) -> Text<'_> {
        let Self { bytes, origin, spare } = self;
        undo(line, |index| at + index, bytes, origin);
        // JSON within JSON has its escapes escaped.
        for _ in 1..LEVELS {
            if !bytes.contains(&b'\\') {
                break;
            }
            undo(bytes, |index| origin[index], &mut spare.0, &mut spare.1);
            std::mem::swap(bytes, &mut spare.0);
            std::mem::swap(origin, &mut spare.1);
        }
        Text {
            bytes: &self.bytes,
            origin: Some(&self.origin),
        }
    }

    /// Forgets the text, and the room if it became large.
    pub(super) fn clear(&mut self) {
        for bytes in [&mut self.bytes, &mut self.spare.0] {
            bytes.clear();
            bytes.shrink_to(ROOM);
        }
        for origin in [&mut self.origin, &mut self.spare.1] {
            origin.clear();
            origin.shrink_to(ROOM);
        }
    }
}

/// Levels of JSON within JSON whose escapes are undone.
const LEVELS: usize = 3;

const ROOM: usize = 16 * 1024;

/// What an escaped line break or tab becomes: white space, but no end of a line.
pub(super) const BREAK: u8 = 0x0b;

/// Whether the text at `at` must be read through a [`View`].
pub(super) fn is_veiled(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b'\\' => true,
        b'%' => percent(bytes, at).is_some(),
        // Letters, digits and the signs of numbers and addresses in full width, but not the punctuation of every text.
        0xef => match bytes.get(at + 1..at + 3) {
            Some([0xbc, last]) => matches!(last, 0x8b | 0x90..=0x99 | 0xa0..=0xba | 0xbf),
            Some([0xbd, last]) => matches!(last, 0x81..=0x9a),
            _ => false,
        },
        _ => false,
    }
}

/// Counts the quotes of a line as far as it was read, each once: a backslash is an escape only within them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strings {
    read: usize,
    is_open: bool,
}

impl Strings {
    /// Whether the byte at `at` stands between quotes. It is asked from the front to the back.
    pub(super) fn covers(&mut self, bytes: &[u8], at: usize) -> bool {
        let from = self.read.min(at);
        for place in memchr::memchr2_iter(b'"', b'\n', &bytes[from..at]).map(|place| from + place) {
            if bytes[place] == b'\n' {
                self.is_open = false;
            } else if place == 0 || bytes[place - 1] != b'\\' {
                self.is_open = !self.is_open;
            }
        }
        self.read = at;
        self.is_open
    }
}

fn undo(line: &[u8], given: impl Fn(usize) -> usize, bytes: &mut Vec<u8>, origin: &mut Vec<usize>) {
    bytes.clear();
    origin.clear();
    let mut at = 0;
    while at < line.len() {
        let start = given(at);
        // In JSON within JSON the backslash before a quote is as wide as the quote: in `"x\\\\"` it ends what is quoted.
        let apart = line[at] == b'\\'
            && line.get(at + 1) == Some(&b'"')
            && given(at + 1) - start != given(at + 2) - given(at + 1);
        let (read, length) = if apart {
            (Read::Byte(b'\\'), 1)
        } else {
            unit(line, at)
        };
        at += length;
        match read {
            Read::Byte(byte) => {
                bytes.push(byte);
                origin.push(start);
            }
            Read::Char(c) => {
                let next = || unit(line, at).0.is_digit();
                let half = half_width(c, bytes.last().copied().unwrap_or(0), next);
                let mut buffer = [0; 4];
                for byte in half.encode_utf8(&mut buffer).bytes() {
                    bytes.push(byte);
                    origin.push(start);
                }
            }
        }
    }
    origin.push(given(line.len()));
}

#[derive(Clone, Copy)]
enum Read {
    Byte(u8),
    Char(char),
}

impl Read {
    fn is_digit(self) -> bool {
        match self {
            Self::Byte(byte) => byte.is_ascii_digit(),
            Self::Char(c) => matches!(c, '0'..='9' | '０'..='９'),
        }
    }
}

/// What stands at `at`, and how many bytes it takes.
fn unit(line: &[u8], at: usize) -> (Read, usize) {
    let Some(&first) = line.get(at) else {
        return (Read::Byte(0), 1);
    };
    let byte = (Read::Byte(first), 1);
    match first {
        b'\\' => escape(line, at).unwrap_or(byte),
        b'%' => percent(line, at).map_or(byte, |byte| (Read::Byte(byte), 3)),
        // The letters that have a half width form are in these blocks.
        0xe2 | 0xe3 | 0xef => line
            .get(at..at + 3)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(|text| text.chars().next())
            .map_or(byte, |c| (Read::Char(c), 3)),
        _ => byte,
    }
}

fn escape(line: &[u8], at: usize) -> Option<(Read, usize)> {
    let read = match *line.get(at + 1)? {
        sign @ (b'"' | b'\\' | b'/') => Read::Byte(sign),
        b'n' | b'r' | b't' | b'b' | b'f' => Read::Byte(BREAK),
        b'u' => {
            let first = hex(line, at + 2)?;
            if let Some(c) = char::from_u32(first) {
                return Some((Read::Char(c), 6));
            }
            let second = (line.get(at + 6..at + 8) == Some(b"\\u")).then(|| hex(line, at + 8))??;
            let pair = char::decode_utf16([first as u16, second as u16]).next()?.ok()?;
            return Some((Read::Char(pair), 12));
        }
        _ => return None,
    };
    Some((read, 2))
}

fn hex(line: &[u8], at: usize) -> Option<u32> {
    let mut value = 0;
    for byte in line.get(at..at + 4)? {
        value = value * 16 + char::from(*byte).to_digit(16)?;
    }
    Some(value)
}

/// The printable sign that a `%40` stands for.
fn percent(line: &[u8], at: usize) -> Option<u8> {
    let [high, low] = line.get(at + 1..at + 3)? else {
        return None;
    };
    let value = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
    (0x20..0x7f).contains(&value).then_some(value as u8)
}

fn half_width(c: char, before: u8, next_is_digit: impl Fn() -> bool) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        // A long vowel, but between digits a hyphen.
        'ー' | 'ｰ' if before.is_ascii_digit() && next_is_digit() => '-',
        // As a word of its own, as escapes for line breaks are.
        '\n' | '\r' | '\t' => char::from(BREAK),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> String {
        let mut view = View::default();
        let text = view.read(line.as_bytes(), 0);
        String::from_utf8(text.bytes.to_vec()).unwrap()
    }

    #[test]
    fn escapes_are_undone_at_every_level() {
        assert_eq!(read(r#"a\u0040b\/c\"d"#), "a@b/c\"d");
        assert_eq!(read(r#"{\"a\":\"x\\u0040y\"}"#), "{\"a\":\"x@y\"}");
        assert_eq!(read(r"\u96fb\u8a71\ud83d\ude00"), "電話😀");
        assert_eq!(read(r"\ud83d\u0041 \u12"), "\\ud83dA \\u12");
        assert_eq!(read(r#"{"a":"x\\","b":"y\"z"}"#), r#"{"a":"x\","b":"y"z"}"#);
        assert_eq!(read("a%40b%2Bc 100%"), "a@b+c 100%");
        assert_eq!(read("０９０ー１２－３　Ａ＠カード"), "090-12-3 A@カード");
    }

    #[test]
    fn what_stands_between_quotes_is_known_from_the_front_to_the_back() {
        let text = br#"a="b\"c" d "e
f"g""#;
        let mut strings = Strings::default();
        let covered: Vec<usize> = (0..text.len()).filter(|at| strings.covers(text, *at)).collect();
        let between = |at: usize| matches!(at, 3..=7 | 12..=13 | 16..=17);
        let expected: Vec<usize> = (0..text.len()).filter(|at| between(*at)).collect();
        assert_eq!(covered, expected);
    }

    #[test]
    fn a_place_leads_back_to_the_text_as_given() {
        let line = r"x\u0040ｙ.jp";
        let mut view = View::default();
        let text = view.read(line.as_bytes(), 100);
        assert_eq!(text.bytes, b"x@y.jp");
        assert_eq!(text.given(0..6), 100..100 + line.len());
        assert_eq!(text.given(1..3), 101..110);
        assert_eq!((text.width(0), text.width(1), text.width(2)), (1, 6, 3));
    }
}
