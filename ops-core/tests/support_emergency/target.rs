use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{
    Accepted, Effect, IdempotencyKey, Observation, RunId, Share, Snapshot, TargetId, TargetState, Text,
    Verdict,
};
use ops_core::ports::{Action, Ramp};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Log;

/// What goes wrong with one call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// An error, no effect.
    Fail(ErrorKind),
    /// No answer, no effect.
    Hang,
    Panic,
    /// The effect and the answer, so much later.
    Slow(Duration),
    /// The effect, then an error as if the answer were lost.
    LostAnswer,
    /// The effect, then no answer.
    HangAfterEffect,
    /// Half of the effect, then no answer.
    HangHalfway,
    /// Accepted, and nothing ever happens.
    NeverEffective,
    /// The effect; at the same time another deployer puts a new revision there.
    DeployedMeanwhile,
}

/// Something that can be stopped. A stop writes `mode` and, as a side effect, takes `scaling` away; it leaves `ingress` alone.
#[derive(Debug)]
pub(crate) struct Target {
    id: TargetId,
    inner: Mutex<Inner>,
    log: Option<Log>,
    /// Counts effects, so that a test can wait for one.
    effects: watch::Sender<usize>,
}

#[derive(Debug)]
struct Inner {
    fields: BTreeMap<String, Value>,
    revision: u32,
    marker: Option<RunId>,
    leaves_marker: bool,
    settled: Verdict,
    latency: Duration,
    on_apply: VecDeque<Fault>,
    on_restore: VecDeque<Fault>,
    on_observe: VecDeque<Fault>,
    always: [Option<Fault>; 3],
    applied: Vec<IdempotencyKey>,
    restored: usize,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Apply = 0,
    Restore = 1,
    Observe = 2,
}

const STOPPED: &str = "stopped";
const STOPPING: &str = "stopping";
/// While it is partly open.
const ADMITTED: &str = "admitted";

impl Target {
    /// A target that serves in its own way.
    pub(crate) fn numbered(number: usize) -> Arc<Self> {
        let scaling = json!({"min": number, "max": 10 * number + 1, "share": 0.1 * number as f64});
        let fields = [
            ("mode", json!("automatic")),
            ("scaling", scaling),
            ("ingress", json!("all")),
        ];
        Self::serving(
            number,
            fields.map(|(name, value)| (name.to_owned(), value)).into(),
        )
    }

    /// A target that serves with these fields; `mode` must not be a stopped one.
    pub(crate) fn serving(number: usize, fields: BTreeMap<String, Value>) -> Arc<Self> {
        Self::build(number, fields, None)
    }

    pub(crate) fn logged(number: usize, log: &Log) -> Arc<Self> {
        let fields = Self::numbered(number).fields();
        Self::build(number, fields, Some(log.clone()))
    }

    fn build(number: usize, fields: BTreeMap<String, Value>, log: Option<Log>) -> Arc<Self> {
        let inner = Inner {
            fields,
            revision: 1,
            marker: None,
            leaves_marker: false,
            settled: Verdict::Holds,
            latency: Duration::from_millis(5),
            on_apply: VecDeque::new(),
            on_restore: VecDeque::new(),
            on_observe: VecDeque::new(),
            always: [None, None, None],
            applied: Vec::new(),
            restored: 0,
        };
        Arc::new(Self {
            id: TargetId::new(format!("test:t{number}")).unwrap(),
            inner: Mutex::new(inner),
            log,
            effects: watch::Sender::new(0),
        })
    }

    pub(crate) fn id(&self) -> &TargetId {
        &self.id
    }

    // -- scripting ------------------------------------------------------------------------------

    pub(crate) fn next_apply(&self, fault: Fault) {
        self.with(|inner| inner.on_apply.push_back(fault));
    }

    pub(crate) fn next_restore(&self, fault: Fault) {
        self.with(|inner| inner.on_restore.push_back(fault));
    }

    pub(crate) fn next_observe(&self, fault: Fault) {
        self.with(|inner| inner.on_observe.push_back(fault));
    }

    pub(crate) fn every_apply(&self, fault: impl Into<Option<Fault>>) {
        self.with(|inner| inner.always[Call::Apply as usize] = fault.into());
    }

    pub(crate) fn every_restore(&self, fault: impl Into<Option<Fault>>) {
        self.with(|inner| inner.always[Call::Restore as usize] = fault.into());
    }

    pub(crate) fn every_observe(&self, fault: impl Into<Option<Fault>>) {
        self.with(|inner| inner.always[Call::Observe as usize] = fault.into());
    }

