use std::process::ExitCode;

use ops_core::config::ConfigFaults;
use ops_core::emergency::Refusal;
use ops_core::error::{Error, ErrorKind};
use ops_core::model::{Lang, LeaseState, OutcomeStatus, Text};
use serde_json::json;

use crate::print::Printer;

/// How the tool ends. The numbers are part of its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Partly = 3,
    Unverified = 4,
    Refused = 5,
    Interrupted = 6,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partly => 3,
            Self::Unverified => 4,
            Self::Refused => 5,
            Self::Interrupted => 6,
        }
    }
}

impl From<OutcomeStatus> for Exit {
    fn from(status: OutcomeStatus) -> Self {
        match status {
            OutcomeStatus::Verified => Self::Done,
            OutcomeStatus::Unverified => Self::Unverified,
            OutcomeStatus::Partial => Self::Partly,
            OutcomeStatus::Failed => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a verb did not get as far as a report.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line does not fit the configuration; what and what to do.
    Usage { what: String, remedy: String },
    /// `ops.toml` is wrong.
    Config { file: String, faults: ConfigFaults },
    /// A rule says no.
    Refused(Refusal),
    /// The world moved between what was agreed on and the change; nothing was changed.
    Overtaken { what: Text, remedy: String },
    /// Somebody else runs it now; nothing was changed.
    Held(LeaseState),
    /// It could not be done.
    Failed(Error),
}

impl Failure {
    pub(crate) fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Why, on one line, for a report that goes on without it.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Usage { what, .. } => what.clone(),
            Self::Failed(error) => error.to_string(),
            other => format!("exit code {}", other.exit().code()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Config { .. } => Exit::Usage,
            Self::Refused(Refusal::Undecided(_)) => Exit::Failed,
            Self::Refused(Refusal::UnknownRun { .. } | Refusal::UnknownRule { .. }) => Exit::Usage,
            Self::Refused(_) | Self::Overtaken { .. } | Self::Held(_) => Exit::Refused,
            Self::Failed(error) if error.kind() == ErrorKind::InvalidConfig => Exit::Usage,
            Self::Failed(error) if error.kind() == ErrorKind::InvalidInput => Exit::Usage,
            Self::Failed(_) => Exit::Failed,
        }
    }

    /// Prints it and says how to end.
    pub(crate) fn show(&self, printer: &Printer) -> Exit {
        let exit = self.exit();
        if printer.json() {
            printer.document(&self.document(exit));
            return exit;
        }
        match self {
            Self::Usage { what, remedy } => {
                printer.error(&format!("opsctl: {what}"));
                printer.error(&format!("  → {remedy}"));
            }
            Self::Config { file, faults } => {
                let count = faults.faults.len();
                printer.error(&printer.pick(
                    &format!("opsctl: {file} に誤りが {count} 件あります"),
                    &format!("opsctl: {count} faults in {file}"),
                ));
                faults
                    .faults
                    .iter()
                    .for_each(|fault| printer.error(&format!("  {fault}")));
            }
            Self::Refused(refusal) => {
                let text = refusal.text();
                let why = printer.text(&text);
                printer.error(&printer.pick(&format!("拒否: {why}"), &format!("refused: {why}")));
                if let Refusal::Drifted { steps } | Refusal::Changed { steps } = refusal {
                    printer.drift(steps);
                }
                if let Refusal::Violates { rules } = refusal {
                    let names: Vec<_> = rules
                        .iter()
                        .map(|rule| format!(" --override {}", rule.rule))
                        .collect();
                    printer.error(&format!("  → --break-glass REASON{}", names.concat()));
                }
                if !matches!(refusal, Refusal::Undecided(_)) {
                    printer.error(&printer.pick("  何も変更していません", "  nothing has been changed"));
                }
            }
            Self::Overtaken { what, remedy } => {
                printer.error(&printer.pick(
                    &format!("拒否: {}", printer.text(what)),
                    &format!("refused: {}", printer.text(what)),
                ));
                printer.error(&format!("  → {remedy}"));
                printer.error(&printer.pick("  何も変更していません", "  nothing has been changed"));
            }
            Self::Held(lease) => {
                let (who, since) = (lease.holder.as_deref().unwrap_or("-"), lease.since.to_jst());
                let (name, until) = (&lease.name, lease.until.to_jst());
                printer.error(&printer.pick(
                    &format!("拒否: {name} は {who} が {since} から実行中です（{until} まで。終わるまで延長されます）"),
                    &format!("refused: {name} is run by {who} since {since} JST, until {until} JST, which it renews until it ends"),
                ));
                printer.error("  → opsctl leases");
                printer.error(&printer.pick("  何も変更していません", "  nothing has been changed"));
            }
            Self::Failed(error) => printer.error(&format!("opsctl: {error}")),
        }
        exit
    }

    fn document(&self, exit: Exit) -> serde_json::Value {
        let error = match self {
            Self::Usage { what, remedy } => json!({"kind": "usage", "message": what, "remedy": remedy}),
            Self::Config { file, faults } => {
                let faults: Vec<_> = faults
                    .faults
                    .iter()
                    .map(|fault| json!({"line": fault.line, "key": fault.key, "problem": fault.problem, "remedy": fault.remedy}))
                    .collect();
                json!({"kind": "config", "file": file, "faults": faults})
            }
            Self::Refused(Refusal::Drifted { steps }) => {
                let drift: Vec<_> = steps
                    .iter()
                    .map(|step| json!({"target": step.target, "drift": step.drift}))
                    .collect();
                json!({"kind": "drifted", "message": "changed since the stop", "targets": drift})
            }
            Self::Refused(Refusal::Changed { steps }) => {
                let drift: Vec<_> = steps
                    .iter()
                    .map(|step| json!({"target": step.target, "drift": step.drift}))
                    .collect();
                json!({"kind": "changed", "message": "changed since it was approved", "targets": drift})
            }
            Self::Refused(refusal @ Refusal::Violates { rules }) => {
                json!({"kind": "violates", "message": refusal.to_string(), "rules": rules})
            }
            Self::Refused(refusal) => json!({"kind": "refused", "message": refusal.to_string()}),
            Self::Overtaken { what, remedy } => {
                json!({"kind": "overtaken", "message": what.get(Lang::En), "remedy": remedy})
            }
            Self::Held(lease) => {
                json!({"kind": "held", "message": "somebody else runs it now; nothing was changed", "lease": lease})
            }
            Self::Failed(error) => json!({"kind": error.kind().to_string(), "message": error.to_string()}),
        };
        json!({"error": error, "exit_code": exit.code()})
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
