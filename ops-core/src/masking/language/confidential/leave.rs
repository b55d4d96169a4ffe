//! Conditions that somebody is away for: 適応障害のため休職.

use super::super::letters::{Window, ends_with, is_digit, is_hiragana, is_kanji};
use super::super::scan::Scan;
use crate::model::PiiType;

/// What somebody is away for, or does, because of a condition.
const LEAVES: &[&str] = &[
    "休職", "療養", "休養", "静養", "通院", "入院", "治療", "欠勤", "闘病",
];

/// The characters that end these, and 休んで.
pub(in super::super) const LEAVE_ENDS: &str = "職養院療勤病休";

/// What joins a condition and what follows from it.
const REASONS: &[&str] = &[
    "のため",
    "の為",
    "による",
    "により",
    "にて",
    "を理由に",
    "が原因で",
    "で",
    "の",
];

/// Takes the condition for which somebody is away, where the word for that ends at `end`, or 休んで, 休み go on there; whether there was one.
pub(in super::super) fn on_leave(scan: &mut Scan<'_>, end: usize) -> bool {
    let text = scan.text;
    let head = &text[..end];
    let start = if head.ends_with('休') && text[end..].starts_with(['ん', 'み', 'む']) {
        end - '休'.len_utf8()
    } else if let Some(word) = LEAVES.iter().find(|word| head.ends_with(**word)) {
        end - word.len()
    } else {
        return false;
    };
    let window = Window::before(text, start, 36, |c| {
        !matches!(c, '。' | '\n' | '"' | '「' | '」' | '{' | '}' | '：' | ':')
    });
    let chars = window.chars();
    let mut to = chars.len();
    for _ in 0..2 {
        to = without_when(&chars[..to]);
        let reason = REASONS.iter().find(|reason| ends_with(&chars[..to], reason));
        let Some(reason) = reason else {
            return false;
        };
        to -= reason.chars().count();
        // 治療のため: the condition stands in front of it.
        match LEAVES.iter().find(|word| ends_with(&chars[..to], word)) {
            Some(word) => to -= word.chars().count(),
            None => break,
        }
    }
    let from = phrase_before(&chars[..to]);
    let phrase = &chars[from..to];
    if !is_disease(phrase) {
        return false;
    }
    scan.push(window.place(from), window.place(to), PiiType::Confidential);
    true
}

/// What says since when, until when, how long: 9月27日まで, 本日付で, しばらくの間.
const WHEN: &[&str] = &[
    "まで",
    "より",
    "付で",
    "付けで",
    "付け",
    "付",
    "の間",
    "間の",
    "半年の",
    "期の",
    "月の",
    "年の",
    "日の",
    "しばらく",
    "当分",
    "ずっと",
    "本日",
    "明日",
    "翌日",
    "ほど",
    "程度",
    "半年",
    "半ば",
    "初旬",
    "中旬",
    "下旬",
    "上旬",
    "急遽",
    "急きょ",
    "再び",
    "再度",
    "引き続き",
    "継続して",
    "緊急",
    "予定で",
    "夏",
    "秋",
    "冬",
    "春",
];

/// The length of `chars` without what they end with that says when or how often: 治療のため月2回.
fn without_when(chars: &[char]) -> usize {
    let filler = |c: char| {
        is_digit(c)
            || "月日年週回時間毎現在自宅定期的長短当面先昨今来から一二三四五六七八九十ヶか末、，/／.〜～~-\u{3000} ".contains(c)
    };
    let mut to = chars.len();
    loop {
        // により is a reason.
        let reason = ends_with(&chars[..to], "により");
        let word = WHEN.iter().find(|word| !reason && ends_with(&chars[..to], word));
        if let Some(word) = word {
            to -= word.chars().count();
        } else if to > 0 && filler(chars[to - 1]) {
            to -= 1;
        } else {
            return to;
        }
    }
}

