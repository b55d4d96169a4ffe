use std::sync::Arc;

use crate::emergency::{Procedure, Step};
use crate::error::Result;
use crate::ports::Action;

/// Makes a database read-only.
///
/// # Errors
/// As [`Procedure::new`].
pub fn database_read_only(
    name: &str,
    database: Arc<dyn Action>,
    settings: impl Fn(Step) -> Step,
) -> Result<Procedure> {
    Procedure::new(name, vec![settings(Step::new(database))])
}
