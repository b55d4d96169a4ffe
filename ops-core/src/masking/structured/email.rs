use std::ops::Range;

use super::view::Text;
use crate::model::PiiType;

/// What the `@` at `at` belongs to: a mail address, or a password within an address such as `postgres://user:password@host`.
pub(super) fn find(text: &Text<'_>, at: usize) -> Option<(Range<usize>, PiiType)> {
    let mut start = at;
    while is_local(text, start) && at - start < LOCAL {
        start -= 1;
    }
    if let Some(secret) = user_information(text, start, at) {
        return secret.map(|range| (range, PiiType::ApiKey));
    }
    start += leading(&text.bytes[start..at]);
    if start == at {
        return None;
    }
    let end = domain(text, at + 1)?;
    let local = &text.bytes[start..at];
    // `git@host:path` is where a repository lies, `icon@2x.png` an image.
    let is_place = local == b"git" && text.get(end) == b':';
    let is_image = text.get(at + 1).is_ascii_digit()
        && IMAGES.iter().any(|kind| text.ends(end, kind))
        && text.get(at + 2) == b'x';
    (!is_place && !is_image).then_some((start..end, PiiType::Email))
}

/// Longest local part and domain. The standard says 64 and 255; more is no address of anybody.
const LOCAL: usize = 128;
const DOMAIN: usize = 255;

const IMAGES: [&[u8]; 5] = [b".png", b".jpg", b".jpeg", b".webp", b".gif"];

/// Whether the byte before `at` belongs to a local part that goes on there.
fn is_local(text: &Text<'_>, at: usize) -> bool {
    let byte = text.before(at);
    let surrounded =
        || text.get(at).is_ascii_alphanumeric() && at >= 2 && text.get(at - 2).is_ascii_alphanumeric();
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'~')
        // Signs that more often stand around an address than in it.
        || (matches!(byte, b'\'' | b'&' | b'!' | b'#' | b'$' | b'^') && surrounded() && byte != b'&' && byte != b'#')
}

/// How many bytes at the start cannot begin an address.
fn leading(local: &[u8]) -> usize {
    let doubled = local
        .windows(2)
        .rposition(|pair| pair == b"..")
        .map_or(0, |at| at + 2);
    let signs = local[doubled..]
        .iter()
        .take_while(|byte| matches!(byte, b'.' | b'-' | b'%' | b'~' | b'+'))
        .count();
    doubled + signs
}

/// The end of the domain that begins at `at`: its last part is a name of letters.
fn domain(text: &Text<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    while (text.get(end).is_ascii_alphanumeric() || matches!(text.get(end), b'.' | b'-')) && end - at < DOMAIN
    {
        // Two dots end a sentence.
        if text.get(end) == b'.' && matches!(text.get(end + 1), b'.') {
            break;
        }
        end += 1;
    }
    if end == at {
        return international(text, at);
    }
    let mut name = &text.bytes[at..end];
    loop {
        while let [rest @ .., b'.' | b'-'] = name {
            name = rest;
        }
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        let last = &name[dot + 1..];
        let letters = last.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let puny = last.starts_with(b"xn--");
        let whole = puny || letters == last.len() || last.get(letters) == Some(&b'-');
        let length = if puny { last.len() } else { letters };
        let begins_well = dot > 0 && !matches!(name[0], b'-' | b'.');
        if whole && (2..=24).contains(&length) && begins_well {
            return Some(at + dot + 1 + length);
        }
        if letters >= 2 && !whole && begins_well {
            // `a@example.com2`: the letters are what is known.
            return Some(at + dot + 1 + letters);
        }
        name = &name[..dot];
    }
}

/// The end of a domain that begins with letters outside ASCII, such as `例え.jp`.
fn international(text: &Text<'_>, at: usize) -> Option<usize> {
    let mut end = at;
    while text.get(end) >= 0x80 && end - at < 60 {
        end += 1;
    }
    if end == at || text.get(end) != b'.' {
        return None;
    }
    let start = end + 1;
    end = start;
    while text.get(end).is_ascii_lowercase() && end - start < 12 {
        end += 1;
    }
    (end - start >= 2).then_some(end)
}

/// For the `user:password` of a URL: `Some(Some(…))` with the place of the password, `Some(None)` if there is only a user.
fn user_information(text: &Text<'_>, start: usize, at: usize) -> Option<Option<Range<usize>>> {
    // Signs that an address cannot have may stand in a password.
    let mut from = start;
    while from > 0 && at - from < LOCAL {
        let byte = text.before(from);
        if matches!(byte, b' ' | b'"' | b'\'' | b'<' | b'\n' | b'?' | b',' | b'(')
            || !(0x20..0x80).contains(&byte)
        {
            return None;
        }
        if byte == b'/' {
            break;
        }
        from -= 1;
    }
    if !text.ends(from, b"://") {
        return None;
    }
    let colon = text.bytes[from..at].iter().position(|byte| *byte == b':');
    let password = colon
        .map(|colon| from + colon + 1..at)
        .filter(|range| !range.is_empty());
    Some(password.filter(|range| !text.bytes[range.clone()].starts_with(b"***")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, PiiType)> {
        let view = Text::plain(text.as_bytes());
        text.match_indices('@')
            .filter_map(|(at, _)| find(&view, at))
            .map(|(range, kind)| (&text[range], kind))
            .collect()
    }

    #[test]
    fn addresses() {
        for (text, address) in [
            ("tanaka@example.com", "tanaka@example.com"),
            (
                "連絡先はtanaka.taro+ops@mail.example.co.jpです",
                "tanaka.taro+ops@mail.example.co.jp",
            ),
            ("<a@b.jp>", "a@b.jp"),
            ("to=x_y-z@ex.io;", "x_y-z@ex.io"),
            ("x@example.com.", "x@example.com"),
            ("mailto:a.b@c.museum?subject=x", "a.b@c.museum"),
            ("user@xn--80ak6aa92e.com", "user@xn--80ak6aa92e.com"),
            ("a@xn--d1acufc.xn--p1ai", "a@xn--d1acufc.xn--p1ai"),
            ("taro@例え.jp", "taro@例え.jp"),
            ("o'brien@example.ie", "o'brien@example.ie"),
            ("'bob@example.ie'", "bob@example.ie"),
            ("...x@example.com-", "x@example.com"),
            ("https://e.jp/?u=a@b.jp", "a@b.jp"),
            ("abc.@docomo.ne.jp", "abc.@docomo.ne.jp"),
        ] {
            assert_eq!(found(text), [(address, PiiType::Email)], "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "@",
            "a@",
            "@b.jp",
            "a@b",
            "a@.jp",
            "meet @ noon",
            "user@localhost",
            "lodash@4.17.21",
            "git@github.com:a/b",
            "icon@2x.png",
            "info@presidio.",
            "user@10.0.0.1",
            "https://bob@host.example/",
            "a@b..c",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn the_password_of_a_url_is_a_secret() {
        assert_eq!(
            found("postgres://app:pa$$w0rd@db.example.com:5432/x"),
            [("pa$$w0rd", PiiType::ApiKey)]
        );
        assert_eq!(
            found("redis://:hunter2@cache:6379"),
            [("hunter2", PiiType::ApiKey)]
        );
        assert_eq!(found("redis://:****@cache:6379"), []);
    }
}
