//! Values that only language gives away: names, postal addresses, departments, salaries, grades, conditions.
//!
//! One pass marks the places that are worth a closer look ([`blocks`]); from each, bounded looks to both sides with dictionaries
//! ([`lexicon`]) and labels ([`labels`]) decide. No rule looks over the end of a line.

mod address;
mod blocks;
mod confidential;
mod department;
mod escapes;
mod labels;
mod letters;
mod lexicon;
mod person;
mod row;
mod scan;
mod secret;

pub(super) use self::blocks::{Stretch, portable};
#[cfg(target_arch = "x86_64")]
pub(super) use self::blocks::{wide, widest};
use self::lexicon::{Entry, Lexicon};
use self::scan::Scan;
use super::vector::Windows;
use crate::model::PiiSpan;

/// Lays the dictionaries out, unless it is done.
pub(super) fn prepare() {
    Lexicon::get();
}

/// Whether a family of Japan has this name.
pub(super) fn is_surname(name: &str) -> bool {
    let chars: Vec<char> = name.chars().take(SURNAME + 1).collect();
    let entry = Lexicon::get().word(&chars);
    chars.len() <= SURNAME && (entry.is(Entry::SURNAME) || entry.is(Entry::RARE_SURNAME))
}

/// More characters than any surname has in the dictionaries.
const SURNAME: usize = 8;

/// Appends what is found in `text`, whose windows these are, in any order.
pub(super) fn find(text: &str, windows: Windows<'_>, found: &mut Vec<PiiSpan>) {
    Scan::new(text, found).run(windows);
}
