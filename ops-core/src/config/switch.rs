use serde::Serialize;

use super::report::Report;
use super::rule::slug;
use super::section::Section;

/// A `[[switch]]`: a feature that can be switched off in every process at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SwitchConfig {
    /// Lower-case letters, digits and hyphens, a letter first, at most 63; unique. Required.
    pub name: String,
}

impl SwitchConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Self {
        Self {
            name: section.required("name", slug, report),
        }
    }
}

/// All switches share one 64-bit word, and one bit of it is kept free.
const MOST: usize = 63;

pub(super) fn report_too_many(sections: &[Section<'_>], report: &mut Report<'_>) {
    if let Some(first_too_many) = sections.get(MOST) {
        report.fault(
            first_too_many.at(),
            format!("switch[{}]", MOST + 1),
            format!("there are {} switches, {MOST} is the most", sections.len()),
            "remove switches that nothing asks about",
        );
    }
}
