use ops_core::error::{ErrorKind, Result};
use sqlx::AssertSqlSafe;

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::identifier::quoted;

/// Who may do what with the audit trail.
impl PostgresStore {
    /// Lets `role` append to and read the audit trail, and nothing else. It can neither change nor delete a record, but it can
    /// move the row that names a tenant's newest one; verifying the chain shows that.
    ///
    /// So that its sessions stay writable while the database is read-only, an administrator also runs
    /// `ALTER ROLE … IN DATABASE … SET default_transaction_read_only = off` once; the guard does so itself where it may.
    ///
    /// # Errors
    /// `PermissionDenied` unless the connected role owns the schema.
    pub async fn grant_audit_writer(&self, role: &str) -> Result<()> {
        // Granting again is harmless but writes the catalogue, which parallel processes must not fight over in an emergency.
        if self.writes_audit_trail(role).await? {
            return Ok(());
        }
        let role = quoted(role);
        let statements = format!(
            "grant usage on schema ops to {role};
             grant select on ops.schema_migration to {role};
             grant select, insert on ops.audit_log to {role};
             grant select, insert, update on ops.audit_head to {role};
             grant select, insert on ops.audit_salt to {role};
             grant select on ops.audit_kept, ops.audit_pruned to {role};
             grant execute on function ops.audit_make_month(date) to {role};"
        );
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(self.pool())
            .await
            .map_err(failed("grant the audit trail"))?;
        Ok(())
    }

    /// Whether `role` has the rights that [`grant_audit_writer`](Self::grant_audit_writer) gives. Reads, and changes nothing.
    ///
    /// # Errors
    /// `InvalidConfig` where the schema is missing or older; `Unavailable`, `Timeout`.
    pub async fn writes_audit_trail(&self, role: &str) -> Result<bool> {
        sqlx::query_scalar(WRITES)
            .bind(role)
            .fetch_one(self.pool())
            .await
            .map_err(failed("grant the audit trail"))
    }

    /// The role that [`audit_writer`](Self::audit_writer) makes, if it is there, and whether it can write the trail and the connected role is a member of it. Reads, and
    /// changes nothing.
    ///
    /// # Errors
    /// `InvalidConfig` where the schema is missing or older; `Unavailable`, `Timeout`.
    pub async fn find_audit_writer(&self) -> Result<Option<(String, bool)>> {
        let Some(role) = self.audit_writer_made().await? else {
            return Ok(None);
        };
        let member = self.is_member(&role).await? == Some(true);
        let writes = member && self.writes_audit_trail(&role).await?;
        Ok(Some((role, writes)))
    }

    /// The name of the role that [`audit_writer`](Self::audit_writer) makes, if it is there; whatever the schema is. Reads, and changes nothing.
    ///
    /// # Errors
    /// `Unavailable`, `Timeout`.
    pub async fn audit_writer_made(&self) -> Result<Option<String>> {
        let role = format!("{}_audit_writer", self.database());
        let member = self.is_member(&role).await?;
        Ok(member.map(|_| role))
    }

    /// Whether the connected role is a member of `role`; `None`: there is no such role.
    async fn is_member(&self, role: &str) -> Result<Option<bool>> {
        sqlx::query_scalar("select pg_has_role(oid, 'MEMBER') from pg_roles where rolname = $1")
            .bind(role)
            .fetch_optional(self.pool())
            .await
            .map_err(failed(MAKE_ROLE))
    }

    /// Makes the role `{database}_audit_writer`, which cannot log in, lets it write the audit trail and nothing else, and makes the connected role a member of it: for
    /// [`PostgresAuditStore::assume`](crate::PostgresAuditStore::assume). Gives its name. Does nothing when it is there.
    ///
    /// # Errors
    /// `PermissionDenied` unless the connected role owns the schema and may create roles; `InvalidInput` when the database's name is not made of small letters, digits
    /// and `_`, or has more than 45 of them.
    pub async fn audit_writer(&self) -> Result<String> {
        let role = self.audit_role("writer").await?;
        self.grant_audit_writer(&role).await?;
        Ok(role)
    }

    /// The same for the role `{database}_audit_eraser`, which can also remove personal values from the audit trail
    /// ([`grant_audit_eraser`](Self::grant_audit_eraser)). The connected role stays a member.
    ///
    /// # Errors
    /// As [`audit_writer`](Self::audit_writer).
    pub async fn audit_eraser(&self) -> Result<String> {
        let role = self.audit_role("eraser").await?;
        self.grant_audit_eraser(&role).await?;
        Ok(role)
    }

