use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_core::audit::Spool;
use ops_core::config::{ConfigFaults, DatabaseConfig, Env, OpsConfig};
use ops_core::error::Error;
use ops_core::file::{FileAudit, FileDrillLog};
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, DrillReport, TenantId};
use ops_core::ports::{AuditStore, DrillLog};
use ops_core::{Ops, Providers};

use crate::cli::Global;
use crate::exit::Failure;
use crate::print::Printer;
use crate::world::{DrillsTogether, shared_drills};

/// Where the reports of drills are kept, and the audit trail that has their digests.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) ops: Ops,
    pub(crate) directory: PathBuf,
    /// That of the configured database: all machines see it.
    shared: Option<Arc<dyn DrillLog>>,
}

impl Evidence {
    /// The directory that was named, else the one of the configuration; `None` if there is neither.
    ///
    /// A drill writes to nothing of production but its report: to the table for it in the configured database, if that is there. Its audit
    /// record waits in the spool.
    pub(crate) async fn open(
        global: &Global,
        printer: &Printer,
        named: Option<&Path>,
    ) -> Result<Option<Self>, Failure> {
        let config = match global.config.exists() {
            true => Some(configuration(&global.config)?),
            false => None,
        };
        let directory = match (named, &config) {
            (Some(named), _) => named.to_owned(),
            (None, Some(config)) => config.state_dir.clone(),
            (None, None) => return Ok(None),
        };
        let elsewhere = named.is_none() && config.as_ref().is_some_and(|config| config.database.is_some());
        let audit: Arc<dyn AuditStore> = match elsewhere {
            true => {
                let audit = InMemoryAudit::new();
                audit.set_reachable(false);
                Arc::new(audit)
            }
            false => Arc::new(FileAudit::open(directory.join("audit"))?),
        };
        let shared = match (named, config.as_ref().and_then(|config| config.database.as_ref())) {
            (None, Some(database)) => share(database, printer).await,
            _ => None,
        };
        let tenant = match config {
            Some(config) => config.tenant,
            None => TenantId::new("drill")?,
        };
        let here: Arc<dyn DrillLog> = Arc::new(FileDrillLog::open(directory.join("drills"))?);
        let drills: Arc<dyn DrillLog> = match &shared {
            None => here,
            Some(shared) => Arc::new(DrillsTogether {
                here,
                shared: Arc::clone(shared),
            }),
        };
        let providers = Providers {
            audit,
            audit_spool: Some(Spool::open(directory.join("audit-spool"))?),
            drills,
            ..Providers::in_memory()
        };
        Ok(Some(Self {
            ops: Ops::new(providers, tenant),
            directory,
            shared,
        }))
    }

    /// Keeps a report; says so where its record waits.
    pub(crate) async fn keep(
        &self,
        printer: &Printer,
        report: &DrillReport,
        actor: &Actor,
    ) -> Result<(), Failure> {
        if let Err(reason) = self.ops.keep_drill(report, actor).await?.kept() {
            printer.error(&printer.warn(&printer.pick(
                &format!("⚠ 訓練の監査記録を残せません: {reason}"),
                &format!("⚠ the drill is not in the audit trail: {reason}"),
            )));
        }
        if let Some(shared) = &self.shared
            && let Err(error) = shared.append(report).await
        {
            not_shared(printer, &error);
        }
        Ok(())
    }
}

/// The reports of the configured database; without it a drill is kept on this machine only, and says so.
async fn share(database: &DatabaseConfig, printer: &Printer) -> Option<Arc<dyn DrillLog>> {
    let url = Env::process().secret(&database.url_env)?;
    match shared_drills(&url).await {
        Ok(shared) => Some(Arc::new(shared)),
        Err(error) => {
            not_shared(printer, &error);
            None
        }
    }
}

fn not_shared(printer: &Printer, error: &Error) {
    printer.error(&printer.warn(&printer.pick(
        &format!("⚠ 訓練の記録はこの端末にだけあります。データベースを使えません: {error}"),
        &format!("⚠ drills are kept on this machine only, not in the database: {error}"),
    )));
}

fn configuration(path: &Path) -> Result<OpsConfig, Failure> {
    OpsConfig::load(path).map_err(|error| match ConfigFaults::of(&error) {
        Some(faults) => Failure::Config {
            file: path.display().to_string(),
            faults: faults.clone(),
        },
        None => Failure::Failed(error),
    })
}
