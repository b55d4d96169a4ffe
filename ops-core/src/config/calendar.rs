use serde::Serialize;

use super::report::Report;
use super::rule::{Wrong, quoted, slug};
use super::section::Section;
use crate::model::{DueBy, Every, Period, Recurring, Timestamp, Weekday};

/// A `[[calendar]]`: something that is to be done again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CalendarConfig {
    /// What keys begin with: lower-case letters, digits and hyphens; unique, and not `once`. Required.
    pub id: String,
    /// What people read, up to 100 characters. Required.
    pub title: String,
    /// `daily`, `weekly`, `monthly`, `quarterly`, `half-yearly` or `yearly`. Required.
    pub every: Every,
    /// With `weekly`: the last day of the week on which it is in time, `mon` to `sun`. Default: `sun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekday: Option<Weekday>,
    /// With `monthly`: the last day of the month on which it is in time, 1 to 31; in a shorter month its last. Default: 31.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<u32>,
    /// With `quarterly`, `half-yearly` and `yearly`: the last month of the period in which it is in time, from 1. Default: its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<u32>,
    /// The day in Japan from which on it is owed: `2026-12-01`. Default: since a calendar first looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Who sees to it. Default: nobody in particular.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where it says how. Default: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// What does it; shown, never run. Default: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The procedure whose drill, if it passes, settles the occurrence in which it ends. Default: only a person does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
}

impl CalendarConfig {
    pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Option<Self> {
        section.report_missing("every", report);
        let every = section.choice("every", EVERY, report);
        let weekday = section.choice("weekday", WEEKDAYS, report);
        let most_months = every.map_or(12, |every| u32::try_from(every.months()).unwrap_or(12).max(1));
        let number = |key: &str, most, report: &mut Report<'_>| {
            section
                .gives(key)
                .then(|| section.number(key, most, 1..=most, report))
        };
        let day = number("day", 31, report);
        let goes_with_month = every.is_none_or(|every| every.months() > 1);
        // Where it has no place at all, its range does not matter.
        let month = number("month", if goes_with_month { most_months } else { 12 }, report);
        let fits = [
            (
                "weekday",
                every.is_none_or(|every| every == Every::Weekly),
                "weekly",
            ),
            (
                "day",
                every.is_none_or(|every| every == Every::Monthly),
                "monthly",
            ),
            ("month", goes_with_month, "quarterly, half-yearly or yearly"),
        ];
        for (key, fits, with) in fits {
            if section.gives(key) && !fits {
                report.fault(
                    section.place_of(key),
                    section.path_of(key),
                    "does not fit every",
                    format!("remove it, or write it with {with}"),
                );
            }
        }
        let read = Self {
            id: section.required("id", id, report),
            title: section.required("title", line, report),
            every: every?,
            weekday,
            day,
            month,
            since: section.optional("since", date, report),
            owner: section.optional("owner", line, report),
            runbook: section.optional("runbook", line, report),
            command: section.optional("command", line, report),
            drill: section.optional("drill", line, report),
        };
        Some(read)
    }

    /// The item that it describes.
    pub fn item(&self) -> Recurring {
        let number = |number: Option<u32>| number.and_then(|number| i8::try_from(number).ok());
        let by = match (self.weekday, number(self.day), number(self.month)) {
            (Some(weekday), _, _) => DueBy::Weekday(weekday),
            (_, Some(day), _) => DueBy::Day(day),
            (_, _, Some(month)) => DueBy::Month(month),
            _ => DueBy::End,
        };
        let mut item = Recurring::new(&self.id, &self.title, self.every).with_due_by(by);
        item.since = self.since.as_deref().and_then(first_moment);
        item.owner.clone_from(&self.owner);
        item.runbook.clone_from(&self.runbook);
        item.command.clone_from(&self.command);
        item.drill.clone_from(&self.drill);
        item
    }
}

fn first_moment(day: &str) -> Option<Timestamp> {
    Period::parse(Every::Daily, day).map(Period::begin)
}

fn id(text: &str) -> Result<(), Wrong> {
    if text == "once" {
        return Err(Wrong::new(
            format!("{} is taken", quoted(text)),
            "use another id: keys of dates that are set once begin so",
        ));
    }
    slug(text)
}

fn line(text: &str) -> Result<(), Wrong> {
    if !text.trim().is_empty() && text.chars().count() <= 100 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Wrong::new(
        "is empty, too long or holds a control character",
        "use 1 to 100 visible characters",
    ))
}

/// Not before 2000: an item that is owed for longer is a slip of the pen.
fn date(text: &str) -> Result<(), Wrong> {
    match first_moment(text) {
        Some(_) if text >= "2000" => Ok(()),
        _ => Err(Wrong::new(
            format!("{} is not a date", quoted(text)),
            "write a day from 2000 on, as in \"2026-12-01\"",
        )),
    }
}

const EVERY: &[(&str, Every)] = &[
    ("daily", Every::Daily),
    ("weekly", Every::Weekly),
    ("monthly", Every::Monthly),
    ("quarterly", Every::Quarterly),
    ("half-yearly", Every::HalfYearly),
    ("yearly", Every::Yearly),
];
const WEEKDAYS: &[(&str, Weekday)] = &[
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];
