use super::*;
use crate::model::{Destination, MaskingPolicy, PiiType, Treatment};

#[test]
fn a_file_without_the_section_has_the_default() {
    assert_eq!(OpsConfig::parse("").unwrap().masking, MaskingPolicy::default());
}

#[test]
fn categories_and_types_are_read_for_each_destination() {
    let policy = OpsConfig::parse(WHOLE).unwrap().masking;
    for (kind, to, treatment) in [
        (PiiType::EmployeeId, Destination::Log, Treatment::Pseudonym),
        (PiiType::Department, Destination::Log, Treatment::Partial),
        (PiiType::Department, Destination::Storage, Treatment::Keep),
        (PiiType::Confidential, Destination::Storage, Treatment::Encrypt),
        (PiiType::Confidential, Destination::Log, Treatment::Drop),
    ] {
        assert_eq!(policy.treatment(kind, to), treatment, "{kind} {to:?}");
    }
}

#[test]
fn every_fault_is_told_with_its_line() {
    let text = "\
[masking.log]
direct = \"hide\"
emial = \"drop\"
phone = true
email = \"encrypt\"
[masking.strage]
direct = \"drop\"
";
    let found: Vec<_> = faults(text).into_iter().map(|fault| fault.to_string()).collect();
    assert_eq!(
        found,
        [
            "line 2: masking.log.direct: unknown direct \"hide\" — use keep, partial, drop or pseudonym",
            "line 3: masking.log.emial: is not a known key — did you mean `email`?",
            "line 4: masking.log.phone: is a boolean, which is the wrong type — write a text between double quotes",
            "line 5: masking.log.email: unknown email \"encrypt\" — use keep, partial, drop or pseudonym",
            "line 6: masking.strage: is not a known key — did you mean `storage`?",
        ]
    );
}
