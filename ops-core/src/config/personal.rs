use std::time::Duration;

use serde::Serialize;

use super::report::Report;
use super::rule::label;
use super::section::Section;
use super::tenancy::table;
use crate::model::{DataRule, Disposal, RetentionEnd, RetentionRule, TableName};

/// A `[[personal_data]]`: one line of the data map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PersonalDataConfig {
    /// The table: `public.memories`; unique. Required.
    pub table: String,
    /// The column with the person's id. Default: `user_id`.
    pub user_column: String,
    /// What is done on request: `delete`, `null`, `pseudonym` or `keep`. Required.
    pub how: PersonalDataEnd,
    /// With `null` and `pseudonym`: the columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// With `keep`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is done with rows of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PersonalDataEnd {
    /// They go.
    Delete,
    /// Columns become null.
    Null,
    /// Columns get a value that cannot be traced back.
    Pseudonym,
    /// They stay.
    Keep,
}

impl PersonalDataConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Option<Self> {
        section.report_missing("how", report);
        let how = section.choice("how", HOW, report);
        let columns: Vec<String> = section
            .texts("columns", report)
            .into_iter()
            .map(|column| column.value)
            .collect();
        let read = Self {
            table: section.required("table", table, report),
            user_column: section.text_or("user_column", "user_id", label, report),
            how: how?,
            columns,
            reason: section.optional("reason", label, report),
        };
        let wants_columns = matches!(read.how, PersonalDataEnd::Null | PersonalDataEnd::Pseudonym);
        if wants_columns == read.columns.is_empty() {
            let remedy = "name the columns with null and pseudonym, and with nothing else";
            report.fault(
                section.place_of("columns"),
                section.path_of("columns"),
                "does not fit how",
                remedy,
            );
        }
        if (read.how == PersonalDataEnd::Keep) != section.gives("reason") {
            let remedy = "say why with keep: the person is told; and with nothing else";
            report.fault(
                section.place_of("reason"),
                section.path_of("reason"),
                "does not fit how",
                remedy,
            );
        }
        Some(read)
    }

    /// The rule that it describes; `None` for a table that is none.
    pub fn rule(&self) -> Option<DataRule> {
        let columns = self.columns.clone();
        let disposal = match self.how {
            PersonalDataEnd::Delete => Disposal::Delete,
            PersonalDataEnd::Null => Disposal::Null { columns },
            PersonalDataEnd::Pseudonym => Disposal::Pseudonym { columns },
            PersonalDataEnd::Keep => Disposal::Keep {
                reason: self.reason.clone().unwrap_or_default(),
            },
        };
        Some(DataRule::new(
            self.table.parse().ok()?,
            &self.user_column,
            disposal,
        ))
    }
}

/// A `[[retention]]`: how long the rows of a table are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// What people call it; unique. Required.
    pub name: String,
    /// The table. Required.
    pub table: String,
    /// When rows go: at an `age`, when the person is `leaving`, or once the person is `erased`. Required.
    pub until: RetentionUntil,
    /// With `age`: the column with the time it counts from. Default: `created_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// With `age`: how many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// The column with the person's id, by which held persons are spared. Default: `user_id` with `leaving` and `erased`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_column: Option<String>,
    /// With `leaving`: the table of persons, whose key is `id`. Default: `public.users`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<String>,
    /// With `leaving`: its column with the time of leaving. Default: `left_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_column: Option<String>,
}

/// When rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetentionUntil {
    /// At an age.
    Age,
    /// When the person has left.
    Leaving,
    /// Once the person has asked to be forgotten.
    Erased,
}

impl RetentionConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Option<Self> {
        section.report_missing("until", report);
        let until = section.choice("until", UNTIL, report);
        let keep_days = section
            .gives("keep_days")
            .then(|| section.number("keep_days", 365, 1..=36_500, report));
        let read = Self {
            name: section.required("name", label, report),
            table: section.required("table", table, report),
            until: until?,
            column: section.optional("column", label, report),
            keep_days,
            user_column: section.optional("user_column", label, report),
            users: section.optional("users", table, report),
            left_column: section.optional("left_column", label, report),
        };
        if (read.until == RetentionUntil::Age) != section.gives("keep_days") {
            let remedy = "write keep_days with until = \"age\", and with nothing else";
            report.fault(
                section.place_of("keep_days"),
                section.path_of("keep_days"),
                "does not fit until",
                remedy,
            );
        }
        Some(read)
    }

    /// The rule that it describes; `None` for a table that is none.
    pub fn rule(&self) -> Option<RetentionRule> {
        let person = || self.user_column.clone().unwrap_or_else(|| "user_id".to_owned());
        let end = match self.until {
            RetentionUntil::Age => RetentionEnd::Age {
                column: self.column.clone().unwrap_or_else(|| "created_at".to_owned()),
                keep: Duration::from_secs(u64::from(self.keep_days?) * 24 * 60 * 60),
            },
            RetentionUntil::Leaving => RetentionEnd::Leaving {
                user_column: person(),
                users: match &self.users {
                    Some(users) => users.parse().ok()?,
                    None => TableName::new("public", "users").ok()?,
                },
                left_column: self.left_column.clone().unwrap_or_else(|| "left_at".to_owned()),
            },
            RetentionUntil::Erased => RetentionEnd::Erased {
                user_column: person(),
            },
        };
        let rule = RetentionRule::new(&self.name, self.table.parse().ok()?, end);
        Some(match &self.user_column {
            Some(column) => rule.with_person_column(column),
            None => rule,
        })
    }
}

const HOW: &[(&str, PersonalDataEnd)] = &[
    ("delete", PersonalDataEnd::Delete),
    ("null", PersonalDataEnd::Null),
    ("pseudonym", PersonalDataEnd::Pseudonym),
    ("keep", PersonalDataEnd::Keep),
];
const UNTIL: &[(&str, RetentionUntil)] = &[
    ("age", RetentionUntil::Age),
    ("leaving", RetentionUntil::Leaving),
    ("erased", RetentionUntil::Erased),
];
