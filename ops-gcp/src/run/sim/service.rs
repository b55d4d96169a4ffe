//! One simulated service: what is wanted, what is in force, and how the one becomes the other.

use ops_core::error::Result;
use serde_json::{Map, Value, json};

use super::fields::{self, is_latest, percent};
use super::seed::{Scaling, ServiceSeed};
use super::spec::{Spec, SpecScaling};
use crate::run::name::ServiceName;
use crate::sim::refusal::Refusal;

#[derive(Debug)]
pub(super) struct Service {
    name: ServiceName,
    spec: Spec,
    in_force: Spec,
    revisions: Vec<String>,
    ready_revision: String,
    generation: i64,
    observed_generation: i64,
    etag: u64,
    progress: Progress,
}

/// Where the reconciliation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Succeeded,
    Failed(i32),
    Running { reads_left: u32, ending: Ending },
}

/// How a reconciliation will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Success,
    /// With this `google.rpc.Code`.
    Failure(i32),
    Never,
    /// Well, and then somebody else deploys.
    Drift,
}

impl Service {
    /// # Errors
    /// `InvalidInput` for a seed that the vendor would refuse.
    pub(super) fn new(name: ServiceName, seed: &ServiceSeed) -> Result<Self, Refusal> {
        let revisions: Vec<_> = (1..=seed.revisions)
            .map(|number| format!("{}-{number:05}", name.service))
            .collect();
        let mut rest = Map::new();
        rest.insert("labels".to_owned(), json!(seed.labels));
        rest.insert("ingress".to_owned(), json!(seed.ingress));
        rest.insert("template".to_owned(), seed.template(&name.service));
        rest.insert("launchStage".to_owned(), json!("GA"));
        let spec = Spec {
            scaling: SpecScaling::of(seed.scaling),
            traffic: seed.traffic.clone(),
            rest,
        };
        // Passing through the rules of a change refuses a seed that cannot exist.
        fields::check(&spec.rest)?;
        let spec = spec.patched(&Map::new(), Some("name"), &revisions)?;
        Ok(Self {
            name,
            in_force: spec.clone(),
            spec,
            ready_revision: revisions.last().cloned().unwrap_or_default(),
            revisions,
            generation: 1,
            observed_generation: 1,
            etag: 1,
            progress: Progress::Succeeded,
        })
    }

