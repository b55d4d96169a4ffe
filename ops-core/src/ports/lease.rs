use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Lease, LeaseRequest, LeaseState, Taken};

/// Says which one of many processes does a job now.
///
/// # Contract
/// - A name has one holder at a time, until it gives the name back or its time is over **by the clock of the store**. Clocks of the callers do not matter.
/// - The token grows with each change of holder and never goes back, whether a name was given back, taken away or ran out.
/// - `take` by the holder itself, within its time, is a renewal: same token. After its time it is a change of holder like any other.
/// - `take` and `renew` make a time longer, never shorter.
/// - `renew` gives `None` when the lease is lost: it ran out, or somebody else has it, or it was taken away. It is not had back by renewing.
/// - `release` frees the name at once if the lease is still the caller's, and changes nothing otherwise.
/// - `revoke` takes the name from this holder with this token, and from nobody else: its next renewal says that it is lost. The token alone would not do: a store
///   that lost its last writes may have given it twice. Until the time that it was last
///   promised nobody else gets the name, so that there are never two who believe to have it; for a day at most, the longest that can be asked for, also after the
///   clock of the store was set back. `None`: that holder does not have it with this token.
/// - `list` gives every name that was ever taken, by name.
///
/// A caller reckons its own end from **before** the call was sent: it then ends no later than the store's, however slow the answer was. For
/// clocks that do not run equally fast it takes a margin off ([`LeaseKeeper`](crate::pipeline::LeaseKeeper): a hundredth). What a lease
/// cannot do: stop a write that is under way. What takes the writes compares tokens for that.
///
/// # Errors
/// `Unavailable`, `Timeout`: it is not known whether the call had its effect. `Unexpected` for what is stored and cannot be read.
///
/// # Cancellation
/// Dropping a call may leave it done: a name taken so is free again after its time at the latest.
#[async_trait]
pub trait LeaseStore: Debug + Send + Sync + 'static {
    /// Asks for a name.
    async fn take(&self, request: &LeaseRequest) -> Result<Taken>;
    /// Keeps it for as long again, from now; `None`: it is lost.
    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>>;
    /// Gives it back.
    async fn release(&self, lease: &Lease) -> Result<()>;
    /// Takes it away from `holder`, if it has it with `token`; how it stands then.
    async fn revoke(&self, name: &str, holder: &str, token: u64) -> Result<Option<LeaseState>>;
    /// Every name.
    async fn list(&self) -> Result<Vec<LeaseState>>;
}
