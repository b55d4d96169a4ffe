use std::sync::Arc;

use super::vector::{Room, Windows};
use super::{language, pem, structured};
use crate::model::{PiiSpan, PiiType};
use crate::ports::Recognizer;

/// Finds personal and confidential values in text.
///
/// A line is looked at by itself: what is found in it does not depend on the lines around it. No call takes more than time linear in
/// the text, and text without such a value costs no allocation.
///
/// ```
/// use ops_core::masking::Detector;
/// use ops_core::model::{PiiSpan, PiiType};
///
/// let found = Detector::new().detect("連絡先は tanaka@example.com です");
/// assert_eq!(found, [PiiSpan::new(13, 31, PiiType::Email)]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Detector {
    recognizers: Vec<Arc<dyn Recognizer>>,
    language: bool,
}

impl Default for Detector {
    fn default() -> Self {
        language::prepare();
        Self {
            recognizers: Vec::new(),
            language: true,
        }
    }
}

impl Detector {
    /// A detector with the built-in recognisers. The first one of a process lays out the dictionaries, in some milliseconds.
    pub fn new() -> Self {
        Self::default()
    }

    /// A detector of the values alone whose form gives them away: no names, postal addresses, departments, salaries.
    pub fn structured() -> Self {
        Self {
            recognizers: Vec::new(),
            language: false,
        }
    }

    /// Also asks `recognizer`.
    #[must_use]
    pub fn with_recognizer(mut self, recognizer: Arc<dyn Recognizer>) -> Self {
        self.recognizers.push(recognizer);
        self
    }

    /// The places of `text` that hold such a value: in order, not overlapping, on character boundaries.
    ///
    /// Nothing is allocated for text without any.
    pub fn detect(&self, text: &str) -> Vec<PiiSpan> {
        let mut found = Vec::new();
        self.detect_into(text, &mut found);
        found
    }

    /// As [`detect`](Self::detect), into `found`, whose contents are replaced.
    pub fn detect_into(&self, text: &str, found: &mut Vec<PiiSpan>) {
        found.clear();
        for recognizer in &self.recognizers {
            recognizer.find(text, found);
        }
        let mut has_pem = false;
        let mut at = 0;
        while at < text.len() {
            let part = part(&text[at..]);
            let known = found.len();
            let mut room = Room::new();
            let windows = Windows::in_room(part.as_bytes(), &mut room);
            let dashes = structured::find(part, windows, found);
            has_pem |= dashes && pem::may_begin(part);
            if self.language {
                language::find(part, windows, found);
            } else if found[known..].iter().any(|span| span.kind == PiiType::Person) {
                // A name in kana behind its label is none of its form.
                let rest: Vec<_> = found.drain(known..).collect();
                found.extend(rest.into_iter().filter(|span| span.kind != PiiType::Person));
            }
            for span in &mut found[known..] {
                span.start += at;
                span.end += at;
            }
            at += part.len();
        }
        if has_pem {
            pem::find(text, found);
        }
        if found.len() > 1 {
            apart(text, found);
        }
    }
}

/// As much as is searched for one kind of value after another: so little that it is still in the nearest cache.
const PART: usize = 16 * 1024;

/// The lines at the front of `text` that are searched at once.
#[inline]
fn part(text: &str) -> &str {
    if text.len() <= PART {
        return text;
    }
    let bytes = text.as_bytes();
    let end = memchr::memrchr(b'\n', &bytes[..PART])
        .or_else(|| Some(PART + memchr::memchr(b'\n', &bytes[PART..])?));
    end.map_or(text, |end| &text[..=end])
}

