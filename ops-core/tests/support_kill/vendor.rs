use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::emergency::{Engine, Gate, Procedure, Step};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{
    Accepted, Effect, IdempotencyKey, Observation, RunId, Share, Snapshot, TargetId, TargetState, Text,
    Verdict,
};
use ops_core::ports::{Action, HealthProbe, Ramp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support_emergency::alice;

pub(crate) const TARGETS: usize = 3;

/// Fail points of the vendor itself: half of an effect has happened.
pub(crate) const VENDOR_POINTS: &[&str] = &["vendor.stop.half", "vendor.restore.half", "vendor.part.half"];

/// How a restore opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Opens {
    AtOnce,
    /// With a gate after the first stage, at which one look is enough.
    Gated,
    /// The same, and the target of the first stage for a tenth and for half of the users before all: the gate stands after each.
    Ramped,
}

/// A vendor whose targets are files: they outlive every process that acts on them.
#[derive(Clone, Debug)]
pub(crate) struct Vendor {
    folder: PathBuf,
    /// Stops everything once, as another operator would, when a target is first seen to serve.
    pub(crate) rival: Option<Engine>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Target {
    fields: BTreeMap<String, Value>,
    marker: Option<RunId>,
}

impl Vendor {
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.join("vendor");
        Self { folder, rival: None }
    }

    /// Sets up the targets, each in its own way.
    pub(crate) fn set_up(&self) {
        fs::create_dir_all(&self.folder).unwrap();
        for number in 0..TARGETS {
            let scaling = json!({"min": number, "max": 10 * number + 1, "share": 0.1 * number as f64});
            let fields = [
                ("mode", json!("automatic")),
                ("scaling", scaling),
                ("ingress", json!("all")),
            ];
            let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
            self.write(number, &Target { fields, marker: None });
        }
    }

    /// Every target, byte for byte.
    pub(crate) fn bytes(&self) -> Vec<String> {
        let read = |number| fs::read_to_string(self.file(number)).unwrap();
        (0..TARGETS).map(read).collect()
    }

    pub(crate) fn all_stopped(&self) -> bool {
        (0..TARGETS).all(|number| self.read(number).fields["mode"] == "stopped")
    }

    /// Two stages each way.
    pub(crate) fn procedure(&self, opens: Opens, timeout: Duration) -> Procedure {
        let stage = |number: usize| u32::from(number == 2);
        let step = |number| {
            let vendor = self.clone();
            let id = TargetId::new(format!("test:t{number}")).unwrap();
            let step = Step::new(Arc::new(Stop { vendor, number, id })).with_timeout(timeout);
            let step = match opens {
                Opens::Ramped if number == 2 => {
                    step.with_ramp(SHARES.map(|part| Share::basis_points(part).unwrap()))
                }
                _ => step,
            };
            step.closing(stage(number)).opening(1 - stage(number))
        };
        let procedure = Procedure::new("stop-all", (0..TARGETS).map(step).collect()).unwrap();
        if opens == Opens::AtOnce {
            return procedure;
        }
        let gate = Gate::after(0)
            .with_check("vendor", Arc::new(self.clone()))
            .with_hold(Duration::ZERO)
            .with_every(Duration::from_millis(20))
            .with_patience(Duration::from_millis(150));
        procedure.with_gate(gate).unwrap()
    }

    fn file(&self, number: usize) -> PathBuf {
        self.folder.join(format!("t{number}.json"))
    }

    fn read(&self, number: usize) -> Target {
        serde_json::from_slice(&fs::read(self.file(number)).unwrap()).unwrap()
    }

    fn write(&self, number: usize, target: &Target) {
        let made = self.file(number).with_extension("new");
        fs::write(&made, serde_json::to_string(target).unwrap()).unwrap();
        fs::rename(made, self.file(number)).unwrap();
    }

    /// The other operator comes once for each flag that a test has put there.
    async fn let_the_rival_act(&self) {
        if let Some(engine) = &self.rival
            && fs::remove_file(self.folder.join("rival")).is_ok()
        {
            let mut quiet = self.clone();
            quiet.rival = None;
            let procedure = quiet.procedure(Opens::AtOnce, Duration::from_secs(2));
            let plan = engine.plan_stop(&procedure).await;
            let now = ops_core::ports::Clock::now(&ops_core::clock::SystemClock::new());
            let plan = plan.approve(&[], &Default::default(), alice(), now).unwrap();
            let _ = engine.execute(plan).await.unwrap();
        }
    }

    /// From now on, what opens is not well; until it is well again.
    pub(crate) fn fall_sick(&self) {
        fs::write(self.folder.join("sick"), "").unwrap();
    }

