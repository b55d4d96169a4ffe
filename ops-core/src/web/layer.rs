use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{LimitGate, limit_fields};
use crate::model::EndpointClass;

/// Puts a [`LimitGate`] before a service. What the limits said is in the extensions of the request, and as fields in the response (not in
/// shadow mode).
#[derive(Clone, Debug)]
pub struct LimitLayer {
    gate: LimitGate,
    class: EndpointClass,
}

impl LimitLayer {
    pub(super) fn new(gate: LimitGate, class: EndpointClass) -> Self {
        Self { gate, class }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = LimitService<S>;

    fn layer(&self, inner: S) -> LimitService<S> {
        LimitService {
            inner,
            gate: self.gate.clone(),
            class: self.class,
        }
    }
}

/// A service behind a [`LimitLayer`].
#[derive(Clone, Debug)]
pub struct LimitService<S> {
    inner: S,
    gate: LimitGate,
    class: EndpointClass,
}

impl<S, B, R> Service<Request<B>> for LimitService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String> + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes along; its clone may not be.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (gate, class) = (self.gate.clone(), self.class);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let decision = match gate.admit(&parts, class).await {
                Ok(decision) => decision,
                Err(denial) => return Ok(denial.response()),
            };
            parts.extensions.insert(decision);
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            if !gate.is_shadow() {
                limit_fields(response.headers_mut(), &decision);
            }
            Ok(response)
        })
    }
}
