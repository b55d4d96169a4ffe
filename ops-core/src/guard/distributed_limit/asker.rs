use std::sync::Arc;

use async_trait::async_trait;

use super::figures::Counters;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LimitTime, MAX_LIMITS_AT_ONCE, Standing};
use crate::ports::{Clock, LimitCheck, LimitStamp, LimitStore, LimitsChecked};
use crate::resilience::{Batch, Breaker};

/// One call of the store for many checks.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) store: Arc<dyn LimitStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) breaker: Arc<Breaker>,
    pub(super) counters: Arc<Counters>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) stamp: LimitStamp,
    pub(super) check: LimitCheck,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Decided([Option<Standing>; MAX_LIMITS_AT_ONCE]),
    /// Other limits hold; `None` if that is known without having asked.
    Superseded(Option<(u64, LimitTime)>),
}

#[async_trait]
impl Batch for Asker {
    type Item = Question;
    type Answer = Reply;

    async fn call(&self, items: Vec<Question>) -> Result<Vec<Reply>> {
        self.counters.calls.add_one();
        // Limits may have changed while checks waited: one call is made under the newest of them.
        let newest = items
            .iter()
            .map(|item| item.stamp)
            .max_by_key(|stamp| (stamp.version, stamp.from));
        let Some(stamp) = newest else {
            return Ok(Vec::new());
        };
        let checks: Vec<_> = items
            .iter()
            .filter(|item| item.stamp == stamp)
            .map(|item| item.check)
            .collect();
        let standings = match self.store.check(stamp, &checks).await? {
            LimitsChecked::Superseded { version, at } => {
                let told =
                    |item: &Question| Reply::Superseded((item.stamp == stamp).then_some((version, at)));
                return Ok(items.iter().map(told).collect());
            }
            LimitsChecked::Decided { standings, .. } => standings,
        };
        if standings.len() != checks.iter().map(LimitCheck::len).sum::<usize>() {
            return Err(
                Error::new(ErrorKind::Unexpected, "check limits").context("answer", "has another length")
            );
        }
        let mut standings = standings.into_iter();
        let mut decided = |item: &Question| {
            if item.stamp != stamp {
                return Reply::Superseded(None);
            }
            let mut own = [None; MAX_LIMITS_AT_ONCE];
            for place in own.iter_mut().take(item.check.len()) {
                *place = standings.next();
            }
            Reply::Decided(own)
        };
        Ok(items.iter().map(&mut decided).collect())
    }

    fn ended(&self, result: Result<&[Reply], &Error>) {
        match result {
            Ok(replies) if replies.iter().any(|reply| matches!(reply, Reply::Decided(_))) => {
                self.breaker.succeeded();
            }
            // Other limits hold: it is not known yet whether the store is of use.
            Ok(_) => {}
            Err(error) => {
                self.counters.failed_calls.add_one();
                tracing::debug!(kind = %error.kind(), "a call of the store of limits failed");
                self.breaker.failed(self.clock.monotonic());
            }
        }
    }
}
