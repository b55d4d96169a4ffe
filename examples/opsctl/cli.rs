use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ops_core::model::{Destination, Lang};

/// Stop safely, prove it, put it back exactly.
///
/// Exit codes: 0 done and verified · 1 failed · 2 usage or configuration · 3 partly done · 4 accepted but not verified ·
/// 5 refused (approval, safety rule, drift).
#[derive(Debug, Parser)]
#[command(name = "opsctl", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = "ops.toml")]
    pub(crate) config: PathBuf,
    /// The language of the output [default: that of ops.toml, else ja]
    #[arg(long, global = true, value_enum)]
    pub(crate) lang: Option<Language>,
    /// Who acts: an id from your directory [default: OPS_ACTOR, else USER]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) actor: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Language {
    Ja,
    En,
}

impl From<Language> for Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::Ja => Self::Ja,
            Language::En => Self::En,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Stop, verify and restore on simulated vendors, and report
    Drill(DrillArgs),
    /// Run the simulated vendors as a process and print an ops.toml to use with them
    Sim(SimArgs),
    /// Show what a stop would do; act on nothing
    Plan(PlanArgs),
    /// Stop
    Stop(StopArgs),
    /// Sign a plan with your key
    Approve(ApproveArgs),
    /// List what broke the glass, and whether somebody else has looked at it
    Reviews,
    /// Close the review of a run that broke the glass
    Review(ReviewArgs),
    /// Take up a run after a crash, or one that did not verify
    Resume(ResumeArgs),
    /// Put back what a run changed
    Restore(RestoreArgs),
    /// Turn a restore round: close again what it has opened
    Abort(AbortArgs),
    /// List runs and what they still hold, or show one as a timeline
    Runs(RunsArgs),
    /// List, stop or open a feature by its kill switch
    Switch(SwitchArgs),
    /// The database: who can write, read-only on and off
    Db(DbArgs),
    /// Search and verify the audit trail
    Audit(AuditArgs),
    /// Prove that a stop and a restore would work; act on nothing
    Doctor(DoctorArgs),
    /// Print the figures of all runs, drills and records that are kept, in the text format of Prometheus
    Metrics(MetricsArgs),
    /// Mask personal data: standard input to standard output
    Mask(MaskArgs),
    /// Find personal data: a line {"text": …} in, a line {"spans": […]} out
    Detect,
}

