//! Personal data that goes: on request of the person, and when its time is over.

mod map;
mod request;
mod retention;

pub use self::request::{Erasure, ErasureOutcome};
pub use self::retention::{Expired, Retention};
