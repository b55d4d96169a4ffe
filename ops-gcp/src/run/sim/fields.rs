//! The vendor's fields as the simulation checks them: names, types, enums, and what must fit together.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::sim::refusal::Refusal;

/// Checks every name and type of a PATCH body. The inside of template, annotations and the like is not looked at.
pub(super) fn check(body: &Map<String, Value>) -> Result<(), Refusal> {
    for (name, value) in body {
        if READ_ONLY.contains(&name.as_str()) {
            continue;
        }
        let good = match name.as_str() {
            "annotations" | "labels" => value
                .as_object()
                .is_some_and(|map| map.values().all(Value::is_string)),
            "customAudiences" => value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_string)),
            "binaryAuthorization" | "buildConfig" | "multiRegionSettings" | "template" => value.is_object(),
            "defaultUriDisabled" | "iapEnabled" | "invokerIamDisabled" | "sshEnabled" => value.is_boolean(),
            "ingress" => is_one_of(value, INGRESS),
            "scaling" => members_are(value, SCALING_FIELDS, |member, value| match member {
                "scalingMode" => is_one_of(value, SCALING_MODES),
                _ => is_int32(value),
            })?,
            "traffic" => match value.as_array() {
                Some(entries) => {
                    let mut good = true;
                    for entry in entries {
                        good &= members_are(entry, TRAFFIC_FIELDS, |member, value| match member {
                            "type" => is_one_of(value, ALLOCATIONS),
                            "percent" => is_int32(value),
                            _ => value.is_string(),
                        })?;
                    }
                    good
                }
                None => false,
            },
            name if is_writable(name) => value.is_string(),
            name => return Err(unknown(name)),
        };
        if !good {
            return Err(Refusal::invalid(format!("invalid value at '{name}'")));
        }
    }
    Ok(())
}

/// Percents add up to 100, revisions exist, tags are unique.
pub(super) fn check_traffic(traffic: &[Value], revisions: &[String]) -> Result<(), Refusal> {
    let total: i64 = traffic.iter().map(percent).sum();
    if total != 100 || traffic.iter().any(|entry| percent(entry) < 0) {
        return Err(Refusal::invalid("traffic percents must add up to 100"));
    }
    let mut tags = BTreeSet::new();
    for entry in traffic {
        if let Some(tag) = entry.get("tag").and_then(Value::as_str)
            && !tags.insert(tag)
        {
            return Err(Refusal::invalid("a tag may be used once"));
        }
        let revision = entry.get("revision").and_then(Value::as_str);
        if !is_latest(entry) && !revision.is_some_and(|name| revisions.iter().any(|known| known == name)) {
            return Err(Refusal::invalid("traffic to a revision that does not exist"));
        }
    }
    Ok(())
}

/// At most 64 labels, none in a system namespace.
pub(super) fn check_labels(labels: Option<&Value>) -> Result<(), Refusal> {
    let Some(labels) = labels.and_then(Value::as_object) else {
        return Ok(());
    };
    if labels.len() > 64 {
        return Err(Refusal::invalid("at most 64 labels"));
    }
    if labels
        .keys()
        .any(|name| SYSTEM_NAMESPACES.iter().any(|space| name.starts_with(space)))
    {
        return Err(Refusal::invalid("labels in a system namespace are rejected"));
    }
    Ok(())
}

/// The traffic of a service whose list is empty: all of it to the latest ready revision.
pub(super) fn default_traffic() -> Vec<Value> {
    vec![json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100})]
}

pub(super) fn is_writable(name: &str) -> bool {
    WRITABLE.contains(&name)
}

pub(super) fn percent(entry: &Value) -> i64 {
    entry.get("percent").and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn is_latest(entry: &Value) -> bool {
    entry.get("type").and_then(Value::as_str) == Some("TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST")
}

fn members_are(value: &Value, known: &[&str], good: impl Fn(&str, &Value) -> bool) -> Result<bool, Refusal> {
    let Some(members) = value.as_object() else {
        return Ok(false);
    };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(stranger) => Err(unknown(stranger)),
        None => Ok(members.iter().all(|(name, value)| good(name, value))),
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::invalid(format!("Unknown name \"{name}\": cannot find field"))
}

fn is_one_of(value: &Value, names: &[&str]) -> bool {
    value.as_str().is_some_and(|value| names.contains(&value))
}

fn is_int32(value: &Value) -> bool {
    value.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}

pub(super) const SCALING_FIELDS: &[&str] = &[
    "scalingMode",
    "manualInstanceCount",
    "minInstanceCount",
    "maxInstanceCount",
];
const TRAFFIC_FIELDS: &[&str] = &["type", "revision", "percent", "tag"];
const SCALING_MODES: &[&str] = &["SCALING_MODE_UNSPECIFIED", "AUTOMATIC", "MANUAL"];
const ALLOCATIONS: &[&str] = &[
    "TRAFFIC_TARGET_ALLOCATION_TYPE_UNSPECIFIED",
    "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST",
    "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
];
const INGRESS: &[&str] = &[
    "INGRESS_TRAFFIC_UNSPECIFIED",
    "INGRESS_TRAFFIC_ALL",
    "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    "INGRESS_TRAFFIC_NONE",
];
const SYSTEM_NAMESPACES: &[&str] = &[
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
];
const WRITABLE: &[&str] = &[
    "annotations",
    "binaryAuthorization",
    "buildConfig",
    "client",
    "clientVersion",
    "customAudiences",
    "defaultUriDisabled",
    "description",
    "etag",
    "functionalType",
    "iapEnabled",
    "ingress",
    "invokerIamDisabled",
    "labels",
    "launchStage",
    "multiRegionSettings",
    "name",
    "scaling",
    "sshEnabled",
    "template",
    "traffic",
];
/// Sent back by callers who echo what they read; ignored.
const READ_ONLY: &[&str] = &[
    "conditions",
    "createTime",
    "creator",
    "deleteTime",
    "expireTime",
    "generation",
    "lastModifier",
    "latestCreatedRevision",
    "latestReadyRevision",
    "observedGeneration",
    "reconciling",
    "satisfiesPzs",
    "terminalCondition",
    "threatDetectionEnabled",
    "trafficStatuses",
    "uid",
    "updateTime",
    "uri",
    "urls",
];
