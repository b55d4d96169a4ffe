use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Engine;
use super::execute::Run;
use super::ledger::{Recorded, worse};
use super::procedure::Procedure;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AbortCause, GateReport, GateResult, PlannedGate, Verdict};
use crate::ports::{GateMoment, HealthProbe, JournalEvent};
use crate::resilience::Deadline;

/// What must be seen before a restore goes on: every check holds, without a break, for a time.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use ops_core::emergency::Gate;
/// use ops_core::memory::InMemoryHealth;
///
/// let health = Arc::new(InMemoryHealth::new());
/// let gate = Gate::after(0).with_check("chat-api", health).with_hold(Duration::from_secs(120));
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    /// The opening stage that it follows; `None`: it stands before the first.
    pub(super) after: Option<u32>,
    pub(super) checks: Vec<(String, Arc<dyn HealthProbe>)>,
    pub(super) hold: Duration,
    pub(super) every: Duration,
    pub(super) patience: Duration,
}

impl Gate {
    /// Follows this opening stage, and each share of it if it is opened in parts. Health must hold for 60 s; it looks every 5 s and gives up
    /// after 10 minutes.
    pub fn after(stage: u32) -> Self {
        Self {
            after: Some(stage),
            checks: Vec::new(),
            hold: Duration::from_secs(60),
            every: Duration::from_secs(5),
            patience: Duration::from_secs(600),
        }
    }

    /// Stands before anything is opened, with the times of [`after`](Self::after): a check of a staging environment.
    pub fn before_opening() -> Self {
        Self {
            after: None,
            ..Self::after(0)
        }
    }

    /// Adds a check under the name by which plan, journal and report call it. The same name at two gates must be the same probe.
    #[must_use]
    pub fn with_check(mut self, name: impl Into<String>, probe: Arc<dyn HealthProbe>) -> Self {
        self.checks.push((name.into(), probe));
        self
    }

    /// For how long all checks must hold without a break. Zero: one look is enough.
    #[must_use]
    pub fn with_hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// How often it looks; what fails and recovers in between is not seen.
    #[must_use]
    pub fn with_every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// When it gives up and the restore goes back to stopped.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn place(&self) -> String {
        self.after.map_or("before opening".to_owned(), |stage| {
            format!("after stage {stage}")
        })
    }

    fn check(&self, of: &Procedure) -> Result<()> {
        let wrong =
            |why: String| Err(Error::new(ErrorKind::InvalidConfig, "build procedure").context("gate", why));
        let place = self.place();
        let names: BTreeSet<_> = self.checks.iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return wrong(format!(
                "the gate {place} has no health check; no data is never health"
            ));
        }
        for (name, probe) in &self.checks {
            let mut others = of
                .gates
                .iter()
                .flat_map(|gate| gate.checks.iter().map(move |check| (gate, check)));
            // A run that is taken up finds its probes by their names.
            let another = others.find(|(_, (known, other))| known == name && !same(probe, other));
            if let Some((gate, _)) = another {
                return wrong(format!(
                    "the health check {name} {place} is another probe than the one {}; share one probe, or give each a name of its own",
                    gate.place()
                ));
            }
        }
        if names.len() != self.checks.len() {
            return wrong(format!("the gate {place} has two health checks of one name"));
        }
        if self.every.is_zero() || self.patience <= self.hold {
            return wrong(format!(
                "the gate {place} must look more often than never, and have more patience than its hold"
            ));
        }
        let opens = |stage: u32| of.steps.iter().any(|step| step.opening == stage);
        if self.after.is_some_and(|stage| !opens(stage)) {
            return wrong(format!("the gate {place} follows a stage in which nothing opens"));
        }
        if of.gates.iter().any(|gate| gate.after == self.after) {
            return wrong(format!("there are two gates {place}; give one both checks"));
        }
        Ok(())
    }
}

