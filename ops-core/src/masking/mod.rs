//! Masking of personal and confidential values, by where a text goes.
//!
//! [`BuiltinMasker`] finds values within text and treats them as a [`MaskingPolicy`](crate::model::MaskingPolicy) says for a
//! [`Destination`](crate::model::Destination); [`MaskStream`], [`MaskWriter`] and [`mask_all`] do the same for text that comes in
//! pieces. [`MaskingKeys`] make pseudonyms and encrypt for storage. [`Pii`] and [`Confidential`] hold a value that shows itself masked
//! only, and [`field`] has the same for fields of existing structs. [`mask_email`], [`mask_phone`] and [`mask_name`] mask a value that
//! is known to be one.
//!
#![doc = include_str!("../../../docs/guide/masking.md")]

#[cfg(feature = "log")]
mod ansi;
mod detector;
mod email;
pub mod field;
mod fields;
mod form;
mod json;
mod keys;
mod language;
mod leak;
#[cfg(feature = "log")]
pub mod log;

mod masker;
mod name;
mod outgoing;
mod pem;
mod phone;
mod pieces;
mod scan;
mod scrub;
mod settle;
mod splice;
mod stream;
mod structured;
mod target;
mod text;
mod token;
mod vector;
mod words;
mod wrapper;
mod writer;

pub use self::detector::Detector;
pub use self::email::mask_email;
pub use self::fields::FieldRules;
pub use self::keys::{MaskingKeys, Sealed};
pub use self::leak::{Leak, LeakAlarm, LeakCount, LeakPlace, LeakSignals, LeakSink};
pub use self::masker::BuiltinMasker;
pub use self::name::mask_name;
pub use self::outgoing::{MaskedNotifier, MaskedTransport, OnPii};
pub use self::phone::mask_phone;
pub use self::stream::MaskStream;
pub(crate) use self::target::named as target_named;
pub use self::words::WordList;
pub use self::wrapper::{Confidential, InClear, Pii};
pub use self::writer::{MaskWriter, mask_all};
