use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DrillReport, RunId};
use crate::ports::DrillLog;

/// Reports of drills in memory. They do not survive the process: for tests.
#[derive(Debug, Default)]
pub struct InMemoryDrillLog {
    reports: Mutex<BTreeMap<RunId, DrillReport>>,
    plug: Plug,
}

impl InMemoryDrillLog {
    /// No drill yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }
}

#[async_trait]
impl DrillLog for InMemoryDrillLog {
    async fn append(&self, report: &DrillReport) -> Result<()> {
        self.plug.check("keep drill report")?;
        let mut reports = lock(&self.reports);
        match reports.get(&report.run) {
            Some(kept) if kept != report => Err(Error::new(ErrorKind::Conflict, "keep drill report")
                .provider("memory")
                .context("run", "has another report already")),
            Some(_) => Ok(()),
            None => {
                reports.insert(report.run.clone(), report.clone());
                Ok(())
            }
        }
    }

    async fn find(&self, run: &RunId) -> Result<Option<DrillReport>> {
        self.plug.check("read drill report")?;
        Ok(lock(&self.reports).get(run).cloned())
    }

    async fn newest(&self, procedure: &str) -> Result<Option<DrillReport>> {
        self.plug.check("read drill report")?;
        let reports = lock(&self.reports);
        Ok(reports
            .values()
            .rfind(|report| report.procedure == procedure)
            .cloned())
    }

    async fn list(&self) -> Result<Vec<DrillReport>> {
        self.plug.check("read drill reports")?;
        Ok(lock(&self.reports).values().cloned().collect())
    }
}
