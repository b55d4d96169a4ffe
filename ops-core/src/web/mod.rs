//! The limits on the request path of a web service: a tower layer and an axum extractor, over a limiter of this process or a shared one.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::{get, post}};
//! use ops_core::guard::LocalLimiter;
//! use ops_core::model::{EndpointClass, LimitTable};
//! use ops_core::web::{LimitGate, Llm, Within};
//!
//! async fn search() -> &'static str {
//!     "found"
//! }
//!
//! async fn chat(_within: Within<Llm>) -> &'static str {
//!     "hello"
//! }
//!
//! let gate = LimitGate::new(Arc::new(LocalLimiter::new(LimitTable::preset())?));
//! let app: Router = Router::new()
//!     // Either: a layer on the route. The authentication outside of it puts a `Caller` into the request.
//!     .route("/search", get(search).layer(gate.layer(EndpointClass::Search)))
//!     // Or: an argument of the handler.
//!     .route("/chat", post(chat))
//!     .with_state(gate);
//! # Ok::<(), ops_core::error::Error>(())
//! ```
//!
//! Every limit of class `api` counts the requests of the other classes too, so a route has one of the two, once.

mod address;
mod answer;
mod caller;
mod extract;
mod fields;
mod gate;
mod layer;

pub use self::address::TrustedProxies;
pub use self::answer::{Denial, language};
pub use self::caller::Caller;
pub use self::extract::{Admin, Api, ClassOf, Llm, Search, Within};
pub use self::fields::limit_fields;
pub use self::gate::LimitGate;
pub use self::layer::{LimitLayer, LimitService};
