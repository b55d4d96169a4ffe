//! Where access tokens come from.

mod static_token;
mod token_source;

pub use self::static_token::StaticToken;
pub use self::token_source::TokenSource;
