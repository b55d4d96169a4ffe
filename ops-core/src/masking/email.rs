use super::text::{Edits, escape_tail, half_width};

/// Masks a mail address: the first character of the local part stays, as in `t***@example.com`.
///
/// A value without `@` becomes `***`.
pub fn mask_email(address: &str) -> String {
    match address.rfind(is_at) {
        Some(at) => masked(&address[..at], &address[at..]),
        None => "***".to_owned(),
    }
}

/// Finds mail addresses: from each `@` outwards.
pub(super) fn find(text: &str, edits: &mut Edits) {
    for (at, sign) in text.char_indices().filter(|(_, c)| is_at(*c)) {
        let before = &text[edits.end()..at];
        let local = before.trim_end_matches(|c| is_local(half_width(c)));
        let mut start = edits.end() + local.len();
        start += escape_tail(text, start);
        if start < at && is_domain(&text[at + sign.len_utf8()..]) {
            edits.replace(start..at, masked(&text[start..at], ""));
        }
    }
}

fn masked(local: &str, rest: &str) -> String {
    match local.chars().next() {
        Some(first) => format!("{first}***{rest}"),
        None => format!("***{rest}"),
    }
}

fn is_at(c: char) -> bool {
    matches!(c, '@' | '＠')
}

fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._%+-'!#$&=?^`{|}~".contains(c)
}

/// Whether `text` begins with a domain: letters, digits and hyphens, a dot, and at least two of them after it.
fn is_domain(text: &str) -> bool {
    let mut label = 0;
    let mut dots = 0;
    for c in text.chars().map(half_width).take(255) {
        match c {
            '.' if label == 0 => return false,
            '.' => {
                dots += 1;
                label = 0;
            }
            '-' => label += 1,
            c if c.is_ascii_alphanumeric() => label += 1,
            _ => break,
        }
        if dots > 0 && label >= 2 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        let mut edits = Edits::default();
        find(text, &mut edits);
        edits.apply(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn addresses_in_text() {
        for (text, masked) in [
            ("tanaka@example.com", "t***@example.com"),
            (
                "連絡先はtanaka.taro+ops@mail.example.co.jpです",
                "連絡先はt***@mail.example.co.jpです",
            ),
            (
                "ｔａｎａｋａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
                "ｔ***＠ｅｘａｍｐｌｅ．ｃｏｍ",
            ),
            ("<a@b.jp>,c@d.jp;", "<a***@b.jp>,c***@d.jp;"),
            ("a@b.jp@c.jp", "a***@b***@c.jp"),
            ("x@example.com.", "x***@example.com."),
            ("{\"to\":\"tanaka@example.com\"}", "{\"to\":\"t***@example.com\"}"),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(masked), masked);
        }
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in [
            "@",
            "a@",
            "@b.jp",
            "a@b",
            "a@.jp",
            "meet @ noon",
            "t***@example.com",
            "user@localhost",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn an_escape_in_front_is_not_cut_apart() {
        assert_eq!(mask(r#""a\ntanaka@example.com""#), r#""a\nt***@example.com""#);
        assert_eq!(
            mask(r#""\u3000tanaka@example.com""#),
            r#""\u3000t***@example.com""#
        );
        assert_eq!(mask(r#""\\tanaka@example.com""#), r#""\\t***@example.com""#);
    }

    #[test]
    fn a_known_address_is_always_masked() {
        assert_eq!(mask_email("tanaka@example.com"), "t***@example.com");
        assert_eq!(mask_email("田中@localhost"), "田***@localhost");
        assert_eq!(mask_email("t***@example.com"), "t***@example.com");
        assert_eq!(mask_email("tanaka"), "***");
    }
}
