use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::error::{Error, ErrorKind, Result};

/// A month, in UTC; its text is `2026-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month in which `at` is.
    pub fn of(at: Timestamp) -> Self {
        let (year, month) = at.to_utc_month();
        Self { year, month }
    }

    /// The month after it; the last month that there is follows itself.
    #[must_use]
    pub fn next(self) -> Self {
        match self.month {
            12 if self.year == 9999 => self,
            12 => Self {
                year: self.year + 1,
                month: 1,
            },
            _ => Self {
                month: self.month + 1,
                ..self
            },
        }
    }

    /// Its first moment.
    pub fn begin(self) -> Timestamp {
        Timestamp::of_utc_month(self.year, self.month)
    }

    /// The first moment that is not in it any more.
    pub fn end(self) -> Timestamp {
        self.next().begin()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text
            .split_once('-')
            .filter(|(year, month)| year.len() == 4 && month.len() == 2);
        let month = parts.and_then(|(year, month)| {
            let (year, month) = (year.parse().ok()?, month.parse().ok()?);
            (year >= 0 && (1..=12).contains(&month)).then_some(Self { year, month })
        });
        month.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "read month").context("month", "must be like 2026-01")
        })
    }
}

impl TryFrom<String> for Month {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_and_ends_in_utc() {
        let month: Month = "2025-12".parse().unwrap();
        assert_eq!(month.begin(), "2025-12-01T00:00:00Z".parse().unwrap());
        assert_eq!(month.end(), "2026-01-01T00:00:00Z".parse().unwrap());
        let last = Timestamp::from_unix_micros(month.end().as_unix_micros() - 1);
        assert_eq!((Month::of(last), Month::of(month.end())), (month, month.next()));
        assert_eq!(month.to_string(), "2025-12");
        for wrong in ["2025-13", "2025-00", "2025-1", "-025-01", "2025", "202-501"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
