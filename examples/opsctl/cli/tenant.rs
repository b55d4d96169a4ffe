use clap::{Args, Subcommand};

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
        /// Only this resource of the trail: TYPE or TYPE:ID; of application tables all rows of the tenant are kept, for no rule says which are its
        #[arg(long, value_name = "TYPE:ID")]
        resource: Option<String>,
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
    /// Also remove what the person is called from the audit trail; its records stay, and its hashes hold
    #[arg(long)]
    pub(crate) trail: bool,
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