/// Whether the two are one, whatever they are seen as.
fn same(one: &Arc<dyn HealthProbe>, other: &Arc<dyn HealthProbe>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

impl Procedure {
    /// Adds a gate to the way back.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a gate without checks or with two of one name, for a name that is another probe at another gate, with no more patience than its hold, after a stage in which
    /// no step opens, or at the place of another one.
    pub fn with_gate(mut self, gate: Gate) -> Result<Self> {
        gate.check(&self)?;
        self.gates.push(gate);
        self.gates.sort_by_key(|gate| gate.after);
        Ok(self)
    }

    /// The probes of a planned gate; the name of the first that the procedure does not have.
    pub(super) fn probes(&self, gate: &PlannedGate) -> Result<Vec<Arc<dyn HealthProbe>>, String> {
        let find = |name: &String| {
            let mut checks = self.gates.iter().flat_map(|gate| &gate.checks);
            let found = checks.find(|(known, _)| known == name);
            found.map(|(_, probe)| Arc::clone(probe)).ok_or(name.clone())
        };
        gate.checks.iter().map(find).collect()
    }
}

/// One look at one check may take so long.
const ONE_LOOK: Duration = Duration::from_secs(5);

impl Engine {
    /// Waits until the gate passes, fails, or the restore must go back.
    pub(super) async fn pass(
        &self,
        run: &Run,
        gate: &PlannedGate,
        recorded: &mut Recorded,
    ) -> (GateReport, Option<AbortCause>) {
        let began = self.clock.monotonic();
        self.note_gate(run, gate, GateMoment::Waiting, recorded).await;
        let (result, cause) = tokio::select! {
            biased;
            cause = run.way.must_go_back() => (GateResult::Interrupted, Some(cause)),
            passed = self.see_health_hold(run, gate, recorded) => match passed {
                Ok(()) => (GateResult::Passed, None),
                Err(reason) => {
                    let cause = AbortCause::Gate { gate: gate.gate, reason: reason.clone() };
                    (GateResult::Failed { reason }, Some(cause))
                }
            },
        };
        match &result {
            GateResult::Passed => self.note_gate(run, gate, GateMoment::Passed, recorded).await,
            GateResult::Failed { reason } => {
                let reason = reason.clone();
                self.note_gate(run, gate, GateMoment::Failed { reason }, recorded)
                    .await;
            }
            _ => {}
        }
        let waited = self.clock.monotonic().saturating_sub(began);
        (report(gate, result, waited), cause)
    }

    /// The reason if patience runs out.
    async fn see_health_hold(
        &self,
        run: &Run,
        gate: &PlannedGate,
        recorded: &mut Recorded,
    ) -> Result<(), String> {
        let clock = &*self.clock;
        let probes = match run.procedure.probes(gate) {
            Ok(probes) => probes,
            Err(name) => return Err(format!("the procedure has no health check {name}")),
        };
        let deadline = Deadline::after(clock, gate.patience);
        let mut held_since: Option<Duration> = None;
        let mut before: Option<Verdict> = None;
        loop {
            let looked_at = clock.monotonic();
            let seen = self.look_at_health(run, gate, &probes).await;
            if before.as_ref().map(Verdict::name) != Some(seen.name()) {
                let moment = GateMoment::Saw { seen: seen.clone() };
                self.note_gate(run, gate, moment, recorded).await;
            }
            let mut pause = gate.every;
            if seen.holds() {
                // From the end of the first good look to the beginning of the last one.
                let since = *held_since.get_or_insert(clock.monotonic());
                let over = (since + gate.hold).saturating_sub(looked_at);
                if gate.hold.is_zero() || over.is_zero() {
                    return Ok(());
                }
                pause = pause.min((since + gate.hold).saturating_sub(clock.monotonic()));
            } else {
                held_since = None;
            }
            if deadline.remaining(clock) <= pause {
                let hold = gate.hold.as_secs_f64();
                return Err(match seen.reason() {
                    Some(reason) => reason.to_owned(),
                    None => format!("health holds, but not yet for {hold} s"),
                });
            }
            before = Some(seen);
            clock.sleep(pause).await;
        }
    }

    /// All checks at the same time; what is worst counts.
    async fn look_at_health(
        &self,
        run: &Run,
        gate: &PlannedGate,
        probes: &[Arc<dyn HealthProbe>],
    ) -> Verdict {
        let mut tasks = JoinSet::new();
        for (name, probe) in gate.checks.iter().zip(probes) {
            let (name, probe, clock) = (name.clone(), Arc::clone(probe), Arc::clone(&self.clock));
            tasks.spawn(async move {
                let look = Deadline::after(&*clock, ONE_LOOK)
                    .bound(&*clock, "check health", async { Ok(probe.check().await) })
                    .await;
                let verdict = look.unwrap_or_else(|error| Verdict::unknown(error.to_string()));
                (name, verdict)
            });
        }
        let mut worst: Vec<(u8, String, Verdict)> = Vec::new();
        let mut answered = 0;
        while let Some(ended) = tasks.join_next().await {
            let Ok((name, verdict)) = ended else { continue };
            answered += 1;
            let rank = match &verdict {
                Verdict::Holds => continue,
                Verdict::NotYet { .. } => 0,
                Verdict::Unknown { .. } => 1,
            };
            worst.push((rank, name, verdict));
        }
        worst.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        if let Some((_, name, verdict)) = worst.into_iter().next() {
            let reason = self.masked(format!("{name}: {}", verdict.reason().unwrap_or("")));
            return match verdict {
                Verdict::NotYet { .. } => Verdict::not_yet(reason),
                _ => Verdict::unknown(reason),
            };
        }
        if answered != probes.len() {
            return Verdict::unknown("a health check ended unexpectedly");
        }
        if run.way.blind.load(Ordering::Relaxed) {
            return Verdict::unknown("the journal cannot be read; a newer stop would not be seen");
        }
        Verdict::Holds
    }

    async fn note_gate(&self, run: &Run, gate: &PlannedGate, moment: GateMoment, recorded: &mut Recorded) {
        let gate = gate.gate;
        let noted = self.note(&run.id, JournalEvent::Gate { gate, moment }).await;
        *recorded = worse(*recorded, noted);
    }
}

pub(super) fn report(gate: &PlannedGate, result: GateResult, waited: Duration) -> GateReport {
    GateReport {
        gate: gate.gate,
        action: gate.action.clone(),
        result,
        waited,
    }
}
