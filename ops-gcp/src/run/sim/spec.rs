//! What a service is wanted to be, and the rules by which a PATCH changes it.

use serde_json::{Map, Value, json};

use super::fields::{self, SCALING_FIELDS};
use super::seed::Scaling;
use crate::sim::refusal::Refusal;

/// The wanted state: scaling, traffic, and every other field that a caller may write.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    pub(super) scaling: SpecScaling,
    pub(super) traffic: Vec<Value>,
    pub(super) rest: Map<String, Value>,
}

/// `Some(0)` as a limit exists only here: on the wire, zero is the default and so "not set".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SpecScaling {
    pub(super) is_manual: bool,
    pub(super) instances: Option<i64>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
}

impl Spec {
    /// Applies `body` under `mask` (`None`: the body replaces everything).
    pub(super) fn patched(
        &self,
        body: &Map<String, Value>,
        mask: Option<&str>,
        revisions: &[String],
    ) -> Result<Self, Refusal> {
        let mut next = match mask {
            None | Some("*") => self.replaced(body)?,
            Some(mask) => self.masked(body, mask)?,
        };
        next.scaling = self.scaling.becoming(next.scaling)?;
        if next.traffic.is_empty() {
            next.traffic = fields::default_traffic();
        }
        fields::check_traffic(&next.traffic, revisions)?;
        if next.rest.get("labels") != self.rest.get("labels") {
            fields::check_labels(next.rest.get("labels"))?;
        }
        Ok(next)
    }

    /// Without a mask, what is not sent falls back to its default.
    fn replaced(&self, body: &Map<String, Value>) -> Result<Self, Refusal> {
        if !body.contains_key("template") {
            return Err(Refusal::invalid("template is required"));
        }
        let mut rest: Map<_, _> = body
            .iter()
            .filter(|(name, _)| fields::is_writable(name) && !matches!(name.as_str(), "scaling" | "traffic"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        rest.entry("ingress").or_insert(json!("INGRESS_TRAFFIC_ALL"));
        Ok(Self {
            scaling: SpecScaling::read(body.get("scaling")),
            traffic: list(body.get("traffic")),
            rest,
        })
    }

    /// A masked field that is not in the body is cleared.
    fn masked(&self, body: &Map<String, Value>, mask: &str) -> Result<Self, Refusal> {
        let mut next = self.clone();
        let sent = SpecScaling::read(body.get("scaling"));
        for path in mask.split(',') {
            match path {
                "scaling" => next.scaling = sent,
                "traffic" => next.traffic = list(body.get("traffic")),
                "etag" | "name" => {}
                _ => match path.split_once('.') {
                    Some(("scaling", member)) if SCALING_FIELDS.contains(&member) => {
                        next.scaling = next.scaling.with_member(sent, member);
                    }
                    Some((field, _)) if field != "scaling" && fields::is_writable(field) => {
                        return Err(Refusal::not_simulated("masks inside this field"));
                    }
                    None if fields::is_writable(path) => match body.get(path) {
                        Some(value) => drop(next.rest.insert(path.to_owned(), value.clone())),
                        None => drop(next.rest.remove(path)),
                    },
                    _ => return Err(Refusal::invalid(format!("unknown path in update_mask: {path}"))),
                },
            }
        }
        Ok(next)
    }
}

impl SpecScaling {
    pub(super) fn of(scaling: Scaling) -> Self {
        match scaling {
            Scaling::Automatic { min, max } => Self {
                min: min.map(i64::from),
                max: max.map(i64::from),
                ..Self::default()
            },
            Scaling::Manual(instances) => Self {
                is_manual: true,
                instances: Some(instances.into()),
                ..Self::default()
            },
        }
    }

    pub(super) fn is_stopped(self) -> bool {
        self.is_manual && self.instances == Some(0)
    }

    /// Whether a request gets an instance.
    pub(super) fn serves(self) -> bool {
        !self.is_stopped() && (self.is_manual || self.max != Some(0))
    }

    /// In automatic mode the manual count shows as 0; limits of 0 do not show.
    pub(super) fn json(self) -> Value {
        let mut shown = json!({"scalingMode": if self.is_manual { "MANUAL" } else { "AUTOMATIC" }});
        let instances = if self.is_manual { self.instances } else { Some(0) };
        for (name, value) in [
            ("manualInstanceCount", instances),
            ("minInstanceCount", self.min.filter(|min| *min != 0)),
            ("maxInstanceCount", self.max.filter(|max| *max != 0)),
        ] {
            if let Some(value) = value {
                shown[name] = json!(value);
            }
        }
        shown
    }

    /// The members as sent; a limit of 0 is a limit that is not given.
    fn read(sent: Option<&Value>) -> Self {
        let number = |name: &str| sent.and_then(|sent| sent.get(name)).and_then(Value::as_i64);
        Self {
            is_manual: sent.and_then(|sent| sent.get("scalingMode")) == Some(&json!("MANUAL")),
            instances: number("manualInstanceCount"),
            min: number("minInstanceCount").filter(|min| *min != 0),
            max: number("maxInstanceCount").filter(|max| *max != 0),
        }
    }

    fn with_member(mut self, sent: Self, member: &str) -> Self {
        match member {
            "scalingMode" => self.is_manual = sent.is_manual,
            "manualInstanceCount" => self.instances = sent.instances,
            "minInstanceCount" => self.min = sent.min,
            _ => self.max = sent.max,
        }
        self
    }

    /// The rules for a change of the mode.
    fn becoming(self, mut next: Self) -> Result<Self, Refusal> {
        if [next.instances, next.min, next.max]
            .iter()
            .flatten()
            .any(|count| *count < 0)
        {
            return Err(Refusal::invalid("instance counts must not be negative"));
        }
        if let (Some(min), Some(max)) = (next.min, next.max)
            && min > max
        {
            return Err(Refusal::invalid(
                "minInstanceCount must not exceed maxInstanceCount",
            ));
        }
        match (self.is_manual, next.is_manual) {
            (false, true) => (next.min, next.max) = (None, None),
            (true, false) => match (next.min, next.max) {
                (Some(_), Some(_)) => {}
                (None, None) => (next.min, next.max) = (self.instances, self.instances),
                _ => return Err(Refusal::invalid("give both service-level limits or neither")),
            },
            _ => {}
        }
        if !next.is_manual {
            next.instances = None;
        }
        Ok(next)
    }
}

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}
