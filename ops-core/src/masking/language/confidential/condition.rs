//! Diseases and states of health.

use super::super::labels::{Label, Link, Value};
use super::super::letters::{
    Window, char_at, char_before, is_digit, is_hiragana, is_kanji, is_katakana, is_latin, is_space,
};
use super::super::lexicon::{Entry, Lexicon};
use super::super::scan::Scan;
use super::leave::{is_disease, phrase_before};
use crate::model::PiiType;

/// Words of diseases and states; a phrase with one of them is a condition.
pub(in super::super) const CONDITIONS: &str = "病 症 炎 癌 腫 瘍 障害 障がい 不全 喘息 骨折 ヘルニア 梗塞 卒中 血圧 貧血 糖尿 脂質異常 肥満 妊娠 要再検査 再検査 精密検査 要治療 経過観察 要受診 要観察 異常 所見 アレルギー アトピー うつ 鬱 不眠 めまい 頭痛 腰痛 \
    陽性 陰性 感染 インフルエンザ コロナ 手術 花粉 良好 判定 がん ポリープ 結石 潰瘍 麻痺 難聴 失聴 白内障 緑内障 捻挫 脱臼 断裂 損傷 打撲 火傷 やけど 痛風 リウマチ てんかん 片頭痛 偏頭痛 自律神経 更年期 ぜんそく 自閉 発達 双極 統合失調 パニック 過労 ストレス \
    高血糖 低血糖 甲状腺 肝炎 胃炎 腎 透析 狭心 不整脈 心房細動 動脈 静脈 血栓 脳 認知 パーキンソン エイズ 結核 肺 帯状疱疹 ヘルペス 湿疹 蕁麻疹 貧 無呼吸 拒食 過食 依存 中毒 流産 切迫 早産 つわり 乳腺 子宮 卵巣 前立腺 そば 卵 小麦 乳製品 落花生 えび かに ピーナッツ ペニシリン 甲殻類 \
    要精査 要医療 脂肪肝 メタボ 高値 低値 基準値 尿酸 コレステロール 健康 疲労 腱鞘 椎間板 靭帯 半月板 ぎっくり 痔 虫垂 盲腸 胆石 胆のう 膵 大腸 便秘 下痢 嘔吐 発熱 咳 疼痛 しびれ 神経痛 坐骨 むち打ち 頸椎 鼻 副鼻腔 中耳 網膜 近視 弱視 色覚 吃音 杖 車椅子 ペースメーカー 人工 ダウン 血友 白血 悪性 良性 転移 不調 休職 休養 療養 入院 \
    腹痛 胸痛 歯痛 胃痛 関節痛 筋肉痛 動悸 倦怠 悪寒 高熱 微熱 浮腫 鼻水";

/// The phrase for a condition at the beginning of a value.
pub(super) fn condition(scan: &Scan<'_>, label: Label, value: Value) -> Option<(usize, usize)> {
    let text = scan.text;
    let start = value.start;
    let first = char_at(text, start)?;
    if let Some(closer) = value.closer {
        let window = Window::after(text, start, 47, |c| {
            c != closer && !matches!(c, '\n' | '\\' | '{' | '}')
        });
        if char_at(text, window.end()) == Some(closer) || text[window.end()..].starts_with('\\') {
            let chars = trimmed(window.chars());
            let end = window.place(chars);
            let phrase = &window.chars()[..chars];
            let quoted = matches!(closer, '"' | '\'' | '」' | '』');
            let fits = is_condition(scan.lexicon, phrase)
                || (label == Label::Condition || quoted && !first.is_ascii())
                    && !is_other(&text[start..end])
                    && phrase.len() > 1;
            return (fits && !is_nothing(&text[start..end])).then_some((start, end));
        }
        return None;
    }
    let english = if first.is_ascii_alphabetic() {
        // HIV陽性 goes on in Japanese.
        english_phrase(text, start)
            .filter(|end| !char_at(text, *end).is_some_and(|c| is_kanji(c) || is_katakana(c)))
    } else {
        None
    };
    let end = english.or_else(|| japanese_phrase(scan.lexicon, text, start))?;
    let phrase = &text[start..end];
    let window = Window::after(phrase, 0, 47, |_| true);
    let known = is_condition(scan.lexicon, window.chars());
    let sure = label == Label::Condition && value.link == Link::Sign && !is_other(phrase);
    ((known || sure) && !is_nothing(phrase)).then_some((start, end))
}

fn trimmed(chars: &[char]) -> usize {
    chars
        .iter()
        .rposition(|c| !is_space(*c))
        .map_or(0, |last| last + 1)
}

fn is_nothing(phrase: &str) -> bool {
    [
        "なし",
        "無し",
        "無",
        "特になし",
        "特に無し",
        "none",
        "None",
        "N/A",
        "n/a",
        "null",
        "不明",
        "未入力",
        "判定",
        "結果",
        "ok",
        "OK",
        "true",
        "false",
        "-",
    ]
    .contains(&phrase)
}

