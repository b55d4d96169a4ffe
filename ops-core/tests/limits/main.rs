//! The limits on the request path of a web service.

mod allocations;
mod http;
