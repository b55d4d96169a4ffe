//! Addresses that stand in for a vendor's own.

use ops_core::http::HostPolicy;

/// What an address must be.
pub(crate) const MUST_BE: &str = "must be https://host, or http:// on this machine";

/// Whether paths and queries can be put behind it.
pub(crate) fn is_usable(url: &str) -> bool {
    HostPolicy::Any.check(url).is_ok() && !url.contains(['?', '#', ' '])
}
