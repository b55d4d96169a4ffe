use std::ops::Range;

use super::cluster::{Cluster, begins_here, ends_here};
use super::view::Text;

/// A telephone number, and how sure its form alone makes it.
#[derive(Debug)]
pub(super) struct Phone {
    pub(super) range: Range<usize>,
    /// Whether a label must say so: nothing but ten digits.
    pub(super) is_bare: bool,
}

/// The telephone number that begins with the first group of `cluster`.
#[inline]
pub(super) fn find(text: &Text<'_>, cluster: &Cluster) -> Option<Phone> {
    if is_none(text, cluster) {
        return None;
    }
    among(text, cluster)
}

/// Whether the digits are too few for a telephone number, or, where they are one group without a country code, of a length that none has.
#[inline]
fn is_none(text: &Text<'_>, cluster: &Cluster) -> bool {
    let groups = cluster.groups();
    let Some(first) = groups.first() else {
        return true;
    };
    let most = cluster.digits(groups.len().min(GROUPS)).len();
    if groups.len() == 1 && !matches!(most, 10 | 11) {
        return most < LEAST || !matches!(text.before(first.start), b'+' | b'(');
    }
    most < LEAST
}

/// How many groups a telephone number has at most.
const GROUPS: usize = 6;

/// How many digits a telephone number has at least, with its country code.
const LEAST: usize = 8;

/// As [`find`], by the rules one after another.
fn among(text: &Text<'_>, cluster: &Cluster) -> Option<Phone> {
    let groups = cluster.groups();
    let first = groups.first()?;
    if groups.len() == 1 && !matches!(first.len(), 8..=15) {
        return None;
    }
    let mut start = first.start;
    let mut kind = Kind::National;
    if text.before(start) == b'(' && (text.get(first.end) == b')' || groups.len() > 1) {
        // A bracket around the whole is punctuation, around the first group it belongs to the number.
        if text.get(first.end) == b')' {
            start -= 1;
        }
    }
    if text.before(start) == b'+' {
        start -= 1;
        kind = Kind::International;
        // `(+81) 3…`, but `(+81312345678)` stands in brackets.
        if text.before(start) == b'(' && text.get(first.end) == b')' && first.len() <= 3 {
            start -= 1;
        }
    }
    if !begins_here(text, start) && !after_label(text, start) {
        return None;
    }
    // The longest that is right; of those without a country code, groups say where it ends.
    (1..=groups.len().min(GROUPS)).rev().find_map(|count| {
        let digits = cluster.digits(count);
        let end = end(text, groups[count - 1].end)?;
        let shape = Shape { cluster, count };
        let right = match kind {
            Kind::International => international(digits),
            Kind::National => {
                shape.is_japanese(digits) || shape.is_american(digits) || shape.is_british(digits)
            }
        };
        let is_bare = kind == Kind::National && count == 1 && digits[0] != 0;
        right.then_some(Phone {
            range: start..end,
            is_bare,
        })
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    National,
    International,
}

/// Where a number ends whose last digit is before `at`, an extension such as `x123` included.
fn end(text: &Text<'_>, at: usize) -> Option<usize> {
    if text.get(at) == b'x' {
        let mut end = at + 1;
        while text.get(end).is_ascii_digit() && end - at < 7 {
            end += 1;
        }
        return (end > at + 2 && ends_here(text, end)).then_some(end);
    }
    ends_here(text, at).then_some(at)
}

/// Whether the letters before `at` are a label that touches its number.
fn after_label(text: &Text<'_>, at: usize) -> bool {
    let touching = |label: &[u8]| {
        at.checked_sub(label.len()).is_some_and(|start| {
            text.bytes[start..at].eq_ignore_ascii_case(label) && !text.before(start).is_ascii_alphabetic()
        })
    };
    [&b"tel"[..], b"tel.", b"fax", b"phone", b"mobile"]
        .iter()
        .any(|label| touching(label))
}

struct Shape<'a> {
    cluster: &'a Cluster,
    count: usize,
}

impl Shape<'_> {
    fn lengths(&self) -> [usize; 3] {
        let mut lengths = [0; 3];
        for (length, group) in lengths.iter_mut().zip(self.cluster.groups()) {
            *length = group.len();
        }
        lengths
    }

    /// Whether only hyphens and brackets, and not spaces or dots, are between the groups.
    fn is_tight(&self) -> bool {
        self.cluster.groups()[1..self.count]
            .iter()
            .all(|group| matches!(group.joint, b'-' | b'('))
    }

    fn is_japanese(&self, digits: &[u8]) -> bool {
        if self.count > 3 || !is_japanese(digits) {
            return false;
        }
        let lengths = self.lengths();
        match self.count {
            1 => true,
            2 => matches!(lengths[0], 2..=7) && (self.is_tight() || matches!(lengths[1], 4 | 6..=8)),
            _ => matches!(lengths[0], 2..=5) && matches!(lengths[2], 3 | 4) && lengths[1] <= 4,
        }
    }

    /// Of the North American plan: area and office begin with 2 to 9.
    fn is_american(&self, digits: &[u8]) -> bool {
        let (one, rest) = match digits {
            // As dialled from abroad, 001, or with the 1 of long distance.
            [0, 0, 1, rest @ ..] if rest.len() == 10 => (true, rest),
            [1, rest @ ..] if rest.len() == 10 => (true, rest),
            _ => (false, digits),
        };
        if rest.len() != 10 || !matches!(rest[0], 2..=9) || !matches!(rest[3], 2..=9) {
            return false;
        }
        let lengths: [usize; 4] = std::array::from_fn(|index| {
            self.cluster
                .groups()
                .get(index)
                .map_or(0, super::cluster::Group::len)
        });
        match (one, self.count) {
            (false, 1) => true,
            (false, 3) => lengths[..3] == [3, 3, 4],
            (true, 4) => lengths[1..] == [3, 3, 4],
            (false, 2) => lengths[..2] == [3, 7] || lengths[..2] == [6, 4],
            _ => false,
        }
    }

    /// As written in the United Kingdom, in groups.
    fn is_british(&self, digits: &[u8]) -> bool {
        let lengths = self.lengths();
        digits.len() == 11
            && digits[0] == 0
            && matches!(digits[1], 1 | 2 | 3 | 7 | 8)
            && match self.count {
                2 => lengths[..2] == [5, 6],
                3 => matches!(lengths, [3, 4, 4] | [4, 3, 4] | [5, 3, 3]),
                _ => false,
            }
    }
}

