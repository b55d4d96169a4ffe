mod asker;
mod denials;
mod figures;
mod force;
mod options;
mod reload;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use self::asker::{Asker, Question, Reply};
use self::denials::{Alarm, Denials};
use self::figures::Counters;
use self::force::{Force, limit_time, longer, share};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::Offence;
use crate::model::{
    LimitChange, LimitDecision, LimitRequest, LimitSecret, LimitTable, LimitTime, LimitVerdict, Standing,
};
use crate::ports::{Admission, Clock, DenialCount, DenialsCounted, LimitCheck, LimitStore, Published};
use crate::resilience::{Breaker, Coalescer, Deadline, DenialCache, LimitCounts, Passage};

pub use self::figures::SharedLimitFigures;
pub use self::options::{OnUnavailable, SharedLimitOptions};
use self::reload::Reloading;

/// Limits requests over all instances of a service, with a store that they share.
///
/// # What it costs
/// A check is one question to the store; those that arrive while a call is in flight go into the next one. A caller who is denied is not
/// asked about again until the store's own time for that is over, which is exact.
///
/// # What it answers without the store
/// A call that takes longer than [`SharedLimitOptions::timeout`], or fails, is not repeated: it may have been counted. The check is answered
/// by a local share, the limit divided by the greatest number of instances, and says so
/// ([`LimitDecision::is_degraded`]). So in the period in which a store goes away or comes back, callers get at most the limit from the store
/// and the limit from the shares; what the store counted without its answer arriving makes limits stricter, never looser. After some
/// failures in a row a breaker keeps calls away, and then lets one at a time probe.
///
/// # Other limits
/// Every call tells the store which table its numbers were made of, and a call under another one counts nothing: a table that was
/// [published](Self::publish) holds for the next check of every instance that asks the store, and for denials that are remembered when
/// [`keep_up`](Self::keep_up) next asks, after a second. A store that lost its table gets it back from whoever notices first. Before its first
/// check an instance shows the store its own table: a newer one there holds, and so does another one of the same version, which is said loudly
/// ([`SharedLimitFigures::table_differs`]).
///
/// It is cheap to clone, and needs a runtime of tokio.
#[derive(Clone)]
pub struct DistributedLimiter {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn LimitStore>,
    clock: Arc<dyn Clock>,
    options: SharedLimitOptions,
    secret: LimitSecret,
    force: RwLock<Arc<Force>>,
    reloading: Mutex<Reloading>,
    asker: Coalescer<Asker>,
    breaker: Arc<Breaker>,
    remembered: DenialCache,
    share: Mutex<LimitCounts>,
    denials: Denials,
    counters: Arc<Counters>,
    warned: AtomicBool,
    differs: AtomicBool,
}

