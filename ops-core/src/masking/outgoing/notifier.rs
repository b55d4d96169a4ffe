use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::masking::scrub::{Scrub, Withheld};
use crate::masking::{FieldRules, LeakAlarm, LeakPlace, LeakSink};
use crate::model::{Accepted, Lang, Notice, Text};
use crate::ports::{Notifier, PiiMasker};

/// Masks subject, body and key of every notice before `N` sends it. The audience stays: it is an address.
///
/// Whoever makes a notice masks it; a hit here is reported as a leak.
#[derive(Clone, Debug)]
pub struct MaskedNotifier<N> {
    inner: N,
    scrub: Scrub,
    alarm: Option<LeakAlarm>,
}

impl<N: Notifier> MaskedNotifier<N> {
    /// A gate before `inner`, without an alarm.
    pub fn new(inner: N, masker: Arc<dyn PiiMasker>) -> Self {
        Self {
            inner,
            scrub: Scrub::new(masker, FieldRules::new()),
            alarm: None,
        }
    }

    /// Reports hits to `alarm`.
    #[must_use]
    pub fn with_alarm(mut self, alarm: LeakAlarm) -> Self {
        self.alarm = Some(alarm);
        self
    }

    fn masked(&self, text: &str) -> Result<String> {
        let masked = self.scrub.scrub(text).map_err(refused)?;
        if masked != text
            && let Some(alarm) = &self.alarm
        {
            alarm.report(text, LeakSink::Notice, LeakPlace::target("notice"));
        }
        Ok(masked.into_owned())
    }

    fn both(&self, text: &Text) -> Result<Text> {
        Ok(Text::new(
            self.masked(text.get(Lang::Ja))?,
            self.masked(text.get(Lang::En))?,
        ))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<N: Notifier> Notifier for MaskedNotifier<N> {
    /// [`ErrorKind::Unexpected`] if the masker fails; the notice is not sent then.
    async fn send(&self, notice: &Notice) -> Result<Accepted> {
        let mut masked = notice.clone();
        masked.key = self.masked(&notice.key)?;
        masked.subject = self.both(&notice.subject)?;
        masked.body = self.both(&notice.body)?;
        self.inner.send(&masked).await
    }
}

fn refused(why: Withheld) -> Error {
    Error::new(ErrorKind::Unexpected, "send notice").context("notice", why.to_string())
}