/// Whether these are the digits of a number of Japan, with the leading zero.
fn is_japanese(digits: &[u8]) -> bool {
    let [0, area, third, ..] = digits else {
        return false;
    };
    if *area == 0 || digits.iter().skip(3).all(|digit| digit == third) {
        return false;
    }
    match digits.len() {
        10 => !(*third == 0 && matches!(area, 5 | 7..=9) && digits[3] == 0),
        // Mobile, pager, internet telephony, and free of charge.
        11 => (*third == 0 && matches!(area, 2 | 5..=9)) || digits.starts_with(&[0, 8, 0, 0]),
        _ => false,
    }
}

/// Whether a `+` may stand before these digits.
fn international(digits: &[u8]) -> bool {
    let national = |code: usize| digits.len() - code;
    let two = digits.get(..2).map_or(0, |digits| digits[0] * 10 + digits[1]);
    match digits {
        [1, rest @ ..] => rest.len() == 10 && matches!(rest[0], 2..=9) && matches!(rest[3], 2..=9),
        [8, 1, rest @ ..] => {
            // Many write the zero in spite of the country code.
            let rest = rest.strip_prefix(&[0]).unwrap_or(rest);
            let mut whole = [0; 12];
            match whole.get_mut(1..=rest.len()) {
                Some(place) => place.copy_from_slice(rest),
                None => return false,
            }
            is_japanese(&whole[..=rest.len()])
        }
        [0, ..] | [] => false,
        _ => match two {
            7 | 70..=79 => national(1) == 10,
            44 => matches!(national(2), 9..=11),
            33 | 34 | 31 | 32 | 41 | 48 | 45 | 47 | 61 | 66 => matches!(national(2), 8..=10),
            30 | 90 | 91 | 52 | 63 | 20 | 27 | 36 => matches!(national(2), 8..=11),
            86 | 55 | 39 | 49 | 62 | 43 => matches!(national(2), 6..=12),
            82 | 84 | 60 | 54 | 51 | 56 | 57 | 58 => matches!(national(2), 8..=11),
            65 => national(2) == 8,
            _ => matches!(digits.len(), 9..=15),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::texts;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost_to_the_count_of_digits(
            front in prop::sample::select(vec!["", " ", "+", "(", "+(", "(+", "tel", "x", "-"]),
            first in "[0-9]{1,16}|(49|86|55)[0-9]{6,7}|(001|1)?[2-9]{10}|0[0-9]{9,10}|81[2-9]{9}",
            close in "|\\)",
            groups in prop::collection::vec("(-| |\\.|\\)|\\) |\\()[0-9]{1,7}", 0..7),
            text in texts(),
        ) {
            let text = [front, &first, &close, &groups.concat(), &text].concat();
            let view = Text::plain(text.as_bytes());
            let mut cluster = Cluster::new();
            for at in (0..text.len()).filter(|at| view.get(*at).is_ascii_digit()) {
                cluster.read(&view, at);
                let told = |phone: Option<Phone>| phone.map(|phone| (phone.range, phone.is_bare));
                prop_assert_eq!(told(find(&view, &cluster)), told(among(&view, &cluster)), "{} at {}", text, at);
            }
        }
    }

    fn found(text: &str) -> Option<&str> {
        let view = Text::plain(text.as_bytes());
        let at = text.find(|c: char| c.is_ascii_digit())?;
        let mut cluster = Cluster::new();
        cluster.read(&view, at);
        let phone = find(&view, &cluster)?;
        Some(&text[phone.range])
    }

    #[test]
    fn numbers_are_found_whole() {
        for number in [
            "090-1234-5678",
            "09012345678",
            "080(9191)7989",
            "(03)1234-5678",
            "(03) 1234-5678",
            "03(1234)5678",
            "0312345678",
            "03 6089 6605",
            "0985-39-3536",
            "045-811-4000",
            "01267-3-1234",
            "0120-444-444",
            "0120444444",
            "0800-123-4567",
            "050-3456-7890",
            "0570-012-345",
            "+81-90-1234-5678",
            "+81 (0)90-1234-5678",
            "+81(0)3-1234-5678",
            "+819012345678",
            "+81 3 6089 6605",
            "+1-853-752-2316",
            "+1 (415) 555-2671",
            "(703) 367-3199",
            "267-595-5981",
            "703.367.3199",
            "001-590-701-1844",
            "1-800-555-2671",
            "267-595-5981x123",
            "+44 20 7946 0958",
            "+44 (20) 7123 4567",
            "020 7946 0958",
            "07700 900123",
            "+49 30 1234567",
            "+33 1 42 68 53 00",
            "+55 11 98456 5666",
            "+86 138 1234 5678",
        ] {
            assert_eq!(found(number), Some(number));
            for (before, after) in [
                ("電話", "まで"),
                ("TEL:", " "),
                ("<", ">"),
                ("", "."),
                ("", ", 1"),
                ("", "\n"),
            ] {
                assert_eq!(
                    found(&format!("{before}{number}{after}")),
                    Some(number),
                    "{before}…{after}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_number_is_not() {
        for text in [
            "2026-01-30",
            "1769731200",
            "0.0312345678",
            "1e+8190123456789",
            "run_0312345678",
            "0312345678ab",
            "00123456789",
            "10.0.0.5",
            "123-456-7890",
            "0000000000",
            "+0900",
            "+12",
            "090-1234-5678-9",
            "A-090-1234-5678",
        ] {
            assert!(
                found(text).is_none_or(|found| text == "1769731200" || found.is_empty()),
                "{text}"
            );
        }
    }
}
