use std::ops::Range;

use super::text::{escape_tail, escaped, half_width};
use crate::model::{PiiSpan, PiiType};

/// Masks a telephone number: its first group and its last four digits stay, as in `090-****-1234`.
///
/// A value with fewer than nine digits becomes `****`, unless it is masked already.
pub fn mask_phone(number: &str) -> String {
    let digits: String = number
        .chars()
        .map(half_width)
        .filter(char::is_ascii_digit)
        .collect();
    let international = number.chars().map(half_width).find(|c| !c.is_whitespace()) == Some('+');
    match Number::read(&digits, international) {
        Some(number) => number.masked(),
        None if is_masked(number) => number.to_owned(),
        None if digits.len() >= 9 => format!("****-{}", &digits[digits.len() - 4..]),
        None => "****".to_owned(),
    }
}

/// Finds telephone numbers: groups of digits, with at most two separators between two groups.
pub(super) fn find(text: &str, found: &mut Vec<PiiSpan>) {
    let groups = groups(text);
    let mut next = 0;
    while next < groups.len() {
        match number_at(text, &groups, next) {
            Some((range, taken)) => {
                found.push(PiiSpan::new(range.start, range.end, PiiType::Phone));
                next += taken;
            }
            None => next += 1,
        }
    }
}

/// A run of digits, half or full width.
#[derive(Debug)]
struct Group {
    range: Range<usize>,
    /// At most [`LONGEST`] + 1 digits, in half width: more cannot be a number.
    digits: String,
    /// Whether only separators are between this group and the one before.
    joined: bool,
}

/// The digits of `+81` with the longest number.
const LONGEST: usize = 13;

fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut open = false;
    // Digits of an escape like `\u3000` belong to the escape.
    let mut escape_ends = 0;
    for (at, c) in text.char_indices() {
        if c == '\\' && at >= escape_ends {
            escape_ends = at + 1 + escaped(&text[at + 1..]);
        }
        let half = half_width(c);
        if at < escape_ends || !half.is_ascii_digit() {
            open = false;
            continue;
        }
        let end = at + c.len_utf8();
        match groups.last_mut() {
            Some(group) if open => {
                group.range.end = end;
                if group.digits.len() <= LONGEST {
                    group.digits.push(half);
                }
            }
            last => {
                let joined = last.is_some_and(|last| is_separator(&text[last.range.end..at]));
                groups.push(Group {
                    range: at..end,
                    digits: half.to_string(),
                    joined,
                });
                open = true;
            }
        }
    }
    groups
}

/// The number that begins at group `first`: its place, and how many groups it takes.
fn number_at(text: &str, groups: &[Group], first: usize) -> Option<(Range<usize>, usize)> {
    let group = &groups[first];
    let (start, international) = start_of(text, group)?;
    let mut digits = String::new();
    for (taken, group) in (1..).zip(&groups[first..]) {
        if taken > 1 && !group.joined {
            return None;
        }
        digits.push_str(&group.digits);
        if digits.len() > LONGEST {
            return None;
        }
        let followed = text[group.range.end..].chars().next().map(half_width);
        if followed.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        if Number::read(&digits, international).is_some() {
            return Some((start..group.range.end, taken));
        }
    }
    None
}

/// Where a number that begins with `group` begins, with its `+` or bracket; `None` inside a longer word or number.
fn start_of(text: &str, group: &Group) -> Option<(usize, bool)> {
    let mut start = group.range.start;
    let mut before = text[..start].chars().rev().peekable();
    let mut international = false;
    if let Some(sign) = before.next_if(|c| half_width(*c) == '+') {
        international = true;
        start -= sign.len_utf8();
    } else if text[group.range.end..].starts_with([')', '）'])
        && let Some(bracket) = before.next_if(|c| half_width(*c) == '(')
    {
        start -= bracket.len_utf8();
    }
    // The letter of an escape such as `\n` is no word that the number could belong to.
    let previous = before.next();
    let after_escape = previous.is_some_and(|c| c.is_ascii_alphanumeric() && ends_escape(text, start));
    let inside = match previous.map(half_width) {
        Some(c) if c.is_ascii_alphanumeric() || c == '_' => !after_escape,
        Some('.') => before.next().map(half_width).is_some_and(|c| c.is_ascii_digit()),
        Some(c) if is_hyphen(c) => before
            .next()
            .map(half_width)
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '*'),
        _ => false,
    };
    (!inside).then_some((start, international))
}

/// Whether a JSON escape ends right before `at`.
fn ends_escape(text: &str, at: usize) -> bool {
    [1, 5].into_iter().any(|tail| {
        at.checked_sub(tail)
            .is_some_and(|start| text.is_char_boundary(start) && escape_tail(text, start) == tail)
    })
}

