/// The half-width form of a full-width letter, digit or sign; any other character as it is.
pub(super) fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

/// How many bytes of `text` from `start` belong to the JSON escape that begins in front of it, if one does.
///
/// In `\ntanaka` the `n` belongs to the escape; in `\u3000tanaka` it is `u3000`. A mask must not cut an escape apart.
pub(super) fn escape_tail(text: &str, start: usize) -> usize {
    let backslashes = text[..start]
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'\\')
        .count();
    if backslashes % 2 == 0 {
        return 0;
    }
    escaped(&text[start..])
}

/// How many bytes of `rest`, which follows the backslash that begins an escape, belong to the escape.
pub(super) fn escaped(rest: &str) -> usize {
    let rest = rest.as_bytes();
    match rest.first() {
        Some(b'u') if rest.len() >= 5 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => 5,
        Some(byte) if byte.is_ascii() => 1,
        _ => 0,
    }
}
