use super::BuiltinMasker;
use crate::model::TargetId;
use crate::ports::PiiMasker as _;

/// What a target is called in an error: the id of a user may be the address of a person, and errors carry none. The id itself is in plans and journals only.
pub(crate) fn named(target: &TargetId) -> String {
    BuiltinMasker::new().mask(target.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> String {
        named(&TargetId::new(target).unwrap())
    }

    #[test]
    fn an_address_or_a_number_of_a_person_is_not_repeated_and_other_ids_are() {
        for hidden in ["hanako.sato@example.com", "+81-90-1234-5678"] {
            let shown = of(&format!("account:gcip/soul-kun/-/{hidden}"));
            assert!(!shown.contains(hidden), "{shown}");
        }
        for fine in [
            "account:gcip/soul-kun/-/kX3uR9aQvT",
            "sessions:gcip/soul-kun/org-a1b2c/usr_hanako",
            "cloudrun:soul-kun/asia-northeast1/soul-kun-api",
            "postgres:app",
        ] {
            assert_eq!(of(fine), fine);
        }
    }
}
