use clap::{Args, Subcommand, ValueEnum};
use ops_core::model::ReadOnlyStrength;

#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) verb: DbVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbVerb {
    /// Who can write now, and what weighs on the database
    Status,
    /// What is likely the matter and what to do about it; also where it cannot be reached
    Triage,
    /// Bring our own schema (ops) up to date; safe to run twice, and by many at once
    Migrate,
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