impl DistributedLimiter {
    /// A limiter over `store`, with `table` until another one of a greater version is found there. Nothing is asked yet.
    ///
    /// Callers stand in the store as digests under `secret`, which must be the same for all instances; 16 characters at least.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a table that cannot be used, a secret that is too short, and options that leave nothing to do.
    pub fn new(
        store: Arc<dyn LimitStore>,
        table: LimitTable,
        secret: &SecretString,
        options: SharedLimitOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let wrong = |name, remedy: &'static str| {
            Err(Error::new(ErrorKind::InvalidConfig, "share limits").context(name, remedy))
        };
        if secret.expose_secret().len() < 16 {
            return wrong(
                "secret",
                "must have 16 characters at least, the same for all instances",
            );
        }
        if options.timeout.is_zero() {
            return wrong("timeout", "must be greater than zero");
        }
        if options.max_instances == 0 {
            return wrong("max_instances", "must be 1 at least");
        }
        if !(1..=MOST_CHECKS).contains(&options.most_checks) {
            return wrong("most_checks", "must be 1 to 250");
        }
        let mut hash = Sha256::new();
        hash.update(b"ops shared limits 1\0");
        hash.update(secret.expose_secret().as_bytes());
        let digest: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
        let force = Force::at(table, limit_time(clock.now()), 1)?;
        let breaker = Arc::new(Breaker::new(options.breaker));
        let counters = Arc::new(Counters::default());
        let asker = Asker {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            breaker: Arc::clone(&breaker),
            counters: Arc::clone(&counters),
        };
        let asker = Coalescer::new(
            Arc::new(asker),
            Arc::clone(&clock),
            CHECK,
            options.most_checks,
            options.timeout,
        );
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                clock,
                options,
                secret: LimitSecret::of(&digest),
                force: RwLock::new(Arc::new(force)),
                reloading: Mutex::default(),
                asker,
                breaker,
                remembered: DenialCache::new(options.remembered_denials),
                share: Mutex::new(LimitCounts::new(options.local_callers)),
                denials: Denials::default(),
                counters,
                warned: AtomicBool::new(false),
                differs: AtomicBool::new(false),
            }),
        })
    }

    /// Counts `request` and says whether it may go on. Denied is a value; so is an answer without the store.
    ///
    /// # Cancellation
    /// The request may have been counted or not; other checks are not touched.
    pub async fn check(&self, request: &LimitRequest<'_>) -> LimitDecision {
        let inner = &self.inner;
        inner.counters.checks.add_one();
        let decision = inner.decide(request).await;
        if !decision.is_admitted() && request.cost > 0 {
            inner.counters.denied.add_one();
            inner.denials.note(&request.key);
        }
        decision
    }

    /// The limits that this instance works with.
    pub fn table(&self) -> LimitTable {
        self.inner.force().table().clone()
    }

    /// What it has done, for metrics.
    pub fn figures(&self) -> SharedLimitFigures {
        let Inner { counters, .. } = &*self.inner;
        SharedLimitFigures {
            checks: counters.checks.value(),
            denied: counters.denied.value(),
            remembered: counters.remembered.value(),
            degraded: counters.degraded.value(),
            calls: counters.calls.value(),
            failed_calls: counters.failed_calls.value(),
            uncounted_denials: self.inner.denials.left_out(),
            store_answers: self.inner.breaker.is_working(),
            table_version: self.inner.force().stamp().version,
            table_differs: self.inner.differs.load(Ordering::Relaxed),
        }
    }

    /// Makes `table` hold for all instances.
    ///
    /// # Errors
    /// `Conflict` when a table of this or a later version holds already: read it, change it, try again. Those of the store.
    pub async fn publish(&self, table: LimitTable) -> Result<()> {
        table.validate()?;
        match self
            .inner
            .patiently(PUBLISH, self.inner.store.publish(&table))
            .await?
        {
            Published::Taken => self.inner.agree(table, self.inner.wall_clock()),
            Published::Kept { version } => Err(Error::new(ErrorKind::Conflict, PUBLISH)
                .context("version", version.to_string())
                .context("remedy", "another table holds: read it, change it, and try again")),
        }
    }

    /// Tightens, loosens or suspends limits for all instances, on top of the table that holds. Of several at once, one wins and the others are
    /// `Conflict`.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn change(&self, change: LimitChange) -> Result<()> {
        // What this instance brings along counts, if the store has nothing newer.
        if !self.inner.force().is_agreed() {
            self.inner.agree_with_store(self.inner.wall_clock()).await?;
        }
        let stored = self.inner.patiently(READ, self.inner.store.table()).await?;
        let table = stored.unwrap_or_else(|| self.table());
        self.publish(table.changed(change, self.inner.clock.now())?).await
    }

    /// Brings the store's count of denials up to date, remembered ones included, and the limits of this instance. Gives the callers for whom
    /// an alarm is due: each once per window, to one of all instances.
    ///
    /// What could not be counted is counted the next time; where only the answer was lost, twice: an alarm may come early, or twice, and late only after a whole window without the store.
    ///
    /// # Errors
    /// Those of the store.
    ///
    /// # Cancellation
    /// Dropping the future loses nobody: those who were not counted, and those of whom nobody was told, are taken up by the next flush.
    pub async fn flush_denials(&self) -> Result<Vec<Offence>> {
        let inner = &self.inner;
        let alarm = Alarm {
            threshold: inner.options.offence_threshold,
            window: inner.options.offence_window,
        };
        let mut taken = inner.denials.take();
        loop {
            let counts = taken.send(inner.options.most_checks, alarm, &inner.secret)?;
            let counted = match inner.count(&counts).await {
                Ok(counted) => counted,
                Err(error) if taken.is_quiet() => return Err(error),
                Err(_) => return Ok(taken.raised()),
            };
            taken.counted(&counted.totals, alarm);
            if taken.is_done() {
                let force = inner.force();
                if !force.is_agreed() || counted.version != force.stamp().version {
                    inner.reload(counted.version, inner.wall_clock()).ended().await;
                }
                return Ok(taken.raised());
            }
        }
    }

    /// Flushes denials once a second, for as long as it is polled, and tells `alarm` of callers for whom one is due. Run it in a task of its
    /// own in every instance.
    pub async fn keep_up(&self, alarm: impl Fn(Offence) + Send + Sync) {
        loop {
            self.inner.clock.sleep(FLUSH_EVERY).await;
            match self.flush_denials().await {
                Ok(raised) => raised.into_iter().for_each(&alarm),
                Err(error) => tracing::debug!(kind = %error.kind(), "denials could not be counted yet"),
            }
        }
    }
}

