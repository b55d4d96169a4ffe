use std::fmt::Debug;

use crate::model::PiiSpan;

/// Finds values of its own kind in text, beside the built-in ones: a customer number, a code name, a company's own list of people.
///
/// # Contract
/// - Appends to `found`, in any order; spans lie on character boundaries of `text` and are not empty.
/// - Pure and fast: no I/O, no lock held over a call, nothing allocated for text without a find.
/// - A value, and what it is found by, stands in one line; only a PEM block goes over lines.
/// - What it finds in a text it finds in the same place when other text is put in front of it or behind it, a line break between.
pub trait Recognizer: Debug + Send + Sync + 'static {
    /// Appends the places of `text` that this recogniser knows.
    fn find(&self, text: &str, found: &mut Vec<PiiSpan>);
}
