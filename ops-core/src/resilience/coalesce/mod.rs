mod lone;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::lone::{Call, Driver, Lone};
use super::{Deadline, caught};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::Clock;

/// One call that answers many questions.
#[async_trait]
pub trait Batch: Send + Sync + 'static {
    /// A question.
    type Item: Send + 'static;
    /// Its answer.
    type Answer: Send + 'static;

    /// Answers all of `items`, in their order.
    async fn call(&self, items: Vec<Self::Item>) -> Result<Vec<Self::Answer>>;

    /// Hears once how each call ended, also one that was given up.
    fn ended(&self, result: Result<&[Self::Answer], &Error>);
}

/// Puts questions that arrive while a call is in flight into the next call. There is no timer: a lone question goes out at once.
///
/// A second call is made beside the first where half of one waits: the service works on it while the answers of the first are told. Each is a
/// task of its own, but for the call of a lone question, which its caller makes until another question arrives or the caller goes; then it goes on as a task of its
/// caller's runtime. So a caller that is cancelled, or not polled, loses nothing of the others; a question whose caller has gone is left out unless it was sent already. A
/// call that fails, or takes longer than the time limit, fails for all that were in it and for all that wait: nobody waits behind a service that does not answer. A question
/// that waited longer than the limit is not sent. So no question takes longer than twice the limit.
pub struct Coalescer<B: Batch> {
    shared: Arc<Shared<B>>,
}

struct Shared<B: Batch> {
    batch: Arc<B>,
    clock: Arc<dyn Clock>,
    operation: &'static str,
    most: usize,
    limit: Duration,
    queue: Mutex<Queue<B>>,
}

struct Queue<B: Batch> {
    waiting: VecDeque<Waiting<B>>,
    /// How many tasks are at work on the queue, and callers.
    running: usize,
    lone: Lone,
}

/// How many calls are in flight at a time.
const AT_ONCE: usize = 2;

struct Waiting<B: Batch> {
    item: B::Item,
    since: Duration,
    answer: oneshot::Sender<Answer<B>>,
}

/// An error belongs to many, so it is shared.
type Answer<B> = Result<<B as Batch>::Answer, Arc<Error>>;

impl<B: Batch> Coalescer<B> {
    /// Calls of at most `most` questions (at least one) and `limit` time; `operation` names them in errors.
    pub fn new(
        batch: Arc<B>,
        clock: Arc<dyn Clock>,
        operation: &'static str,
        most: usize,
        limit: Duration,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                batch,
                clock,
                operation,
                most: most.max(1),
                limit,
                queue: Mutex::new(Queue {
                    waiting: VecDeque::new(),
                    running: 0,
                    lone: Lone::default(),
                }),
            }),
        }
    }

    /// Asks, within a runtime of tokio.
    ///
    /// # Errors
    /// That of the call, for all that were in it; `Timeout`; `Unavailable` when the runtime ends.
    ///
    /// # Cancellation
    /// The question may have been sent or not; others are not touched.
    pub async fn ask(&self, item: B::Item) -> Result<B::Answer, Arc<Error>> {
        let (answer, answered) = oneshot::channel();
        let since = self.shared.clock.monotonic();
        let (starts, left, alone) = {
            let mut queue = self.shared.lock();
            queue.waiting.push_back(Waiting { item, since, answer });
            let alone = queue.running == 0;
            let starts = queue.running < AT_ONCE && self.shared.is_due(&queue, queue.running);
            queue.running += usize::from(starts);
            let left = queue.lone.leave();
            (starts, left, alone.then(|| queue.lone.reserve()))
        };
        if let Some(left) = left {
            // Its caller may not be polled for long, and this question waits for it.
            left.go();
        }
        let work = || Work {
            shared: Arc::clone(&self.shared),
            done: false,
        };
        let answered = if let Some(number) = alone {
            let call = Call::new(work().run_once());
            Driver::new(&self.shared, number).until(call, answered).await
        } else {
            if starts {
                tokio::spawn(work().run());
            }
            answered.await
        };
        match answered {
            Ok(answer) => answer,
            Err(_) => Err(Arc::new(Error::new(
                ErrorKind::Unavailable,
                self.shared.operation,
            ))),
        }
    }

    /// For who waits for the end of a call without asking: one that its caller makes goes to a task, for its caller may not be polled for long.
    pub fn hurry(&self) {
        let left = self.shared.lock().lone.leave();
        if let Some(left) = left {
            left.go();
        }
    }
}