    pub(super) fn etag(&self) -> String {
        format!("\"sim/{}-{}\"", self.name.service, self.etag)
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(super) fn revisions(&self) -> &[String] {
        &self.revisions
    }

    pub(super) fn generation(&self) -> i64 {
        self.generation
    }

    /// Takes a new wanted state; it comes into force after `reads` reads.
    pub(super) fn want(&mut self, spec: Spec, reads: u32, ending: Ending) {
        if spec.rest.get("template") != self.spec.rest.get("template") {
            self.add_revision();
        }
        self.spec = spec;
        self.generation += 1;
        self.etag += 1;
        self.progress = Progress::Running {
            reads_left: reads,
            ending,
        };
    }

    /// One read: brings a running reconciliation nearer to its end.
    pub(super) fn service_name(&self) -> &ServiceName {
        &self.name
    }

    pub(super) fn read(&mut self) {
        let Progress::Running { reads_left, ending } = self.progress else {
            return;
        };
        if ending == Ending::Never {
            return;
        }
        if reads_left > 0 {
            self.progress = Progress::Running {
                reads_left: reads_left - 1,
                ending,
            };
            return;
        }
        match ending {
            Ending::Failure(code) => self.progress = Progress::Failed(code),
            Ending::Drift => {
                self.settle();
                self.deploy();
            }
            Ending::Success | Ending::Never => self.settle(),
        }
    }

    /// Another deployer: a new revision, in force at once.
    pub(super) fn deploy(&mut self) {
        self.add_revision();
        let number = self.revisions.len();
        let image = format!("registry.example/{}:{number}", self.name.service);
        self.spec.rest["template"]["containers"][0]["image"] = json!(image);
        self.advance();
    }

    /// Somebody at the console: scaling as given, in force at once.
    pub(super) fn scale(&mut self, scaling: Scaling) {
        self.spec.scaling = SpecScaling::of(scaling);
        self.advance();
    }

    /// The status code that a caller of the service's URL gets.
    pub(super) fn probe(&self) -> u16 {
        match self.is_public() {
            false => 404,
            true if self.in_force.scaling.serves() => 200,
            true => 503,
        }
    }

    /// The status code that a caller of a tag URL gets. A revision without a share of the traffic is not stopped.
    pub(super) fn probe_tag(&self, tag: &str) -> u16 {
        let entries = &self.in_force.traffic;
        let tagged = entries
            .iter()
            .find(|entry| entry.get("tag").and_then(Value::as_str) == Some(tag));
        let Some(tagged) = tagged.filter(|_| self.is_public()) else {
            return 404;
        };
        let revision = self.resolve(tagged);
        let has_share = entries
            .iter()
            .any(|entry| percent(entry) > 0 && self.resolve(entry) == revision);
        if has_share { self.probe() } else { 200 }
    }

    /// The operation that wanted `generation`.
    pub(super) fn operation(&self, operation: &str, generation: i64) -> Value {
        let of_type = |mut value: Value| {
            value["@type"] = json!("type.googleapis.com/google.cloud.run.v2.Service");
            value
        };
        let mut shown = json!({"name": operation, "metadata": of_type(self.json()), "done": false});
        match self.progress {
            Progress::Running { .. } if self.observed_generation < generation => {}
            Progress::Failed(code) if self.observed_generation < generation => {
                shown["done"] = json!(true);
                shown["error"] = json!({"code": code, "message": "the change could not be made effective"});
            }
            _ => {
                shown["done"] = json!(true);
                shown["response"] = of_type(self.json());
            }
        }
        shown
    }

    pub(super) fn json(&self) -> Value {
        let path = self.name.path();
        let (state, reason) = match self.progress {
            Progress::Succeeded => ("CONDITION_SUCCEEDED", None),
            Progress::Failed(_) => ("CONDITION_FAILED", Some("REVISION_FAILED")),
            Progress::Running { .. } => ("CONDITION_RECONCILING", None),
        };
        let mut condition =
            json!({"type": "Ready", "state": state, "lastTransitionTime": self.time(self.generation)});
        if let Some(reason) = reason {
            condition["reason"] = json!(reason);
        }
        let mut shown = Value::Object(self.spec.rest.clone());
        for (name, value) in [
            ("name", json!(path)),
            ("uid", json!("00000000-0000-4000-8000-000000000001")),
            ("generation", json!(self.generation.to_string())),
            ("observedGeneration", json!(self.observed_generation.to_string())),
            ("createTime", json!(self.time(1))),
            ("updateTime", json!(self.time(self.generation))),
            ("creator", json!("deployer@example.com")),
            ("lastModifier", json!("deployer@example.com")),
            ("scaling", self.spec.scaling.json()),
            ("traffic", json!(self.spec.traffic)),
            ("trafficStatuses", self.traffic_statuses()),
            (
                "latestReadyRevision",
                json!(format!("{path}/revisions/{}", self.ready_revision)),
            ),
            (
                "latestCreatedRevision",
                json!(format!("{path}/revisions/{}", self.latest())),
            ),
            ("uri", json!(self.url(None))),
            ("urls", json!([self.url(None)])),
            ("terminalCondition", condition.clone()),
            ("conditions", json!([condition])),
            ("etag", json!(self.etag())),
        ] {
            shown[name] = value;
        }
        // A false boolean is left out, as the vendor does.
        if matches!(self.progress, Progress::Running { .. }) {
            shown["reconciling"] = json!(true);
        }
        shown
    }

    fn traffic_statuses(&self) -> Value {
        let statuses = self.in_force.traffic.iter().map(|entry| {
            let mut status = entry.clone();
            status["revision"] = json!(self.resolve(entry));
            if let Some(tag) = entry.get("tag").and_then(Value::as_str) {
                status["uri"] = json!(self.url(Some(tag)));
            }
            status
        });
        statuses.collect()
    }

    fn resolve<'a>(&'a self, entry: &'a Value) -> &'a str {
        match is_latest(entry) {
            true => &self.ready_revision,
            false => entry.get("revision").and_then(Value::as_str).unwrap_or(""),
        }
    }

    fn latest(&self) -> &str {
        self.revisions.last().map_or("", String::as_str)
    }

    fn is_public(&self) -> bool {
        self.in_force.rest.get("ingress").and_then(Value::as_str) == Some("INGRESS_TRAFFIC_ALL")
    }

    fn url(&self, tag: Option<&str>) -> String {
        let tag = tag.map(|tag| format!("{tag}---")).unwrap_or_default();
        format!("https://{tag}{}-sim.a.run.app", self.name.service)
    }

    /// A made-up time that grows with the generation.
    fn time(&self, generation: i64) -> String {
        let minute = (generation / 60) % 60;
        format!("2026-01-30T00:{minute:02}:{:02}Z", generation % 60)
    }

    fn add_revision(&mut self) {
        let number = self.revisions.len() + 1;
        self.revisions.push(format!("{}-{number:05}", self.name.service));
    }

    /// A change from outside: it does not disturb a reconciliation that never ends.
    fn advance(&mut self) {
        self.generation += 1;
        self.etag += 1;
        if !matches!(self.progress, Progress::Running { .. }) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.in_force = self.spec.clone();
        self.ready_revision = self.latest().to_owned();
        self.observed_generation = self.generation;
        self.progress = Progress::Succeeded;
    }
}