/// Where the phrase without particles begins that `chars` end with.
pub(super) fn phrase_before(chars: &[char]) -> usize {
    let mut from = chars.len();
    while from > 0
        && (!is_hiragana(chars[from - 1])
            && !matches!(
                chars[from - 1],
                '、' | ' ' | '\u{3000}' | '（' | '(' | '，' | ',' | ']' | '】' | '＞' | '>'
            )
            || matches!(chars[from - 1], 'う' | 'つ' | 'ん')
                && from + 3 > chars.len().min(from + 3)
                && chars[from - 1..].iter().any(|c| is_kanji(*c)))
    {
        from -= 1;
    }
    from
}

/// What people have a disorder, an injury or a failure of.
const HEADS: &[&str] = &[
    "適応",
    "発達",
    "精神",
    "睡眠",
    "不安",
    "気分",
    "摂食",
    "パニック",
    "双極性",
    "人格",
    "強迫",
    "学習",
    "知的",
    "身体",
    "視覚",
    "聴覚",
    "視力",
    "聴力",
    "言語",
    "嚥下",
    "運動",
    "肢体",
    "内部",
    "高次脳機能",
    "記憶",
    "認知",
    "心",
    "腎",
    "肝",
    "肺",
    "呼吸",
    "腸",
    "胃",
    "脳",
    "脊髄",
    "神経",
    "統合",
    "更年期",
    "ストレス",
    "靭帯",
    "靱帯",
    "アキレス腱",
    "腱",
    "半月板",
    "膝",
    "肩",
    "腰",
    "足首",
    "筋",
    "骨",
    "眼底",
    "くも膜下",
    "月経",
    "アルコール",
    "薬物",
    "ギャンブル",
    "免疫",
];

/// Whether a phrase is the name of a disease or an injury, and not a word for any of them.
pub(super) fn is_disease(phrase: &[char]) -> bool {
    const ENDS: &[&str] = &[
        "病",
        "症",
        "炎",
        "癌",
        "がん",
        "ガン",
        "腫",
        "腫瘍",
        "潰瘍",
        "障害",
        "障がい",
        "骨折",
        "ヘルニア",
        "喘息",
        "不全",
        "うつ",
        "鬱",
        "梗塞",
        "卒中",
        "出血",
        "糖尿",
        "不眠",
        "貧血",
        "症候群",
        "アレルギー",
        "結核",
        "ポリープ",
        "インフルエンザ",
        "コロナ",
        "ウイルス感染",
        "捻挫",
        "脱臼",
        "断裂",
        "損傷",
        "結石",
        "麻痺",
        "痛風",
        "白内障",
        "緑内障",
        "めまい",
        "片頭痛",
        "偏頭痛",
        "腰痛",
        "狭窄",
        "高血圧",
        "不整脈",
        "リウマチ",
        "てんかん",
        "不妊",
        "悪阻",
        "失調",
        "依存",
        "拒食",
        "過食",
        "火傷",
        "熱傷",
    ];
    const GENERAL: &[&str] = &[
        "病",
        "症",
        "炎",
        "病気",
        "持病",
        "急病",
        "仮病",
        "疾病",
        "傷病",
        "私傷病",
        "看病",
        "闘病",
        "発症",
        "重症",
        "軽症",
        "炎症",
        "後遺症",
    ];
    let general = GENERAL.iter().any(|word| word.chars().eq(phrase.iter().copied()));
    // ネットワーク障害, ファイル損傷: of these, only what people have.
    let ambiguous = ["障害", "障がい", "損傷", "依存", "断裂", "失調", "不全", "出血"]
        .iter()
        .any(|end| ends_with(phrase, end));
    let head = || (1..phrase.len()).any(|at| HEADS.iter().any(|head| ends_with(&phrase[..at], head)));
    phrase.len() >= 2 && !general && ENDS.iter().any(|end| ends_with(phrase, end)) && (!ambiguous || head())
}
