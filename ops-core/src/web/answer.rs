use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::fields::limit_fields;
use crate::guard::RateLimited;
use crate::messages;
use crate::model::{Lang, LimitDecision};

/// Why a request does not go on, as an answer to its caller.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Denial {
    /// It is over a limit: 429.
    OverLimit {
        /// The body.
        body: RateLimited,
        /// What the limits said.
        decision: Box<LimitDecision>,
    },
    /// What it asks for is stopped: 503.
    Stopped {
        /// In which language the caller is told.
        lang: Lang,
    },
}

#[derive(Serialize)]
struct Stopped {
    error: &'static str,
    message: String,
}

impl Denial {
    /// The answer: JSON, never cached.
    pub fn response<B: From<String>>(&self) -> Response<B> {
        let (status, body) = match self {
            Self::OverLimit { body, .. } => (StatusCode::TOO_MANY_REQUESTS, serde_json::to_string(body)),
            Self::Stopped { lang } => {
                let message = messages::feature_stopped().get(*lang).to_owned();
                let body = Stopped {
                    error: "feature_stopped",
                    message,
                };
                (StatusCode::SERVICE_UNAVAILABLE, serde_json::to_string(&body))
            }
        };
        // Two or three plain fields: it cannot fail.
        let mut response = Response::new(B::from(body.unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::OverLimit { body, decision } = self {
            headers.insert(RETRY_AFTER, HeaderValue::from(body.retry_after()));
            limit_fields(headers, decision);
        }
        response
    }
}

impl axum::response::IntoResponse for Denial {
    fn into_response(self) -> axum::response::Response {
        self.response()
    }
}

/// The language that `Accept-Language` prefers of those that there are; Japanese if it names neither.
pub fn language(headers: &HeaderMap) -> Lang {
    let mut best = (0.0, Lang::default());
    for line in headers.get_all(ACCEPT_LANGUAGE) {
        for item in line.to_str().unwrap_or_default().split(',') {
            let (range, weight) = item.split_once(';').unwrap_or((item, ""));
            let weight = weight
                .trim()
                .strip_prefix("q=")
                .map_or(Some(1.0), |weight| weight.trim().parse().ok());
            let primary = range.trim().split('-').next().unwrap_or_default();
            let lang = match primary {
                _ if primary.eq_ignore_ascii_case("ja") => Lang::Ja,
                _ if primary.eq_ignore_ascii_case("en") => Lang::En,
                _ => continue,
            };
            if let Some(weight) = weight.filter(|weight| *weight > best.0) {
                best = (weight, lang);
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_of_the_two_is_taken() {
        for (header, expected) in [
            ("", Lang::Ja),
            ("en", Lang::En),
            ("en-GB,en;q=0.9", Lang::En),
            ("ja,en;q=0.9", Lang::Ja),
            ("en;q=0.3, ja-JP;q=0.8", Lang::Ja),
            ("fr, de;q=0.9", Lang::Ja),
            ("fr, EN;q=0.1", Lang::En),
            ("en;q=0", Lang::Ja),
            ("en;q=x", Lang::Ja),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(header));
            assert_eq!(language(&headers), expected, "{header}");
        }
    }
}
