//! What the platforms have in common when something is wrong.

use std::time::Duration;

use ops_core::error::{Error, ErrorKind};
use ops_core::model::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// The faults of a configuration, reported together.
#[derive(Debug, Default)]
pub(crate) struct ConfigFaults(Vec<(&'static str, &'static str)>);

impl ConfigFaults {
    /// Notes that `setting` is wrong, and why.
    pub(crate) fn add(&mut self, setting: &'static str, why: &'static str) {
        self.0.push((setting, why));
    }

    /// Checks that a token can be sent in a header.
    pub(crate) fn check_token(&mut self, token: Option<&SecretString>) {
        match token.map(ExposeSecret::expose_secret) {
            None => self.add("token", "is missing"),
            Some("") => self.add("token", "is empty"),
            Some(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                self.add("token", "must be visible ASCII characters only");
            }
            Some(_) => {}
        }
    }

    /// Checks a base URL and gives it without a slash at its end.
    pub(crate) fn check_base_url(&mut self, url: &str) -> String {
        let host = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        match host {
            None => self.add("base url", "must begin with https:// or http://"),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                self.add("base url", "must name a host");
            }
            Some(rest)
                if rest.contains(['?', '#', '@']) || !rest.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                self.add("base url", "must hold no query, fragment, user or space");
            }
            Some(_) => {}
        }
        url.trim_end_matches('/').to_owned()
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One error that names every fault.
    pub(crate) fn into_error(self, operation: &'static str, provider: &'static str) -> Error {
        let error = Error::new(ErrorKind::InvalidConfig, operation).provider(provider);
        self.0
            .into_iter()
            .fold(error, |error, (setting, why)| error.context(setting, why))
    }
}

/// Whether `text` can be an id in a URL path or a target: 1 to 64 letters, digits, `-` and `_`.
pub(crate) fn is_plain_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// How long until `at`, for a vendor that names the moment from which requests are welcome again.
///
/// At least one second, because a limit that has just ended would otherwise be met again; at most an hour, because a longer
/// wait is more likely a misread unit than an intention.
pub(crate) fn wait_until(at: Timestamp, now: Timestamp) -> Duration {
    at.saturating_since(now)
        .clamp(Duration::from_secs(1), Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_configuration_is_reported_at_once() {
        let mut faults = ConfigFaults::default();
        faults.check_token(Some(&SecretString::from("line\nbreak")));
        faults.check_base_url("ftp://host");
        let text = faults.into_error("build", "railway").to_string();
        assert!(text.contains("token: must be visible"), "{text}");
        assert!(text.contains("base url: must begin"), "{text}");
        assert!(!text.contains("break"), "{text}");
    }

    #[test]
    fn a_base_url_loses_its_slash_and_may_not_hold_a_query() {
        let mut faults = ConfigFaults::default();
        assert_eq!(
            faults.check_base_url("http://127.0.0.1:80/"),
            "http://127.0.0.1:80"
        );
        assert!(faults.is_empty());
        for wrong in [
            "https://",
            "https:///x",
            "https://h/?a=b",
            "https://u@h",
            "https://h h",
        ] {
            let mut faults = ConfigFaults::default();
            faults.check_base_url(wrong);
            assert!(!faults.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_plain_id_cannot_leave_its_path_segment() {
        assert!(is_plain_id("prj_12-A"));
        for wrong in ["", "a/b", "..", "a?b", "a%2e", "a b", &"x".repeat(65)] {
            assert!(!is_plain_id(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_wait_for_a_moment_is_bounded() {
        let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(
            wait_until(now + Duration::from_secs(7), now),
            Duration::from_secs(7)
        );
        assert_eq!(
            wait_until(now - Duration::from_secs(7), now),
            Duration::from_secs(1)
        );
        assert_eq!(
            wait_until(now + Duration::from_secs(90_000), now),
            Duration::from_secs(3600)
        );
    }
}
