use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ops_core::model::{Destination, EndpointClass, Lang, ReadOnlyStrength, TenantId};

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
    /// Give up a prior state that nobody will put back: the service is gone, or was put in order by hand
    Forget(ForgetArgs),
    /// List runs and what they still hold, or show one as a timeline
    Runs(RunsArgs),
    /// List, stop or open a feature by its kill switch
    Switch(SwitchArgs),
    /// The database: who can write, read-only on and off
    Db(DbArgs),
    /// Search and verify the audit trail
    Audit(AuditArgs),
    /// Show, tighten or reset the limits of requests
    Limits(LimitsArgs),
    /// Prove that a stop and a restore would work; act on nothing
    Doctor(DoctorArgs),
    /// Print the figures of all runs, drills and records that are kept, in the text format of Prometheus
    Metrics(MetricsArgs),
    /// Tenants: make, check, back-fill, delete, purge, hold
    Tenant(TenantArgs),
    /// Erase a person's data on request; without --yes show what would go where
    Erase(EraseArgs),
    /// Delete what is past its retention period
    Retention(RetentionArgs),
    /// Migrations: what state a database is in, what a script would do to it, and running it so that nobody waits
    Migrations(MigrationsArgs),
    /// Mask personal data: standard input to standard output
    Mask(MaskArgs),
    /// Find personal data: a line {"text": …} in, a line {"spans": […]} out
    Detect,
}