/// Puts `found` in order. Of two that overlap, the one that begins first counts whole, and of those the longer; of the other, what is
/// left behind it.
fn apart(text: &str, found: &mut Vec<PiiSpan>) {
    // Of two at one place the one counts that was found first: a number or a key before a name.
    found.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut end = 0;
    found.retain_mut(|span| {
        if span.start < end {
            let rest = text.get(end..span.end).unwrap_or_default();
            span.start = end;
            if !rest.contains(char::is_alphanumeric) {
                return false;
            }
        }
        end = span.end.max(end);
        span.start < span.end
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::PiiType;

    #[derive(Debug)]
    struct Fixed(Vec<PiiSpan>);

    impl Recognizer for Fixed {
        fn find(&self, _text: &str, found: &mut Vec<PiiSpan>) {
            found.extend(&self.0);
        }
    }

    fn find_at_once(text: &str) -> Vec<PiiSpan> {
        language::prepare();
        let mut found = Vec::new();
        pem::find(text, &mut found);
        let windows = Windows::of(text.as_bytes());
        structured::find(text, windows, &mut found);
        language::find(text, windows, &mut found);
        apart(text, &mut found);
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_found_in_parts_is_what_is_found_at_once(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "2026-01-02T03:04:05.678Z INFO worker 276 idle",
                    "連絡先は tanaka@example.com です",
                    "田中太郎様 090-1234-5678",
                    "氏名：",
                    "佐藤",
                    "",
                    r#"{"name":"John Smith","n":12,"m":"\u7530\u4e2d 太郎様"}"#,
                    "-----BEGIN PRIVATE KEY-----",
                    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
                    "-----END PRIVATE KEY-----",
                    "口座番号 ０１２３４５６",
                    "123 Main St, Springfield, IL 62704",
                ]),
                1..40,
            ),
            long in 0..3 * PART,
        ) {
            // A part ends somewhere within.
            let text = lines.join("\n");
            let text = [&text, "\n", &"x ".repeat(long / 2), "\n", &text].concat();
            let text = [&*text, &text, &text, &"clean\n".repeat(long / 4)].concat();
            prop_assert_eq!(Detector::new().detect(&text), find_at_once(&text));
        }
    }

    /// Lines that would tell more if the line before or behind were looked at.
    const NEIGHBOURS: [(&str, &str); 8] = [
        ("口座番号（半角", "数字） 1234567"),
        ("株式会社サンプル", "高木が担当します"),
        ("Base salary for FY2024", "Total is $85,000"),
        ("PSC 802 Box 74", "Room 5, APO AE 09012"),
        ("7000012050002は", "法人番号です"),
        ("氏名：", "佐藤"),
        ("password:", "hunter2hunter2"),
        ("Name", "John Smith"),
    ];

    #[test]
    fn a_line_is_looked_at_by_itself_wherever_a_part_ends() {
        let detector = Detector::new();
        let alone = |text: &str, from: usize, found: &mut Vec<PiiSpan>| {
            let spans = detector.detect(text).into_iter();
            found.extend(spans.map(|span| PiiSpan::new(span.start + from, span.end + from, span.kind)));
        };
        for (first, second) in NEIGHBOURS {
            for end in [30, 200, PART - 3, PART - 2, PART - 1, PART, PART + 1, PART + 2] {
                let Some(fill) = end.checked_sub(first.len() + 2) else {
                    continue;
                };
                let text = format!("{}\n{first}\n{second}\nbehind", "x".repeat(fill));
                let mut lines = Vec::new();
                alone(first, fill + 1, &mut lines);
                alone(second, fill + first.len() + 2, &mut lines);
                assert_eq!(detector.detect(&text), lines, "{first} {second} at {end}");
            }
        }
    }

    #[test]
    fn what_is_found_twice_at_one_place_is_what_was_found_first_however_much_there_is() {
        for lines in [1, 5, 40, 1_000] {
            let text = "{\"password\":\"John Smith\"}\n".repeat(lines);
            let found = Detector::new().detect(&text);
            assert_eq!(found.len(), lines);
            assert!(found.iter().all(|span| span.kind == found[0].kind), "{lines}");
            assert_eq!(found[0].kind, Detector::structured().detect(&text)[0].kind);
        }
    }

    #[test]
    fn what_reaches_over_the_end_of_another_find_counts_behind_it() {
        let span = |start, end| PiiSpan::new(start, end, PiiType::Person);
        for (given, expected) in [
            (vec![span(4, 9), span(0, 6)], vec![span(0, 6), span(6, 9)]),
            (vec![span(0, 6), span(2, 5)], vec![span(0, 6)]),
            (
                vec![span(0, 4), span(0, 9), span(5, 12)],
                vec![span(0, 9), span(9, 12)],
            ),
            // Nothing but signs is left.
            (vec![span(0, 10), span(5, 11)], vec![span(0, 10)]),
            (vec![span(0, 2), span(2, 4)], vec![span(0, 2), span(2, 4)]),
        ] {
            let detector = Detector::structured().with_recognizer(Arc::new(Fixed(given)));
            assert_eq!(detector.detect("abcdefghij-klm"), expected);
        }
    }
}
