use std::time::Duration;

use super::*;
use crate::model::{Disposal, RetentionEnd, TableName};

const WHOLE: &str = r#"
    [tenancy]
    phase = "multi"
    schemas = ["public", "app"]
    app_roles = ["app"]
    levels = ["業務委託", "社員", "リーダー", "課長", "役員"]
    [[tenancy.table]]
    name = "public.plans"
    global = "price list"
    [[tenancy.table]]
    name = "app.companies"
    column = "id"
    [[tenancy.accepted]]
    subject = "public.users"
    gap = "key_without_tenant"
    reason = "ids are random"

    [[personal_data]]
    table = "public.memories"
    how = "delete"
    [[personal_data]]
    table = "messages"
    user_column = "author"
    how = "pseudonym"
    columns = ["author"]
    [[personal_data]]
    table = "public.invoices"
    how = "keep"
    reason = "会計帳簿 7 年"

    [[retention]]
    name = "conversation summaries"
    table = "public.conversation_summaries"
    until = "age"
    keep_days = 365
    [[retention]]
    name = "preferences"
    table = "public.memories"
    until = "leaving"
    [[retention]]
    name = "erased"
    table = "public.memories"
    until = "erased"
"#;

#[test]
fn tenants_data_map_and_retention_are_read_and_written_back() {
    let config = OpsConfig::parse(WHOLE).unwrap();
    let layout = config.tenancy.layout();
    let table = |name: &str| name.parse::<TableName>().unwrap();
    assert!(layout.global.contains_key(&table("plans")));
    assert_eq!(layout.column_of(&table("app.companies")), "id");
    assert_eq!(
        layout.column_of(&table("organizations")),
        "id",
        "the seed's table stays known"
    );
    assert_eq!(layout.column_of(&table("tasks")), "organization_id");
    let rules: Vec<_> = config
        .personal_data
        .iter()
        .filter_map(PersonalDataConfig::rule)
        .collect();
    assert_eq!(rules[0].user_column, "user_id");
    assert_eq!(
        rules[1].disposal,
        Disposal::Pseudonym {
            columns: vec!["author".to_owned()]
        }
    );
    assert!(matches!(&rules[2].disposal, Disposal::Keep { reason } if reason.contains("会計")));
    let rules: Vec<_> = config
        .retention
        .iter()
        .filter_map(RetentionConfig::rule)
        .collect();
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert_eq!(
        rules[0].end,
        RetentionEnd::Age {
            column: "created_at".to_owned(),
            keep: year
        }
    );
    assert!(matches!(&rules[1].end, RetentionEnd::Leaving { left_column, .. } if left_column == "left_at"));
    assert_eq!(rules[2].person_column.as_deref(), Some("user_id"));

    let written = config.to_toml().unwrap();
    assert_eq!(OpsConfig::parse(&written).unwrap(), config, "{written}");
    assert!(
        !OpsConfig::parse("")
            .unwrap()
            .to_toml()
            .unwrap()
            .contains("tenancy")
    );
}

#[test]
fn what_does_not_fit_is_told_with_its_remedy() {
    let text = r#"
        [tenancy]
        phase = "many"
        levels = ["a", "b"]
        [[tenancy.table]]
        name = "a.b.c"
        [[personal_data]]
        table = "memories"
        how = "null"
        [[personal_data]]
        table = "notes"
        how = "keep"
        [[retention]]
        name = "x"
        table = "notes"
        until = "age"
    "#;
    let faults = OpsConfig::parse(text).unwrap_err().faults;
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "tenancy.phase",
        "tenancy.levels",
        "tenancy.table[1].name",
        "tenancy.table[1].global",
        "personal_data[1].columns",
        "personal_data[2].reason",
        "retention[1].keep_days",
    ] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
}

#[test]
fn the_runbooks_retention_periods_ship_as_rules() {
    let config = preset(Preset::SoulKun).unwrap();
    assert_eq!(config.tenancy.phase, TenancyPhase::Single);
    let rules: Vec<_> = config
        .retention
        .iter()
        .filter_map(RetentionConfig::rule)
        .collect();
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let ends: Vec<_> = rules
        .iter()
        .map(|rule| match &rule.end {
            RetentionEnd::Age { keep, .. } => (rule.name.as_str(), Some(*keep)),
            _ => (rule.name.as_str(), None),
        })
        .collect();
    assert_eq!(
        ends,
        [
            ("会話履歴（要約）", Some(year)),
            ("監査ログ", Some(year)),
            ("Memory（嗜好情報）", None),
            ("削除されたユーザーデータ", None),
        ]
    );
    assert!(matches!(rules[2].end, RetentionEnd::Leaving { .. }));
    assert!(matches!(rules[3].end, RetentionEnd::Erased { .. }));
    assert_eq!(config.personal_data.len(), 1);
}
