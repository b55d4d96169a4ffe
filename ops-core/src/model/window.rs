use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::error::{Error, ErrorKind, Result};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "a week has seven days")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    /// From Monday to Sunday.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];
}

/// A time of day in Japan, to the minute: `09:30`; `24:00` is the end of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl FromStr for TimeOfDay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::InvalidInput, "read time of day")
                .context("time", "must be HH:MM, from 00:00 to 24:00")
        };
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !two_digits(hours) || !two_digits(minutes) {
            return Err(wrong());
        }
        let (hours, minutes): (u16, u16) = (
            hours.parse().map_err(|_| wrong())?,
            minutes.parse().map_err(|_| wrong())?,
        );
        let of_day = hours * 60 + minutes;
        if minutes > 59 || of_day > DAY {
            return Err(wrong());
        }
        Ok(Self(of_day))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

/// A span of time in which something must not be done. Its end does not belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Window {
    /// Every week, in Japanese time. If `until` is not after `from`, it ends on the next day.
    Weekly {
        /// The days on which it begins.
        days: Vec<Weekday>,
        /// From this time of day.
        from: TimeOfDay,
        /// Until this time of day.
        until: TimeOfDay,
    },
    /// Once.
    Once {
        /// The first instant.
        start: Timestamp,
        /// The first instant after it.
        end: Timestamp,
    },
}

impl Window {
    /// Whether `at` is in it. Pure.
    pub fn contains(&self, at: Timestamp) -> bool {
        match self {
            Self::Once { start, end } => (*start..*end).contains(&at),
            Self::Weekly { days, from, until } => {
                let (day, minute) = in_japan(at);
                let before = Weekday::ALL[(day + 6) % 7];
                let today = days.contains(&Weekday::ALL[day]);
                if from.0 < until.0 {
                    return today && (from.0..until.0).contains(&minute);
                }
                (today && minute >= from.0) || (days.contains(&before) && minute < until.0)
            }
        }
    }
}

const DAY: u16 = 24 * 60;

/// The day of the week, from 0 for Monday, and the minute of the day.
fn in_japan(at: Timestamp) -> (usize, u16) {
    const MINUTE: i64 = 60_000_000;
    let minutes = at.as_unix_micros().div_euclid(MINUTE) + 9 * 60;
    let days = minutes.div_euclid(i64::from(DAY));
    // 1970-01-01 was a Thursday.
    let day = usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0);
    (
        day,
        u16::try_from(minutes.rem_euclid(i64::from(DAY))).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekly(days: &[Weekday], from: &str, until: &str) -> Window {
        Window::Weekly {
            days: days.to_vec(),
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
        }
    }

    fn contains(window: &Window, at: &str) -> bool {
        window.contains(at.parse().unwrap())
    }

    #[test]
    fn a_weekly_window_is_in_japanese_time_and_may_pass_midnight() {
        // 2026-11-26 is a Thursday in Japan.
        let office = weekly(&[Weekday::Thu], "09:00", "18:00");
        for (at, inside) in [
            ("2026-11-26T08:59:59+09:00", false),
            ("2026-11-26T09:00:00+09:00", true),
            ("2026-11-26T08:59:59Z", true),
            ("2026-11-26T09:00:00Z", false),
            ("2026-11-25T12:00:00+09:00", false),
            ("1969-12-25T12:00:00+09:00", true),
        ] {
            assert_eq!(contains(&office, at), inside, "{at}");
        }
        let night = weekly(&[Weekday::Sun], "22:00", "06:00");
        for (at, inside) in [
            ("2026-11-29T21:59:00+09:00", false),
            ("2026-11-29T22:00:00+09:00", true),
            ("2026-11-30T05:59:00+09:00", true),
            ("2026-11-30T06:00:00+09:00", false),
            ("2026-11-29T05:00:00+09:00", false),
        ] {
            assert_eq!(contains(&night, at), inside, "{at}");
        }
        let whole = weekly(&[Weekday::Mon], "00:00", "24:00");
        assert!(
            contains(&whole, "2026-11-30T23:59:59+09:00") && !contains(&whole, "2026-12-01T00:00:00+09:00")
        );
    }

    #[test]
    fn every_minute_of_a_week_is_in_exactly_one_day() {
        let start: Timestamp = "2026-11-23T00:00:00+09:00".parse().unwrap();
        for minute in 0..7 * 24 * 60_u64 {
            let at = start + std::time::Duration::from_secs(60 * minute);
            let days = Weekday::ALL.map(|day| weekly(&[day], "00:00", "24:00").contains(at));
            assert_eq!(days.iter().filter(|inside| **inside).count(), 1);
            assert!(days[usize::try_from(minute / 1440).unwrap()]);
        }
    }

    #[test]
    fn a_time_of_day_has_one_spelling() {
        for text in ["9:00", "24:01", "12:60", "+1:00", "", "12", "１２:00"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
        assert_eq!("09:05".parse::<TimeOfDay>().unwrap().to_string(), "09:05");
    }
}
