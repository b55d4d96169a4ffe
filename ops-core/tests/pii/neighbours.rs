//! Two values side by side: neither hides the other.

use ops_core::masking::Detector;
use ops_core::model::{PiiSpan, PiiType};

const VALUES: &[(PiiType, &[&str])] = &[
    (PiiType::Email, &["a.b@example.co.jp"]),
    (
        PiiType::Phone,
        &[
            "090 1234 5678",
            "090-1234-5678",
            "09012345678",
            "03 1234 5678",
            "(03) 1234-5678",
            "0120-444-444",
            "+81 90 1234 5678",
            "+1 415 555 2671",
            "415-555-2671",
        ],
    ),
    (
        PiiType::CreditCard,
        &[
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111111111111111",
            "3782 822463 10005",
            "3056 930902 5904",
        ],
    ),
    (PiiType::MyNumber, &["1234 5678 9018", "1234-5678-9018"]),
    (PiiType::Ip, &["192.168.10.20", "2001:db8::1"]),
    (PiiType::EmployeeId, &["EMP-12345", "EMP_123"]),
    (PiiType::ApiKey, &["sk-0123456789abcdef0123"]),
];

const JOINTS: &[&str] = &[
    " ", ",", "/", "\u{3000}", ", ", "、", " / ", "\t", "；", "・", "|", ";",
];

#[test]
fn two_values_side_by_side_are_both_found_to_the_byte() {
    let detector = Detector::new();
    let values = || {
        VALUES
            .iter()
            .flat_map(|(kind, forms)| forms.iter().map(move |form| (*kind, *form)))
    };
    for (first_kind, first) in values() {
        for (second_kind, second) in values() {
            for joint in JOINTS {
                let text = [first, joint, second].concat();
                let from = first.len() + joint.len();
                let expected = [
                    PiiSpan::new(0, first.len(), first_kind),
                    PiiSpan::new(from, text.len(), second_kind),
                ];
                assert_eq!(detector.detect(&text), expected, "{text}");
            }
        }
    }
}
