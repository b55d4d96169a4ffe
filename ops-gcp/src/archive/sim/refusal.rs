use ops_core::http::HttpResponse;
use ops_core::testkit::Reply;
use serde_json::json;

/// An error answer as this API has it: with reasons, without the name of a status.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    code: u16,
    reason: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid", message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "notFound", "No such object")
    }

    pub(super) fn forbidden(permission: &str) -> Self {
        let message = format!("somebody@example.com does not have {permission} access (or it may not exist)");
        Self::new(403, "forbidden", message)
    }

    pub(super) fn condition_not_met() -> Self {
        Self::new(
            412,
            "conditionNotMet",
            "At least one of the pre-conditions you specified did not hold.",
        )
    }

    pub(super) fn reply(&self) -> Reply {
        let body = json!({"error": {
            "code": self.code,
            "message": self.message,
            "errors": [{"message": self.message, "domain": "global", "reason": self.reason}],
        }});
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if self.code == 429 {
            headers.push(("retry-after".to_owned(), "1".to_owned()));
        }
        Reply::Answer(HttpResponse::new(self.code, headers, body.to_string()))
    }
}
