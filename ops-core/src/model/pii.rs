use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// What kind of personal or confidential value a span of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum PiiType {
    /// A postal address, from the prefecture or street number to the last part.
    Address,
    /// A key, token, password or other secret.
    ApiKey,
    /// A bank account number.
    BankAccount,
    /// A salary, an evaluation grade or a health condition.
    Confidential,
    /// A Japanese corporate number, 13 digits.
    CorporateNumber,
    /// The number of a payment card.
    CreditCard,
    /// The name of a department of a company.
    Department,
    /// The number of a Japanese driving licence, 12 digits.
    DriversLicense,
    /// A mail address.
    Email,
    /// The number of an employee.
    EmployeeId,
    /// The symbol and number of a Japanese health insurance card.
    HealthInsurance,
    /// An address of the internet protocol, version 4 or 6.
    Ip,
    /// A Japanese individual number, 12 digits.
    MyNumber,
    /// The number of a passport.
    Passport,
    /// The name of a person, without honorific or title.
    Person,
    /// A telephone number.
    Phone,
    /// A postal code.
    PostalCode,
}

impl PiiType {
    /// Every type, in the order of their names.
    pub const ALL: [Self; 17] = [
        Self::Address,
        Self::ApiKey,
        Self::BankAccount,
        Self::Confidential,
        Self::CorporateNumber,
        Self::CreditCard,
        Self::Department,
        Self::DriversLicense,
        Self::Email,
        Self::EmployeeId,
        Self::HealthInsurance,
        Self::Ip,
        Self::MyNumber,
        Self::Passport,
        Self::Person,
        Self::Phone,
        Self::PostalCode,
    ];

    /// The name that serialisation uses, such as `CREDIT_CARD`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "ADDRESS",
            Self::ApiKey => "API_KEY",
            Self::BankAccount => "BANK_ACCOUNT",
            Self::Confidential => "CONFIDENTIAL",
            Self::CorporateNumber => "CORPORATE_NUMBER",
            Self::CreditCard => "CREDIT_CARD",
            Self::Department => "DEPARTMENT",
            Self::DriversLicense => "DRIVERS_LICENSE",
            Self::Email => "EMAIL",
            Self::EmployeeId => "EMPLOYEE_ID",
            Self::HealthInsurance => "HEALTH_INSURANCE",
            Self::Ip => "IP",
            Self::MyNumber => "MY_NUMBER",
            Self::Passport => "PASSPORT",
            Self::Person => "PERSON",
            Self::Phone => "PHONE",
            Self::PostalCode => "POSTAL_CODE",
        }
    }

    /// The category whose rule holds for this type.
    pub fn category(self) -> PiiCategory {
        match self {
            Self::Confidential => PiiCategory::Confidential,
            Self::CorporateNumber | Self::Department | Self::EmployeeId | Self::Ip | Self::PostalCode => {
                PiiCategory::Indirect
            }
            _ => PiiCategory::Direct,
        }
    }
}

/// The type of that name, in upper or lower case.
impl FromStr for PiiType {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "read a type of personal value").context(
                "type",
                "must be one of the names that detection gives, such as EMAIL",
            )
        })
    }
}

impl fmt::Display for PiiType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How close a value is to a person, and with it which rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PiiCategory {
    /// Names a person by itself: a name, a mail address, a telephone number, an official number, a credential.
    Direct,
    /// Names a person together with something else: an employee number, a department.
    Indirect,
    /// Must be neither stored nor logged: a salary, an evaluation, a health condition.
    Confidential,
}

impl PiiCategory {
    /// The name that configuration and serialisation use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Indirect => "indirect",
            Self::Confidential => "confidential",
        }
    }
}

/// A place in a text that holds a personal or confidential value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PiiSpan {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What the value is.
    #[serde(rename = "type")]
    pub kind: PiiType,
}

impl PiiSpan {
    /// A span from byte `start` to before byte `end`.
    pub fn new(start: usize, end: usize, kind: PiiType) -> Self {
        Self { start, end, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_serialised_one() {
        for kind in PiiType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().to_lowercase().parse::<PiiType>().unwrap(), kind);
        }
    }
}
