//! The limits on the request path of a web service.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod http;
