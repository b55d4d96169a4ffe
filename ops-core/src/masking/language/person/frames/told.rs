//! What is told behind a surname: が担当, 宛, です.

use super::super::super::letters::{Window, char_at, is_digit, is_kanji, is_katakana};
use super::super::super::lexicon::Entry;
use super::super::super::scan::Scan;
use super::super::labelled::is_handed;
use super::super::parse::{self, Points, begins_with_title, is_name};
use super::namesakes::is_place;

/// Whether somebody who is called so is spoken of: 奥村という者, 奥村って人.
pub(super) fn is_told_of(rest: &str) -> bool {
    let called = ["という", "っていう", "と言う", "とかいう", "って", "なる"]
        .iter()
        .find_map(|sign| rest.strip_prefix(sign));
    called.is_some_and(|who| {
        ["者", "方", "人", "男", "女", "社員", "担当", "客"]
            .iter()
            .any(|word| {
                who.strip_prefix(word).is_some_and(|behind| {
                    !behind.starts_with(|c: char| is_kanji(c)) || behind.starts_with(['物', '性', '者'])
                })
            })
    })
}

/// Whether a department in brackets follows: 奥村（営業）.
pub(super) fn is_of_department(scan: &Scan<'_>, rest: &str) -> bool {
    let Some(note) = rest.strip_prefix(['(', '（']) else {
        return false;
    };
    let window = Window::after(note, 0, 12, |c| is_kanji(c) || is_katakana(c));
    let chars = window.chars();
    let chars = match chars {
        [stem @ .., '部' | '課' | '室' | '局'] => stem,
        _ => chars,
    };
    let closed = note[window.end()..].starts_with([')', '）']);
    let stem = scan.lexicon.stems.longest(chars.iter().rev().copied());
    closed && stem.is_some_and(|(length, ())| length == chars.len())
}

/// Whether another surname follows, of whom with this one something is told that people do: 奥村、八木が対応.
pub(super) fn is_paired(scan: &Scan<'_>, rest: &str) -> bool {
    let Some(next) = rest.strip_prefix(['、', '・', 'と', '／']) else {
        return false;
    };
    let window = Window::after(next, 0, 8, is_name);
    let Some((length, Points::SURNAME)) = parse::forward(scan.lexicon, window.chars()) else {
        return false;
    };
    let name = &window.chars()[..length];
    let behind = &next[window.place(length)..];
    let told = VERBS
        .iter()
        .chain(DEEDS)
        .chain(&[
            "で対応",
            "で担当",
            "で分担",
            "の二名",
            "の2名",
            "の２名",
            "の両名",
        ])
        .any(|sign| behind.starts_with(sign));
    told && !scan.lexicon.word(name).is(Entry::ORDINARY) && !is_place(scan, name)
}

/// Whether somebody takes over from the person in front of `rest`: 坂本から阿部へ引き継ぎました.
pub(super) fn hands_over(scan: &Scan<'_>, rest: &str) -> bool {
    let Some(next) = rest.strip_prefix("から").or_else(|| rest.strip_prefix("より")) else {
        return false;
    };
    let window = Window::after(next, 0, 8, is_name);
    let Some((length, points)) = parse::forward(scan.lexicon, window.chars()) else {
        return false;
    };
    points >= Points::SURNAME
        && !is_place(scan, &window.chars()[..length])
        && is_handed(&next[window.place(length)..])
}

/// What people do, and what is done with them; of a place or a company hardly anybody says so.
pub(super) const DEEDS: &[&str] = &[
    "が欠勤",
    "が退職",
    "が退社",
    "が入社",
    "が異動",
    "が着任",
    "が離席",
    "が外出",
    "が休暇",
    "が休み",
    "が休ん",
    "が同行",
    "が同席",
    "が転勤",
    "が産休",
    "が育休",
    "が早退",
    "が遅刻",
    "が代理",
    "が代わり",
    "が立ち会",
    "が立会",
    "が席を",
    "が出張",
    "が議長",
    "が書記",
    "が幹事",
    "が折り返",
    "が訪問",
    "に相談",
    "に報告",
    "に引継",
    "に伝え",
    "に頼",
    "に任せ",
    "に電話し",
    "に電話を",
    "にお電話",
    "にメールし",
    "にバトン",
    "へバトン",
    "に交代",
    "へ交代",
    "に変わ",
    "へ変わ",
    "に代わ",
    "へ代わ",
    "に替わ",
    "へ替わ",
    "と面談",
    "と面会",
    "と相談",
    "と打ち合わせ",
    "と打合せ",
    "と同行",
    "と会食",
    "と協議",
    "を採用",
    "を任命",
    "を指名",
    "を推薦",
    "を表彰",
    "を後任",
    "の携帯",
    "の内線",
    "の後任",
    "の名刺",
    "の署名",
    "の退職",
    "の有給",
    "の勤怠",
    "の代理",
];

