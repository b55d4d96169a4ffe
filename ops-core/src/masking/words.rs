use crate::model::{PiiSpan, PiiType};
use crate::ports::Recognizer;

/// Words of one's own that are found as personal values: code names, a company's list of people, names of projects.
///
/// Letters must be the same, but ASCII letters match in either case. A word that begins or ends with an ASCII letter or digit is found
/// only where no other one touches it there; Japanese has no such edges, so `営業` is found in `営業部`. Of two words that begin at the
/// same place, the longer is found.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use ops_core::masking::{Detector, WordList};
/// use ops_core::model::PiiType;
///
/// let words = WordList::new(PiiType::Person, ["ゴリラ二号", "Big Bob"]);
/// let detector = Detector::new().with_recognizer(Arc::new(words));
/// assert_eq!(detector.detect("ゴリラ二号 を配備").len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct WordList {
    kind: PiiType,
    /// In small letters, sorted by first byte, longer ones first.
    words: Vec<Box<str>>,
    /// Where in `words` those with a first byte begin.
    firsts: Box<[u32; 257]>,
}

impl WordList {
    /// A list of `words` that are all of `kind`. Empty words are passed over.
    pub fn new(kind: PiiType, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut words: Vec<Box<str>> = words
            .into_iter()
            .map(|word| word.into().to_ascii_lowercase().into_boxed_str())
            .filter(|word| !word.is_empty())
            .collect();
        words.sort_by(|a, b| {
            let key = |word: &str| (word.as_bytes()[0], std::cmp::Reverse(word.len()));
            key(a).cmp(&key(b)).then_with(|| a.cmp(b))
        });
        words.dedup();
        let mut firsts = Box::new([0; 257]);
        for word in &words {
            firsts[usize::from(word.as_bytes()[0]) + 1] += 1;
        }
        for at in 1..firsts.len() {
            firsts[at] += firsts[at - 1];
        }
        Self { kind, words, firsts }
    }

    /// The length of the longest word that `text` has at byte `at`.
    fn length_at(&self, text: &[u8], at: usize) -> Option<usize> {
        let first = usize::from(text[at].to_ascii_lowercase());
        let candidates = &self.words[self.firsts[first] as usize..self.firsts[first + 1] as usize];
        candidates.iter().map(|word| word.as_bytes()).find_map(|word| {
            let end = at + word.len();
            let same = text.get(at..end)?.eq_ignore_ascii_case(word);
            let inside = |left: Option<&u8>, right: Option<&u8>| {
                left.is_some_and(u8::is_ascii_alphanumeric) && right.is_some_and(u8::is_ascii_alphanumeric)
            };
            let whole = !inside(text[..at].last(), word.first()) && !inside(word.last(), text.get(end));
            (same && whole).then_some(word.len())
        })
    }
}

impl Recognizer for WordList {
    fn find(&self, text: &str, found: &mut Vec<PiiSpan>) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match self.length_at(bytes, at) {
                Some(length) => {
                    found.push(PiiSpan::new(at, at + length, self.kind));
                    at += length;
                }
                None => at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str], text: &str) -> Vec<String> {
        let mut found = Vec::new();
        WordList::new(PiiType::Person, words.iter().copied()).find(text, &mut found);
        found
            .iter()
            .map(|span| text[span.start..span.end].to_owned())
            .collect()
    }

    #[test]
    fn words_are_found_where_they_stand_alone() {
        let words = ["Bob", "ゴリラ", "ゴリラ二号", ""];
        assert_eq!(found(&words, "BOB met Bobby, bob."), ["BOB", "bob"]);
        assert_eq!(found(&words, "新ゴリラ二号とゴリラ"), ["ゴリラ二号", "ゴリラ"]);
        assert_eq!(found(&words, "Bobゴリラ"), ["Bob", "ゴリラ"]);
        assert!(found(&[], "Bob").is_empty());
    }
}
