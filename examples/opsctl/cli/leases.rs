use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct LeasesArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<LeasesVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeasesVerb {
    /// Take a job from a run that hangs: it learns so at its next renewal, and nobody else begins before the time that it was last promised is over
    Release {
        /// The job, as `opsctl leases` shows it
        name: String,
        /// Why: for the audit trail
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
    },
}
