use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Show this run as a timeline
    pub(crate) run: Option<String>,
    /// The timeline as Markdown, for an incident report
    #[arg(long, requires = "run")]
    pub(crate) markdown: bool,
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
