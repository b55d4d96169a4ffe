use super::key;
use super::report::Report;
use super::section::Section;
use crate::model::{Destination, MaskingPolicy, PiiCategory, PiiType, Treatment};

/// `[masking.log]`, `[masking.external]`, `[masking.storage]`, `[masking.support]`: what differs from the default policy, by category or
/// by type in lower case.
pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> MaskingPolicy {
    let mut policy = MaskingPolicy::default();
    for to in Destination::ALL {
        let Some(section) = section.section(to.as_str(), key::MASKED, report) else {
            continue;
        };
        // Only what is kept is worth a key: elsewhere nobody would ever decrypt it.
        let treatments = match to {
            Destination::Storage => STORED,
            _ => &STORED[..STORED.len() - 1],
        };
        for category in [
            PiiCategory::Direct,
            PiiCategory::Indirect,
            PiiCategory::Confidential,
        ] {
            if let Some(treatment) = section.choice(category.as_str(), treatments, report) {
                policy = policy.with_category(to, category, treatment);
            }
        }
        for kind in PiiType::ALL {
            // The type that is its category alone has the key of the category.
            let key = kind.as_str().to_lowercase();
            if kind == PiiType::Confidential {
                continue;
            }
            if let Some(treatment) = section.choice(&key, treatments, report) {
                policy = policy.with_type(to, kind, treatment);
            }
        }
    }
    policy
}

const STORED: &[(&str, Treatment)] = &[
    ("keep", Treatment::Keep),
    ("partial", Treatment::Partial),
    ("drop", Treatment::Drop),
    ("pseudonym", Treatment::Pseudonym),
    ("encrypt", Treatment::Encrypt),
];
