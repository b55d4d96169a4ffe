use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::producer::{Batch, Leftover, Most};
use super::size::{MOST, SOON, Size};
use super::{Delivered, Files, Spool};
use crate::durable::{Lock, blocking, no_room, write_plain};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::failpoint::fail_point;
use crate::model::{AuditRecord, TenantId};
use crate::ports::{Appended, AuditEntry, AuditStore, PiiMasker};
use crate::resilience::{Deadline, caught};

/// One delivery, by whoever has the turn.
pub(super) struct Delivery<'a> {
    spool: &'a Spool,
    turn: Arc<Lock>,
    store: &'a dyn AuditStore,
    masker: Option<&'a dyn PiiMasker>,
    /// Tenants whose chain takes nothing: nothing more of theirs is given, so that all arrives in its order.
    held: HashSet<TenantId>,
    /// Tenants of which the store did not take one lone record in time.
    slow: Vec<TenantId>,
    /// There was one where nobody could tell whether it was the store.
    untold: bool,
    done: Delivered,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(
        spool: &'a Spool,
        turn: Lock,
        store: &'a dyn AuditStore,
        masker: Option<&'a dyn PiiMasker>,
    ) -> Self {
        Self {
            spool,
            turn: Arc::new(turn),
            store,
            masker,
            held: HashSet::new(),
            slow: Vec::new(),
            untold: false,
            done: Delivered::default(),
        }
    }

    /// At most so many batches of each process; then, with `apart`, what waits apart: it must not keep the others waiting.
    pub(super) async fn run(mut self, batches: usize, apart: bool) -> Result<Delivered> {
        let before = self.tenants_apart().await?;
        self.held.clone_from(&before);
        self.segments(batches).await?;
        if apart && !self.done.cut {
            // What was found to be stuck a moment ago is not given again.
            self.held.retain(|tenant| !before.contains(tenant));
            let began = self.spool.clock.monotonic();
            self.apart().await?;
            self.done.apart_took = self.spool.clock.monotonic().saturating_sub(began);
        }
        self.done.apart = !self.tenants_apart().await?.is_empty();
        Ok(self.done)
    }

    /// Works on the files. The work goes on when this future is dropped, and nobody else has the turn until it has ended.
    async fn work<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Files) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (files, turn) = (Arc::clone(&self.spool.files), Arc::clone(&self.turn));
        blocking(operation, move || {
            let done = work(&files);
            drop(turn);
            done
        })
        .await
    }

    async fn tenants_apart(&self) -> Result<HashSet<TenantId>> {
        self.work(READ, |files| files.apart.tenants()).await
    }

    async fn segments(&mut self, batches: usize) -> Result<()> {
        let leftovers = self.work(READ, |files| Leftover::all(&files.directory)).await?;
        for leftover in leftovers {
            if !self.process(leftover, batches).await? {
                break;
            }
        }
        Ok(())
    }

    /// Brings what one process kept. `false` when the store takes nothing now.
    async fn process(&mut self, mut leftover: Leftover, batches: usize) -> Result<bool> {
        let files = Arc::clone(&self.spool.files);
        let mut caught_up = false;
        let mut held = 0;
        // What was read while the store took the batch before.
        let mut ahead: Option<Result<Ahead>> = None;
        for left in (0..batches).rev() {
            let Ahead { batch, most } = match ahead.take() {
                Some(ahead) => ahead?,
                None => {
                    // Of what only goes apart, each batch is twice as large.
                    let most = Most::records(files.size.now().max(held * 2).min(MOST));
                    let (back, batch) = self
                        .work(READ, move |_| {
                            let batch = leftover.next(most)?;
                            Ok((leftover, batch))
                        })
                        .await?;
                    leftover = back;
                    Ahead { batch, most }
                }
            };
            // Of a process that goes on recording, what came meanwhile is left to the next time.
            caught_up = !batch.is_full(most);
            self.done.unsettled |= batch.unsettled;
            if batch.is_empty() {
                break;
            }
            let more = !caught_up && left > 0 && held == 0;
            let reading = self.read_behind(&leftover, &batch, more.then(|| Most::records(files.size.now())));
            let given = self.hand_over(&batch.entries, &files.size, ANSWER);
            let (given, read) = tokio::join!(given, reading);
            ahead = read;
            let given = match given {
                // What is refused finds no room to be set aside: what other processes left may be brought.
                Err(full) if no_room(&full) => {
                    self.done.error.get_or_insert(full);
                    self.done.cut = true;
                    return Ok(true);
                }
                given => given?,
            };
            let Some(stuck) = given else {
                self.done.cut = true;
                return Ok(false);
            };
            held = match stuck.len() == batch.entries.len() {
                true => stuck.len(),
                false => 0,
            };
            fail_point!("audit.deliver.stored");
            let slow = self.slow.pop();
            if let Some(slow) = &slow {
                self.done.cut = true;
                let (back, others) = self.answers_others(leftover, slow).await?;
                leftover = back;
                if others != Some(true) {
                    self.held.remove(slow);
                    // Of one more process it is found out.
                    let first = !self.untold && others.is_none();
                    self.untold = true;
                    return Ok(first);
                }
                self.done.stuck += 1;
            }
            leftover = match self.note(leftover, batch, stuck).await {
                // The place of before is right too: it costs a second delivery. Others may be brought.
                Err(full) if no_room(&full) => {
                    self.done.error.get_or_insert(full);
                    self.done.cut = true;
                    return Ok(true);
                }
                noted => noted?,
            };
            // The next delivery begins behind it.
            if slow.is_some() {
                return Ok(true);
            }
            if caught_up {
                break;
            }
        }
        self.done.more |= !caught_up;
        self.work(SHRINK, move |_| leftover.clear()).await?;
        Ok(true)
    }

    /// Reads what comes behind `batch`, at most so many: its turn comes when the batch before was taken.
    fn read_behind(
        &self,
        leftover: &Leftover,
        batch: &Batch,
        most: Option<Most>,
    ) -> impl Future<Output = Option<Result<Ahead>>> + use<> {
        let turn = Arc::clone(&self.turn);
        let read = most.map(|most| (leftover.behind(batch), most));
        async move {
            let (leftover, most) = read?;
            let read = blocking(READ, move || {
                let batch = leftover.next(most)?;
                drop(turn);
                Ok(Ahead { batch, most })
            });
            Some(read.await)
        }
    }

    /// Keeps aside what was not taken, then writes the place behind the batch.
    async fn note(&mut self, mut leftover: Leftover, batch: Batch, stuck: Vec<usize>) -> Result<Leftover> {
        let (missing, damaged) = (batch.missing, batch.damaged.len() as u64);
        if missing > 0 || damaged > 0 {
            error!(
                missing,
                damaged, "audit records in the spool were lost or damaged"
            );
        }
        let leftover = self
            .work(SHRINK, move |files| {
                for (name, bytes) in &batch.damaged {
                    write_plain(&files.directory.file(&format!("damaged-{name}")), bytes)?;
                }
                for (name, bytes) in &batch.torn {
                    write_plain(&files.directory.file(&format!("torn-{name}")), bytes)?;
                }
                let stuck = stuck.into_iter().filter_map(|place| batch.entries.get(place));
                files.apart.keep(stuck.cloned())?;
                fail_point!("audit.deliver.kept");
                leftover.delivered(&batch)?;
                Ok(leftover)
            })
            .await?;
        self.done.missing += missing;
        self.done.damaged += damaged;
        Ok(leftover)
    }

    /// Whether the store answers for another tenant than `slow` in good time: then it is that tenant's chain alone that something holds. `None`: no other
    /// one waits. Those for which it did not answer are passed over the next time.
    async fn answers_others(&self, leftover: Leftover, slow: &TenantId) -> Result<(Leftover, Option<bool>)> {
        let files = &self.spool.files;
        let slow = slow.clone();
        let held = self.held.clone();
        let (leftover, others) = self
            .work(READ, move |files| {
                let ahead = leftover.next(Most::records(AHEAD))?.entries;
                let mut without = HashSet::from([slow]);
                let mut others = Vec::new();
                for entry in ahead {
                    let tenant = &entry.record.tenant;
                    if !held.contains(tenant) && without.insert(tenant.clone()) {
                        others.push(entry);
                    }
                }
                let apart = files.apart.behind(0, 1, &without)?.pop();
                others.extend(apart.map(|(_, entry)| entry));
                Ok((leftover, others))
            })
            .await?;
        if others.is_empty() {
            return Ok((leftover, None));
        }
        let known = files.slow();
        let is_new = |other: &AuditEntry| !known.contains(&other.record.tenant);
        let mut asked = false;
        for other in others.into_iter().filter(is_new).take(SLOW_APART) {
            asked = true;
            let tenant = other.record.tenant.clone();
            // It is given again in its turn, which stores nothing twice.
            if self.ask(&[other], &files.size, ANSWER_APART).await.is_ok() {
                return Ok((leftover, Some(true)));
            }
            files.keep_slow([tenant]);
        }
        if !asked {
            // All were: the next time they are asked again.
            files.take_slow();
        }
        Ok((leftover, Some(false)))
    }

    /// Brings what waits apart: first of those that were not slow the last time.
    async fn apart(&mut self) -> Result<()> {
        let files = Arc::clone(&self.spool.files);
        let before = files.take_slow();
        self.held.extend(before.iter().cloned());
        let ended = self.apart_of(&files).await?;
        self.held.retain(|tenant| !before.contains(tenant));
        self.held.extend(self.slow.iter().cloned());
        if ended && !before.is_empty() {
            self.apart_of(&files).await?;
        }
        files.keep_slow(self.slow.drain(..));
        self.work(SHRINK, |files| files.apart.shrink()).await
    }

    /// Those that are not held. Whether all were given.
    async fn apart_of(&mut self, files: &Files) -> Result<bool> {
        let mut behind = 0;
        loop {
            if self.slow.len() >= SLOW_APART {
                return Ok(false);
            }
            let (held, most) = (self.held.clone(), files.size_apart.now());
            let part = self
                .work(READ, move |files| files.apart.behind(behind, most, &held))
                .await?;
            let (places, entries): (Vec<_>, Vec<_>) = part.into_iter().unzip();
            let Some((last, _)) = places.last() else {
                return Ok(true);
            };
            behind = *last;
            let slow = self.slow.len();
            let given = self.hand_over(&entries, &files.size_apart, ANSWER_APART).await?;
            self.done.stuck += (self.slow.len() - slow) as u64;
            let Some(stuck) = given else {
                // A store that was only too slow for these may take the others.
                let slow = |error: &Error| error.kind() == ErrorKind::Timeout;
                self.done.cut = !self.done.error.as_ref().is_some_and(slow);
                return Ok(false);
            };
            let gone = places.into_iter().enumerate();
            let gone = gone
                .filter(|(place, _)| stuck.binary_search(place).is_err())
                .map(|(_, (_, content))| content)
                .collect();
            match self.work(SHRINK, move |files| files.apart.remove(gone)).await {
                // They are given again, which stores nothing twice.
                Err(full) if no_room(&full) => {
                    self.done.error.get_or_insert(full);
                    self.done.cut = true;
                    return Ok(false);
                }
                removed => removed?,
            }
        }
    }

    /// Gives records to the store, in their order; the places of those that wait for their tenant's chain. `None` when the store cannot take more now: some may
    /// be stored already.
    async fn hand_over(
        &mut self,
        entries: &[AuditEntry],
        size: &Size,
        within: Duration,
    ) -> Result<Option<Vec<usize>>> {
        let mut stuck = Vec::new();
        // One that breaks a whole batch is looked for by halves, so that the others are stored.
        let mut parts: Vec<Vec<usize>> = vec![(0..entries.len()).collect()];
        while let Some(mut part) = parts.pop() {
            let held = part.extract_if(.., |place| self.held.contains(&entries[*place].record.tenant));
            stuck.extend(held);
            if part.is_empty() {
                continue;
            }
            let given = match part.len() == entries.len() {
                true => Cow::Borrowed(entries),
                false => part.iter().map(|place| entries[*place].clone()).collect(),
            };
            match self.ask(&given, size, within).await {
                Ok(answers) => {
                    for (place, answer) in part.into_iter().zip(answers) {
                        if self.count(&entries[place].record, answer).await? {
                            stuck.push(place);
                        }
                    }
                }
                Err(error) if error.retry() == Retry::Never && part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(error) if is_final(&error) => {
                    for place in part {
                        self.set_aside(&entries[place].record, &error).await?;
                    }
                }
                // It may be this tenant's chain alone that something holds.
                Err(error) if error.kind() == ErrorKind::Timeout && entries.len() == 1 => {
                    let tenant = &entries[0].record.tenant;
                    self.done.error.get_or_insert(error);
                    self.held.insert(tenant.clone());
                    self.slow.push(tenant.clone());
                    stuck.push(0);
                }
                Err(error) => {
                    self.done.error = Some(error);
                    return Ok(None);
                }
            }
        }
        stuck.sort_unstable();
        Ok(Some(stuck))
    }

    /// Counts what became of a record; whether it is stuck.
    async fn count(&mut self, record: &AuditRecord, answer: Appended) -> Result<bool> {
        match answer {
            Appended::Stored(_) | Appended::Known(_) => {
                self.done.stored += 1;
                self.done.newest_stored = self.done.newest_stored.max(Some(record.at));
            }
            Appended::Refused(error) => self.set_aside(record, &error).await?,
            Appended::Stuck(error) => {
                self.held.insert(record.tenant.clone());
                self.done.stuck += 1;
                self.done.error.get_or_insert(error);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A store that hangs must not keep the turn, nor one that panics end the task.
    async fn ask(&self, entries: &[AuditEntry], size: &Size, within: Duration) -> Result<Vec<Appended>> {
        let clock = &*self.spool.clock;
        let began = clock.monotonic();
        let answers = Deadline::after(clock, within)
            .bound(clock, DELIVER, caught(DELIVER, self.store.append_all(entries)))
            .await;
        match &answers {
            Ok(_) if clock.monotonic().saturating_sub(began) < SOON => size.grow(entries.len()),
            Err(late) if late.kind() == ErrorKind::Timeout => size.halve(entries.len()),
            _ => {}
        }
        let answers = answers?;
        match answers.len() == entries.len() {
            true => Ok(answers),
            false => Err(Error::new(ErrorKind::Unavailable, DELIVER)
                .context("cause", "the store did not answer for each record")),
        }
    }

    async fn set_aside(&mut self, record: &AuditRecord, error: &Error) -> Result<()> {
        let said = self.masker.map_or_else(
            || error.kind().to_string(),
            |masker| masker.mask(&error.to_string()).into_owned(),
        );
        error!(id = %record.id, kind = %error.kind(), "the audit store will never take this record: it is set aside");
        let record = record.clone();
        self.work("set audit record aside", move |files| files.refuse(&record, said))
            .await?;
        self.done.refused += 1;
        Ok(())
    }
}

/// A batch that was read before its turn.
struct Ahead {
    batch: Batch,
    /// So much was asked for.
    most: Most,
}

/// Whether the store will say the same of this one record however often it is asked. A conflict of a whole call is no such answer: one record's is a value.
fn is_final(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidInput && error.retry() == Retry::Never
}

const DELIVER: &str = "deliver audit records";
const READ: &str = "read audit spool";
const SHRINK: &str = "shrink audit spool";
/// How long the store may take for a batch.
const ANSWER: Duration = Duration::from_secs(60);
/// The same for what waits apart: the others wait meanwhile.
const ANSWER_APART: Duration = Duration::from_secs(10);
/// So many records are read to find one of another tenant.
const AHEAD: usize = 256;
/// So many tenants may each take that long before the rest is left to the next time, which begins with the rest.
const SLOW_APART: usize = 4;
