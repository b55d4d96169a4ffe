//! Putting masks in the places of what was found, until nothing is left to find.

use std::borrow::Cow;
use std::ops::Range;

use super::form::partial;
use super::json::{JsonState, Part, outside_escapes, parts, unescaped};
use super::name::{NAME_MASK, is_masked_name};
use super::splice::Splice;
use super::token::{tokens, without};
use super::{BuiltinMasker, language, pem};
use crate::model::{PiiSpan, PiiType, Treatment};

impl BuiltinMasker {
    /// `text` with the places in `found` masked; `None` if nothing changes. `state` is that of the beginning of `text`.
    ///
    /// Lines are settled one by one: only those that a mask is in are looked at again, all of them at once.
    pub(super) fn edited(&self, text: &str, mut found: Vec<PiiSpan>, state: JsonState) -> Option<String> {
        let (mut masked, mut lines) = (String::new(), Vec::new());
        let has_tokens = !tokens(text).is_empty();
        let mut next = 0;
        while let Some(first) = found.get(next) {
            let start = memchr::memrchr(b'\n', &text.as_bytes()[..first.start]).map_or(0, |at| at + 1);
            let (from, mut end) = (next, line_end(text, first.end));
            next += 1;
            while let Some(span) = found.get(next).filter(|span| span.start <= end) {
                end = line_end(text, span.end.max(end));
                next += 1;
            }
            let spans = &mut found[from..next];
            for span in &mut *spans {
                span.start -= start;
                span.end -= start;
            }
            let state = if start == 0 { state } else { state.at_line_begin() };
            let begin = masked.len();
            let masks = if has_tokens {
                tokens(&text[start..end])
            } else {
                Vec::new()
            };
            if self.rewritten(&text[start..end], spans, &masks, state, &mut masked) {
                lines.push(MaskedLine {
                    given: start..end,
                    masked: begin..masked.len(),
                    state,
                });
                if end < text.len() {
                    masked.push('\n');
                }
            }
        }
        let settled = self.settled(&masked, &lines);
        if let [line] = &lines[..]
            && line.given == (0..text.len())
        {
            return Some(match settled {
                Some(mut settled) => settled.swap_remove(0).unwrap_or(masked),
                None => masked,
            });
        }
        let mut edited = String::with_capacity(if lines.is_empty() { 0 } else { text.len() });
        let mut done = 0;
        for (index, line) in lines.iter().enumerate() {
            edited.push_str(&text[done..line.given.start]);
            let again = settled.as_ref().and_then(|settled| settled[index].as_deref());
            edited.push_str(again.unwrap_or(&masked[line.masked.clone()]));
            done = line.given.end;
        }
        (!lines.is_empty()).then(|| edited + &text[done..])
    }

    /// What becomes of each of the `lines` of `masked`, where a mask has laid bare more; `None` if nowhere.
    fn settled(&self, masked: &str, lines: &[MaskedLine]) -> Option<Vec<Option<String>>> {
        // The one value that goes over lines must not be made of lines that were apart.
        if lines.len() > 1 && pem::next(masked, 0).is_some() {
            let one = |line: &MaskedLine| {
                let text = &masked[line.masked.clone()];
                self.masked_again(text, &self.find(text), line.state)
            };
            return Some(lines.iter().map(one).collect());
        }
        let mut found = if lines.is_empty() {
            Vec::new()
        } else {
            self.find(masked)
        };
        if found.is_empty() {
            return None;
        }
        let mut rest = &mut found[..];
        let one = |line: &MaskedLine| {
            let Range { start, end } = line.masked;
            let count = rest.iter().take_while(|span| span.start < end).count();
            let (spans, behind) = std::mem::take(&mut rest).split_at_mut(count);
            rest = behind;
            for span in &mut *spans {
                span.start = span.start.clamp(start, end) - start;
                span.end = span.end.clamp(start, end) - start;
            }
            self.masked_again(&masked[line.masked.clone()], spans, line.state)
        };
        Some(lines.iter().map(one).collect())
    }

    /// Masks until there is nothing left to mask: a mask may lay bare what the masked word was part of. `None` if that is so already.
    fn masked_again(&self, text: &str, found: &[PiiSpan], state: JsonState) -> Option<String> {
        let mut settled = String::new();
        if !self.rewritten(text, found, &tokens(text), state, &mut settled) {
            return None;
        }
        for _ in 2..ROUNDS {
            let mut rewritten = String::new();
            let found = self.find(&settled);
            if !self.rewritten(&settled, &found, &tokens(&settled), state, &mut rewritten) {
                break;
            }
            settled = rewritten;
        }
        Some(settled)
    }

