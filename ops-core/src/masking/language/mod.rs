//! Values that only language gives away: names, postal addresses, departments, salaries, grades, conditions.

use crate::model::PiiSpan;

/// Appends what is found in `text`, in any order.
pub(super) fn find(_text: &str, _found: &mut Vec<PiiSpan>) {}
