//! Keys that a label in Japanese announces without a sign: 暗号キーは「…」.

use super::labels::Value;
use super::scan::Scan;
use crate::model::PiiType;

/// How long a key is, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;

/// Takes the key that a label announces; whether there was one.
pub(super) fn labelled(scan: &mut Scan<'_>, value: Value) -> bool {
    let rest = &scan.text.as_bytes()[value.start..];
    let inside = |byte: &u8| byte.is_ascii_graphic() && !b"\"'`,;()[]{}<>|".contains(byte);
    let mut length = rest
        .iter()
        .take(LENGTHS.end() + 1)
        .take_while(|byte| inside(byte))
        .count();
    while length > 0 && matches!(rest[length - 1], b'.' | b':' | b'?') {
        length -= 1;
    }
    let found = LENGTHS.contains(&length) && is_drawn(&rest[..length]);
    if found {
        scan.take(value.start, value.start + length, PiiType::ApiKey);
    }
    found
}

/// Whether `word` was drawn, and is no name, address, version or mask: letters and digits in it, and both kinds of letters where signs join
/// its parts.
fn is_drawn(word: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| word.iter().filter(|byte| is(byte)).count();
    let any = |is: fn(&u8) -> bool| count(is) > 0;
    let joined = word.iter().any(|byte| matches!(byte, b'-' | b'_' | b'.' | b'='));
    let other =
        word.iter().any(|byte| matches!(byte, b'*' | b'@')) || word.windows(3).any(|part| part == b"://");
    let mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    count(u8::is_ascii_digit) >= 2 && count(u8::is_ascii_alphabetic) >= 2 && !other && (mixed || !joined)
}
