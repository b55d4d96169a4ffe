use std::fmt;

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::form::{partial, placeholder};
use super::{MaskingKeys, Sealed};
use crate::error::Result;
use crate::model::PiiType;

/// A personal value that shows itself masked only: `Debug`, `Display` and serialisation give `t***@example.com` and the like.
///
/// Reading it is one word, [`expose`](Self::expose), which is easy to find in a review. A field of a request is read with a module of
/// [`field`](super::field), which knows the type. The memory is not wiped: such a value has been in many buffers before; what needs that
/// belongs in [`Confidential`].
///
/// ```
/// use ops_core::masking::Pii;
/// use ops_core::model::PiiType;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct User {
///     id: u32,
///     #[serde(with = "ops_core::masking::field::email")]
///     mail: Pii<String>,
/// }
///
/// let user: User = serde_json::from_str(r#"{"id": 7, "mail": "tanaka@example.com"}"#)?;
/// assert_eq!(user.mail.expose(), "tanaka@example.com");
/// assert_eq!(format!("{user:?}"), r#"User { id: 7, mail: Pii(t***@example.com) }"#);
/// assert_eq!(serde_json::to_string(&user)?, r#"{"id":7,"mail":"t***@example.com"}"#);
/// assert_eq!(serde_json::to_string(&user.mail.in_clear())?, r#""tanaka@example.com""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pii<T> {
    kind: PiiType,
    value: T,
}

impl<T> Pii<T> {
    /// A value of `kind`.
    pub fn new(kind: PiiType, value: T) -> Self {
        Self { kind, value }
    }

    /// The type of the value.
    pub fn kind(&self) -> PiiType {
        self.kind
    }

    /// The value in the clear.
    pub fn expose(&self) -> &T {
        &self.value
    }

    /// The value in the clear, without its wrapper.
    pub fn into_exposed(self) -> T {
        self.value
    }

    /// Serialises in the clear; for a field: `serialize_with = "ops_core::masking::field::in_clear"`.
    pub fn in_clear(&self) -> InClear<'_, T> {
        InClear(&self.value)
    }
}

impl<T: fmt::Display> Pii<T> {
    /// Encrypts the value for storage.
    ///
    /// # Errors
    /// As [`MaskingKeys::seal`].
    pub fn seal(&self, keys: &MaskingKeys) -> Result<Sealed> {
        keys.seal(self.kind, &self.value.to_string())
    }
}

impl<T: fmt::Display> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&partial(self.kind, &self.value.to_string()))
    }
}

impl<T: fmt::Display> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pii({self})")
    }
}

impl<T: fmt::Display> Serialize for Pii<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value that serialises in the clear, because somebody asked for it. Its `Debug` shows nothing.
#[derive(Clone, Copy)]
pub struct InClear<'a, T>(&'a T);

impl<T> fmt::Debug for InClear<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InClear")
    }
}

impl<T: Serialize> Serialize for InClear<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A salary, an evaluation, a health condition: `Debug`, `Display` and serialisation give `[CONFIDENTIAL]`, and the memory is wiped
/// when it goes. It is neither stored nor logged, so there is no way to encrypt it.
///
/// ```
/// use ops_core::masking::Confidential;
///
/// let salary: Confidential<u32> = serde_json::from_str("5000000")?;
/// assert_eq!(*salary.expose(), 5_000_000);
/// assert_eq!(format!("{salary} {salary:?}"), "[CONFIDENTIAL] [CONFIDENTIAL]");
/// assert_eq!(serde_json::to_string(&salary)?, r#""[CONFIDENTIAL]""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub struct Confidential<T: Zeroize> {
    value: SecretBox<T>,
}

impl<T: Zeroize> Confidential<T> {
    /// A confidential value.
    pub fn new(value: T) -> Self {
        Self {
            value: SecretBox::new(Box::new(value)),
        }
    }

    /// The value in the clear.
    pub fn expose(&self) -> &T {
        self.value.expose_secret()
    }

    /// Serialises in the clear, for whom it is meant; for a field: `serialize_with = "ops_core::masking::field::in_clear"`.
    pub fn in_clear(&self) -> InClear<'_, T> {
        InClear(self.expose())
    }
}

impl<T: Zeroize + Clone> Clone for Confidential<T> {
    fn clone(&self) -> Self {
        Self::new(self.expose().clone())
    }
}

impl<T: Zeroize + PartialEq> PartialEq for Confidential<T> {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl<T: Zeroize + Eq> Eq for Confidential<T> {}

impl<T: Zeroize> fmt::Display for Confidential<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(placeholder(PiiType::Confidential))
    }
}

impl<T: Zeroize> fmt::Debug for Confidential<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(placeholder(PiiType::Confidential))
    }
}

impl<T: Zeroize> Serialize for Confidential<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Confidential<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_value_unless_it_is_asked_for() {
        let pii = Pii::new(PiiType::Phone, "090-9999-1234");
        let secret = Confidential::new("適応障害".to_owned());
        for shown in [
            format!("{pii} {pii:?} {pii:#?} {:?}", pii.in_clear()),
            format!("{secret} {secret:?} {secret:#?} {:?}", secret.in_clear()),
            serde_json::to_string(&(&pii, &secret)).unwrap(),
        ] {
            assert!(!shown.contains("9999") && !shown.contains("適応"), "{shown}");
        }
        assert_eq!(format!("{pii:>15}|"), "  090-****-1234|");
        assert_eq!(serde_json::to_string(&secret.in_clear()).unwrap(), "\"適応障害\"");
        assert_eq!((*pii.expose(), pii.kind()), ("090-9999-1234", PiiType::Phone));
        assert_eq!(pii.into_exposed(), "090-9999-1234");
    }

    #[test]
    fn a_number_is_masked_as_its_text() {
        let card = Pii::new(PiiType::CreditCard, 4_111_111_111_111_234_u64);
        assert_eq!(serde_json::to_string(&card).unwrap(), r#""****-****-****-1234""#);
    }
}