impl<B: Batch> fmt::Debug for Coalescer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer")
            .field("most", &self.shared.most)
            .field("limit", &self.shared.limit)
            .finish_non_exhaustive()
    }
}

impl<B: Batch> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, Queue<B>> {
        // Nothing that holds the lock can panic half way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call is to be made beside `others`.
    fn is_due(&self, queue: &Queue<B>, others: usize) -> bool {
        others == 0 || queue.waiting.len() >= self.most.div_ceil(2)
    }

    /// The questions of the next call; `None`, and one task less is at work, if none is to be made.
    fn next(&self) -> Option<Vec<Waiting<B>>> {
        let now = self.clock.monotonic();
        let mut queue = self.lock();
        if !self.is_due(&queue, queue.running - 1) {
            queue.running -= 1;
            return None;
        }
        let mut next = Vec::with_capacity(queue.waiting.len().min(self.most));
        while next.len() < self.most
            && let Some(waiting) = queue.waiting.pop_front()
        {
            if waiting.answer.is_closed() {
                continue;
            }
            if now.saturating_sub(waiting.since) > self.limit {
                let late = Error::new(ErrorKind::Timeout, self.operation);
                let _ = waiting.answer.send(Err(Arc::new(late)));
                continue;
            }
            next.push(waiting);
        }
        if next.is_empty() {
            queue.running -= 1;
            return None;
        }
        Some(next)
    }

    /// Whether nobody waits; one task less is at work then.
    fn rests(&self) -> bool {
        let mut queue = self.lock();
        let rests = queue.waiting.is_empty();
        queue.running -= usize::from(rests);
        rests
    }

    async fn call(&self, next: Vec<Waiting<B>>) {
        let (items, callers): (Vec<_>, Vec<_>) = next
            .into_iter()
            .map(|waiting| (waiting.item, waiting.answer))
            .unzip();
        let asked = items.len();
        let deadline = Deadline::after(&*self.clock, self.limit);
        let call = caught(self.operation, self.batch.call(items));
        let result = deadline.bound(&*self.clock, self.operation, call).await;
        match result {
            Ok(answers) if answers.len() == asked => {
                self.batch.ended(Ok(&answers));
                for (caller, answer) in callers.into_iter().zip(answers) {
                    let _ = caller.send(Ok(answer));
                }
            }
            Ok(_) => self.fail(callers, Error::new(ErrorKind::Unexpected, self.operation)),
            Err(error) => self.fail(callers, error),
        }
    }

    fn fail(&self, callers: Vec<oneshot::Sender<Answer<B>>>, error: Error) {
        self.batch.ended(Err(&error));
        let error = Arc::new(error);
        let waiting = std::mem::take(&mut self.lock().waiting);
        let waiting = waiting.into_iter().map(|waiting| waiting.answer);
        for caller in callers.into_iter().chain(waiting) {
            let _ = caller.send(Err(Arc::clone(&error)));
        }
    }
}

/// The task. Dropped before its end (the runtime went down), it leaves the queue idle and lets everybody go who waits.
struct Work<B: Batch> {
    shared: Arc<Shared<B>>,
    done: bool,
}

impl<B: Batch> Work<B> {
    async fn run(mut self) {
        while let Some(next) = self.shared.next() {
            let crowd = next.len() > 1;
            self.shared.call(next).await;
            if crowd {
                // Whoever asks again at once goes into the next call.
                tokio::task::yield_now().await;
            }
        }
        self.done = true;
    }

    /// One call, by a caller; a task goes on where others wait by then.
    async fn run_once(mut self) {
        if let Some(next) = self.shared.next() {
            self.shared.call(next).await;
            if self.shared.rests() {
                self.done = true;
            } else {
                tokio::spawn(self.run());
            }
        } else {
            self.done = true;
        }
    }
}

