//! Ports seen as [`Action`](crate::ports::Action)s: what the engine can carry out.

mod database;
mod rehearsal;
mod switch;
mod traffic;

pub use self::database::MakeReadOnly;
pub use self::rehearsal::{Rehearsal, Rehearsed};
pub use self::switch::SwitchOff;
pub use self::traffic::StopTraffic;
