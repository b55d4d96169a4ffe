//! From an approved plan to audit records and notices. The only place where one stage follows another.

mod drill;
mod leaks;
mod lease;
mod publish;
mod report;

pub use self::drill::{DrillSetup, DrillWorld, Drilled, drill};
pub use self::leaks::LeakWatch;
pub use self::lease::{Fence, Kept, LeaseKeeper};
pub use self::publish::Publisher;
pub use self::report::{Delivery, Report};
