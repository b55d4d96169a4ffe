//! HTTP as the providers see it: requests and responses as values, one transport.

mod health;
mod transport;

#[cfg(feature = "reqwest")]
mod reqwest;

pub use self::health::HttpHealthProbe;
#[cfg(feature = "reqwest")]
pub use self::reqwest::ReqwestTransport;
pub use self::transport::{HostPolicy, HttpRequest, HttpResponse, HttpTransport, Method};
