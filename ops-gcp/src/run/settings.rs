use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Snapshot, TargetId};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::PROVIDER;
use super::wire::{AUTOMATIC, LATEST, MANUAL, REVISION, Scaling, Service, TrafficTarget};

/// The restorable settings of a service in one normal form, so that equal settings compare equal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) scaling: Scaling,
    pub(super) traffic: Vec<TrafficTarget>,
    /// `None` when the vendor does not say: it then reports no setting, which is nothing that could be written back.
    pub(super) ingress: Option<String>,
}

impl Settings {
    pub(super) fn of(service: &Service) -> Self {
        let traffic = match service.traffic.is_empty() {
            // An empty list means all traffic to the latest ready revision, and may read back as such.
            true => vec![TrafficTarget {
                allocation: Some(LATEST.to_owned()),
                percent: Some(100),
                ..TrafficTarget::default()
            }],
            false => service
                .traffic
                .iter()
                .cloned()
                .map(TrafficTarget::normal)
                .collect(),
        };
        Self {
            scaling: service.scaling.clone().normal(),
            traffic,
            ingress: said(service.ingress.clone()),
        }
    }

    /// Reads what [`snapshot`] wrote.
    ///
    /// # Errors
    /// `InvalidInput` for a snapshot of another format or with missing or misshapen fields.
    pub(super) fn from_snapshot(snapshot: &Snapshot) -> Result<Self> {
        if snapshot.format() != FORMAT {
            return Err(unreadable("format", "is not cloud-run/1"));
        }
        let scaling = snapshot
            .field("scaling")
            .and_then(|value| serde_json::from_value::<Scaling>(value.clone()).ok())
            .ok_or_else(|| unreadable("scaling", "is missing or misshapen"))?;
        let traffic = snapshot
            .field("traffic")
            .and_then(|value| serde_json::from_value::<Vec<TrafficTarget>>(value.clone()).ok())
            .filter(|traffic| !traffic.is_empty())
            .ok_or_else(|| unreadable("traffic", "is missing or misshapen"))?;
        let ingress = match snapshot.field("ingress") {
            None => None,
            Some(Value::String(ingress)) => Some(ingress.clone()),
            Some(_) => return Err(unreadable("ingress", "is misshapen")),
        };
        Ok(Self {
            scaling: scaling.normal(),
            traffic: traffic.into_iter().map(TrafficTarget::normal).collect(),
            ingress,
        })
    }
}

impl Scaling {
    /// Manual mode with zero instances. A zero in automatic mode is a default that proves nothing.
    pub(super) fn is_stopped(&self) -> bool {
        self.scaling_mode.as_deref() == Some(MANUAL) && self.manual_instance_count == Some(0)
    }

    pub(super) fn is_manual(&self) -> bool {
        self.scaling_mode.as_deref() == Some(MANUAL)
    }

    /// Defaults are left out, in both spellings; only the manual count has a meaning at zero, in manual mode.
    fn normal(mut self) -> Self {
        let mode = said(self.scaling_mode.take());
        self.scaling_mode = Some(mode.unwrap_or_else(|| AUTOMATIC.to_owned()));
        self.min_instance_count = self.min_instance_count.filter(|count| *count != 0);
        self.max_instance_count = self.max_instance_count.filter(|count| *count != 0);
        let manual = self.is_manual();
        self.manual_instance_count = self.manual_instance_count.filter(|count| manual || *count != 0);
        self
    }
}

impl TrafficTarget {
    fn normal(mut self) -> Self {
        self.percent = self.percent.filter(|percent| *percent != 0);
        self.tag = self.tag.filter(|tag| !tag.is_empty());
        self.revision = self.revision.filter(|revision| !revision.is_empty());
        self.allocation =
            said(self.allocation).or_else(|| self.revision.as_ref().map(|_| REVISION.to_owned()));
        self
    }
}

/// The restorable settings of `service`, and what tells that somebody deployed.
pub(super) fn snapshot(target: &TargetId, service: &Service) -> Snapshot {
    let Settings {
        scaling,
        traffic,
        ingress,
    } = Settings::of(service);
    let mut snapshot = Snapshot::new(target.clone(), FORMAT)
        .with_field("scaling", serde_json::to_value(scaling).unwrap_or_default())
        .with_field("traffic", serde_json::to_value(traffic).unwrap_or_default())
        .with_witness("template_sha256", fingerprint(&service.template));
    if let Some(ingress) = ingress {
        snapshot = snapshot.with_field("ingress", ingress);
    }
    if let Some(revision) = &service.latest_created_revision {
        snapshot = snapshot.with_witness("latest_created_revision", short(revision));
    }
    snapshot
}

/// The last part of a resource name.
pub(super) fn short(resource: &str) -> &str {
    resource.rsplit('/').next().unwrap_or(resource)
}

/// An enum value, unless it is the vendor's way of saying nothing.
fn said(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty() && !value.ends_with("_UNSPECIFIED"))
}

