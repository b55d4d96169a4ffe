use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ops_core::model::Destination;

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