    pub(crate) fn get_well(&self) {
        let _ = fs::remove_file(self.folder.join("sick"));
    }

    pub(crate) fn invite_the_rival(&self) {
        fs::write(self.folder.join("rival"), "").unwrap();
    }
}

#[async_trait]
impl HealthProbe for Vendor {
    async fn check(&self) -> Verdict {
        match self.folder.join("sick").exists() {
            true => Verdict::not_yet("overloaded"),
            false => Verdict::Holds,
        }
    }
}

#[derive(Debug)]
struct Stop {
    vendor: Vendor,
    number: usize,
    id: TargetId,
}

fn half(point: &'static str) {
    fail::fail_point!(point, |_| std::process::abort());
}

#[async_trait]
impl Action for Stop {
    fn target(&self) -> &TargetId {
        &self.id
    }

    fn effect(&self) -> Effect {
        Effect::Reversible
    }

    fn describe(&self) -> Text {
        Text::new(format!("{} を停止", self.id), format!("stop {}", self.id))
    }

    fn describe_restore(&self) -> Text {
        Text::new(format!("{} を再開", self.id), format!("reopen {}", self.id))
    }

    fn limitations(&self) -> Vec<Text> {
        Vec::new()
    }

    async fn observe(&self) -> Result<Observation> {
        let target = self.vendor.read(self.number);
        let snapshot = Snapshot::new(self.id.clone(), "test/1");
        let fields = target.fields.iter();
        let snapshot = fields.fold(snapshot, |snapshot, (name, value)| {
            snapshot.with_field(name, value.clone())
        });
        let state = match target.fields["mode"].as_str() {
            Some("stopped") => TargetState::Stopped,
            Some("stopping" | "part") => TargetState::PartlyStopped,
            _ => TargetState::Serving,
        };
        if state == TargetState::Serving {
            // What was read is old by the time it arrives.
            self.vendor.let_the_rival_act().await;
        }
        Ok(Observation::new(snapshot, state).with_marker(target.marker))
    }

    fn verify(&self, observed: &Observation) -> Verdict {
        observed.stopped()
    }

    async fn apply(&self, key: &IdempotencyKey) -> Result<Accepted> {
        let mut target = self.vendor.read(self.number);
        if target.fields["mode"] != "stopped" {
            target.fields.insert("mode".to_owned(), "stopping".into());
            if target.marker.is_none() {
                target.marker = RunId::new(key.run()).ok();
            }
            self.vendor.write(self.number, &target);
        }
        half("vendor.stop.half");
        target.fields.insert("mode".to_owned(), "stopped".into());
        target.fields.remove("scaling");
        target.fields.remove(ADMITTED);
        self.vendor.write(self.number, &target);
        Ok(Accepted::new())
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        if prior.target() != &self.id {
            return Err(Error::new(ErrorKind::InvalidInput, "restore").provider("test"));
        }
        let mut target = self.vendor.read(self.number);
        for (name, value) in prior.fields().iter().filter(|(name, _)| *name != "mode") {
            target.fields.insert(name.clone(), value.clone());
        }
        self.vendor.write(self.number, &target);
        half("vendor.restore.half");
        let fields = prior.fields().clone();
        self.vendor.write(self.number, &Target { fields, marker: None });
        Ok(Accepted::new())
    }

    fn ramp(&self) -> Option<&dyn Ramp> {
        Some(self)
    }
}

#[async_trait]
impl Ramp for Stop {
    async fn open_partly(&self, prior: &Snapshot, share: Share, _key: &IdempotencyKey) -> Result<Accepted> {
        let mut target = self.vendor.read(self.number);
        if let Some(scaling) = prior.field("scaling") {
            target.fields.insert("scaling".to_owned(), scaling.clone());
        }
        self.vendor.write(self.number, &target);
        half("vendor.part.half");
        target.fields.insert("mode".to_owned(), "part".into());
        target
            .fields
            .insert(ADMITTED.to_owned(), share.as_basis_points().into());
        self.vendor.write(self.number, &target);
        Ok(Accepted::new())
    }

    fn verify_share(&self, observed: &Observation, share: Share) -> Verdict {
        match observed.snapshot().field(ADMITTED) {
            Some(admitted) if *admitted == json!(share.as_basis_points()) => observed.settled().clone(),
            _ => Verdict::not_yet("lets another share in"),
        }
    }
}

const ADMITTED: &str = "admitted";
/// In hundredths of a percent.
const SHARES: [u16; 2] = [1_000, 5_000];
