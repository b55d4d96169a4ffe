use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TableName;

/// What becomes of a person's rows in one table when the person asks to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
#[non_exhaustive]
pub enum Disposal {
    /// The rows go.
    Delete,
    /// The rows stay, these columns become null.
    Null {
        /// The columns.
        columns: Vec<String>,
    },
    /// The rows stay, these columns get a random value that nobody can trace back. It is the same in every table of one request.
    Pseudonym {
        /// The columns, of a text type; the person's own column may be among them.
        columns: Vec<String>,
    },
    /// The rows stay as they are.
    Keep {
        /// Why: it is told to the person.
        reason: String,
    },
}

/// One line of the data map: where a person's data is, and what becomes of it on request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataRule {
    /// The table.
    pub table: TableName,
    /// The column with the person's id.
    pub user_column: String,
    /// What is done.
    #[serde(flatten)]
    pub disposal: Disposal,
}

impl DataRule {
    /// A rule for the rows of `table` whose `user_column` is the person's id.
    pub fn new(table: TableName, user_column: impl Into<String>, disposal: Disposal) -> Self {
        Self {
            table,
            user_column: user_column.into(),
            disposal,
        }
    }
}

/// How long rows are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "until")]
#[non_exhaustive]
pub enum RetentionEnd {
    /// Until so much time has passed since the time in `column`.
    Age {
        /// A `timestamptz`, `timestamp` (taken as UTC) or `date` column.
        column: String,
        /// How long.
        keep: Duration,
    },
    /// Until the person has left: `left_column` of the person's row in `users` is not after now.
    Leaving {
        /// The column with the person's id.
        user_column: String,
        /// The table of persons, whose key is `id`.
        users: TableName,
        /// The column with the time of leaving.
        left_column: String,
    },
    /// Not at all, once the person has asked to be forgotten.
    Erased {
        /// The column with the person's id.
        user_column: String,
    },
}

/// One line of the table of retention periods. Rows that are past it are deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RetentionRule {
    /// What people call it.
    pub name: String,
    /// The table.
    pub table: TableName,
    /// How long its rows are kept.
    #[serde(flatten)]
    pub end: RetentionEnd,
    /// The column with the person's id, so that the rows of a held person are spared. Without it a hold of any person of the
    /// tenant spares every row of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_column: Option<String>,
}

impl RetentionRule {
    /// A rule; a hold of a person counts where the end names the person's column.
    pub fn new(name: impl Into<String>, table: TableName, end: RetentionEnd) -> Self {
        let person_column = match &end {
            RetentionEnd::Age { .. } => None,
            RetentionEnd::Leaving { user_column, .. } | RetentionEnd::Erased { user_column } => {
                Some(user_column.clone())
            }
        };
        Self {
            name: name.into(),
            table,
            end,
            person_column,
        }
    }

    /// Spares the rows of held persons, whose id is in `column`.
    #[must_use]
    pub fn with_person_column(mut self, column: impl Into<String>) -> Self {
        self.person_column = Some(column.into());
        self
    }
}
