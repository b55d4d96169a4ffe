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
use self::scan::Scan;
use crate::model::PiiSpan;

/// Lays the dictionaries out, unless it is done.
pub(super) fn prepare() {
    lexicon::Lexicon::get();
}

/// Appends what is found in `text`, in any order.
pub(super) fn find(text: &str, found: &mut Vec<PiiSpan>) {
    Scan::new(text, found).run();
}
