//! What the hazard finder says about a statement is what the server does, no more and no less.

use std::fmt::Write as _;

use ops_core::governance::migration::{review, statements};
use ops_core::model::{LockMode, RelationEffect, Schema, Work};
use ops_postgres::PostgresTrial;
use secrecy::SecretString;

const FIXTURE: &str = include_str!("fixture.sql");
const CASES: &str = include_str!("cases.txt");
const AUTOCOMMIT: &str = include_str!("autocommit.txt");

struct Case {
    sql: String,
    label: String,
}

/// `statement => label`; a label for this version only goes before the general one: `=> [18] label => label`.
fn cases(text: &str, server: u32) -> Vec<Case> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut parts = line.split(" => ");
            let mut sql = parts.next()?;
            if let Some(rest) = sql.strip_prefix("since ") {
                let (since, rest) = rest.split_once(' ')?;
                if server < since.parse().unwrap() {
                    return None;
                }
                sql = rest;
            }
            let mut label = String::new();
            for part in parts {
                let Some(rest) = part.strip_prefix('[') else {
                    label = part.to_owned();
                    break;
                };
                let (since, rest) = rest.split_once("] ").unwrap();
                if server >= since.parse().unwrap() {
                    label = rest.to_owned();
                    break;
                }
            }
            Some(Case {
                sql: sql.to_owned(),
                label,
            })
        })
        .collect()
}

fn label(effects: &[RelationEffect]) -> String {
    if effects.is_empty() {
        return "nothing".to_owned();
    }
    let one = |effect: &RelationEffect| {
        let lock = match effect.lock {
            LockMode::ShareUpdateExclusive => "SUE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SRE",
            LockMode::Exclusive => "E",
            LockMode::AccessExclusive => "AE",
            _ => "weak",
        };
        let work = |work: &Work| match work {
            Work::Scan => " scan",
            Work::IndexBuild => " index",
            _ => " rewrite",
        };
        let name = effect
            .relation
            .strip_prefix("public.")
            .unwrap_or(&effect.relation);
        format!(
            "{name} {lock}{}",
            effect.work.iter().map(work).collect::<String>()
        )
    };
    let mut all: Vec<_> = effects.iter().map(one).collect();
    all.sort();
    all.join(", ")
}

fn found(sql: &str, schema: &Schema) -> String {
    let reviews = review(sql, schema, false);
    assert_eq!(reviews.len(), 1, "{sql}");
    assert!(
        !reviews[0]
            .findings
            .iter()
            .any(|finding| format!("{:?}", finding.hazard) == "Unreadable"),
        "{sql}: {:?}",
        reviews[0].findings
    );
    label(&reviews[0].effects)
}

/// What differs: the label, the server, the finder.
#[derive(Default)]
struct Differences {
    text: String,
    count: usize,
}

impl Differences {
    fn compare(&mut self, case: &Case, server: &str, finder: &str) {
        if server != case.label || server != finder {
            self.count += 1;
            let _ = writeln!(
                self.text,
                "{}\n    label  {}\n    server {server}\n    finder {finder}",
                case.sql, case.label
            );
        }
    }

    fn assert_none(&self) {
        assert_eq!(self.count, 0, "{} differences\n{}", self.count, self.text);
    }
}

async fn trial(zone: &str) -> Option<PostgresTrial> {
    let admin = SecretString::from(ops_core::testkit::postgres_url().await?);
    let trial = PostgresTrial::create(&admin, FIXTURE).await.unwrap();
    Some(trial.with_time_zone(zone))
}

#[tokio::test]
async fn every_labelled_statement_does_what_the_label_and_the_finder_say() {
    let Some(trial) = trial("UTC").await else { return };
    let schema = trial.schema().await.unwrap();
    let cases = cases(CASES, schema.server);
    assert!(cases.len() >= 120, "{}", cases.len());
    let mut differences = Differences::default();
    for case in &cases {
        let trace = trial.rehearse(&case.sql).await.unwrap().unwrap();
        let server = trace.failure.unwrap_or_else(|| label(&trace.effects));
        differences.compare(case, &server, &found(&case.sql, &schema));
    }
    differences.assert_none();
    trial.drop_all().await.unwrap();
}

#[tokio::test]
async fn what_cannot_run_inside_a_transaction_is_watched_from_another_session() {
    let Some(trial) = trial("UTC").await else { return };
    let version = trial.schema().await.unwrap().server;
    let mut differences = Differences::default();
    for case in cases(AUTOCOMMIT, version) {
        let schema = trial.schema().await.unwrap();
        let statement = &statements(&case.sql).unwrap()[0];
        assert!(statement.autocommit, "{}", case.sql);
        let traces = trial.run(&[(case.sql.clone(), true)], false).await.unwrap();
        assert_eq!(traces[0].failure, None, "{}", case.sql);
        differences.compare(&case, &label(&traces[0].effects), &found(&case.sql, &schema));
    }
    differences.assert_none();
    trial.drop_all().await.unwrap();
}

#[tokio::test]
async fn the_time_zone_of_the_session_decides_whether_a_timestamp_is_rewritten() {
    let sql = "alter table big alter column ts type timestamptz";
    for (zone, wanted) in [("UTC", "big AE"), ("Asia/Tokyo", "big AE rewrite")] {
        let Some(trial) = trial(zone).await else { return };
        let schema = trial.schema().await.unwrap();
        let trace = trial.rehearse(sql).await.unwrap().unwrap();
        assert_eq!(label(&trace.effects), wanted, "{zone}: the server");
        assert_eq!(found(sql, &schema), wanted, "{zone}: the finder");
        trial.drop_all().await.unwrap();
    }
}
