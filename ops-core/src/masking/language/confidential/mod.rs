//! Salaries, evaluation grades, health conditions: the value behind a label.

mod condition;
mod grade;
mod leave;
mod money;

pub(super) use self::condition::{CONDITIONS, diagnosed};
pub(super) use self::leave::{LEAVE_ENDS, on_leave};

use self::condition::{condition, english_phrase, is_english_condition, next_condition};
use self::grade::grade;
use self::money::{changed, money};
use super::labels::{Label, Link, Value};
use super::lexicon::{Lexicon, SEED, step};
use super::scan::Scan;
use crate::model::PiiType;

/// Takes the value that a label announces; whether there was one.
pub(super) fn labelled(scan: &mut Scan<'_>, label: Label, value: Value, label_start: usize) -> bool {
    let text = scan.text;
    let found = match label {
        Label::Money => money(text, value),
        Label::Grade => grade(text, value, true),
        Label::Rating if is_of_something(text, label_start) => None,
        Label::Rating => grade(text, value, is_of_person(text, label_start)),
        // The result of an examination, of people and not of things.
        Label::Health if text[label_start..].starts_with("判定") && !is_of_health(text, label_start) => {
            None
        }
        Label::Health if text[label_start..].starts_with("判定") => {
            condition(scan, label, value).or_else(|| grade(text, value, false))
        }
        Label::Condition | Label::Health => condition(scan, label, value),
        Label::Name(_) | Label::Account | Label::Address | Label::Department | Label::Secret => None,
    };
    let Some((start, end)) = found else {
        return false;
    };
    scan.take(start, end, PiiType::Confidential);
    let mut last = end;
    for _ in 0..MOST_IN_LIST {
        let next = match label {
            Label::Money => changed(text, last),
            Label::Condition if value.link == Link::Sign => next_condition(scan, last),
            _ => None,
        };
        let Some((start, end)) = next else {
            break;
        };
        scan.take(start, end, PiiType::Confidential);
        last = end;
    }
    true
}

/// How many values behind the first one of a label are looked for.
const MOST_IN_LIST: usize = 6;

/// Whether the evaluation that begins at `start` is of goods, companies or risks.
fn is_of_something(text: &str, start: usize) -> bool {
    const THINGS: &[&str] = &[
        "商品",
        "製品",
        "レビュー",
        "店",
        "サービス",
        "信用",
        "格付",
        "口コミ",
        "映画",
        "ホテル",
        "物件",
        "企業",
        "取引先",
        "仕入先",
        "リスク",
        "脆弱",
        "重要度",
        "品質",
        "満足度",
        "銘柄",
        "債券",
        "耐震",
        "評判",
        "作品",
        "燃費",
        "会員",
        "顧客",
        "環境",
        "安全",
        "検索",
        "性能",
        "優先",
        "影響",
        "product",
        "movie",
        "credit",
        "restaurant",
        "sku",
        "item",
        "hotel",
        "bond",
        "seller",
        "esrb",
        "risk",
        "star",
        "shop",
        "page",
        "seo",
        "ssl",
        "quality",
        "score\":",
        "severity",
        "review",
        "stock",
        "fuel",
        "price",
        "isbn",
        "book",
        "app",
        "food",
        "hygiene",
        "energy",
        "vendor",
        "supplier",
    ];
    // Directly in front: 商品評価, 会員ランク.
    let line = before(text, start, 120);
    let near = before(text, start, 48);
    THINGS.iter().any(|thing| {
        if thing.is_ascii() {
            contains_ignoring_case(line, thing)
        } else {
            near.contains(thing)
        }
    }) && !contains_any(
        line,
        &[
            "employee",
            "performance",
            "reviewee",
            "\"emp\"",
            "\"period\"",
            "社員",
            "人事",
            "さんの",
            "氏の",
            "君の",
        ],
    )
}

/// Whether the line up to `start` speaks of an employee or a salary.
fn is_of_person(text: &str, start: usize) -> bool {
    contains_any(
        before(text, start, 160),
        &[
            "employee",
            "salary",
            "performance",
            "staff",
            "社員",
            "従業員",
            "人事",
            "さん",
            "氏",
            "年収",
            "給与",
            "賞与",
            "査定",
            "考課",
            "上司",
            "bonus",
            "manager",
            "evaluation",
            "member",
            "部長",
            "課長",
        ],
    )
}

/// Whether the line up to `start` speaks of a medical examination.
fn is_of_health(text: &str, start: usize) -> bool {
    contains_any(
        before(text, start, 120),
        &["健診", "検診", "健康診断", "受診", "人間ドック"],
    )
}

