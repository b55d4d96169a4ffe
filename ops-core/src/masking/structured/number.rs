use super::view::Text;

/// Whether the sum of the digits, every second one from the right doubled, is right (Luhn).
pub(super) fn is_luhn(digits: &[u8]) -> bool {
    let mut sum = 0;
    for (place, digit) in digits.iter().rev().enumerate() {
        let doubled = if place % 2 == 1 { digit * 2 } else { *digit };
        sum += u32::from(if doubled > 9 { doubled - 9 } else { doubled });
    }
    sum % 10 == 0
}

/// Whether the last of twelve digits is the check digit of a Japanese individual number.
pub(super) fn is_my_number(digits: &[u8]) -> bool {
    let [number @ .., check] = digits else {
        return false;
    };
    let rest = weighted(number, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let right = if rest <= 1 { 0 } else { 11 - rest };
    digits.len() == 12 && u32::from(*check) == right
}

/// Whether the first of thirteen digits is the check digit of a Japanese corporate number.
pub(super) fn is_corporate_number(digits: &[u8]) -> bool {
    let [check, number @ ..] = digits else {
        return false;
    };
    let sum = weighted(number, &[2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]);
    digits.len() == 13 && u32::from(*check) == 9 - sum % 9
}

/// Whether the eleventh of twelve digits is the check digit of a Japanese driving licence.
///
/// Sources disagree about a remainder of 0: both answers count.
pub(super) fn is_drivers_license(digits: &[u8]) -> bool {
    let [number @ .., check, _] = digits else {
        return false;
    };
    let rest = weighted(number, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = u32::from(*check);
    digits.len() == 12
        && match rest {
            0 => check <= 1,
            1 => check == 0,
            _ => check == 11 - rest,
        }
}

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum()
}

/// Whether the number at `at` goes on a list of numbers of the same form: 10293、10294と10295.
pub(super) fn goes_on_list(text: &Text<'_>, at: usize) -> bool {
    let joints = [
        "、",
        "と",
        "・",
        "及び",
        "および",
        ", ",
        ",",
        " and ",
        "，",
        "／",
        "/",
    ];
    let joint = joints.iter().find(|joint| text.ends(at, joint.as_bytes()));
    let Some(mut before) = joint.map(|joint| at - joint.len()) else {
        return false;
    };
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut end = at;
    while part(text.get(end)) && end - at < LONGEST_ID {
        end += 1;
    }
    // From the last byte to the first, each is of the kind of its pair.
    for place in (at..end).rev() {
        let (here, there) = (text.get(place), text.before(before));
        let same = here.is_ascii_digit() == there.is_ascii_digit()
            && here.is_ascii_alphabetic() == there.is_ascii_alphabetic()
            && part(there);
        if !same {
            return false;
        }
        before -= 1;
    }
    end > at && !part(text.before(before))
}

/// The longest number of an employee.
const LONGEST_ID: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|byte| byte - b'0').collect()
    }

    /// Exactly one of the ten digits at `place` is right.
    fn one_is_right(text: &str, place: usize, is_right: fn(&[u8]) -> bool) {
        let mut number = digits(text);
        assert!(is_right(&number), "{text}");
        let right = number[place];
        for digit in (0..10).filter(|digit| *digit != right) {
            number[place] = digit;
            assert!(!is_right(&number), "{number:?}");
        }
    }

    #[test]
    fn a_check_digit_is_right_or_wrong() {
        one_is_right("123456789018", 11, is_my_number);
        one_is_right("7000012050002", 0, is_corporate_number);
        one_is_right("4111111111111111", 15, is_luhn);
        one_is_right("378282246310005", 14, is_luhn);
        one_is_right("012345678921", 10, is_drivers_license);
    }

    #[test]
    fn a_number_of_another_length_is_not_right() {
        for is_right in [is_my_number, is_corporate_number, is_drivers_license] {
            assert!(!is_right(&[]));
            assert!(!is_right(&[0; 11]));
            assert!(!is_right(&[0; 14]));
        }
    }
}
