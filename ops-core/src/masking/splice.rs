use std::ops::Range;

use super::json::push_escaped;

/// A text with replacements, made from its front and appended to what is there.
pub(super) struct Splice<'a, 'b> {
    pub(super) text: &'a str,
    /// Up to where the text is copied.
    pub(super) done: usize,
    edited: &'b mut String,
}

impl<'a, 'b> Splice<'a, 'b> {
    pub(super) fn new(text: &'a str, edited: &'b mut String) -> Self {
        Self {
            text,
            done: 0,
            edited,
        }
    }

    /// Puts `mask` in the place of `range`, which is behind all places before.
    pub(super) fn replace(&mut self, range: Range<usize>, mask: &str, escape: bool, quote: bool) {
        if self.done == 0 {
            self.edited.reserve(self.text.len() + mask.len());
        }
        self.edited.push_str(&self.text[self.done..range.start]);
        let quotation = if quote { "\"" } else { "" };
        self.edited.push_str(quotation);
        if escape {
            push_escaped(mask, self.edited);
        } else {
            self.edited.push_str(mask);
        }
        self.edited.push_str(quotation);
        self.done = range.end;
    }

    /// Copies the rest; whether anything was replaced. If not, nothing was appended.
    pub(super) fn finish(self) -> bool {
        if self.done > 0 {
            self.edited.push_str(&self.text[self.done..]);
        }
        self.done > 0
    }
}
