use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{DrillReport, RunId};

/// Keeps the reports of drills as evidence.
///
/// # Contract
/// - On `Ok`, `append` survives a crash of the process and of the machine.
/// - A report is written once: the same report again changes nothing, another one of the same run is refused.
/// - `list` gives every report, oldest run first. `newest` gives the one of the newest run of a procedure, passed or not.
/// - Nothing is ever changed or deleted.
///
/// # Errors
/// `Conflict` for another report of a run that has one; `Unavailable`, `Timeout`; `Unexpected` for a report that is damaged: it is
/// never passed over, because evidence that is silently missing is none.
///
/// # Cancellation
/// Dropping `append` may leave the report written; repeating it is harmless.
#[async_trait]
pub trait DrillLog: Debug + Send + Sync + 'static {
    /// Keeps a report.
    async fn append(&self, report: &DrillReport) -> Result<()>;
    /// The report of one run; `None` if there is none.
    async fn find(&self, run: &RunId) -> Result<Option<DrillReport>>;
    /// The report of the newest run of `procedure`; `None` if it was never drilled.
    async fn newest(&self, procedure: &str) -> Result<Option<DrillReport>>;
    /// All reports, oldest first.
    async fn list(&self) -> Result<Vec<DrillReport>>;
}
