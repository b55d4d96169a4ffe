use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ops_core::config::is_bucket_name;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::HttpTransport;

use super::client::Client;
use super::{CloudStorageArchive, PROVIDER};
use crate::auth::TokenSource;
use crate::base_url;

/// Puts a [`CloudStorageArchive`] together; nothing is checked before [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct CloudStorageArchiveBuilder {
    bucket: String,
    transport: Option<Arc<dyn HttpTransport>>,
    token: Option<Arc<dyn TokenSource>>,
    base_url: String,
    locks: bool,
}

impl CloudStorageArchiveBuilder {
    pub(super) fn new(bucket: String) -> Self {
        Self {
            bucket,
            transport: None,
            token: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            locks: false,
        }
    }

    /// Sends requests with this. Required.
    pub fn with_transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Takes access tokens from this. Required.
    pub fn with_token(mut self, token: Arc<dyn TokenSource>) -> Self {
        self.token = Some(token);
        self
    }

    /// Talks to this address: a simulation, or a private endpoint. Default: `https://storage.googleapis.com`.
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Locks each retention time that it sets: nobody can shorten it any more, the owner of the bucket and the vendor's support included. Not undone by
    /// anything. Without this, whoever may change retention can shorten it. Where the bucket's own policy keeps an object longer than is asked, nothing is set and nothing locked.
    pub fn with_locked_retention(mut self) -> Self {
        self.locks = true;
        self
    }

    /// The archive.
    ///
    /// # Errors
    /// `InvalidConfig`, naming every part that is missing or wrong at once.
    pub fn build(self) -> Result<CloudStorageArchive> {
        let base_url = self.base_url.trim_end_matches('/').to_owned();
        let usable = base_url::is_usable(&base_url);
        let named = is_bucket_name(&self.bucket);
        match (self.transport, self.token) {
            (Some(transport), Some(token)) if usable && named => Ok(CloudStorageArchive {
                client: Client {
                    transport,
                    token,
                    base_url,
                    bucket: self.bucket,
                },
                locks: self.locks,
                sessions: Mutex::new(BTreeMap::new()),
            }),
            (transport, token) => {
                let faults = [
                    (
                        "bucket",
                        !named,
                        "must be 3 to 222 lower-case letters, digits, `-`, `_` and `.`, and begin and end with a letter or digit",
                    ),
                    ("transport", transport.is_none(), "is missing: with_transport"),
                    ("token", token.is_none(), "is missing: with_token"),
                    ("base_url", !usable, base_url::MUST_BE),
                ];
                let error = Error::new(ErrorKind::InvalidConfig, "build").provider(PROVIDER);
                Err(faults
                    .into_iter()
                    .filter(|(_, wrong, _)| *wrong)
                    .fold(error, |error, (part, _, what)| error.context(part, what)))
            }
        }
    }
}

const DEFAULT_BASE_URL: &str = "https://storage.googleapis.com";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_or_wrong_part_is_named_at_once() {
        let error = CloudStorageArchive::builder("A/b")
            .with_base_url("http://10.0.0.1")
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        let text = error.to_string();
        for part in ["bucket:", "transport:", "token:", "base_url:"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