    /// The role that does this with the audit trail, of which the connected one is a member.
    async fn audit_role(&self, does: &str) -> Result<String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.database().len() > 45 || !self.database().bytes().all(plain) {
            return Err(error(ErrorKind::InvalidInput, MAKE_ROLE)
                .context("database", "must be at most 45 small letters, digits and _")
                .context("remedy", "make the role by hand and connect as it"));
        }
        let role = format!("{}_audit_{does}", self.database());
        let known = self.is_member(&role).await?;
        let mut statements = String::new();
        if known.is_none() {
            statements += &format!("create role {} nologin;", quoted(&role));
        }
        if known != Some(true) {
            statements += &format!("grant {} to current_user;", quoted(&role));
        }
        if !statements.is_empty() {
            let made = sqlx::raw_sql(AssertSqlSafe(statements))
                .execute(self.pool())
                .await;
            made.map_err(|cause| {
                failed(MAKE_ROLE)(cause).context(
                    "remedy",
                    format!("let an administrator make the role {role} (nologin) and grant it to the connected role, or make one to log in as"),
                )
            })?;
        }
        Ok(role)
    }

    /// Lets `role` append to and read the audit trail, and remove personal values from it together with their salts
    /// ([`AuditEraser`](ops_core::ports::AuditEraser)). Give it to a role of its own, not to the writer.
    ///
    /// # Errors
    /// As [`grant_audit_writer`](Self::grant_audit_writer).
    pub async fn grant_audit_eraser(&self, role: &str) -> Result<()> {
        self.grant_functions(
            role,
            &[WITHHOLD, HOLDS, HOLD_STILL],
            "grant the eraser of the audit trail",
        )
        .await
    }

    /// The same for the role `{database}_audit_pruner`, which can also remove months from the audit trail ([`grant_audit_pruner`](Self::grant_audit_pruner)). The connected role stays a
    /// member.
    ///
    /// # Errors
    /// As [`audit_writer`](Self::audit_writer).
    pub async fn audit_pruner(&self) -> Result<String> {
        let role = self.audit_role("pruner").await?;
        self.grant_audit_pruner(&role).await?;
        Ok(role)
    }

    /// Lets `role` append to and read the audit trail, learn of every tenant which months it has records of, and remove records
    /// ([`AuditPruner`](ops_core::ports::AuditPruner)). Holds and evidence are checked by this program, not by the server: who can run statements as this role
    /// can remove any record and tell of it; a checkpoint and evidence kept elsewhere show that. Give it to a role of its own, not to the writer.
    ///
    /// # Errors
    /// As [`grant_audit_writer`](Self::grant_audit_writer).
    pub async fn grant_audit_pruner(&self, role: &str) -> Result<()> {
        self.grant_functions(
            role,
            &[MONTHS, KEEP, DROP, HOLDS],
            "grant the pruner of the audit trail",
        )
        .await
    }

    /// Lets a writer also call these.
    async fn grant_functions(&self, role: &str, functions: &[&str], operation: &'static str) -> Result<()> {
        self.grant_audit_writer(role).await?;
        let granted: bool = sqlx::query_scalar(
            "select bool_and(has_function_privilege($1, f, 'EXECUTE')) from unnest($2::text[]) as f",
        )
        .bind(role)
        .bind(functions)
        .fetch_one(self.pool())
        .await
        .map_err(failed(operation))?;
        if granted {
            return Ok(());
        }
        let statement = format!(
            "grant execute on function {} to {}",
            functions.join(", "),
            quoted(role)
        );
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(self.pool())
            .await
            .map_err(failed(operation))?;
        Ok(())
    }
}

const WRITES: &str = "select has_schema_privilege($1, 'ops', 'USAGE')
    and has_table_privilege($1, 'ops.schema_migration', 'SELECT')
    and has_table_privilege($1, 'ops.audit_log', 'SELECT') and has_table_privilege($1, 'ops.audit_log', 'INSERT')
    and has_table_privilege($1, 'ops.audit_head', 'SELECT') and has_table_privilege($1, 'ops.audit_head', 'INSERT')
    and has_table_privilege($1, 'ops.audit_head', 'UPDATE')
    and has_table_privilege($1, 'ops.audit_salt', 'SELECT') and has_table_privilege($1, 'ops.audit_salt', 'INSERT')
    and has_table_privilege($1, 'ops.audit_kept', 'SELECT') and has_table_privilege($1, 'ops.audit_pruned', 'SELECT')
    and has_function_privilege($1, 'ops.audit_make_month(date)', 'EXECUTE')";
const MAKE_ROLE: &str = "make audit role";
const WITHHOLD: &str = "ops.audit_withhold(text, bigint, bigint, text, text, text, text, text)";
const HOLDS: &str = "ops.audit_holds(text)";
const HOLD_STILL: &str = "ops.audit_hold_still()";
const MONTHS: &str = "ops.audit_months(bigint)";
const KEEP: &str = "ops.audit_keep(text, bigint, bigint, bigint[], bytea[])";
const DROP: &str = "ops.audit_drop(bigint, bigint)";
