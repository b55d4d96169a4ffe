use clap::{Args, Subcommand};
use ops_core::model::{EndpointClass, TenantId};

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
