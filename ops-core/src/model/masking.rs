use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::{PiiCategory, PiiType};

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Destination {
    /// A log, a trace, an audit record, a notice.
    Log,
    /// Outside the company: a language model, a vendor, a customer.
    External,
    /// A table or a file that is kept.
    Storage,
    /// A screen of the company's own support.
    Support,
}

impl Destination {
    /// Every destination.
    pub const ALL: [Self; 4] = [Self::Log, Self::External, Self::Storage, Self::Support];

    /// The name that configuration and serialisation use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::External => "external",
            Self::Storage => "storage",
            Self::Support => "support",
        }
    }
}

/// What becomes of a personal or confidential value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Treatment {
    /// It stays.
    Keep,
    /// A part stays, as in `t***@example.com`; types without such a form are dropped.
    Partial,
    /// Only its type stays, as in `[MY_NUMBER]`.
    Drop,
    /// A name that is the same for the same value and that only the holder of the key can compute. Without a key: dropped.
    Pseudonym,
    /// Encrypted; the holder of the key can read it. Without a key: dropped.
    Encrypt,
}

impl Treatment {
    /// The name that configuration and serialisation use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Partial => "partial",
            Self::Drop => "drop",
            Self::Pseudonym => "pseudonym",
            Self::Encrypt => "encrypt",
        }
    }
}

/// What becomes of values of each type at each destination. `Default` is the table of the first runbook:
///
/// | | log | external | storage | support |
/// |---|---|---|---|---|
/// | direct | partial | partial | encrypt | partial |
/// | indirect | keep | partial | keep | keep |
/// | confidential | drop | drop | drop | drop |
/// | credentials ([`PiiType::ApiKey`]) | drop | drop | drop | drop |
///
/// A rule for a type goes before the rule for its category.
///
/// ```
/// use ops_core::model::{Destination, MaskingPolicy, PiiType, Treatment};
///
/// let policy = MaskingPolicy::default().with_type(Destination::Log, PiiType::EmployeeId, Treatment::Pseudonym);
/// assert_eq!(policy.treatment(PiiType::EmployeeId, Destination::Log), Treatment::Pseudonym);
/// assert_eq!(policy.treatment(PiiType::Email, Destination::Storage), Treatment::Encrypt);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskingPolicy {
    categories: [[Treatment; CATEGORIES.len()]; Destination::ALL.len()],
    types: [[Option<Treatment>; PiiType::ALL.len()]; Destination::ALL.len()],
}

/// The categories, in the order of the columns.
const CATEGORIES: [PiiCategory; 3] = [
    PiiCategory::Direct,
    PiiCategory::Indirect,
    PiiCategory::Confidential,
];

impl Default for MaskingPolicy {
    fn default() -> Self {
        use Treatment::{Drop, Encrypt, Keep, Partial};
        let mut types = [[None; PiiType::ALL.len()]; Destination::ALL.len()];
        for of in &mut types {
            of[PiiType::ApiKey as usize] = Some(Drop);
        }
        Self {
            categories: [
                [Partial, Keep, Drop],
                [Partial, Partial, Drop],
                [Encrypt, Keep, Drop],
                [Partial, Keep, Drop],
            ],
            types,
        }
    }
}

impl MaskingPolicy {
    /// The table of the first runbook.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another rule for a category.
    #[must_use]
    pub fn with_category(mut self, to: Destination, category: PiiCategory, treatment: Treatment) -> Self {
        self.categories[to as usize][category as usize] = treatment;
        self
    }

    /// With another rule for a type. [`PiiType::Confidential`] is the whole of its category.
    #[must_use]
    pub fn with_type(mut self, to: Destination, kind: PiiType, treatment: Treatment) -> Self {
        if kind == PiiType::Confidential {
            return self.with_category(to, PiiCategory::Confidential, treatment);
        }
        self.types[to as usize][kind as usize] = Some(treatment);
        self
    }

    /// What becomes of a value of this type.
    pub fn treatment(&self, kind: PiiType, to: Destination) -> Treatment {
        self.types[to as usize][kind as usize]
            .unwrap_or(self.categories[to as usize][kind.category() as usize])
    }

    /// The rules of one destination that differ from the default, by the name of the category or type in lower case.
    fn changes(&self, to: Destination) -> Vec<(String, Treatment)> {
        let (row, usual) = (to as usize, Self::default());
        let categories = CATEGORIES.into_iter().filter_map(|category| {
            let found = self.categories[row][category as usize];
            (found != usual.categories[row][category as usize]).then(|| (category.as_str().to_owned(), found))
        });
        let types = PiiType::ALL.into_iter().filter_map(|kind| {
            let found = self.types[row][kind as usize];
            found
                .filter(|_| found != usual.types[row][kind as usize])
                .map(|found| (kind.as_str().to_lowercase(), found))
        });
        categories.chain(types).collect()
    }
}

/// By destination, what differs from the default: the form of `[masking]` in `ops.toml`.
impl Serialize for MaskingPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for to in Destination::ALL {
            let changes = self.changes(to);
            if !changes.is_empty() {
                let changes: std::collections::BTreeMap<_, _> = changes.into_iter().collect();
                map.serialize_entry(to.as_str(), &changes)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_table_of_the_runbook() {
        let policy = MaskingPolicy::new();
        let of = |kind, to| policy.treatment(kind, to).as_str();
        for to in Destination::ALL {
            assert_eq!(
                of(PiiType::Confidential, to),
                "drop",
                "never stored, never logged"
            );
            assert_eq!(of(PiiType::ApiKey, to), "drop");
            assert_ne!(of(PiiType::Email, to), "keep", "never in the clear");
        }
        assert_eq!(of(PiiType::Person, Destination::Storage), "encrypt");
        assert_eq!(of(PiiType::Department, Destination::Log), "keep");
        assert_eq!(of(PiiType::Department, Destination::External), "partial");
    }

    #[test]
    fn a_type_goes_before_its_category() {
        let policy = MaskingPolicy::new()
            .with_category(Destination::Log, PiiCategory::Direct, Treatment::Drop)
            .with_type(Destination::Log, PiiType::Email, Treatment::Partial);
        assert_eq!(
            policy.treatment(PiiType::Email, Destination::Log),
            Treatment::Partial
        );
        assert_eq!(
            policy.treatment(PiiType::Phone, Destination::Log),
            Treatment::Drop
        );
        assert_eq!(
            policy.treatment(PiiType::Phone, Destination::Support),
            Treatment::Partial
        );
    }

    #[test]
    fn the_columns_are_in_the_order_of_the_enums() {
        for (at, kind) in PiiType::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
        for (at, category) in CATEGORIES.into_iter().enumerate() {
            assert_eq!(category as usize, at);
        }
        for (at, to) in Destination::ALL.into_iter().enumerate() {
            assert_eq!(to as usize, at);
        }
    }

    #[test]
    fn only_differences_are_written() {
        assert_eq!(
            serde_json::to_value(MaskingPolicy::new()).unwrap(),
            serde_json::json!({})
        );
        let policy = MaskingPolicy::new().with_type(Destination::Log, PiiType::Ip, Treatment::Drop);
        assert_eq!(
            serde_json::to_value(policy).unwrap(),
            serde_json::json!({"log": {"ip": "drop"}})
        );
    }
}
