use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::gate::{duration_text, parse_duration};
use super::key::{names_a_secret, nearest};
use super::report::Report;
use super::rule::{Rule, alternatives, is_url_with_credentials, quoted};

/// One table of the file, read key by key. Each method reports what is wrong with a value and then gives the default, so that
/// reading goes on and finds the rest.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    at: usize,
    table: &'a DeTable<'a>,
    known: &'static [&'static str],
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(
        table: &'a DeTable<'a>,
        known: &'static [&'static str],
        report: &mut Report<'_>,
    ) -> Self {
        Self::new(String::new(), 0, table, known, report)
    }

    fn new(
        path: String,
        at: usize,
        table: &'a DeTable<'a>,
        known: &'static [&'static str],
        report: &mut Report<'_>,
    ) -> Self {
        let section = Self {
            path,
            at,
            table,
            known,
        };
        section.report_unknown_keys(report);
        section
    }

    /// Where the table begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The dotted path of a key of this table.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Where the value of `key` stands; where the table begins if it has none.
    pub(super) fn place_of(&self, key: &str) -> usize {
        self.table.get(key).map_or(self.at, |value| value.span().start)
    }

    /// Whether the file gives `key`.
    pub(super) fn gives(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The text of `key` as it stands, right or wrong.
    pub(super) fn raw_text(&self, key: &str) -> Option<&'a str> {
        self.table.get(key)?.get_ref().as_str()
    }

    /// A text that may be left out.
    pub(super) fn optional(&self, key: &str, rule: Rule, report: &mut Report<'_>) -> Option<String> {
        let value = self.table.get(key)?;
        let text = text(&self.path_of(key), value, report)?;
        match rule(text) {
            Ok(()) => Some(text.to_owned()),
            Err(wrong) => {
                report.fault(value.span().start, self.path_of(key), wrong.problem, wrong.remedy);
                None
            }
        }
    }

    /// A text that must be given; empty after a fault.
    pub(super) fn required(&self, key: &str, rule: Rule, report: &mut Report<'_>) -> String {
        self.report_missing(key, report);
        self.optional(key, rule, report).unwrap_or_default()
    }

    /// A text with a default.
    pub(super) fn text_or(&self, key: &str, default: &str, rule: Rule, report: &mut Report<'_>) -> String {
        self.optional(key, rule, report)
            .unwrap_or_else(|| default.to_owned())
    }

    /// One of a few words, if it is given.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        report: &mut Report<'_>,
    ) -> Option<T> {
        let value = self.table.get(key)?;
        let found = text(&self.path_of(key), value, report)?;
        let choice = choices.iter().find(|(word, _)| *word == found);
        if choice.is_none() {
            report.fault(
                value.span().start,
                self.path_of(key),
                format!("unknown {key} {}", quoted(found)),
                format!("use {}", alternatives(choices.iter().map(|(word, _)| *word))),
            );
        }
        choice.map(|(_, choice)| *choice)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str, report: &mut Report<'_>) -> bool {
        let Some(value) = self.table.get(key) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            wrong_type(
                &self.path_of(key),
                value,
                "write true or false, without quotes",
                report,
            );
            false
        })
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &self,
        key: &str,
        default: u32,
        range: RangeInclusive<u32>,
        report: &mut Report<'_>,
    ) -> u32 {
        let Some(value) = self.table.get(key) else {
            return default;
        };
        let Some(integer) = value.get_ref().as_integer() else {
            wrong_type(
                &self.path_of(key),
                value,
                "write a whole number, without quotes",
                report,
            );
            return default;
        };
        // What does not fit into 128 bits is out of any range of ours.
        match u32::try_from(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX)) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                report.fault(
                    value.span().start,
                    self.path_of(key),
                    "is out of range",
                    format!("write a number from {} to {}", range.start(), range.end()),
                );
                default
            }
        }
    }

    /// A time such as `"60s"` within `range`.
    pub(super) fn duration(
        &self,
        key: &str,
        default: Duration,
        range: RangeInclusive<Duration>,
        report: &mut Report<'_>,
    ) -> Duration {
        let Some(value) = self.table.get(key) else {
            return default;
        };
        let Some(found) = value.get_ref().as_str() else {
            wrong_type(&self.path_of(key), value, "write a time, as in \"60s\"", report);
            return default;
        };
        match parse_duration(found) {
            Some(duration) if range.contains(&duration) => duration,
            Some(_) => {
                let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
                report.fault(
                    value.span().start,
                    self.path_of(key),
                    "is out of range",
                    format!("write a time from {least} to {most}"),
                );
                default
            }
            None => {
                report.fault(
                    value.span().start,
                    self.path_of(key),
                    "is not a time",
                    "write a whole number with ms, s, m or h, as in \"60s\"",
                );
                default
            }
        }
    }

    /// A list of rising whole numbers within `range`; empty if the key is not given, or after a fault.
    pub(super) fn rising(&self, key: &str, range: RangeInclusive<u8>, report: &mut Report<'_>) -> Vec<u8> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let Some(items) = value.get_ref().as_array() else {
            wrong_type(&path, value, "write a list, as in [1, 10]", report);
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for item in items.iter() {
            let integer = item.get_ref().as_integer();
            let number =
                integer.and_then(|integer| u8::from_str_radix(integer.as_str(), integer.radix()).ok());
            match number.filter(|number| range.contains(number)) {
                Some(number) if numbers.last().is_none_or(|last| *last < number) => numbers.push(number),
                Some(_) => {
                    report.fault(
                        item.span().start,
                        &path,
                        "does not rise",
                        "write each number larger than the one before",
                    );
                    return Vec::new();
                }
                None => {
                    let (least, most) = (range.start(), range.end());
                    report.fault(
                        item.span().start,
                        &path,
                        "is not in range",
                        format!("write whole numbers from {least} to {most}, without quotes"),
                    );
                    return Vec::new();
                }
            }
        }
        numbers
    }

    /// A list of different texts; empty if the key is not given.
    pub(super) fn texts(&self, key: &str, report: &mut Report<'_>) -> Vec<Located<String>> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let Some(items) = value.get_ref().as_array() else {
            wrong_type(&path, value, "write a list, as in [\"a\", \"b\"]", report);
            return Vec::new();
        };
        let mut texts: Vec<Located<String>> = Vec::new();
        for item in items.iter() {
            let Some(found) = text(&path, item, report) else {
                continue;
            };
            let at = item.span().start;
            if texts.iter().any(|other| other.value == found) {
                report.fault(
                    at,
                    &path,
                    format!("names {} twice", quoted(found)),
                    "name each once",
                );
                continue;
            }
            texts.push(Located {
                value: found.to_owned(),
                at,
            });
        }
        texts
    }

    /// Whether `key` is a list with nothing in it.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let list = self.table.get(key).and_then(|value| value.get_ref().as_array());
        list.is_some_and(|items| items.is_empty())
    }

    /// A `[key]` table.
    pub(super) fn section(
        &self,
        key: &str,
        known: &'static [&'static str],
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let value = self.table.get(key)?;
        let path = self.path_of(key);
        let Some(table) = value.get_ref().as_table() else {
            wrong_type(
                &path,
                value,
                &format!("write one [{path}] table, with its keys below it"),
                report,
            );
            return None;
        };
        Some(Self::new(path, value.span().start, table, known, report))
    }

    /// The `[[key]]` tables.
    pub(super) fn sections(
        &self,
        key: &str,
        known: &'static [&'static str],
        report: &mut Report<'_>,
    ) -> Vec<Self> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let remedy = format!("write one [[{path}]] table for each, in double brackets");
        let Some(items) = value.get_ref().as_array() else {
            wrong_type(&path, value, &remedy, report);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (position, item) in items.iter().enumerate() {
            let path = format!("{path}[{}]", position + 1);
            match item.get_ref().as_table() {
                Some(table) => sections.push(Self::new(path, item.span().start, table, known, report)),
                None => wrong_type(&path, item, &remedy, report),
            }
        }
        sections
    }

    /// Reports `key` if it is not given.
    pub(super) fn report_missing(&self, key: &str, report: &mut Report<'_>) {
        if !self.gives(key) {
            report.consequence(
                self.at,
                self.path_of(key),
                "is missing",
                format!("add `{key} = …` to this table"),
            );
        }
    }

    fn report_unknown_keys(&self, report: &mut Report<'_>) {
        for (key, value) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let at = key.span().start;
            let shown = quoted(name);
            let path = self.path_of(shown.trim_matches('"'));
            let variable = format!("{name}_env");
            if self.known.contains(&variable.as_str()) {
                report.fault(
                    at,
                    path,
                    "must not stand in a file",
                    format!(
                        "put it into an environment variable and name that: {variable} = \"{}\"",
                        name.to_uppercase()
                    ),
                );
            } else if names_a_secret(name) || value.get_ref().as_str().is_some_and(is_url_with_credentials) {
                report.fault(
                    at,
                    path,
                    "looks like a secret, and is no key of this table",
                    "remove it; secrets come from environment variables, named by the keys that end in _env",
                );
            } else {
                let remedy = match nearest(name, self.known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("use {}", alternatives(self.known.iter().copied())),
                };
                report.fault(at, path, "is not a known key", remedy);
            }
        }
    }
}

fn text<'v>(path: &str, value: &'v Spanned<DeValue<'_>>, report: &mut Report<'_>) -> Option<&'v str> {
    let Some(text) = value.get_ref().as_str() else {
        wrong_type(path, value, "write a text between double quotes", report);
        return None;
    };
    if is_url_with_credentials(text) {
        report.fault(
            value.span().start,
            path,
            "holds a user name, a password or a token",
            "remove it from the URL; secrets come from environment variables",
        );
        return None;
    }
    Some(text)
}

fn wrong_type(path: &str, value: &Spanned<DeValue<'_>>, remedy: &str, report: &mut Report<'_>) {
    let kind = value.get_ref().type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    report.fault(
        value.span().start,
        path,
        format!("is {article} {kind}, which is the wrong type"),
        remedy,
    );
}
