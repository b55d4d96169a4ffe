use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ops_core::audit::Recorded;
use ops_core::config::{Env, PersonalDataConfig, RetentionConfig};
use ops_core::error::Error;
use ops_core::model::{
    AuditOutcome, AuditRecord, DataRule, RetentionRule, TableName, TenantId, TenantLayout,
};
use ops_postgres::{PostgresStore, Progress, SchemaState};

use crate::cli::Global;
use crate::exit::Failure;
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

/// The application's database, and the session that looks at it or acts on it.
pub(super) struct TenantData {
    pub(super) session: Session,
    pub(super) store: PostgresStore,
}

impl TenantData {
    /// Without a database there is nothing to do. To act, our schema is brought up to date; to look it is left as it is, and what needs it asks for it
    /// ([`with_schema`](Self::with_schema)).
    pub(super) async fn open(global: &Global, printer: &Printer, purpose: Purpose) -> Result<Self, Failure> {
        let session = Session::open(global, printer, purpose).await?;
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
        match (purpose, store.schema_state().await?) {
            (Purpose::Act, _) => store.migrate().await?,
            (Purpose::Look, newer @ SchemaState::Newer(_)) => newer.check()?,
            (Purpose::Look, _) => {}
        }
        Ok(Self { session, store })
    }

    /// The same where our schema is the one that this program expects.
    pub(super) async fn with_schema(self) -> Result<Self, Failure> {
        self.store.check_schema().await?;
        Ok(self)
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
    pub(super) async fn record(&self, printer: &Printer, deed: &Deed<'_>, details: &[(&str, u64)]) -> bool {
        self.record_as(printer, deed, AuditOutcome::Succeeded, details)
            .await
    }

    /// The result; that of a change which failed after rows were changed is recorded first.
    pub(super) async fn or_half<T>(
        &self,
        printer: &Printer,
        deed: &Deed<'_>,
        tally: &Tally,
        done: Result<T, Error>,
    ) -> Result<T, Failure> {
        let rows = tally.rows();
        if done.is_err() && rows > 0 {
            self.record_as(printer, deed, AuditOutcome::Failed, &[("rows", rows)])
                .await;
        }
        Ok(done?)
    }

    /// Records how it ended; whether it is in the trail.
    pub(super) async fn record_as(
        &self,
        printer: &Printer,
        deed: &Deed<'_>,
        outcome: AuditOutcome,
        details: &[(&str, u64)],
    ) -> bool {
        let world = &self.session.world;
        let (actor, tenant) = (self.session.actor.clone(), deed.tenant.clone());
        let mut record = AuditRecord::new(world.now(), tenant, actor, deed.action, deed.kind, deed.id)
            .with_outcome(outcome);
        for (name, value) in details {
            record = record.with_detail(*name, value.to_string());
        }
        let recorded = matches!(world.ops.record(record).await, Recorded::Stored(_));
        if !recorded {
            printer.error(&printer.warn(&printer.pick(
                "⚠ 監査ログにまだ記録されていません",
                "⚠ not in the audit trail yet",
            )));
        }
        recorded
    }
}

/// What is recorded: whose, what, on which thing.
pub(super) struct Deed<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) action: &'a str,
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
}

impl<'a> Deed<'a> {
    pub(super) fn of_tenant(tenant: &'a TenantId, action: &'a str) -> Self {
        Self {
            tenant,
            action,
            kind: "tenant",
            id: tenant.as_str(),
        }
    }
}

/// Rows that a long change has committed so far, by table: of sweeps that are over, and of this one.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<TableName, (u64, u64)>>);

impl Tally {
    /// Counts, and says how far it has come.
    pub(super) fn tell(&self, printer: &Printer, progress: &Progress) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (over, now) = tables.entry(progress.table.clone()).or_default();
        if progress.rows < *now {
            *over += *now;
        }
        *now = progress.rows;
        drop(tables);
        tell(printer, progress);
    }

    fn rows(&self) -> u64 {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.values().map(|(over, now)| over + now).sum()
    }
}

/// Says how far a long change has come, once for each tenth of a table; on the error channel, so that the output stays clean.
fn tell(printer: &Printer, progress: &Progress) {
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