#[derive(Debug, Args)]
pub(crate) struct MaskArgs {
    /// Where the text goes
    #[arg(long = "for", value_enum, value_name = "DESTINATION")]
    pub(crate) destination: MaskFor,
    /// Also report lines that are no JSON
    #[arg(long)]
    pub(crate) json_lines: bool,
    /// The keys for pseudonyms and encryption, one a line: an id and 64 hexadecimal digits, the current one first
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MaskFor {
    /// A log
    Log,
    /// Outside the company, such as a language model
    External,
    /// A table or file that is kept
    Storage,
    /// A screen of the company's own support
    Support,
}

impl From<MaskFor> for Destination {
    fn from(to: MaskFor) -> Self {
        match to {
            MaskFor::Log => Self::Log,
            MaskFor::External => Self::External,
            MaskFor::Storage => Self::Storage,
            MaskFor::Support => Self::Support,
        }
    }
}

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
pub(crate) struct RunsArgs {
    /// Show this run as a timeline
    pub(crate) run: Option<String>,
    /// The timeline as Markdown, for an incident report
    #[arg(long, requires = "run")]
    pub(crate) markdown: bool,
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

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The procedure, as named in ops.toml
    pub(crate) procedure: String,
    /// Narrow the procedure: services=NAME,NAME
    #[arg(long, value_name = "K=V")]
    pub(crate) param: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Show the plan and stop there
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go ahead without the approvals that the rules ask for; say why
    #[arg(long, value_name = "REASON")]
    pub(crate) break_glass: Option<String>,
    /// With --break-glass: a rule to go against (approvals, or the name of the rule); may be given several times
    #[arg(long = "override", value_name = "RULE", requires = "break_glass")]
    pub(crate) overrides: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The digest that `stop --dry-run` or `restore --dry-run` printed
    pub(crate) plan: String,
    /// A file with your Ed25519 private key (64 hexadecimal digits)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Sign although nobody filed a request that shows what the digest stands for
    #[arg(long)]
    pub(crate) blind: bool,
    /// With --json: sign. Without it, --json only shows what would be signed
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    /// The run that broke the glass
    pub(crate) run: String,
    /// What you found
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run; without it, the newest that has not ended
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The run that stopped
    pub(crate) run: String,
    /// Show the plan and stop there
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Overwrite what others changed since the stop
    #[arg(long)]
    pub(crate) accept_drift: bool,
    /// Break the glass: open everything at once, without gates and shares; say why. The approvals are needed all the same
    #[arg(long, value_name = "REASON")]
    pub(crate) skip_gates: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// The restore
    pub(crate) run: String,
    /// Why
    #[arg(long, value_name = "REASON", default_value = "no reason given")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    #[command(subcommand)]
    pub(crate) verb: SwitchVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SwitchVerb {
    /// Every feature and its state
    List,
    /// Stop a feature
    Stop {
        /// The feature, as named in ops.toml
        feature: String,
    },
    /// Open a feature
    Open {
        /// The feature, as named in ops.toml
        feature: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) verb: DbVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbVerb {
    /// Who can write now
    Status,
    /// Turn read-only mode on or off
    ReadOnly {
        /// on or off
        #[arg(value_enum)]
        mode: OnOff,
        /// With off: overwrite what others changed since
        #[arg(long)]
        accept_drift: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Find records, newest first
    Search(SearchArgs),
    /// Verify the hash chain; with --checkpoint also that the trail is still the one that was signed; offline: one record (--proof), an export (--evidence), a dump (--dump)
    Verify(VerifyArgs),
    /// Export records as evidence: compressed parts, a signed checkpoint and a signed manifest; verified before it is said to be done
    Preserve(PreserveArgs),
    /// Make a key that signs checkpoints: FILE is the private key, FILE.pub the public one
    Keygen {
        /// What the log is called, such as audit.example.com
        name: String,
        /// Where the private key goes; never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign how long the trail is and the root of its hash tree; keep the file where this system cannot change it
    Checkpoint {
        /// The private key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the checkpoint goes. One that is there already must be of the same trail, or nothing is signed
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Public keys of the checkpoint that is there already, one a line; the one of --key is known
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
    /// Prove that a record is in the trail that was signed; the proof goes to standard output
    Prove {
        /// The id of the record
        id: uuid::Uuid,
        /// The signed checkpoint
        #[arg(long, value_name = "FILE")]
        checkpoint: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A checkpoint that was kept elsewhere
    #[arg(long, value_name = "FILE", requires = "public_key", conflicts_with = "proof")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A proof of one record; needs neither configuration nor store
    #[arg(long, value_name = "FILE", requires = "public_key")]
    pub(crate) proof: Option<PathBuf>,
    /// The directory of an export; needs neither configuration nor store
    #[arg(long, value_name = "DIR", requires = "public_key", conflicts_with_all = ["proof", "dump"])]
    pub(crate) evidence: Option<PathBuf>,
    /// With --evidence: also print each record, as one JSON document a line
    #[arg(long, requires = "evidence", conflicts_with = "json")]
    pub(crate) print: bool,
    /// A plain file of `pg_dump --data-only`: whether it is whole, and has rows at all
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    pub(crate) dump: Option<PathBuf>,
    /// With --dump: the table, its partitions included
    #[arg(long, value_name = "NAME", default_value = "audit_logs")]
    pub(crate) table: String,
    /// With --dump: how many rows were counted
    #[arg(long, value_name = "N", requires = "dump")]
    pub(crate) rows: Option<u64>,
    /// Public keys, one a line
    #[arg(long, visible_alias = "key", value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PreserveArgs {
    /// What it is for: the id of the incident
    #[arg(long, value_name = "ID")]
    pub(crate) incident: String,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// The private key of the log, from `audit keygen`
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// A directory that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// A checkpoint that was kept elsewhere: the trail must still fit it; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// No record at all is an answer, not an error
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Also bring it to an archive in this directory, hold it there, and verify what arrived
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// With --archive: keep it at least until this time (RFC 3339)
    #[arg(long, value_name = "TIME", requires = "archive")]
    pub(crate) retain_until: Option<String>,
}

/// Which records; every given condition must hold.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// By this actor
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// On this resource: TYPE, or TYPE:ID
    #[arg(long)]
    pub(crate) resource: Option<String>,
    /// Not before this time (RFC 3339)
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Before this time (RFC 3339)
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// This action; may be given several times
    #[arg(long)]
    pub(crate) action: Vec<String>,
    /// Only delete, update_permission and export
    #[arg(long)]
    pub(crate) high_privilege: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// How many records, 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// The `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}
