use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::messages::{
    need_clock, need_exempt_role, need_no_prepared_transactions, need_own_tables, need_ownership,
    need_reachable, need_readable_service, need_schema, need_separate_audit_role, need_session_control,
};
use ops_core::model::{Check, TargetId, Text, Timestamp};
use ops_core::ports::{Clock, ReadinessProbe};

use super::sessions::OpenWork;
use super::settings::Settings;
use super::{PostgresDatabaseGuard, catalog, statements};
use crate::PostgresStore;
use crate::error::failed;

/// Tells by reading whether a [`PostgresDatabaseGuard`] could make its database read-only and put it back, and whether journal, switches and
/// audit trail can be written. Every query runs in a read-only transaction.
#[derive(Clone, Debug)]
pub struct PostgresReadiness {
    guard: PostgresDatabaseGuard,
    audit: Option<PostgresStore>,
    clock: Arc<dyn Clock>,
}

impl PostgresReadiness {
    /// Examines what `guard` needs.
    pub fn new(guard: &PostgresDatabaseGuard, clock: Arc<dyn Clock>) -> Self {
        Self {
            guard: guard.clone(),
            audit: None,
            clock,
        }
    }

    /// Examines the audit writer's own connection too.
    #[must_use]
    pub fn with_audit(mut self, store: &PostgresStore) -> Self {
        self.audit = Some(store.clone());
        self
    }

    async fn look(&self) -> Result<Vec<Check>> {
        let store = &self.guard.store;
        let database = store.database();
        let exempt = &self.guard.exempt;
        let mut transaction = self
            .guard
            .begin("begin isolation level repeatable read read only", EXAMINE)
            .await?;
        let (micros, may_signal, may_alter_roles): (i64, bool, bool) = sqlx::query_as(SELF)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(EXAMINE))?;
        let settings = Settings::read(&mut transaction, exempt, &[], EXAMINE).await?;
        let access = catalog::access(&mut transaction, EXAMINE).await?;
        let roles = catalog::roles(&mut transaction, exempt, EXAMINE).await?;
        let open = OpenWork::read(&mut transaction, self.guard.left_alone(), EXAMINE).await?;
        let mut missing = statements::revocations(database, &access, &roles).missing;
        if !settings.controlled {
            missing.right("ownership of the database");
        }

        let theirs = Timestamp::from_unix_micros(micros);
        let mut checks = vec![
            need_reachable(database).ready(),
            need_clock(database).same_time(self.clock.now(), Some(theirs)),
            match missing.is_empty() {
                true => need_ownership(database).ready(),
                false => need_ownership(database).missing(missing.to_string()),
            },
            match (may_signal, open.out_of_reach) {
                (true, _) => need_session_control(database).ready(),
                (false, 0) => need_session_control(database).missing("not those of other roles"),
                (false, now) => {
                    need_session_control(database).missing(format!("{now} sessions are out of reach now"))
                }
            },
            match open.prepared {
                0 => need_no_prepared_transactions(database).ready(),
                left => need_no_prepared_transactions(database).missing(format!("{left} are left over")),
            },
        ];
        let not_exempted: Vec<_> = settings.not_exempted().collect();
        for role in exempt {
            let need = need_exempt_role(role);
            checks.push(match settings.roles.contains_key(role) {
                false => need.missing("there is no such role"),
                true if not_exempted.contains(&role.as_str()) && !may_alter_roles => {
                    need.missing("its sessions begin read-only, and the connected role may not change that")
                }
                true => need.ready(),
            });
        }
        Ok(checks)
    }

    async fn schema(&self) -> Vec<Check> {
        let store = &self.guard.store;
        let database = store.database();
        if let Err(error) = store.check_schema().await {
            return vec![need_schema(database).failed(&error)];
        }
        let may: Result<bool> = sqlx::query_scalar(OWN_TABLES)
            .fetch_one(store.pool())
            .await
            .map_err(failed(EXAMINE));
        vec![
            need_schema(database).ready(),
            match may {
                Ok(true) => need_own_tables(database).ready(),
                Ok(false) => need_own_tables(database).missing("some right on a table of ops is not granted"),
                Err(error) => need_own_tables(database).failed(&error),
            },
        ]
    }

    async fn audit(&self) -> Vec<Check> {
        let database = self.guard.store.database();
        let need = need_separate_audit_role(database);
        let Some(audit) = &self.audit else {
            return vec![
                need.missing(
                    "no audit_url_env is set: records wait in a file while the database is read-only",
                ),
            ];
        };
        let role = match (audit.role().await, self.guard.store.role().await) {
            (Ok(role), Ok(other)) if role == other => {
                return vec![need.missing(format!("both connections are {role}"))];
            }
            (Ok(role), Ok(_)) => role,
            (Err(error), _) | (_, Err(error)) => return vec![need.failed(&error)],
        };
        let mut checks = vec![need.ready()];
        let may: Result<bool> = sqlx::query_scalar(AUDIT_TABLES)
            .fetch_one(audit.pool())
            .await
            .map_err(failed(EXAMINE));
        let need = need_own_tables(&role);
        checks.push(match may {
            Ok(true) => need.ready(),
            Ok(false) => need.missing("it may not append to the audit trail yet; the next stop grants it"),
            Err(error) => need.failed(&error),
        });
        checks
    }
}

