use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::transport::{HttpRequest, HttpTransport, Method};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Verdict;
use crate::ports::HealthProbe;

/// Asks a health endpoint: an answer of 200 to 299 holds, if it says what it is expected to say. Sends no credential; follows the host policy of its transport.
///
/// Any other answer is `NotYet`; no answer, or one that cannot be read, is `Unknown`.
#[derive(Clone)]
pub struct HttpHealthProbe {
    transport: Arc<dyn HttpTransport>,
    url: String,
    field: Option<(String, String)>,
    timeout: Duration,
}

impl HttpHealthProbe {
    /// A probe of `url` that waits 3 s for the answer.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL with a user name, a password or a fragment.
    pub fn new(transport: Arc<dyn HttpTransport>, url: impl Into<String>) -> Result<Self> {
        let url = url.into();
        let authority = url
            .split_once("://")
            .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
        match authority {
            Some(authority) if !authority.is_empty() && !authority.contains('@') && !url.contains('#') => {
                Ok(Self {
                    transport,
                    url,
                    field: None,
                    timeout: Duration::from_secs(3),
                })
            }
            _ => Err(Error::new(ErrorKind::InvalidInput, "build health probe").context(
                "url",
                "must be a URL with a host, and without user name, password and fragment",
            )),
        }
    }

    /// Expects a JSON object whose `field` is `value`. A dot goes one level deeper; a number or a truth value is compared as it is written.
    #[must_use]
    pub fn expecting(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.field = Some((field.into(), value.into()));
        self
    }

    /// Sets how long the answer may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for HttpHealthProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.url.split('?').next().unwrap_or("");
        f.debug_struct("HttpHealthProbe")
            .field("url", &plain)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl HealthProbe for HttpHealthProbe {
    async fn check(&self) -> Verdict {
        let request = HttpRequest::new(Method::Get, &self.url).with_timeout(self.timeout);
        let response = match self.transport.send(request).await {
            Ok(response) => response,
            Err(error) => return Verdict::unknown(error.to_string()),
        };
        if !response.is_success() {
            return Verdict::not_yet(format!("the endpoint answers {}", response.status()));
        }
        match &self.field {
            None => Verdict::Holds,
            Some((field, wanted)) => match response.json::<Value>() {
                Ok(body) => judge(&body, field, wanted),
                Err(_) => Verdict::unknown("the answer is no JSON"),
            },
        }
    }
}

/// What is there instead is not repeated: it may be anything.
fn judge(body: &Value, field: &str, wanted: &str) -> Verdict {
    let found = field.split('.').try_fold(body, |value, name| value.get(name));
    match found {
        None => Verdict::unknown(format!("the answer has no field {field}")),
        Some(Value::String(found)) if found == wanted => Verdict::Holds,
        Some(Value::Bool(found)) if found.to_string() == wanted => Verdict::Holds,
        Some(Value::Number(found)) if found.to_string() == wanted => Verdict::Holds,
        Some(_) => Verdict::not_yet(format!("{field} is not {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_compared_as_it_is_written_and_a_missing_one_is_no_health() {
        let body = json!({"status": "ok", "ready": true, "db": {"up": 2}, "list": ["ok"]});
        for (field, wanted) in [("status", "ok"), ("ready", "true"), ("db.up", "2")] {
            assert!(judge(&body, field, wanted).holds(), "{field}");
        }
        for (field, wanted) in [("status", "OK"), ("ready", "false"), ("list", "ok"), ("db", "2")] {
            assert_eq!(judge(&body, field, wanted).name(), "not_yet", "{field}");
        }
        for field in ["state", "db.down", "status.ok", ""] {
            assert_eq!(judge(&body, field, "ok").name(), "unknown", "{field}");
        }
    }
}
