use super::view::Text;

/// Groups of digits that only single signs separate, such as `090-1234-5678`.
#[derive(Debug)]
pub(super) struct Cluster {
    digits: [u8; Self::DIGITS],
    groups: [Group; Self::GROUPS],
    count: usize,
    /// Whether more digits than fit follow without a gap.
    pub(super) overlong: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    /// How many digits are before the end of this group.
    total: usize,
    /// The sign before the group; 0 for the first.
    pub(super) joint: u8,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

impl Cluster {
    const DIGITS: usize = 24;
    const GROUPS: usize = 8;

    /// The room for one.
    pub(super) fn new() -> Self {
        Self {
            digits: [0; Self::DIGITS],
            groups: [Group::default(); Self::GROUPS],
            count: 0,
            overlong: false,
        }
    }

    /// Reads from a digit at `at`, in the place of what was read before.
    pub(super) fn read(&mut self, text: &Text<'_>, at: usize) {
        self.count = 0;
        self.overlong = false;
        let mut start = at;
        let mut joint = 0;
        let mut total = 0;
        while self.count < Self::GROUPS {
            let room = self.digits.get_mut(total..).unwrap_or_default();
            let mut length = 0;
            for (place, byte) in room.iter_mut().zip(text.bytes.get(start..).unwrap_or_default()) {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    break;
                }
                *place = digit;
                length += 1;
            }
            total += length;
            let end = start + length;
            if total == Self::DIGITS && text.get(end).is_ascii_digit() {
                self.overlong = self.count == 0;
                return;
            }
            self.groups[self.count] = Group {
                start,
                end,
                total,
                joint,
            };
            self.count += 1;
            let Some((sign, width)) = joint_at(text, end) else {
                break;
            };
            joint = sign;
            start = end + width;
        }
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups[..self.count]
    }

    /// The digits of the first `count` groups.
    pub(super) fn digits(&self, count: usize) -> &[u8] {
        match count.checked_sub(1).and_then(|last| self.groups().get(last)) {
            Some(group) => &self.digits[..group.total],
            None => &[],
        }
    }

    /// Whether the first groups have these lengths, all with the same sign between them, a hyphen or a space.
    pub(super) fn is_shaped(&self, lengths: &[usize]) -> bool {
        let groups = self.groups();
        groups.len() >= lengths.len()
            && groups
                .iter()
                .zip(lengths)
                .all(|(group, length)| group.len() == *length)
            && groups[1..lengths.len()]
                .iter()
                .all(|group| matches!(group.joint, b'-' | b' ') && group.joint == groups[1].joint)
    }

    /// Whether a number that ends with group `count` ends there, and not within a longer one or within a word.
    pub(super) fn ends(&self, text: &Text<'_>, count: usize) -> bool {
        let Some(group) = count.checked_sub(1).and_then(|last| self.groups().get(last)) else {
            return false;
        };
        ends_here(text, group.end)
    }
}

/// Whether a number may end before `at`.
pub(super) fn ends_here(text: &Text<'_>, at: usize) -> bool {
    let next = text.get(at);
    let after = text.get(at + 1);
    match next {
        b',' => !is_amount(text, at),
        b'-' => !after.is_ascii_alphanumeric(),
        b'.' => !after.is_ascii_digit(),
        b'_' => false,
        _ => !next.is_ascii_alphanumeric(),
    }
}

/// Whether a number may begin at `at`: not within a word or a longer number. The long form of a date is no longer number.
pub(super) fn begins_here(text: &Text<'_>, at: usize) -> bool {
    let previous = text.before(at);
    let earlier = at.checked_sub(1).map_or(0, |at| text.before(at));
    match previous {
        b'-' => !(earlier.is_ascii_alphanumeric() || earlier == b'*' || earlier == b'_'),
        b',' => !is_amount(text, at - 1),
        b'.' => !earlier.is_ascii_digit(),
        b'_' | b'*' | b'#' if earlier == previous => false,
        b'_' | b'$' => false,
        _ => !previous.is_ascii_alphanumeric(),
    }
}

/// Whether the comma at `at` is one of an amount, `1,234`. Other numbers on both sides of a comma are fields of their own.
fn is_amount(text: &Text<'_>, at: usize) -> bool {
    is_thousand(text, at + 1) && is_few(text, at)
}

/// Whether three digits stand alone at `at`, as after the comma of an amount: not as the beginning of a telephone number or of a network
/// address.
fn is_thousand(text: &Text<'_>, at: usize) -> bool {
    let digit = |at: usize| text.get(at).is_ascii_digit();
    let group = |from: usize| (from..from + 5).take_while(|at| digit(*at)).count();
    if group(at) != 3 {
        return false;
    }
    let end = at + 3;
    match text.get(end) {
        b'-' => false,
        b'.' => {
            let decimals = group(end + 1);
            !(matches!(decimals, 1..=3) && text.get(end + 1 + decimals) == b'.' && digit(end + 2 + decimals))
        }
        b' ' if text.get(at) == b'0' => {
            let middle = group(end + 1);
            let last = end + 2 + middle;
            !(matches!(middle, 3 | 4) && text.get(last - 1) == b' ' && matches!(group(last), 3 | 4))
        }
        _ => true,
    }
}

