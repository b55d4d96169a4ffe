//! What stands behind `Authorization:`.

use std::ops::Range;

use super::value::is_placeholder;
use super::view::Text;

/// The place after the name of a scheme, as in `Bearer …`.
pub(super) fn scheme(text: &Text<'_>, at: usize) -> usize {
    for name in ["bearer ", "basic ", "token ", "digest ", "apikey "] {
        let end = at + name.len();
        if text
            .bytes
            .get(at..end)
            .is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
        {
            return end;
        }
    }
    at
}

/// Whether the name of a header ends before the sign at `end` whose value lets somebody in.
pub(super) fn ends_header(text: &Text<'_>, end: usize) -> bool {
    let end = end - usize::from(matches!(text.before(end), b'"' | b'\''));
    text.ends_any(end, b"authorization")
}

/// The end of the name of a scheme at `at` by which a request is signed, with parameters behind it.
fn signed(text: &Text<'_>, at: usize) -> Option<usize> {
    let rest = text.bytes.get(at..)?;
    let opens = |byte: &&u8| matches!(byte, b' ' | b'"' | b'\'');
    let start = rest.iter().take(4).take_while(opens).count();
    let name = SCHEMES.iter().find(|name| {
        let word = rest.get(start..start + name.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    })?;
    let line = &rest[start + name.len()..];
    let parameter = line
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .count();
    // The sign at the end of base64 is none of a parameter.
    let assigned = line.get(parameter) == Some(&b'=')
        && line
            .get(parameter + 1)
            .is_some_and(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b','));
    assigned.then_some(at + start + name.len())
}

/// Whether a request is signed by what stands at `at`, so that no one value of it is all of the secret.
pub(super) fn is_signed(text: &Text<'_>, at: usize) -> bool {
    signed(text, at).is_some()
}

/// What a request is signed with behind the sign of its header before `at`: `Digest username="bob", response="6629fae4"`.
pub(super) fn signature(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = signed(text, at)?;
    let line = &text.bytes[start..text.bytes.len().min(start + LONGEST)];
    let line = memchr::memchr(b'\n', line).map_or(line, |end| &line[..end]);
    PARAMETERS.iter().find_map(|name| {
        let found = memchr::memmem::find(line, name.as_bytes())?;
        let mut from = start + found + name.len();
        from += usize::from(text.get(from) == b'"');
        let is_value = |byte: &&u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b'\'' | b'\\');
        let length = text.bytes[from..]
            .iter()
            .take(LONGEST)
            .take_while(is_value)
            .count();
        (length >= 8 && !is_placeholder(&text.bytes[from..from + length])).then(|| from..from + length)
    })
}

/// How far behind the name of the scheme a parameter is sought.
const LONGEST: usize = 2048;

const SCHEMES: [&str; 4] = ["digest ", "aws4-hmac-sha256 ", "oauth ", "signature "];

const PARAMETERS: [&str; 4] = [" response=", "oauth_signature=", "signature=", "Signature="];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<&str> {
        let at = line.find(':')?;
        let text = Text::plain(line.as_bytes());
        let range = signature(&text, at + 1).filter(|_| ends_header(&text, at))?;
        Some(&line[range])
    }

    #[test]
    fn a_request_is_signed_by_a_parameter() {
        for (line, expected) in [
            (
                r#"Authorization: Digest username="bob", nonce="1", response="6629fae4a", opaque="x""#,
                Some("6629fae4a"),
            ),
            (
                "authorization: AWS4-HMAC-SHA256 Credential=A, SignedHeaders=host, Signature=fe5f80f7",
                Some("fe5f80f7"),
            ),
            (
                r#""Authorization": "OAuth oauth_nonce=\"a\", oauth_signature=\"tnnArxj06c\""#,
                None,
            ),
            (
                r#"Proxy-Authorization: OAuth oauth_nonce="a", oauth_signature="tnnArxj06c""#,
                Some("tnnArxj06c"),
            ),
            ("Authorization: Digest of the week, response=6629fae4a", None),
            ("Authorization: Bearer a, Signature=fe5f80f7", None),
            ("Authorization: Digest dXNlcjpwYXNzd29yZA==", None),
            ("X-Signature: Digest a=b, response=6629fae4a", None),
        ] {
            assert_eq!(found(line), expected, "{line}");
        }
    }
}
