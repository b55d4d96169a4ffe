//! Masking of personal data in text: the three forms of the first runbook.
//!
//! [`BuiltinMasker`] finds and masks within text; [`mask_email`], [`mask_phone`] and [`mask_name`] mask a value that is known
//! to be one.

#[cfg(feature = "log")]
mod ansi;
mod detector;
mod email;
mod fields;
mod language;
mod leak;
#[cfg(feature = "log")]
pub mod log;
mod masker;
mod name;
mod outgoing;
mod phone;
mod scan;
mod scrub;
mod structured;
mod text;

pub use self::detector::Detector;
pub use self::email::mask_email;
pub use self::fields::FieldRules;
pub use self::leak::{Leak, LeakAlarm, LeakCount, LeakPlace, LeakSignals, LeakSink};
pub use self::masker::BuiltinMasker;
pub use self::name::mask_name;
pub use self::outgoing::{MaskedNotifier, MaskedTransport, OnPii};
pub use self::phone::mask_phone;