    /// Masks each of the places once, but for what is in `masks` already, and appends that to `edited`; whether anything changes. If not, nothing is appended.
    fn rewritten(
        &self,
        text: &str,
        found: &[PiiSpan],
        masks: &[Range<usize>],
        state: JsonState,
        edited: &mut String,
    ) -> bool {
        if found.is_empty() {
            return false;
        }
        let has_escapes = memchr::memchr(b'\\', text.as_bytes()).is_some();
        let mut edits = Splice::new(text, edited);
        let (mut json, mut read) = (state, 0);
        for span in found {
            let place = if has_escapes {
                outside_escapes(text, span.start..span.end)
            } else {
                span.start..span.end
            };
            let place = place.start.max(edits.done)..place.end;
            if place.is_empty() {
                continue;
            }
            let token = text.as_bytes()[read..place.start].iter().rev();
            let token =
                token.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
            let from = place.start - token.count();
            json.advance(&text[read..from]);
            read = from;
            for part in parts(json, text, place) {
                if masks.is_empty() {
                    self.edit(&mut edits, span.kind, part, has_escapes);
                    continue;
                }
                for range in without(text, part.range, masks) {
                    let bare = part.bare;
                    self.edit(&mut edits, span.kind, Part { range, bare }, has_escapes);
                }
            }
        }
        edits.finish()
    }

    fn edit(&self, edits: &mut Splice<'_, '_>, kind: PiiType, part: Part, has_escapes: bool) {
        let Part { mut range, bare } = part;
        if range.start < edits.done || range.is_empty() {
            return;
        }
        let raw = &edits.text[range.clone()];
        let escaped = has_escapes && raw.contains('\\');
        let value = if escaped {
            Cow::Owned(unescaped(raw))
        } else {
            Cow::Borrowed(raw)
        };
        let treatment = self.treatment(kind);
        let shown = partial(kind, &value);
        let added = match kind {
            // What is left of a name may look like a whole one.
            PiiType::Person => is_masked_name(&value, language::is_surname).then_some(NAME_MASK),
            _ => shown.strip_prefix(&*value).filter(|added| !added.is_empty()),
        };
        let behind = &edits.text[range.end..];
        if let Some(added) = added.filter(|added| behind.starts_with(added)) {
            // Masked already, as in `田中 *`. A stricter policy takes the rest of it too.
            if treatment == Treatment::Partial {
                return;
            }
            range.end += added.len();
        } else if treatment == Treatment::Partial
            && shown.ends_with(NAME_MASK)
            && behind.starts_with(NAME_MASK)
        {
            // A star of the text becomes that of the mask, so that they do not become more each time.
            range.end += NAME_MASK.len();
        }
        let mask = match treatment {
            Treatment::Partial => shown,
            _ => self.mask_as(treatment, kind, &value),
        };
        if mask != edits.text[range.clone()] {
            edits.replace(range, &mask, escaped && value != raw, bare);
        }
    }
}

/// A line that was masked once.
struct MaskedLine {
    /// Where it is in the text.
    given: Range<usize>,
    /// Where it is among the masked ones.
    masked: Range<usize>,
    state: JsonState,
}

/// More than any text was seen to need; it bounds the work for a hostile one.
const ROUNDS: usize = 16;

fn line_end(text: &str, at: usize) -> usize {
    memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_lines_that_come_to_stand_together_make_no_private_key() {
        let text = "a@b.jp -----BEGIN PRIVATE KEY-----\n!\n090-1234-5678 MIIEvQIBADANBgkqhkiG c@d.jp";
        // Of what a first search gives, the addresses alone: the rest is left to the second one.
        let addresses = ["a@b.jp", "c@d.jp"].map(|address| {
            let start = text.find(address).unwrap();
            PiiSpan::new(start, start + address.len(), PiiType::Email)
        });
        let edited = BuiltinMasker::new().edited(text, addresses.to_vec(), JsonState::default());
        assert_eq!(
            edited.unwrap(),
            "a***@b.jp [API_KEY]\n!\n090-****-5678 MIIEvQIBADANBgkqhkiG c***@d.jp"
        );
    }
}
