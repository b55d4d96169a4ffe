use super::BuiltinMasker;
use super::form::placeholder;
use super::json::JsonState;
use super::name::NAME_MASK;
use super::pem::{self, Block, DASHES, LONGEST_LABEL, is_body};
use crate::model::{PiiSpan, PiiType, Treatment};

/// Cuts text of any length into pieces that can be masked by themselves. Where it cuts depends on the text alone and not on how
/// much of it is there already, so that text in chunks is masked as the whole.
///
/// A value ends with its line, but for a PEM block. So the pieces are lines, as many as are there; PEM blocks with their lines; and of a line
/// longer than [`WINDOW`], parts that are cut between words, or around what was found. A value that is longer than half a window is dropped
/// from its first byte to its last.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    json: JsonState,
    swallowing: Option<Swallow>,
    /// The end of the part of a line that went before, masked. What comes next in the line is found by it as it will be when the masked text is
    /// looked at again.
    left: String,
}

/// What is left out until it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swallow {
    /// A value within a line.
    Value,
    /// The lines of a PEM block.
    Pem,
}

/// A piece: how much of the text it is, and what it becomes if it changes.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) length: usize,
    pub(super) edited: Option<String>,
}

/// The most that is held back. Also the longest PEM block that is masked as a value.
pub(super) const WINDOW: usize = 64 * 1024;

/// How far from the end of a window a cut stays, so that what a value is found by is not cut away from it.
const MARGIN: usize = 4 * 1024;

/// How much of what went before is kept: what a value is found by stands no further from it, as a rule.
const NEAR: usize = MARGIN;

/// How often at most.
const ROUNDS_BEHIND: usize = 4;

impl Pieces {
    /// The whole of `text`; `None` if nothing changes.
    pub(super) fn edit_all(mut self, masker: &BuiltinMasker, text: &str) -> Option<String> {
        let mut edited: Option<String> = None;
        let (mut at, mut copied) = (0, 0);
        while let Some(piece) = self.next(masker, &text[at..], true) {
            let end = at + piece.length;
            if let Some(piece) = piece.edited {
                let edited = edited.get_or_insert_with(|| String::with_capacity(text.len()));
                edited.push_str(&text[copied..at]);
                edited.push_str(&piece);
                copied = end;
            }
            at = end;
        }
        edited.map(|edited| edited + &text[copied..])
    }

    /// The piece at the front of `text`; `None` if more text is needed, or none is left. `last` says that no more will come.
    pub(super) fn next(&mut self, masker: &BuiltinMasker, text: &str, last: bool) -> Option<Piece> {
        if text.is_empty() {
            return None;
        }
        self.json.begin(text);
        if let Some(swallow) = self.swallowing {
            return self.swallow(swallow, text, last);
        }
        let full = text.len() >= WINDOW;
        let window = &text[..text.floor_char_boundary(WINDOW)];
        if last && !full {
            return Some(self.lines(masker, window));
        }
        let Some(at) = memchr::memrchr(b'\n', window.as_bytes()) else {
            return full.then(|| self.part_of_line(masker, window));
        };
        let block = &window[..=at];
        match open_pem(block) {
            None => Some(self.lines(masker, block)),
            Some(open) if open.lines > 0 => Some(self.lines(masker, &block[..open.lines])),
            Some(open) => full.then(|| self.long_pem(masker, block, open.begin)),
        }
    }

    /// Whether a chunk without a line break changes nothing yet, after which `held` bytes are held back.
    pub(super) fn waits(&self, held: usize) -> bool {
        self.swallowing.is_none() && held < WINDOW
    }

    /// Remembers how the whole text begins.
    pub(super) fn begin(&mut self, text: &str) {
        self.json.begin(text);
    }

    /// How much of `text`, from its front, are whole lines that can be masked apart from what follows, one window at most.
    pub(super) fn ready(&self, text: &str) -> usize {
        if self.swallowing.is_some() || self.json.is_within_line() {
            return 0;
        }
        let window = &text[..text.floor_char_boundary(WINDOW)];
        let end = memchr::memrchr(b'\n', window.as_bytes()).map_or(0, |at| at + 1);
        if open_pem(&window[..end]).is_some() {
            0
        } else {
            end
        }
    }

    /// Whole lines, or the last of the text.
    pub(super) fn lines(&mut self, masker: &BuiltinMasker, text: &str) -> Piece {
        let left = self.left.clone();
        let found = self.find(masker, text);
        let edited = if found.is_empty() {
            None
        } else {
            masker.edited(text, found, self.json)
        };
        let edited = self.settled_behind(masker, &left, edited);
        self.json = self.json.at_line_begin();
        Piece {
            length: text.len(),
            edited,
        }
    }

