use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use ops_core::procedures::PermissionIncident;

use crate::archive_place::ArchivePlace;

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
    /// Bring an export to an archive, hold it there, and verify what arrived; what is there already is not sent again
    Archive(ArchiveArgs),
    /// A permission incident: how bad it is, when reports are due, what the user touched and who touched the resource since, by the trail of the configured tenant alone; with --act the evidence is preserved first
    Incident(IncidentArgs),
    /// The months of the trail that are past their time, and whether evidence has all of them; with --yes those that it has go, of every tenant, and the hashes stay. What a legal hold keeps stays (opsctl tenant hold)
    Retention(TrailRetentionArgs),
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
        /// Also keep it where this system cannot change it: a directory elsewhere, or gs://BUCKET[/FOLDER]; held there. Of each length the first one stays, and another trail is refused
        #[arg(long, value_name = "PLACE")]
        archive: Option<ArchivePlace>,
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
    /// Also bring it to an archive, a directory or gs://BUCKET[/FOLDER], hold it there, and verify what arrived
    #[arg(long, value_name = "PLACE")]
    pub(crate) archive: Option<ArchivePlace>,
    /// With --archive: keep it at least until this time (RFC 3339)
    #[arg(long, value_name = "TIME", requires = "archive")]
    pub(crate) retain_until: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// The directory of an export (opsctl audit preserve)
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: PathBuf,
    /// Public keys of the export, one a line
    #[arg(long, visible_alias = "key", value_name = "FILE")]
    pub(crate) public_key: PathBuf,
    /// What it is for: the id of the incident, which is its folder there
    #[arg(long, value_name = "ID")]
    pub(crate) incident: String,
    /// A directory, or gs://BUCKET[/FOLDER]
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: ArchivePlace,
    /// Keep it at least until this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) retain_until: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TrailRetentionArgs {
    /// How many days the trail is kept: a month goes when all of it is older
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep_days: u32,
    /// The directory of an export (opsctl audit preserve); may be given several times. Each tenant that has records of a month needs one that has all of them
    #[arg(long, value_name = "DIR", requires = "public_key")]
    pub(crate) evidence: Vec<PathBuf>,
    /// Public keys of the exports, one a line
    #[arg(long, visible_alias = "key", value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
    /// Remove
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentArgs {
    /// What sort
    #[arg(long, value_enum)]
    pub(crate) kind: IncidentKind,
    /// When it may have begun (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: String,
    /// The user who could do too much, or saw too much
    #[arg(long, value_name = "ID", required_unless_present = "resource", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) user: Option<String>,
    /// What was seen: TYPE:ID
    #[arg(long, value_name = "TYPE:ID")]
    pub(crate) resource: Option<String>,
    /// When it became known (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) known_at: Option<String>,
    /// Somebody did it on purpose: the whole report has 60 days instead of 30
    #[arg(long)]
    pub(crate) on_purpose: bool,
    /// Preserve all records since then as evidence, as `audit preserve` does; without it nothing is preserved
    #[arg(long, requires_all = ["incident", "key", "out"])]
    pub(crate) act: bool,
    /// With --act: the id of the incident
    #[arg(long, value_name = "ID", requires = "act")]
    pub(crate) incident: Option<String>,
    /// With --act: the private key of the log, from `audit keygen`
    #[arg(long, value_name = "FILE", requires = "act")]
    pub(crate) key: Option<PathBuf>,
    /// With --act: a directory that is empty or not there yet
    #[arg(long, value_name = "DIR", requires = "act")]
    pub(crate) out: Option<PathBuf>,
    /// With --act: also bring it to an archive, a directory or gs://BUCKET[/FOLDER]
    #[arg(long, value_name = "PLACE", requires = "act")]
    pub(crate) archive: Option<ArchivePlace>,
    /// With --archive: keep it at least until this time (RFC 3339)
    #[arg(long, value_name = "TIME", requires = "archive")]
    pub(crate) retain_until: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum IncidentKind {
    /// Somebody could do more than they may
    Escalation,
    /// Data of one organisation was seen by another
    Leak,
    /// Somebody cannot do what they may
    Missing,
}

impl From<IncidentKind> for PermissionIncident {
    fn from(kind: IncidentKind) -> Self {
        match kind {
            IncidentKind::Escalation => Self::Escalation,
            IncidentKind::Leak => Self::LeakBetweenOrganisations,
            IncidentKind::Missing => Self::MissingPermission,
        }
    }
}

/// Which records; every given condition must hold.
#[derive(Debug, Default, Args)]
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