/// SHA-256 of the JSON with sorted keys. The template may hold secrets in plain environment variables: only this leaves.
fn fingerprint(value: &Value) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, value);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            hash.update(b"{");
            for (name, member) in sorted {
                hash.update(Value::from(name.as_str()).to_string());
                hash.update(b":");
                feed(hash, member);
                hash.update(b",");
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            for item in items {
                feed(hash, item);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        plain => hash.update(plain.to_string()),
    }
}

fn unreadable(field: &'static str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "read snapshot")
        .provider(PROVIDER)
        .context(field, why)
}

const FORMAT: &str = "cloud-run/1";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(service: Value) -> Settings {
        Settings::of(&serde_json::from_value(service).unwrap())
    }

    /// Numbers without presence are left out or written as 0, whichever the server likes.
    #[test]
    fn a_default_that_is_sent_equals_one_that_is_left_out() {
        let sent = json!({
            "scaling": {"scalingMode": "AUTOMATIC", "manualInstanceCount": 0, "minInstanceCount": 2, "maxInstanceCount": 0},
            "traffic": [{"type": LATEST, "percent": 100}, {"type": REVISION, "revision": "a-1", "tag": "t", "percent": 0}],
        });
        let left_out = json!({
            "scaling": {"minInstanceCount": 2},
            "traffic": [{"type": LATEST, "percent": 100}, {"revision": "a-1", "tag": "t"}],
            "ingress": "INGRESS_TRAFFIC_UNSPECIFIED",
        });
        assert_eq!(settings(sent), settings(left_out));
    }

    /// A count that is left over from manual scaling is a setting like any other.
    #[test]
    fn a_manual_count_in_automatic_mode_is_kept_unless_it_is_zero() {
        let count = |count| {
            settings(json!({"scaling": {"manualInstanceCount": count}}))
                .scaling
                .manual_instance_count
        };
        assert_eq!((count(3), count(0)), (Some(3), None));
    }

    /// An empty traffic list means 100 % to the latest ready revision: the opposite of a stop.
    #[test]
    fn no_traffic_entry_means_all_to_the_latest() {
        let spelled = json!({"traffic": [{"type": LATEST, "percent": 100}]});
        assert_eq!(settings(json!({})), settings(spelled));
    }

    /// Services in automatic mode show a manual count of 0.
    #[test]
    fn zero_instances_count_only_in_manual_mode() {
        let stopped = |scaling| settings(json!({"scaling": scaling})).scaling.is_stopped();
        assert!(stopped(
            json!({"scalingMode": "MANUAL", "manualInstanceCount": 0})
        ));
        assert!(!stopped(
            json!({"scalingMode": "AUTOMATIC", "manualInstanceCount": 0})
        ));
        assert!(!stopped(json!({"manualInstanceCount": 0})));
        assert!(!stopped(
            json!({"scalingMode": "MANUAL", "manualInstanceCount": 1})
        ));
        // This count has explicit presence, so that an absent one is "not set" and no zero.
        assert!(!stopped(json!({"scalingMode": "MANUAL"})));
    }

    #[test]
    fn a_snapshot_reads_back_and_a_foreign_one_is_refused() {
        let service = json!({
            "scaling": {"scalingMode": "AUTOMATIC", "maxInstanceCount": 9, "somethingNew": {"a": 1}},
            "traffic": [{"type": REVISION, "revision": "a-1", "percent": 100, "tag": "x"}],
            "ingress": "INGRESS_TRAFFIC_ALL",
        });
        let target = TargetId::new("cloud-run:p/r/s").unwrap();
        let service: Service = serde_json::from_value(service).unwrap();
        let taken = snapshot(&target, &service);
        assert_eq!(Settings::from_snapshot(&taken).unwrap(), Settings::of(&service));
        assert_eq!(taken.field("scaling").unwrap()["somethingNew"]["a"], 1);
        for foreign in [
            Snapshot::new(target.clone(), "cloud-run/2"),
            Snapshot::new(target.clone(), FORMAT),
            Snapshot::new(target, FORMAT)
                .with_field("scaling", json!({"minInstanceCount": "2"}))
                .with_field("traffic", json!([])),
        ] {
            assert_eq!(
                Settings::from_snapshot(&foreign).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
    }

    #[test]
    fn the_fingerprint_ignores_the_order_of_keys_and_sees_every_value() {
        let parse = |text: &str| fingerprint(&serde_json::from_str(text).unwrap());
        assert_eq!(parse(r#"{"a":1,"b":["x"]}"#), parse(r#"{"b":["x"],"a":1}"#));
        assert_ne!(parse(r#"{"a":1,"b":["x"]}"#), parse(r#"{"a":1,"b":["y"]}"#));
        assert_ne!(parse(r#"["a","b"]"#), parse(r#"["a,b"]"#));
    }
}
