//! The procedures of the runbooks, one a file.

mod api_stop;
mod database_read_only;
mod follows;
mod llm_brain_stop;
mod permission_incident;
mod rollback;

pub use self::api_stop::api_stop;
pub use self::database_read_only::database_read_only;
pub use self::llm_brain_stop::{LlmBrain, llm_brain_stop};
pub use self::permission_incident::{PermissionIncident, ReportsDue, permission_incident};
pub use self::rollback::{Component, RollbackRule, rollback, rollback_order, rollback_phases};