/// Whether a phrase says why no condition is told, or that it is not known yet: 確認中, 未記入, 別紙参照, pending.
fn is_remark(phrase: &str) -> bool {
    const BEGINS: &[&str] = &[
        "未",
        "非公開",
        "非開示",
        "要確認",
        "別紙",
        "別添",
        "別途",
        "同上",
        "同左",
        "前回",
        "後日",
        "該当",
        "特記",
        "申告",
        "申し出",
        "記載",
        "記入",
        "回答",
        "入力",
        "確認",
        "問診",
        "本人",
        "省略",
        "伏せ",
        "秘密",
        "個人情報",
        "無回答",
        "上記",
        "下記",
        "備考",
        "参照",
        "空欄",
        "なし",
        "無し",
    ];
    const GOING_ON: &[&str] = &[
        "確認",
        "調査",
        "照会",
        "検査",
        "問合せ",
        "問い合わせ",
        "入力",
        "作成",
        "準備",
        "申請",
        "審査",
        "精査",
        "聴取",
        "集計",
        "検討",
        "調整",
        "対応",
        "手続き",
        "手続",
        "問診",
        "回答",
        "鑑別",
    ];
    const ENGLISH: &[&str] = &[
        "unknown",
        "pending",
        "tbd",
        "tba",
        "not ",
        "no ",
        "none",
        "nil",
        "see ",
        "to be ",
        "under ",
        "withheld",
        "undisclosed",
        "unspecified",
        "awaiting",
        "in progress",
        "nkda",
        "nka",
        "yes",
        "undefined",
        "empty",
        "deferred",
        "declined",
        "unconfirmed",
        "confidential",
        "same ",
    ];
    let going_on = ["中", "待ち", "待", "済み", "済"]
        .iter()
        .find_map(|end| phrase.strip_suffix(end))
        .is_some_and(|head| GOING_ON.iter().any(|word| head.ends_with(word)));
    let english = || {
        let small = phrase.to_ascii_lowercase();
        ENGLISH.iter().any(|word| match word.strip_suffix(' ') {
            Some(_) => small.starts_with(word),
            None => small == *word,
        })
    };
    going_on
        || BEGINS.iter().any(|word| phrase.starts_with(word))
        || phrase.starts_with(|c: char| c.is_ascii_alphabetic()) && english()
}

/// Whether a phrase is a date, a number or another remark.
fn is_other(phrase: &str) -> bool {
    let first = phrase.chars().next();
    is_remark(phrase)
        || first.is_some_and(|c| is_digit(c) && !phrase.ends_with('級'))
        || [
            "実施", "予定", "案内", "受診", "予約", "結果", "提出", "記録", "一覧", "毎年", "対象", "会場",
            "日程", "必須", "任意", "詳細", "有無", "の", "new", "used",
        ]
        .iter()
        .any(|word| phrase.starts_with(word) || phrase.ends_with(word))
}

/// Whether a phrase has a word of a disease or state.
fn is_condition(lexicon: &Lexicon, chars: &[char]) -> bool {
    (0..chars.len()).any(|from| {
        (1..=6.min(chars.len() - from)).any(|length| {
            let word = &chars[from..from + length];
            // Of Latin letters, the same bit says that it is a name.
            !word.iter().all(char::is_ascii) && lexicon.word(word).is(Entry::CONDITION)
        })
    }) || chars.iter().any(|c| c.is_ascii_alphabetic())
        && is_english_condition(&chars.iter().collect::<String>())
}

/// Whether a phrase in English has a word of a disease or state.
pub(super) fn is_english_condition(phrase: &str) -> bool {
    const WORDS: &[&str] = &[
        "disease",
        "disorder",
        "syndrome",
        "itis",
        "diabetes",
        "cancer",
        "asthma",
        "depress",
        "hypertension",
        "anxiety",
        "allerg",
        "anemia",
        "arthritis",
        "migraine",
        "epilepsy",
        "pregnan",
        "fracture",
        "hernia",
        "stroke",
        "tumor",
        "insomnia",
        "hiv",
        "covid",
        "flu",
        "infection",
        "peanut",
        "penicillin",
        "shellfish",
        "injury",
        "surgery",
        "bipolar",
        "schizo",
        "autism",
        "adhd",
        "ptsd",
        "gout",
        "glaucoma",
        "cataract",
        "pneumonia",
        "tubercul",
        "angina",
        "apnea",
        "obes",
        "osteo",
        "sclerosis",
        "leukemia",
        "addiction",
        "blood pressure",
        "cholesterol",
        "pain",
        "failure",
        "burnout",
        "lupus",
        "celiac",
        "thyroid",
        "kidney",
        "liver",
        "heart",
        "chronic",
        "acute",
        "re-examination",
        "abnormal",
        "follow-up",
        "disab",
        "impair",
        "headache",
        "toothache",
        "nausea",
        "fever",
        "cough",
        "vomit",
        "fatigue",
        "dizz",
    ];
    let phrase = phrase.to_ascii_lowercase();
    WORDS.iter().any(|word| phrase.contains(word))
}

