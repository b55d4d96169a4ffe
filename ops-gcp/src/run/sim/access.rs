//! Who may do what: one set of permissions for every credential, and credentials that have expired.

use std::collections::BTreeSet;

use ops_core::model::Timestamp;
use ops_core::testkit::SimRequest;
use serde_json::{Value, json};

use super::state::Route;
use crate::run::readiness::{OPERATION, REQUIRED};
use crate::sim::refusal::Refusal;

/// What a caller may do, and what the vendor's clock says.
#[derive(Debug)]
pub(super) struct Access {
    granted: BTreeSet<String>,
    pub(super) expired: BTreeSet<String>,
    pub(super) date: Option<Timestamp>,
}

impl Default for Access {
    /// What a stop, a restore and the inventory need, and no more.
    fn default() -> Self {
        let needed = REQUIRED.iter().chain([&OPERATION, &LIST]);
        Self {
            granted: needed.map(|permission| (*permission).to_owned()).collect(),
            expired: BTreeSet::new(),
            date: None,
        }
    }
}

impl Access {
    pub(super) fn grant(&mut self, permission: &str) {
        self.granted.insert(permission.to_owned());
    }

    pub(super) fn revoke(&mut self, permission: &str) {
        self.granted.remove(permission);
    }

    /// Whether the credential is alive and may make this request.
    pub(super) fn check(&self, request: &SimRequest, route: &Route) -> Result<(), Refusal> {
        let bearer = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .filter(|token| !token.is_empty() && !self.expired.contains(*token));
        if bearer.is_none() {
            return Err(Refusal::unauthenticated());
        }
        let needed = match (route, request.method.as_str()) {
            (Route::Service(_), "PATCH") => "run.services.update",
            (Route::Service(_), _) => "run.services.get",
            (Route::Services { .. }, _) => LIST,
            (Route::Operation { .. }, _) => OPERATION,
            // "There are no permissions required for making this API call."
            (Route::Permissions(_) | Route::ProjectPermissions(_) | Route::Elsewhere, _) => return Ok(()),
        };
        match self.granted.contains(needed) {
            true => Ok(()),
            false => Err(Refusal::forbidden()),
        }
    }

    /// The subset of the asked permissions that are granted; a body without a member where there are none.
    pub(super) fn test(&self, body: &[u8]) -> Result<Value, Refusal> {
        let body: Value =
            serde_json::from_slice(body).map_err(|_| Refusal::invalid("invalid JSON payload"))?;
        let asked = body
            .as_object()
            .filter(|body| body.keys().all(|name| name == "permissions"))
            .and_then(|body| body.get("permissions")?.as_array())
            .ok_or_else(|| Refusal::invalid("permissions must be a list"))?;
        let mut granted = Vec::new();
        for permission in asked {
            let permission = permission
                .as_str()
                .ok_or_else(|| Refusal::invalid("a permission must be a text"))?;
            if permission.contains('*') {
                return Err(Refusal::invalid("permissions with wildcards are not allowed"));
            }
            if self.granted.contains(permission) {
                granted.push(permission);
            }
        }
        Ok(match granted.is_empty() {
            true => json!({}),
            false => json!({"permissions": granted}),
        })
    }
}

const LIST: &str = "run.services.list";
