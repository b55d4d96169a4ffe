//! The audit trail: recording with a local spool for outages, a hash chain that shows tampering, and the search cursor that
//! all stores share.

mod chain;
mod page;
mod recorder;
mod spool;

pub use self::chain::{ChainVerifier, link, verify};
pub use self::page::PageCursor;
pub(crate) use self::page::page;
pub use self::recorder::{Recorded, Recorder};
pub use self::spool::{Delivered, Spool};
