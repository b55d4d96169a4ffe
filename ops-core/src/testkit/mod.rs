//! For tests, drills and simulations: never a default feature, and it knows no vendor.

mod clock;
mod fault;
mod loopback;

pub use self::clock::ManualClock;
pub use self::fault::{Fault, FaultRule, Faults};
pub use self::loopback::{Handler, LoopbackServer, Reply, SimRequest, loopback_transport};
