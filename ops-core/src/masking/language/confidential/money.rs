//! Amounts of money.

use super::super::labels::Value;
use super::super::letters::{Window, char_at, is_digit, is_latin};

/// Words between a label and an amount.
const BEFORE_MONEY: &[&str] = &[
    "約",
    "およそ",
    "月額",
    "年額",
    "総額",
    "額面",
    "手取り",
    "最大",
    "平均",
    "月",
    "年",
    "総支給",
    "現在",
    "税込",
    "は",
    "が",
    "で",
    "：",
    ":",
    " ",
    "\u{3000}",
    "（",
    "(",
    "「",
    "approximately ",
    "about ",
    "around ",
    "now ",
    "currently ",
    "at ",
];

/// The amount at the beginning of a value.
pub(super) fn money(text: &str, value: Value) -> Option<(usize, usize)> {
    let mut start = value.start;
    for _ in 0..4 {
        let Some(word) = BEFORE_MONEY.iter().find(|word| text[start..].starts_with(**word)) else {
            break;
        };
        start += word.len();
    }
    let (mut end, mut digits, mut unit) = amount(text, start)?;
    // 500万〜600万円
    for dash in ["〜", "～", "-", "~", "から", " - ", "–", "ー"] {
        if text[end..].starts_with(dash)
            && let Some((to, more, other)) = amount(text, end + dash.len())
            && !(dash == "から" && is_new(text, to))
        {
            end = to;
            digits = digits.max(more);
            unit |= other;
            break;
        }
    }
    // A bare number of few digits is a count, a year or a share.
    let next = char_at(text, end);
    let counted = next.is_some_and(|c| {
        matches!(
            c,
            '%' | '％'
                | '年'
                | '月'
                | '日'
                | '件'
                | '人'
                | '回'
                | '名'
                | '時'
                | '歳'
                | ':'
                | '/'
                | '-'
                | 'ヶ'
                | 'か'
                | 'カ'
        )
    });
    let enough = unit
        || digits >= 4
        || value.closer.is_some() && digits >= 3
        || digits >= 3 && next.is_none_or(|c| matches!(c, ',' | '}' | '\n'));
    // 給与を2回: only what is money for sure.
    let object = text[..value.start].ends_with('を');
    (enough && (unit || !counted) && (unit || !object)).then_some((start, end))
}

/// The amount that takes the place of the one that ends at `end`: 28万円から30万円に.
pub(super) fn changed(text: &str, end: usize) -> Option<(usize, usize)> {
    let start = ["から", "→", " → "]
        .iter()
        .find(|joint| text[end..].starts_with(**joint))
        .map(|joint| end + joint.len())?;
    let (to, _, unit) = amount(text, start)?;
    unit.then_some((start, to))
}

/// Whether an amount that ends at `end` is what another became.
fn is_new(text: &str, end: usize) -> bool {
    text[end..].starts_with(['に', 'へ'])
}

/// An amount at `start`: where it ends, how many digits, and whether a currency or a unit is with it.
fn amount(text: &str, start: usize) -> Option<(usize, usize, bool)> {
    const SIGNS: &[&str] = &[
        "¥", "￥", "$", "＄", "€", "£", "JPY ", "USD ", "EUR ", "US$", "JPY", "USD", "Rs. ",
    ];
    const UNITS: &[&str] = &["万", "千", "億", "百"];
    const MONEY: &[&str] = &[
        "円",
        "ドル",
        "ユーロ",
        "yen",
        " yen",
        "JPY",
        " JPY",
        "USD",
        " USD",
        "EUR",
        " EUR",
        " dollars",
        "ウォン",
        "元",
    ];
    let mut at = start;
    let mut unit = false;
    if let Some(sign) = SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
        at += sign.len();
        unit = true;
        if text[at..].starts_with(' ') {
            at += 1;
        }
    }
    let mut digits = 0;
    let mut end = at;
    for c in text[at..].chars().take(24) {
        let next = char_at(text, end + c.len_utf8());
        if is_digit(c) {
            digits += 1;
        } else if digits == 0
            || !matches!(c, ',' | '，' | '.' | '．' | '、')
            || !next.is_some_and(is_digit)
            || c == '、'
        {
            break;
        }
        end += c.len_utf8();
    }
    if digits == 0 {
        // 三百万円
        let window = Window::after(text, at, 10, |c| "一二三四五六七八九十百千万億".contains(c));
        let length = window.chars().len();
        if length < 2 || !text[window.end()..].starts_with('円') {
            return None;
        }
        return Some((window.end() + "円".len(), length, true));
    }
    // 35万4,000円
    for _ in 0..3 {
        let Some(word) = UNITS.iter().find(|word| text[end..].starts_with(**word)) else {
            break;
        };
        end += word.len();
        unit = true;
        let more = Window::after(text, end, 8, |c| is_digit(c) || c == ',');
        if more.chars().first().copied().is_some_and(is_digit) {
            end = more.end();
        }
    }
    if let Some(word) = MONEY.iter().find(|word| text[end..].starts_with(**word)) {
        end += word.len();
        unit = true;
    } else if text[end..].starts_with(['k', 'K', 'M', 'm'])
        && !char_at(text, end + 1).is_some_and(|c| c.is_ascii_alphanumeric())
    {
        end += 1;
        unit = true;
    } else if char_at(text, end).is_some_and(|c| is_latin(c) || c == '_') {
        return None;
    }
    Some((end, digits, unit))
}
