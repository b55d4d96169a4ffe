//! Gates before what leaves this process: HTTP requests and notices.

mod form;
mod json;
mod notifier;
mod transport;

pub use self::notifier::MaskedNotifier;
pub use self::transport::{MaskedTransport, OnPii};
