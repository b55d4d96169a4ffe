use super::*;
use crate::config::Unseen;
use crate::model::{Weekday, Window};

const RULED: &str = r#"[[procedure]]
name = "stop"
kind = "api-stop"
services = ["api"]
keep_at_least = { up = 1, of = ["api"] }
at_most = 3
requires = ["api", "switch:llm"]
not_during = ["night"]
unseen = "refuse"
[[switch]]
name = "llm"
[[window]]
name = "night"
days = ["sun"]
from = "22:00"
until = "06:00"
[[window]]
name = "freeze"
start = "2026-12-31T00:00:00+09:00"
end = "2027-01-03T00:00:00+09:00"
[automation]
max_targets = 2
window_minutes = 10
journal_unread = "go-ahead"
[approvals]
restore = 0
review_days = 5
"#;

#[test]
fn rules_windows_and_automation_are_read_and_written_back_the_same() {
    let config = OpsConfig::parse(&small_and(RULED)).unwrap();
    let rules = &config.procedures[0].rules;
    let keep = rules.keep_at_least.as_ref().unwrap();
    assert_eq!((keep.up, keep.of.as_slice()), (1, &["api".to_owned()][..]));
    assert_eq!((rules.at_most, rules.unseen), (Some(3), Unseen::Refuse));
    assert_eq!(rules.requires, ["api", "switch:llm"]);
    assert_eq!(rules.not_during, ["night"]);
    assert!(matches!(&config.windows[0].window, Window::Weekly { days, .. } if *days == [Weekday::Sun]));
    assert!(matches!(&config.windows[1].window, Window::Once { .. }));
    assert_eq!(
        (config.automation.max_targets, config.automation.window.as_secs()),
        (2, 600)
    );
    assert_eq!(config.approvals.review_due.as_secs(), 5 * 24 * 3600);
    let written = config.to_toml().unwrap();
    assert_eq!(OpsConfig::parse(&written).unwrap(), config, "{written}");
}

#[test]
fn faults_of_rules_have_a_line_and_a_remedy() {
    for (from, to, line, key, problem, remedy) in [
        (
            "of = [\"api\"]",
            "of = [\"apj\"]",
            12,
            "procedure[1].keep_at_least.of",
            "there is no service",
            "did you mean",
        ),
        (
            "up = 1",
            "up = 2",
            12,
            "procedure[1].keep_at_least.up",
            "is 2",
            "name more services",
        ),
        (
            "at_most = 3",
            "at_most = 0",
            13,
            "procedure[1].at_most",
            "is out of range",
            "from 1",
        ),
        (
            "switch:llm",
            "switch:lmm",
            14,
            "procedure[1].requires",
            "there is no service",
            "switch:llm",
        ),
        (
            "[\"night\"]",
            "[\"nigth\"]",
            15,
            "procedure[1].not_during",
            "there is no window",
            "did you mean \"night\"?",
        ),
        (
            "unseen = \"refuse\"",
            "unseen = \"maybe\"",
            16,
            "procedure[1].unseen",
            "unknown unseen",
            "go-ahead",
        ),
        (
            "[\"sun\"]",
            "[\"sunday\"]",
            21,
            "window[1].days",
            "is no day",
            "mon, tue",
        ),
        (
            "\"22:00\"",
            "\"22\"",
            22,
            "window[1].from",
            "is not a time of day",
            "HH:MM",
        ),
        (
            "2027-01-03",
            "2025-01-03",
            27,
            "window[2].end",
            "is not after start",
            "later",
        ),
        (
            "journal_unread",
            "journal_unred",
            31,
            "automation.journal_unred",
            "not a known key",
            "did you mean",
        ),
    ] {
        assert!(RULED.contains(from), "{from}");
        assert_only(
            &small_and(&RULED.replacen(from, to, 1)),
            line,
            key,
            problem,
            remedy,
        );
    }
}
