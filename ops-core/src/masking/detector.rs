use std::sync::Arc;

use super::{language, pem, structured};
use crate::model::PiiSpan;
use crate::ports::Recognizer;

/// Finds personal and confidential values in text.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Detector {
    recognizers: Vec<Arc<dyn Recognizer>>,
}

impl Detector {
    /// A detector with the built-in recognisers.
    pub fn new() -> Self {
        Self::default()
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
        for recognizer in &self.recognizers {
            recognizer.find(text, &mut found);
        }
        pem::find(text, &mut found);
        structured::find(text, &mut found);
        language::find(text, &mut found);
        // Of two that overlap, the one that begins first counts, and of those the longer.
        found.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut end = 0;
        found.retain(|span| {
            let free = span.start >= end;
            if free {
                end = span.end;
            }
            free
        });
        found
    }
}
