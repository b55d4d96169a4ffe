//! What the vendor takes as edge rules, and what its edge does with a visitor.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The vendor's limits.
const BODY_BYTES: usize = 4096;
const SECTION_BYTES: usize = 64 * 1024;

/// What is wrong with a section, as the vendor lists it; empty: nothing. `limit` is what the plan allows.
pub(super) fn diagnose(section: &Value, limit: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut add = |code: &str, path: String| {
        found.push(json!({"code": code, "message": format!("{path} is not allowed"), "path": path}));
    };
    if section.get("version") != Some(&json!(1)) {
        add("INVALID_VERSION", "version".to_owned());
    }
    let Some(rules) = section.get("rules").and_then(Value::as_array) else {
        add("INVALID_RULES", "rules".to_owned());
        return found;
    };
    if rules.len() > limit {
        add("TOO_MANY_RULES", "rules".to_owned());
    }
    if section.to_string().len() > SECTION_BYTES {
        add("TOO_LARGE", "rules".to_owned());
    }
    let mut taken = BTreeSet::new();
    for (position, rule) in rules.iter().enumerate() {
        let priority = rule.get("priority").and_then(Value::as_i64);
        if priority.is_none_or(|priority| priority < 0 || !taken.insert(priority)) {
            add("INVALID_PRIORITY", format!("rules.{position}.priority"));
        }
        if !rule.get("if").is_some_and(Value::is_object) {
            add("INVALID_CONDITION", format!("rules.{position}.if"));
        }
        match rule.pointer("/then/action").and_then(Value::as_str) {
            Some("block") => {
                let status = rule.pointer("/then/params/status").and_then(Value::as_u64);
                if !status.is_some_and(|status| (400..500).contains(&status)) {
                    add("INVALID_STATUS", format!("rules.{position}.then.params.status"));
                }
                let body = rule.pointer("/then/params/body").and_then(Value::as_str);
                if body.is_some_and(|body| body.len() > BODY_BYTES) {
                    add("BODY_TOO_LARGE", format!("rules.{position}.then.params.body"));
                }
            }
            Some("allow" | "challenge" | "redirect" | "cache_override") => {}
            _ => add("INVALID_ACTION", format!("rules.{position}.then.action")),
        }
    }
    found
}

/// The section with an id for each rule that came without; the ids are made by `next`.
pub(super) fn with_ids(mut section: Value, mut next: impl FnMut() -> u64) -> Value {
    let rules = section.get_mut("rules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
        rule.entry("id")
            .or_insert_with(|| format!("rul_{}", next()).into());
    }
    section
}

/// The status that a visitor of a page gets from the edge; `None`: the request goes on to the service.
pub(super) fn blocks(section: &Value) -> Option<u16> {
    let mut rules: Vec<&Value> = section.get("rules")?.as_array()?.iter().collect();
    rules.sort_by_key(|rule| rule.get("priority").and_then(Value::as_i64));
    let every_path = json!({"attr": "http.path", "op": "matches", "value": "/*"});
    let decides = |rule: &&&Value| {
        rule.get("enabled") != Some(&Value::Bool(false))
            && rule.get("if") == Some(&every_path)
            && rule.pointer("/then/action") != Some(&json!("cache_override"))
    };
    let first = rules.iter().find(decides)?;
    match first.pointer("/then/action")?.as_str()? {
        "block" => u16::try_from(first.pointer("/then/params/status")?.as_u64()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(priority: i64, status: u16, body: &str) -> Value {
        json!({"priority": priority, "enabled": true,
            "if": {"attr": "http.path", "op": "matches", "value": "/*"},
            "then": {"action": "block", "params": {"status": status, "body": body}}})
    }

    fn codes(rules: &[Value], limit: usize) -> Vec<String> {
        diagnose(&json!({"version": 1, "rules": rules}), limit)
            .iter()
            .map(|found| found["code"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Status 400 to 499 (so no 503), body up to 4096 bytes, priorities unique, a plan's limit on the number of rules.
    #[test]
    fn the_documented_limits_hold() {
        assert!(codes(&[block(0, 403, ""), block(1, 499, "")], 2).is_empty());
        assert_eq!(codes(&[block(0, 503, "")], 2), ["INVALID_STATUS"]);
        assert_eq!(codes(&[block(0, 403, &"x".repeat(4097))], 2), ["BODY_TOO_LARGE"]);
        assert_eq!(
            codes(&[block(3, 403, ""), block(3, 403, "")], 2),
            ["INVALID_PRIORITY"]
        );
        assert_eq!(
            codes(&[block(0, 403, ""), block(1, 403, "")], 1),
            ["TOO_MANY_RULES"]
        );
        assert_eq!(diagnose(&json!({"version": 1}), 1).len(), 1);
    }

    #[test]
    fn rules_keep_their_ids_and_get_one_if_they_have_none() {
        let mut named = block(0, 403, "");
        named["id"] = "rul_mine".into();
        let section = with_ids(json!({"version": 1, "rules": [named, block(1, 403, "")]}), || 7);
        assert_eq!(section["rules"][0]["id"], "rul_mine");
        assert_eq!(section["rules"][1]["id"], "rul_7");
    }
}
