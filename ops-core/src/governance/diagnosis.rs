use std::fmt::Write;

use serde::Serialize;

use crate::model::{Check, CheckState, TargetId, Text, Timestamp};

/// What the doctor found. It acted on nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// When it was looked.
    pub at: Timestamp,
    /// Everything that was looked at, the worst first.
    pub checks: Vec<Check>,
    /// Deployed services that no procedure stops.
    pub uncovered: Vec<TargetId>,
    /// Listed services that are not deployed.
    pub gone: Vec<TargetId>,
    /// What cannot be found out by reading.
    pub limitations: Vec<Text>,
}

impl Diagnosis {
    /// The worst of all states; `Unknown` when nothing was looked at.
    pub fn state(&self) -> CheckState {
        let worst = self.checks.iter().map(|check| check.state).max();
        worst.unwrap_or(CheckState::Unknown)
    }

    /// How many checks have that state.
    pub fn count(&self, state: CheckState) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }

    /// The figures in the text format of Prometheus, to warn by:
    /// `ops_doctor_ok == 0 or time() - ops_doctor_last_run_timestamp_seconds > 2 * 86400`. A vendor that has no dry way to prove the right to write
    /// keeps it at 0: warn by `ops_doctor_checks` there.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, samples: &[(String, String)]| {
            // Writing into a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let plain = |value: String| vec![(String::new(), value)];
        let ok = u8::from(self.state() == CheckState::Ready);
        gauge(
            "ops_doctor_ok",
            "Whether everything that the button needs is there (1) or not, or not known (0).",
            &plain(ok.to_string()),
        );
        let by_state: Vec<_> = CheckState::ALL
            .iter()
            .map(|state| {
                (
                    format!("{{state=\"{}\"}}", state.as_str()),
                    self.count(*state).to_string(),
                )
            })
            .collect();
        gauge("ops_doctor_checks", "Checks by their answer.", &by_state);
        gauge(
            "ops_doctor_uncovered_services",
            "Deployed services that no procedure stops.",
            &plain(self.uncovered.len().to_string()),
        );
        gauge(
            "ops_doctor_gone_services",
            "Listed services that are not deployed.",
            &plain(self.gone.len().to_string()),
        );
        gauge(
            "ops_doctor_last_run_timestamp_seconds",
            "When it was looked, in seconds since 1970.",
            &plain((self.at.as_unix_micros() / 1_000_000).to_string()),
        );
        text
    }
}
