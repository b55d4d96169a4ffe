use super::text::half_width;

/// What stands in place of a given name.
pub(super) const NAME_MASK: &str = " *";

/// Whether `value`, with [`NAME_MASK`] behind it, is what [`mask_name`] leaves of a name, and not a name that somebody has put a star behind.
pub(super) fn is_masked_name(value: &str, is_surname: impl FnOnce(&str) -> bool) -> bool {
    let length = value.chars().count();
    if value.starts_with(|c| half_width(c).is_ascii_alphabetic()) {
        return length == 1;
    }
    length <= 2 || is_surname(value)
}

/// Masks a person's name: the family name stays, as in `田中 *`.
///
/// The family name is what stands before the first space; without a space, the first two characters of three or more, else
/// all. Of a name that begins with a Latin letter, where the given name comes first, only that letter stays.
pub fn mask_name(name: &str) -> String {
    let name = name.trim();
    let family: String = match name.split(char::is_whitespace).next() {
        _ if name.starts_with(|c| half_width(c).is_ascii_alphabetic()) => name.chars().take(1).collect(),
        Some(family) if family.len() < name.len() => family.to_owned(),
        _ => name.chars().take(2).collect(),
    };
    if family.is_empty() || family == "*" {
        return "*".to_owned();
    }
    family + NAME_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_is_always_masked() {
        assert_eq!(mask_name("田中 太郎"), "田中 *");
        assert_eq!(mask_name("田中太郎"), "田中 *");
        assert_eq!(mask_name("田中"), "田中 *");
        assert_eq!(mask_name("田中 *"), "田中 *");
        assert_eq!(mask_name("Taro Tanaka"), "T *");
        assert_eq!(mask_name("T *"), "T *");
        assert_eq!(mask_name(""), "*");
        assert_eq!(mask_name("*"), "*");
    }
}