    /// A part of a line that fills the window.
    fn part_of_line(&mut self, masker: &BuiltinMasker, window: &str) -> Piece {
        let left = self.left.clone();
        let mut found = self.find(masker, window);
        let mut cut = last_word(window, window.len() - MARGIN).unwrap_or(window.len() - MARGIN);
        cut = window.floor_char_boundary(cut);
        if let Some(over) = found
            .iter()
            .find(|span| span.start < cut && cut < span.end)
            .copied()
        {
            if over.start >= WINDOW / 2 {
                cut = over.start;
            } else if over.end < window.len() {
                cut = over.end;
            } else {
                return self.long_value(masker, window, found, over);
            }
        }
        // A name is not cut from its mask, `田中 *`.
        cut += mask_behind(&window[cut..]);
        cut = outside_escape(window, cut);
        found.retain(|span| span.end <= cut);
        let text = &window[..cut];
        let edited = masker.edited(text, found, self.json);
        let edited = self.settled_behind(masker, &left, edited);
        self.json.advance(text);
        self.keep_near(edited.as_deref().unwrap_or(text));
        Piece { length: cut, edited }
    }

    /// Keeps the end of a part of a line: what stands soon behind it may be found by what is in front of it.
    fn keep_near(&mut self, masked: &str) {
        let near = masked.floor_char_boundary(masked.len().saturating_sub(NEAR));
        masked[near..].clone_into(&mut self.left);
    }

    /// What was edited behind `left`, the end of what went before in the same line, masked as it would be again: with an escape that a mask took
    /// away, the end of a value that begins in front may be gone.
    fn settled_behind(
        &mut self,
        masker: &BuiltinMasker,
        left: &str,
        edited: Option<String>,
    ) -> Option<String> {
        let mut edited = edited?;
        for _ in 0..ROUNDS_BEHIND {
            if left.is_empty() {
                break;
            }
            left.clone_into(&mut self.left);
            let found = self.find(masker, &edited);
            match masker.edited(&edited, found, self.json) {
                Some(again) if again != edited => edited = again,
                _ => break,
            }
        }
        Some(edited)
    }

    /// As [`BuiltinMasker::find`], behind what went before in the same line.
    fn find(&mut self, masker: &BuiltinMasker, text: &str) -> Vec<PiiSpan> {
        let mut left = std::mem::take(&mut self.left);
        if left.is_empty() {
            return masker.find(text);
        }
        let behind = left.len();
        left.push_str(text);
        let mut found = masker.find(&left);
        found.retain_mut(|span| {
            span.start = span.start.max(behind) - behind;
            span.end = span.end.saturating_sub(behind);
            span.start < span.end
        });
        found
    }

    /// A value that reaches over half a window and has not ended yet: what is in front of it, and its mask.
    fn long_value(
        &mut self,
        masker: &BuiltinMasker,
        window: &str,
        mut found: Vec<PiiSpan>,
        over: PiiSpan,
    ) -> Piece {
        found.retain(|span| span.end <= over.start);
        let front = &window[..over.start];
        let mut edited = masker
            .edited(front, found, self.json)
            .unwrap_or_else(|| front.to_owned());
        edited.push_str(placeholder(over.kind));
        self.keep_near(&edited);
        self.json.advance(front);
        let is_pem = pem::next(&window[over.start..], 0).is_some_and(|(begin, _)| begin == 0);
        self.swallowing = Some(if is_pem { Swallow::Pem } else { Swallow::Value });
        Piece {
            length: window.len(),
            edited: Some(edited),
        }
    }

    /// A PEM block that is longer than the window: what is in front of it, and its mask.
    fn long_pem(&mut self, masker: &BuiltinMasker, block: &str, begin: usize) -> Piece {
        let kind = PiiType::ApiKey;
        if masker.treatment(kind) == Treatment::Keep {
            return self.lines(masker, block);
        }
        let front = self.lines(masker, &block[..begin]).edited;
        let front = front.unwrap_or_else(|| block[..begin].to_owned());
        self.swallowing = Some(Swallow::Pem);
        Piece {
            length: begin + DASHES.len(),
            edited: Some(front + placeholder(kind)),
        }
    }

    fn swallow(&mut self, swallow: Swallow, text: &str, last: bool) -> Option<Piece> {
        let (length, ended) = match swallow {
            Swallow::Value => {
                let end = text.find(ends_value);
                (end.unwrap_or(text.len()), end.is_some())
            }
            Swallow::Pem => pem_rest(text, last),
        };
        if ended || last {
            self.swallowing = None;
        }
        if length == 0 && !ended {
            return None;
        }
        Some(Piece {
            length,
            edited: Some(String::new()),
        })
    }
}

/// A PEM block that the lines at hand do not end.
#[derive(Debug, PartialEq, Eq)]
struct OpenPem {
    /// Where it begins.
    begin: usize,
    /// Where its lines begin, and those of blocks that end in the line in which the next one begins.
    lines: usize,
}

