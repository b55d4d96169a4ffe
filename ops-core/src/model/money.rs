use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Currency {
    /// Japanese yen.
    #[serde(rename = "JPY")]
    Jpy,
    /// United States dollar.
    #[serde(rename = "USD")]
    Usd,
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpy => "JPY",
            Self::Usd => "USD",
        })
    }
}

/// An amount in millionths of a currency unit. Integer: sums are exact.
///
/// ```
/// use ops_core::model::{Currency, Money};
///
/// let spent = Money::from_units(4_999, Currency::Jpy)?.checked_add(Money::from_micros(1_000_000, Currency::Jpy))?;
/// assert_eq!(spent, Money::from_units(5_000, Currency::Jpy)?);
/// assert_eq!(spent.to_string(), "5000 JPY");
/// # Ok::<(), ops_core::error::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    micros: i64,
    currency: Currency,
}

impl Money {
    /// Millionths of a unit.
    pub fn from_micros(micros: i64, currency: Currency) -> Self {
        Self { micros, currency }
    }

    /// Whole units.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] beyond ±9.2 × 10¹² units.
    pub fn from_units(units: i64, currency: Currency) -> Result<Self> {
        let micros = units
            .checked_mul(1_000_000)
            .ok_or_else(|| overflow("read money"))?;
        Ok(Self { micros, currency })
    }

    /// The amount in millionths of a unit.
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The sum.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the currencies differ or the sum does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self> {
        if self.currency != other.currency {
            return Err(Error::new(ErrorKind::InvalidInput, "add money")
                .context("currency", "amounts must be of one currency"));
        }
        let micros = self
            .micros
            .checked_add(other.micros)
            .ok_or_else(|| overflow("add money"))?;
        Ok(Self { micros, ..self })
    }
}

fn overflow(operation: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).context("amount", "does not fit in 64 bits of millionths")
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let (units, rest) = (
            self.micros.unsigned_abs() / 1_000_000,
            self.micros.unsigned_abs() % 1_000_000,
        );
        if rest == 0 {
            return write!(f, "{sign}{units} {}", self.currency);
        }
        let digits = format!("{rest:06}");
        write!(
            f,
            "{sign}{units}.{} {}",
            digits.trim_end_matches('0'),
            self.currency
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_of_one_currency() {
        let cent = Money::from_micros(10_000, Currency::Usd);
        let sum = (0..100)
            .try_fold(Money::from_micros(0, Currency::Usd), |sum, _| {
                sum.checked_add(cent)
            })
            .unwrap();
        assert_eq!(sum, Money::from_units(1, Currency::Usd).unwrap());
        assert!(sum.checked_add(Money::from_micros(1, Currency::Jpy)).is_err());
        assert!(
            Money::from_micros(i64::MAX, Currency::Jpy)
                .checked_add(Money::from_micros(1, Currency::Jpy))
                .is_err()
        );
        assert_eq!(
            Money::from_micros(-1_500_000, Currency::Usd).to_string(),
            "-1.5 USD"
        );
    }
}