fn before(text: &str, end: usize, most: usize) -> &str {
    let mut from = end.saturating_sub(most);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let near = &text[from..end];
    near.rsplit('\n').next().unwrap_or(near)
}

fn contains_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        if word.is_ascii() {
            contains_ignoring_case(text, word)
        } else {
            text.contains(word)
        }
    })
}

fn contains_ignoring_case(text: &str, word: &str) -> bool {
    text.as_bytes()
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a word may begin behind the space at `at` for which [`english`] looks, by its first two letters.
#[inline]
pub(super) fn may_be_english(bytes: &[u8], at: usize) -> bool {
    matches!(
        bytes.get(at + 1..),
        Some([b'i', b's', ..] | [b'o', b'f' | b'n', ..] | [b'w', b'a' | b'i', ..])
    )
}

/// What is done to a salary.
const RAISES: [&str; 6] = [
    "raised to ",
    "increased to ",
    "cut to ",
    "reduced to ",
    "set to ",
    "adjusted to ",
];

/// Takes the value behind `is`, `of`, `was` or `with` at the space at `at`: salary of $85,000, diagnosed with asthma.
pub(super) fn english(scan: &mut Scan<'_>, at: usize) {
    let text = scan.text;
    let bytes = text.as_bytes();
    let away = [
        "on leave for ",
        "on sick leave for ",
        "on medical leave for ",
        "on leave due to ",
    ]
    .iter()
    .find(|words| bytes[at + 1..].starts_with(words.as_bytes()));
    if let Some(words) = away {
        let start = at + 1 + words.len();
        if let Some(end) = english_phrase(text, start).filter(|end| is_english_condition(&text[start..*end]))
        {
            scan.take(start, end, PiiType::Confidential);
        }
        return;
    }
    // out sick with pneumonia
    let sick = ["sick", "hospitalized", "hospitalised", "ill", "bed"]
        .iter()
        .any(|word| bytes[..at].ends_with(word.as_bytes()));
    if sick && bytes[at + 1..].starts_with(b"with ") {
        let start = at + 1 + "with ".len();
        if let Some(end) = english_phrase(text, start).filter(|end| is_english_condition(&text[start..*end]))
        {
            scan.take(start, end, PiiType::Confidential);
        }
        return;
    }
    let link = ["is ", "of ", "was ", "with ", "will be "]
        .iter()
        .find(|link| bytes[at + 1..].starts_with(link.as_bytes()));
    let Some(link) = link else {
        return;
    };
    let Some(label) = english_label(scan.lexicon, without_period(&bytes[..at])) else {
        return;
    };
    let mut start = at + 1 + link.len();
    // was raised to $120,500
    let step = RAISES
        .iter()
        .find(|step| bytes[start..].starts_with(step.as_bytes()));
    start += step.map_or(0, |step| step.len());
    if matches!(bytes.get(start), Some(b'"' | b'\'')) {
        start += 1;
    }
    let value = Value {
        start,
        link: Link::Word,
        closer: None,
    };
    let found = match label {
        Label::Money => money(text, value),
        Label::Grade | Label::Rating if is_of_person(text, at) && !is_of_something(text, at) => {
            grade(text, value, true)
        }
        Label::Condition if bytes[..at].ends_with(b"diagnosed") || bytes[..at].ends_with(b"diagnosis") => {
            english_phrase(text, start).map(|end| (start, end))
        }
        _ => None,
    };
    if let Some((start, end)) = found {
        scan.take(start, end, PiiType::Confidential);
    }
}

/// `text` without whom or which year it may end with: rating for FY2024, salary for Satoshi Ishiguro.
fn without_period(text: &[u8]) -> &[u8] {
    let near = &text[text.len().saturating_sub(40)..];
    let joint = b" for ";
    let Some(at) = memchr::memmem::rfind(near, joint) else {
        return text;
    };
    let rest = &near[at + joint.len()..];
    if rest.contains(&b'\n') {
        return text;
    }
    let words = rest.split(|byte| *byte == b' ');
    let named = |word: &[u8]| {
        word.first()
            .is_some_and(|first| first.is_ascii_uppercase() || first.is_ascii_digit())
    };
    match words.clone().count() <= 3 && words.into_iter().all(named) {
        true => &text[..text.len() - near.len() + at],
        false => text,
    }
}

/// What the word says that ends `text`.
fn english_label(lexicon: &Lexicon, text: &[u8]) -> Option<Label> {
    let mut hash = SEED;
    for byte in text
        .iter()
        .rev()
        .take(16)
        .take_while(|byte| byte.is_ascii_alphabetic())
    {
        hash = step(hash, char::from(*byte));
    }
    lexicon.keys.get(hash).flatten()
}
