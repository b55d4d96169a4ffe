use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::messages::{need_known_user, need_user_lookup, need_user_permission};
use ops_core::model::{Check, TargetId, Text};
use ops_core::ports::{ReadinessProbe, SessionRevoker};
use serde::Deserialize;
use serde_json::json;

use super::IdentityUsers;
use crate::readiness;
use crate::run::project_permissions_path;

/// What reading and changing a user needs on the project.
///
/// Unverified: the names of permissions are in no description.
pub const REQUIRED: &[&str] = &[READ, CHANGE];

pub(super) const READ: &str = "firebaseauth.users.get";
pub(super) const CHANGE: &str = "firebaseauth.users.update";

#[async_trait]
impl ReadinessProbe for IdentityUsers {
    fn limitations(&self) -> Vec<Text> {
        SessionRevoker::limitations(self)
    }

    /// The permissions are the project's; each target is a user, who is looked up. Without targets an id is that nobody has: permissions
    /// may be granted where the service is not enabled.
    async fn examine(&self, targets: &[TargetId]) -> Vec<Check> {
        let granted = self.granted().await;
        let mut checks = vec![readiness::credential("Identity Toolkit", &granted)];
        checks.extend(REQUIRED.iter().map(|permission| {
            readiness::permission(
                need_user_permission(&self.project, permission),
                permission,
                &granted,
            )
        }));
        if targets.is_empty() {
            let need = need_user_lookup(&self.directory);
            checks.push(match self.lookup(NOBODY, "look for nobody").await {
                Ok(_) => need.ready(),
                Err(error) if error.kind() == ErrorKind::NotFound => need.ready(),
                Err(error) => need.failed(&error),
            });
        }
        for target in targets {
            let need = need_known_user(target.as_str());
            let user = self.user_of(target);
            checks.push(match user {
                None => need.missing("is no user of this directory"),
                Some(user) => match self.lookup(user, "look for user").await {
                    Ok(_) => need.ready(),
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        need.missing("there is none of that id")
                    }
                    Err(error) => need.failed(&error),
                },
            });
        }
        checks
    }
}

impl IdentityUsers {
    /// Who a target of sessions or of an account is, if of this directory.
    fn user_of<'a>(&self, target: &'a TargetId) -> Option<&'a str> {
        matches!(target.system(), "sessions" | "account").then_some(())?;
        target.name().strip_prefix(&self.directory)?.strip_prefix('/')
    }

    /// A POST that the vendor documents as changing nothing.
    async fn granted(&self) -> Result<Vec<String>> {
        let url = format!(
            "{}{}",
            self.resource_manager,
            project_permissions_path(&self.project)
        );
        let asked = json!({"permissions": REQUIRED});
        let response = self.ask(url, &asked, "test permissions").await?;
        Ok(response.json::<Granted>()?.permissions)
    }
}

/// An id that is looked up although nobody has it.
const NOBODY: &str = "ops-readiness-nobody";

/// Without the member, nothing is granted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Granted {
    permissions: Vec<String>,
}
