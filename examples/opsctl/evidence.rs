use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_core::audit::{Recorded, Spool};
use ops_core::config::{ConfigFaults, OpsConfig};
use ops_core::file::{FileAudit, FileDrillLog};
use ops_core::memory::InMemoryAudit;
use ops_core::model::{Actor, DrillReport, TenantId};
use ops_core::ports::AuditStore;
use ops_core::{Ops, Providers};

use crate::cli::Global;
use crate::exit::Failure;
use crate::print::Printer;

/// Where the reports of drills are kept, and the audit trail that has their digests.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) ops: Ops,
    pub(crate) directory: PathBuf,
}

impl Evidence {
    /// The directory that was named, else the one of the configuration; `None` if there is neither.
    ///
    /// A configured database is not connected to: a drill writes to nothing of production. Its audit record waits in the spool.
    pub(crate) fn open(global: &Global, named: Option<&Path>) -> Result<Option<Self>, Failure> {
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
        let tenant = match config {
            Some(config) => config.tenant,
            None => TenantId::new("drill")?,
        };
        let providers = Providers {
            audit,
            audit_spool: Some(Spool::open(directory.join("audit-spool"))?),
            drills: Arc::new(FileDrillLog::open(directory.join("drills"))?),
            ..Providers::in_memory()
        };
        Ok(Some(Self {
            ops: Ops::new(providers, tenant),
            directory,
        }))
    }

    /// Keeps a report; says so where its record waits.
    pub(crate) async fn keep(
        &self,
        printer: &Printer,
        report: &DrillReport,
        actor: &Actor,
    ) -> Result<(), Failure> {
        if let Recorded::Lost { reason } = self.ops.keep_drill(report, actor).await? {
            printer.error(&printer.warn(&printer.pick(
                &format!("⚠ 訓練の監査記録を残せません: {reason}"),
                &format!("⚠ the drill is not in the audit trail: {reason}"),
            )));
        }
        Ok(())
    }
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