#[async_trait]
impl ReadinessProbe for PostgresReadiness {
    fn limitations(&self) -> Vec<Text> {
        vec![
            Text::new(
                "PostgreSQL: イベントトリガーによる拒否と、停止時に開いているトランザクションのロックは、実際に行うまでわかりません",
                "PostgreSQL: what an event trigger refuses, and the locks that transactions hold at the moment of a stop, show only then",
            ),
            Text::new(
                "PostgreSQL: 接続ロールに停止と復旧に不要な権限がないかどうかは調べません",
                "PostgreSQL: whether the role may do more than a stop and a restore need is not asked",
            ),
        ]
    }

    async fn examine(&self, targets: &[TargetId]) -> Vec<Check> {
        let database = self.guard.store.database();
        let mut checks = match self.look().await {
            Ok(checks) => checks,
            Err(error) => vec![need_reachable(database).failed(&error)],
        };
        checks.extend(self.schema().await);
        checks.extend(self.audit().await);
        for target in targets {
            let need = need_readable_service(target.as_str());
            checks.push(match self.guard.check_target(target, EXAMINE) {
                Ok(())
                    if checks
                        .iter()
                        .all(|check| check.name != "reachable" || check.remedy.is_none()) =>
                {
                    need.ready()
                }
                Ok(()) => need.unknown("the database does not answer"),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    need.missing(format!("the connection leads to {database}"))
                }
                Err(error) => need.failed(&error),
            });
        }
        checks
    }
}

const EXAMINE: &str = "examine";

/// The server's clock; whether the role may end the sessions of others, and change settings of other roles.
const SELF: &str = "
select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
       r.rolsuper or pg_has_role(current_user, 'pg_signal_backend', 'USAGE'),
       r.rolsuper or r.rolcreaterole
from pg_roles r where r.rolname = current_user";

const OWN_TABLES: &str = "
select bool_and(has_table_privilege(current_user, 'ops.' || name, right_)) from (values
    ('journal_entry', 'SELECT'), ('journal_entry', 'INSERT'),
    ('journal_hold', 'SELECT'), ('journal_hold', 'INSERT'), ('journal_hold', 'UPDATE'),
    ('switch_state', 'SELECT'), ('switch_state', 'INSERT'), ('switch_state', 'UPDATE'),
    ('read_only_marker', 'SELECT'), ('read_only_marker', 'INSERT'), ('read_only_marker', 'DELETE'),
    ('approval_request', 'SELECT'), ('approval_request', 'INSERT'), ('approval_request', 'UPDATE'),
    ('approval', 'SELECT'), ('approval', 'INSERT'), ('approval', 'UPDATE'),
    ('switch_process', 'SELECT'), ('switch_process', 'INSERT'), ('switch_process', 'UPDATE'),
    ('switch_process', 'DELETE'),
    ('drill', 'SELECT'), ('drill', 'INSERT'),
    ('acl_order', 'SELECT'), ('acl_order', 'INSERT'), ('acl_order', 'DELETE')
) needed(name, right_)";

const AUDIT_TABLES: &str = "
select has_schema_privilege(current_user, 'ops', 'USAGE')
   and has_table_privilege(current_user, 'ops.audit_log', 'SELECT')
   and has_table_privilege(current_user, 'ops.audit_log', 'INSERT')
   and has_table_privilege(current_user, 'ops.audit_head', 'SELECT')
   and has_table_privilege(current_user, 'ops.audit_head', 'INSERT')
   and has_table_privilege(current_user, 'ops.audit_head', 'UPDATE')";
