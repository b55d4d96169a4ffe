//! JSON strings whose Japanese is written as `\uXXXX`.

use std::ops::Range;

use super::super::vector::Windows;
use super::scan::Scan;
use crate::model::PiiSpan;

/// The longest stretch that is decoded at a time. Longer lines are read in parts of this many bytes.
const LONGEST: usize = 1 << 16;

/// A line with its escapes undone, and where each piece came from.
#[derive(Debug)]
pub(super) struct Decoded {
    text: String,
    /// Places in `text` and in the original after which both advance alike.
    places: Vec<(usize, usize)>,
}

/// The line around the escape at `at`; of a very long one, the part from `at` on.
pub(super) fn line(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let from = at.saturating_sub(LONGEST);
    let start = match bytes[from..at].iter().rposition(|byte| *byte == b'\n') {
        Some(line_break) => from + line_break + 1,
        None if from == 0 => 0,
        None => at,
    };
    let to = bytes.len().min(at + LONGEST);
    let mut end = bytes[at..to]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(to, |length| at + length);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end
}

/// Whether an escape of a letter begins at `at`. In `\\u` the backslash is itself escaped.
pub(super) fn begins(text: &str, at: usize) -> bool {
    let backslashes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 0 && character(&text[at..]).is_some()
}

impl Decoded {
    /// Undoes the escapes of `line`; `None` if there are none.
    pub(super) fn read(whole: &str, line: Range<usize>) -> Option<Self> {
        let raw = &whole[line.clone()];
        let mut text = String::new();
        let mut places = Vec::new();
        let mut done = 0;
        let mut from = 0;
        while let Some(at) = raw[from..].find("\\u").map(|at| at + from) {
            match character(&raw[at..]) {
                Some((c, length)) if begins(raw, at) => {
                    text.push_str(&raw[done..at]);
                    places.push((text.len(), line.start + at));
                    text.push(c);
                    places.push((text.len(), line.start + at + length));
                    done = at + length;
                    from = done;
                }
                _ => from = at + 2,
            }
        }
        if places.is_empty() {
            return None;
        }
        text.push_str(&raw[done..]);
        places.insert(0, (0, line.start));
        Some(Self { text, places })
    }

    /// Appends what is found, in places of the original.
    pub(super) fn find(&self, found: &mut Vec<PiiSpan>) {
        let mut inner = Vec::new();
        Scan::new(&self.text, &mut inner).run(Windows::of(self.text.as_bytes()));
        found.extend(
            inner
                .into_iter()
                .map(|span| PiiSpan::new(self.original(span.start), self.original(span.end), span.kind)),
        );
    }

    fn original(&self, place: usize) -> usize {
        let index = self.places.partition_point(|(decoded, _)| *decoded <= place);
        let (decoded, original) = self.places[index.saturating_sub(1)];
        original + place - decoded
    }
}

/// The character that the escape in front of `rest` stands for, and its length. Only letters: no sign that JSON must escape.
fn character(rest: &str) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let digits = rest.get(at + 2..at + 6)?;
        let escape = rest.get(at..at + 2)? == "\\u" && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        escape.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    };
    let first = unit(0)?;
    if (0xd800..0xdc00).contains(&first) {
        let second = unit(6)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        return Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)?, 12));
    }
    (first >= 0x80)
        .then(|| char::from_u32(first))
        .flatten()
        .map(|c| (c, 6))
}