#[async_trait]
impl Admission for DistributedLimiter {
    /// A denial that is remembered; it needs no call.
    fn admit_now(&self, request: &LimitRequest<'_>) -> Option<LimitDecision> {
        let (inner, now) = (&*self.inner, self.inner.clock.monotonic());
        // While nobody is denied, no digest is made twice.
        if !inner.remembered.may_deny(now) {
            return None;
        }
        let force = inner.force();
        let check = force.check(request, &inner.secret);
        let decision = inner.remembered_denial(&force, request, &check, now)?;
        inner.counters.checks.add_one();
        inner.counters.denied.add_one();
        inner.denials.note(&request.key);
        Some(decision)
    }

    async fn admit(&self, request: &LimitRequest<'_>) -> LimitDecision {
        self.check(request).await
    }
}

impl Inner {
    async fn decide(self: &Arc<Self>, request: &LimitRequest<'_>) -> LimitDecision {
        let began = self.clock.monotonic();
        let deadline = Deadline::since(began, self.options.timeout.saturating_mul(2));
        for attempt in 0..ATTEMPTS {
            let force = self.force();
            let check = force.check(request, &self.secret);
            if check.is_empty() {
                return LimitDecision::unlimited();
            }
            let now = if attempt == 0 {
                began
            } else {
                self.clock.monotonic()
            };
            if let Some(decision) = self.remembered_denial(&force, request, &check, now) {
                return decision;
            }
            if let Passage::Closed(_) = self.breaker.ask(now) {
                // What tries whether the store is back may be with a caller that nobody polls.
                self.asker.hurry();
                break;
            }
            let stamp = force.asking();
            let asked = self.asker.ask(Question { stamp, check });
            // The first question has no other time limit than that of its calls.
            let answer = match attempt {
                0 => asked.await,
                // Seldom, so the others need not carry its state.
                _ => match Box::pin(deadline.bound(&*self.clock, CHECK, async { Ok(asked.await) })).await {
                    Ok(answer) => answer,
                    Err(_) => break,
                },
            };
            match answer {
                Ok(Reply::Decided(standings)) => {
                    self.warned.store(false, Ordering::Relaxed);
                    return self.decided(&force, request, &check, standings, now);
                }
                Ok(Reply::Superseded(None)) => {}
                Ok(Reply::Superseded(Some((version, at)))) => {
                    let reloaded = self.reload(version, at);
                    if !Box::pin(reloaded.within(deadline, &*self.clock)).await {
                        break;
                    }
                }
                Err(error) => {
                    if !self.warned.swap(true, Ordering::Relaxed) {
                        tracing::warn!(kind = %error.kind(), "the store of limits does not answer: this instance limits by its own share");
                    }
                    break;
                }
            }
        }
        self.without_store(request)
    }

