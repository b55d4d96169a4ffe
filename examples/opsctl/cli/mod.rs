//! The command line: every verb and its options.

mod audit;
mod backups;
mod calendar;
mod db;
mod drill;
mod incident;
mod leases;
mod limits;
mod mask;
mod migrations;
mod run;
mod tenant;
mod user;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ops_core::model::Lang;

pub(crate) use self::audit::{
    ArchiveArgs, AuditArgs, AuditVerb, FilterArgs, IncidentArgs, PreserveArgs, SearchArgs,
    TrailRetentionArgs, VerifyArgs,
};
pub(crate) use self::backups::{BackupsArgs, BackupsTestArgs, BackupsVerb};
pub(crate) use self::calendar::{CalendarArgs, CalendarVerb};
pub(crate) use self::db::{DbArgs, DbVerb, OnOff};
pub(crate) use self::drill::{DoctorArgs, DrillArgs, DrillVerb, MetricsArgs, SimArgs, WorldName};
pub(crate) use self::incident::{IncidentLogArgs, IncidentVerb, OpenArgs};
pub(crate) use self::leases::{LeasesArgs, LeasesVerb};
pub(crate) use self::limits::{LimitsArgs, LimitsVerb, WhichLimits};
pub(crate) use self::mask::MaskArgs;
pub(crate) use self::migrations::{
    MigrationsArgs, MigrationsBackArgs, MigrationsCare, MigrationsCheckArgs, MigrationsRunArgs,
    MigrationsVerb,
};
pub(crate) use self::run::{
    AbortArgs, ApproveArgs, ForgetArgs, PlanArgs, RestoreArgs, ResumeArgs, ReviewArgs, RunsArgs, StopArgs,
    SwitchArgs, SwitchVerb,
};
pub(crate) use self::tenant::{EraseArgs, RetentionArgs, RetentionVerb, TenantArgs, TenantVerb};
pub(crate) use self::user::{UserArgs, UserVerb, WhoArgs};

/// Stop safely, prove it, put it back exactly.
///
/// Exit codes: 0 done and verified · 1 failed · 2 usage or configuration · 3 partly done · 4 accepted but not verified ·
/// 5 refused (approval, safety rule, drift) · 6 interrupted.
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
    /// A user of the application: end the sessions and suspend the account, give it back
    User(UserArgs),
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
    /// Incidents: open, note, resolve, report
    Incident(IncidentLogArgs),
    /// Tenants: make, check, back-fill, delete, purge, hold
    Tenant(TenantArgs),
    /// Erase a person's data on request; without --yes show what would go where
    Erase(EraseArgs),
    /// Delete what is past its retention period
    Retention(RetentionArgs),
    /// Backups: what would be lost now, and does one restore
    Backups(BackupsArgs),
    /// Who runs what must not run twice at once, until when; take it from a run that hangs
    Leases(LeasesArgs),
    /// Migrations: what state a database is in, what a script would do to it, and running it so that nobody waits
    Migrations(MigrationsArgs),
    /// What is to be done and by when: maintenance, checks, reports
    Calendar(CalendarArgs),
    /// Mask personal data: standard input to standard output
    Mask(MaskArgs),
    /// Find personal data: a line {"text": …} in, a line {"spans": […]} out
    Detect,
}
