use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret;

use super::{form, json};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{HttpRequest, HttpResponse, HttpTransport};
use crate::masking::scrub::{DROPPED, Scrub, Withheld};
use crate::masking::{FieldRules, LeakAlarm, LeakPlace, LeakSink};
use crate::ports::PiiMasker;

/// What happens to a request that holds a personal value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnPii {
    /// The value is masked and the request is sent.
    Mask,
    /// The request is not sent.
    Refuse,
    /// The request is sent as it is, unread: for a host that needs the value.
    Pass,
}

/// Masks what requests carry to other machines, prompts for a language model above all. Responses are not looked at.
///
/// | part | what is done |
/// |---|---|
/// | JSON body | texts, names and long numbers are masked, dropped fields are dropped, every other byte stays |
/// | form body, query | values are decoded, masked and encoded again; in the query, values of dropped fields stay: they are credentials |
/// | other UTF-8 body | masked as text |
/// | body that is not UTF-8, or compressed | the request is refused: it cannot be read. [`OnPii::Pass`] is for hosts that take files |
/// | headers | masked, but for credentials (`authorization`, cookies, keys); a mask that is not ASCII becomes `***` |
/// | path | the request is refused: another path is another resource |
///
/// Every hit is reported to the alarm with the host as its place, refused or not.
///
/// ```
/// use std::sync::Arc;
///
/// use ops_core::http::HttpTransport;
/// use ops_core::masking::{BuiltinMasker, MaskedTransport, OnPii};
///
/// fn guarded(inner: Arc<dyn HttpTransport>) -> MaskedTransport {
///     MaskedTransport::new(inner, Arc::new(BuiltinMasker::new()))
///         .with_rule("api.openai.com", "/v1/", OnPii::Refuse)
///         .with_rule("api.sendgrid.com", "/", OnPii::Pass)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct MaskedTransport {
    inner: Arc<dyn HttpTransport>,
    scrub: Scrub,
    rules: Vec<Rule>,
    otherwise: OnPii,
    alarm: Option<LeakAlarm>,
}

#[derive(Clone, Debug)]
struct Rule {
    host: String,
    path: String,
    answer: OnPii,
}

impl MaskedTransport {
    /// A gate before `inner` that masks on every host, drops the fields of [`FieldRules::new`], and has no alarm.
    pub fn new(inner: Arc<dyn HttpTransport>, masker: Arc<dyn PiiMasker>) -> Self {
        Self {
            inner,
            scrub: Scrub::new(masker, FieldRules::new()),
            rules: Vec::new(),
            otherwise: OnPii::Mask,
            alarm: None,
        }
    }

    /// What to do on `host` (without port; `.example.com` for all hosts below it) for paths that begin with `path`. The first rule
    /// that fits counts.
    #[must_use]
    pub fn with_rule(mut self, host: impl Into<String>, path: impl Into<String>, answer: OnPii) -> Self {
        self.rules.push(Rule {
            host: host.into().to_ascii_lowercase(),
            path: path.into(),
            answer,
        });
        self
    }

    /// What to do where no rule fits.
    #[must_use]
    pub fn with_default(mut self, answer: OnPii) -> Self {
        self.otherwise = answer;
        self
    }

    /// Uses other rules for fields.
    #[must_use]
    pub fn with_fields(mut self, fields: FieldRules) -> Self {
        self.scrub.fields = fields;
        self
    }

    /// Reports hits to `alarm`.
    #[must_use]
    pub fn with_alarm(mut self, alarm: LeakAlarm) -> Self {
        self.alarm = Some(alarm);
        self
    }

    fn answer(&self, host: &str, path: &str) -> OnPii {
        let fits = |rule: &&Rule| {
            let below = rule.host.starts_with('.') && host.ends_with(&rule.host);
            (below || host == rule.host) && path.starts_with(&rule.path)
        };
        self.rules
            .iter()
            .find(fits)
            .map_or(self.otherwise, |rule| rule.answer)
    }