/// Whether a note about a person follows a name: 津田太一（社員番号102066）.
pub(in super::super) fn is_noted(rest: &str) -> bool {
    const NOTES: [&str; 22] = [
        "社員",
        "職員",
        "従業員",
        "会員",
        "内線",
        "生年",
        "患者",
        "学籍",
        "旧姓",
        "年齢",
        "電話",
        "携帯",
        "連絡先",
        "フリガナ",
        "ふりがな",
        "敬称",
        "男性",
        "女性",
        "当時",
        "仮名",
        "享年",
        "代理",
    ];
    let Some(note) = rest.strip_prefix(['(', '（']) else {
        return false;
    };
    let aged = note.trim_start_matches(|c: char| is_digit(c));
    NOTES.iter().any(|word| note.starts_with(word))
        || aged.len() < note.len()
            && (aged.starts_with(['歳', '才', ')', '）']) && note.len() - aged.len() < 7)
}

/// What somebody says of themselves and of who works for them, never of a place.
pub(super) const HUMBLE: [&str; 7] = [
    "が承り",
    "が伺",
    "がお伺",
    "が参り",
    "が代理で",
    "が代わりに",
    "がお届け",
];

pub(super) const VERBS: &[&str] = &[
    "が務め",
    "が司会",
    "が担当",
    "が対応",
    "宛に",
    "宛て",
    "まで連絡",
    "までご連絡",
    "に連絡",
    "へ連絡",
    "から連絡",
    "からご連絡",
    "より連絡",
    "よりご連絡",
    "に確認済",
    "が不在",
    "が欠席",
    "が出席",
    "から相談",
    "より相談",
    "から報告",
    "より報告",
    "から申し出",
    "まで（内",
    "まで(内",
    "に引き継",
    "へ引き継",
    "に転送",
    "へ転送",
    "に依頼",
    "へ依頼",
];

/// Whether somebody says their own name in front of `rest`: です, and no more of a clause.
pub(super) fn says_so(rest: &str) -> bool {
    rest.strip_prefix("です").is_some_and(|rest| {
        rest.is_empty()
            || rest.starts_with([
                '。', '、', '．', '，', '.', ',', '！', '!', '\n', '\r', '」', ' ', '　', '(', '（', '<', '"',
            ])
            || rest.starts_with('が')
            || rest.starts_with("けど")
    })
}

/// Whether the name in front of `rest` is asked or told something.
pub(super) fn is_asked(rest: &str) -> bool {
    [
        "まで",
        "迄",
        "が担当",
        "が対応",
        "が伺",
        "に連絡",
        "にご連絡",
        "へ連絡",
        "へご連絡",
        "にお問",
        "へお問",
        "に確認",
        "に相談",
        "にご相談",
    ]
    .iter()
    .any(|sign| rest.starts_with(sign))
}

/// Whether something is sent to the name in front of `rest`: 鈴木宛. Parcels go to places, too: 千葉宛の荷物.
pub(super) fn addressed(rest: &str, ordinary: bool) -> bool {
    rest.strip_prefix('宛').is_some_and(|rest| {
        let place = ordinary && rest.starts_with('の');
        !(place || rest.starts_with(is_kanji))
    })
}

/// Whether a clause or a field ends in front of `rest`.
pub(in super::super) fn ends_clause(rest: &str) -> bool {
    char_at(rest, 0).is_none_or(|c| !is_name(c) && !c.is_alphanumeric() && !matches!(c, '・' | 'ー'))
}

/// Whether a particle or a title of a person follows; of a place, `の` does too.
pub(in super::super) fn is_particle(rest: &str, role: bool) -> bool {
    const PARTICLES: [&str; 14] = [
        "は", "が", "を", "に", "へ", "と", "も", "から", "より", "まで", "宛", "ほか", "です", "さん",
    ];
    let mut next = rest.chars();
    let chars = [next.next(), next.next(), next.next()].map(|c| c.unwrap_or('\0'));
    PARTICLES.iter().any(|particle| rest.starts_with(particle))
        || role && rest.starts_with('の')
        || begins_with_title(&chars)
}
