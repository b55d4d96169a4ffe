use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::{RefreshOptions, SwitchHealth};
use crate::durable::{blocking, damaged, read_whole, write_over};
use crate::error::Result;
use crate::guard::KillSwitch;
use crate::guard::kill_switch::Adoption;
use crate::ports::{
    ProcessId, ProcessRegistry, SwitchHint, SwitchHints, SwitchLink, SwitchProcess, SwitchState,
};
use crate::resilience::Deadline;

/// What the thread and its owner both see.
#[derive(Debug)]
pub(super) struct Shared {
    switch: Arc<KillSwitch>,
    options: RefreshOptions,
    process: SwitchProcess,
    began: Duration,
    seen: Mutex<Seen>,
    poll_now: Notify,
    applied: watch::Sender<u64>,
    to_keep: watch::Sender<Option<SwitchState>>,
}

#[derive(Debug, Default)]
struct Seen {
    contact: Option<Duration>,
    hints: Option<bool>,
    hint_fault: Option<String>,
    went_back: bool,
    fault: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct LastKnown {
    format: String,
    state: SwitchState,
}

const FORMAT: &str = "ops-last-known-switches/1";
/// A store that hangs is given up after this much.
const READ_BUDGET: Duration = Duration::from_secs(2);
const CONNECT_BUDGET: Duration = Duration::from_secs(5);
const GOODBYE_BUDGET: Duration = Duration::from_secs(1);
/// A sign of life goes out this often, and with every generation applied.
const HEARTBEAT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Shared {
    pub(super) fn new(switch: Arc<KillSwitch>, options: RefreshOptions) -> Self {
        let clock = &options.clock;
        Self {
            began: clock.monotonic(),
            process: SwitchProcess::new(
                ProcessId::generate(),
                &options.service,
                &options.instance,
                clock.now(),
            ),
            seen: Mutex::default(),
            poll_now: Notify::new(),
            applied: watch::Sender::new(0),
            to_keep: watch::Sender::new(None),
            switch,
            options,
        }
    }

    pub(super) fn begin_with_last_known(&self) {
        let Some(path) = &self.options.last_known else {
            return;
        };
        match read_last_known(path) {
            Ok(Some(state)) => self
                .switch
                .change(|layers, bit_of, _| layers.adopt_last_known(&state, bit_of)),
            Ok(None) => {}
            Err(error) => self.seen().fault = Some(error.to_string()),
        }
    }

    pub(super) fn health(&self) -> SwitchHealth {
        let age = self.age();
        let (generation, source, stops_in) = self.switch.staleness(age);
        let seen = self.seen();
        SwitchHealth {
            since_contact: seen.contact.map(|_| age),
            generation,
            source,
            hints: seen.hints,
            hint_fault: seen.hint_fault.clone(),
            stops_in,
            went_back: seen.went_back,
            fault: seen.fault.clone(),
        }
    }

    /// How long there has been no contact; from the start, if there was none yet.
    fn age(&self) -> Duration {
        let since = self.seen().contact.unwrap_or(self.began);
        self.options.clock.monotonic().saturating_sub(since)
    }

    fn adopt(&self, state: SwitchState) {
        let adoption = self
            .switch
            .change(|layers, bit_of, word| layers.adopt_shared(&state, bit_of, word));
        let mut seen = self.seen();
        seen.contact = Some(self.options.clock.monotonic());
        seen.went_back = adoption == Adoption::Older;
        seen.fault = None;
        drop(seen);
        if adoption == Adoption::Older {
            return;
        }
        let generation = state.generation;
        self.applied
            .send_if_modified(|applied| std::mem::replace(applied, generation) != generation);
        if self.options.last_known.is_some() {
            self.to_keep
                .send_if_modified(|kept| kept.replace(state.clone()).as_ref() != Some(&state));
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of the thread.
pub(super) struct Worker<F> {
    shared: Arc<Shared>,
    connect: Arc<F>,
    stopping: watch::Receiver<bool>,
}

impl<F> Clone for Worker<F> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            connect: Arc::clone(&self.connect),
            stopping: self.stopping.clone(),
        }
    }
}

impl<F, W> Worker<F>
where
    F: Fn() -> W + Send + Sync + 'static,
    W: Future<Output = Result<SwitchLink>> + Send + 'static,
{
    pub(super) fn new(shared: Arc<Shared>, connect: Arc<F>, stopping: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            connect,
            stopping,
        }
    }

    /// Until it is told to end. A store that panics takes down one attempt.
    pub(super) async fn run(mut self) {
        loop {
            let attempt = tokio::spawn(self.clone().keep_up());
            match attempt.await {
                Ok(()) => return,
                Err(_) => {
                    self.shared.seen().fault = Some("the store panicked".to_owned());
                    tracing::error!("the switch store panicked; it is connected anew");
                }
            }
            tokio::select! {
                _ = self.stopping.wait_for(|stop| *stop) => return,
                () = self.shared.options.clock.sleep(self.shared.options.poll) => {}
            }
        }
    }