#[derive(Debug, Args)]
pub(crate) struct TenantArgs {
    #[command(subcommand)]
    pub(crate) verb: TenantVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantVerb {
    /// Find every table, view, key, role and function by which a tenant may reach another's rows; exit code 1 if there is one
    Check {
        /// Print the statements that put the tables behind row security which are not
        #[arg(long)]
        sql: bool,
    },
    /// Every tenant that there ever was
    List,
    /// Make the organisation, its administrator of level 6 and its root department, all or nothing
    Create {
        /// The tenant's id, such as org_customer_a
        id: String,
        /// What people call it
        #[arg(long)]
        name: String,
        /// The administrator's mail address
        #[arg(long, value_name = "ADDRESS")]
        admin_email: String,
        /// What it subscribes to
        #[arg(long, default_value = "standard")]
        plan: String,
    },
    /// Give the rows without a tenant to one, a few at a time; run it again after an interruption
    BackFill {
        /// The tenant [default: that of the configuration]
        #[arg(long, value_name = "ID")]
        tenant: Option<String>,
        /// Only count
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete logically: the data stays for 30 days
    Delete {
        /// The tenant
        id: String,
    },
    /// Take a logical deletion back
    Undelete {
        /// The tenant
        id: String,
    },
    /// Remove every row of a tenant that was deleted 30 days ago, and prove it; without --yes only count
    Purge {
        /// The tenant
        id: String,
        /// Remove
        #[arg(long)]
        yes: bool,
    },
    /// Keep purge, erasure and retention from the data of a tenant, or of one person of it
    Hold {
        /// The tenant
        id: String,
        /// Only this person
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// Why: a case number
        #[arg(long)]
        reason: String,
    },
    /// Release a hold
    Release {
        /// Its id
        hold: uuid::Uuid,
    },
    /// What is held
    Holds,
}

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The person's id
    pub(crate) user: String,
    /// The tenant [default: that of the configuration]
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Erase
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    #[command(subcommand)]
    pub(crate) verb: RetentionVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionVerb {
    /// Apply the rules
    Run {
        /// Only count
        #[arg(long)]
        dry_run: bool,
    },
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
pub(crate) struct ForgetArgs {
    /// The run that holds it
    pub(crate) run: String,
    /// Only this target; may be given several times [default: all that the run holds]
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Vec<String>,
    /// Why nobody will put it back
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: String,
    /// Show what would be given up, ask for approval, and stop there
    #[arg(long)]
    pub(crate) dry_run: bool,
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
pub(crate) struct LimitsArgs {
    #[command(subcommand)]
    pub(crate) verb: LimitsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LimitsVerb {
    /// The limits as they are in force, and what was changed for a time
    Show,
    /// Put limits at a percentage of what they are; 0 suspends
    Tighten {
        /// The percentage, 0 to 99
        #[arg(value_parser = clap::value_parser!(u32).range(0..=99))]
        percent: u32,
        #[command(flatten)]
        which: WhichLimits,
        /// Ends by itself after so many minutes [default: when it is reset]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=44_640))]
        minutes: Option<u32>,
    },
    /// Take back what was changed, all of it or that of a class or tenant
    Reset {
        #[command(flatten)]
        which: WhichLimits,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WhichLimits {
    /// Only limits of this class: api, llm, search, admin
    #[arg(long)]
    pub(crate) class: Option<EndpointClass>,
    /// Only for this tenant
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
}

#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) verb: DbVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbVerb {
    /// Who can write now, and what weighs on the database
    Status,
    /// Who keeps whom waiting
    Blockers,
    /// Cancel statements or end sessions, by the rules of ops.toml or one by its number; shows only, unless --act is given
    Cancel {
        /// A rule of ops.toml; default: all of them
        #[arg(long, conflicts_with = "pid")]
        rule: Option<String>,
        /// One session
        #[arg(long)]
        pid: Option<i32>,
        /// With --pid: end the session instead of cancelling what it runs
        #[arg(long, requires = "pid")]
        end: bool,
        /// Do it
        #[arg(long)]
        act: bool,
    },
    /// Turn the tight timeouts of ops.toml on or off
    Timeouts {
        /// on or off
        #[arg(value_enum)]
        mode: OnOff,
        /// With off: overwrite what others changed since
        #[arg(long)]
        accept_drift: bool,
    },
    /// The tables that take most room
    Tables {
        /// How many
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        most: u32,
    },
    /// Turn read-only mode on or off
    ReadOnly {
        /// on or off
        #[arg(value_enum)]
        mode: OnOff,
        /// With on: brake (new sessions only), strict (also ends the others) or wall (also takes the privileges); default: ops.toml
        #[arg(long)]
        strength: Option<ReadOnlyStrength>,
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
pub(crate) struct MigrationsArgs {
    #[command(subcommand)]
    pub(crate) verb: MigrationsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrationsVerb {
    /// What is applied, pending, unknown, changed, dirty or half done
    Status {
        /// The migrations of this release
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Locks, proof, compatibility and reversibility of scripts; acts on nothing but a throw-away server
    Check(MigrationsCheckArgs),
    /// Run what is pending
    Run(MigrationsRunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MigrationsCheckArgs {
    /// Scripts, or one folder of migrations
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Look at the schema of the configured database (only reads)
    #[arg(long, conflicts_with = "schema")]
    pub(crate) database: bool,
    /// Look at this schema: a file that `pg_dump --schema-only` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Also run it on a throw-away server with that schema, there and back
    #[arg(long)]
    pub(crate) proof: bool,
    /// A version of the code and what it uses: a file with its SQL, or with lines TABLE.COLUMN; may be given several times
    #[arg(long, value_name = "VERSION=FILE")]
    pub(crate) code: Vec<String>,
    /// The time zone of the sessions that will migrate
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) time_zone: String,
}

#[derive(Debug, Args)]
pub(crate) struct MigrationsRunArgs {
    /// The folder of migrations
    pub(crate) dir: PathBuf,
    /// Show the plan and the check list and stop there
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// When the newest backup was taken (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) backup_at: Option<String>,
    /// A quiet time of every day in Japan, such as 02:00-05:00; may be given several times
    #[arg(long, value_name = "FROM-UNTIL")]
    pub(crate) quiet: Vec<String>,
    /// Go ahead without this item of the check list: tested, rollback_script, backup, quiet_window
    #[arg(long, value_name = "ITEM", requires = "reason")]
    pub(crate) accept: Vec<String>,
    /// Why that is acceptable
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// A program that restarts the application when the schema is new
    #[arg(long, value_name = "COMMAND")]
    pub(crate) restart: Option<String>,
    /// How many seconds the database is watched afterwards
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub(crate) watch: u64,
    /// The time zone of the sessions
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) time_zone: String,
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
