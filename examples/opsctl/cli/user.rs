use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    pub(crate) verb: UserVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserVerb {
    /// Whether the account is suspended, and before when its sessions ended
    Show {
        #[command(flatten)]
        who: WhoArgs,
    },
    /// End the sessions and suspend the account
    Stop {
        #[command(flatten)]
        who: WhoArgs,
        /// Show the plan and stop there
        #[arg(long)]
        dry_run: bool,
    },
    /// Give the account back; the sessions stay ended
    Restore {
        #[command(flatten)]
        who: WhoArgs,
        /// Show the plan and stop there
        #[arg(long)]
        dry_run: bool,
        /// Overwrite what others changed since the stop
        #[arg(long)]
        accept_drift: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct WhoArgs {
    /// The tenant of Identity Toolkit, or - for the users of none
    pub(crate) tenant: String,
    /// The id of the user there (localId); not a mail address
    pub(crate) user: String,
}
