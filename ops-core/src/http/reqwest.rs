use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;

use super::{HostPolicy, HttpRequest, HttpResponse, HttpTransport, Method};
use crate::error::{Error, ErrorKind, Result};

/// The transport over reqwest, with rustls and ring; cheap to clone, one connection pool.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    /// Through the system's proxy, if one is set.
    client: reqwest::Client,
    /// For this machine: never through a proxy.
    direct: reqwest::Client,
    policy: HostPolicy,
}

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

impl ReqwestTransport {
    /// A transport that obeys `policy`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the TLS set-up cannot be made.
    pub fn new(policy: HostPolicy) -> Result<Self> {
        let failed = || Error::new(ErrorKind::InvalidConfig, "build transport");
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|source| failed().source(source))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
        };
        let client = builder()
            .build()
            .map_err(|source| failed().source(source.without_url()))?;
        let direct = builder()
            .no_proxy()
            .build()
            .map_err(|source| failed().source(source.without_url()))?;
        Ok(Self {
            client,
            direct,
            policy,
        })
    }
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        self.policy.check(request.url())?;
        let method = match request.method() {
            Method::Delete => reqwest::Method::DELETE,
            Method::Get => reqwest::Method::GET,
            Method::Patch => reqwest::Method::PATCH,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let client = if HostPolicy::LoopbackOnly.check(request.url()).is_ok() {
            &self.direct
        } else {
            &self.client
        };
        let mut outgoing = client
            .request(method, request.url())
            .timeout(request.timeout())
            .body(request.body().clone());
        for (name, value) in request.headers() {
            outgoing = outgoing.header(name, value.expose_secret());
        }
        let response = outgoing.send().await.map_err(failure)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = response.bytes().await.map_err(failure)?;
        Ok(HttpResponse::new(status, headers, body))
    }
}

fn failure(source: reqwest::Error) -> Error {
    let (kind, what) = if source.is_timeout() {
        (ErrorKind::Timeout, "no answer in time")
    } else if source.is_connect() {
        (ErrorKind::Unavailable, "no connection")
    } else if source.is_builder() {
        (ErrorKind::InvalidInput, "not a valid request")
    } else {
        (ErrorKind::Unavailable, "the connection broke")
    };
    Error::new(kind, "send request").context("cause", what)
}
