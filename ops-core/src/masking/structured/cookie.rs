//! Cookies that let in whoever has them: `Set-Cookie: session=3f9a8b7c6d5e`.

use std::ops::Range;

use super::value::is_placeholder;
use super::view::Text;

/// Whether the name before `end` is that of a header with cookies.
pub(super) fn ends_header(text: &Text<'_>, end: usize) -> bool {
    // document.cookie = "session=3f9a8b7c6d5e"
    let end = end - usize::from(text.before(end) == b' ');
    let end = end - usize::from(matches!(text.before(end), b'"' | b'\''));
    text.ends_any(end, b"cookie")
}

/// Calls `found` for the value of each cookie of the header whose sign is before `at` by which a session or a person is known.
pub(super) fn secrets(text: &Text<'_>, at: usize, mut found: impl FnMut(Range<usize>)) {
    let limit = text.bytes.len().min(at + LONGEST);
    let mut start = at;
    for _ in 0..MOST {
        let opens = |byte: u8| matches!(byte, b' ' | b'"' | b'\'' | b'[' | b'\\');
        while start < limit && opens(text.get(start)) {
            start += 1;
        }
        let rest = text.bytes.get(start..limit).unwrap_or_default();
        let name = rest.iter().take(64).take_while(|byte| is_of_name(**byte)).count();
        let mut end = start + name;
        let blank = usize::from(text.get(end) == b' ');
        if text.get(end + blank) == b'=' {
            let mut from = end + blank + 1;
            from += usize::from(blank == 1 && text.get(from) == b' ');
            let quote = opening(text, from);
            from += quote;
            let closed = closing(text, from, quote, limit);
            end = closed.unwrap_or_else(|| value_end(text, from, limit.saturating_sub(from)));
            if from < end && is_secret(&rest[..name], &text.bytes[from..end]) {
                // Only what is one is read further than the limit.
                end = closed.unwrap_or_else(|| value_end(text, from, LONGEST_VALUE));
                found(from..end);
            }
            // Its own quotes, and not those that the header stands in.
            if quote > 0 && opening(text, end) == quote {
                end += quote;
            }
        }
        // What is no cookie, or goes on in other letters, is passed over.
        let rest = text.bytes.get(end..limit).unwrap_or_default();
        match memchr::memchr3(b';', b'"', b'\n', rest) {
            Some(behind) if rest[behind] == b';' => start = end + behind + 1,
            _ => return,
        }
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']')
}

/// How long the quote at `at` is, with the backslash before it; 0 if there is none.
fn opening(text: &Text<'_>, at: usize) -> usize {
    match (text.get(at), text.get(at + 1)) {
        (b'"', _) => 1,
        (b'\\', b'"') => 2,
        _ => 0,
    }
}

/// Where the quote of `width` closes that a value at `from` stands in, within the line.
fn closing(text: &Text<'_>, from: usize, width: usize, limit: usize) -> Option<usize> {
    if width == 0 {
        return None;
    }
    (from..limit)
        .take_while(|at| !matches!(text.get(*at), b'\n' | b';'))
        .find(|at| opening(text, *at) == width)
}

fn value_end(text: &Text<'_>, at: usize, most: usize) -> usize {
    let rest = &text.bytes[at.min(text.bytes.len())..];
    let length = rest
        .iter()
        .take(most)
        .take_while(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'"' | b'\'' | b'\\'))
        .count();
    at + length
}

/// How many cookies of a header are looked at, how many of its bytes, and how many of a value that begins among them.
const MOST: usize = 32;
const LONGEST: usize = 4096;
const LONGEST_VALUE: usize = 16 * LONGEST;

fn is_secret(name: &[u8], value: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let has = |part: &[u8]| memchr::memmem::find(&name, part).is_some();
    let named = NAMES.iter().any(|part| has(part)) || name.ends_with(b"sid");
    let other = has(b"author") || OTHERS.iter().any(|end| name.ends_with(end));
    if !named || other {
        return false;
    }
    let count = |is: fn(&u8) -> bool| value.iter().filter(|byte| is(byte)).count();
    let (digits, capitals) = (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase));
    let small = count(u8::is_ascii_lowercase);
    let mixed = value.len() >= 8 && digits >= 2 && capitals + small > 0;
    let drawn = value.len() >= 16 && (digits == value.len() || capitals >= 3 && small >= 3);
    (mixed || drawn) && !is_placeholder(value)
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
            // Cookies of other forms, and what is none, hide nothing behind them.
            (r#"Cookie: session="3f9a8b7c6d5e""#, vec!["3f9a8b7c6d5e"]),
            (r#"Cookie: lang="ja"; session=3f9a8b7c6d5e"#, vec!["3f9a8b7c6d5e"]),
            (
                r#"Cookie: session="3f9a8b7c, 6d5e11"; a=b"#,
                vec!["3f9a8b7c, 6d5e11"],
            ),
            (
                r#"{"cookie":"lang=\"ja\"; session=3f9a8b7c6d5e"}"#,
                vec!["3f9a8b7c6d5e"],
            ),
            ("Cookie: flag; session=3f9a8b7c6d5e", vec!["3f9a8b7c6d5e"]),
            ("Cookie: a=b c; session=3f9a8b7c6d5e", vec!["3f9a8b7c6d5e"]),
            ("Cookie: lang=日本; session=3f9a8b7c6d5e", vec!["3f9a8b7c6d5e"]),
            ("Cookie: a[b]=1; session = 3f9a8b7c6d5e", vec!["3f9a8b7c6d5e"]),
            (
                r#"document.cookie = "session=3f9a8b7c6d5e""#,
                vec!["3f9a8b7c6d5e"],
            ),
            ("Cookie: sid=1234567890123456", vec!["1234567890123456"]),
            ("Cookie: sid=QWxhZGRpbjpvcGVuI", vec!["QWxhZGRpbjpvcGVuI"]),
        ] {
            assert_eq!(found(line), expected, "{line}");
        }
        let long = "3f9a8b7c".repeat(2_000);
        assert_eq!(found(&format!("Cookie: session={long}; x=1")), [&*long]);
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
            r#"{"cookie":"a=1","note":"x; session=3f9a8b7c6d5e"}"#,
            "Cookie: session_state=authenticated-user",
            "cookie: none",
            "cookie:",
        ] {
            assert_eq!(found(line), [""; 0], "{line}");
        }
    }
}
