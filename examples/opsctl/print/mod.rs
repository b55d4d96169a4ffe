//! What people and programs get to read.

mod plan;
mod report;

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ops_core::model::{Lang, RunId, Text};
use serde_json::Value;

pub(crate) use self::plan::{last_drill_document, plan_document};
pub(crate) use self::report::{report_document, steps_document};
use crate::cli::Language;

/// Writes for people (aligned, coloured on a terminal only) or one JSON document for programs.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    /// Set by the command line, else by the configuration once it is read.
    lang: OnceLock<Lang>,
    colour: bool,
    /// The run that this process has in hand, for when it is interrupted.
    in_hand: Arc<Mutex<Option<RunId>>>,
    /// What to do after an interruption where no such run is in hand.
    remedy: OnceLock<Text>,
}

impl Printer {
    pub(crate) fn new(json: bool, lang: Option<Language>) -> Self {
        let lang = lang.map_or_else(OnceLock::new, |lang| OnceLock::from(Lang::from(lang)));
        Self {
            json,
            lang,
            colour: !json && std::io::stdout().is_terminal(),
            in_hand: Arc::default(),
            remedy: OnceLock::new(),
        }
    }

    /// Where the run is kept that this process has in hand.
    pub(crate) fn in_hand(&self) -> Arc<Mutex<Option<RunId>>> {
        Arc::clone(&self.in_hand)
    }

    /// From here on an interruption leaves something half done, and this is how it is taken up.
    pub(crate) fn if_interrupted(&self, remedy: Text) {
        let _ = self.remedy.set(remedy);
    }

    pub(crate) fn remedy(&self) -> Option<&Text> {
        self.remedy.get()
    }

    /// Takes the configuration's language unless the command line has named one.
    pub(crate) fn prefer(&self, lang: Lang) {
        let _ = self.lang.set(lang);
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    pub(crate) fn lang(&self) -> Lang {
        self.lang.get().copied().unwrap_or_default()
    }

    pub(crate) fn pick(&self, ja: &str, en: &str) -> String {
        match self.lang() {
            Lang::Ja => ja.to_owned(),
            _ => en.to_owned(),
        }
    }

    pub(crate) fn text<'a>(&self, text: &'a Text) -> &'a str {
        text.get(self.lang())
    }

    /// A line for people; silent in JSON mode. A reader that has gone away is no reason to stop working.
    pub(crate) fn line(&self, line: &str) {
        if !self.json {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    pub(crate) fn heading(&self, line: &str) {
        let line = if self.colour {
            format!("\x1b[1m{line}\x1b[0m")
        } else {
            line.to_owned()
        };
        self.line(&line);
    }

    pub(crate) fn error(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    pub(crate) fn document(&self, document: &Value) {
        let text = serde_json::to_string_pretty(document).unwrap_or_else(|_| "{}".to_owned());
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    pub(crate) fn warn(&self, line: &str) -> String {
        if self.colour {
            format!("\x1b[33m{line}\x1b[0m")
        } else {
            line.to_owned()
        }
    }
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As one word of a shell.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/@-".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(
            quoted("user:-/u.1_b@2026-11-28T13:00:00Z"),
            "user:-/u.1_b@2026-11-28T13:00:00Z"
        );
        assert_eq!(quoted("user:-/a;b$(c)"), "'user:-/a;b$(c)'");
        assert_eq!(quoted("a'b"), r"'a'\''b'");
        assert_eq!(quoted("全停止"), "'全停止'");
    }
}
