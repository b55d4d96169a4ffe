mod asker;
mod denials;
mod figures;
mod force;
mod options;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use self::asker::{Asker, Question, Reply};
use self::denials::Denials;
use self::figures::Counters;
use self::force::{Force, limit_time, share, timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::Offence;
use crate::model::{LimitChange, LimitDecision, LimitRequest, LimitTable, LimitTime, LimitVerdict, Standing};
use crate::ports::{Admission, Clock, DenialCount, LimitCheck, LimitStore, Published};
use crate::resilience::{Breaker, Coalescer, Deadline, DenialCache, LimitCounts, Passage};

pub use self::figures::SharedLimitFigures;
pub use self::options::{OnUnavailable, SharedLimitOptions};

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
/// [`keep_up`](Self::keep_up) next asks, after a second. A store that lost its table gets it back from whoever notices first.
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
    secret: Zeroizing<[u8; 32]>,
    force: RwLock<Arc<Force>>,
    reload: tokio::sync::Mutex<()>,
    failed_reloads: AtomicU64,
    asker: Coalescer<Asker>,
    breaker: Arc<Breaker>,
    remembered: DenialCache,
    share: Mutex<LimitCounts>,
    denials: Denials,
    counters: Arc<Counters>,
    warned: AtomicBool,
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
        let mut hash = Sha256::new();
        hash.update(b"ops shared limits 1\0");
        hash.update(secret.expose_secret().as_bytes());
        let force = Force::at(table, limit_time(clock.now()), 1)?;
        let breaker = Arc::new(Breaker::new(options.breaker));
        let counters = Arc::new(Counters::default());
        let asker = Asker {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            breaker: Arc::clone(&breaker),
            counters: Arc::clone(&counters),
            undecided: AtomicBool::new(false),
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
                secret: Zeroizing::new(hash.finalize().into()),
                force: RwLock::new(Arc::new(force)),
                reload: tokio::sync::Mutex::new(()),
                failed_reloads: AtomicU64::new(0),
                asker,
                breaker,
                remembered: DenialCache::new(options.remembered_denials),
                share: Mutex::new(LimitCounts::new(options.local_callers)),
                denials: Denials::default(),
                counters,
                warned: AtomicBool::new(false),
            }),
        })
    }

    /// Counts `request` and says whether it may go on. Denied is a value; so is an answer without the store.
    ///
    /// # Cancellation
    /// The request may have been counted or not; other checks are not touched.
    pub async fn check(&self, request: &LimitRequest<'_>) -> LimitDecision {
        let inner = &*self.inner;
        inner.counters.checks.add_one();
        let decision = inner.decide(request).await;
        if !decision.is_admitted() && request.cost > 0 {
            inner.counters.denied.add_one();
            inner.denials.note(&request.key, &inner.secret);
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
            Published::Taken => self.inner.install(table, self.inner.wall_clock()),
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
        let stored = self.inner.patiently(READ, self.inner.store.table()).await?;
        let table = stored.unwrap_or_else(|| self.table());
        self.publish(table.changed(change, self.inner.clock.now())?).await
    }

    /// Brings the store's count of denials up to date, remembered ones included, and the limits of this instance. Gives the callers for whom
    /// an alarm is due: each once per window, to one of all instances.
    ///
    /// What could not be counted is counted the next time; where only the answer was lost, twice: an alarm may come early, never late.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn flush_denials(&self) -> Result<Vec<Offence>> {
        let inner = &*self.inner;
        let mut waiting = inner.denials.take().into_iter().peekable();
        let mut raised = Vec::new();
        loop {
            let some: Vec<_> = waiting.by_ref().take(inner.options.most_checks.max(1)).collect();
            let counts: Vec<_> = some
                .iter()
                .map(|(key, caller)| {
                    let options = &inner.options;
                    DenialCount::new(
                        *key,
                        caller.denials,
                        options.offence_threshold,
                        options.offence_window,
                    )
                })
                .collect();
            let counted = match inner.patiently(COUNT, inner.store.count_denials(&counts)).await {
                Ok(counted) => counted,
                Err(error) => {
                    inner.denials.put_back(some.into_iter().chain(waiting));
                    return if raised.is_empty() { Err(error) } else { Ok(raised) };
                }
            };
            for ((_, denied), total) in some.into_iter().zip(counted.totals) {
                if total.raised {
                    raised.push(Offence {
                        caller: denied.caller,
                        denials: usize::try_from(total.total).unwrap_or(usize::MAX),
                        within: inner.options.offence_window,
                    });
                }
            }
            if waiting.peek().is_none() {
                if counted.version != inner.force().stamp().version {
                    let _ = inner.reload(counted.version, inner.wall_clock()).await;
                }
                return Ok(raised);
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
        let inner = &*self.inner;
        let force = inner.force();
        let check = force.check(request, &inner.secret);
        let decision = inner.remembered_denial(&force, request, &check, inner.clock.monotonic())?;
        inner.counters.checks.add_one();
        inner.counters.denied.add_one();
        inner.denials.note(&request.key, &inner.secret);
        Some(decision)
    }

    async fn admit(&self, request: &LimitRequest<'_>) -> LimitDecision {
        self.check(request).await
    }
}

impl Inner {
    async fn decide(&self, request: &LimitRequest<'_>) -> LimitDecision {
        for _ in 0..ATTEMPTS {
            let force = self.force();
            let check = force.check(request, &self.secret);
            if check.is_empty() {
                return LimitDecision::unlimited();
            }
            let now = self.clock.monotonic();
            if let Some(decision) = self.remembered_denial(&force, request, &check, now) {
                return decision;
            }
            if let Passage::Closed(_) = self.breaker.ask(now) {
                break;
            }
            let question = Question {
                stamp: force.stamp(),
                check,
            };
            match self.asker.ask(question).await {
                Ok(Reply::Decided(standings)) => {
                    self.warned.store(false, Ordering::Relaxed);
                    return self.decided(&force, request, &check, standings, now);
                }
                Ok(Reply::Superseded(None)) => {}
                Ok(Reply::Superseded(Some((version, at)))) => {
                    // A store that answers, but gives and takes no limits, is of no use: a replica that was never written to.
                    match self.reload(version, at).await {
                        Ok(()) => self.breaker.succeeded(),
                        Err(_) => {
                            self.breaker.failed(self.clock.monotonic());
                            break;
                        }
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
        for ((applied, counted), standing) in limits.zip(standings.into_iter().flatten()) {
            if request.cost > 0 {
                self.remembered
                    .remember(force.generation(), counted.key, request.cost, &standing, sent);
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
        if !force.stamp().holds(force.stamp().version, now)
            && self.install(force.table().clone(), now).is_ok()
        {
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

    /// Makes the limits of this instance those that hold at `at`, where `version` was said to hold.
    async fn reload(&self, version: u64, at: LimitTime) -> Result<()> {
        let failed_before = self.failed_reloads.load(Ordering::Relaxed);
        let _one = self.reload.lock().await;
        if self.failed_reloads.load(Ordering::Relaxed) != failed_before {
            return Err(Error::new(ErrorKind::Unavailable, READ));
        }
        let result = self.reload_alone(version, at).await;
        if result.is_err() {
            // Whoever waited for the same need not wait for the same failure.
            self.failed_reloads.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    async fn reload_alone(&self, version: u64, at: LimitTime) -> Result<()> {
        let force = self.force();
        if force.stamp().holds(version, at) {
            return Ok(());
        }
        if force.stamp().version == version {
            return self.install(force.table().clone(), at);
        }
        let stored = self.patiently(READ, self.store.table()).await?;
        let table = match stored {
            Some(table) if table.version >= force.stamp().version => table,
            // It has none, or an old one: it lost what held.
            _ => {
                let own = force.table();
                match self.patiently(PUBLISH, self.store.publish(own)).await? {
                    Published::Taken => own.clone(),
                    Published::Kept { .. } => self
                        .patiently(READ, self.store.table())
                        .await?
                        .ok_or_else(|| Error::new(ErrorKind::Unexpected, READ))?,
                }
            }
        };
        self.install(table, at)
    }

    fn install(&self, table: LimitTable, at: LimitTime) -> Result<()> {
        let mut force = self.force.write().unwrap_or_else(PoisonError::into_inner);
        if table.version < force.stamp().version {
            return Ok(());
        }
        let next = Force::at(table, at, force.generation() + 1)?;
        tracing::info!(version = next.stamp().version, at = %timestamp(at), "other limits hold");
        *force = Arc::new(next);
        Ok(())
    }

    fn force(&self) -> Arc<Force> {
        let force = self.force.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&force)
    }

    fn wall_clock(&self) -> LimitTime {
        limit_time(self.clock.now())
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
/// How many time limits of a check a table or a count of denials may take.
const PATIENCE: u32 = 10;
const FLUSH_EVERY: Duration = Duration::from_secs(1);
