//! GraphQL over the HTTP transport: one document per request, and errors that come inside a 200.

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One document with its variables; the value itself is what goes out as `variables`.
pub(crate) trait Operation: Serialize + Sync {
    /// The operation's name in the document.
    const NAME: &'static str;
    /// The document, with exactly one operation.
    const DOCUMENT: &'static str;
    /// What it does, for errors.
    const VERB: &'static str;
    /// The shape of `data`.
    type Data: DeserializeOwned;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, O> {
    query: &'static str,
    operation_name: &'static str,
    variables: &'a O,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    errors: Option<Vec<Fault>>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
    #[serde(default)]
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    #[serde(default)]
    code: Option<String>,
}

/// Puts `operation` into `request` as its body.
///
/// # Errors
/// `InvalidInput` if the variables cannot be written as JSON.
pub(crate) fn with_operation<O: Operation>(request: HttpRequest, operation: &O) -> Result<HttpRequest> {
    request.with_json(&Body {
        query: O::DOCUMENT,
        operation_name: O::NAME,
        variables: operation,
    })
}

/// Reads the answer to an `O`.
///
/// A status of 200 says nothing: `errors` decides, also beside data, since half an answer is no evidence.
///
/// # Errors
/// What [`kind_of`] makes of the vendor's errors; the kind of a failing status; `Unexpected` for any other shape. The
/// vendor's message is read for its kind and not repeated.
pub(crate) fn read<O: Operation>(response: &HttpResponse, provider: &'static str) -> Result<O::Data> {
    let envelope: Option<Envelope> = response.json().ok();
    if let Some([first, ..]) = envelope.as_ref().and_then(|envelope| envelope.errors.as_deref())
        && (response.is_success() || response.status() == 400)
    {
        return Err(Error::new(kind_of(first), O::VERB).provider(provider));
    }
    if !response.is_success() {
        return Err(of_status::<O>(response, provider));
    }
    let unexpected = |what: &'static str| {
        Error::new(ErrorKind::Unexpected, O::VERB)
            .provider(provider)
            .context("answer", what)
    };
    let envelope = envelope.ok_or_else(|| unexpected("is not a GraphQL answer"))?;
    let data = envelope
        .data
        .ok_or_else(|| unexpected("holds neither data nor errors"))?;
    // The text of serde's error would quote the answer.
    serde_json::from_value(data).map_err(|_| unexpected("does not have the shape that was asked for"))
}

/// A failing status without GraphQL errors. One endpoint serves everything, so a 404 (or 400, 409, 422) comes from something
/// in front of the vendor and says nothing about what was asked for.
fn of_status<O: Operation>(response: &HttpResponse, provider: &'static str) -> Error {
    let error = response.to_error(O::VERB, provider);
    match error.kind() {
        ErrorKind::Conflict | ErrorKind::InvalidInput | ErrorKind::NotFound => {
            Error::new(ErrorKind::Unexpected, O::VERB)
                .provider(provider)
                .context("status", response.status().to_string())
        }
        _ => error,
    }
}

/// The kind that a GraphQL error means. Vendors of this crate give a message and rarely a code.
///
/// "Not Authorized" means two things that cannot be told apart: the credential is dead, or it is alive and does not cover this
/// resource. Both are `PermissionDenied`.
fn kind_of(fault: &Fault) -> ErrorKind {
    let message = fault.message.to_ascii_lowercase();
    let code = fault
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.code.as_deref());
    let says = |words: &str| message.contains(words);
    match code {
        _ if says("not authorized") => ErrorKind::PermissionDenied,
        Some("UNAUTHENTICATED") => ErrorKind::Unauthenticated,
        Some("FORBIDDEN") => ErrorKind::PermissionDenied,
        _ if says("rate limit") || says("too many requests") => ErrorKind::RateLimited,
        _ if says("not found") => ErrorKind::NotFound,
        _ if refuses_for_its_state(&message) => ErrorKind::Conflict,
        Some("BAD_USER_INPUT" | "GRAPHQL_VALIDATION_FAILED") => ErrorKind::InvalidInput,
        _ if says("invalid") => ErrorKind::InvalidInput,
        _ => ErrorKind::Unexpected,
    }
}

