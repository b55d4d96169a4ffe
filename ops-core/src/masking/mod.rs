//! Masking of personal data in text: the three forms of the first runbook.
//!
//! [`BuiltinMasker`] finds and masks within text; [`mask_email`], [`mask_phone`] and [`mask_name`] mask a value that is known
//! to be one.

mod detector;
mod email;
mod language;
mod masker;
mod name;
mod phone;
mod structured;
mod text;
mod words;

pub use self::detector::Detector;
pub use self::email::mask_email;
pub use self::masker::BuiltinMasker;
pub use self::name::mask_name;
pub use self::phone::mask_phone;
pub use self::words::WordList;
