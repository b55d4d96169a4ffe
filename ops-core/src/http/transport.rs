use std::fmt;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::model::Timestamp;

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
    /// `PATCH`
    Patch,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl Method {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A request. `Debug` shows method, host and path, never headers, query or body.
#[derive(Clone)]
pub struct HttpRequest {
    method: Method,
    url: String,
    headers: Vec<(String, SecretString)>,
    body: Bytes,
    timeout: Duration,
}

/// How long one exchange may take unless the request says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl HttpRequest {
    /// A request without headers and body, with a time limit of 10 s.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Adds a header. Every header value is treated as a secret.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds `Authorization: Bearer`.
    #[must_use]
    pub fn with_bearer(self, token: &SecretString) -> Self {
        let value = format!("Bearer {}", token.expose_secret());
        self.with_header("authorization", value)
    }

    /// Sets a JSON body and its content type.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `body` cannot be written as JSON.
    pub fn with_json<T: Serialize + ?Sized>(mut self, body: &T) -> Result<Self> {
        let bytes = serde_json::to_vec(body)
            .map_err(|source| Error::new(ErrorKind::InvalidInput, "write request body").source(source))?;
        self.body = bytes.into();
        Ok(self.with_header("content-type", "application/json".to_owned()))
    }

    /// Sets the body; its content type is a header of its own.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the time limit of the whole exchange.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The URL with its query.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The headers.
    pub fn headers(&self) -> &[(String, SecretString)] {
        &self.headers
    }

    /// The body, empty for none.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The time limit of the whole exchange.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.url.split('?').next().unwrap_or("");
        write!(f, "{} {plain}", self.method.as_str())
    }
}

/// A response. `Debug` shows the status and the length, never headers or body.
#[derive(Clone)]
pub struct HttpResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl HttpResponse {
    /// A response; header names in lower case.
    pub fn new(status: u16, headers: Vec<(String, String)>, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The headers; names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// What the other side's clock said: its `Date` header, to the second.
    pub fn date(&self) -> Option<Timestamp> {
        Timestamp::from_http_date(self.header("date")?)
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Unexpected`] with the place of the fault, never with the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|fault| {
            Error::new(ErrorKind::Unexpected, "read answer").context(
                "fault",
                format!(
                    "{:?} at line {} column {}",
                    fault.classify(),
                    fault.line(),
                    fault.column()
                ),
            )
        })
    }

    /// `Retry-After` in seconds, if given so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?
            .trim()
            .parse()
            .ok()
            .map(Duration::from_secs)
    }

    /// The error that a failing status means for `operation`; a provider refines it where its vendor says more.
    pub fn to_error(&self, operation: &'static str, provider: &'static str) -> Error {
        let kind = match self.status {
            400 | 422 => ErrorKind::InvalidInput,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            404 | 410 => ErrorKind::NotFound,
            408 | 504 => ErrorKind::Timeout,
            409 | 412 => ErrorKind::Conflict,
            429 => ErrorKind::RateLimited,
            500 | 502 | 503 => ErrorKind::Unavailable,
            _ => ErrorKind::Unexpected,
        };
        let error = Error::new(kind, operation)
            .provider(provider)
            .context("status", self.status.to_string());
        match (error.retry(), self.retry_after()) {
            (Retry::Safe, Some(after)) => error.with_retry(Retry::After(after)),
            _ => error,
        }
    }
}

impl Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "HttpResponse {{ status: {}, body: {} bytes }}",
            self.status,
            self.body.len()
        )
    }
}

/// Which hosts a transport may talk to. It does not depend on the build profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostPolicy {
    /// Any host, over TLS; loopback also without.
    Any,
    /// Addresses of this machine only: simulations, drills, tests.
    LoopbackOnly,
}

impl HostPolicy {
    /// Checks a URL against the policy.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a host that the policy excludes, and for plain HTTP to another machine.
    pub fn check(self, url: &str) -> Result<()> {
        let refused =
            |why: &'static str| Error::new(ErrorKind::InvalidConfig, "send request").context("url", why);
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| refused("must begin with https:// or http://"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        if authority.contains('@') {
            return Err(refused("must not contain a user name or password"));
        }
        let host = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or(""),
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        };
        let loopback = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        match (self, scheme) {
            (_, "http" | "https") if loopback => Ok(()),
            (Self::LoopbackOnly, _) => Err(refused(
                "leads to another machine, and this transport may only talk to this one",
            )),
            (Self::Any, "https") if !host.is_empty() => Ok(()),
            (Self::Any, _) => Err(refused("must be https:// for another machine")),
        }
    }
}

/// Sends requests.
///
/// # Contract
/// - One call is one exchange: no retry, no redirect is followed, no proxy is used for this machine.
/// - Any status is `Ok`; `Err` means that no whole response arrived.
/// - The transport's [`HostPolicy`] is checked before a connection is made.
///
/// # Errors
/// `InvalidConfig` for a refused host, `Timeout`, `Unavailable`. Texts hold no URL query, header or body.
///
/// # Cancellation
/// Dropping the future closes the connection; the server may have acted.
#[async_trait]
pub trait HttpTransport: Debug + Send + Sync + 'static {
    /// Sends one request.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_only_refuses_every_other_machine() {
        let policy = HostPolicy::LoopbackOnly;
        for url in ["http://127.0.0.1:80/x", "http://[::1]:8080", "https://localhost/"] {
            assert!(policy.check(url).is_ok(), "{url}");
        }
        for url in [
            "https://run.googleapis.com/v2",
            "http://127.0.0.1@evil.example/",
            "http://10.0.0.1/",
            "ftp://localhost",
            "x",
            "http://127.0.0.1.evil.example/",
        ] {
            assert!(policy.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn other_machines_need_tls() {
        assert!(HostPolicy::Any.check("https://api.vercel.com/v1").is_ok());
        assert!(HostPolicy::Any.check("http://api.vercel.com/v1").is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let request =
            HttpRequest::new(Method::Get, "https://h/x?key=s3cret").with_bearer(&SecretString::from("t0ken"));
        assert_eq!(format!("{request:?}"), "GET https://h/x");
    }
}
