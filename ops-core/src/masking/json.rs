use std::ops::Range;

/// Follows text as JSON, line by line, so that a mask knows whether it stands in a string.
///
/// JSON strings hold no line break, so each line is read anew: it counts as JSON while its tokens are those of JSON and it begins as
/// JSON does. A line that begins with a number or a word does so only within a document that began with a bracket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JsonState {
    /// Whether the first sign of the whole text was a bracket; `None` before it.
    document: Option<bool>,
    line: Line,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Begins,
    Outside,
    InString,
    InEscape,
    /// Not JSON, up to the next line break.
    Other,
}

impl JsonState {
    /// Goes on over `text`.
    pub(super) fn advance(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            if *byte == b'\n' {
                self.line = Line::Begins;
                continue;
            }
            match self.line {
                Line::Other => at += until_line_break(&bytes[at..]),
                Line::InEscape => self.line = Line::InString,
                Line::InString => match byte {
                    b'\\' => self.line = Line::InEscape,
                    b'"' => self.line = Line::Outside,
                    _ => {}
                },
                Line::Begins | Line::Outside => at += self.token(&bytes[at - 1..]),
            }
        }
    }

    /// Remembers how the whole text began, without reading further.
    pub(super) fn begin(&mut self, text: &str) {
        if self.document.is_none()
            && let Some(first) = text.bytes().find(|byte| !byte.is_ascii_whitespace())
        {
            self.document = Some(matches!(first, b'{' | b'['));
        }
    }

    /// Whether a line has begun.
    pub(super) fn is_within_line(self) -> bool {
        self.line != Line::Begins
    }

    /// What a new line knows.
    pub(super) fn at_line_begin(self) -> Self {
        Self {
            document: self.document,
            line: Line::Begins,
        }
    }

    /// The token at the front of `bytes`; gives how many bytes after the first belong to it.
    fn token(&mut self, bytes: &[u8]) -> usize {
        let (byte, rest) = (bytes[0], &bytes[1..]);
        let begins = self.line == Line::Begins;
        match byte {
            b' ' | b'\t' | b'\r' => return 0,
            b'{' | b'[' | b'}' | b']' => self.line = Line::Outside,
            b'"' => self.line = Line::InString,
            b':' | b',' if !begins => {}
            _ if is_scalar_byte(byte) && (!begins || self.document == Some(true)) => {
                let length = rest.iter().take_while(|byte| is_scalar_byte(**byte)).count();
                self.line = Line::Outside;
                // A token that reaches the end may go on; the rest of it is read as a token of its own.
                let cut = length == rest.len();
                let token = std::str::from_utf8(&bytes[..=length]);
                if !cut && !token.is_ok_and(is_scalar_text) {
                    self.line = Line::Other;
                }
                return length;
            }
            _ => self.line = Line::Other,
        }
        0
    }
}

/// Whether `text` is a number or a word of JSON.
fn is_scalar_text(text: &str) -> bool {
    matches!(text, "true" | "false" | "null") || is_number(text)
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent.trim_start_matches(['+', '-']))),
        None => (text, None),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

fn is_scalar_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn until_line_break(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())
}

/// A part of a place to mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) range: Range<usize>,
    /// It is a bare number or word of JSON, so that its mask must become a JSON string.
    pub(super) bare: bool,
}

/// Cuts a place of `text` at what JSON needs to stay JSON: the inside of strings, and bare numbers and words as a whole.
///
/// `state` is that at the beginning of the place. Text that is not JSON is one part.
pub(super) fn parts(state: JsonState, text: &str, place: Range<usize>) -> impl Iterator<Item = Part> {
    // Most places are of one part, for which nothing is allocated.
    let (first, rest) = first_and_rest(state, text, place);
    first.into_iter().chain(rest)
}

fn first_and_rest(state: JsonState, text: &str, place: Range<usize>) -> (Option<Part>, Vec<Part>) {
    let whole = || {
        let whole = Part {
            range: place.clone(),
            bare: false,
        };
        (Some(whole), Vec::new())
    };
    let bytes = text.as_bytes();
    let mut in_string = match state.line {
        Line::InString | Line::InEscape => true,
        Line::Outside | Line::Begins => false,
        Line::Other => return whole(),
    };
    let (mut first, mut rest) = (None, Vec::new());
    let mut at = place.start;
    while at < place.end {
        let (range, bare) = if in_string {
            let from = at;
            let end = string_end(bytes, at, place.end);
            // A place that reaches over several strings may mask their values, and never takes a key away.
            let is_key = first.is_some() && is_key(&bytes[end..]);
            at = end + 1;
            in_string = false;
            if end == from || is_key {
                continue;
            }
            (from..end, false)
        } else {
            match bytes[at] {
                b'"' => {
                    in_string = true;
                    at += 1;
                    continue;
                }
                b' ' | b'\t' | b'\r' | b'\n' | b':' | b',' | b'{' | b'}' | b'[' | b']' => {
                    at += 1;
                    continue;
                }
                byte if is_scalar_byte(byte) => {
                    let scalar = scalar_around(bytes, at);
                    let begins =
                        state.line == Line::Begins && state.document != Some(true) && first.is_none();
                    if begins || !ends_scalar(&bytes[scalar.end..]) || !is_scalar_text(&text[scalar.clone()])
                    {
                        return whole();
                    }
                    at = scalar.end;
                    (scalar, true)
                }
                _ => return whole(),
            }
        };
        let part = Part { range, bare };
        match first {
            None => first = Some(part),
            Some(_) => rest.push(part),
        }
    }
    (first, rest)
}

