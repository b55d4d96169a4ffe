use std::sync::Arc;

use ops_core::config::{Env, OpsConfig};
use ops_core::file::FileAudit;
use ops_core::ports::EvidenceSource;
use ops_postgres::{PostgresAuditStore, PostgresStore};

use crate::exit::Failure;

/// Where evidence is exported from: the store of the audit trail, through connections of its own.
pub(crate) async fn evidence_source(
    config: &OpsConfig,
    env: &Env,
) -> Result<Arc<dyn EvidenceSource>, Failure> {
    let Some(database) = &config.database else {
        return Ok(Arc::new(FileAudit::open(config.state_dir.join("audit"))?));
    };
    let audit = database
        .audit_url_env
        .as_deref()
        .and_then(|name| env.secret(name));
    let Some(url) = audit.or_else(|| env.secret(&database.url_env)) else {
        return Err(Failure::usage(
            format!("the environment variable {} is not set", database.url_env),
            "the audit trail is in that database: set it to its URL",
        ));
    };
    let store = PostgresStore::connect(&url).await?;
    store.check_schema().await?;
    Ok(Arc::new(PostgresAuditStore::unchecked(&store)))
}
