use ops_core::model::TableName;

use super::SETTING;
use crate::identifier::{literal, quoted};

/// The name of the generated policies.
pub(crate) const POLICY: &str = "tenant_rows";

/// The statements that put `table` behind row security by tenant: `column` of SQL type `kind` must be the tenant of the
/// transaction, for reading and for writing, for the owner too. Run them in one transaction, on every partition as well: row
/// security of the parent does not hold for one that is read directly.
///
/// They may be run again. Each takes an `ACCESS EXCLUSIVE` lock for a moment: set a `lock_timeout`.
///
/// ```
/// let statements = ops_postgres::tenant_policies(&"tasks".parse()?, "organization_id", "text");
/// assert_eq!(statements[1], r#"alter table "public"."tasks" force row level security"#);
/// # Ok::<(), ops_core::error::Error>(())
/// ```
pub fn tenant_policies(table: &TableName, column: &str, kind: &str) -> Vec<String> {
    let (table, column) = (relation(table), quoted(column));
    let predicate = format!("{column} = {}", current(kind));
    vec![
        format!("alter table {table} enable row level security"),
        format!("alter table {table} force row level security"),
        format!("drop policy if exists {POLICY} on {table}"),
        format!("create policy {POLICY} on {table} using ({predicate}) with check ({predicate})"),
    ]
}

/// The tenant of the transaction, or null. In a sub-select, so that it is read once and not for each row; `nullif`, because the
/// setting is empty and not null after a transaction has ended.
fn current(kind: &str) -> String {
    let cast = match kind {
        "text" | "character varying" => String::new(),
        kind => format!("::{kind}"),
    };
    format!(
        "(select nullif(current_setting({}, true), ''){cast})",
        literal(SETTING)
    )
}

/// A table as it stands in a statement.
pub(crate) fn relation(table: &TableName) -> String {
    format!("{}.{}", quoted(table.schema()), quoted(table.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_other_types_are_cast() {
        let table = TableName::new("a\"b", "T").unwrap();
        let statements = tenant_policies(&table, "org", "uuid");
        assert_eq!(
            statements[0],
            r#"alter table "a""b"."T" enable row level security"#
        );
        assert!(
            statements[3].contains("(select nullif(current_setting('app.current_tenant', true), '')::uuid)"),
            "{}",
            statements[3]
        );
    }
}
