//! What Google's error answers mean.

use ops_core::error::{Error, ErrorKind, Retry};
use ops_core::http::HttpResponse;
use serde::Deserialize;

/// `google.rpc.Status`, as an operation carries it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RpcStatus {
    pub(crate) code: i32,
    details: Vec<Detail>,
}

/// The error that a failing HTTP answer means.
///
/// Google's own status name goes before the HTTP status: a lost precondition travels as 400, 409 or 412.
pub(crate) fn from_response(
    response: &HttpResponse,
    operation: &'static str,
    provider: &'static str,
) -> Error {
    let envelope = response.json::<Envelope>().unwrap_or_default().error;
    let Some((_, name, kind)) = CODES.iter().find(|(_, name, _)| *name == envelope.status) else {
        return explain(response.to_error(operation, provider), &envelope.details);
    };
    let error = Error::new(*kind, operation)
        .provider(provider)
        .context("status", format!("{} {name}", response.status()));
    let error = match (error.retry(), response.retry_after()) {
        (Retry::Safe, Some(after)) => error.with_retry(Retry::After(after)),
        _ => error,
    };
    explain(error, &envelope.details)
}

/// The error that a failed operation carries.
pub(crate) fn from_status(status: &RpcStatus, operation: &'static str, provider: &'static str) -> Error {
    let known = CODES.iter().find(|(code, ..)| *code == status.code);
    let (name, kind) = known.map_or(("unknown code", ErrorKind::Unexpected), |(_, name, kind)| {
        (name, *kind)
    });
    let error = Error::new(kind, operation)
        .provider(provider)
        .context("operation", format!("ended with {name}"));
    explain(error, &status.details)
}

/// Adds what the operator can do about it, where the answer says so. Google's own message may name people: it stays out.
fn explain(error: Error, details: &[Detail]) -> Error {
    if details.iter().any(|detail| detail.reason == "SERVICE_DISABLED") {
        return error
            .context("cause", "the API is not enabled in this project")
            .context("remedy", "gcloud services enable, with the name of the API");
    }
    error
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    error: Body,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    status: String,
    details: Vec<Detail>,
}

/// `google.rpc.ErrorInfo`; other kinds of detail have no reason.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
}

/// `google.rpc.Code`: number, name, meaning.
const CODES: [(i32, &str, ErrorKind); 16] = [
    (1, "CANCELLED", ErrorKind::Unexpected),
    (2, "UNKNOWN", ErrorKind::Unavailable),
    (3, "INVALID_ARGUMENT", ErrorKind::InvalidInput),
    (4, "DEADLINE_EXCEEDED", ErrorKind::Timeout),
    (5, "NOT_FOUND", ErrorKind::NotFound),
    (6, "ALREADY_EXISTS", ErrorKind::Conflict),
    (7, "PERMISSION_DENIED", ErrorKind::PermissionDenied),
    (8, "RESOURCE_EXHAUSTED", ErrorKind::RateLimited),
    (9, "FAILED_PRECONDITION", ErrorKind::Conflict),
    (10, "ABORTED", ErrorKind::Conflict),
    (11, "OUT_OF_RANGE", ErrorKind::InvalidInput),
    (12, "UNIMPLEMENTED", ErrorKind::Unsupported),
    (13, "INTERNAL", ErrorKind::Unavailable),
    (14, "UNAVAILABLE", ErrorKind::Unavailable),
    (15, "DATA_LOSS", ErrorKind::Unexpected),
    (16, "UNAUTHENTICATED", ErrorKind::Unauthenticated),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn error(status: u16, body: &str) -> Error {
        let headers = vec![("retry-after".to_owned(), "7".to_owned())];
        from_response(
            &HttpResponse::new(status, headers, body.to_owned()),
            "stop",
            "cloud-run",
        )
    }

    /// The HTTP status of a lost precondition is not settled in the vendor's documents: 400, 409 and 412 occur.
    #[test]
    fn a_lost_precondition_is_a_conflict_whatever_its_http_status() {
        for (status, name) in [
            (400, "FAILED_PRECONDITION"),
            (409, "ABORTED"),
            (412, "FAILED_PRECONDITION"),
            (409, ""),
            (412, ""),
        ] {
            let body = format!(r#"{{"error":{{"code":{status},"message":"x","status":"{name}"}}}}"#);
            assert_eq!(
                error(status, &body).kind(),
                ErrorKind::Conflict,
                "{status} {name}"
            );
        }
        assert_eq!(
            error(400, r#"{"error":{"status":"INVALID_ARGUMENT"}}"#).kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn an_answer_that_is_no_google_error_is_judged_by_its_http_status() {
        assert_eq!(error(502, "<html>").kind(), ErrorKind::Unavailable);
        assert_eq!(error(429, "").retry(), Retry::After(Duration::from_secs(7)));
    }

    #[test]
    fn texts_hold_nothing_of_the_answer_but_the_status() {
        let body = r#"{"error":{"status":"PERMISSION_DENIED","message":"taro@example.com may not"}}"#;
        assert_eq!(
            error(403, body).to_string(),
            "stop on cloud-run failed: permission denied (status: 403 PERMISSION_DENIED)"
        );
    }

    #[test]
    fn a_disabled_api_is_said() {
        let body = r#"{"error":{"status":"PERMISSION_DENIED","details":[{"@type":"t","reason":"SERVICE_DISABLED"}]}}"#;
        let text = error(403, body).to_string();
        assert!(text.contains("the API is not enabled"), "{text}");
    }

    #[test]
    fn a_failed_operation_is_judged_by_its_code() {
        let failed = |code| {
            from_status(
                &RpcStatus {
                    code,
                    details: Vec::new(),
                },
                "stop",
                "cloud-run",
            )
            .kind()
        };
        assert_eq!(failed(10), ErrorKind::Conflict);
        assert_eq!(failed(7), ErrorKind::PermissionDenied);
        assert_eq!(failed(99), ErrorKind::Unexpected);
    }
}
