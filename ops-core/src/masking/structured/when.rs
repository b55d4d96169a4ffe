use super::view::Text;

/// The place after the date or time of day that begins at `at`.
///
/// Log lines begin with one, so that this is the first question about a digit.
#[inline]
pub(super) fn end(text: &Text<'_>, at: usize) -> Option<usize> {
    let bytes = text.bytes.get(at..)?;
    if let Some((front, [next, ..])) = bytes.split_first_chunk()
        && is_stamp(front)
        && !(next.is_ascii_hexdigit() || matches!(next, b':' | b'+' | b'-'))
    {
        return Some(at + front.len());
    }
    plainly(text, at)
}

/// As [`end`], by the rules one after another.
fn plainly(text: &Text<'_>, at: usize) -> Option<usize> {
    let bytes = text.bytes.get(at..)?;
    if let Some([y, _, _, _, s1 @ (b'-' | b'/' | b'.'), m, _, s2, d, _]) = bytes.first_chunk()
        && s1 == s2
        && matches!(y, b'1' | b'2')
        && matches!(m, b'0' | b'1')
        && matches!(d, b'0'..=b'3')
        && [1, 2, 3, 6, 9].iter().all(|index| bytes[*index].is_ascii_digit())
    {
        let end = at + 10;
        if matches!(text.get(end), b'T' | b't' | b' ' | b'_') {
            return time(text, end + 1).or(Some(end));
        }
        // A hyphen and more makes it part of a longer number.
        return (!matches!(text.get(end), b'-' | b'0'..=b'9')).then_some(end);
    }
    time(text, at)
}

/// Whether this is a date and a time of day as most logs have them. Eight bytes are compared at once; the plain rules would say the same.
#[inline]
fn is_stamp(text: &[u8; 23]) -> bool {
    const FRONT: Form = Form::of(b"2999-19-");
    const MIDDLE: Form = Form::of(b"39 29:59");
    const END: Form = Form::of(b"9:69 999");
    let word = |at: usize| {
        text[at..]
            .first_chunk()
            .map_or(0, |word| u64::from_le_bytes(*word))
    };
    let odd = FRONT.differs(word(0)) | MIDDLE.differs(word(8)) | END.differs(word(15));
    odd == 0
        && text[0] != b'0'
        && matches!(text[10], b'T' | b't' | b' ' | b'_')
        && matches!(text[19], b'.' | b',')
}

/// What eight bytes in a row may be.
struct Form {
    /// The bits that are given, and what they are.
    given: u64,
    bits: u64,
    /// The upper halves of digits.
    digits: u64,
    /// How much can be added to each digit that is small enough before its upper half changes.
    room: u64,
}

impl Form {
    /// A digit stands for itself and those below it, a space for anything, all else for itself.
    const fn of(form: &[u8; 8]) -> Self {
        let (mut given, mut digits, mut room) = ([0; 8], [0; 8], [0; 8]);
        let mut index = 0;
        while index < 8 {
            if form[index].is_ascii_digit() {
                (given[index], digits[index]) = (0xf0, 0xf0);
                room[index] = 0xf - (form[index] & 0xf);
            } else if form[index] != b' ' {
                given[index] = 0xff;
            }
            index += 1;
        }
        let given = u64::from_le_bytes(given);
        Self {
            given,
            bits: u64::from_le_bytes(*form) & given,
            digits: u64::from_le_bytes(digits),
            room: u64::from_le_bytes(room),
        }
    }

    /// 0 if `word` is of this form.
    #[inline]
    fn differs(&self, word: u64) -> u64 {
        (word & self.given ^ self.bits) | ((word.wrapping_add(self.room) ^ self.bits) & self.digits)
    }
}

