use super::text::half_width;
use crate::model::{PiiSpan, PiiType};

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
    format!("{family} *")
}

/// Finds names after a label and names before an honorific.
pub(super) fn find(text: &str, found: &mut Vec<PiiSpan>) {
    let mut marks = Vec::new();
    for label in LABELS {
        marks.extend(text.match_indices(label).map(|(at, _)| (at, Mark::Label(label))));
    }
    for honorific in HONORIFICS {
        let places = text.match_indices(honorific.text);
        marks.extend(places.map(|(at, _)| (at, Mark::Honorific(honorific))));
    }
    marks.sort_by_key(|(at, _)| *at);
    for (at, mark) in marks {
        match mark {
            Mark::Label(label) => after_label(text, at + label.len(), found),
            Mark::Honorific(honorific) => before_honorific(text, at, honorific, found),
        }
    }
}

enum Mark {
    Label(&'static str),
    Honorific(&'static Honorific),
}

const LABELS: &[&str] = &["氏名", "姓名", "お名前", "フルネーム", "担当者名"];

#[derive(Debug)]
struct Honorific {
    text: &'static str,
    /// How many kanji must stand before it.
    least: usize,
    /// It is part of another word before one of these.
    not_before: &'static [&'static str],
    /// It is part of another word after one of these alone.
    not_after_word: &'static [&'static str],
    /// It is part of another word after anything that ends in one of these.
    not_after_end: &'static [&'static str],
}

const HONORIFICS: &[Honorific] = &[
    Honorific {
        text: "様",
        least: 1,
        not_before: &["々", "子", "式", "相", "態", "変", "な", "に"],
        not_after_word: &[
            "一", "上", "主", "人", "何", "兄", "両", "各", "嬢", "多", "外", "奥", "姉", "姫", "左", "有",
            "殿", "母", "父", "王", "異", "神", "貴",
        ],
        not_after_end: &["仕", "同", "模", "皆", "客"],
    },
    Honorific {
        text: "さん",
        least: 1,
        not_before: &[],
        not_after_word: &[
            "兄", "奥", "妹", "姉", "娘", "婆", "嫁", "子", "孫", "屋", "弟", "母", "父", "爺", "息子", "神",
            "赤",
        ],
        not_after_end: &["皆", "客"],
    },
    Honorific {
        text: "氏",
        least: 2,
        not_before: &["名", "族", "神", "子"],
        not_after_word: &[],
        not_after_end: &["彼", "各", "両", "同", "某", "摂", "華"],
    },
    Honorific {
        text: "殿",
        least: 2,
        not_before: &["下", "堂"],
        not_after_word: &[],
        not_after_end: &["御", "宮", "神", "貴", "沈"],
    },
    Honorific {
        text: "くん",
        least: 2,
        not_before: &[],
        not_after_word: &[],
        not_after_end: &[],
    },
    Honorific {
        text: "ちゃん",
        least: 2,
        not_before: &["と"],
        not_after_word: &[],
        not_after_end: &[],
    },
];

/// Words for roles and bodies, before any honorific.
const ROLES: &[&str] = &[
    "会社",
    "部長",
    "課長",
    "係長",
    "社長",
    "店長",
    "担当",
    "担当者",
    "利用者",
    "管理者",
    "関係者",
    "責任者",
    "参加者",
    "読者",
    "医者",
    "業者",
    "患者",
    "株主",
    "顧客",
    "各社",
    "御社",
    "貴社",
    "弊社",
    "当社",
    "他社",
    "先生",
    "学生",
];

/// A longer run of kanji is no name.
const LONGEST: usize = 8;

/// Where the last name ends.
fn end_of(found: &[PiiSpan]) -> usize {
    found.last().map_or(0, |span| span.end)
}

fn before_honorific(text: &str, at: usize, honorific: &Honorific, found: &mut Vec<PiiSpan>) {
    if at < end_of(found) {
        return;
    }
    let after = &text[at + honorific.text.len()..];
    if honorific.not_before.iter().any(|word| after.starts_with(word)) {
        return;
    }
    let before = &text[end_of(found)..at];
    let given = last_run(before);
    let count = given.chars().count();
    let veto = honorific.not_after_word.contains(&given)
        || honorific.not_after_end.iter().any(|end| given.ends_with(end))
        || ROLES.iter().any(|role| given.ends_with(role));
    if count < honorific.least || count > LONGEST || veto {
        return;
    }
    let start = at - given.len();
    // A family name, one space, the given name.
    let front = &before[..before.len() - given.len()];
    let family = front.strip_suffix([' ', '\u{3000}']).map_or("", last_run);
    let start = if family.is_empty() || family.chars().count() > LONGEST {
        start
    } else {
        end_of(found) + front.trim_end_matches([' ', '\u{3000}']).len() - family.len()
    };
    found.push(PiiSpan::new(start, at, PiiType::Person));
}