/// Whether the digits before `at` are as few as before the first comma of an amount, and are not the last ones of a longer number.
fn is_few(text: &Text<'_>, at: usize) -> bool {
    let mut start = at;
    while text.before(start).is_ascii_digit() {
        if at - start == 3 {
            return false;
        }
        start -= 1;
    }
    let earlier = text.get(start.wrapping_sub(2));
    let goes_on = match text.before(start) {
        b'-' => earlier.is_ascii_alphanumeric(),
        b'.' => earlier.is_ascii_digit(),
        _ => false,
    };
    start < at && !goes_on
}

/// The signs between two groups of digits: what they are, how many bytes they take.
fn joint_at(text: &Text<'_>, at: usize) -> Option<(u8, usize)> {
    let (first, second) = (text.get(at), text.get(at + 1));
    let (sign, width) = match (first, second) {
        (b')', b' ' | b'-') | (b' ' | b'-', b'(') => (b'(', 2),
        (b'(' | b')', _) => (b'(', 1),
        (b'-' | b' ' | b'.', _) => (first, 1),
        _ => return None,
    };
    let width = match sign {
        // `+81 (0)90`
        b'(' if second == b')' => return None,
        _ => width,
    };
    text.get(at + width).is_ascii_digit().then_some((sign, width))
}

/// Whether a digit follows the full width sign at `at`, so that both belong to one number.
#[inline]
pub(super) fn is_wide_joint(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|first| *first >= 0xe2) && joins_widely(bytes, at)
}

fn joins_widely(bytes: &[u8], at: usize) -> bool {
    let Some(sign) = bytes.get(at..at + 3) else {
        return false;
    };
    let joins = matches!(
        sign,
        [0xe3, 0x80, 0x80]
            | [0xe3, 0x83, 0xbc]
            | [0xe2, 0x80, 0x90..=0x95]
            | [0xe2, 0x88, 0x92]
            | [0xef, 0xbc, 0x88 | 0x89 | 0x8d | 0x8e]
            | [0xef, 0xbd, 0xb0]
    );
    joins && bytes.get(at + 3).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<usize>, Vec<u8>) {
        let mut cluster = Cluster::new();
        cluster.read(&Text::plain(text.as_bytes()), 0);
        let lengths: Vec<_> = cluster.groups().iter().map(Group::len).collect();
        (lengths, cluster.digits(cluster.groups().len()).to_vec())
    }

    #[test]
    fn no_wide_joint_is_lost_to_its_first_byte() {
        let mut joints = 0;
        for c in '\u{1}'..='\u{ffff}' {
            let text = format!("{c}1");
            let joins = joins_widely(text.as_bytes(), 0);
            assert_eq!(is_wide_joint(text.as_bytes(), 0), joins, "{c}");
            joints += usize::from(joins);
        }
        assert_eq!(joints, 14);
    }

    #[test]
    fn digits_without_end_are_overlong_and_those_that_just_fit_are_not() {
        for (length, overlong) in [(23, false), (24, false), (25, true)] {
            for after in ["", "a", "-1"] {
                let text = ["7".repeat(length), after.to_owned()].concat();
                let mut cluster = Cluster::new();
                cluster.read(&Text::plain(text.as_bytes()), 0);
                let first = (!overlong).then_some(length);
                assert_eq!(
                    (cluster.overlong, cluster.groups().first().map(Group::len)),
                    (overlong, first),
                    "{text}"
                );
            }
        }
        // A group that does not fit is none, and the number is not overlong.
        assert_eq!(read(&format!("{}-12345", "7".repeat(20))).0, [20]);
        assert_eq!(read(&format!("{}-1234", "7".repeat(20))).0, [20, 4]);
        assert_eq!(read(&format!("{}-1", "7".repeat(24))).0, [24]);
    }

    #[test]
    fn a_comma_is_of_an_amount_only_between_few_digits_and_three() {
        let comma = |text: &str| {
            let at = text.rfind(',').unwrap();
            let view = Text::plain(text.as_bytes());
            let is_amount = is_amount(&view, at);
            assert_eq!(ends_here(&view, at), !is_amount, "{text}");
            assert_eq!(begins_here(&view, at + 1), !is_amount, "{text}");
            is_amount
        };
        for text in [
            "1,234",
            "12,345,678",
            "¥123,456円",
            "-1,234",
            "$1,234.56",
            "1,234 567",
            "3,090 12",
        ] {
            assert!(comma(text), "{text}");
        }
        for text in [
            "1234,567",
            "1,23",
            "1,2345",
            "a,123",
            "1,123-4567",
            "12345678,090 1234 5678",
            "0120-444-444,090 1234 5678",
            "EMP-123,090 1234 5678",
            "10.0.0.5,090 1234 5678",
            "3,090 1234 5678",
            "3,045 123 4567",
            "3,192.168.0.1",
        ] {
            assert!(!comma(text), "{text}");
        }
    }

    #[test]
    fn single_signs_join_groups() {
        assert_eq!(read("090-12 3."), (vec![3, 2, 1], vec![0, 9, 0, 1, 2, 3]));
        assert_eq!(read("03(12)34").0, [2, 2, 2]);
        assert_eq!(read("1 (02) 3-4").0, [1, 2, 1, 1]);
        assert_eq!(read("1--2").0, [1]);
        assert_eq!(read(&"1-".repeat(20)).0.len(), Cluster::GROUPS);
        let mut cluster = Cluster::new();
        cluster.read(&Text::plain(&[b'7'; 40]), 0);
        assert!(cluster.overlong);
        cluster.read(&Text::plain(b"7"), 0);
        assert!(!cluster.overlong && cluster.digits(1) == [7]);
    }
}
