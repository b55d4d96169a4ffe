use serde::{Deserialize, Serialize};

use super::period::DAY;
use super::{DueKey, Every, Period, Timestamp, Weekday};

/// By when in its period something is to be done. Each is the end of a day in Japan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DueBy {
    /// The last day of the period.
    #[default]
    End,
    /// A day of the week, of a weekly item.
    Weekday(Weekday),
    /// A day of the month from 1, of a monthly item; the last day of a month that has no such day.
    Day(i8),
    /// The last day of a month of the period, from 1.
    Month(i8),
}

/// Something that is to be done again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Recurring {
    /// What keys begin with: lower-case letters, digits and hyphens.
    pub id: String,
    /// What people read.
    pub title: String,
    /// How often.
    pub every: Every,
    /// By when in each period.
    pub by: DueBy,
    /// From when on it is owed; `None`: since a calendar first looked.
    pub since: Option<Timestamp>,
    /// Who sees to it.
    pub owner: Option<String>,
    /// Where it says how.
    pub runbook: Option<String>,
    /// What does it.
    pub command: Option<String>,
    /// The procedure whose drill, if it passes, settles the period in which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
}

impl Recurring {
    /// Due at the end of each period, of nobody in particular.
    pub fn new(id: impl Into<String>, title: impl Into<String>, every: Every) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            every,
            by: DueBy::End,
            since: None,
            owner: None,
            runbook: None,
            command: None,
            drill: None,
        }
    }

    /// Sets by when in each period.
    #[must_use]
    pub fn with_due_by(mut self, by: DueBy) -> Self {
        self.by = by;
        self
    }

    /// Sets from when on it is owed.
    #[must_use]
    pub fn with_since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// The key of one occurrence: `restore-test/2026-Q4`. `None` for an id that is no part of a key.
    pub fn key(&self, period: Period) -> Option<DueKey> {
        DueKey::new(format!("{}/{period}", self.id)).ok()
    }

    /// The period that `key` names, if it is one of this item.
    pub fn period(&self, key: &DueKey) -> Option<Period> {
        let (id, period) = key.as_str().split_once('/')?;
        (id == self.id).then(|| Period::parse(self.every, period))?
    }

    /// When the occurrence of `period` is due; what is not done then is overdue.
    pub fn due(&self, period: Period) -> Timestamp {
        let last_day = match self.by {
            DueBy::End => None,
            DueBy::Weekday(day) => {
                let days = Weekday::ALL.iter().position(|one| *one == day).unwrap_or(6);
                Some(period.begin() + DAY * u32::try_from(days).unwrap_or(6))
            }
            DueBy::Day(day) => period.day_of_month(1, day),
            DueBy::Month(month) => period.day_of_month(month, 31),
        };
        let due = last_day.map_or(period.end(), |day| day + DAY);
        due.min(period.end())
    }

    /// The first period that is owed: that in which `begun` is, if it is its first moment, else the one after it.
    pub fn first_owed(&self, begun: Timestamp) -> Period {
        let period = Period::of(self.every, begun);
        if period.begin() >= begun {
            period
        } else {
            period.next()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(every: Every, by: DueBy, period: &str) -> String {
        let item = Recurring::new("item", "title", every).with_due_by(by);
        item.due(Period::parse(every, period).unwrap()).to_jst()
    }

    #[test]
    fn an_item_is_due_at_the_end_of_a_day_in_japan() {
        use DueBy::{Day, End, Month};
        for (every, by, period, wanted) in [
            (Every::Daily, End, "2026-11-27", "2026-11-28 00:00:00"),
            (Every::Weekly, End, "2026-W53", "2027-01-04 00:00:00"),
            (
                Every::Weekly,
                DueBy::Weekday(Weekday::Mon),
                "2027-W01",
                "2027-01-05 00:00:00",
            ),
            (
                Every::Weekly,
                DueBy::Weekday(Weekday::Sun),
                "2026-W53",
                "2027-01-04 00:00:00",
            ),
            (Every::Monthly, End, "2027-02", "2027-03-01 00:00:00"),
            (Every::Monthly, Day(10), "2026-11", "2026-11-11 00:00:00"),
            (Every::Monthly, Day(31), "2027-02", "2027-03-01 00:00:00"),
            (Every::Monthly, Day(30), "2028-02", "2028-03-01 00:00:00"),
            (Every::Monthly, Day(28), "2028-02", "2028-02-29 00:00:00"),
            (Every::Monthly, Day(31), "2027-01", "2027-02-01 00:00:00"),
            (Every::Quarterly, End, "2026-Q4", "2027-01-01 00:00:00"),
            (Every::Quarterly, Month(2), "2027-Q1", "2027-03-01 00:00:00"),
            (Every::HalfYearly, Month(6), "2026-H2", "2027-01-01 00:00:00"),
            (Every::Yearly, Month(9), "2026", "2026-10-01 00:00:00"),
        ] {
            assert_eq!(due(every, by, period), wanted, "{period} {by:?}");
        }
    }

    #[test]
    fn a_key_names_an_item_and_its_period_and_nothing_else() {
        let item = Recurring::new("restore-test", "復旧テスト", Every::Quarterly);
        let period = Period::parse(Every::Quarterly, "2026-Q4").unwrap();
        let key = item.key(period).unwrap();
        assert_eq!(key.as_str(), "restore-test/2026-Q4");
        assert_eq!(item.period(&key), Some(period));
        for other in [
            "restore-test/2026-11",
            "restore-test",
            "reindex/2026-Q4",
            "restore-test/2026-Q4/x",
        ] {
            assert_eq!(item.period(&DueKey::new(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn the_period_in_which_a_calendar_begins_is_owed_only_from_its_first_moment() {
        let item = Recurring::new("reindex", "REINDEX", Every::Monthly);
        let owed = |text: &str| item.first_owed(text.parse().unwrap()).to_string();
        assert_eq!(owed("2026-11-01T00:00:00+09:00"), "2026-11");
        assert_eq!(owed("2026-11-01T00:00:01+09:00"), "2026-12");
        assert_eq!(owed("2026-12-31T23:00:00+09:00"), "2027-01");
    }
}
