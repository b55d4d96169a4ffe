//! What a credential may do on a project.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::refusal::Refusal;

/// The subset of the asked permissions that are granted; no member where there are none.
pub(crate) fn test_permissions(granted: &BTreeSet<String>, body: &[u8]) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::invalid("invalid JSON payload"))?;
    let asked = body["permissions"]
        .as_array()
        .ok_or_else(|| Refusal::invalid("permissions must be a list"))?;
    let has = |asked: &&Value| asked.as_str().is_some_and(|asked| granted.contains(asked));
    let found: Vec<_> = asked.iter().filter(has).collect();
    Ok(match found.is_empty() {
        true => json!({}),
        false => json!({"permissions": found}),
    })
}
