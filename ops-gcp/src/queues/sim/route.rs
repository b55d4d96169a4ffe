use ops_core::testkit::SimRequest;
use serde_json::{Map, Value, json};

use crate::sim::refusal::Refusal;

/// What a request is about; `None` is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Subscriptions {
        project: String,
    },
    Queues {
        project: String,
        region: String,
    },
    Tasks {
        project: String,
        region: String,
        queue: String,
    },
    Jobs {
        project: String,
        region: String,
    },
    TimeSeries {
        project: String,
    },
    Permissions {
        project: String,
    },
}

impl Route {
    pub(super) fn of(method: &str, path: &str) -> Option<Self> {
        let own = |text: &str| text.to_owned();
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        Some(match (method, &parts[..]) {
            ("GET", ["v1", "projects", project, "subscriptions"]) => Self::Subscriptions {
                project: own(project),
            },
            ("GET", ["v2", "projects", project, "locations", region, "queues"]) => Self::Queues {
                project: own(project),
                region: own(region),
            },
            (
                "GET",
                [
                    "v2",
                    "projects",
                    project,
                    "locations",
                    region,
                    "queues",
                    queue,
                    "tasks",
                ],
            ) => Self::Tasks {
                project: own(project),
                region: own(region),
                queue: own(queue),
            },
            ("GET", ["v1", "projects", project, "locations", region, "jobs"]) => Self::Jobs {
                project: own(project),
                region: own(region),
            },
            ("GET", ["v3", "projects", project, "timeSeries"]) => Self::TimeSeries {
                project: own(project),
            },
            ("POST", ["v3", "projects", project]) => Self::Permissions {
                project: own(project.strip_suffix(":testIamPermissions")?),
            },
            _ => return None,
        })
    }

    pub(super) fn project(&self) -> &str {
        match self {
            Self::Subscriptions { project }
            | Self::Queues { project, .. }
            | Self::Tasks { project, .. }
            | Self::Jobs { project, .. }
            | Self::TimeSeries { project }
            | Self::Permissions { project } => project,
        }
    }

    /// For faults: what it is about, in a word that a person would write.
    pub(super) fn subject(&self) -> &'static str {
        match self {
            Self::Subscriptions { .. } => "pubsub",
            Self::Queues { .. } | Self::Tasks { .. } => "cloudtasks",
            Self::Jobs { .. } => "cloudscheduler",
            Self::TimeSeries { .. } => "monitoring",
            Self::Permissions { .. } => "cloudresourcemanager",
        }
    }

    /// Testing permissions needs none.
    pub(super) fn permission(&self) -> Option<&'static str> {
        Some(match self {
            Self::Subscriptions { .. } => "pubsub.subscriptions.list",
            Self::Queues { .. } => "cloudtasks.queues.list",
            Self::Tasks { .. } => "cloudtasks.tasks.list",
            Self::Jobs { .. } => "cloudscheduler.jobs.list",
            Self::TimeSeries { .. } => "monitoring.timeSeries.list",
            Self::Permissions { .. } => return None,
        })
    }

    /// The query that the vendor knows, and the most items of a page.
    pub(super) fn query(&self) -> (&'static [&'static str], usize) {
        match self {
            Self::Subscriptions { .. } => (&["pageSize", "pageToken"], 1_000),
            Self::Queues { .. } => (&["pageSize", "pageToken"], 9_800),
            Self::Tasks { .. } => (&["pageSize", "pageToken"], 1_000),
            Self::Jobs { .. } => (&["pageSize", "pageToken"], 500),
            Self::TimeSeries { .. } => (
                &[
                    "filter",
                    "interval.startTime",
                    "interval.endTime",
                    "view",
                    "pageSize",
                    "pageToken",
                ],
                100_000,
            ),
            Self::Permissions { .. } => (&[], 0),
        }
    }
}

/// One page of `all`, under `key`; at most `page` items, whatever is asked for. Empty members are left out, as the vendor does.
pub(super) fn page(
    all: Vec<Value>,
    key: &str,
    request: &SimRequest,
    (most, page): (usize, usize),
) -> Result<Value, Refusal> {
    let asked = match request.query("pageSize").map(str::parse::<usize>) {
        None | Some(Ok(0)) => most,
        Some(Ok(size)) => size.min(most),
        Some(Err(_)) => return Err(Refusal::invalid("pageSize must be a number")),
    };
    let from = match request.query("pageToken") {
        None => 0,
        // A token is of one list.
        Some(token) => token
            .strip_prefix(&format!("{key}+/="))
            .and_then(|from| from.parse().ok())
            .ok_or_else(|| Refusal::invalid("the page token is not one of this list"))?,
    };
    let items: Vec<_> = all.iter().skip(from).take(asked.min(page)).cloned().collect();
    let next = from + items.len();
    let mut answer = Map::new();
    if !items.is_empty() {
        answer.insert(key.to_owned(), items.into());
    }
    if next < all.len() {
        // What must be escaped in a query is in it on purpose.
        answer.insert("nextPageToken".to_owned(), json!(format!("{key}+/={next}")));
    }
    Ok(answer.into())
}
