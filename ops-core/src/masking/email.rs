/// Masks a mail address: the first character of the local part stays, as in `t***@example.com`.
///
/// A value without `@` becomes `***`.
pub fn mask_email(address: &str) -> String {
    match address.rfind(is_at) {
        Some(at) => masked(&address[..at], &address[at..]),
        None => "***".to_owned(),
    }
}

fn masked(local: &str, rest: &str) -> String {
    let first = local.chars().next().map_or(0, char::len_utf8);
    [&local[..first], "***", rest].concat()
}

fn is_at(c: char) -> bool {
    matches!(c, '@' | '＠')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_address_is_always_masked() {
        assert_eq!(mask_email("tanaka@example.com"), "t***@example.com");
        assert_eq!(mask_email("田中@localhost"), "田***@localhost");
        assert_eq!(mask_email("t***@example.com"), "t***@example.com");
        assert_eq!(mask_email("tanaka"), "***");
    }
}
