//! The vendor's JSON, as far as it is read or written here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a GET of a service answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) etag: String,
    pub(super) generation: Option<String>,
    pub(super) observed_generation: Option<String>,
    pub(super) reconciling: bool,
    pub(super) terminal_condition: Condition,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) scaling: Scaling,
    pub(super) traffic: Vec<TrafficTarget>,
    pub(super) traffic_statuses: Vec<TrafficStatus>,
    pub(super) ingress: Option<String>,
    pub(super) latest_created_revision: Option<String>,
    pub(super) latest_ready_revision: Option<String>,
    pub(super) template: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    pub(super) state: Option<String>,
    pub(super) reason: Option<String>,
}

/// Scaling of a service. A member that is not known here is carried along, so that writing back loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Scaling {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scaling_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manual_instance_count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_instance_count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_instance_count: Option<i32>,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

/// One entry of the wanted traffic. A member that is not known here is carried along.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrafficTarget {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) allocation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

/// One entry of the traffic in force.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TrafficStatus {
    #[serde(rename = "type")]
    pub(super) allocation: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) percent: Option<i32>,
    pub(super) tag: Option<String>,
    pub(super) uri: Option<String>,
}

/// The body of a PATCH, and the mask that goes with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServicePatch {
    /// Never empty: a PATCH without a mask replaces the whole service.
    #[serde(skip)]
    pub(super) mask: Vec<&'static str>,
    pub(super) name: String,
    pub(super) etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scaling: Option<Scaling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traffic: Option<Vec<TrafficTarget>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ingress: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<BTreeMap<String, String>>,
}

pub(super) const AUTOMATIC: &str = "AUTOMATIC";
pub(super) const MANUAL: &str = "MANUAL";
pub(super) const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
pub(super) const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
