//! The edge rule that turns every visitor away, and the section of rules around it. Pure.

use ops_core::model::RunId;
use serde_json::{Value, json};

/// The description of our rule is this and the run's id: the marker that another machine finds.
const PREFIX: &str = "ops-stop ";

/// The vendor takes 400 to 499 only, so the fitting 503 is out of reach.
const STATUS: u16 = 403;

/// What a visitor reads; the vendor takes up to 4096 bytes.
const BODY: &str = "ただいまサービスを停止しています。しばらくしてからもう一度お試しください。\n\
    This service is stopped at the moment. Please try again later.\n";

/// A section that holds nothing but the stop rule of `run`.
pub(super) fn alone(run: &str) -> Value {
    json!({"version": 1, "rules": [rule(run)]})
}

/// `section` with the stop rule of `run` before all others; `None` if the section has a shape that cannot be extended.
///
/// The stop rule takes priority 0. Rules in the way move up by the same amount, so that they keep their order.
pub(super) fn prepended(section: &Value, run: &str) -> Option<Value> {
    if section.is_null() {
        return Some(alone(run));
    }
    let mut section = without(section);
    let rules = section.get_mut("rules")?.as_array_mut()?;
    let lowest = rules
        .iter()
        .map(priority)
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .min();
    if let Some(lowest) = lowest.filter(|lowest| *lowest < 1) {
        for rule in rules.iter_mut() {
            let moved = priority(rule)?.checked_add(1_i64.checked_sub(lowest)?)?;
            rule.as_object_mut()?.insert("priority".to_owned(), moved.into());
        }
    }
    rules.insert(0, rule(run));
    Some(section)
}

/// `section` without stop rules of ours; anything else, null included, is given back as it is.
pub(super) fn without(section: &Value) -> Value {
    let mut section = section.clone();
    if let Some(rules) = section.get_mut("rules").and_then(Value::as_array_mut) {
        rules.retain(|rule| run_of(rule).is_none());
    }
    section
}

/// The run whose stop rule is in the section.
pub(super) fn marker(section: &Value) -> Option<RunId> {
    section.get("rules")?.as_array()?.iter().find_map(run_of)
}

/// Whether no request gets past the section: its first enabled rule that decides is one that blocks every path.
///
/// A `cache_override` decides nothing; the vendor goes on to the next rule after it.
pub(super) fn blocks_everything(section: &Value) -> bool {
    let Some(rules) = section.get("rules").and_then(Value::as_array) else {
        return false;
    };
    let mut deciding: Vec<(i64, &Value)> = Vec::new();
    for rule in rules {
        let enabled = rule.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        if !enabled || rule.pointer("/then/action").and_then(Value::as_str) == Some("cache_override") {
            continue;
        }
        // A rule of unknown place may come first.
        let Some(priority) = priority(rule) else {
            return false;
        };
        deciding.push((priority, rule));
    }
    deciding
        .into_iter()
        .min_by_key(|(priority, _)| *priority)
        .is_some_and(|(_, rule)| is_block_all(rule))
}

fn rule(run: &str) -> Value {
    json!({
        "description": format!("{PREFIX}{run}"),
        "priority": 0,
        "enabled": true,
        "if": every_path(),
        "then": {"action": "block", "params": {"status": STATUS, "body": BODY}},
    })
}

fn every_path() -> Value {
    json!({"attr": "http.path", "op": "matches", "value": "/*"})
}

fn is_block_all(rule: &Value) -> bool {
    rule.pointer("/then/action").and_then(Value::as_str) == Some("block")
        && rule.get("if") == Some(&every_path())
}

fn run_of(rule: &Value) -> Option<RunId> {
    let run = rule.get("description")?.as_str()?.strip_prefix(PREFIX)?;
    is_block_all(rule).then(|| RunId::new(run).ok()).flatten()
}

fn priority(rule: &Value) -> Option<i64> {
    rule.get("priority")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(priority: i64) -> Value {
        json!({"id": format!("rul_{priority}"), "priority": priority, "enabled": true,
            "if": {"attr": "http.path", "op": "eq", "value": "/health"}, "then": {"action": "allow"}})
    }

    fn section(rules: &[Value]) -> Value {
        json!({"version": 1, "rules": rules})
    }

    fn priorities(section: &Value) -> Vec<i64> {
        section["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| priority(rule).unwrap())
            .collect()
    }

    #[test]
    fn the_body_fits_and_the_status_is_one_that_the_vendor_takes() {
        assert!(BODY.len() <= 4096);
        assert!((400..500).contains(&STATUS));
    }

    #[test]
    fn the_stop_rule_comes_first_and_the_others_keep_their_order() {
        for (given, expected) in [
            (vec![], vec![0]),
            (vec![5, 9], vec![0, 5, 9]),
            (vec![0, 3], vec![0, 1, 4]),
            (vec![-4, 0], vec![0, 1, 5]),
        ] {
            let rules: Vec<_> = given.iter().copied().map(allow).collect();
            let stopped = prepended(&section(&rules), "run_1").unwrap();
            assert_eq!(priorities(&stopped), expected, "{given:?}");
            assert!(blocks_everything(&stopped), "{given:?}");
            assert_eq!(marker(&stopped).unwrap().as_str(), "run_1");
        }
    }

    #[test]
    fn a_second_stop_rule_replaces_the_first() {
        let first = prepended(&section(&[allow(4)]), "run_1").unwrap();
        let second = prepended(&first, "run_2").unwrap();
        assert_eq!(priorities(&second), [0, 4]);
        assert_eq!(marker(&second).unwrap().as_str(), "run_2");
        assert_eq!(without(&second), section(&[allow(4)]));
    }

    #[test]
    fn null_stays_null_and_foreign_shapes_are_left_alone() {
        assert_eq!(without(&Value::Null), Value::Null);
        assert_eq!(prepended(&Value::Null, "run_1").unwrap(), alone("run_1"));
        for foreign in [
            json!({"version": 2}),
            json!([]),
            json!({"rules": [{"enabled": true}]}),
        ] {
            assert_eq!(without(&foreign), foreign);
            assert!(prepended(&foreign, "run_1").is_none(), "{foreign}");
            assert!(!blocks_everything(&foreign), "{foreign}");
        }
    }

    #[test]
    fn a_rule_above_ours_opens_the_door_unless_it_decides_nothing() {
        let ours = prepended(&section(&[]), "run_1").unwrap()["rules"][0].clone();
        let cache = json!({"priority": -1, "enabled": true, "if": {}, "then": {"action": "cache_override"}});
        assert!(!blocks_everything(&section(&[ours.clone(), allow(-1)])));
        assert!(blocks_everything(&section(&[ours.clone(), cache])));
        let mut off = allow(-1);
        off["enabled"] = false.into();
        assert!(blocks_everything(&section(&[off, ours.clone()])));
        let mut ours_off = ours;
        ours_off["enabled"] = false.into();
        assert!(!blocks_everything(&section(&[ours_off])));
    }

    #[test]
    fn a_block_of_one_path_blocks_not_everything() {
        let mut narrow = rule("run_1");
        narrow["if"]["value"] = "/admin/*".into();
        assert!(!blocks_everything(&section(&[narrow.clone()])));
        assert!(marker(&section(&[narrow])).is_none());
    }
}