    /// The request to send in place of `request`.
    fn masked(&self, request: HttpRequest, url: &Url<'_>, answer: OnPii) -> Result<HttpRequest> {
        let gate = Gate {
            transport: self,
            host: url.host,
            answer,
        };
        let path = form::decoded(&url.path.replace('+', "%2B"));
        if gate.find(&path, "path")?.is_some() {
            return Err(refused(
                "path",
                "holds a personal value, and a masked path would be another resource",
            ));
        }
        let query = match url.query {
            Some(query) => gate.found(form::masked(query, &self.scrub, true), query, "query")?,
            None => None,
        };
        let headers = gate.headers(&request)?;
        let body = gate.body(&request)?;
        if query.is_none() && headers.is_none() && body.is_none() {
            return Ok(request);
        }
        let target = match (&query, url.query) {
            (Some(masked), _) => format!("{}?{masked}", url.before_query),
            (None, Some(query)) => format!("{}?{query}", url.before_query),
            (None, None) => url.before_query.to_owned(),
        };
        let mut sent = HttpRequest::new(request.method(), target).with_timeout(request.timeout());
        for (position, (name, value)) in request.headers().iter().enumerate() {
            let masked = headers
                .as_ref()
                .and_then(|masked| masked.get(position).cloned().flatten());
            sent = match masked {
                Some(masked) => sent.with_header(name.clone(), masked),
                None => sent.with_header(name.clone(), value.clone()),
            };
        }
        Ok(sent.with_body(body.map_or_else(|| request.body().clone(), Bytes::from)))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl HttpTransport for MaskedTransport {
    /// Besides the errors of the port: `PermissionDenied` for a request that is refused; it names the part, never the value.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let whole = request.url().to_owned();
        let url = Url::new(&whole);
        let host = url.host.to_ascii_lowercase();
        let answer = self.answer(&host, url.path);
        let request = match answer {
            OnPii::Pass => request,
            OnPii::Mask | OnPii::Refuse => self.masked(request, &url, answer)?,
        };
        self.inner.send(request).await
    }
}

/// What one request is held against.
struct Gate<'a> {
    transport: &'a MaskedTransport,
    host: &'a str,
    answer: OnPii,
}

impl Gate<'_> {
    fn find(&self, text: &str, part: &'static str) -> Result<Option<String>> {
        let masked = self.transport.scrub.scrub(text);
        let masked = masked.map(|masked| (masked != text).then(|| masked.into_owned()));
        self.found(masked, text, part)
    }

    /// Reports a hit; refuses it if so asked.
    fn found(
        &self,
        masked: Result<Option<String>, Withheld>,
        raw: &str,
        part: &'static str,
    ) -> Result<Option<String>> {
        let masked = masked.map_err(|_| refused(part, "could not be masked"))?;
        if masked.is_none() {
            return Ok(None);
        }
        if let Some(alarm) = &self.transport.alarm {
            alarm.report(raw, LeakSink::Http, LeakPlace::target(self.host));
        }
        match self.answer {
            OnPii::Mask => Ok(masked),
            _ => Err(refused(part, "holds a personal value")),
        }
    }

    fn headers(&self, request: &HttpRequest) -> Result<Option<Vec<Option<String>>>> {
        let mut headers = Vec::with_capacity(request.headers().len());
        for (name, value) in request.headers() {
            let masked = if self.transport.scrub.fields.drops(name)
                || CREDENTIALS.contains(&&*name.to_ascii_lowercase())
            {
                None
            } else {
                self.find(value.expose_secret(), "header")?
            };
            headers.push(masked.map(|masked| {
                if masked.is_ascii() {
                    masked
                } else {
                    DROPPED.to_owned()
                }
            }));
        }
        Ok(headers.iter().any(Option::is_some).then_some(headers))
    }

    fn body(&self, request: &HttpRequest) -> Result<Option<String>> {
        let body = request.body();
        if body.is_empty() {
            return Ok(None);
        }
        let header = |wanted: &str| {
            let mut headers = request.headers().iter();
            let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.expose_secret().to_ascii_lowercase())
        };
        let compressed = header("content-encoding").is_some_and(|encoding| encoding != "identity");
        let text = match std::str::from_utf8(body) {
            Ok(text) if !compressed => text,
            _ => return Err(refused("body", "is no plain UTF-8 and cannot be read")),
        };
        let scrub = &self.transport.scrub;
        if json::is_json(text) {
            return self.found(json::masked(text, scrub), text, "body");
        }
        if header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            return self.found(form::masked(text, scrub, false), text, "body");
        }
        self.find(text, "body")
    }
}

/// The parts of a URL that are looked at.
struct Url<'a> {
    before_query: &'a str,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn new(url: &'a str) -> Self {
        // What is behind `#` stays on this machine.
        let url = url.split('#').next().unwrap_or(url);
        let (before_query, query) = url
            .split_once('?')
            .map_or((url, None), |(before, query)| (before, Some(query)));
        let rest = before_query
            .split_once("://")
            .map_or(before_query, |(_, rest)| rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        Self {
            before_query,
            host,
            path,
            query,
        }
    }
}

fn refused(part: &'static str, why: &'static str) -> Error {
    Error::new(ErrorKind::PermissionDenied, "send request").context(part, why)
}

/// Headers that let a request in, whatever the rules for fields are.
const CREDENTIALS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
];