/// The number or word that `at` stands in.
fn scalar_around(bytes: &[u8], at: usize) -> Range<usize> {
    let front = bytes[..at].iter().rev();
    let start = at - front.take_while(|byte| is_scalar_byte(**byte)).count();
    let rest = bytes[at..].iter();
    start..at + rest.take_while(|byte| is_scalar_byte(**byte)).count()
}

/// Whether `rest` follows a scalar of JSON.
fn ends_scalar(rest: &[u8]) -> bool {
    let after = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    matches!(after, None | Some(b',' | b'}' | b']' | b'\n'))
}

/// Whether the string that ends at the front of `bytes` is the key of a field.
fn is_key(bytes: &[u8]) -> bool {
    let after = bytes.strip_prefix(b"\"").unwrap_or_default();
    after.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b':')
}

/// Where the string that `at` stands in ends: at its quotation mark, or at `end`.
fn string_end(bytes: &[u8], at: usize, end: usize) -> usize {
    let mut at = at;
    while at < end {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at,
            _ => at += 1,
        }
    }
    end
}

/// Moves a place so that it cuts no escape such as `\n` or `\u3000` apart, nor a pair of surrogates.
pub(super) fn outside_escapes(text: &str, place: Range<usize>) -> Range<usize> {
    let start = escape_around(text, place.start).map_or(place.start, |escape| escape.end);
    let end = escape_around(text, place.end).map_or(place.end, |escape| escape.end);
    start..end.max(start)
}

/// The escape that reaches over `at`, if one does.
fn escape_around(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // A pair of surrogates is the longest: 12 bytes.
    let mut from = at;
    while from > 0 && at - from < 11 {
        from -= 1;
        if bytes[from] != b'\\' {
            continue;
        }
        let run = bytes[..from]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        let start = from - run % 2;
        let end = start + escape_length(&bytes[start..]);
        if start < at && at < end {
            return Some(start..end);
        }
    }
    None
}

/// How long the escape is that begins with the backslash at the front of `bytes`.
fn escape_length(bytes: &[u8]) -> usize {
    match unit(bytes) {
        Some(0xd800..=0xdbff) if matches!(bytes.get(6..).and_then(unit), Some(0xdc00..=0xdfff)) => 12,
        Some(_) => 6,
        None if bytes.get(1).is_some_and(u8::is_ascii) => 2,
        None => 1,
    }
}

/// The unit of an escape such as `\u3000`.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// `text` without the escapes of JSON; as it is, if it has none that JSON knows.
pub(super) fn unescaped(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_else(|_| text.to_owned())
}

/// Writes `text` as the inside of a JSON string.
pub(super) fn push_escaped(text: &str, to: &mut String) {
    match serde_json::to_string(text) {
        Ok(quoted) => to.push_str(&quoted[1..quoted.len() - 1]),
        Err(_) => to.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> Line {
        let mut state = JsonState::default();
        state.begin(text);
        state.advance(text);
        state.line
    }

    #[test]
    fn a_line_is_json_while_its_tokens_are() {
        for (text, line) in [
            ("", Line::Begins),
            ("{\"a\": ", Line::Outside),
            ("{\"a", Line::InString),
            ("{\"a\\", Line::InEscape),
            ("{\"a\\\"", Line::InString),
            ("[1, -2.5e3, true, ", Line::Outside),
            ("[INFO] card ", Line::Other),
            ("text", Line::Other),
            ("1, 2", Line::Other),
            ("[\n1, 2", Line::Outside),
            ("text\n{", Line::Outside),
            ("12:30 ", Line::Other),
        ] {
            assert_eq!(state(text), line, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for number in ["0", "-0", "12", "1.5", "1e5", "1E-5", "-1.25e+3"] {
            assert!(is_number(number), "{number}");
        }
        for other in ["", "-", "01", "1.", ".5", "1e", "+1", "0x1", "1.2.3"] {
            assert!(!is_number(other), "{other}");
        }
    }

    #[test]
    fn no_escape_is_cut() {
        let text = r"a\u3000b\\n\ud842\udfb7c";
        for start in 0..text.len() {
            let place = outside_escapes(text, start..text.len());
            let rest = &text[place.start..];
            assert!(
                [
                    r"a\u3000b\\n\ud842\udfb7c",
                    r"\u3000b\\n\ud842\udfb7c",
                    r"b\\n\ud842\udfb7c",
                    r"\\n\ud842\udfb7c",
                    r"n\ud842\udfb7c",
                    r"\ud842\udfb7c",
                    "c"
                ]
                .contains(&rest),
                "{start}: {rest}"
            );
        }
    }
}
