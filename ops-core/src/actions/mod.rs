//! Ports seen as [`Action`](crate::ports::Action)s: what the engine can carry out.

mod account;
mod database;
mod evidence;
mod rehearsal;
mod session;
mod switch;
mod traffic;

pub use self::account::SuspendAccount;
pub use self::database::MakeReadOnly;
pub use self::evidence::PreserveEvidence;
pub use self::rehearsal::{Rehearsal, Rehearsed};
pub use self::session::RevokeSessions;
pub use self::switch::SwitchOff;
pub use self::traffic::StopTraffic;
