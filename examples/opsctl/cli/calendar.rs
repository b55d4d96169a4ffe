use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct CalendarArgs {
    #[command(subcommand)]
    pub(crate) verb: CalendarVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CalendarVerb {
    /// What is to be done; exit code 1 if something is overdue, 3 if something is due today
    Due {
        /// How far to look ahead, such as 7d or 12h, at most 400d
        #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = span)]
        within: Duration,
        /// Also what was settled in the last 31 days, and what comes later
        #[arg(long)]
        all: bool,
    },
    /// Say that something was done
    Done {
        /// What, as `calendar due` shows it: restore-test/2026-Q4
        key: String,
        /// What else is to be said; personal data is masked
        #[arg(long)]
        note: Option<String>,
        /// What shows it: a file, of which name and SHA-256 are kept, or words such as a ticket
        #[arg(long, value_name = "FILE|TEXT")]
        evidence: Option<String>,
        /// When it was done, in RFC 3339 or as a day [default: now]
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Give up what will not be done any more
    Skip {
        /// What
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        /// Why; personal data is masked
        #[arg(long)]
        reason: String,
    },
    /// Set a date for something that is to be done once, such as a report
    Add {
        /// What is to be done; personal data is masked
        title: String,
        /// By when, in RFC 3339, or by the end of a day in Japan: 2026-12-01
        #[arg(long, value_name = "TIME")]
        due: String,
        /// What it is about, such as the id of an incident
        #[arg(long, value_name = "ID")]
        about: Option<String>,
    },
    /// What was done and what was skipped
    History {
        /// Only of this item, key, or what dates were about
        item: Option<String>,
    },
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a whole number with d or h, up to 400d, as in 7d".to_owned();
    let (number, seconds) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24 * 60 * 60),
        (_, Some(hours)) => (hours, 60 * 60),
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let span = number.checked_mul(seconds).map(Duration::from_secs);
    span.filter(|span| *span <= ops_core::governance::MAX_AHEAD)
        .ok_or_else(wrong)
}
