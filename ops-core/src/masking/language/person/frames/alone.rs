//! Surnames that are hardly ever anything else, where a word begins and ends with them: 渡辺が、→ 渡辺, 同行：渡辺.

use super::super::super::letters::{
    char_at, char_before, is_digit, is_hiragana, is_kanji, is_katakana, is_latin, is_space,
};
use super::super::super::scan::Scan;
use super::super::bare::is_surname;
use super::super::honorific::is_company;
use super::lead::is_line_start;

/// Particles behind whoever does something or is told something. Of `の` and `で`, companies are told as often.
const PARTICLES: [&str; 12] = [
    "は", "が", "を", "に", "へ", "と", "も", "から", "より", "まで", "です", "って",
];

/// Whether a family of which `before` and `rest` stand around is a word by itself, and no part of what a company or a shop is called.
pub(super) fn is_word(scan: &Scan<'_>, before: &str, rest: &str) -> bool {
    if is_company(before.trim_end_matches(is_space)) {
        return false;
    }
    // ・渡辺より: the item of a list.
    let item = before
        .strip_suffix('・')
        .is_some_and(|lead| is_line_start(lead.trim_end_matches(is_space)));
    let opens = item
        || char_before(before, before.len()).is_none_or(|c| {
            is_hiragana(c) && !matches!(c, 'お' | 'ご')
                || !(c.is_alphanumeric() || matches!(c, 'ー' | '・' | '-' | '_' | '“' | '"' | '\'' | '『'))
        });
    opens && (is_told(rest) || ends(scan, before, rest))
}

/// Whether a particle stands in front of `rest` that goes on with no other word.
fn is_told(rest: &str) -> bool {
    PARTICLES.iter().any(|particle| {
        rest.strip_prefix(particle).is_some_and(|behind| {
            // はじめ, もと, との: a given name in kana, or a company of two families.
            !behind.starts_with(['る', 'ー'])
                && (*particle != "は" || !behind.starts_with(['じ', 'る', 'な']))
                && (*particle != "と" || !behind.starts_with(['も', 'し']))
        })
    })
}

/// Whether a field or a clause ends in front of `rest`.
fn ends(scan: &Scan<'_>, before: &str, rest: &str) -> bool {
    let Some(next) = char_at(rest, 0) else {
        return true;
    };
    if is_space(next) {
        let word = rest.trim_start_matches(is_space);
        let first = char_at(word, 0);
        // 渡辺 佐々木 10:00; not 渡辺 製作所.
        return first.is_none_or(|c| {
            is_digit(c) || !c.is_alphanumeric() || is_kanji(c) && (is_list(scan, word) || is_state(word))
        }) || first.is_some_and(is_hiragana) && !before.ends_with(is_hiragana);
    }
    if matches!(next, '(' | '（') {
        let note = &rest[next.len_utf8()..];
        return !note.starts_with(['株', '有', '合', '同']);
    }
    matches!(
        next,
        '\n' | '\r'
            | '、'
            | '，'
            | ','
            | '。'
            | '．'
            | '！'
            | '？'
            | ')'
            | '）'
            | ']'
            | '］'
            | '】'
            | '>'
            | '＞'
            | '/'
            | '／'
            | '|'
            | '｜'
            | ':'
            | '：'
            | ';'
            | '；'
            | '→'
            | '⇒'
            | '\t'
    ) || next == '「' && !before.ends_with('「')
}

/// Whether `rest` says where somebody is, or in whose place.
fn is_state(rest: &str) -> bool {
    [
        "代理", "不在", "休み", "休暇", "外出", "出張", "在席", "離席", "欠席", "遅刻", "早退",
    ]
    .iter()
    .any(|state| rest.starts_with(state))
}

/// Whether `rest` begins with a surname that is a word by itself.
fn is_list(scan: &Scan<'_>, rest: &str) -> bool {
    let mut word = ['\0'; 4];
    let mut length = 0;
    for c in rest.chars() {
        if !is_kanji(c) {
            return !(is_katakana(c) || is_latin(c)) && is_surname(scan, &word[..length]);
        }
        if length == word.len() {
            return false;
        }
        word[length] = c;
        length += 1;
    }
    is_surname(scan, &word[..length])
}
