use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{Recorded, Recorder};
use ops_core::config::{Env, PersonalDataConfig, RetentionConfig};
use ops_core::model::{AuditRecord, DataRule, RetentionRule, TenantId, TenantLayout};
use ops_postgres::{PostgresStore, Progress};

use crate::cli::Global;
use crate::exit::Failure;
use crate::print::Printer;
use crate::session::Session;

/// The application's database with our schema in it, and the session that acts on it.
pub(super) struct TenantData {
    pub(super) session: Session,
    pub(super) store: PostgresStore,
}

impl TenantData {
    /// Without a database there is nothing to do.
    pub(super) async fn open(global: &Global, printer: &Printer) -> Result<Self, Failure> {
        let session = Session::open(global, printer).await?;
        let Some(database) = &session.world.config.database else {
            let remedy = "add a [database] table to the configuration";
            return Err(Failure::usage("there is no database to work on", remedy));
        };
        let Some(url) = Env::process().secret(&database.url_env) else {
            let what = format!("the environment variable {} is not set", database.url_env);
            return Err(Failure::usage(
                what,
                "set it to the URL of the application's database",
            ));
        };
        let store = PostgresStore::connect(&url).await?;
        store.migrate().await?;
        Ok(Self { session, store })
    }

    pub(super) fn layout(&self) -> TenantLayout {
        self.session.world.config.tenancy.layout()
    }

    pub(super) fn map(&self) -> Vec<DataRule> {
        let rules = &self.session.world.config.personal_data;
        rules.iter().filter_map(PersonalDataConfig::rule).collect()
    }

    pub(super) fn rules(&self) -> Vec<RetentionRule> {
        let rules = &self.session.world.config.retention;
        rules.iter().filter_map(RetentionConfig::rule).collect()
    }

    /// The tenant named on the command line, else that of the configuration.
    pub(super) fn tenant(&self, named: Option<&str>) -> Result<TenantId, Failure> {
        match named {
            Some(named) => Ok(TenantId::new(named)?),
            None => Ok(self.session.world.config.tenant.clone()),
        }
    }

    /// Records what was done; what cannot be recorded now is said and waits in the spool.
    pub(super) async fn record(
        &self,
        printer: &Printer,
        tenant: &TenantId,
        action: &str,
        kind: &str,
        id: &str,
        details: &[(&str, u64)],
    ) -> bool {
        let providers = self.session.world.ops.providers();
        let mut recorder = Recorder::new(
            Arc::clone(&providers.audit),
            Arc::clone(&providers.masker),
            Arc::clone(&providers.clock),
        )
        .with_deadline(Duration::from_secs(3));
        if let Some(spool) = &providers.audit_spool {
            recorder = recorder.with_spool(spool.clone());
        }
        let actor = self.session.actor.clone();
        let mut record = AuditRecord::new(self.session.world.now(), tenant.clone(), actor, action, kind, id);
        for (name, value) in details {
            record = record.with_detail(*name, value.to_string());
        }
        let recorded = matches!(recorder.record(record).await, Recorded::Stored(_));
        if !recorded {
            printer.error(&printer.warn(&printer.pick(
                "⚠ 監査ログにまだ記録されていません",
                "⚠ not in the audit trail yet",
            )));
        }
        recorded
    }
}

/// Says how far a long change has come, once for each tenth of a table; on the error channel, so that the output stays clean.
pub(super) fn tell(printer: &Printer, progress: &Progress) {
    let tenth = progress.of / 10;
    if printer.json() || tenth == 0 {
        return;
    }
    if progress.done % tenth < 128 || progress.done == progress.of {
        printer.error(&format!(
            "  {} {}% · {}",
            progress.table,
            progress.done * 100 / progress.of,
            progress.rows
        ));
    }
}
