use std::ops::Range;

/// Replacements in a text, in the order of their places, without overlap.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Replaces `range` by `mask`, unless an earlier replacement reaches into it.
    pub(super) fn replace(&mut self, range: Range<usize>, mask: String) {
        if range.start >= self.end() {
            self.0.push((range, mask));
        }
    }

    /// Where the last replacement ends.
    pub(super) fn end(&self) -> usize {
        self.0.last().map_or(0, |(range, _)| range.end)
    }

    /// The text with the replacements made; `None` if there is nothing to change.
    pub(super) fn apply(self, text: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut changed = String::with_capacity(text.len());
        let mut done = 0;
        for (range, mask) in self.0 {
            changed.push_str(&text[done..range.start]);
            changed.push_str(&mask);
            done = range.end;
        }
        changed.push_str(&text[done..]);
        Some(changed)
    }
}

/// The half-width form of a full-width letter, digit or sign; any other character as it is.
pub(super) fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}