    pub(crate) fn heal(&self) {
        self.with(|inner| {
            inner.on_apply.clear();
            inner.on_restore.clear();
            inner.on_observe.clear();
            inner.always = [None, None, None];
        });
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.with(|inner| inner.latency = latency);
    }

    pub(crate) fn leave_markers(&self) {
        self.with(|inner| inner.leaves_marker = true);
    }

    pub(crate) fn set_settled(&self, settled: Verdict) {
        self.with(|inner| inner.settled = settled);
    }

    /// Somebody else changes one field by hand.
    pub(crate) fn set(&self, field: &str, value: Value) {
        self.with(|inner| inner.fields.insert(field.to_owned(), value));
    }

    /// Somebody else deploys a new revision; what a stop has done stays.
    pub(crate) fn deploy(&self) {
        self.with(|inner| inner.revision += 1);
    }

    /// Another run has done half of a stop.
    pub(crate) fn half_stop(&self, by: Option<RunId>) {
        self.with(|inner| {
            inner.fields.insert("mode".to_owned(), STOPPING.into());
            inner.marker = by;
        });
    }

    pub(crate) fn set_marker(&self, by: Option<RunId>) {
        self.with(|inner| inner.marker = by);
    }

    // -- looking --------------------------------------------------------------------------------

    pub(crate) fn fields(&self) -> BTreeMap<String, Value> {
        self.with(|inner| inner.fields.clone())
    }

    pub(crate) fn state(&self) -> TargetState {
        self.observation().state()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state() == TargetState::Stopped
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.observation().snapshot().clone()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.snapshot().restorable_bytes()
    }

    /// The keys of all calls that stopped it, those without effect included.
    pub(crate) fn applied(&self) -> Vec<IdempotencyKey> {
        self.with(|inner| inner.applied.clone())
    }

    pub(crate) fn restored(&self) -> usize {
        self.with(|inner| inner.restored)
    }

    /// Ends when so many effects have happened.
    pub(crate) async fn effects(&self, count: usize) {
        let mut effects = self.effects.subscribe();
        effects.wait_for(|seen| *seen >= count).await.unwrap();
    }

    // -- acting ---------------------------------------------------------------------------------

    fn observation(&self) -> Observation {
        self.with(|inner| {
            let snapshot = Snapshot::new(self.id.clone(), "test/1");
            let fields = inner.fields.iter();
            let snapshot = fields.fold(snapshot, |snapshot, (name, value)| {
                snapshot.with_field(name, value.clone())
            });
            let state = match inner.fields.get("mode").and_then(Value::as_str) {
                Some(STOPPED) if inner.fields.contains_key(ADMITTED) => TargetState::PartlyStopped,
                Some(STOPPED) => TargetState::Stopped,
                Some(STOPPING) => TargetState::PartlyStopped,
                _ => TargetState::Serving,
            };
            Observation::new(snapshot.with_witness("revision", inner.revision), state)
                .with_marker(inner.marker.clone())
                .with_settled(inner.settled.clone())
        })
    }

    fn begin_stop(&self, run: &str) {
        self.with(|inner| {
            if inner.fields.get("mode") != Some(&json!(STOPPED)) {
                inner.fields.insert("mode".to_owned(), STOPPING.into());
            }
            if inner.leaves_marker && inner.marker.is_none() {
                inner.marker = RunId::new(run).ok();
            }
        });
        self.effect("begun");
    }

    fn finish_stop(&self) {
        self.with(|inner| {
            inner.fields.insert("mode".to_owned(), STOPPED.into());
            inner.fields.remove("scaling");
            inner.fields.remove(ADMITTED);
        });
        self.effect("stopped");
    }

    fn admit(&self, share: Share) {
        self.with(|inner| {
            inner
                .fields
                .insert(ADMITTED.to_owned(), share.as_basis_points().into());
        });
        self.effect("admitting");
    }

    /// The share that is let in, in hundredths of a percent.
    pub(crate) fn admitted(&self) -> Option<u64> {
        self.fields().get(ADMITTED)?.as_u64()
    }

    fn begin_restore(&self, prior: &Snapshot) {
        self.with(|inner| {
            let absent = |name: &String| prior.field(name).is_none();
            let gone: Vec<_> = inner.fields.keys().filter(|name| absent(name)).cloned().collect();
            gone.iter().for_each(|name| drop(inner.fields.remove(name)));
            let fields = prior.fields().iter().filter(|(name, _)| *name != "mode");
            inner
                .fields
                .extend(fields.map(|(name, value)| (name.clone(), value.clone())));
        });
        self.effect("reopening");
    }

