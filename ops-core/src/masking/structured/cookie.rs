//! Cookies that let in whoever has them: `Set-Cookie: session=3f9a8b7c6d5e`.

use std::ops::Range;

use super::value::is_placeholder;
use super::view::Text;

/// Whether the name before `end` is that of a header with cookies.
pub(super) fn ends_header(text: &Text<'_>, end: usize) -> bool {
    let end = end - usize::from(matches!(text.before(end), b'"' | b'\''));
    let name = b"cookie";
    end.checked_sub(name.len())
        .is_some_and(|start| text.bytes[start..end].eq_ignore_ascii_case(name))
}

/// Calls `found` for the value of each cookie of the header whose sign is before `at` by which a session or a person is known.
pub(super) fn secrets(text: &Text<'_>, at: usize, mut found: impl FnMut(Range<usize>)) {
    let limit = text.bytes.len().min(at + LONGEST);
    let mut start = at;
    for _ in 0..MOST {
        while matches!(text.get(start), b' ' | b'"' | b'\'' | b'[') {
            start += 1;
        }
        let rest = text.bytes.get(start..limit).unwrap_or_default();
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let name = rest.iter().take(64).take_while(is_name).count();
        if rest.get(name) != Some(&b'=') {
            return;
        }
        let end = rest
            .iter()
            .position(|byte| !byte.is_ascii_graphic() || matches!(byte, b';' | b',' | b'"' | b'\'' | b'\\'))
            .unwrap_or(rest.len());
        if name < end && is_secret(&rest[..name], &rest[name + 1..end]) {
            found(start + name + 1..start + end);
        }
        if rest.get(end) != Some(&b';') {
            return;
        }
        start += end + 1;
    }
}

/// How many cookies of a header are looked at, and how many of its bytes.
const MOST: usize = 32;
const LONGEST: usize = 4096;

fn is_secret(name: &[u8], value: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let has = |part: &[u8]| memchr::memmem::find(&name, part).is_some();
    let named = NAMES.iter().any(|part| has(part)) || name.ends_with(b"sid");
    let other = has(b"author") || OTHERS.iter().any(|end| name.ends_with(end));
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    named && !other && value.len() >= 8 && digits >= 2 && letters && !is_placeholder(value)
}

/// What names of such cookies have in them.
const NAMES: [&[u8]; 6] = [b"sess", b"token", b"auth", b"jwt", b"csrf", b"remember"];

/// How names end that tell something about a session and let nobody in.
const OTHERS: [&[u8]; 5] = [b"timeout", b"count", b"enabled", b"name", b"expires"];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<&str> {
        let at = line.find([':', '=']).unwrap();
        let text = Text::plain(line.as_bytes());
        let mut values = Vec::new();
        if ends_header(&text, at) {
            secrets(&text, at + 1, |range| values.push(&line[range]));
        }
        values
    }

    #[test]
    fn sessions_are_found_among_other_cookies() {
        for (line, expected) in [
            (
                "Set-Cookie: session=3f9a8b7c6d5e; Path=/; HttpOnly",
                vec!["3f9a8b7c6d5e"],
            ),
            (
                "cookie: theme=dark; JSESSIONID=3F9A8B7C6D5E",
                vec!["3F9A8B7C6D5E"],
            ),
            (r#""cookie": "sid=3f9a8b7c6d5e""#, vec!["3f9a8b7c6d5e"]),
            (
                "Cookie: PHPSESSID=3f9a8b7c; auth_token=a1b2c3d4e5",
                vec!["3f9a8b7c", "a1b2c3d4e5"],
            ),
        ] {
            assert_eq!(found(line), expected, "{line}");
        }
    }

    #[test]
    fn other_cookies_and_other_headers_are_none() {
        for line in [
            "Set-Cookie: theme=dark2024; Path=/",
            "Set-Cookie: session=; Max-Age=0",
            "Set-Cookie: session=[API_KEY]; Max-Age=0",
            "Cookie: lang=ja; width=19201080",
            "Cookie: session_timeout=20241231; csrf_enabled=true2024; author=tanaka2024",
            "Accept: session=3f9a8b7c6d5e",
            "cookie: none",
            "cookie:",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }
}
