//! What is written to a service: the stop, and the way back. Pure.

use ops_core::error::{Error, ErrorKind, Result};

use super::PROVIDER;
use super::name::ServiceName;
use super::settings::Settings;
use super::wire::{AUTOMATIC, MANUAL, Scaling, Service, ServicePatch, TrafficTarget};

/// One PATCH to come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    mask: Vec<&'static str>,
    scaling: Option<Scaling>,
    traffic: Option<Vec<TrafficTarget>>,
    ingress: Option<String>,
    marker: Marker,
}

#[derive(Clone, Debug, PartialEq)]
enum Marker {
    Untouched,
    Set(String),
    Removed,
}

impl Write {
    /// Manual scaling with zero instances; `marker` is the label value to leave.
    pub(super) fn stop(marker: Option<String>) -> Self {
        let mut mask = vec!["scaling.scalingMode", "scaling.manualInstanceCount"];
        mask.extend(marker.as_ref().map(|_| "labels"));
        Self {
            mask,
            scaling: Some(Scaling {
                scaling_mode: Some(MANUAL.to_owned()),
                manual_instance_count: Some(0),
                ..Scaling::default()
            }),
            traffic: None,
            ingress: None,
            marker: marker.map_or(Marker::Untouched, Marker::Set),
        }
    }

    /// What leads from `now` to `prior`, in order; nothing where nothing differs.
    ///
    /// From manual to automatic the vendor takes both limits or none, and none means that both become the manual count,
    /// which is zero after a stop. So a prior with one limit or none comes back in two writes: with both limits, then, in
    /// automatic mode, without those that were not there. The marker goes last: until then the run is unfinished.
    pub(super) fn way_back(now: &Settings, prior: &Settings, marked: bool) -> Vec<Self> {
        let traffic = (now.traffic != prior.traffic).then(|| prior.traffic.clone());
        let ingress = prior.ingress.clone().filter(|_| now.ingress != prior.ingress);
        let scaling = (now.scaling != prior.scaling).then(|| prior.scaling.clone());
        let first = scaling
            .as_ref()
            .filter(|_| now.scaling.is_manual())
            .and_then(with_both_limits);
        let (before, last) = match first {
            Some(both) => (
                Some(Self::of(Some(both), traffic, ingress, false)),
                Self::of(scaling, None, None, marked),
            ),
            None => (None, Self::of(scaling, traffic, ingress, marked)),
        };
        before
            .into_iter()
            .chain((!last.mask.is_empty()).then_some(last))
            .collect()
    }

    fn of(
        scaling: Option<Scaling>,
        traffic: Option<Vec<TrafficTarget>>,
        ingress: Option<String>,
        unmark: bool,
    ) -> Self {
        let parts = [
            ("scaling", scaling.is_some()),
            ("traffic", traffic.is_some()),
            ("ingress", ingress.is_some()),
            ("labels", unmark),
        ];
        Self {
            mask: parts
                .into_iter()
                .filter_map(|(name, there)| there.then_some(name))
                .collect(),
            scaling,
            traffic,
            ingress,
            marker: if unmark {
                Marker::Removed
            } else {
                Marker::Untouched
            },
        }
    }

    /// The request for `service` as it was just read: its etag guards the write, its other labels stay.
    ///
    /// # Errors
    /// `Unexpected` if the vendor gave no etag: the write would not be guarded.
    pub(super) fn into_patch(self, name: &ServiceName, service: &Service) -> Result<ServicePatch> {
        if service.etag.is_empty() {
            return Err(Error::new(ErrorKind::Unexpected, "read service")
                .provider(PROVIDER)
                .context("etag", "is missing, so that a write could not be guarded"));
        }
        let labels = match self.marker {
            Marker::Untouched => None,
            Marker::Set(run) => {
                let mut labels = service.labels.clone();
                labels.insert(MARKER.to_owned(), run);
                Some(labels)
            }
            Marker::Removed => {
                let mut labels = service.labels.clone();
                labels.remove(MARKER);
                Some(labels)
            }
        };
        Ok(ServicePatch {
            mask: self.mask,
            name: name.path(),
            etag: service.etag.clone(),
            scaling: self.scaling,
            traffic: self.traffic,
            ingress: self.ingress,
            labels,
        })
    }
}

