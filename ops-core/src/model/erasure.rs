use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Disposal, TableName, TenantId, Timestamp};

/// What was, or would be, done with a person's rows in one table or partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErasureLine {
    /// The table or partition.
    pub table: TableName,
    /// What is done.
    #[serde(flatten)]
    pub disposal: Disposal,
    /// Rows that it was done to; in a plan 0.
    pub rows: u64,
    /// Rows that it is still to be done to; of [`Disposal::Keep`], the rows that are kept.
    pub left: u64,
}

impl ErasureLine {
    /// A line with nothing done yet.
    pub fn new(table: TableName, disposal: Disposal, left: u64) -> Self {
        Self {
            table,
            disposal,
            rows: 0,
            left,
        }
    }

    /// Whether nothing is left that was to go.
    pub fn is_done(&self) -> bool {
        self.left == 0 || matches!(self.disposal, Disposal::Keep { .. })
    }
}

/// A request to be forgotten: when it was made, when it was done, and what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErasureReport {
    /// The request's id; `None` in a plan.
    pub request: Option<Uuid>,
    /// The tenant.
    pub tenant: TenantId,
    /// The person's id.
    pub person: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it was done, another time; `None` while it is not.
    pub completed_at: Option<Timestamp>,
    /// Table by table.
    pub lines: Vec<ErasureLine>,
    /// What was forgotten outside the tables, and how many things.
    pub traces: Vec<(String, u64)>,
    /// Tables with a column of the name of a person's column that the data map does not mention.
    pub unmapped: Vec<TableName>,
}

impl ErasureReport {
    /// A report with nothing in it.
    pub fn new(tenant: TenantId, person: impl Into<String>, requested_at: Timestamp) -> Self {
        Self {
            request: None,
            tenant,
            person: person.into(),
            requested_at,
            completed_at: None,
            lines: Vec::new(),
            traces: Vec::new(),
            unmapped: Vec::new(),
        }
    }

    /// Whether nothing is left that was to go.
    pub fn is_done(&self) -> bool {
        self.lines.iter().all(ErasureLine::is_done)
    }
}