    fn finish_restore(&self, prior: &Snapshot) {
        self.with(|inner| {
            inner.fields = prior.fields().clone();
            inner.marker = None;
            inner.restored += 1;
        });
        self.effect("reopened");
    }

    fn effect(&self, what: &str) {
        if let Some(log) = &self.log {
            log.add(format!("{what} {}", self.id));
        }
        self.effects.send_modify(|effects| *effects += 1);
    }

    fn strike(&self, call: Call) -> (Option<Fault>, Duration) {
        self.with(|inner| {
            let scripted = match call {
                Call::Apply => inner.on_apply.pop_front(),
                Call::Restore => inner.on_restore.pop_front(),
                Call::Observe => inner.on_observe.pop_front(),
            };
            (
                scripted.or_else(|| inner.always[call as usize].clone()),
                inner.latency,
            )
        })
    }

    async fn meet(&self, call: Call) -> Result<Option<Fault>> {
        let (fault, latency) = self.strike(call);
        tokio::time::sleep(latency).await;
        match fault {
            Some(Fault::Fail(kind)) => Err(Error::new(kind, "call").provider("test")),
            Some(Fault::Hang) => pending().await,
            Some(Fault::Slow(by)) => {
                tokio::time::sleep(by).await;
                Ok(None)
            }
            Some(Fault::Panic) => panic!("a provider's own fault, injected by the test"),
            other => Ok(other),
        }
    }

    async fn after(&self, fault: Option<Fault>) -> Result<Accepted> {
        match fault {
            Some(Fault::LostAnswer) => Err(Error::new(ErrorKind::Timeout, "call").provider("test")),
            Some(Fault::HangAfterEffect) => pending().await,
            Some(Fault::DeployedMeanwhile) => {
                self.deploy();
                Ok(Accepted::new())
            }
            _ => Ok(Accepted::new()),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap())
    }
}

/// The action of stopping a [`Target`].
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    target: Arc<Target>,
    splits: bool,
}

impl Stop {
    pub(crate) fn of(target: &Arc<Target>) -> Arc<dyn Action> {
        Arc::new(Self {
            target: Arc::clone(target),
            splits: false,
        })
    }

    /// One that can be opened in parts.
    pub(crate) fn in_parts(target: &Arc<Target>) -> Arc<dyn Action> {
        Arc::new(Self {
            target: Arc::clone(target),
            splits: true,
        })
    }
}

#[async_trait]
impl Action for Stop {
    fn target(&self) -> &TargetId {
        &self.target.id
    }

    fn effect(&self) -> Effect {
        Effect::Reversible
    }

    fn describe(&self) -> Text {
        Text::new(
            format!("{} を停止", self.target.id),
            format!("stop {}", self.target.id),
        )
    }

    fn describe_restore(&self) -> Text {
        Text::new(
            format!("{} を再開", self.target.id),
            format!("reopen {}", self.target.id),
        )
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn observe(&self) -> Result<Observation> {
        self.target.meet(Call::Observe).await?;
        Ok(self.target.observation())
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        self.target.with(|inner| inner.applied.push(key.clone()));
        let fault = self.target.meet(Call::Apply).await?;
        if matches!(fault, Some(Fault::NeverEffective)) {
            return Ok(Accepted::new());
        }
        self.target.begin_stop(key.run());
        if matches!(fault, Some(Fault::HangHalfway)) {
            return pending().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.target.finish_stop();
        self.target.after(fault).await
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        let fault = self.target.meet(Call::Restore).await?;
        if matches!(fault, Some(Fault::NeverEffective)) {
            return Ok(Accepted::new());
        }
        self.target.begin_restore(prior);
        if matches!(fault, Some(Fault::HangHalfway)) {
            return pending().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.target.finish_restore(prior);
        self.target.after(fault).await
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        self.splits.then_some(self as &dyn Ramp)
    }
}

#[async_trait]
impl Ramp for Stop {
    async fn open_partly(&self, _prior: &Snapshot, share: Share, _key: &IdempotencyKey) -> Result<Accepted> {
        let fault = self.target.meet(Call::Restore).await?;
        match fault {
            Some(Fault::NeverEffective) => return Ok(Accepted::new()),
            Some(Fault::HangHalfway) => return pending().await,
            _ => {}
        }
        self.target.admit(share);
        self.target.after(fault).await
    }

    fn verify_share(&self, observed: &Observation, share: Share) -> Verdict {
        match observed.snapshot().field(ADMITTED) {
            Some(admitted) if *admitted == json!(share.as_basis_points()) => observed.settled().clone(),
            _ => Verdict::not_yet("lets another share in"),
        }
    }
}
