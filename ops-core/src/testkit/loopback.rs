use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, ErrorKind, Result};
use crate::http::{HostPolicy, HttpResponse, HttpTransport, ReqwestTransport};
use crate::model::Timestamp;

/// A request as a simulated vendor sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SimRequest {
    /// `GET`, `PATCH`, …
    pub method: String,
    /// The path, percent-encoded as it came.
    pub path: String,
    /// The query pairs, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl SimRequest {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first query value of that name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a simulated vendor does with a request.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the server must handle each")]
pub enum Reply {
    /// Answers.
    Answer(HttpResponse),
    /// Cuts the connection without an answer.
    Hangup,
}

impl Reply {
    /// Answers with JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Answer(HttpResponse::new(status, headers, body.to_string()))
    }

    /// Says in its `Date` header that it is `at`; without one, the server says what this machine's clock says.
    #[must_use]
    pub fn with_date(self, at: Option<Timestamp>) -> Self {
        match (self, at) {
            (Self::Answer(response), Some(at)) => {
                let mut headers = response.headers().to_vec();
                headers.push(("date".to_owned(), at.to_http_date()));
                Self::Answer(HttpResponse::new(
                    response.status(),
                    headers,
                    response.body().clone(),
                ))
            }
            (reply, _) => reply,
        }
    }
}

/// A simulated vendor.
#[async_trait]
pub trait Handler: Debug + Send + Sync + 'static {
    /// Handles one request.
    async fn handle(&self, request: SimRequest) -> Reply;
}

/// An HTTP/1.1 server on a free loopback port; it stops when dropped.
#[derive(Debug)]
pub struct LoopbackServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl LoopbackServer {
    /// Starts serving `handler`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if no port can be had.
    pub async fn start(handler: Arc<dyn Handler>) -> Result<Self> {
        let failed =
            |source: io::Error| Error::new(ErrorKind::Unavailable, "start loopback server").source(source);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(accept(listener, handler));
        Ok(Self { address, task })
    }

    /// `http://127.0.0.1:PORT`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, handler: Arc<dyn Handler>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&handler)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, handler: Arc<dyn Handler>) {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            let request = read(request).await?;
            match handler.handle(request).await {
                Reply::Answer(response) => answer(&response),
                Reply::Hangup => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            }
        }
    });
    // An error here is a connection that was cut, by the client or by `Reply::Hangup`.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<SimRequest> {
    let (head, body) = request.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let query = head
        .uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty());
    let query = query
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    Ok(SimRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query,
        headers,
        body,
    })
}

/// Undoes percent-encoding; a broken escape is kept as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn answer(response: &HttpResponse) -> io::Result<hyper::Response<Full<Bytes>>> {
    let mut built = hyper::Response::builder().status(response.status());
    for (name, value) in response.headers() {
        built = built.header(name, value);
    }
    built
        .body(Full::new(response.body().clone()))
        .map_err(io::Error::other)
}

/// A transport that can only reach this machine.
///
/// # Panics
/// If TLS cannot be set up.
pub fn loopback_transport() -> Arc<dyn HttpTransport> {
    match ReqwestTransport::new(HostPolicy::LoopbackOnly) {
        Ok(transport) => Arc::new(transport),
        Err(error) => panic!("{error}"),
    }
}
