//! Identity Toolkit (Firebase Authentication, Identity Platform): ends the sessions of a user, and suspends the account.
//!
//! Sessions end by `validSince`: no refresh token of a sign-in before that second is renewed. The vendor does not count sessions and names none.
//! An ID token that was given out already stays valid for up to an hour, a session cookie for up to 14 days, unless the backend compares its `auth_time` with `validSince`
//! on each request (in the SDKs of the vendor: with the check for revocation).
//!
//! An account is suspended by `disableUser` and read by `disabled`. While it is, nobody signs in and no session is renewed; one that was not ended goes on
//! afterwards.
//!
//! A write is answered before it is proven: `accounts:lookup` is the only proof. Each answer must be about the user and the tenant that were asked for.

mod account;
mod client;
mod readiness;
mod sessions;
#[cfg(feature = "sim")]
pub mod sim;
mod wire;

use ops_core::error::{Error, ErrorKind, Result};

pub use self::readiness::REQUIRED;
use crate::base_url;
use crate::run::{Client as RunClient, CloudRunTraffic, RESOURCE_MANAGER, ServiceName};

/// The users of a project, or of one tenant of it.
///
/// ```
/// use ops_core::error::Result;
/// use ops_gcp::{identity::IdentityUsers, run::CloudRunTraffic};
///
/// fn users(cloud_run: &CloudRunTraffic) -> Result<IdentityUsers> {
///     let users = IdentityUsers::new(cloud_run, "soul-kun")?.with_tenant("org-a1b2c")?;
///     assert_eq!(users.directory(), "gcip/soul-kun/org-a1b2c");
///     Ok(users)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct IdentityUsers {
    run: RunClient,
    project: String,
    tenant: Option<String>,
    directory: String,
    quota_project: Option<String>,
    base_url: String,
    resource_manager: String,
}

impl IdentityUsers {
    /// The users of `project`, its id, that are of no tenant. Asks with the transport, the credential and the clock of `cloud_run`.
    ///
    /// # Errors
    /// `InvalidInput` for a project that cannot be, and for its number: the same user would be two targets.
    pub fn new(cloud_run: &CloudRunTraffic, project: &str) -> Result<Self> {
        ServiceName::new(project, "any", "any")?;
        if project.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(
                "project",
                "must be the id of the project, not its number",
            ));
        }
        Ok(Self {
            run: cloud_run.client().clone(),
            project: project.to_owned(),
            tenant: None,
            directory: format!("{DIRECTORY}/{project}/-"),
            quota_project: None,
            base_url: IDENTITY_TOOLKIT.to_owned(),
            resource_manager: RESOURCE_MANAGER.to_owned(),
        })
    }

    /// The users of this tenant in place of those of none. The same id in two tenants is two users.
    ///
    /// # Errors
    /// `InvalidInput` for a tenant that cannot be.
    pub fn with_tenant(mut self, tenant: &str) -> Result<Self> {
        let good = tenant.len() <= 63
            && tenant.starts_with(|first: char| first.is_ascii_alphabetic())
            && tenant
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !good {
            return Err(invalid(
                "tenant",
                "must be 1 to 63 letters, digits and hyphens, first a letter",
            ));
        }
        self.directory = format!("{DIRECTORY}/{}/{tenant}", self.project);
        self.tenant = Some(tenant.to_owned());
        Ok(self)
    }

    /// `gcip`, the project, and the tenant or `-`: part of the ids of the targets.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// Counts the requests to this project. The credential of a person needs it, that of a service account does not.
    ///
    /// # Errors
    /// `InvalidInput` for a project that cannot be.
    pub fn with_quota_project(mut self, project: &str) -> Result<Self> {
        ServiceName::new(project, "any", "any")?;
        self.quota_project = Some(project.to_owned());
        Ok(self)
    }

    /// Asks this address in place of those of Identity Toolkit and Resource Manager: a simulation, or a private endpoint.
    ///
    /// # Errors
    /// `InvalidInput` unless it is `https://host`, or `http://` on this machine.
    pub fn with_base_url(mut self, base_url: &str) -> Result<Self> {
        if !base_url::is_usable(base_url) {
            return Err(invalid("base_url", base_url::MUST_BE));
        }
        let base_url = base_url.trim_end_matches('/');
        base_url.clone_into(&mut self.base_url);
        base_url.clone_into(&mut self.resource_manager);
        Ok(self)
    }
}

fn invalid(part: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "reach users")
        .provider(PROVIDER)
        .context(part, what)
}

const PROVIDER: &str = "identity-toolkit";
/// What every directory begins with; short, as the id of a target has 200 characters and that of a user up to 128.
const DIRECTORY: &str = "gcip";
const IDENTITY_TOOLKIT: &str = "https://identitytoolkit.googleapis.com";