/// The kanji at the end of `text`; of a run that is too long for a name, one character more than a name may have.
fn last_run(text: &str) -> &str {
    let length = text
        .chars()
        .rev()
        .take(LONGEST + 1)
        .take_while(|c| is_kanji(*c))
        .map(char::len_utf8)
        .sum::<usize>();
    &text[text.len() - length..]
}

fn after_label(text: &str, label_end: usize, found: &mut Vec<PiiSpan>) {
    let Some(start) = value_start(text, label_end) else {
        return;
    };
    let value = &text[start..];
    let first = first_word(value);
    if first.is_empty() {
        return;
    }
    let rest = &value[first.len()..];
    let second = match rest.strip_prefix([' ', '\u{3000}']) {
        Some(rest) => first_word(rest),
        None => "",
    };
    let end = if second.is_empty() {
        first.len()
    } else {
        rest.len() - rest.trim_start_matches([' ', '\u{3000}']).len() + first.len() + second.len()
    };
    // Masked already.
    if value[end..].starts_with(" *") {
        return;
    }
    if start >= end_of(found) {
        found.push(PiiSpan::new(start, start + end, PiiType::Person));
    }
}

/// Where the value of a label begins: after a colon or an equals sign, with spaces and quotation marks around it.
fn value_start(text: &str, label_end: usize) -> Option<usize> {
    let filler = |c: char| matches!(c, ' ' | '\u{3000}' | '"' | '\'' | '「');
    let rest = text[label_end..].trim_start_matches(filler);
    let rest = rest.strip_prefix([':', '：', '=', '＝'])?;
    Some(text.len() - rest.trim_start_matches(filler).len())
}

/// The name that `text` begins with, up to a space or an honorific.
fn first_word(text: &str) -> &str {
    let length = text
        .chars()
        .take(2 * LONGEST)
        .take_while(|c| is_name(*c))
        .map(char::len_utf8)
        .sum::<usize>();
    let word = &text[..length];
    HONORIFICS
        .iter()
        .find_map(|honorific| word.strip_suffix(honorific.text))
        .unwrap_or(word)
}

fn is_kanji(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '々' | 'ヶ' | '\u{20000}'..='\u{3ffff}')
}

fn is_name(c: char) -> bool {
    is_kanji(c)
        || matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | 'ー' | '・' | '\u{ff66}'..='\u{ff9f}')
        || half_width(c).is_ascii_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        crate::masking::first_forms::masked_by(find, text)
    }

    #[test]
    fn names_in_text() {
        for (text, masked) in [
            ("田中太郎様", "田中 *様"),
            ("田中 太郎さんから", "田中 *さんから"),
            ("田中　太郎様", "田中 *様"),
            ("林様と佐々木様", "林 *様と佐々 *様"),
            ("村上様", "村上 *様"),
            ("氏名: 田中太郎", "氏名: 田中 *"),
            ("氏名：田中　太郎、電話", "氏名：田中 *、電話"),
            ("氏名: 田中太郎様", "氏名: 田中 *様"),
            ("{\"氏名\": \"田中太郎\"}", "{\"氏名\": \"田中 *\"}"),
            ("お名前=タナカ タロウ", "お名前=タナカ *"),
            ("氏名: Taro Tanaka", "氏名: T *"),
            ("担当者名「田中」", "担当者名「田中」"),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(masked), masked);
        }
    }

    #[test]
    fn words_that_only_look_like_names_stay() {
        for text in [
            "皆様、お客様",
            "仕様の変更",
            "同様に",
            "様々な",
            "模様",
            "多様な",
            "奥様",
            "神様",
            "たくさん",
            "皆さん",
            "お母さん",
            "利用者様",
            "氏名の変更",
            "摂氏",
            "宮殿",
            "カズさん",
            "ソウルくん",
            "状況の様子",
        ] {
            assert_eq!(mask(text), text);
        }
    }

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
