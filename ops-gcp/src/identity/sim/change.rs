//! Bodies of requests: what is unknown or of another type is refused.

use serde_json::{Map, Value};

use super::account::Account;
use crate::sim::refusal::Refusal;

/// A change of one user.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) id: String,
    valid_since: Option<i64>,
    disable: Option<bool>,
}

impl Change {
    pub(super) fn of(body: &[u8]) -> Result<Self, Refusal> {
        let body = object(body, UPDATE_FIELDS)?;
        let mut change = Self {
            id: String::new(),
            valid_since: None,
            disable: None,
        };
        for (name, value) in &body {
            match (name.as_str(), value) {
                ("localId", Value::String(id)) => change.id.clone_from(id),
                ("validSince", Value::String(seconds)) => {
                    let seconds = seconds.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
                    change.valid_since = Some(seconds.ok_or_else(|| wrong(name))?);
                }
                ("disableUser", Value::Bool(disable)) => change.disable = Some(*disable),
                ("localId" | "validSince" | "disableUser", _) => return Err(wrong(name)),
                (other, _) => return Err(Refusal::not_simulated(other)),
            }
        }
        match change.id.is_empty() {
            true => Err(Refusal::by_message("MISSING_LOCAL_ID")),
            false => Ok(change),
        }
    }

    /// Whatever it says: the vendor asks neither for the unit nor for the direction.
    pub(super) fn apply(&self, account: &mut Account) {
        account.valid_since = self.valid_since.or(account.valid_since);
        account.disabled = self.disable.or(account.disabled);
    }
}

/// The ids that a lookup asks for.
pub(super) fn lookup(body: &[u8]) -> Result<Vec<String>, Refusal> {
    let body = object(body, LOOKUP_FIELDS)?;
    let mut ids = Vec::new();
    for (name, value) in &body {
        match (name.as_str(), value) {
            ("localId", Value::Array(values)) => {
                for value in values {
                    ids.push(value.as_str().ok_or_else(|| wrong(name))?.to_owned());
                }
            }
            ("localId", _) => return Err(wrong(name)),
            (other, _) => return Err(Refusal::not_simulated(other)),
        }
    }
    match ids.is_empty() {
        true => Err(Refusal::by_message("MISSING_REQ_TYPE")),
        false => Ok(ids),
    }
}

fn object(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, Refusal> {
    let body: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Refusal::invalid("invalid JSON payload"))?;
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refusal::invalid(format!(
            "invalid JSON payload received: unknown name \"{name}\""
        ))),
        None => Ok(body),
    }
}

fn wrong(name: &str) -> Refusal {
    Refusal::invalid(format!("invalid value at '{name}'"))
}

/// Every field that the vendor knows of an update.
pub const UPDATE_FIELDS: &[&str] = &[
    "captchaChallenge",
    "captchaResponse",
    "createdAt",
    "customAttributes",
    "delegatedProjectNumber",
    "deleteAttribute",
    "deleteProvider",
    "disableUser",
    "displayName",
    "email",
    "emailVerified",
    "idToken",
    "instanceId",
    "lastLoginAt",
    "linkProviderUserInfo",
    "localId",
    "mfa",
    "oobCode",
    "password",
    "phoneNumber",
    "photoUrl",
    "provider",
    "returnSecureToken",
    "targetProjectId",
    "tenantId",
    "upgradeToFederatedLogin",
    "validSince",
];

/// Every field that the vendor knows of a lookup.
pub const LOOKUP_FIELDS: &[&str] = &[
    "delegatedProjectNumber",
    "email",
    "federatedUserId",
    "idToken",
    "initialEmail",
    "localId",
    "phoneNumber",
    "targetProjectId",
    "tenantId",
];
