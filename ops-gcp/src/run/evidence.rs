//! What a service says about itself, judged. Pure.

use ops_core::model::{Text, Verdict};

use super::settings::{Settings, short};
use super::wire::{LATEST, Service, TrafficTarget};

/// Whether the wanted settings are in force.
///
/// While a service reconciles, and after a reconciliation that failed, what it reports as in force is the former state.
pub(super) fn settled(service: &Service) -> Verdict {
    if service.reconciling {
        return Verdict::not_yet("the service is reconciling");
    }
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<i64>().ok());
    let (Some(wanted), Some(in_force)) = (number(&service.generation), number(&service.observed_generation))
    else {
        return Verdict::unknown("the service does not say which generation is in force");
    };
    if wanted != in_force {
        return Verdict::not_yet(format!("generation {in_force} is in force, {wanted} is wanted"));
    }
    match service.terminal_condition.state.as_deref() {
        Some("CONDITION_SUCCEEDED") => {}
        Some("CONDITION_FAILED") => {
            let reason = service.terminal_condition.reason.as_deref();
            let reason = reason.filter(|reason| {
                reason
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            });
            return Verdict::not_yet(format!(
                "the reconciliation failed ({}), the former state may be in force",
                reason.unwrap_or("no reason given")
            ));
        }
        Some(_) => return Verdict::not_yet("the service is not ready"),
        None => return Verdict::unknown("the service does not say whether it is ready"),
    }
    let Settings { scaling, traffic, .. } = Settings::of(service);
    if !scaling.is_stopped() && !in_force_as_wanted(service, &traffic) {
        return Verdict::not_yet("the wanted traffic is not the traffic in force");
    }
    Verdict::Holds
}

/// Whether the last reconciliation has ended badly, so that writing the same again is no repetition.
pub(super) fn failed(service: &Service) -> bool {
    !service.reconciling && service.terminal_condition.state.as_deref() == Some("CONDITION_FAILED")
}

/// One text for every tag URL that answers although the service is stopped.
///
/// Manual scaling governs the revisions that get a share of the traffic. A revision that is there only for its tag
/// starts one instance when somebody calls the tag URL.
pub(super) fn caveats(service: &Service) -> Vec<Text> {
    let Settings { traffic, ingress, .. } = Settings::of(service);
    if ingress.as_deref() == Some("INGRESS_TRAFFIC_NONE") {
        return Vec::new();
    }
    let latest = service.latest_ready_revision.as_deref().map(short);
    let revision = |entry: &TrafficTarget| match entry.allocation.as_deref() {
        Some(LATEST) => latest.map(str::to_owned),
        _ => entry.revision.clone(),
    };
    let governed: Vec<_> = traffic
        .iter()
        .filter(|entry| entry.percent.is_some())
        .filter_map(revision)
        .collect();
    traffic
        .iter()
        .filter(|entry| {
            entry.percent.is_none() && !revision(entry).is_some_and(|name| governed.contains(&name))
        })
        .filter_map(|entry| entry.tag.as_deref())
        .map(|tag| tag_caveat(&tag_url(service, tag)))
        .collect()
}

fn tag_caveat(url: &str) -> Text {
    Text::new(
        format!("タグURL {url} は停止中も応答します（最大1インスタンス）"),
        format!("tag URL {url} still answers while the service is stopped, with at most one instance"),
    )
}

fn tag_url(service: &Service, tag: &str) -> String {
    let status = service
        .traffic_statuses
        .iter()
        .find(|status| status.tag.as_deref() == Some(tag));
    status
        .and_then(|status| status.uri.clone())
        .unwrap_or_else(|| format!("of tag {tag}"))
}

/// The statuses list the same shares and tags; a status of "latest" also says which revision that is.
fn in_force_as_wanted(service: &Service, wanted: &[TrafficTarget]) -> bool {
    let key = |allocation: &Option<String>,
               revision: &Option<String>,
               percent: Option<i32>,
               tag: &Option<String>| {
        let latest = allocation.as_deref() == Some(LATEST);
        (
            revision.clone().filter(|name| !latest && !name.is_empty()),
            percent.filter(|percent| *percent != 0),
            tag.clone().filter(|tag| !tag.is_empty()),
        )
    };
    let mut wanted: Vec<_> = wanted
        .iter()
        .map(|entry| key(&entry.allocation, &entry.revision, entry.percent, &entry.tag))
        .collect();
    let mut found: Vec<_> = service
        .traffic_statuses
        .iter()
        .map(|entry| key(&entry.allocation, &entry.revision, entry.percent, &entry.tag))
        .collect();
    wanted.sort();
    found.sort();
    wanted == found
}

#[cfg(test)]
mod tests {
    use ops_core::model::Lang;
    use serde_json::{Value, json};

    use super::*;

    fn service(change: Value) -> Service {
        let mut service = json!({
            "generation": "7",
            "observedGeneration": "7",
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
            "traffic": [{"type": LATEST, "percent": 100}],
            "trafficStatuses": [{"type": LATEST, "percent": 100, "revision": "api-00002"}],
        });
        for (name, value) in change.as_object().unwrap() {
            service[name] = value.clone();
        }
        serde_json::from_value(service).unwrap()
    }

    #[test]
    fn only_a_finished_and_successful_reconciliation_is_settled() {
        assert_eq!(settled(&service(json!({}))), Verdict::Holds);
        assert_eq!(settled(&service(json!({"reconciling": true}))).name(), "not_yet");
        // Generations are strings; the ninth is not before the tenth.
        assert_eq!(
            settled(&service(json!({"generation": "10", "observedGeneration": "9"}))).name(),
            "not_yet"
        );
        for state in ["CONDITION_RECONCILING", "CONDITION_PENDING", "CONDITION_FAILED"] {
            let service = service(json!({"terminalCondition": {"state": state}}));
            assert_eq!(settled(&service).name(), "not_yet", "{state}");
        }
    }

    #[test]
    fn what_the_vendor_does_not_say_is_unknown_and_never_good() {
        for silence in [
            json!({"terminalCondition": {}}),
            json!({"generation": null}),
            json!({"observedGeneration": "x"}),
        ] {
            assert_eq!(settled(&service(silence)).name(), "unknown");
        }
    }

    /// After a failed reconciliation the service reports the former serving state.
    #[test]
    fn traffic_that_is_wanted_but_not_in_force_is_not_settled() {
        let split = json!({"traffic": [
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "api-00001", "percent": 100},
        ]});
        assert_eq!(settled(&service(split)).name(), "not_yet");
    }

    /// A stopped service still starts an instance for a revision that only a tag keeps active.
    #[test]
    fn only_tags_without_a_share_of_the_traffic_stay_reachable() {
        let revision = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
        let service = service(json!({
            "latestReadyRevision": "projects/p/locations/r/services/api/revisions/api-00002",
            "traffic": [
                {"type": LATEST, "percent": 100, "tag": "live"},
                {"type": revision, "revision": "api-00002", "tag": "alias"},
                {"type": revision, "revision": "api-00001", "tag": "old"},
            ],
            "trafficStatuses": [{"type": revision, "revision": "api-00001", "tag": "old", "uri": "https://old.example"}],
        }));
        let texts: Vec<_> = caveats(&service)
            .iter()
            .map(|text| text.get(Lang::En).to_owned())
            .collect();
        assert_eq!(
            texts,
            [
                "tag URL https://old.example still answers while the service is stopped, with at most one instance"
            ]
        );
    }
}
