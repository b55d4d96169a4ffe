use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// How often something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Every {
    /// Every day.
    Daily,
    /// Every ISO week, from Monday to Sunday.
    Weekly,
    /// Every month.
    Monthly,
    /// Every three months, from January.
    Quarterly,
    /// Every six months, from January.
    HalfYearly,
    /// Every year, from January.
    Yearly,
}

impl Every {
    /// As it stands in `ops.toml`: `half-yearly`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::HalfYearly => "half-yearly",
            Self::Yearly => "yearly",
        }
    }

    /// How many months a period has; 0 for a day and a week.
    pub(crate) fn months(self) -> i8 {
        match self {
            Self::Daily | Self::Weekly => 0,
            Self::Monthly => 1,
            Self::Quarterly => 3,
            Self::HalfYearly => 6,
            Self::Yearly => 12,
        }
    }
}

/// A day, week, month, quarter, half year or year in Japan (UTC+9). Its text names it: `2026-11-27`, `2026-W48`, `2026-11`, `2026-Q4`,
/// `2026-H2`, `2026`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    begin: Timestamp,
    every: Every,
}

impl Period {
    /// The period in which `at` is.
    pub fn of(every: Every, at: Timestamp) -> Self {
        let (year, month, day) = at.to_jst_date();
        let begin = match every {
            Every::Daily => Timestamp::of_jst_date(year, month, day),
            Every::Weekly => {
                let (year, week) = at.to_jst_week();
                Timestamp::of_jst_week(year, week)
            }
            _ => {
                let months = every.months();
                Timestamp::of_jst_date(year, (month - 1) / months * months + 1, 1)
            }
        };
        // Only the first and the last days that there are have no whole period.
        Self {
            begin: begin.unwrap_or(at),
            every,
        }
    }

    /// Reads its text; `None` for one that is not exactly that of such a period.
    pub fn parse(every: Every, text: &str) -> Option<Self> {
        let (year, rest) = text.split_at_checked(4)?;
        let year: i16 = year.parse().ok()?;
        let part = |mark: &str| rest.strip_prefix(mark)?.parse::<i8>().ok();
        let begin = match every {
            Every::Daily => {
                let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
                Timestamp::of_jst_date(year, month.parse().ok()?, day.parse().ok()?)
            }
            Every::Weekly => Timestamp::of_jst_week(year, part("-W")?),
            Every::Monthly => Timestamp::of_jst_date(year, part("-")?, 1),
            Every::Quarterly => Timestamp::of_jst_date(year, first_month(part("-Q")?, 3)?, 1),
            Every::HalfYearly => Timestamp::of_jst_date(year, first_month(part("-H")?, 6)?, 1),
            Every::Yearly => Timestamp::of_jst_date(year, 1, 1),
        };
        Some(Self::of(every, begin?)).filter(|period| period.to_string() == text)
    }

    /// How long it is.
    pub fn every(self) -> Every {
        self.every
    }

    /// Its first moment.
    pub fn begin(self) -> Timestamp {
        self.begin
    }

    /// The first moment that is not in it any more.
    pub fn end(self) -> Timestamp {
        match self.every {
            Every::Daily => self.begin + DAY,
            Every::Weekly => self.begin + 7 * DAY,
            every => {
                let (year, month) = self.month_after(every.months());
                // The last period that there is has no end.
                Timestamp::of_jst_date(year, month, 1).unwrap_or(Timestamp::from_unix_micros(i64::MAX))
            }
        }
    }

