//! Names of people: by honorific or title, by label, or by being known as surname and given name.

mod bare;
mod beside;
mod cell;
mod frames;
mod honorific;
mod katakana;
mod labelled;
mod latin;
mod narrow;
mod parse;
mod romaji;
mod words;

pub(super) use self::bare::bare;
pub(super) use self::frames::{FAMILIES, NOUNS, PLACES, SIDE_ENDS, TOWNS, touching};
pub(super) use self::honorific::{HONORIFIC_ENDS, HONORIFICS, before_honorific};
pub(super) use self::katakana::katakana;
pub(super) use self::labelled::{after_address, after_department, holder};
pub(super) use self::latin::{GREETINGS, ORGANISATIONS, PREPOSITIONS, TITLES, addressed, capitalised};
pub(super) use self::parse::ROLES;

use super::labels::{Link, Strength, Value};
use super::letters::{char_at, is_latin, is_narrow};
use super::scan::Scan;

/// Takes the name that a label announces; whether there was one.
pub(super) fn labelled(scan: &mut Scan<'_>, value: Value, strength: Strength) -> bool {
    let Some(first) = char_at(scan.text, value.start) else {
        return false;
    };
    let narrow = is_narrow(first);
    // 幹事は桑原です: of a role, and not of a place.
    let role = strength >= Strength::Fair
        && value.link == Link::Word
        && !scan.text[..value.start]
            .trim_end_matches(['は', 'が', '、'])
            .ends_with('先');
    if narrow && strength == Strength::Weak {
        return false;
    }
    let strength = if value.link == Link::Sign || narrow {
        strength
    } else {
        Strength::Weak
    };
    if is_latin(first) {
        latin::labelled(scan, value, strength)
    } else {
        labelled::labelled(scan, value, strength, role)
    }
}
