use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A table with its schema, as in `public.tasks`; without one it is in `public`. Names are taken literally, as if quoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    schema: String,
    name: String,
}

impl TableName {
    /// Accepts two names of 1 to 63 bytes without a point or a control character.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] otherwise.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Result<Self> {
        let (schema, name) = (schema.into(), name.into());
        for part in [&schema, &name] {
            let fits = (1..=63).contains(&part.len());
            if !fits || part.chars().any(|c| c.is_control() || c == '.') {
                return Err(Error::new(ErrorKind::InvalidInput, "read table name").context(
                    "table",
                    "must be schema.table or table, each 1 to 63 bytes without a point",
                ));
            }
        }
        Ok(Self { schema, name })
    }

    /// The schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The name without the schema.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('.') {
            Some((schema, name)) => Self::new(schema, name),
            None => Self::new("public", text),
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(table: TableName) -> Self {
        table.to_string()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_schema_is_public() {
        let table: TableName = "tasks".parse().unwrap();
        assert_eq!(table.to_string(), "public.tasks");
        for wrong in ["", ".", "a.", ".b", "a.b.c", "a\nb"] {
            assert!(wrong.parse::<TableName>().is_err(), "{wrong:?}");
        }
    }
}
