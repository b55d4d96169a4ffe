//! The finders of the first version, as one recogniser.

use super::{email, name, phone};
use crate::model::PiiSpan;
use crate::ports::Recognizer;

#[derive(Debug)]
pub(super) struct FirstForms;

impl Recognizer for FirstForms {
    fn find(&self, text: &str, found: &mut Vec<PiiSpan>) {
        email::find(text, found);
        for find in [phone::find, name::find] {
            let mut of_kind = Vec::new();
            find(text, &mut of_kind);
            found.append(&mut of_kind);
        }
    }
}

/// `text` with what one finder finds masked.
#[cfg(test)]
pub(super) fn masked_by(find: fn(&str, &mut Vec<PiiSpan>), text: &str) -> String {
    let mut found = Vec::new();
    find(text, &mut found);
    let (mut masked, mut done) = (String::new(), 0);
    for span in found {
        masked.push_str(&text[done..span.start]);
        masked.push_str(&super::form::partial(span.kind, &text[span.start..span.end]));
        done = span.end;
    }
    masked + &text[done..]
}
