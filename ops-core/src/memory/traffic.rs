use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::lock;
use super::plug::Plug;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Accepted, IdempotencyKey, Observation, RunId, Snapshot, TargetId, TargetState, Text};
use crate::ports::{TrafficCapability, TrafficController};

/// Services in memory whose traffic can be stopped.
///
/// A service has settings: `scaling` and `ingress`. A stop replaces `scaling` by manual scaling with zero instances, so that
/// the former limits are gone from the service, as with real vendors: only the snapshot still knows them.
#[derive(Debug, Default)]
pub struct InMemoryTraffic {
    services: Mutex<BTreeMap<TargetId, Service>>,
    plug: Plug,
}

#[derive(Clone, Debug)]
struct Service {
    settings: BTreeMap<String, Value>,
    revision: u64,
    marker: Option<RunId>,
}

impl InMemoryTraffic {
    /// No services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service that is serving, with limits of 1 and 10 instances; one that exists is left as it is.
    pub fn add_service(&self, target: TargetId) {
        lock(&self.services).entry(target).or_insert_with(|| Service {
            settings: BTreeMap::from([
                (
                    SCALING.to_owned(),
                    json!({ "mode": "automatic", "min": 1, "max": 10 }),
                ),
                ("ingress".to_owned(), json!("all")),
            ]),
            revision: 1,
            marker: None,
        });
    }

    /// Whether a request to `target` would be served; not for an unknown target.
    pub fn probe(&self, target: &TargetId) -> bool {
        lock(&self.services)
            .get(target)
            .is_some_and(|service| service.state() == TargetState::Serving)
    }

    /// The settings of `target` as they are; `None` for an unknown target.
    pub fn settings(&self, target: &TargetId) -> Option<BTreeMap<String, Value>> {
        lock(&self.services)
            .get(target)
            .map(|service| service.settings.clone())
    }

    /// Changes one setting by hand, as a person at the vendor's console would.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown target.
    pub fn set_setting(
        &self,
        target: &TargetId,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Result<()> {
        self.with(target, "change setting", |service| {
            service.settings.insert(name.into(), value.into());
        })
    }

    /// Deploys a new revision, as another deployer would. It shows in the snapshot's witness.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown target.
    pub fn deploy(&self, target: &TargetId) -> Result<()> {
        self.with(target, "deploy", |service| service.revision += 1)
    }

    /// Pulls the plug (`false`) or puts it back.
    pub fn set_reachable(&self, reachable: bool) {
        self.plug.set_reachable(reachable);
    }

    fn with<T>(
        &self,
        target: &TargetId,
        operation: &'static str,
        act: impl FnOnce(&mut Service) -> T,
    ) -> Result<T> {
        match lock(&self.services).get_mut(target) {
            Some(service) => Ok(act(service)),
            None => Err(Error::new(ErrorKind::NotFound, operation)
                .provider("memory")
                .context("target", target.as_str())),
        }
    }
}

#[async_trait]
impl TrafficController for InMemoryTraffic {
    fn capability(&self) -> TrafficCapability {
        TrafficCapability {
            leaves_marker: true,
            limitations: vec![Text::new(
                "メモリ上の模擬サービスのみを停止します",
                "stops services simulated in memory only",
            )],
            ..TrafficCapability::default()
        }
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        self.plug.check("observe")?;
        self.with(target, "observe", |service| {
            let mut snapshot =
                Snapshot::new(target.clone(), FORMAT).with_witness("revision", service.revision);
            for (name, value) in &service.settings {
                snapshot = snapshot.with_field(name, value.clone());
            }
            Observation::new(snapshot, service.state()).with_marker(service.marker.clone())
        })
    }

    async fn stop(&self, target: &TargetId, key: &IdempotencyKey) -> Result<Accepted> {
        self.plug.check("stop")?;
        let run = RunId::new(key.run())?;
        self.with(target, "stop", |service| {
            if service.state() != TargetState::Stopped {
                service.settings.insert(SCALING.to_owned(), stopped_scaling());
                service.marker = Some(run);
            }
            Accepted::new()
        })
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        self.plug.check("restore")?;
        if prior.format() != FORMAT {
            return Err(Error::new(ErrorKind::InvalidInput, "restore")
                .provider("memory")
                .context("snapshot", format!("must have the format {FORMAT}")));
        }
        self.with(prior.target(), "restore", |service| {
            service.settings = prior.fields().clone();
            service.marker = None;
            Accepted::new()
        })
    }
}

const FORMAT: &str = "memory-traffic/1";
const SCALING: &str = "scaling";

fn stopped_scaling() -> Value {
    json!({ "mode": "manual", "instances": 0 })
}

impl Service {
    fn state(&self) -> TargetState {
        if self.settings.get(SCALING) == Some(&stopped_scaling()) {
            TargetState::Stopped
        } else {
            TargetState::Serving
        }
    }
}