/// `run` as a label value: lower case letters, digits, `_` and `-`, at most 63.
pub(super) fn label_value(run: &str) -> String {
    run.chars()
        .map(|letter| letter.to_ascii_lowercase())
        .map(|letter| match letter {
            'a'..='z' | '0'..='9' | '_' | '-' => letter,
            _ => '-',
        })
        .take(63)
        .collect()
}

/// The limits to write first, if `wanted` is automatic and does not have both.
///
/// The stand-ins are the values that no quota can refuse: a maximum equal to the minimum, a minimum of one.
fn with_both_limits(wanted: &Scaling) -> Option<Scaling> {
    let (min, max) = (wanted.min_instance_count, wanted.max_instance_count);
    if wanted.scaling_mode.as_deref() != Some(AUTOMATIC) || (min.is_some() && max.is_some()) {
        return None;
    }
    Some(Scaling {
        min_instance_count: min.or(Some(1)),
        max_instance_count: max.or(min).or(Some(1)),
        ..wanted.clone()
    })
}

/// The label that names the run which stopped the service.
pub(super) const MARKER: &str = "ops-stop-run";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(scaling: serde_json::Value) -> Settings {
        let service = json!({"scaling": scaling, "ingress": "INGRESS_TRAFFIC_ALL"});
        Settings::of(&serde_json::from_value(service).unwrap())
    }

    fn stopped() -> Settings {
        settings(json!({"scalingMode": "MANUAL", "manualInstanceCount": 0}))
    }

    fn limits(write: &Write) -> (Option<i32>, Option<i32>) {
        let scaling = write.scaling.as_ref().unwrap();
        (scaling.min_instance_count, scaling.max_instance_count)
    }

    /// Manual to automatic: "specifying only one returns an error", and without any both inherit the manual count.
    #[test]
    fn from_manual_to_automatic_the_first_write_has_both_limits() {
        for (prior, first) in [
            (json!({"minInstanceCount": 2}), (Some(2), Some(2))),
            (json!({"maxInstanceCount": 9}), (Some(1), Some(9))),
            (json!({}), (Some(1), Some(1))),
        ] {
            let prior = settings(prior);
            let writes = Write::way_back(&stopped(), &prior, true);
            assert_eq!(writes.len(), 2);
            assert_eq!(limits(&writes[0]), first);
            assert_eq!(writes[0].mask, ["scaling"]);
            assert_eq!(writes[1].scaling.as_ref(), Some(&prior.scaling));
            assert_eq!(writes[1].mask, ["scaling", "labels"]);
        }
        let both = settings(json!({"minInstanceCount": 2, "maxInstanceCount": 9}));
        assert_eq!(Write::way_back(&stopped(), &both, true).len(), 1);
    }

    #[test]
    fn manual_settings_and_automatic_ones_of_an_open_service_need_one_write() {
        let manual = settings(json!({"scalingMode": "MANUAL", "manualInstanceCount": 3}));
        assert_eq!(Write::way_back(&stopped(), &manual, false).len(), 1);
        let open = settings(json!({"minInstanceCount": 5, "maxInstanceCount": 5}));
        assert_eq!(
            Write::way_back(&open, &settings(json!({"minInstanceCount": 5})), false).len(),
            1
        );
    }

    #[test]
    fn what_is_equal_is_not_written() {
        assert_eq!(Write::way_back(&stopped(), &stopped(), false), []);
        let marker_only = Write::way_back(&stopped(), &stopped(), true);
        assert_eq!(marker_only[0].mask, ["labels"]);
        // Nothing was known of the ingress, so nothing is written.
        let mut silent = stopped();
        silent.ingress = None;
        assert_eq!(Write::way_back(&stopped(), &silent, false), []);
    }

    #[test]
    fn a_write_needs_an_etag() {
        let name = ServiceName::new("p", "r", "s").unwrap();
        let error = Write::stop(None)
            .into_patch(&name, &Service::default())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
    }

    #[test]
    fn a_run_becomes_a_valid_label_value() {
        assert_eq!(label_value("run_018f"), "run_018f");
        assert_eq!(label_value("Run.1 ✓"), "run-1--");
        assert_eq!(label_value(&"x".repeat(80)).len(), 63);
    }
}
