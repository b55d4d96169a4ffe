//! Surnames that are hardly ever anything else, where a word begins and ends with them: 渡辺が、→ 渡辺, 同行：渡辺.

use super::super::super::letters::{
    char_at, char_before, is_digit, is_hiragana, is_kanji, is_katakana, is_latin, is_space,
};
use super::super::super::scan::Scan;
use super::super::bare::is_surname;
use super::super::honorific::is_company;
use super::super::labelled::is_handed;
use super::lead::is_line_start;
use super::other::{is_listed_thing, is_nature, is_shop};

/// Particles behind whoever does something or is told something. Of `の` and `で`, companies are told as often.
const PARTICLES: [&str; 12] = [
    "は", "が", "を", "に", "へ", "と", "も", "から", "より", "まで", "です", "って",
];

/// Whether a family of which `before` and `rest` stand around is a word by itself, and no part of what a company or a shop is called.
pub(super) fn is_word(scan: &Scan<'_>, before: &str, rest: &str) -> bool {
    // ・渡辺より: the item of a list.
    let item = before
        .strip_suffix('・')
        .is_some_and(|lead| is_line_start(lead.trim_end_matches(is_space)));
    // 千葉・橋本・西村
    let listed = before
        .strip_suffix('・')
        .is_some_and(|lead| lead.ends_with(is_kanji));
    let opens = item
        || listed
        || char_before(before, before.len()).is_none_or(|c| {
            is_hiragana(c) && !matches!(c, 'お' | 'ご')
                || !(c.is_alphanumeric() || matches!(c, 'ー' | '・' | '-' | '_' | '“' | '"' | '\'' | '『'))
        });
    // The first two fail for most, and cost less than the others.
    opens
        && (is_told(scan, before, rest) || ends(scan, before, rest))
        && !(is_company(before.trim_end_matches(is_space))
            || is_nature(rest)
            || is_shop(before)
            || is_listed_thing(before))
}

/// Whether a particle stands in front of `rest` that goes on with no other word.
fn is_told(scan: &Scan<'_>, before: &str, rest: &str) -> bool {
    if let Some(thing) = rest.strip_prefix('の') {
        return OWNED.iter().any(|word| thing.starts_with(word));
    }
    // 佐藤と近藤で手分けして, 渡辺か佐藤に
    if let Some(behind) = rest
        .strip_prefix(['か', 'や'])
        .filter(|behind| !behind.starts_with('ら'))
    {
        return is_list(scan, behind);
    }
    if rest.starts_with('で') {
        return before.ends_with(['と', '、', '・', 'か']);
    }
    // 渡辺ら4人, 渡辺ほか2名
    if let Some(behind) = rest
        .strip_prefix("ほか")
        .or_else(|| rest.strip_prefix(['ら', '他']))
    {
        return behind.starts_with(|c: char| is_digit(c) || matches!(c, '数' | '二' | '三' | '四' | '五'));
    }
    if is_travel(rest) {
        return false;
    }
    PARTICLES.iter().any(|particle| {
        rest.strip_prefix(particle).is_some_and(|behind| {
            // はじめ, もと, との: a given name in kana, or a company of two families.
            !behind.starts_with(['る', 'ー'])
                && (*particle != "は" || !behind.starts_with(['じ', 'る', 'な']))
                && (*particle != "と" || !behind.starts_with(['も', 'し']))
        })
    })
}

/// What is somebody's, in front of which nobody says what a company is called.
const OWNED: [&str; 46] = [
    "PC",
    "パソコン",
    "端末",
    "スマホ",
    "席",
    "机",
    "作業",
    "予定",
    "休み",
    "休暇",
    "件",
    "意見",
    "提案",
    "指示",
    "仕事",
    "報告",
    "コメント",
    "判断",
    "承認",
    "確認",
    "ミス",
    "発言",
    "名前",
    "自宅",
    "住所",
    "誕生日",
    "奥",
    "上司",
    "部下",
    "後任",
    "前任",
    "代わり",
    "アカウント",
    "メール",
    "権限",
    "評価",
    "給与",
    "年収",
    "体調",
    "入院",
    "送別",
    "歓迎",
    "異動",
    "復帰",
    "昇進",
    "印鑑",
];

/// Whether something leads from here to another place: から新松田へ, から上野まで.
fn is_travel(rest: &str) -> bool {
    let Some(behind) = rest.strip_prefix("から").or_else(|| rest.strip_prefix("より")) else {
        return false;
    };
    let near = behind
        .char_indices()
        .nth(8)
        .map_or(behind, |(at, _)| &behind[..at]);
    let aim = near.trim_start_matches(|c: char| is_kanji(c) || is_katakana(c));
    aim.len() < near.len()
        && (aim.starts_with("まで") || aim.starts_with('へ'))
        && !is_handed(&behind[near.len() - aim.len()..])
}

/// Whether a field or a clause ends in front of `rest`.
fn ends(scan: &Scan<'_>, before: &str, rest: &str) -> bool {
    let Some(next) = char_at(rest, 0) else {
        return true;
    };
    // 渡辺携帯：090-0000-1111, 渡辺代理→
    if let Some(behind) = rest
        .strip_prefix("携帯")
        .or_else(|| rest.strip_prefix("代理"))
        .or_else(|| rest.strip_prefix("両名"))
    {
        return !behind.starts_with(is_kanji) && !behind.starts_with(is_katakana);
    }
    if is_space(next) {
        let word = rest.trim_start_matches(is_space);
        let first = char_at(word, 0);
        // 渡辺 佐々木 10:00; not 渡辺 製作所.
        return first.is_none_or(|c| {
            is_digit(c)
                || !c.is_alphanumeric()
                || is_kanji(c)
                    && (is_list(scan, word)
                        || is_state(word)
                        || !before.ends_with(is_hiragana) && is_note(word))
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
        || next == '・' && is_list(scan, &rest[next.len_utf8()..])
}

/// Whether `rest` begins with a word that ends no name of a company or a shop: 橋本 見積もり依頼.
fn is_note(rest: &str) -> bool {
    const HOUSES: &str = "店所社院園館堂屋寺業産工房場科局会組設機械電器薬品章造計舗亭庵荘";
    let end = rest.find(|c: char| !is_kanji(c)).unwrap_or(rest.len());
    !rest[..end].ends_with(|c: char| HOUSES.contains(c)) && !rest[end..].starts_with(is_katakana)
}

/// Whether `rest` says where somebody is, or in whose place.
fn is_state(rest: &str) -> bool {
    [
        "代理", "不在", "休み", "休暇", "外出", "出張", "在席", "離席", "欠席", "遅刻", "早退", "有給",
        "在宅", "早番", "遅番", "夜勤", "日勤", "出社", "直行", "直帰", "対応", "担当",
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
