use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WorldName {
    /// Cloud Run
    Gcp,
    /// Railway and Vercel
    Paas,
    /// Both
    All,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DrillArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<DrillVerb>,
    /// Only this procedure
    pub(crate) procedure: Option<String>,
    /// The simulated vendors
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) world: WorldName,
    /// What goes wrong, as FAULT or FAULT@TARGET: latency, refused, 429, 503, 403, lost-answer, never-ends, drift
    #[arg(long, value_name = "FAULT[@TARGET]")]
    pub(crate) fault: Vec<String>,
    /// Break a rule of the simulation, to see that the report turns false: ignore-stop, forget-on-restore
    #[arg(long, value_name = "RULE")]
    pub(crate) break_rule: Vec<String>,
    /// Keep the report, and its digest in an audit trail, in this directory [default: state_dir of ops.toml, if there is one]
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DrillVerb {
    /// The drills that were kept
    List {
        /// Where they are kept [default: state_dir of ops.toml]
        #[arg(long, value_name = "DIR")]
        evidence: Option<PathBuf>,
    },
    /// One drill, and whether it fits the audit trail
    Show {
        /// The run that stopped
        run: String,
        /// Where it is kept [default: state_dir of ops.toml]
        #[arg(long, value_name = "DIR")]
        evidence: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// The simulated vendors
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) world: WorldName,
    /// What goes wrong, as FAULT or FAULT@TARGET
    #[arg(long, value_name = "FAULT[@TARGET]")]
    pub(crate) fault: Vec<String>,
    /// Let the procedures make the database of DATABASE_URL read-only, and keep journal and audit trail in it
    #[arg(long)]
    pub(crate) database: bool,
    /// Also write the configuration to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also write the figures to this file, in the text format of Prometheus
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Also the figures that `doctor --metrics FILE` wrote [default: doctor.prom in state_dir, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) doctor: Option<PathBuf>,
    /// Write them to this file instead, in place of the old one at once
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}
