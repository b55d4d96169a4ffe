use ops_core::model::{QueueMatch, TargetId};
use serde_json::Value;

use super::item::Item;

/// Where a service is called.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) target: TargetId,
    /// In lower case.
    hosts: Vec<String>,
    audiences: Vec<String>,
}

impl Endpoint {
    /// From a service as the Cloud Run Admin API shows it: every URL, those of tags, and the custom audiences.
    pub(super) fn of(target: TargetId, service: &Value) -> Self {
        let service = Item::new(service.clone());
        let mut urls = service.texts("/urls");
        urls.extend(service.text("/uri").map(str::to_owned));
        for traffic in service.items("/trafficStatuses") {
            urls.extend(traffic.text("/uri").map(str::to_owned));
        }
        let mut hosts: Vec<_> = urls.iter().filter_map(|url| host(url)).collect();
        hosts.sort();
        hosts.dedup();
        Self {
            target,
            hosts,
            audiences: service.texts("/customAudiences"),
        }
    }

    /// Whether a call of `url`, with a token for `audience`, is for this service. An audience alone may name the host without a scheme.
    pub(super) fn matched(&self, url: Option<&str>, audience: Option<&str>) -> Option<QueueMatch> {
        if url.and_then(host).is_some_and(|host| self.is_ours(&host)) {
            return Some(QueueMatch::Host);
        }
        let audience = audience?;
        let known = self.audiences.iter().any(|known| known == audience)
            || host(audience).is_some_and(|host| self.is_ours(&host));
        known.then_some(QueueMatch::Audience)
    }

    /// Also by a tag that was added after the service was read: `tag---host`.
    fn is_ours(&self, host: &str) -> bool {
        let untagged = host.split_once("---").map_or(host, |(_, rest)| rest);
        self.hosts.iter().any(|ours| ours == host || ours == untagged)
    }
}

/// The host of a URL, or of what is only a host with or without a path; in lower case, without user and port.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    (!host.is_empty()).then(|| host.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint() -> Endpoint {
        let target = TargetId::new("cloud-run:p/r/api").unwrap();
        let service = json!({
            "uri": "https://api-abc-an.a.run.app",
            "urls": ["https://api-1234.asia-northeast1.run.app", "https://api-abc-an.a.run.app"],
            "trafficStatuses": [{"uri": "https://old---api-abc-an.a.run.app"}],
            "customAudiences": ["https://api.soul-kun.example", "soul-kun"],
        });
        Endpoint::of(target, &service)
    }

    #[test]
    fn every_url_of_the_service_is_its_own_and_no_other() {
        let endpoint = endpoint();
        for url in [
            "https://api-abc-an.a.run.app",
            "https://api-abc-an.a.run.app/push?x=1",
            "https://API-1234.asia-northeast1.run.app:443/",
            "https://old---api-abc-an.a.run.app/x",
            "https://new---api-abc-an.a.run.app/x",
            "api-abc-an.a.run.app",
        ] {
            assert_eq!(endpoint.matched(Some(url), None), Some(QueueMatch::Host), "{url}");
        }
        for url in [
            "https://web-abc-an.a.run.app",
            "https://evil.example/https://api-abc-an.a.run.app",
            "https://api-abc-an.a.run.app.evil.example",
            "https://api-abc-an.a.run.app@evil.example/",
            "https://evil.example?api-abc-an.a.run.app",
            "",
        ] {
            assert_eq!(endpoint.matched(Some(url), None), None, "{url}");
        }
    }

    #[test]
    fn behind_a_domain_of_its_own_the_audience_tells() {
        let endpoint = endpoint();
        let domain = Some("https://api.soul-kun.com/push");
        for audience in [
            "https://api-abc-an.a.run.app",
            "https://api-1234.asia-northeast1.run.app/push",
            "https://api.soul-kun.example",
            "soul-kun",
        ] {
            assert_eq!(
                endpoint.matched(domain, Some(audience)),
                Some(QueueMatch::Audience),
                "{audience}"
            );
        }
        assert_eq!(endpoint.matched(domain, Some("https://other.example")), None);
        assert_eq!(
            endpoint.matched(domain, Some("Soul-Kun")),
            None,
            "an audience is exact"
        );
        assert_eq!(endpoint.matched(domain, None), None);
    }
}
