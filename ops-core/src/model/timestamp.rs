use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// An instant, to the microsecond. Written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(jiff::Timestamp);

const TOKYO: jiff::tz::Offset = jiff::tz::Offset::constant(9);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// From microseconds since the epoch; values outside years -9999 to 9999 are clamped.
    pub fn from_unix_micros(micros: i64) -> Self {
        Self(
            jiff::Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
                jiff::Timestamp::MIN
            } else {
                jiff::Timestamp::MAX
            }),
        )
    }

    /// Microseconds since the epoch.
    pub fn as_unix_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(
            u64::try_from(self.as_unix_micros().saturating_sub(earlier.as_unix_micros())).unwrap_or(0),
        )
    }

    /// Reads the `Date` header of HTTP: `Thu, 26 Nov 2026 11:45:47 GMT`; `None` for anything else.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(Self::from_unix_micros(at.as_microsecond()))
    }

    /// As the `Date` header of HTTP, to the second.
    pub fn to_http_date(self) -> String {
        self.0.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Year and month in UTC.
    pub(super) fn to_utc_month(self) -> (i16, i8) {
        let date = jiff::tz::Offset::UTC.to_datetime(self.0);
        (date.year(), date.month())
    }

    /// The first moment of a month in UTC; one that does not exist is clamped.
    pub(super) fn of_utc_month(year: i16, month: i8) -> Self {
        let first = jiff::civil::Date::new(year, month, 1)
            .and_then(|first| jiff::tz::Offset::UTC.to_timestamp(first.at(0, 0, 0, 0)));
        Self(first.unwrap_or(jiff::Timestamp::MAX))
    }

    /// Year, month and day in Japan.
    pub(super) fn to_jst_date(self) -> (i16, i8, i8) {
        let date = TOKYO.to_datetime(self.0);
        (date.year(), date.month(), date.day())
    }

    /// ISO year and week in Japan: a week belongs to the year of its Thursday.
    pub(super) fn to_jst_week(self) -> (i16, i8) {
        let week = TOKYO.to_datetime(self.0).date().iso_week_date();
        (week.year(), week.week())
    }

    /// The first moment of a day in Japan; `None` for a day that does not exist.
    pub(super) fn of_jst_date(year: i16, month: i8, day: i8) -> Option<Self> {
        Self::of_jst_day(jiff::civil::Date::new(year, month, day).ok()?)
    }

    /// The first moment of the last day of a month in Japan, or of day `at_most` where that is sooner.
    pub(super) fn of_jst_month_day(year: i16, month: i8, at_most: i8) -> Option<Self> {
        let last = jiff::civil::Date::new(year, month, 1).ok()?.last_of_month();
        Self::of_jst_date(year, month, last.day().min(at_most))
    }

    /// The first moment of the Monday of an ISO week in Japan; `None` for a week that the year does not have.
    pub(super) fn of_jst_week(year: i16, week: i8) -> Option<Self> {
        let monday = jiff::civil::ISOWeekDate::new(year, week, jiff::civil::Weekday::Monday).ok()?;
        Self::of_jst_day(monday.date())
    }

    fn of_jst_day(date: jiff::civil::Date) -> Option<Self> {
        TOKYO.to_timestamp(date.at(0, 0, 0, 0)).ok().map(Self)
    }

    /// Date and time of day in Japan (UTC+9, no daylight saving), for people: `2026-01-30 09:15:02`.
    pub fn to_jst(self) -> String {
        TOKYO
            .to_datetime(self.0)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    /// Saturates at the latest representable time.
    fn add(self, after: Duration) -> Self {
        let micros = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        Self::from_unix_micros(self.as_unix_micros().saturating_add(micros))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    /// Saturates at the earliest representable time.
    fn sub(self, before: Duration) -> Self {
        let micros = i64::try_from(before.as_micros()).unwrap_or(i64::MAX);
        Self::from_unix_micros(self.as_unix_micros().saturating_sub(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let at: jiff::Timestamp = text.parse().map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "read time")
                .context("time", "must be RFC 3339, as in 2026-01-30T09:00:00+09:00")
        })?;
        Ok(Self::from_unix_micros(at.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_utc_and_japanese_time() {
        let at: Timestamp = "2026-01-30T23:30:00Z".parse().unwrap();
        assert_eq!(at.to_string(), "2026-01-30T23:30:00Z");
        assert_eq!(at.to_jst(), "2026-01-31 08:30:00");
        assert_eq!(
            (at + Duration::from_secs(60)).saturating_since(at),
            Duration::from_secs(60)
        );
        assert_eq!(at.saturating_since(at + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(at.to_http_date(), "Fri, 30 Jan 2026 23:30:00 GMT");
        assert_eq!(Timestamp::from_http_date(&at.to_http_date()), Some(at));
        assert_eq!(Timestamp::from_http_date("yesterday"), None);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