fn time(text: &Text<'_>, at: usize) -> Option<usize> {
    let [h, _, b':', m, _] = text.bytes.get(at..)?.first_chunk()? else {
        return None;
    };
    if !(matches!(h, b'0'..=b'2') && matches!(m, b'0'..=b'5')) {
        return None;
    }
    if ![1, 4].iter().all(|index| text.get(at + index).is_ascii_digit()) {
        return None;
    }
    let mut end = at + 5;
    if text.get(end) == b':' {
        if !(matches!(text.get(end + 1), b'0'..=b'6') && text.get(end + 2).is_ascii_digit()) {
            return None;
        }
        end += 3;
        if matches!(text.get(end), b'.' | b',') && text.get(end + 1).is_ascii_digit() {
            end += 2;
            while text.get(end).is_ascii_digit() && end - at < 24 {
                end += 1;
            }
        }
    }
    // A longer row of groups is an address of the network.
    let next = text.get(end);
    if next == b':' || next.is_ascii_digit() || (next.is_ascii_hexdigit() && text.get(end + 1) == b':') {
        return None;
    }
    if matches!(next, b'+' | b'-') {
        let zone = end + 1;
        if text.get(zone) <= b'1' && (0..2).all(|index| text.get(zone + index).is_ascii_digit()) {
            let minutes = zone + 2 + usize::from(text.get(zone + 2) == b':');
            if (0..2).all(|index| text.get(minutes + index).is_ascii_digit())
                && !text.get(minutes + 2).is_ascii_digit()
            {
                end = minutes + 2;
            }
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<&str> {
        end(&Text::plain(text.as_bytes()), 0).map(|end| &text[..end])
    }

    #[test]
    fn dates_and_times_are_passed_over() {
        for (text, whole) in [
            ("2024-05-02T13:32:01.600Z INFO", "2024-05-02T13:32:01.600"),
            ("2024-05-02T13:32:01+09:00 INFO", "2024-05-02T13:32:01+09:00"),
            ("2024-05-02 13:32:01,600 x", "2024-05-02 13:32:01,600"),
            ("2024/05/02", "2024/05/02"),
            ("2024-05-02)", "2024-05-02"),
            ("13:32:01 x", "13:32:01"),
            ("09:30", "09:30"),
        ] {
            assert_eq!(read(text), Some(whole));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_told_at_once_is_what_the_rules_say(
            changes in prop::collection::vec((0_usize..25, any::<u8>()), 0..3),
            signs in prop::collection::vec((0_usize..25, prop::sample::select(&b"0123456789-:.,Tt _+aZ"[..])), 0..3),
            length in 20_usize..26,
        ) {
            let mut text = *b"2026-11-28T10:20:30.678Z 1";
            for (at, byte) in changes.into_iter().take(1).chain(signs) {
                text[at] = byte;
            }
            let text = Text::plain(&text[..length]);
            prop_assert_eq!(end(&text, 0), plainly(&text, 0));
        }
    }

    #[test]
    fn a_stamp_is_what_the_plain_rules_say() {
        let stamp = b"2026-11-28T10:20:30.678";
        for at in 0..stamp.len() {
            for byte in 0..=255 {
                let mut text = *stamp;
                text[at] = byte;
                let is = |range: std::ops::RangeInclusive<u8>| range.contains(&byte);
                let right = match at {
                    0 => is(b'1'..=b'2'),
                    4 | 7 => byte == b'-',
                    5 => is(b'0'..=b'1'),
                    8 => is(b'0'..=b'3'),
                    10 => b"Tt _".contains(&byte),
                    11 => is(b'0'..=b'2'),
                    13 | 16 => byte == b':',
                    14 => is(b'0'..=b'5'),
                    17 => is(b'0'..=b'6'),
                    19 => b".,".contains(&byte),
                    _ => byte.is_ascii_digit(),
                };
                assert_eq!(is_stamp(&text), right, "{at} {byte}");
            }
        }
    }

    #[test]
    fn what_is_no_time_is_not() {
        for text in [
            "2012-2142",
            "090-1234-5678",
            "12:34:56:78",
            "10:20:aa:1",
            "2024-05-023",
            "99:99",
            "20240502",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
