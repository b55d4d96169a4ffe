use super::text::{escape_tail, half_width};
use crate::model::{PiiSpan, PiiType};

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
pub(super) fn find(text: &str, found: &mut Vec<PiiSpan>) {
    let mut end = 0;
    for (at, sign) in text.char_indices().filter(|(_, c)| is_at(*c)) {
        if at < end {
            continue;
        }
        let local = text[end..at].trim_end_matches(|c| is_local(half_width(c)));
        let mut start = end + local.len();
        start += escape_tail(text, start);
        let domain = at + sign.len_utf8();
        if start < at
            && let Some(length) = domain_length(&text[domain..])
        {
            end = domain + length;
            found.push(PiiSpan::new(start, end, PiiType::Email));
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

/// How long the domain is that `text` begins with: letters, digits and hyphens, a dot, and at least two of them after it.
fn domain_length(text: &str) -> Option<usize> {
    let (mut label, mut dots, mut length) = (0, 0, None);
    for (at, c) in text.char_indices().take(255) {
        match half_width(c) {
            '.' if label == 0 => break,
            '.' => {
                dots += 1;
                label = 0;
            }
            half if half == '-' || half.is_ascii_alphanumeric() => label += 1,
            _ => break,
        }
        if dots > 0 && label >= 2 {
            length = Some(at + c.len_utf8());
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        crate::masking::first_forms::masked_by(find, text)
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
