use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Completion, DueDate, Timestamp};

/// Keeps what a calendar cannot compute: dates that were set once, what was done, and when the calendar began to look at an item.
///
/// # Contract
/// - On `Ok`, what was written survives a crash of the process and of the machine.
/// - `begin` decides once for each item: the first time that was given stays, and every call gives it back.
/// - `set` and `complete` decide once for each key: the same again changes nothing ([`DueDate::says_the_same_as`],
///   [`Completion::says_the_same_as`]), another is refused. Of many at the same time one wins.
/// - A completion needs no date of its key here: the occurrences of items are computed.
/// - Nothing is ever changed or deleted.
///
/// # Errors
/// `Conflict` for another date of a key, and for another completion of one: its context names who settled it (`by`) and when (`at`).
/// `Unavailable`, `Timeout`; `Unexpected` for an entry that is damaged: it is never passed over, because what is missing would be due
/// again.
///
/// # Cancellation
/// Dropping a call may leave its entry written; repeating it is harmless.
#[async_trait]
pub trait DueDates: Debug + Send + Sync + 'static {
    /// Since when `item` is looked at: `at`, unless an earlier call has said so.
    async fn begin(&self, item: &str, at: Timestamp) -> Result<Timestamp>;
    /// Sets a date.
    async fn set(&self, date: &DueDate) -> Result<()>;
    /// Settles what was due. Gives the completion that is kept.
    async fn complete(&self, completion: &Completion) -> Result<Completion>;
    /// Every date that was set, settled or not, soonest first.
    async fn dates(&self) -> Result<Vec<DueDate>>;
    /// Every completion of something that was done at `since` or later, oldest first.
    async fn completions(&self, since: Timestamp) -> Result<Vec<Completion>>;
}
