//! The alarm for a personal value that reached a last gate.

mod alarm;
mod place;

pub use self::alarm::{Leak, LeakAlarm, LeakCount, LeakSignals};
pub use self::place::{LeakPlace, LeakSink};
