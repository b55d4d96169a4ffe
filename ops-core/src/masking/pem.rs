//! Private keys in PEM blocks: the one kind of value that goes over lines. Within JSON their line breaks are escapes.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;

use crate::model::{PiiSpan, PiiType};

const BEGIN: &str = "-----BEGIN ";
pub(super) const END: &str = "-----END ";
pub(super) const DASHES: &str = "-----";

/// The labels of PEM blocks are shorter.
pub(super) const LONGEST_LABEL: usize = 64;

/// A key of 16,384 bits has 13 KB.
const LONGEST_IN_LINE: usize = 16 * 1024;

/// A run of base64 of this length in a block without an end is taken for a part of a key that was cut off.
const KEY: usize = 16;

/// How a block goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Up to the end of its last mark.
    Ends(usize),
    /// It reaches the end of the text without its last mark.
    Open,
    /// Something else follows here before its last mark.
    Broken(usize),
}

/// The first block of a private key that begins at or after `from`: where, and how it goes on.
pub(super) fn next(text: &str, from: usize) -> Option<(usize, Block)> {
    let mut from = from;
    loop {
        let begin = begin(text.as_bytes(), from)?;
        from = begin + BEGIN.len();
        let Some(label) = label(&text[from..]) else {
            continue;
        };
        let body = from + label + DASHES.len();
        let length = text[body..].bytes().take_while(|byte| is_body(*byte)).count();
        let region = &text[body..body + length];
        let block = match memmem::find(region.as_bytes(), END.as_bytes()) {
            Some(end) => {
                let after = body + end + END.len();
                match region[end + END.len()..]
                    .find(DASHES)
                    .filter(|label| *label <= LONGEST_LABEL)
                {
                    Some(label) => Block::Ends(after + label + DASHES.len()),
                    None if body + length == text.len() => Block::Open,
                    None => Block::Broken(after),
                }
            }
            None if body + length == text.len() => Block::Open,
            None => Block::Broken(body + length),
        };
        return Some((begin, block));
    }
}

/// Whether a mark begins in `lines`.
pub(super) fn may_begin(lines: &str) -> bool {
    begin(lines.as_bytes(), 0).is_some()
}

/// Where the first mark at or after `from` begins. This goes over every line.
fn begin(bytes: &[u8], from: usize) -> Option<usize> {
    static MARK: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(BEGIN));
    MARK.find(&bytes[from..]).map(|at| from + at)
}

/// Finds private keys, also such as were cut off.
pub(super) fn find(text: &str, found: &mut Vec<PiiSpan>) {
    let mut from = 0;
    while let Some((begin, block)) = next(text, from) {
        let (end, whole) = match block {
            Block::Ends(end) => (end, true),
            Block::Open => (text.len(), false),
            Block::Broken(end) => (end, false),
        };
        if whole {
            found.push(PiiSpan::new(begin, end, PiiType::ApiKey));
        } else if let Some(last) = last_key(&text[begin..end]) {
            let end = if block == Block::Open { end } else { begin + last };
            found.push(PiiSpan::new(begin, end, PiiType::ApiKey));
        }
        from = end;
    }
}

/// The private key whose first mark stands at `at`, as far as its line goes: to its last mark, or to the end of the line or of the string that it
/// is in. For lines in which escapes are undone, and for marks with little behind them.
pub(super) fn in_line(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = bytes
        .get(at..)
        .filter(|rest| rest.starts_with(BEGIN.as_bytes()))?;
    let line_end = |text: &[u8]| memchr::memchr(b'\n', text).unwrap_or(text.len());
    // Where many begin and none ends, not each looks through all behind it.
    let near = &rest[..rest.len().min(LONGEST_IN_LINE)];
    let line = &near[..line_end(near)];
    let head = &line[..line.len().min(BEGIN.len() + LONGEST_LABEL)];
    memmem::find(head, b"PRIVATE KEY")?;
    let last = memmem::find(line, END.as_bytes()).map(|end| end + END.len());
    let whole =
        last.and_then(|label| Some(label + memmem::find(&line[label..], DASHES.as_bytes())? + DASHES.len()));
    let length = whole.unwrap_or_else(|| {
        let cut = line[BEGIN.len()..]
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\'' | b'<' | b'\r'));
        cut.map_or_else(|| line_end(rest), |length| BEGIN.len() + length)
    });
    Some(at..at + length)
}

/// Where the last run of base64 ends that is long enough for a key.
fn last_key(block: &str) -> Option<usize> {
    let (mut run, mut last) = (0, None);
    for (at, byte) in block.bytes().enumerate() {
        let base64 = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        run = if base64 { run + 1 } else { 0 };
        if run >= KEY {
            last = Some(at + 1);
        }
    }
    last
}

/// How long the label of a private key is that `text` begins with, up to its dashes.
fn label(text: &str) -> Option<usize> {
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ')
        .count();
    let private = text[..length].contains("PRIVATE KEY");
    (private && length <= LONGEST_LABEL && text[length..].starts_with(DASHES)).then_some(length)
}

/// Whether a block may hold this: base64, headers, marks, line breaks and their escapes.
pub(super) fn is_body(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'+' | b'/' | b'=' | b'-' | b':' | b',' | b' ' | b'\\' | b'\r' | b'\n'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_mark_is_where_its_letters_are(text in "(-{1,6}|-----BEGIN |BEGIN |DEBUG|GIN|-----BE|[ -Z]{0,70}){0,8}", from in 0_usize..300) {
            let from = from.min(text.len());
            prop_assert_eq!(begin(text.as_bytes(), from), text[from..].find(BEGIN).map(|at| from + at));
        }
    }

    fn places(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text, &mut found);
        found
            .into_iter()
            .map(|span| &text[span.start..span.end])
            .collect()
    }

    #[test]
    fn private_keys_are_found_whole() {
        for key in [
            "-----BEGIN PRIVATE KEY-----\nQUJD\nREVG\n-----END PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\r\nQUJD=\r\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\\nQUJD\\n-----END OPENSSH PRIVATE KEY-----",
        ] {
            assert_eq!(places(&format!("a\n{key}\nb {key}{key}")), [key, key, key]);
            assert_eq!(places(&format!("{{\"key\":\"{key}\"}}")), [key]);
        }
    }

    #[test]
    fn what_was_cut_off_is_found_as_far_as_it_goes() {
        let cut = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\nMIIEvQIBADANBgkqhkiG";
        assert_eq!(places(cut), [cut]);
        assert_eq!(places(&format!("{cut}\nthen this.")), [cut]);
    }

    #[test]
    fn what_is_no_private_key_stays() {
        for text in [
            "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG\n-----END CERTIFICATE-----",
            "a line with -----BEGIN PRIVATE KEY----- in it",
            "-----BEGIN PRIVATE KEY",
            "-----BEGIN ",
        ] {
            assert!(places(text).is_empty(), "{text}");
        }
    }
}
