//! From an approved plan to audit records and notices. The only place where one stage follows another.

mod drill;
mod publish;
mod report;

pub use self::drill::{DrillSetup, DrillWorld, Drilled, drill};
pub use self::publish::Publisher;
pub use self::report::{Delivery, Report};
