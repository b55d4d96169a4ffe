use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::error::Result;

use super::client::Client;
use super::item::Item;
use crate::pages::encoded;

/// The newest value of a metric of Cloud Monitoring, by the value of one label of its resource.
///
/// Not the series that ended: only the last ten minutes are read. Figures of a queue are some minutes old.
pub(super) async fn newest(client: &Client, metric: &str, label: &str) -> Result<BTreeMap<String, f64>> {
    let now = client.now();
    let filter = format!("metric.type=\"{metric}\"");
    let url = format!(
        "{}/v3/projects/{}/timeSeries?filter={}&interval.startTime={}&interval.endTime={}&view=FULL",
        client.monitoring,
        client.project,
        encoded(&filter),
        encoded(&(now - WINDOW).to_string()),
        encoded(&now.to_string()),
    );
    let series = client.list_all(&url, SERIES, PAGE, "read backlog").await?;
    let label = format!("/resource/labels/{label}");
    let mut newest = BTreeMap::new();
    for series in series {
        // The points come newest first.
        let value = series.items(POINTS).first().and_then(value);
        if let (Some(of), Some(value)) = (series.text(&label), value) {
            // Several series of one queue differ in labels that do not matter here.
            *newest.entry(of.to_owned()).or_insert(0.0) += value;
        }
    }
    Ok(newest)
}

fn value(point: &Item) -> Option<f64> {
    point
        .number("/value/int64Value")
        .or_else(|| point.number("/value/doubleValue"))
}

/// A count of messages. A negative or endless one is none.
pub(super) fn count(value: f64) -> Option<u64> {
    (value.is_finite() && value >= 0.0).then_some(value as u64)
}

pub(super) fn age(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

const SERIES: &str = "/timeSeries";
const POINTS: &str = "/points";
const WINDOW: Duration = Duration::from_secs(600);
const PAGE: u32 = 1_000;
