use std::borrow::Cow;

/// `text` without escape sequences of a terminal: colours, positions, titles, links. They could part a value.
pub(super) fn without_ansi(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&ESCAPE) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == ESCAPE) {
        plain.push_str(&text[at..at + found]);
        at = sequence_end(bytes, at + found);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    plain.push_str(&text[at..]);
    Cow::Owned(plain)
}

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

fn sequence_end(bytes: &[u8], escape: usize) -> usize {
    let mut at = escape + 2;
    match bytes.get(escape + 1) {
        Some(b'[') => {
            while bytes.get(at).is_some_and(|byte| (0x20..0x40).contains(byte)) {
                at += 1;
            }
            if bytes.get(at).is_some_and(|byte| (0x40..0x7f).contains(byte)) {
                at += 1;
            }
        }
        Some(b']' | b'P' | b'^' | b'_') => {
            // Only a sequence that ends is one: else it would swallow the rest of the line.
            let end = bytes[at..]
                .iter()
                .position(|byte| matches!(*byte, BELL | ESCAPE | b'\n'));
            match end.map(|end| at + end) {
                Some(end) if bytes[end] == BELL => at = end + 1,
                Some(end) if bytes[end] == ESCAPE && bytes.get(end + 1) == Some(&b'\\') => at = end + 2,
                _ => {}
            }
        }
        _ => {}
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_colours_part_is_whole_without_them() {
        let text =
            "\x1b[1;32mtanaka\x1b[0m@exam\x1b[38;5;9mple.com\x1b]8;;http://x\x07 link\x1b]8;;\x1b\\ end\x1b";
        assert_eq!(without_ansi(text), "tanaka@example.com link end");
        assert!(matches!(without_ansi("plain 田中"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_only_looks_like_a_sequence_swallows_no_line() {
        assert_eq!(without_ansi("a\x1b]b c\nd"), "ab c\nd");
        assert_eq!(without_ansi("a\x1b田b"), "ab");
    }
}
