use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use http::request::Parts;

use super::answer::{Denial, language};
use super::{Caller, LimitLayer, TrustedProxies};
use crate::guard::{LimitMonitor, RateLimited};
use crate::model::{EndpointClass, LimitDecision, LimitKey, LimitRequest};
use crate::ports::Admission;

/// What the routes of a service ask before a request goes on. Cheap to clone.
///
/// # Who is counted
/// The [`Caller`] in the extensions of the request, or what [`identified_by`](Self::identified_by) finds; else the address of the connection
/// ([`ConnectInfo`], which axum gives with `into_make_service_with_connect_info`), behind [`TrustedProxies`] that of the client. Callers of
/// whom nothing is known share one allowance.
#[derive(Clone)]
pub struct LimitGate {
    admission: Arc<dyn Admission>,
    identify: Option<Arc<Identify>>,
    cost: Option<Arc<Cost>>,
    stops: Vec<(EndpointClass, Arc<Open>)>,
    proxies: Arc<TrustedProxies>,
    monitor: Option<Arc<LimitMonitor>>,
    shadow: bool,
}

type Identify = dyn Fn(&Parts) -> Option<Caller> + Send + Sync;
type Cost = dyn Fn(&Parts) -> u32 + Send + Sync;
type Open = dyn Fn() -> bool + Send + Sync;

impl LimitGate {
    /// A gate over a limiter of this process or a shared one.
    pub fn new(admission: Arc<dyn Admission>) -> Self {
        Self {
            admission,
            identify: None,
            cost: None,
            stops: Vec::new(),
            proxies: Arc::default(),
            monitor: None,
            shadow: false,
        }
    }

    /// Finds out who calls. `None` is somebody who is not signed in.
    #[must_use]
    pub fn identified_by(
        mut self,
        identify: impl Fn(&Parts) -> Option<Caller> + Send + Sync + 'static,
    ) -> Self {
        self.identify = Some(Arc::new(identify));
        self
    }

    /// How many times a request counts. Default: once.
    #[must_use]
    pub fn costing(mut self, cost: impl Fn(&Parts) -> u32 + Send + Sync + 'static) -> Self {
        self.cost = Some(Arc::new(cost));
        self
    }

    /// Lets requests of `class` pass only while `open` says so, for instance [`FeatureStop::allows`](crate::FeatureStop::allows). It is
    /// asked first, and a stopped request is counted nowhere.
    #[must_use]
    pub fn open_while(
        mut self,
        class: EndpointClass,
        open: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        self.stops.push((class, Arc::new(open)));
        self
    }

    /// Takes the word of these proxies about addresses.
    #[must_use]
    pub fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Arc::new(proxies);
        self
    }

    /// Tells `monitor` of every decision.
    #[must_use]
    pub fn watched_by(mut self, monitor: Arc<LimitMonitor>) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// Counts and never denies: to see what limits would do before they do it. A stopped class stays stopped.
    #[must_use]
    pub fn in_shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    /// The gate as a layer, for routes whose requests are of `class`.
    pub fn layer(&self, class: EndpointClass) -> LimitLayer {
        LimitLayer::new(self.clone(), class)
    }

    /// Counts a request of `class` and says whether it goes on.
    ///
    /// # Errors
    /// The answer to give instead.
    ///
    /// # Cancellation
    /// Dropping the future may leave the request counted.
    pub async fn admit(&self, parts: &Parts, class: EndpointClass) -> Result<LimitDecision, Denial> {
        let lang = || language(&parts.headers);
        if self
            .stops
            .iter()
            .any(|(stopped, open)| *stopped == class && !open())
        {
            return Err(Denial::Stopped { lang: lang() });
        }
        let found = self.identify.as_ref().and_then(|identify| identify(parts));
        let caller = found.as_ref().or_else(|| parts.extensions.get::<Caller>());
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(peer)| peer.ip());
        let address = peer.map(|peer| self.proxies.client(peer, &parts.headers));
        let key = match caller {
            Some(caller) => LimitKey::user(caller.tenant().as_str(), caller.user()),
            None => LimitKey::address(address.unwrap_or(UNKNOWN)),
        };
        let cost = self.cost.as_ref().map_or(1, |cost| cost(parts));
        let request = LimitRequest::new(class, key).with_cost(cost);
        let decision = match self.admission.admit_now(&request) {
            Some(decision) => decision,
            None => self.admission.admit(&request).await,
        };
        match &self.monitor {
            Some(monitor) if self.shadow => monitor.record_shadow(&request, &decision),
            Some(monitor) => monitor.record(&request, address, &decision),
            None => {}
        }
        if self.shadow {
            return Ok(decision);
        }
        match RateLimited::answer(&decision, lang()) {
            None => Ok(decision),
            Some(body) => Err(Denial::OverLimit {
                body,
                decision: Box::new(decision),
            }),
        }
    }

    pub(super) fn is_shadow(&self) -> bool {
        self.shadow
    }
}

const UNKNOWN: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl fmt::Debug for LimitGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitGate")
            .field("admission", &self.admission)
            .field("shadow", &self.shadow)
            .finish_non_exhaustive()
    }
}