impl<B: Batch> Drop for Work<B> {
    fn drop(&mut self) {
        if !self.done {
            let mut queue = self.shared.lock();
            queue.running -= 1;
            if queue.running == 0 {
                queue.waiting.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::testkit::ManualClock;

    /// Doubles numbers, one call per permit.
    #[derive(Debug)]
    struct Doubling {
        permits: Semaphore,
        calls: Mutex<Vec<Vec<u32>>>,
        started: AtomicUsize,
        failed: AtomicUsize,
    }

    #[async_trait]
    impl Batch for Doubling {
        type Item = u32;
        type Answer = u32;

        async fn call(&self, items: Vec<u32>) -> Result<Vec<u32>> {
            self.started.fetch_add(1, Ordering::SeqCst);
            if let Ok(permit) = self.permits.acquire().await {
                permit.forget();
            }
            assert!(!items.contains(&1_313), "a question that makes the call panic");
            let answers = items.iter().map(|item| item * 2).collect();
            self.calls.lock().unwrap().push(items);
            Ok(answers)
        }

        fn ended(&self, result: Result<&[u32], &Error>) {
            self.failed
                .fetch_add(usize::from(result.is_err()), Ordering::SeqCst);
        }
    }

    fn doubling(permits: usize) -> (Arc<Coalescer<Doubling>>, Arc<Doubling>, Arc<ManualClock>) {
        let batch = Arc::new(Doubling {
            permits: Semaphore::new(permits),
            calls: Mutex::default(),
            started: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        });
        let clock = Arc::new(ManualClock::new(crate::model::Timestamp::UNIX_EPOCH));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let coalescer = Coalescer::new(Arc::clone(&batch), shared, "double", 64, Duration::from_millis(5));
        (Arc::new(coalescer), batch, clock)
    }

    async fn settle() {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }

    type Asking<'a> = Pin<Box<dyn Future<Output = Result<u32, Arc<Error>>> + Send + 'a>>;
    type Asked = tokio::task::JoinHandle<Result<u32, Arc<Error>>>;

    fn ask(coalescer: &Arc<Coalescer<Doubling>>, item: u32) -> Asked {
        let coalescer = Arc::clone(coalescer);
        tokio::spawn(async move { coalescer.ask(item).await })
    }

    #[tokio::test]
    async fn what_arrives_while_a_call_is_in_flight_goes_into_the_next() {
        let (coalescer, batch, _) = doubling(0);
        let mut asked = vec![ask(&coalescer, 0)];
        settle().await;
        asked.extend((1..=31).map(|item| ask(&coalescer, item)));
        settle().await;
        assert_eq!(
            batch.started.load(Ordering::SeqCst),
            1,
            "less than half a call waits"
        );
        asked.extend((32..=200).map(|item| ask(&coalescer, item)));
        settle().await;
        assert_eq!(batch.started.load(Ordering::SeqCst), 2, "two calls at a time");
        batch.permits.add_permits(10);
        for (item, asked) in (0..).zip(asked) {
            assert_eq!(asked.await.unwrap().unwrap(), 2 * item);
        }
        let sizes: Vec<_> = batch.calls.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 64, 64, 64, 8]);
    }

    #[tokio::test]
    async fn a_cancelled_caller_loses_nothing_of_the_others() {
        let (coalescer, batch, _) = doubling(0);
        let first = ask(&coalescer, 1);
        settle().await;
        let (gone, stays) = (ask(&coalescer, 2), ask(&coalescer, 3));
        settle().await;
        first.abort();
        gone.abort();
        settle().await;
        batch.permits.add_permits(10);
        assert_eq!(stays.await.unwrap().unwrap(), 6);
        let calls = batch.calls.lock().unwrap().clone();
        assert_eq!(calls, [vec![1], vec![3]], "what was not sent is left out");
        assert_eq!(coalescer.ask(4).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn a_lone_caller_that_is_not_polled_or_goes_holds_up_nobody() {
        let (coalescer, batch, _) = doubling(0);
        let mut first = Box::pin(coalescer.ask(1));
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        assert_eq!(batch.started.load(Ordering::SeqCst), 1, "its caller asks");
        let second = ask(&coalescer, 2);
        settle().await;
        batch.permits.add_permits(10);
        settle().await;
        assert!(second.is_finished(), "a task has taken the call over");
        assert_eq!(second.await.unwrap().unwrap(), 4);
        assert_eq!(first.await.unwrap(), 2);
        let mut gone = Box::pin(coalescer.ask(3));
        batch.permits.forget_permits(100);
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(gone.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        drop(gone);
        batch.permits.add_permits(10);
        settle().await;
        assert_eq!(*batch.calls.lock().unwrap(), [vec![1], vec![2], vec![3]]);
        assert_eq!(coalescer.ask(4).await.unwrap(), 8);
    }

    /// Whoever takes a call over may be of a runtime that is not driven any more.
    #[test]
    fn a_call_stays_with_the_runtime_of_its_caller() {
        let (coalescer, batch, _) = doubling(0);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let polled = |asked: &mut Asking<'_>| {
            let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
            asked.as_mut().poll(context).is_pending()
        };
        let mut one: Asking<'_> = Box::pin(coalescer.ask(1));
        assert!(first.block_on(async { polled(&mut one) }));
        let mut two: Asking<'_> = Box::pin(coalescer.ask(2));
        // The second runtime is kept and never driven again; a question outside of any does no harm either.
        assert!(second.block_on(async { polled(&mut two) }));
        let mut three: Asking<'_> = Box::pin(coalescer.ask(3));
        assert!(polled(&mut three));
        batch.permits.add_permits(10);
        let answers =
            first.block_on(async { (one.await.unwrap(), two.await.unwrap(), three.await.unwrap()) });
        assert_eq!(answers, (2, 4, 6));
        first.block_on(settle());
        // Dropped outside of a runtime, a call goes on in its own.
        let mut gone: Asking<'_> = Box::pin(coalescer.ask(4));
        batch.permits.forget_permits(100);
        assert!(first.block_on(async { polled(&mut gone) }));
        drop(gone);
        batch.permits.add_permits(10);
        first.block_on(settle());
        assert_eq!(batch.calls.lock().unwrap().last(), Some(&vec![4]));
    }

    #[tokio::test]
    async fn who_hurries_a_lone_call_needs_no_poll_of_its_caller() {
        let (coalescer, batch, _) = doubling(0);
        coalescer.hurry();
        let mut first = Box::pin(coalescer.ask(1));
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        coalescer.hurry();
        batch.permits.add_permits(10);
        settle().await;
        assert_eq!(
            batch.calls.lock().unwrap().len(),
            1,
            "answered while nobody polls the caller"
        );
        assert_eq!(first.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn nobody_waits_behind_a_service_that_does_not_answer() {
        let (coalescer, batch, clock) = doubling(0);
        let mut asked = vec![ask(&coalescer, 0)];
        settle().await;
        asked.extend((1..500).map(|item| ask(&coalescer, item)));
        settle().await;
        clock.advance(Duration::from_millis(5));
        for asked in asked {
            assert_eq!(asked.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        }
        assert_eq!(
            batch.failed.load(Ordering::SeqCst),
            2,
            "two calls failed, not 500"
        );
        batch.permits.add_permits(10);
        assert_eq!(coalescer.ask(7).await.unwrap(), 14, "and it goes on");
    }

    #[tokio::test]
    async fn a_call_that_panics_takes_down_itself_only() {
        let (coalescer, _, _) = doubling(10);
        assert_eq!(
            coalescer.ask(1_313).await.unwrap_err().kind(),
            ErrorKind::Unexpected
        );
        assert_eq!(coalescer.ask(7).await.unwrap(), 14);
    }

    #[test]
    fn a_runtime_that_ends_in_the_middle_leaves_nothing_locked() {
        let (coalescer, batch, _) = doubling(0);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let first = runtime();
        first.block_on(async {
            ask(&coalescer, 1);
            settle().await;
        });
        drop(first);
        batch.permits.add_permits(10);
        assert_eq!(runtime().block_on(coalescer.ask(2)).unwrap(), 4);
    }
}
