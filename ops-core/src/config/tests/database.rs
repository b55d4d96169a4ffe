use std::time::Duration;

use super::*;
use crate::model::{ReadOnlyStrength, SessionDeed, SessionMatch, SessionTrouble};

#[test]
fn strengths_spared_sessions_and_rules_are_read_with_their_defaults() {
    let config = OpsConfig::parse("[database]").unwrap();
    let database = config.database.unwrap();
    assert_eq!(database.strength, ReadOnlyStrength::Wall);
    assert_eq!(database.spared(), [SessionMatch::application("pg_dump")]);
    assert_eq!(database.lock_timeout, Duration::from_secs(5));

    let text = r#"
        [database]
        strength = "strict"
        spare_applications = []
        spare_roles = ["exporter"]
        statement_timeout = "10s"
        [[database.session_rule]]
        name = "idle"
        when = "idle-in-transaction"
        longer_than = "5m"
        deed = "end"
        application = "batch*"
        [[procedure]]
        name = "brake"
        kind = "database-read-only"
        read_only_strength = "brake"
        [approvals]
        restore = 0
    "#;
    let config = OpsConfig::parse(text).unwrap();
    let database = config.database.unwrap();
    assert_eq!(database.spared(), [SessionMatch::role("exporter")]);
    let rule = &database.session_rules[0];
    assert_eq!(
        (rule.when, rule.deed, rule.longer_than),
        (
            SessionTrouble::IdleInTransaction,
            SessionDeed::End,
            Duration::from_secs(300)
        )
    );
    assert_eq!(rule.of, Some(SessionMatch::application("batch*")));
    assert_eq!(
        config.procedures[0].read_only_strength,
        Some(ReadOnlyStrength::Brake)
    );
}

#[test]
fn what_a_database_or_a_rule_cannot_mean_is_reported_where_it_stands() {
    let text = r#"
[database]
strength = "moat"
pooled_url_env = "POOLED"
lock_timeout = "2h"
[[database.session_rule]]
name = "idle"
when = "sleeping"
[[service]]
name = "api"
platform = "cloud-run"
[[procedure]]
name = "stop"
kind = "api-stop"
services = ["api"]
read_only_strength = "wall"
"#;
    let faults = OpsConfig::parse(text).unwrap_err().to_string();
    for part in [
        r#"line 3: database.strength: unknown strength "moat" — use brake, strict or wall"#,
        "line 4: database.pooled_url_env: is given without probe_url_env",
        "line 5: database.lock_timeout: is out of range",
        "line 6: database.session_rule[1].deed: is missing",
        "database.session_rule[1].when: unknown when",
        "procedure[1].read_only_strength: is given, but this procedure leaves the database as it is",
    ] {
        assert!(faults.contains(part), "{part}\n{faults}");
    }
}