    /// A denial from memory; only the limits that are known to deny are named.
    fn remembered_denial(
        &self,
        force: &Force,
        request: &LimitRequest<'_>,
        check: &LimitCheck,
        now: Duration,
    ) -> Option<LimitDecision> {
        if request.cost == 0 {
            return None;
        }
        let mut decision = LimitDecision::unlimited();
        let mut found = false;
        for (applied, counted) in force.limits().applying(request).zip(check.limits()) {
            let denial = self
                .remembered
                .denial(force.generation(), &counted.key, request.cost, now);
            if let Some(standing) = denial {
                found = true;
                decision.push(LimitVerdict::new(applied.rule, applied.limit, standing));
            }
        }
        found.then(|| {
            self.counters.remembered.add_one();
            decision
        })
    }

    fn decided(
        &self,
        force: &Force,
        request: &LimitRequest<'_>,
        check: &LimitCheck,
        standings: impl IntoIterator<Item = Option<Standing>>,
        sent: Duration,
    ) -> LimitDecision {
        let mut decision = LimitDecision::unlimited();
        let limits = force.limits().applying(request).zip(check.limits());
        for ((applied, counted), mut standing) in limits.zip(standings.into_iter().flatten()) {
            if request.cost > 0 {
                let longer = longer(counted, &standing);
                standing = self.remembered.remember(
                    force.generation(),
                    counted.key,
                    request.cost,
                    standing,
                    longer,
                    sent,
                );
            }
            decision.push(LimitVerdict::new(applied.rule, applied.limit, standing));
        }
        decision
    }

    /// A bounded share of the limits, or nothing.
    fn without_store(&self, request: &LimitRequest<'_>) -> LimitDecision {
        self.counters.degraded.add_one();
        let mut force = self.force();
        let now = self.wall_clock();
        if !force.stamp().holds(force.stamp().version, now) && self.refresh(now).is_ok() {
            force = self.force();
        }
        let check = force.check(request, &self.secret);
        let part = match self.options.on_unavailable(request.class) {
            OnUnavailable::LocalShare => share(&check, self.options.max_instances),
            OnUnavailable::Deny => share(&check, u32::MAX),
        };
        let mut standings = Vec::with_capacity(part.len());
        let monotonic = LimitTime::from(self.clock.monotonic());
        self.share
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .decide(&part, monotonic, &mut standings);
        let mut decision = LimitDecision::unlimited();
        let limits = force.limits().applying(request).zip(part.limits());
        for ((applied, counted), mut standing) in limits.zip(standings) {
            if standing.retry_after.is_none() && request.cost <= applied.limit {
                // Not while the store is away: come back when it may be there again.
                standing.retry_after = Some(self.options.breaker.longest_pause);
            }
            decision.push(LimitVerdict::new(applied.rule, counted.limit, standing));
        }
        decision.with_degraded()
    }

    fn force(&self) -> Arc<Force> {
        let force = self.force.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&force)
    }

    fn wall_clock(&self) -> LimitTime {
        limit_time(self.clock.now())
    }

    /// Whoever has no total in the answer would be forgotten.
    async fn count(&self, counts: &[DenialCount]) -> Result<DenialsCounted> {
        let counted = self.patiently(COUNT, self.store.count_denials(counts)).await?;
        match counted.totals.len() == counts.len() {
            true => Ok(counted),
            false => Err(Error::new(ErrorKind::Unexpected, COUNT).context("answer", "has another length")),
        }
    }

    /// For what happens seldom and carries more.
    async fn patiently<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = self.options.timeout.saturating_mul(PATIENCE);
        Deadline::after(&*self.clock, limit)
            .bound(&*self.clock, operation, work)
            .await
    }
}

impl fmt::Debug for DistributedLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistributedLimiter")
            .field("store", &self.inner.store)
            .field("options", &self.inner.options)
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

const CHECK: &str = "check limits";
const READ: &str = "read limits";
const PUBLISH: &str = "publish limits";
const COUNT: &str = "count denials";
/// Limits may change once more while they are read.
const ATTEMPTS: u32 = 4;
/// A check has four limits at most, and stores take 1000 keys in a call.
const MOST_CHECKS: usize = 250;
/// How many time limits of a check a table or a count of denials may take.
const PATIENCE: u32 = 10;
const FLUSH_EVERY: Duration = Duration::from_secs(1);
