use std::sync::Arc;

use ops_core::config::{DatabaseConfig, Env};
use ops_core::error::{Error, ErrorKind};
use ops_core::model::Text;
use ops_core::ports::AuditStore;
use ops_postgres::{PostgresAuditStore, PostgresStore};
use secrecy::SecretString;

use super::purpose::Purpose;
use super::storage::within_budget;
use super::unreachable::Unreachable;

/// The audit trail in the database, and the role that writes it.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) store: Arc<dyn AuditStore>,
    /// Whose sessions go on writing while the database is read-only.
    pub(super) role: Option<String>,
    /// Whether it logs in by itself: its sessions are then among those of the server.
    pub(super) logs_in: bool,
    pub(super) warning: Option<Text>,
}

impl Trail {
    /// Through the login of its own where there is one, else through a role that the owner of the schema takes.
    pub(super) async fn open(
        owner: &PostgresStore,
        database: &DatabaseConfig,
        env: &Env,
        purpose: Purpose,
    ) -> Self {
        let own = database
            .audit_url_env
            .as_deref()
            .and_then(|name| env.secret(name));
        match own {
            Some(url) => Self::of_login(&url, owner, purpose).await,
            None => Self::of_owner(owner, purpose).await,
        }
    }

    /// The name of the role that writes the trail, where the schema does not let it be opened.
    pub(super) async fn role(owner: &PostgresStore, database: &DatabaseConfig, env: &Env) -> Option<String> {
        let own = database
            .audit_url_env
            .as_deref()
            .and_then(|name| env.secret(name));
        let name = async {
            match own {
                Some(url) => PostgresStore::connect(&url).await?.role().await.map(Some),
                None => owner.audit_writer_made().await,
            }
        };
        within_budget(name).await.ok().flatten()
    }

    async fn of_login(url: &SecretString, owner: &PostgresStore, purpose: Purpose) -> Self {
        let opened = within_budget(async {
            let store = PostgresStore::connect(url).await?;
            let role = store.role().await?;
            let granted = match purpose {
                Purpose::Act => owner.grant_audit_writer(&role).await,
                Purpose::Look => Ok(()),
            };
            Ok((PostgresAuditStore::open(&store).await?, role, granted))
        })
        .await;
        match opened {
            Ok((audit, role, granted)) => Self {
                store: Arc::new(audit),
                role: Some(role),
                logs_in: true,
                warning: granted.err().map(|error| {
                    Text::new(
                        format!("監査用の役割に権限を与えられません ({error})"),
                        format!("the audit role cannot be granted its rights ({error})"),
                    )
                }),
            },
            Err(error) => Self::unreachable(
                &error,
                Text::new(
                    format!("監査用の接続ができません ({error})。監査記録はスプールに残します"),
                    format!("the audit connection cannot be made ({error}): audit records wait in the spool"),
                ),
            ),
        }
    }

    async fn of_owner(owner: &PostgresStore, purpose: Purpose) -> Self {
        let found = within_budget(async {
            match purpose {
                Purpose::Act => owner.audit_writer().await.map(|role| Some((role, true))),
                Purpose::Look => owner.find_audit_writer().await,
            }
        })
        .await;
        match found {
            Ok(Some((role, true))) => match within_budget(PostgresAuditStore::assume(owner, &role)).await {
                Ok(audit) => Self {
                    store: Arc::new(audit),
                    role: Some(role),
                    logs_in: false,
                    warning: None,
                },
                Err(error) => Self::without_role(&error),
            },
            // It is there, and not for this login to take: its sessions are exempt all the same.
            Ok(found) => Self {
                role: found.map(|(role, _)| role),
                ..Self::as_it_is(owner).await
            },
            // One login, which may make no other: as good a trail as it allows.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Self::as_owner(owner, &error.to_string())
            }
            Err(error) => Self::without_role(&error),
        }
    }

    /// To look, without a role that could write: through the login itself. Where it may not write, what has been read is recorded in the spool.
    async fn as_it_is(login: &PostgresStore) -> Self {
        let writes = async { login.writes_audit_trail(&login.role().await?).await };
        match within_budget(writes).await {
            Ok(true) => Self::as_owner(login, "the role that writes it was not made yet"),
            Ok(false) => Self {
                warning: Some(Text::new(
                    "このログインは監査証跡に書けません。監査記録はスプールに残します",
                    "this login may not write the audit trail: audit records wait in the spool",
                )),
                ..Self::as_owner(login, "")
            },
            Err(error) => Self::without_role(&error),
        }
    }

    fn as_owner(owner: &PostgresStore, why: &str) -> Self {
        Self {
            store: Arc::new(PostgresAuditStore::unchecked(owner)),
            role: None,
            logs_in: false,
            warning: Some(Text::new(
                format!("監査証跡を、その表の所有者として書きます。所有者は証跡を書き換えられます ({why})"),
                format!("the audit trail is written as the owner of its tables, who could change it ({why})"),
            )),
        }
    }

    fn without_role(error: &Error) -> Self {
        Self::unreachable(
            error,
            Text::new(
                format!("監査用の役割がありません ({error})。監査記録はスプールに残します"),
                format!("there is no role for the audit trail ({error}): audit records wait in the spool"),
            ),
        )
    }

    fn unreachable(error: &Error, warning: Text) -> Self {
        Self {
            store: Arc::new(Unreachable::new(error.to_string())),
            role: None,
            logs_in: false,
            warning: Some(warning),
        }
    }
}
