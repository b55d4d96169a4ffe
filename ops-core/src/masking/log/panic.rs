use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::masking::scrub::{Scrub, inside};

/// What a panic says, masked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PanicReport {
    /// The name of the thread; empty if it has none.
    pub thread: String,
    /// `file:line:column`.
    pub location: String,
    /// The message, or a fixed text if there is none that can be masked.
    pub message: String,
    /// The backtrace, if the environment asks for one (`RUST_BACKTRACE`).
    pub backtrace: Option<String>,
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = if self.thread.is_empty() {
            "<unnamed>"
        } else {
            &self.thread
        };
        write!(
            f,
            "thread '{thread}' panicked at {}:\n{}",
            self.location, self.message
        )?;
        match &self.backtrace {
            Some(backtrace) => write!(f, "\n{backtrace}"),
            None => Ok(()),
        }
    }
}

pub(super) fn install(scrub: Arc<Scrub>, write: impl Fn(&PanicReport) + Send + Sync + 'static) {
    panic::set_hook(Box::new(move |info| write(&report(&scrub, info))));
}

fn report(scrub: &Arc<Scrub>, info: &PanicHookInfo<'_>) -> PanicReport {
    let raw = PanicReport {
        thread: thread::current().name().unwrap_or_default().to_owned(),
        location: info.location().map(ToString::to_string).unwrap_or_default(),
        message: info
            .payload_as_str()
            .unwrap_or("the payload is no text")
            .to_owned(),
        backtrace: backtrace(),
    };
    if inside() {
        // The masker itself: its messages quote the text that it could not mask.
        return raw.without("withheld: the masker panicked");
    }
    // A panic within the hook would end the process, so that the masker runs where its panic is one of another thread.
    let (send, masked) = mpsc::sync_channel(1);
    let (theirs, ours) = (raw.clone(), raw);
    let scrub = Arc::clone(scrub);
    let started = thread::Builder::new()
        .name("mask panic message".to_owned())
        .spawn(move || send.send(theirs.masked(&scrub)));
    match started.map(|_| masked.recv_timeout(PATIENCE)) {
        Ok(Ok(Some(masked))) => masked,
        _ => ours.without("withheld: masking failed"),
    }
}

impl PanicReport {
    fn masked(self, scrub: &Scrub) -> Option<Self> {
        let mask = |text: &str| scrub.scrub(text).ok().map(std::borrow::Cow::into_owned);
        Some(Self {
            thread: mask(&self.thread)?,
            location: mask(&self.location)?,
            message: mask(&self.message)?,
            backtrace: match self.backtrace {
                Some(backtrace) => Some(mask(&backtrace)?),
                None => None,
            },
        })
    }

    /// The place stays, which is a path of the sources; what ran with values in it goes.
    fn without(self, message: &str) -> Self {
        Self {
            thread: String::new(),
            location: self.location,
            message: message.to_owned(),
            backtrace: None,
        }
    }
}

fn backtrace() -> Option<String> {
    let backtrace = Backtrace::capture();
    (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string())
}

/// How long the message may take to mask.
const PATIENCE: Duration = Duration::from_secs(2);
