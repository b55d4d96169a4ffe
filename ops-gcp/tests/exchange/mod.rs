//! What went over the wire, kept for a comparison with the vendor's description.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport};
use ops_core::testkit::loopback_transport;
use serde_json::Value;

/// A request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// The names of the headers of the request.
    pub(crate) headers: Vec<String>,
    body: Vec<u8>,
    pub(crate) status: u16,
    answer: Vec<u8>,
}

impl Exchange {
    /// The body, if it is JSON.
    pub(crate) fn body(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The answer, which must be JSON.
    pub(crate) fn answer(&self) -> Value {
        serde_json::from_slice(&self.answer).unwrap()
    }
}

/// A transport that keeps what goes over it.
#[derive(Debug)]
pub(crate) struct Recorder {
    inner: Arc<dyn HttpTransport>,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: loopback_transport(),
            exchanges: Mutex::default(),
        })
    }

    /// What was kept so far.
    pub(crate) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.exchanges.lock().unwrap())
    }
}

#[async_trait]
impl HttpTransport for Recorder {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let (method, body) = (request.method().as_str(), request.body().to_vec());
        let rest = request.url().split_once("://").unwrap().1;
        let whole = &rest[rest.find('/').unwrap()..];
        let (path, query) = whole.split_once('?').unwrap_or((whole, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let headers = request.headers().iter().map(|(name, _)| name.clone()).collect();
        let path = path.to_owned();
        let response = self.inner.send(request).await?;
        self.exchanges.lock().unwrap().push(Exchange {
            method,
            path,
            query,
            headers,
            body,
            status: response.status(),
            answer: response.body().to_vec(),
        });
        Ok(response)
    }
}
