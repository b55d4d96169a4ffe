use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// How a simulated service scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the vendor has these two modes")]
pub enum Scaling {
    /// Between limits; `None`: not set.
    Automatic {
        /// Least number of instances.
        min: Option<u32>,
        /// Greatest number of instances.
        max: Option<u32>,
    },
    /// Exactly this many instances.
    Manual(u32),
}

/// A service as it is before anybody touches it. The default: automatic without limits, all traffic to the latest
/// revision, public, two revisions (`{name}-00001` and `{name}-00002`, the latter is the latest).
#[derive(Clone, Debug)]
#[must_use]
pub struct ServiceSeed {
    pub(super) scaling: Scaling,
    pub(super) traffic: Vec<Value>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) ingress: String,
    pub(super) revisions: u32,
    pub(super) environment: Vec<(String, String)>,
}

impl Default for ServiceSeed {
    fn default() -> Self {
        Self {
            scaling: Scaling::Automatic { min: None, max: None },
            traffic: Vec::new(),
            labels: BTreeMap::new(),
            ingress: "INGRESS_TRAFFIC_ALL".to_owned(),
            revisions: 2,
            environment: Vec::new(),
        }
    }
}

impl ServiceSeed {
    /// The default service.
    pub fn new() -> Self {
        Self::default()
    }

    /// Automatic scaling with these limits.
    pub fn automatic(self, min: impl Into<Option<u32>>, max: impl Into<Option<u32>>) -> Self {
        Self {
            scaling: Scaling::Automatic {
                min: min.into(),
                max: max.into(),
            },
            ..self
        }
    }

    /// Manual scaling with this many instances.
    pub fn manual(self, instances: u32) -> Self {
        Self {
            scaling: Scaling::Manual(instances),
            ..self
        }
    }

    /// How many revisions there are.
    pub fn revisions(self, revisions: u32) -> Self {
        Self {
            revisions: revisions.max(1),
            ..self
        }
    }

    /// Sends `percent` of the traffic to the latest revision, whichever that is at the time.
    pub fn latest(self, percent: u32) -> Self {
        self.entry(json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": percent}))
    }

    /// Sends `percent` of the traffic to one revision (its short name).
    pub fn revision(self, revision: &str, percent: u32) -> Self {
        self.entry(json!({
            "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
            "revision": revision,
            "percent": percent,
        }))
    }

    /// Gives a revision a URL of its own, without a share of the traffic.
    pub fn tag(self, tag: &str, revision: &str) -> Self {
        self.entry(json!({
            "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
            "revision": revision,
            "tag": tag,
        }))
    }

    /// Adds a label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// `INGRESS_TRAFFIC_ALL`, `INGRESS_TRAFFIC_INTERNAL_ONLY`, …
    pub fn ingress(self, ingress: &str) -> Self {
        Self {
            ingress: ingress.to_owned(),
            ..self
        }
    }

    /// Adds a plain environment variable to the template.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn template(&self, name: &str) -> Value {
        let environment: Vec<_> = self
            .environment
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let mut container = Map::new();
        container.insert(
            "image".to_owned(),
            json!(format!("registry.example/{name}:{}", self.revisions)),
        );
        container.insert("env".to_owned(), json!(environment));
        json!({"containers": [container], "timeout": "300s", "maxInstanceRequestConcurrency": 80})
    }

    fn entry(mut self, entry: Value) -> Self {
        self.traffic.push(entry);
        self
    }
}