/// The PEM block that `lines` do not end.
fn open_pem(lines: &str) -> Option<OpenPem> {
    let (mut ended, mut first) = (0, 0);
    loop {
        let (begin, block) = pem::next(lines, ended)?;
        if let Some(at) = lines[ended..begin].rfind('\n') {
            first = ended + at + 1;
        }
        match block {
            Block::Ends(end) | Block::Broken(end) => ended = end,
            Block::Open => return Some(OpenPem { begin, lines: first }),
        }
    }
}

/// How much at the front of `text` belongs to a PEM block that has begun before, and whether the block ends there.
fn pem_rest(text: &str, last: bool) -> (usize, bool) {
    let body = text.bytes().take_while(|byte| is_body(*byte)).count();
    let Some(end) = text[..body].find(pem::END) else {
        // The mark may be cut apart.
        let whole = body < text.len() || last;
        let kept = if whole {
            body
        } else {
            body - trailing_dashes(&text[..body])
        };
        return (kept, body < text.len());
    };
    match text[end + pem::END.len()..].find(DASHES) {
        Some(label) if label <= LONGEST_LABEL => (end + pem::END.len() + label + DASHES.len(), true),
        None if text.len() - end <= LONGEST_LABEL && !last => (end, false),
        _ => (end + pem::END.len(), true),
    }
}

/// How much of the end of `text` may be the front of `-----END `.
fn trailing_dashes(text: &str) -> usize {
    (1..pem::END.len())
        .rev()
        .find(|length| text.ends_with(&pem::END[..*length]))
        .unwrap_or(0)
}

/// Whether a long value ends before this.
fn ends_value(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '"' | '\''
                | ','
                | ';'
                | '<'
                | '>'
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '\\'
                | '、'
                | '。'
                | '「'
                | '」'
        )
}

/// Behind the last sign at or before `until` that no value holds, if it is in the second half of it.
fn last_word(text: &str, until: usize) -> Option<usize> {
    let front = &text[..text.floor_char_boundary(until)];
    let sign = |c: char| {
        matches!(
            c,
            ' ' | '\t' | '\r' | '"' | ',' | ';' | '{' | '}' | '[' | ']' | '、' | '。'
        )
    };
    let (at, sign) = front
        .char_indices()
        .rev()
        .take_while(|(at, _)| *at > until / 2)
        .find(|(_, c)| sign(*c))?;
    Some(at + sign.len_utf8())
}

/// How much of the front of `text` belongs to the mask of what stands before it.
fn mask_behind(text: &str) -> usize {
    let name = if text.starts_with(NAME_MASK) {
        NAME_MASK.len()
    } else {
        0
    };
    name + text[name..].bytes().take_while(|byte| *byte == b'*').count()
}

/// A cut that is in no escape of JSON.
fn outside_escape(text: &str, cut: usize) -> usize {
    super::json::outside_escapes(text, cut..cut).end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PiiMasker;

    #[test]
    fn a_pem_block_is_open_while_its_lines_may_belong_to_it() {
        let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        for (lines, open) in [
            ("a\n".to_owned(), None),
            (format!("a\n{begin}\nQUJD\n"), Some((2, 2))),
            (format!("{begin}\nQUJD\n{end}\n"), None),
            (format!("{begin}\nQUJD\n{end}\na {begin}\n"), Some((61, 59))),
            (format!("a\nb {begin}\n{end}{begin}\n"), Some((57, 2))),
            (format!("{begin}\nwhat is this?\n"), None),
        ] {
            let open = open.map(|(begin, lines)| OpenPem { begin, lines });
            assert_eq!(open_pem(&lines), open, "{lines}");
        }
    }

    #[test]
    fn no_cut_stands_between_a_value_and_what_it_is_found_by() {
        let masker = BuiltinMasker::new();
        for front in WINDOW - MARGIN - 40..WINDOW - MARGIN + 4 {
            let text = format!(
                "{} password: hunter2x9z7 {}",
                "y".repeat(front),
                "z ".repeat(4_000)
            );
            let masked = masker.mask(&text);
            assert!(!masked.contains("hunter2x9z7"), "{front}");
        }
    }

    #[test]
    fn the_end_of_a_pem_block_may_be_cut_apart() {
        let rest = "QUJD\n-----END KEY----- after";
        assert_eq!(pem_rest(rest, true), (22, true));
        for cut in 0..22 {
            let (length, ended) = pem_rest(&rest[..cut], false);
            assert!(!ended && length <= 5, "{cut}: {length}");
            assert_eq!(pem_rest(&rest[length..], false), (22 - length, true), "{cut}");
        }
        assert_eq!(pem_rest("QUJD\nwhat?", false), (9, true));
    }
}
