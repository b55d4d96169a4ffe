use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct IncidentLogArgs {
    #[command(subcommand)]
    pub(crate) verb: IncidentVerb,
}

/// ID: the end of an incident's id, at least four characters, or all of it.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentVerb {
    /// Open an incident
    Open(OpenArgs),
    /// Take it on
    Ack { id: String },
    /// Say where the fault is: llm-brain, guardian, database, external-api, front-end, back-end, infrastructure
    Layer { id: String, layer: String },
    /// Write down what was seen or done
    Note { id: String, text: String },
    /// Raise or lower the severity
    Severity {
        id: String,
        severity: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Say that a run belongs to it
    Link { id: String, run: String },
    /// Say who was hit, by what, for how long
    Impact { id: String, text: String },
    /// Say what the cause is
    Cause { id: String, text: String },
    /// Say what keeps it from happening again
    Prevent {
        id: String,
        text: String,
        /// Who sees to it: an id from your directory
        #[arg(long, value_name = "ID")]
        owner: String,
    },
    /// Say that it is over, and what ended it
    Resolve { id: String, text: String },
    /// Say that it was not over
    Reopen { id: String, text: String },
    /// Show one
    Show { id: String },
    /// List those that are not over, newest first
    List {
        /// Also those that are over
        #[arg(long)]
        all: bool,
        /// Only those of this tenant, and those of everybody
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
    },
    /// Compare everything that is on this machine with the database, and bring what it lacks: after the database was put back to an older state
    Share,
    /// The report (障害報告書) as Markdown
    Report {
        id: String,
        /// Into this file, which must not be there yet
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// What it is called; personal data in it is masked
    pub(crate) title: String,
    /// P1 to P4, or Sev1 to Sev4
    #[arg(long, value_name = "P1..P4")]
    pub(crate) severity: String,
    /// Whose it is [default: it concerns everybody]
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// When it was first noticed (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) detected_at: Option<String>,
    /// Where the fault is, if that is known
    #[arg(long, value_name = "LAYER")]
    pub(crate) layer: Option<String>,
}