/// Beginnings of conditions in hiragana.
const KANA: &[&str] = &[
    "うつ",
    "がん",
    "ぜんそく",
    "ぜん息",
    "てんかん",
    "めまい",
    "のう",
    "ぎっくり",
    "やけど",
    "じん",
    "けいれん",
    "しびれ",
    "むち打ち",
    "そば",
    "えび",
    "かに",
    "たん",
    "ひざ",
    "てんかん",
    "りんご",
    "ピーナッツ",
    "さば",
    "くも",
    "ばね",
    "ぢ",
    "あり",
    "へんとう",
    "もや",
];

/// The end of a phrase in Japanese that begins at `start`.
fn japanese_phrase(lexicon: &Lexicon, text: &str, start: usize) -> Option<usize> {
    let window = Window::after(text, start, 24, |c| {
        is_kanji(c)
            || is_katakana(c)
            || is_hiragana(c)
            || is_latin(c)
            || is_digit(c)
            || matches!(c, '・' | '+' | '-')
    });
    let chars = window.chars();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if !is_hiragana(c) {
            at += 1;
            continue;
        }
        let word = KANA.iter().find(|word| {
            let mut rest = chars[at..].iter();
            word.chars().all(|c| rest.next() == Some(&c))
        });
        match word {
            Some(word) if *word != "あり" => at += word.chars().count(),
            // 異常なし, 所見なし
            None if at >= 2
                && chars[at..].starts_with(&['な', 'し'])
                && matches!(chars[at - 2..at], ['異', '常'] | ['所', '見']) =>
            {
                at += 2
            }
            // 右膝の靭帯損傷; but 糖尿病の治療.
            None if c == 'の'
                && at > 0
                && chars.get(at + 1).is_some_and(|c| is_kanji(*c))
                && !is_condition(lexicon, &chars[..at]) =>
            {
                at += 1
            }
            _ => break,
        }
    }
    // アレルギー：卵
    let single = at == 1 && matches!(chars[0], '卵' | '鬱' | '痔' | '癌');
    (at > 1 || single).then(|| window.place(at))
}

/// The condition behind the comma at `end`, in a list: 高血圧症、糖尿病.
pub(super) fn next_condition(scan: &Scan<'_>, end: usize) -> Option<(usize, usize)> {
    let text = scan.text;
    let joint = char_at(text, end).filter(|c| matches!(c, '、' | '，' | ',' | '／' | '/' | 'と'))?;
    let mut start = end + joint.len_utf8();
    if text[start..].starts_with(' ') {
        start += 1;
    }
    let to = japanese_phrase(scan.lexicon, text, start)?;
    let phrase = Window::after(&text[start..to], 0, 47, |_| true);
    // 糖尿病、アレルギー：なし: what a sign follows is a label.
    let label = text[to..].starts_with([':', '：', '=', '＝', '】', '」', '"']);
    (!label && is_condition(scan.lexicon, phrase.chars()) && !is_nothing(&text[start..to]))
        .then_some((start, to))
}

/// The end of a phrase in English that begins at `start`.
pub(super) fn english_phrase(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start..];
    let mut end = 0;
    for (at, c) in rest.char_indices().take(60) {
        if !(c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '\'' | '/')) {
            break;
        }
        if c == ' '
            && [
                " and ",
                " in ",
                " on ",
                " since ",
                " by ",
                " at ",
                " for ",
                " was ",
                " is ",
                " as ",
                " but ",
                " last ",
                " this ",
                " after ",
                " before ",
                " until ",
                " from ",
                " through ",
                " so ",
                " starting ",
            ]
            .iter()
            .any(|word| rest[at..].starts_with(word))
        {
            break;
        }
        if c != ' ' {
            end = at + c.len_utf8();
        }
    }
    // diagnosis=hepatitis C staff=12: the next key is not of it.
    if rest[end..].starts_with('=')
        && let Some(space) = rest[..end].rfind(' ')
    {
        end = space;
    }
    (end > 1).then_some(start + end)
}

/// Takes the condition in front of 「と診断され」 or 「の診断」, where `診断` begins at `start`; whether there was one.
pub(in super::super) fn diagnosed(scan: &mut Scan<'_>, start: usize) -> bool {
    let text = scan.text;
    let Some(joint) = char_before(text, start).filter(|c| matches!(c, 'と' | 'の')) else {
        return false;
    };
    let end = start - joint.len_utf8();
    let window = Window::before(text, end, 16, |c| {
        is_kanji(c) || is_katakana(c) || is_hiragana(c) || is_latin(c) || is_digit(c)
    });
    let chars = window.chars();
    let from = phrase_before(chars);
    let phrase = &chars[from..];
    // 喘息と診断され, 喘息の診断を; 機器の診断 is none.
    if phrase.is_empty() || !is_condition(scan.lexicon, phrase) || joint == 'の' && !is_disease(phrase) {
        return false;
    }
    scan.push(window.place(from), end, PiiType::Confidential);
    true
}
