//! Masked fields of structs that exist already: a module for each type, to be named in `#[serde(with = "…")]`, or only its function in
//! `#[serde(serialize_with = "…::serialize")]`. What is read is in the clear, what is written is masked.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Contact {
//!     #[serde(with = "ops_core::masking::field::person")]
//!     name: String,
//!     #[serde(serialize_with = "ops_core::masking::field::phone::serialize")]
//!     phone: Option<String>,
//! }
//!
//! let contact: Contact = serde_json::from_str(r#"{"name": "田中 太郎", "phone": "090-9999-1234"}"#)?;
//! assert_eq!(contact.name, "田中 太郎");
//! assert_eq!(serde_json::to_string(&contact)?, r#"{"name":"田中 *","phone":"090-****-1234"}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```

use secrecy::zeroize::Zeroize;
use serde::{Deserialize, Serialize, Serializer};

use super::form::partial;
use super::{Confidential, Pii};
use crate::model::PiiType;

/// What such a field may be: a `String`, a [`Pii<String>`](Pii), or an `Option` of one.
pub trait Field: Sized {
    /// Made from what was read; `None` if it cannot be without a text.
    fn made(kind: PiiType, text: Option<String>) -> Option<Self>;
    /// The value in the clear.
    fn clear(&self) -> Option<&str>;
}

impl Field for String {
    fn made(_: PiiType, text: Option<String>) -> Option<Self> {
        text
    }
    fn clear(&self) -> Option<&str> {
        Some(self)
    }
}

impl Field for Pii<String> {
    fn made(kind: PiiType, text: Option<String>) -> Option<Self> {
        text.map(|text| Self::new(kind, text))
    }
    fn clear(&self) -> Option<&str> {
        Some(self.expose())
    }
}

impl<F: Field> Field for Option<F> {
    fn made(kind: PiiType, text: Option<String>) -> Option<Self> {
        match text {
            None => Some(None),
            text => F::made(kind, text).map(Some),
        }
    }
    fn clear(&self) -> Option<&str> {
        self.as_ref().and_then(Field::clear)
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $module:ident => $kind:ident,)*) => {$(
        $(#[$doc])*
        pub mod $module {
            use serde::{Deserializer, Serializer};

            use crate::model::PiiType;

            /// Writes the value masked.
            ///
            /// # Errors
            /// Those of the serializer.
            pub fn serialize<F: super::Field, S: Serializer>(value: &F, serializer: S) -> Result<S::Ok, S::Error> {
                super::write(PiiType::$kind, value, serializer)
            }

            /// Reads the value.
            ///
            /// # Errors
            /// Those of the deserializer, and for what is no text.
            pub fn deserialize<'de, F: super::Field, D: Deserializer<'de>>(deserializer: D) -> Result<F, D::Error> {
                super::read(PiiType::$kind, deserializer)
            }
        }
    )*};
}

fields! {
    /// A postal address: `東京都***`.
    address => Address,
    /// A key, token or password: `[API_KEY]`.
    api_key => ApiKey,
    /// A bank account: `[BANK_ACCOUNT]`.
    bank_account => BankAccount,
    /// A confidential value: `[CONFIDENTIAL]`.
    confidential => Confidential,
    /// A corporate number: `[CORPORATE_NUMBER]`.
    corporate_number => CorporateNumber,
    /// A payment card: `****-****-****-1234`.
    credit_card => CreditCard,
    /// A department: `[DEPARTMENT]`.
    department => Department,
    /// A driving licence: `[DRIVERS_LICENSE]`.
    drivers_license => DriversLicense,
    /// A mail address: `t***@example.com`.
    email => Email,
    /// The number of an employee: `[EMPLOYEE_ID]`.
    employee_id => EmployeeId,
    /// A health insurance card: `[HEALTH_INSURANCE]`.
    health_insurance => HealthInsurance,
    /// A network address: `203.0.113.***`.
    ip => Ip,
    /// An individual number: `[MY_NUMBER]`.
    my_number => MyNumber,
    /// A passport: `[PASSPORT]`.
    passport => Passport,
    /// A name: `田中 *`.
    person => Person,
    /// A telephone number: `090-****-1234`.
    phone => Phone,
    /// A postal code: `[POSTAL_CODE]`.
    postal_code => PostalCode,
}

/// Writes a [`Pii`] or [`Confidential`] in the clear, because the field's attribute asks for it.
///
/// # Errors
/// Those of the serializer.
pub fn in_clear<T: Exposed, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.exposed().serialize(serializer)
}

/// What [`in_clear`] can write.
pub trait Exposed {
    /// The value.
    type Value: Serialize;
    /// The value in the clear.
    fn exposed(&self) -> &Self::Value;
}

impl<T: Serialize> Exposed for Pii<T> {
    type Value = T;
    fn exposed(&self) -> &T {
        self.expose()
    }
}

impl<T: Serialize + Zeroize> Exposed for Confidential<T> {
    type Value = T;
    fn exposed(&self) -> &T {
        self.expose()
    }
}

fn write<F: Field, S: Serializer>(kind: PiiType, value: &F, serializer: S) -> Result<S::Ok, S::Error> {
    match value.clear() {
        Some(text) => serializer.serialize_str(&partial(kind, text)),
        None => serializer.serialize_none(),
    }
}

fn read<'de, F: Field, D: serde::Deserializer<'de>>(kind: PiiType, deserializer: D) -> Result<F, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    F::made(kind, text).ok_or_else(|| serde::de::Error::custom(format_args!("{kind} must be a text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        #[serde(with = "crate::masking::field::email")]
        mail: Pii<String>,
        #[serde(with = "crate::masking::field::my_number", default)]
        number: Option<Pii<String>>,
        #[serde(serialize_with = "crate::masking::field::in_clear")]
        salary: Confidential<u32>,
    }

    #[test]
    fn fields_are_read_in_the_clear_and_written_masked() {
        let text = r#"{"mail":"tanaka@example.com","number":"123456789018","salary":5}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(record.number.as_ref().unwrap().kind(), PiiType::MyNumber);
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"mail":"t***@example.com","number":"[MY_NUMBER]","salary":5}"#
        );
        let none: Record = serde_json::from_str(r#"{"mail":"a@b.jp","salary":5}"#).unwrap();
        assert_eq!(none.number, None);
    }

    #[test]
    fn a_fault_does_not_repeat_the_value() {
        let error = serde_json::from_str::<Record>(r#"{"mail":null,"salary":5}"#).unwrap_err();
        assert!(error.to_string().contains("EMAIL must be a text"), "{error}");
    }
}
