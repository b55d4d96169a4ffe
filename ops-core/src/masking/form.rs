use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::text::{PREFECTURES, half_width};
use super::{mask_email, mask_name, mask_phone};
use crate::model::PiiType;

/// The partial form of a value, as logs and screens show it.
///
/// | type | form |
/// |---|---|
/// | mail address | first character and domain: `t***@example.com` |
/// | telephone number | first group and last four digits: `090-****-1234` |
/// | name | family name: `田中 *`; of a Latin name its first letter: `T *` ([`mask_name`](super::mask_name) has the rules) |
/// | payment card | last four digits: `****-****-****-1234` |
/// | postal address | prefecture: `東京都***`; `[ADDRESS]` without one |
/// | network address | network: `203.0.113.***`, `2001:db8:1::***` (24 and 48 bits) |
/// | all others | the type: `[MY_NUMBER]` |
pub(super) fn partial(kind: PiiType, value: &str) -> Cow<'static, str> {
    let form = match kind {
        PiiType::Email => Some(mask_email(value)).filter(|form| form != "***"),
        PiiType::Phone => Some(mask_phone(value)).filter(|form| form != "****"),
        PiiType::Person => Some(mask_name(value)).filter(|form| form != "*"),
        PiiType::CreditCard => card(value),
        PiiType::Address => prefecture(value),
        PiiType::Ip => network(value),
        _ => None,
    };
    form.map_or(Cow::Borrowed(placeholder(kind)), Cow::Owned)
}

/// What is left of a value that is dropped: its type, as in `[MY_NUMBER]`.
pub(super) fn placeholder(kind: PiiType) -> &'static str {
    match kind {
        PiiType::Address => "[ADDRESS]",
        PiiType::ApiKey => "[API_KEY]",
        PiiType::BankAccount => "[BANK_ACCOUNT]",
        PiiType::Confidential => "[CONFIDENTIAL]",
        PiiType::CorporateNumber => "[CORPORATE_NUMBER]",
        PiiType::CreditCard => "[CREDIT_CARD]",
        PiiType::Department => "[DEPARTMENT]",
        PiiType::DriversLicense => "[DRIVERS_LICENSE]",
        PiiType::Email => "[EMAIL]",
        PiiType::EmployeeId => "[EMPLOYEE_ID]",
        PiiType::HealthInsurance => "[HEALTH_INSURANCE]",
        PiiType::Ip => "[IP]",
        PiiType::MyNumber => "[MY_NUMBER]",
        PiiType::Passport => "[PASSPORT]",
        PiiType::Person => "[PERSON]",
        PiiType::Phone => "[PHONE]",
        PiiType::PostalCode => "[POSTAL_CODE]",
    }
}

fn card(value: &str) -> Option<String> {
    let digits: String = value
        .chars()
        .map(half_width)
        .filter(char::is_ascii_digit)
        .collect();
    // Fewer digits than any card has: too few to hide behind four of them.
    (digits.len() >= 12).then(|| ["****-****-****-", &digits[digits.len() - 4..]].concat())
}

fn network(value: &str) -> Option<String> {
    let value = value.trim();
    let half = match value.is_ascii() {
        true => Cow::Borrowed(value),
        false => value.chars().map(half_width).collect(),
    };
    match half.parse().ok()? {
        // The parts have no leading zeros, so that they stand there as they are shown.
        IpAddr::V4(_) => {
            let last = half.rfind('.')?;
            Some([&half[..=last], "***"].concat())
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            let network = Ipv6Addr::from([a, b, c, 0, 0, 0, 0, 0]).to_string();
            Some(format!("{network}***"))
        }
    }
}

fn prefecture(value: &str) -> Option<String> {
    let rest = value.trim_start();
    let found = PREFECTURES.split(' ').find(|name| rest.starts_with(*name))?;
    Some([found, "***"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_keeps_what_its_form_says() {
        for (kind, value, form) in [
            (PiiType::Email, "tanaka@example.com", "t***@example.com"),
            (PiiType::Email, "tanaka", "[EMAIL]"),
            (PiiType::Phone, "090-9999-1234", "090-****-1234"),
            (PiiType::Phone, "110", "[PHONE]"),
            (PiiType::Person, "田中 太郎", "田中 *"),
            (PiiType::Person, "タナカ　タロウ", "タナカ *"),
            (PiiType::Person, "タナカタロウ", "タナ *"),
            (PiiType::Person, "林", "林 *"),
            (PiiType::Person, "John Smith", "J *"),
            (PiiType::Person, " ", "[PERSON]"),
            (PiiType::CreditCard, "4111 1111 1111 1234", "****-****-****-1234"),
            (
                PiiType::CreditCard,
                "４１１１１１１１１１１１１２３４",
                "****-****-****-1234",
            ),
            (PiiType::CreditCard, "1234", "[CREDIT_CARD]"),
            (PiiType::Address, "東京都千代田区千代田1-1", "東京都***"),
            (PiiType::Address, "京都府京都市", "京都府***"),
            (PiiType::Address, "1600 Pennsylvania Avenue", "[ADDRESS]"),
            (PiiType::Ip, "203.0.113.77", "203.0.113.***"),
            (PiiType::Ip, "2001:db8:1:2::77", "2001:db8:1::***"),
            (PiiType::Ip, "::1", "::***"),
            (PiiType::Ip, "not one", "[IP]"),
            (PiiType::MyNumber, "123456789018", "[MY_NUMBER]"),
            (PiiType::Confidential, "500万円", "[CONFIDENTIAL]"),
        ] {
            assert_eq!(partial(kind, value), form, "{value}");
        }
    }

    #[test]
    fn what_is_left_of_a_dropped_value_is_its_type() {
        for kind in PiiType::ALL {
            assert_eq!(placeholder(kind), format!("[{kind}]"));
        }
    }

    #[test]
    fn no_type_shows_a_value_that_it_cannot_read() {
        for kind in PiiType::ALL {
            let form = partial(kind, "秘密abc-秘密");
            assert!(!form.contains("abc"), "{form}");
        }
    }
}
