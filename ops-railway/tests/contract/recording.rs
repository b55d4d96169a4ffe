use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport};
use ops_core::testkit::loopback_transport;
use serde_json::Value;

/// One request and its answer; bodies as JSON, null for none.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) sent: Value,
    pub(crate) status: u16,
    pub(crate) received: Value,
}

/// Keeps what goes through it.
#[derive(Debug)]
pub(crate) struct Recording {
    inner: Arc<dyn HttpTransport>,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Recording {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: loopback_transport(),
            exchanges: Mutex::default(),
        })
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }
}

#[async_trait]
impl HttpTransport for Recording {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let (method, url, sent) = (
            request.method().as_str(),
            request.url().to_owned(),
            json(request.body()),
        );
        let response = self.inner.send(request).await?;
        self.exchanges.lock().unwrap().push(Exchange {
            method,
            url,
            sent,
            status: response.status(),
            received: json(response.body()),
        });
        Ok(response)
    }
}

fn json(body: &[u8]) -> Value {
    match body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(body).unwrap(),
    }
}
