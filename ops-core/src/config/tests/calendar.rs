use super::*;
use crate::model::{DueBy, Every, Weekday};

const WHOLE: &str = r#"
[[calendar]]
id = "waf-review"
title = "WAF ログの確認"
every = "weekly"
weekday = "fri"
[[calendar]]
id = "reindex"
title = "REINDEX, VACUUM ANALYZE"
every = "monthly"
day = 31
since = "2026-12-01"
owner = "dba"
runbook = "docs/database.md"
command = "opsctl db tables"
[[calendar]]
id = "dr-test"
title = "DR テスト"
every = "yearly"
month = 9
drill = "api-stop"
"#;

#[test]
fn a_calendar_is_read_and_written_back() {
    let config = OpsConfig::parse(WHOLE).unwrap();
    let written = config.to_toml().unwrap();
    assert_eq!(OpsConfig::parse(&written).as_ref(), Ok(&config), "{written}");
    let items: Vec<_> = config.calendar.iter().map(CalendarConfig::item).collect();
    let by: Vec<_> = items.iter().map(|item| (item.every, item.by)).collect();
    assert_eq!(
        by,
        [
            (Every::Weekly, DueBy::Weekday(Weekday::Fri)),
            (Every::Monthly, DueBy::Day(31)),
            (Every::Yearly, DueBy::Month(9)),
        ]
    );
    // Midnight in Japan.
    assert_eq!(items[1].since, Some("2026-11-30T15:00:00Z".parse().unwrap()));
    assert_eq!(items[1].owner.as_deref(), Some("dba"));
    assert_eq!(items[1].command.as_deref(), Some("opsctl db tables"));
    assert_eq!(items[2].drill.as_deref(), Some("api-stop"));
}

#[test]
fn every_fault_of_a_calendar_is_named_with_its_line_and_remedy() {
    let text = r#"[[calendar]]
id = "once"
title = ""
every = "fortnightly"
[[calendar]]
id = "a"
title = "a"
every = "daily"
weekday = "mon"
day = 1
month = 1
[[calendar]]
id = "a"
title = "b"
every = "quarterly"
month = 4
since = "2026-02-29"
[[calendar]]
id = "c"
title = "c"
every = "monthly"
day = 32
"#;
    let faults = OpsConfig::parse(text).unwrap_err();
    let said: Vec<_> = faults.faults.iter().map(ToString::to_string).collect();
    let begins = [
        "line 2: calendar[1].id: \"once\" is taken",
        "line 3: calendar[1].title: is empty",
        "line 4: calendar[1].every: unknown every \"fortnightly\" — use daily, weekly",
        "line 9: calendar[2].weekday: does not fit every — remove it, or write it with weekly",
        "line 10: calendar[2].day: does not fit every",
        "line 11: calendar[2].month: does not fit every",
        "line 13: calendar[3].id: \"a\" is taken by the table at line 6",
        "line 16: calendar[3].month: is out of range — write a number from 1 to 3",
        "line 17: calendar[3].since: \"2026-02-29\" is not a date",
        "line 22: calendar[4].day: is out of range",
    ];
    assert_eq!(said.len(), begins.len(), "{said:#?}");
    for (said, begin) in said.iter().zip(begins) {
        assert!(said.starts_with(begin), "{said}\n{begin}");
    }
}

#[test]
fn the_second_runbook_ships_its_maintenance_and_security_checks() {
    let config = preset(Preset::HrxAi).unwrap();
    let every = |id: &str| {
        let item = config.calendar.iter().find(|item| item.id == id);
        item.map(|item| item.every)
    };
    for (id, wanted) in [
        ("security-alerts", Every::Daily),
        ("auth-failures", Every::Daily),
        ("waf-review", Every::Weekly),
        ("vulnerability-news", Every::Weekly),
        ("backup-success", Every::Weekly),
        ("storage-clean-up", Every::Weekly),
        ("access-log-review", Every::Monthly),
        ("security-patches", Every::Monthly),
        ("antivirus-definitions", Every::Monthly),
        ("runtime-patches", Every::Monthly),
        ("reindex", Every::Monthly),
        ("certificates", Every::Monthly),
        ("restore-test", Every::Quarterly),
        ("dependencies", Every::Quarterly),
        ("account-inventory", Every::Quarterly),
        ("access-review", Every::Quarterly),
        ("security-settings", Every::Quarterly),
        ("incident-plan", Every::Quarterly),
        ("capacity-trend", Every::Quarterly),
        ("log-settings", Every::HalfYearly),
        ("dr-test", Every::Yearly),
    ] {
        assert_eq!(every(id), Some(wanted), "{id}");
    }
    assert_eq!(config.calendar.len(), 21);
}
