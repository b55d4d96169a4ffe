//! Grades of an evaluation.

use super::super::labels::Value;
use super::super::letters::{Window, char_at, is_digit, is_kanji, is_latin};

/// Words that are grades by themselves, longer ones first.
const GRADES: &[&str] = &[
    "期待を上回る",
    "期待を大きく上回る",
    "期待を下回る",
    "期待通り",
    "期待どおり",
    "期待以上",
    "期待以下",
    "要改善",
    "要努力",
    "優良",
    "秀逸",
    "優秀",
    "良好",
    "普通",
    "標準",
    "最優秀",
    "不可",
    "最高",
    "最低",
    "優",
    "良",
    "秀",
    "可",
    "劣",
];

const ENGLISH_GRADES: &[&str] = &[
    "Far Exceeds Expectations",
    "Greatly Exceeds Expectations",
    "Exceeds Expectations",
    "Exceeded Expectations",
    "Meets Expectations",
    "Met Expectations",
    "Partially Meets Expectations",
    "Meets Most Expectations",
    "Below Expectations",
    "Above Expectations",
    "Does Not Meet Expectations",
    "Needs Improvement",
    "Improvement Needed",
    "Above Average",
    "Below Average",
    "Exceptional",
    "Outstanding",
    "Excellent",
    "Very Good",
    "Good",
    "Satisfactory",
    "Unsatisfactory",
    "Acceptable",
    "Average",
    "Fair",
    "Poor",
    "Superior",
    "Strong",
    "Weak",
    "exceeds_expectations",
    "meets_expectations",
    "needs_improvement",
    "below_expectations",
];

/// The grade at the beginning of a value. `numbers`: a number will do.
pub(super) fn grade(text: &str, value: Value, numbers: bool) -> Option<(usize, usize)> {
    let start = value.start;
    let rest = &text[start..];
    let ends_word = |end: usize| !char_at(text, end).is_some_and(|c| is_latin(c) || is_digit(c) || c == '_');
    // A letter, doubled at most twice, with a sign.
    let letters = Window::after(
        text,
        start,
        4,
        |c| matches!(c, 'S' | 'A'..='F' | 'Ｓ' | 'Ａ'..='Ｆ'),
    );
    let chars = letters.chars();
    if (1..=3).contains(&chars.len()) && chars.iter().all(|c| *c == chars[0]) {
        let mut end = letters.end();
        if let Some(sign) = char_at(text, end).filter(|c| matches!(c, '+' | '-' | '＋' | '－' | '−' | '±'))
            && ends_word(end + sign.len_utf8())
        {
            end += sign.len_utf8();
        }
        let word = char_at(text, end).is_some_and(|c| {
            matches!(c, '.' | '\'') && char_at(text, end + 1).is_some_and(is_latin)
                || c == ' '
                    && chars == ['A']
                    && char_at(text, end + 1).is_some_and(|c| c.is_ascii_lowercase())
        });
        if ends_word(end) && !word {
            return Some((start, end));
        }
    }
    if let Some(word) = GRADES
        .iter()
        .filter(|word| rest.starts_with(**word))
        .max_by_key(|word| word.len())
    {
        let end = start + word.len();
        // 可 and 良 alone, not 可能 and 良品.
        let goes_on = char_at(text, end).is_some_and(is_kanji);
        return (!goes_on).then_some((start, end));
    }
    let english = ENGLISH_GRADES
        .iter()
        .filter(|word| {
            rest.get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        })
        .max_by_key(|word| word.len());
    if let Some(word) = english {
        let end = start + word.len();
        let lower = rest.starts_with(|c: char| c.is_ascii_lowercase());
        return (ends_word(end) && (numbers || !lower)).then_some((start, end));
    }
    if !numbers {
        return None;
    }
    let number = Window::after(text, start, 6, |c| is_digit(c) || c == '.' || c == '．');
    let mut length = number.chars().len();
    while length > 0 && !is_digit(number.chars()[length - 1]) {
        length -= 1;
    }
    if !(1..=5).contains(&length) || !is_digit(number.chars()[0]) {
        return None;
    }
    let mut end = number.place(length);
    if let Some(of) = ["/5", "/10", "/100", "／5", "／10"]
        .iter()
        .find(|of| text[end..].starts_with(**of) && ends_word(end + of.len()))
    {
        end += of.len();
    } else if text[end..].starts_with('点') {
        end += "点".len();
    }
    let counted = char_at(text, end)
        .is_some_and(|c| "年月日件人円万名回時秒%％:/-～〜期割位".contains(c) || is_latin(c));
    (!counted).then_some((start, end))
}
