use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::error::{Error, ErrorKind, Result};

/// Runs `work`; a panic in it is an error, so that it takes nothing else with it. `work` is not polled again then.
///
/// # Errors
/// `work`'s own, or [`ErrorKind::Unexpected`] naming `operation`.
pub(crate) async fn caught<T>(operation: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Err(
                Error::new(ErrorKind::Unexpected, operation).context("cause", "it ended unexpectedly")
            )),
        },
    )
    .await
}