/// Whether a message, in lower case, says that the thing itself cannot do this. No vendor documents these texts, so they are
/// narrow: what is not recognised is `Unexpected`, as is the catch-all "Problem processing request", which a healthy
/// deployment may meet too.
fn refuses_for_its_state(message: &str) -> bool {
    [
        "is not active",
        "cannot be restarted",
        "cannot be rolled back",
        "cannot be redeployed",
        "has been removed",
    ]
    .iter()
    .any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Ping {
        id: &'static str,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Pong {
        done: bool,
    }

    impl Operation for Ping {
        const NAME: &'static str = "Ping";
        const DOCUMENT: &'static str = "mutation Ping($id: String!) { done: ping(id: $id) }";
        const VERB: &'static str = "ping";
        type Data = Pong;
    }

    fn read_text(status: u16, body: &str) -> Result<Pong> {
        read::<Ping>(&HttpResponse::new(status, Vec::new(), body.to_owned()), "railway")
    }

    #[test]
    fn the_body_names_its_operation() {
        let request = HttpRequest::new(ops_core::http::Method::Post, "http://127.0.0.1");
        let request = with_operation(request, &Ping { id: "d" }).unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["operationName"], "Ping");
        assert_eq!(body["variables"], serde_json::json!({"id": "d"}));
    }

    /// Railway answers 200 with `data: null` and `errors`, and "Not Authorized" for a dead session as well as for a token
    /// that does not cover the resource.
    #[test]
    fn an_error_inside_a_200_is_an_error() {
        let error = read_text(200, r#"{"data":null,"errors":[{"message":"Not Authorized"}]}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), "ping on railway failed: permission denied");
    }

    #[test]
    fn half_an_answer_is_an_error() {
        let error = read_text(200, r#"{"data":{"done":true},"errors":[{"message":"x"}]}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert_eq!(
            read_text(200, r#"{"data":{"done":true},"errors":[]}"#).unwrap(),
            Pong { done: true }
        );
    }

    #[test]
    fn messages_and_codes_give_the_kind_and_are_not_repeated() {
        for (fault, kind) in [
            (r#"{"message":"Service Instance not found"}"#, ErrorKind::NotFound),
            (
                r#"{"message":"s3cret","extensions":{"code":"BAD_USER_INPUT"}}"#,
                ErrorKind::InvalidInput,
            ),
            (r#"{"message":"Rate limit exceeded"}"#, ErrorKind::RateLimited),
            (r#"{"message":"s3cret"}"#, ErrorKind::Unexpected),
            (
                r#"{"message":"Deployment is not active","extensions":{"code":"INTERNAL_SERVER_ERROR"}}"#,
                ErrorKind::Conflict,
            ),
            (
                r#"{"message":"Problem processing request"}"#,
                ErrorKind::Unexpected,
            ),
            (r#"{}"#, ErrorKind::Unexpected),
        ] {
            let error = read_text(200, &format!(r#"{{"data":null,"errors":[{fault}]}}"#)).unwrap_err();
            assert_eq!(error.kind(), kind, "{fault}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_shape_that_was_not_asked_for_is_unexpected() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"data":null}"#,
            r#"{"data":{"done":"s3cret"}}"#,
        ] {
            let error = read_text(200, body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unexpected, "{body}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert_eq!(read_text(503, "").unwrap_err().kind(), ErrorKind::Unavailable);
        // An endpoint that is away for a moment must not look like a deployment that is gone.
        assert_eq!(
            read_text(404, "Not Found").unwrap_err().kind(),
            ErrorKind::Unexpected
        );
        let refused = r#"{"errors":[{"message":"x","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}"#;
        assert_eq!(
            read_text(400, refused).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
