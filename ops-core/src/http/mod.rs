//! HTTP as the providers see it: requests and responses as values, one transport.

mod transport;

#[cfg(feature = "reqwest")]
mod reqwest;

#[cfg(feature = "reqwest")]
pub use self::reqwest::ReqwestTransport;
pub use self::transport::{HostPolicy, HttpRequest, HttpResponse, HttpTransport, Method};
