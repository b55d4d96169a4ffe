//! Long-running operations: their names, their end, and how often to ask.

use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::error::{RpcStatus, from_status};

/// `google.longrunning.Operation`, without the parts that nobody here reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Operation {
    pub(crate) name: String,
    done: bool,
    error: Option<RpcStatus>,
}

impl Operation {
    /// Whether it has ended well.
    ///
    /// # Errors
    /// What the operation failed with.
    pub(crate) fn ended(&self, operation: &'static str, provider: &'static str) -> Result<bool> {
        match &self.error {
            Some(status) if self.done => Err(from_status(status, operation, provider)),
            _ => Ok(self.done),
        }
    }
}

/// The checked name of an operation, safe to put into a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OperationName(String);

impl OperationName {
    /// Accepts `projects/{project}/locations/{region}/operations/{id}` of one of `projects` and of `region`.
    ///
    /// # Errors
    /// `Unexpected` for any other name: following it would read somebody else's operation.
    pub(crate) fn parse(name: &str, projects: &[&str], region: &str) -> Result<Self> {
        let parts: Vec<_> = name.split('/').collect();
        if let ["projects", project, "locations", location, "operations", id] = parts[..]
            && projects.contains(&project)
            && location == region
            && !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::new(ErrorKind::Unexpected, "read operation")
            .context("operation", "is not one of this project and region"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long to wait before asking again: 100 ms, doubling up to 3 s, without end. The caller bounds the whole.
#[derive(Debug)]
pub(crate) struct PollDelays(Duration);

impl PollDelays {
    pub(crate) fn new() -> Self {
        Self(FIRST_DELAY)
    }
}

impl Iterator for PollDelays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST_DELAY);
        Some(now)
    }
}

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_operation_of_this_project_and_region_is_followed() {
        let parse = |name: &str| OperationName::parse(name, &["soul-kun", "1234"], "asia-northeast1");
        assert!(parse("projects/soul-kun/locations/asia-northeast1/operations/5f-a_1").is_ok());
        assert!(parse("projects/1234/locations/asia-northeast1/operations/1").is_ok());
        for foreign in [
            "",
            "projects/other/locations/asia-northeast1/operations/1",
            "projects/soul-kun/locations/us-central1/operations/1",
            "projects/soul-kun/locations/asia-northeast1/services/1",
            "projects/soul-kun/locations/asia-northeast1/operations/",
            "projects/soul-kun/locations/asia-northeast1/operations/1/../../2",
            "projects/soul-kun/locations/asia-northeast1/operations/1?x=1",
            "projects/soul-kun/locations/asia-northeast1/operations/..",
        ] {
            assert_eq!(
                parse(foreign).unwrap_err().kind(),
                ErrorKind::Unexpected,
                "{foreign}"
            );
        }
    }

    #[test]
    fn polls_slow_down_and_never_stop() {
        let delays: Vec<_> = PollDelays::new().map(|delay| delay.as_millis()).take(8).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3000, 3000, 3000]);
    }
}
