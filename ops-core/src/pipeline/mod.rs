//! From an approved plan to audit records and notices. The only place where one stage follows another.

mod publish;
mod report;

pub use self::publish::Publisher;
pub use self::report::{Delivery, Report};
