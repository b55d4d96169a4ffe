use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// Take the newest migrations back, by their .down.sql
    Back(MigrationsBackArgs),
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
    #[command(flatten)]
    pub(crate) care: MigrationsCare,
}

#[derive(Debug, Args)]
pub(crate) struct MigrationsBackArgs {
    /// The folder of migrations, with their .down.sql
    pub(crate) dir: PathBuf,
    /// Take this one back: it must be the newest [default: the newest; or what a way back that did not end is about]
    #[arg(long, value_name = "VERSION", conflicts_with = "to")]
    pub(crate) version: Option<String>,
    /// Take everything back that is newer than this one, the newest first
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<String>,
    /// Do it; without this the plan is shown, and nothing is changed. Needs --version or --to, unless a way back did not end
    #[arg(long)]
    pub(crate) yes: bool,
    /// A version of the code that runs and what it uses: a file with its SQL, or with lines TABLE.COLUMN; may be given several times
    #[arg(long, value_name = "VERSION=FILE")]
    pub(crate) code: Vec<String>,
    #[command(flatten)]
    pub(crate) care: MigrationsCare,
}

/// What a run and a way back have in common.
#[derive(Debug, Args)]
pub(crate) struct MigrationsCare {
    /// When the newest backup was taken (RFC 3339) [default: of the newest complete copy in `backup.directory`]
    #[arg(long, value_name = "TIME")]
    pub(crate) backup_at: Option<String>,
    /// A quiet time of every day in Japan, such as 02:00-05:00; may be given several times
    #[arg(long, value_name = "FROM-UNTIL")]
    pub(crate) quiet: Vec<String>,
    /// Go ahead without this item of the check list: state, tested, rollback_script (way back: code), backup, quiet_window
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
