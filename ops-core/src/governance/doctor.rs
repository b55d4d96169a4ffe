use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::coverage::{self, Coverage, Ignored, Lists};
use super::diagnosis::Diagnosis;
use crate::error::{Error, ErrorKind, Result};
use crate::messages::{need_inventory, need_reachable};
use crate::model::{Check, TargetId, Text};
use crate::ports::{Clock, Deployed, Inventory, ReadinessProbe};
use crate::resilience::Deadline;

/// What the doctor is to look at.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use ops_core::clock::SystemClock;
/// use ops_core::governance::{Examination, doctor};
/// use ops_core::memory::{InMemoryInventory, InMemoryReadiness};
/// use ops_core::model::{CheckState, TargetId};
///
/// let api = TargetId::new("memory:api")?;
/// let inventory = InMemoryInventory::new("memory:");
/// inventory.deploy(api.clone(), "api");
/// inventory.deploy(TargetId::new("memory:forgotten")?, "forgotten");
///
/// let examination = Examination::new()
///     .with_probe("memory", Arc::new(InMemoryReadiness::new()), [api.clone()])
///     .with_inventory("memory", Arc::new(inventory))
///     .with_covered(api);
/// let diagnosis = doctor(&examination, Arc::new(SystemClock::new())).await;
/// assert_eq!(diagnosis.state(), CheckState::Missing);
/// assert_eq!(diagnosis.uncovered, [TargetId::new("memory:forgotten")?]);
/// # Ok::<(), ops_core::error::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "an examination does nothing until `doctor`"]
pub struct Examination {
    probes: Vec<(String, Arc<dyn ReadinessProbe>, Vec<TargetId>)>,
    inventories: Vec<(String, Arc<dyn Inventory>)>,
    listed: BTreeSet<TargetId>,
    covered: BTreeSet<TargetId>,
    ignored: Vec<Ignored>,
    checks: Vec<Check>,
}

impl Examination {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `probe`, called `name` where it does not answer, about `targets`.
    pub fn with_probe(
        mut self,
        name: impl Into<String>,
        probe: Arc<dyn ReadinessProbe>,
        targets: impl IntoIterator<Item = TargetId>,
    ) -> Self {
        self.probes
            .push((name.into(), probe, targets.into_iter().collect()));
        self
    }

    /// Compares what `inventory` lists with what is listed and covered.
    pub fn with_inventory(mut self, name: impl Into<String>, inventory: Arc<dyn Inventory>) -> Self {
        self.inventories.push((name.into(), inventory));
        self
    }

    /// A service that the configuration knows, and that no procedure stops.
    pub fn with_listed(mut self, target: TargetId) -> Self {
        self.listed.insert(target);
        self
    }

    /// A service that a procedure stops.
    pub fn with_covered(mut self, target: TargetId) -> Self {
        self.listed.insert(target.clone());
        self.covered.insert(target);
        self
    }

    /// A deployed service that is knowingly in no procedure.
    pub fn with_ignored(mut self, ignored: Ignored) -> Self {
        self.ignored.push(ignored);
        self
    }

    /// Checks that were made elsewhere: of the configuration, of the application.
    pub fn with_checks(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks.extend(checks);
        self
    }
}

/// Looks at everything at the same time, at most 20 s each, and acts on nothing.
///
/// # Cancellation
/// Dropping the future ends the looking.
pub async fn doctor(examination: &Examination, clock: Arc<dyn Clock>) -> Diagnosis {
    let at = clock.now();
    let mut checks = examination.checks.clone();
    let mut limitations: Vec<Text> = Vec::new();
    let mut looking = JoinSet::new();
    for (position, (name, probe, targets)) in examination.probes.iter().enumerate() {
        limitations.extend(probe.limitations());
        let (name, probe, targets) = (name.clone(), Arc::clone(probe), targets.clone());
        let clock = Arc::clone(&clock);
        looking.spawn(async move {
            let examined = Deadline::after(&*clock, BUDGET).bound(&*clock, "examine", async {
                Ok(probe_in_a_task(&probe, targets).await)
            });
            let checks = match examined.await {
                Ok(Some(checks)) => checks,
                Ok(None) => vec![need_reachable(&name).unknown("the probe ended unexpectedly")],
                Err(error) => vec![need_reachable(&name).failed(&error)],
            };
            (position, checks)
        });
    }
    let mut listing = JoinSet::new();
    for (position, (name, inventory)) in examination.inventories.iter().enumerate() {
        limitations.extend(inventory.limitations());
        let (name, inventory, clock) = (name.clone(), Arc::clone(inventory), Arc::clone(&clock));
        listing.spawn(async move {
            let deadline = Deadline::after(&*clock, BUDGET);
            let listed = deadline.bound(&*clock, "list services", list_in_a_task(&inventory));
            (position, name, listed.await)
        });
    }
    let mut examined = looking.join_all().await;
    examined.sort_by_key(|(position, _)| *position);
    checks.extend(examined.into_iter().flat_map(|(_, checks)| checks));

    let lists = Lists {
        listed: &examination.listed,
        covered: &examination.covered,
        ignored: &examination.ignored,
    };
    let (mut uncovered, mut gone) = (Vec::new(), Vec::new());
    let mut listed = listing.join_all().await;
    listed.sort_by_key(|(position, ..)| *position);
    for (_, name, deployed) in listed {
        match deployed {
            Ok(deployed) => {
                let Coverage {
                    checks: found,
                    uncovered: more,
                    gone: fewer,
                } = coverage::compare(&deployed, lists, at);
                checks.extend(found);
                uncovered.extend(more.into_iter().map(|service| service.target));
                gone.extend(fewer);
            }
            Err(error) => checks.push(need_inventory(&name).failed(&error)),
        }
    }
    // The worst first; otherwise in the order in which it was asked.
    checks.sort_by_key(|check| std::cmp::Reverse(check.state));
    let mut seen = Vec::new();
    limitations.retain(|text| !seen.contains(text) && (seen.push(text.clone()), true).1);
    Diagnosis {
        at,
        checks,
        uncovered,
        gone,
        limitations,
    }
}

/// A probe that panics takes down its own answer only.
async fn probe_in_a_task(probe: &Arc<dyn ReadinessProbe>, targets: Vec<TargetId>) -> Option<Vec<Check>> {
    let probe = Arc::clone(probe);
    let mut task = JoinSet::new();
    task.spawn(async move { probe.examine(&targets).await });
    task.join_next().await?.ok()
}

async fn list_in_a_task(inventory: &Arc<dyn Inventory>) -> Result<Deployed> {
    let inventory = Arc::clone(inventory);
    let mut task = JoinSet::new();
    task.spawn(async move { inventory.deployed().await });
    match task.join_next().await {
        Some(Ok(deployed)) => deployed,
        _ => Err(Error::new(ErrorKind::Unexpected, "list services")
            .context("cause", "the inventory ended unexpectedly")),
    }
}

/// How long one probe or inventory may take.
const BUDGET: Duration = Duration::from_secs(20);