    async fn keep_up(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut stopping = self.stopping.clone();
        let mut beside = JoinSet::new();
        if let Some(path) = shared.options.last_known.clone() {
            // Subscribed before the first poll, so that its state is not missed.
            beside.spawn(keep(shared.to_keep.subscribe(), path));
        }
        let mut link = None;
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => {}
            () = self.poll_for_ever(&mut link, &mut beside) => {}
        }
        if let Some(processes) = link.and_then(|link| link.processes) {
            let clock = &*shared.options.clock;
            let goodbye = processes.remove(&shared.process.id);
            // If it fails, the row expires.
            beside.abort_all();
            let _ = Deadline::after(clock, GOODBYE_BUDGET)
                .bound(clock, "remove process", goodbye)
                .await;
        }
    }

    async fn poll_for_ever(&mut self, link: &mut Option<SwitchLink>, beside: &mut JoinSet<()>) {
        let shared = Arc::clone(&self.shared);
        let clock = &*shared.options.clock;
        let mut failures = 0;
        loop {
            let polled = self.poll(link, beside).await;
            shared.judge_staleness();
            let pause = match polled {
                Ok(()) => {
                    failures = 0;
                    shared.options.poll.mul_f64(1.0 - 0.1 * chance())
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, "the switch store cannot be read; what is in force stays in force");
                    }
                    shared.seen().fault = Some(error.to_string());
                    failures = (failures + 1).min(10);
                    let longest = FIRST_PAUSE.saturating_mul(1 << failures).min(shared.options.poll);
                    longest.mul_f64(0.5 + 0.5 * chance())
                }
            };
            tokio::select! {
                () = shared.poll_now.notified() => {}
                () = clock.sleep(pause) => {}
            }
        }
    }

    async fn poll(&mut self, link: &mut Option<SwitchLink>, beside: &mut JoinSet<()>) -> Result<()> {
        let shared = &self.shared;
        let clock = &*shared.options.clock;
        if let Some(file) = &shared.options.file {
            let read = Deadline::after(clock, READ_BUDGET).bound(clock, "read switch file", file.read());
            // Unreadable: it keeps what it said last.
            if let Ok(state) = read.await {
                shared
                    .switch
                    .change(|layers, bit_of, _| layers.adopt_file(&state, bit_of));
            }
        }
        let link = match link {
            Some(link) => link,
            None => {
                let connect = (self.connect)();
                let made =
                    Deadline::after(clock, CONNECT_BUDGET).bound(clock, "connect switch store", connect);
                let made = made.await?;
                if let Some(hints) = &made.hints {
                    beside.spawn(listen(Arc::clone(shared), Arc::clone(hints)));
                }
                if let Some(processes) = &made.processes {
                    beside.spawn(report(Arc::clone(shared), Arc::clone(processes)));
                }
                link.insert(made)
            }
        };
        let read = Deadline::after(clock, READ_BUDGET).bound(clock, "read switches", link.store.read());
        shared.adopt(read.await?);
        Ok(())
    }
}

impl Shared {
    fn note(&self, hint: &Result<SwitchHint>) {
        let mut seen = self.seen();
        let before = seen.hints;
        (seen.hints, seen.hint_fault) = match hint {
            Ok(hint) => (Some(*hint != SwitchHint::Lost), None),
            // What was seen to be lost stays so until hints are seen to arrive.
            Err(error) => (before.filter(|arrive| !arrive), Some(error.to_string())),
        };
        if seen.hints == Some(false) && before != Some(false) {
            tracing::warn!(
                "hints of the switch store do not arrive (a transaction pooler?): a stop takes up to a poll interval"
            );
        }
    }

    fn judge_staleness(&self) {
        let age = self.age();
        self.switch.change(|layers, _, _| layers.judge_staleness(age));
    }
}

/// Turns hints into polls.
async fn listen(shared: Arc<Shared>, hints: Arc<dyn SwitchHints>) {
    loop {
        let hint = hints.next().await;
        shared.note(&hint);
        match hint {
            Ok(SwitchHint::Changed | SwitchHint::Arrive) => shared.poll_now.notify_one(),
            Ok(SwitchHint::Lost) => {}
            Err(_) => shared.options.clock.sleep(shared.options.poll).await,
        }
    }
}

/// Says what is in force here: with every generation, and as a sign of life.
async fn report(shared: Arc<Shared>, processes: Arc<dyn ProcessRegistry>) {
    let clock = &*shared.options.clock;
    let mut applied = shared.applied.subscribe();
    loop {
        let mut process = shared.process.clone();
        process.generation = *applied.borrow_and_update();
        process.calls = shared.switch.calls();
        process.hints = shared.seen().hints;
        let reported = Deadline::after(clock, READ_BUDGET)
            .bound(clock, "report process", processes.report(&process))
            .await;
        let pause = match reported {
            Ok(()) => HEARTBEAT,
            Err(_) => shared.options.poll,
        };
        tokio::select! {
            _ = applied.changed() => {}
            () = clock.sleep(pause) => {}
        }
    }
}

/// Keeps the newest state in the file, off the way from a poll to its effect.
async fn keep(mut states: watch::Receiver<Option<SwitchState>>, path: std::path::PathBuf) {
    while states.changed().await.is_ok() {
        let Some(state) = states.borrow_and_update().clone() else {
            continue;
        };
        let path = path.clone();
        let format = FORMAT.to_owned();
        let kept = blocking("keep switches", move || {
            let text = serde_json::to_string(&LastKnown { format, state }).unwrap_or_default();
            write_over(&path, &text)
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "what the switch store said last cannot be kept");
        }
    }
}

fn read_last_known(path: &Path) -> Result<Option<SwitchState>> {
    let Some(text) = read_whole(path)? else {
        return Ok(None);
    };
    match serde_json::from_str::<LastKnown>(&text) {
        Ok(file) if file.format == FORMAT => Ok(Some(file.state)),
        _ => Err(damaged(
            "read last known switches",
            path,
            1,
            format!("is not the format {FORMAT}"),
        )),
    }
}

/// From 0 to 1, so that processes that began together do not stay together.
fn chance() -> f64 {
    let random = RandomState::new().hash_one(0_u8) >> 40;
    f64::from(u32::try_from(random).unwrap_or(0)) / f64::from(1_u32 << 24)
}
