use std::sync::Arc;

use super::{language, pem, structured};
use crate::model::PiiSpan;
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
        pem::find(text, found);
        structured::find(text, found);
        if self.language {
            language::find(text, found);
        }
        if found.len() > 1 {
            apart(text, found);
        }
    }
}

/// Puts `found` in order. Of two that overlap, the one that begins first counts whole, and of those the longer; of the other, what is
/// left behind it.
fn apart(text: &str, found: &mut Vec<PiiSpan>) {
    found.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
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
    use super::*;
    use crate::model::PiiType;

    #[derive(Debug)]
    struct Fixed(Vec<PiiSpan>);

    impl Recognizer for Fixed {
        fn find(&self, _text: &str, found: &mut Vec<PiiSpan>) {
            found.extend(&self.0);
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
