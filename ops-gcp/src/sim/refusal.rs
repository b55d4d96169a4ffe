//! Error answers of the simulated control planes.

use ops_core::http::HttpResponse;
use ops_core::testkit::Reply;
use serde_json::{Value, json};

/// An error answer in Google's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: u16,
    status: &'static str,
    message: String,
    reason: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    pub(crate) fn stale_etag() -> Self {
        Self::new(
            409,
            "ABORTED",
            "conflict for resource: the etag is not the current one",
        )
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(401, "UNAUTHENTICATED", "request is missing a valid bearer token")
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(
            403,
            "PERMISSION_DENIED",
            "permission denied on this resource (or it may not exist)",
        )
    }

    pub(crate) fn disabled_api() -> Self {
        Self {
            reason: Some("SERVICE_DISABLED"),
            ..Self::new(
                403,
                "PERMISSION_DENIED",
                "Cloud Run Admin API is disabled in this project",
            )
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "the resource was not found")
    }

    /// One of the older services of Google's: the cause is the message, and there is no name of a status.
    pub(crate) fn by_message(cause: &str) -> Self {
        Self::new(400, "", cause)
    }

    pub(crate) fn too_many() -> Self {
        Self::new(429, "RESOURCE_EXHAUSTED", "quota exceeded")
    }

    pub(crate) fn not_simulated(what: &str) -> Self {
        Self::new(501, "UNIMPLEMENTED", format!("the simulation does not do {what}"))
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(503, "UNAVAILABLE", "the service is currently unavailable")
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn reply(&self) -> Reply {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if self.code == 429 {
            headers.push(("retry-after".to_owned(), "1".to_owned()));
        }
        Reply::Answer(HttpResponse::new(self.code, headers, self.body().to_string()))
    }

    fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            reason: None,
        }
    }

    fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if !self.status.is_empty() {
            error["status"] = json!(self.status);
        }
        if let Some(reason) = self.reason {
            error["details"] = json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "googleapis.com",
                "metadata": {"service": "run.googleapis.com"},
            }]);
        }
        json!({"error": error})
    }
}