fn is_separator(between: &str) -> bool {
    let mut signs = between.chars().map(half_width);
    let few = signs.clone().take(3).count() <= 2;
    few && signs.all(|c| is_hyphen(c) || matches!(c, ' ' | '(' | ')'))
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | 'ー' | 'ｰ')
}

/// A telephone number of Japan.
#[derive(Debug)]
struct Number<'a> {
    /// With the leading zero or, after `+81`, without it.
    digits: &'a str,
    international: bool,
}

impl<'a> Number<'a> {
    fn read(digits: &'a str, international: bool) -> Option<Self> {
        let (national, zeros) = if international {
            let rest = digits.strip_prefix("81")?;
            // Many write the zero in spite of the country code.
            (rest.strip_prefix('0').unwrap_or(rest), 0)
        } else {
            (digits, 1)
        };
        let subscriber = national.get(zeros..)?;
        let whole = national.starts_with(if zeros == 1 { "0" } else { "" });
        let plausible = whole && subscriber.starts_with(|c: char| matches!(c, '1'..='9'));
        // Ten digits; eleven for mobile, IP and the like (0X0) and for 0800.
        let right = match subscriber.len() {
            9 => true,
            10 => subscriber.as_bytes()[1] == b'0',
            _ => false,
        };
        (plausible && right).then_some(Self {
            digits: national,
            international,
        })
    }

    fn masked(&self) -> String {
        let last = &self.digits[self.digits.len() - 4..];
        let prefix = if self.international { "+81-" } else { "" };
        format!("{prefix}{}-****-{last}", &self.digits[..self.area()])
    }

    /// How many digits the first group has. Area codes have one to four digits after the zero; of those that no separator
    /// tells, three digits are shown.
    fn area(&self) -> usize {
        let zero = usize::from(!self.international);
        let rest = &self.digits[zero..];
        let length = match rest {
            _ if rest.starts_with("120") || rest.starts_with("800") || rest.starts_with("570") => 3,
            _ if rest.len() == 10 => 2,
            _ if rest.starts_with(['3', '6']) => 1,
            _ => 2,
        };
        zero + length
    }
}

/// Whether `number` is what [`Number::masked`] gives.
fn is_masked(number: &str) -> bool {
    number.split_once("-****-").is_some_and(|(area, last)| {
        let area = area.strip_prefix("+81-").unwrap_or(area);
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        digits(area) && digits(last) && area.len() <= 4 && last.len() == 4
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        crate::masking::first_forms::masked_by(find, text)
    }

    #[test]
    fn numbers_in_text() {
        for (text, masked) in [
            ("090-1234-5678", "090-****-5678"),
            ("09012345678", "090-****-5678"),
            ("電話09012345678まで", "電話090-****-5678まで"),
            ("０９０－１２３４－５６７８", "090-****-5678"),
            ("０９０ー１２３４ー５６７８", "090-****-5678"),
            ("0312345678", "03-****-5678"),
            ("(03) 1234-5678", "03-****-5678"),
            ("03(1234)5678", "03-****-5678"),
            ("(090-1234-5678)", "(090-****-5678)"),
            ("0120-444-444", "0120-****-4444"),
            ("0800-123-4567", "0800-****-4567"),
            ("+81 90-1234-5678", "+81-90-****-5678"),
            ("+81(0)90-1234-5678", "+81-90-****-5678"),
            ("+819012345678", "+81-90-****-5678"),
            ("tel.03-1234-5678", "tel.03-****-5678"),
            ("090-1234-5678 03-1234-5678", "090-****-5678 03-****-5678"),
            ("12 090 1234 5678", "12 090-****-5678"),
            (r#""a\n03-1234-5678""#, r#""a\n03-****-5678""#),
            (r#""\u300003-1234-5678""#, r#""\u300003-****-5678""#),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(masked), masked);
        }
    }

    #[test]
    fn what_is_no_number_stays() {
        for text in [
            "2026-01-30 09:15:02",
            "2026-01-30T09:15:02Z",
            "1769731200",
            "0.0312345678",
            "1e+8190123456789",
            "run_0312345678",
            "0312345678ab",
            "019c0d5e-0312-4567-8901-abcdefabcdef",
            "00123456789",
            "10.0.0.5",
            "090-****-5678",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn a_known_number_is_always_masked() {
        assert_eq!(mask_phone("０９０−１２３４−５６７８"), "090-****-5678");
        assert_eq!(mask_phone("+1 212 555 0123"), "****-0123");
        assert_eq!(mask_phone("110"), "****");
        assert_eq!(mask_phone("090-****-5678"), "090-****-5678");
        assert_eq!(mask_phone(""), "****");
    }
}
