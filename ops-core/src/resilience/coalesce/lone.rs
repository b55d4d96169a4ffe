use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{Batch, Shared};

/// The call of a lone question: its caller makes it, which saves the way to a task and back.
pub(super) struct Call {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Its caller's: whoever takes it over may be of a runtime that nobody drives for long.
    runtime: Option<Handle>,
}

impl Call {
    /// For the runtime that is now.
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            work: Box::pin(work),
            runtime: Handle::try_current().ok(),
        }
    }

    /// Gives it to a task. Without a runtime it ends here, and lets everybody go who waits.
    fn spawn(self) {
        if let Some(runtime) = self.runtime {
            runtime.spawn(self.work);
        }
    }
}

/// A call that goes from its caller to a task. The lock of the queue is not to be held: a foreign waker is called.
#[must_use]
pub(super) struct Left(Call, Waker);

impl Left {
    pub(super) fn go(self) {
        let Self(call, caller) = self;
        caller.wake();
        call.spawn();
    }
}

/// Where that call is. Whoever comes to wait for its end takes it to a task: its caller may be one that nobody polls for long.
#[derive(Default)]
pub(super) struct Lone {
    /// Whose it is: callers before have nothing to do with it.
    number: u64,
    place: Place,
}

#[derive(Default)]
enum Place {
    /// Over, or with a task.
    #[default]
    Elsewhere,
    /// With its caller, who is woken when it goes elsewhere.
    Here(Call, Waker),
    /// With its caller, who works on it now.
    Polled,
    /// The same, and it is to go to a task then.
    Wanted,
}

impl Lone {
    /// Makes room for a call that its caller makes next, where no other is under way.
    pub(super) fn reserve(&mut self) -> u64 {
        self.number += 1;
        self.place = Place::Polled;
        self.number
    }

    /// The call, for a task; where its caller works on it now, the caller will see to that.
    pub(super) fn leave(&mut self) -> Option<Left> {
        match std::mem::take(&mut self.place) {
            Place::Here(call, caller) => return Some(Left(call, caller)),
            Place::Polled | Place::Wanted => self.place = Place::Wanted,
            Place::Elsewhere => {}
        }
        None
    }

    fn take(&mut self, number: u64) -> Option<Call> {
        if self.number != number || !matches!(self.place, Place::Here(..)) {
            return None;
        }
        match std::mem::replace(&mut self.place, Place::Polled) {
            Place::Here(call, _) => Some(call),
            _ => None,
        }
    }

    /// Takes back a call that is not over, or gives it away again for a task.
    fn put(&mut self, call: Call, caller: &Waker) -> Option<Call> {
        match self.place {
            Place::Polled => {
                self.place = Place::Here(call, Waker::clone(caller));
                None
            }
            _ => {
                self.place = Place::Elsewhere;
                Some(call)
            }
        }
    }
}

/// A caller that makes its call. Dropped before the end, it leaves it to a task.
pub(super) struct Driver<'a, B: Batch> {
    shared: &'a Shared<B>,
    number: u64,
}

impl<'a, B: Batch> Driver<'a, B> {
    /// For a call for which `number` was reserved.
    pub(super) fn new(shared: &'a Shared<B>, number: u64) -> Self {
        Self { shared, number }
    }

    /// Works on `call` until there is an answer. While the call is here, nobody waits for the answer: it would wake who is at work.
    pub(super) async fn until<T>(
        self,
        call: Call,
        mut answered: oneshot::Receiver<T>,
    ) -> Result<T, oneshot::error::RecvError> {
        let mut first = Some(call);
        poll_fn(|context| {
            let call = first.take().or_else(|| self.shared.lock().lone.take(self.number));
            if let Some(call) = call
                && self.work(call, context).is_pending()
            {
                return Poll::Pending;
            }
            Pin::new(&mut answered).poll(context)
        })
        .await
    }

    /// Pending: the call waits here.
    fn work(&self, mut call: Call, context: &mut Context<'_>) -> Poll<()> {
        let over = Over(self);
        if call.work.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        std::mem::forget(over);
        let left = self.shared.lock().lone.put(call, context.waker());
        match left {
            Some(left) => {
                left.spawn();
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }
}

impl<B: Batch> Drop for Driver<'_, B> {
    fn drop(&mut self) {
        let left = {
            let mut queue = self.shared.lock();
            let own = queue.lone.number == self.number;
            own.then(|| queue.lone.leave()).flatten()
        };
        if let Some(left) = left {
            left.go();
        }
    }
}

/// Notes that a call is over, also by a panic.
struct Over<'a, B: Batch>(&'a Driver<'a, B>);

impl<B: Batch> Drop for Over<'_, B> {
    fn drop(&mut self) {
        let Driver { shared, number } = self.0;
        let mut queue = shared.lock();
        // Another caller may have come since.
        if queue.lone.number == *number {
            queue.lone.place = Place::Elsewhere;
        }
    }
}
