use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::FieldRules;
use super::scan::{FieldInText, Interest, scan};
use super::text::Edits;
use crate::ports::PiiMasker;

/// What takes the place of a dropped value.
pub(super) const DROPPED: &str = "***";

/// A masker together with the rules for fields: what every stage asks, so that the stages agree.
#[derive(Clone, Debug)]
pub(super) struct Scrub {
    pub(super) masker: Arc<dyn PiiMasker>,
    pub(super) fields: FieldRules,
}

/// Why there is no masked text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withheld {
    /// The masker ended unexpectedly.
    Failed,
    /// The text was written from inside the masker.
    Nested,
    /// There is no text: a value ended its formatting with an error.
    #[cfg(feature = "log")]
    Unformatted,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "withheld: masking failed",
            Self::Nested => "withheld: written from inside the masker",
            #[cfg(feature = "log")]
            Self::Unformatted => "withheld: formatting failed",
        })
    }
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a masker.
pub(super) fn inside() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Runs what may ask a masker: once a thread at a time, and without its panics.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Withheld> {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            let _ = INSIDE.try_with(|inside| inside.set(false));
        }
    }
    if inside() {
        return Err(Withheld::Nested);
    }
    let _ = INSIDE.try_with(|inside| inside.set(true));
    let _leave = Leave;
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Withheld::Failed)
}

impl Scrub {
    pub(super) fn new(masker: Arc<dyn PiiMasker>, fields: FieldRules) -> Self {
        Self { masker, fields }
    }

    /// `text` with fields dropped and the rest masked; borrowed, and nothing allocated, if that changes nothing.
    pub(super) fn scrub<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, Withheld> {
        guarded(|| self.settled(text))
    }

    /// As [`scrub`](Self::scrub) for the value of a field: its name counts as a label.
    pub(super) fn scrub_value<'a>(&self, name: &str, value: &'a str) -> Result<Cow<'a, str>, Withheld> {
        if self.fields.drops(name) && !value.is_empty() {
            return Ok(if value == DROPPED {
                Cow::Borrowed(value)
            } else {
                Cow::Owned(DROPPED.to_owned())
            });
        }
        if self.fields.keeps(name) && is_one_word(value) {
            return Ok(Cow::Borrowed(value));
        }
        let label = format!("{name}: ");
        let labelled = format!("{label}{value}");
        let masked = match self.scrub(&labelled)? {
            Cow::Borrowed(_) => return Ok(Cow::Borrowed(value)),
            Cow::Owned(masked) => masked,
        };
        match masked.strip_prefix(&label) {
            Some(masked) => Ok(Cow::Owned(masked.to_owned())),
            // The name itself was masked.
            None => self.scrub(value),
        }
    }

    fn settled<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut settled = match self.once(text) {
            Cow::Borrowed(_) => return Cow::Borrowed(text),
            Cow::Owned(changed) => changed,
        };
        // What is dropped and what is masked may lay bare each other; the stage behind this one must find nothing new.
        for _ in 0..ROUNDS {
            match self.once(&settled) {
                Cow::Borrowed(_) => break,
                Cow::Owned(again) if again == settled => break,
                Cow::Owned(again) => settled = again,
            }
        }
        if settled == text {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(settled)
        }
    }

    fn once<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let dropped = self.without_dropped(text);
        let masked = match self.masker.mask(&dropped) {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        };
        let Some(masked) = masked else { return dropped };
        let kept = self.kept(&dropped);
        Cow::Owned(if kept.is_empty() {
            masked
        } else {
            self.around(&dropped, &kept)
        })
    }

    fn without_dropped<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut edits = Edits::default();
        scan(text, &self.fields, |interest, field| match interest {
            Interest::Dropped => drop_value(text, &field, &mut edits),
            Interest::Number => self.mask_number(text, field, &mut edits),
            Interest::Kept => {}
        });
        edits.apply(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// A number of JSON becomes a string if its digits, as text behind their name, would be masked.
    fn mask_number(&self, text: &str, field: FieldInText<'_>, edits: &mut Edits) {
        let number = &text[field.value.clone()];
        let digits = number.split(['.', 'e', 'E']).next().unwrap_or(number);
        let mut buffer = [0_u8; LONGEST_LABELLED];
        let Some(labelled) = join(&mut buffer, &[field.name, ": ", digits]) else {
            return;
        };
        if let Cow::Owned(masked) = self.masker.mask(labelled) {
            let masked = masked
                .strip_prefix(field.name)
                .and_then(|rest| rest.strip_prefix(": "))
                .unwrap_or(DROPPED);
            edits.replace(field.value, in_quotes(field.name_level, masked));
        }
    }

    fn kept(&self, text: &str) -> Vec<Range<usize>> {
        let mut kept = Vec::new();
        if self.fields.keeps_any() {
            scan(text, &self.fields, |interest, field| {
                if interest == Interest::Kept && is_one_word(&text[field.value.clone()]) {
                    kept.push(field.value);
                }
            });
        }
        kept
    }

    fn around(&self, text: &str, kept: &[Range<usize>]) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for range in kept {
            masked.push_str(&self.masker.mask(&text[done..range.start]));
            masked.push_str(&text[range.clone()]);
            done = range.end;
        }
        masked.push_str(&self.masker.mask(&text[done..]));
        masked
    }
}

fn drop_value(text: &str, field: &FieldInText<'_>, edits: &mut Edits) {
    let value = &text[field.value.clone()];
    if value == DROPPED || matches!(value, "null" | "None") {
        return;
    }
    let mask = match field.name_level {
        Some(_) if !field.in_quotes => in_quotes(field.name_level, DROPPED),
        _ => DROPPED.to_owned(),
    };
    edits.replace(field.value.clone(), mask);
}

fn in_quotes(level: Option<usize>, text: &str) -> String {
    let slashes = "\\".repeat(level.unwrap_or(0));
    format!("{slashes}\"{text}{slashes}\"")
}

/// Whether a value is a name that a program made, and no text.
fn is_one_word(value: &str) -> bool {
    value.len() <= LONGEST_KEPT
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn join<'b>(buffer: &'b mut [u8; LONGEST_LABELLED], parts: &[&str]) -> Option<&'b str> {
    let mut length = 0;
    for part in parts {
        buffer
            .get_mut(length..length + part.len())?
            .copy_from_slice(part.as_bytes());
        length += part.len();
    }
    std::str::from_utf8(&buffer[..length]).ok()
}

/// More than any text was seen to need.
const ROUNDS: usize = 4;

/// Longer values are texts.
const LONGEST_KEPT: usize = 128;

/// Name and digits of a number.
const LONGEST_LABELLED: usize = 160;
