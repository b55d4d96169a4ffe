use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct BackupsArgs {
    #[command(subcommand)]
    pub(crate) verb: BackupsVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupsVerb {
    /// Is there a backup that would save us, how old is it, and how much would be lost; only looks
    Check {
        /// The directory with dumps and base backups [default: that of `backup` in ops.toml]
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Restore a dump into a throw-away server, look at what came out, and keep that as evidence
    Test(BackupsTestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BackupsTestArgs {
    /// A dump: a file of pg_dump, plain or -Fc, or a folder of -Fd. Only your own: a plain dump is a script
    pub(crate) dump: PathBuf,
    /// How long a restore may take, such as 90s, 30m or 4h [default: `backup.rto`, else 1h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) rto: Option<Duration>,
    /// Do not compare its tables with those of the configured database
    #[arg(long)]
    pub(crate) alone: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a whole number with s, m or h, such as 90s, 30m or 4h".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(u64::from(number) * seconds))
}
