use super::text::half_width;

/// Masks a telephone number: its first group and its last four digits stay, as in `090-****-1234`.
///
/// A value with fewer than nine digits becomes `****`, unless it is masked already.
pub fn mask_phone(number: &str) -> String {
    let mut digits = String::with_capacity(number.len());
    let international = if number.is_ascii() {
        for byte in number.bytes().filter(u8::is_ascii_digit) {
            digits.push(char::from(byte));
        }
        number.trim_start().starts_with('+')
    } else {
        digits.extend(number.chars().map(half_width).filter(char::is_ascii_digit));
        number.chars().map(half_width).find(|c| !c.is_whitespace()) == Some('+')
    };
    match Number::read(&digits, international) {
        Some(number) => number.masked(),
        None if is_masked(number) => number.to_owned(),
        None if digits.len() >= 9 => ["****-", &digits[digits.len() - 4..]].concat(),
        None => "****".to_owned(),
    }
}

/// A telephone number of Japan.
#[derive(Debug)]
struct Number<'a> {
    /// With the leading zero or, after `+81`, without it.
    digits: &'a str,
    international: bool,
}

impl<'a> Number<'a> {
    fn read(digits: &'a str, international: bool) -> Option<Self> {
        let (national, zeros) = if international {
            let rest = digits.strip_prefix("81")?;
            // Many write the zero in spite of the country code.
            (rest.strip_prefix('0').unwrap_or(rest), 0)
        } else {
            (digits, 1)
        };
        let subscriber = national.get(zeros..)?;
        let whole = national.starts_with(if zeros == 1 { "0" } else { "" });
        let plausible = whole && subscriber.starts_with(|c: char| matches!(c, '1'..='9'));
        // Ten digits; eleven for mobile, IP and the like (0X0) and for 0800.
        let right = match subscriber.len() {
            9 => true,
            10 => subscriber.as_bytes()[1] == b'0',
            _ => false,
        };
        (plausible && right).then_some(Self {
            digits: national,
            international,
        })
    }

    fn masked(&self) -> String {
        let last = &self.digits[self.digits.len() - 4..];
        let prefix = if self.international { "+81-" } else { "" };
        [prefix, &self.digits[..self.area()], "-****-", last].concat()
    }

    /// How many digits the first group has. Area codes have one to four digits after the zero; of those that no separator
    /// tells, three digits are shown.
    fn area(&self) -> usize {
        let zero = usize::from(!self.international);
        let rest = &self.digits[zero..];
        let length = match rest {
            _ if rest.starts_with("120") || rest.starts_with("800") || rest.starts_with("570") => 3,
            _ if rest.len() == 10 => 2,
            _ if rest.starts_with(['3', '6']) => 1,
            _ => 2,
        };
        zero + length
    }
}

/// Whether `number` is what [`Number::masked`] gives.
fn is_masked(number: &str) -> bool {
    number.split_once("-****-").is_some_and(|(area, last)| {
        let area = area.strip_prefix("+81-").unwrap_or(area);
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        digits(area) && digits(last) && area.len() <= 4 && last.len() == 4
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_half_width_is_masked_as_one_in_full_width() {
        for number in [
            "090-1234-5678",
            " +81 90-1234-5678",
            "+1 212 555 0123",
            "\u{b}+81 3 1234 5678",
            "a+81",
            "tel 03(1234)5678",
        ] {
            // A sign that changes nothing keeps it from being ASCII.
            assert_eq!(mask_phone(number), mask_phone(&format!("{number}、")), "{number}");
        }
    }

    #[test]
    fn a_known_number_is_always_masked() {
        assert_eq!(mask_phone("０９０−１２３４−５６７８"), "090-****-5678");
        assert_eq!(mask_phone("+1 212 555 0123"), "****-0123");
        assert_eq!(mask_phone("110"), "****");
        assert_eq!(mask_phone("090-****-5678"), "090-****-5678");
        assert_eq!(mask_phone(""), "****");
    }
}
