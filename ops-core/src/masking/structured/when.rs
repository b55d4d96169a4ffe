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

/// Whether this is a date and a time of day as most logs have them. All bytes are compared at once; the plain rules would say the same.
#[inline]
fn is_stamp(text: &[u8; 23]) -> bool {
    const LOW: &[u8; 23] = b"1000-00-00 00:00:00,000";
    const HIGH: &[u8; 23] = b"2999-19-39t29:59:69.999";
    let mut odd = false;
    for index in 0..LOW.len() {
        odd |= text[index].wrapping_sub(LOW[index]) > HIGH[index] - LOW[index];
    }
    !odd && matches!(text[10], b'T' | b't' | b' ' | b'_') && text[19] != b'-'
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