    /// The period after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(self.every, self.end())
    }

    /// The first moment of the `nth` day of its `nth` month, both from 1; the last day of a month that has no such day.
    pub(super) fn day_of_month(self, month: i8, day: i8) -> Option<Timestamp> {
        let (year, month) = self.month_after(month.max(1) - 1);
        Timestamp::of_jst_month_day(year, month, day)
    }

    fn month_after(self, months: i8) -> (i16, i8) {
        let (year, month, _) = self.begin.to_jst_date();
        let month = month - 1 + months;
        (year + i16::from(month / 12), month % 12 + 1)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.begin.to_jst_date();
        match self.every {
            Every::Daily => write!(f, "{year:04}-{month:02}-{day:02}"),
            Every::Weekly => {
                let (year, week) = self.begin.to_jst_week();
                write!(f, "{year:04}-W{week:02}")
            }
            Every::Monthly => write!(f, "{year:04}-{month:02}"),
            Every::Quarterly => write!(f, "{year:04}-Q{}", (month - 1) / 3 + 1),
            Every::HalfYearly => write!(f, "{year:04}-H{}", (month - 1) / 6 + 1),
            Every::Yearly => write!(f, "{year:04}"),
        }
    }
}

fn first_month(part: i8, months: i8) -> Option<i8> {
    part.checked_sub(1)?.checked_mul(months)?.checked_add(1)
}

/// Japan has no daylight saving: every day is as long.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Every; 6] = [
        Every::Daily,
        Every::Weekly,
        Every::Monthly,
        Every::Quarterly,
        Every::HalfYearly,
        Every::Yearly,
    ];

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_period_changes_at_midnight_in_japan() {
        // 2026-12-31 23:59:59 in Japan, and a second later.
        let (before, after) = (at("2026-12-31T14:59:59Z"), at("2026-12-31T15:00:00Z"));
        let names = |at| ALL.map(|every| Period::of(every, at).to_string());
        assert_eq!(
            names(before),
            ["2026-12-31", "2026-W53", "2026-12", "2026-Q4", "2026-H2", "2026"]
        );
        assert_eq!(
            names(after),
            ["2027-01-01", "2026-W53", "2027-01", "2027-Q1", "2027-H1", "2027"]
        );
    }

    #[test]
    fn weeks_over_new_year_belong_to_the_year_of_their_thursday() {
        for (day, week) in [
            ("2021-01-03T12:00:00+09:00", "2020-W53"),
            ("2021-01-04T00:00:00+09:00", "2021-W01"),
            ("2024-12-30T00:00:00+09:00", "2025-W01"),
            ("2027-01-03T23:59:59+09:00", "2026-W53"),
        ] {
            let period = Period::of(Every::Weekly, at(day));
            assert_eq!(period.to_string(), week);
            assert_eq!(Period::parse(Every::Weekly, week), Some(period));
        }
        assert_eq!(
            Period::parse(Every::Weekly, "2025-W53"),
            None,
            "2025 has 52 weeks"
        );
    }

    #[test]
    fn what_is_not_exactly_the_name_of_a_period_is_none() {
        for (every, text) in [
            (Every::Daily, "2027-02-29"),
            (Every::Daily, "2026-1-1"),
            (Every::Weekly, "2026-W0"),
            (Every::Monthly, "2026-13"),
            (Every::Monthly, "2026-+1"),
            (Every::Quarterly, "2026-Q5"),
            (Every::Quarterly, "2026-Q0"),
            (Every::Quarterly, "2026-Q-128"),
            (Every::HalfYearly, "2026-H3"),
            (Every::Yearly, "2026-01"),
            (Every::Yearly, "+026"),
            (Every::Yearly, "年年"),
        ] {
            assert_eq!(Period::parse(every, text), None, "{text}");
        }
        assert!(Period::parse(Every::Daily, "2028-02-29").is_some());
    }

    proptest! {
        #[test]
        fn periods_follow_one_another_without_gap_or_overlap(
            seconds in 0_i64..7_000_000_000, every in prop::sample::select(ALL.to_vec()),
        ) {
            let at = Timestamp::from_unix_micros(seconds * 1_000_000);
            let period = Period::of(every, at);
            prop_assert!(period.begin() <= at && at < period.end());
            prop_assert_eq!(period.next().begin(), period.end());
            let last = Timestamp::from_unix_micros(period.end().as_unix_micros() - 1);
            prop_assert_eq!(Period::of(every, period.begin()), period);
            prop_assert_eq!(Period::of(every, last), period);
            prop_assert_eq!(Period::parse(every, &period.to_string()), Some(period));
        }
    }
}
