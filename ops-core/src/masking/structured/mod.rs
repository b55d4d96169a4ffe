//! Values whose form gives them away: numbers, mail addresses, network addresses, keys.

use crate::model::PiiSpan;

/// Appends what is found in `text`, in any order.
pub(super) fn find(_text: &str, _found: &mut Vec<PiiSpan>) {}
