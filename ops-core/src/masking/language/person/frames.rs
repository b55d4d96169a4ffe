//! Frames in which a surname alone is a person: 安藤です behind a greeting, 弊社中村が, 旧姓清水, 鈴木宛.

use super::super::labels::{Label, Strength};
use super::super::letters::{
    Window, char_at, char_before, is_digit, is_hiragana, is_kanji, is_katakana, is_space,
};
use super::super::lexicon::{Entry, hash};
use super::super::scan::Scan;
use super::bare::introduces;
use super::honorific::is_company;
use super::labelled::{is_handed, others};
use super::parse::{self, Points, begins_with_title, is_name};
use crate::model::PiiType;

/// Words for one's own side and the other one, which names touch: 先方五十嵐社長, 弊社中村が.
pub(super) const SIDES: &str = "先方 当方 弊方 弊社 当社 御社 貴社 弊店 当店 弊行 当行 弊所 当所";

/// The last characters of [`SIDES`].
pub(in super::super) const SIDE_ENDS: &str = "方社店行所";

/// Surnames that are other words where a surname alone could stand.
const NOUNS: &str = "仲間 出口 根本 中元 三角 大家 野原 別所 国分 川端 朝日 小口 真下 南部 並木 内海 木戸 長屋 竹林 松林 石垣 石橋 \
    鳥居 上地 下地 地下 川上 川下 坂下 坂上 山中 山上 水口 向後 門田 戸口 井戸 大道 大門 白木 白土 植木 金山 銀座 春日 早瀬 東 西 南 北 \
    中 今 仲 前 向 奥 新 所 城 平 林道 角 長 高 見 境 乾 西口 東口 南口 北口 入口 裏口 表口 中央";

/// Surnames that are rather places, by the side of the prefectures, where a surname alone could be either: cities, wards, stations.
const PLACES: &str = "神戸 青山 神田 品川 渋谷 目黒 大宮 川口 川崎 浦和 所沢 川越 船橋 松戸 柏 町田 立川 赤坂 大崎 目白 巣鴨 蒲田 鶴見 戸塚 \
    厚木 梅田 京橋 堺 高槻 茨木 豊中 芦屋 西宮 明石 姫路 灘 伏見 宇治 大津 草津 彦根 津 鈴鹿 伊勢 金沢 高松 水戸 高崎 前橋 浜松 岡崎 福山 倉敷 \
    小倉 那覇 仙台 郡山 日立 日光 熱海 三島 沼津 舞鶴 天理 難波 新宿 池袋 横浜 名古屋 札幌 京都 大阪 東京";

/// Whether a surname is rather another word.
pub(super) fn is_noun(name: &[char]) -> bool {
    NOUNS
        .split_ascii_whitespace()
        .any(|noun| noun.chars().eq(name.iter().copied()))
}

/// Whether a surname is also what a prefecture is called: 千葉.
pub(super) fn is_prefecture(scan: &Scan<'_>, name: &[char]) -> bool {
    ['県', '府', '都'].into_iter().any(|end| {
        scan.lexicon
            .entry(hash(name.iter().copied().chain([end])))
            .is(Entry::PREFECTURE)
    })
}

/// Whether a surname is rather a place where it stands alone: 千葉, 品川.
pub(super) fn is_place(scan: &Scan<'_>, name: &[char]) -> bool {
    is_prefecture(scan, name)
        || PLACES
            .split_ascii_whitespace()
            .any(|place| place.chars().eq(name.iter().copied()))
}

/// Whether the surname `name` from `at` to `end`, in front of which no kanji stands, is a person for what stands around it.
pub(super) fn is_framed(scan: &Scan<'_>, name: &[char], at: usize, end: usize) -> bool {
    let (before, rest) = (&scan.text[..at], &scan.text[end..]);
    let entry = scan.lexicon.word(name);
    let (known, ordinary) = (entry.is(Entry::SURNAME), entry.is(Entry::ORDINARY));
    // 森と申します, 西園寺でございます
    if introduces(rest) {
        return known || name.len() > 1 && !ordinary;
    }
    // 奥村という者です
    if known && name.len() > 1 && is_told_of(rest) {
        return true;
    }
    // 福岡宛 is where a parcel goes, (福岡宛) whom a letter is for.
    let place = is_place(scan, name);
    let opens = known && name.len() > 1 && is_line_start(before) && !is_noun(name);
    if opens && (speaks(rest, ordinary || place) || !place && (is_told(rest, ordinary) || is_timed(rest))) {
        return true;
    }
    if known && name.len() > 1 && !place && !is_noun(name) && stands_alone(scan, before, rest, ordinary) {
        return true;
    }
    if known && !is_noun(name) {
        let apart = !place || before.ends_with(['(', '（', ' ', '　']);
        if apart && addressed(rest, ordinary || place) {
            return true;
        }
        if says_so(rest) && (before.ends_with('の') && speaks_for(before) || greets(before)) {
            return true;
        }
    }
    // 長谷川が担当, 商店の西園寺です
    name.len() > 1
        && !is_noun(name)
        && !(place && rest.starts_with('宛'))
        && (!ordinary || speaks_for(before))
        && (rest.starts_with("です") && before.ends_with('の')
            || VERBS.iter().any(|sign| rest.starts_with(sign))
            || !place && (DEEDS.iter().any(|sign| rest.starts_with(sign)) || hands_over(scan, rest)))
}

/// Whether a surname that is no place is a person for what it stands alone with: a label, brackets, a sign-off, a role and の.
fn stands_alone(scan: &Scan<'_>, before: &str, rest: &str, ordinary: bool) -> bool {
    if is_led(before) {
        return ends_clause(rest);
    }
    // 奥村です。 opens a message.
    if says_so(rest) && (is_line_start(before) || is_oneself(before)) {
        return true;
    }
    if signs_off(before) && line(rest).is_empty() {
        return true;
    }
    if ordinary {
        return false;
    }
    let enclosed = [("(", ")"), ("（", "）"), ("【", "】"), ("[", "]"), ("［", "］")]
        .iter()
        .any(|(open, close)| before.ends_with(open) && rest.starts_with(close));
    let mentioned = before.ends_with(['@', '＠']);
    let at_home =
        rest.starts_with(['@', '＠']) && (is_line_start(before) || before.ends_with(['、', ' ', '　']));
    enclosed
        || mentioned
        || at_home
        || is_of_department(scan, rest)
        || is_related(before) && (ends_clause(rest) || is_particle(rest, true))
        || is_paired(scan, rest)
}

/// Whether a role and a sign stand before: 出席：奥村, （文責・奥村）.
pub(super) fn is_led(before: &str) -> bool {
    const LEADS: [&str; 20] = [
        "出席",
        "欠席",
        "参加",
        "不参加",
        "確認",
        "承認",
        "作成",
        "記入",
        "起票",
        "文責",
        "遅刻",
        "早退",
        "同席",
        "検印",
        "決裁",
        "査閲",
        "ゲスト",
        "監督",
        "撮影",
        "取材",
    ];
    let lead = before
        .trim_end_matches(is_space)
        .strip_suffix(['：', ':', '＝', '・', '／']);
    lead.is_some_and(|lead| LEADS.iter().any(|word| lead.ends_with(word)))
}

/// Whether somebody speaks of themselves right before: 私は奥村です.
fn is_oneself(before: &str) -> bool {
    [
        "私は",
        "僕は",
        "俺は",
        "わたしは",
        "わたくしは",
        "自分は",
        "私、",
        "わたくし、",
        "はい、",
        "はい。",
        "もしもし",
        "もしもし、",
    ]
    .iter()
    .any(|word| before.ends_with(word))
}

/// Whether a message ends before: 以上、奥村.
fn signs_off(before: &str) -> bool {
    const ENDS: [&str; 8] = [
        "以上",
        "お願い",
        "失礼",
        "ありがとう",
        "敬具",
        "草々",
        "取り急ぎ",
        "よろしく",
    ];
    before.ends_with(['。', '、', '！', '!', ' ', '　']) && {
        let near = last_of(before, 18);
        ENDS.iter().any(|end| near.contains(end))
    }
}

/// Whether somebody who is called so is spoken of: 奥村という者, 奥村って人.
fn is_told_of(rest: &str) -> bool {
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
fn is_of_department(scan: &Scan<'_>, rest: &str) -> bool {
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

/// Whether a relation, a role or a department and の stand before: 友人の奥村, 経理の奥村.
fn is_related(before: &str) -> bool {
    const ROLES: [&str; 24] = [
        "同僚", "友人", "知人", "親友", "先輩", "後輩", "上司", "部下", "同期", "秘書", "店長", "部長",
        "課長", "係長", "主任", "社長", "院長", "園長", "所長", "弊社", "当社", "当店", "うち", "担任",
    ];
    let Some(role) = before.strip_suffix('の') else {
        return false;
    };
    ROLES.iter().any(|word| role.ends_with(word))
        || [
            "営業",
            "経理",
            "人事",
            "総務",
            "広報",
            "法務",
            "情シス",
            "受付",
            "担当",
            "購買",
            "開発",
        ]
        .iter()
        .any(|word| role.ends_with(word))
}

/// Whether another surname follows, of whom with this one something is told that people do: 奥村、八木が対応.
fn is_paired(scan: &Scan<'_>, rest: &str) -> bool {
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
fn hands_over(scan: &Scan<'_>, rest: &str) -> bool {
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
const DEEDS: &[&str] = &[
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

/// Whether a line begins behind `before`.
pub(super) fn is_line_start(before: &str) -> bool {
    before.is_empty() || before.ends_with('\n')
}

/// Whether somebody says what fills the line in front of `rest`: 藤井「了解しました」. A name that is a `word` as well says a whole sentence.
fn speaks(rest: &str, word: bool) -> bool {
    let said = line(rest)
        .strip_prefix('「')
        .and_then(|said| said.strip_suffix('」'));
    said.is_some_and(|said| {
        !said.contains(['「', '」']) && (is_polite(said) || !word && said.ends_with(is_hiragana))
    })
}

/// Whether the line goes on with what somebody said: 藤井：了解しました.
fn is_told(rest: &str, ordinary: bool) -> bool {
    line(rest).strip_prefix(['：', ':']).is_some_and(|said| {
        is_polite(said)
            || !ordinary && said.ends_with(['。', '！', '？', 'ね', 'よ']) && said.contains(is_hiragana)
    })
}

/// Whether a sentence ends as people end what they say to others.
fn is_polite(said: &str) -> bool {
    const ENDS: [&str; 10] = [
        "です",
        "ます",
        "でした",
        "ました",
        "ません",
        "ください",
        "下さい",
        "しょう",
        "お願いします",
        "ありがとう",
    ];
    let said = said
        .trim_end_matches(['。', '！', '!', '？', '?', '〜', 'ー'])
        .trim_end_matches(['か', 'ね', 'よ', 'が']);
    ENDS.iter().any(|end| said.ends_with(end))
}

/// What is left of the line, at most what a message has.
fn line(rest: &str) -> &str {
    let near = rest.char_indices().nth(120).map_or(rest, |(at, _)| &rest[..at]);
    near.split('\n').next().unwrap_or_default().trim_end()
}

/// Whether a message begins behind whom it is from: 奥村 10:32.
fn is_timed(rest: &str) -> bool {
    let line = line(rest);
    let time = line.trim_start_matches([' ', '　', '[', '(', '［', '（']);
    let time = time.trim_start_matches("午前").trim_start_matches("午後");
    let is_part =
        |c: char| c.is_ascii_digit() || matches!(c, ':' | '/' | '-' | ' ' | ']' | ')' | '］' | '）');
    time.len() < line.len()
        && (4..=22).contains(&time.len())
        && time.starts_with(|c: char| c.is_ascii_digit())
        && time.contains(':')
        && time.chars().all(is_part)
}

/// Whether a note about a person follows a name: 津田太一（社員番号102066）.
pub(super) fn is_noted(rest: &str) -> bool {
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

const VERBS: &[&str] = &[
    "が承り",
    "が務め",
    "が司会",
    "が担当",
    "が対応",
    "が伺",
    "がお伺",
    "が参り",
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
    "に引き継",
    "へ引き継",
    "に転送",
    "へ転送",
    "に依頼",
    "へ依頼",
];

/// Whether somebody says their own name in front of `rest`: です, and no more of a clause.
fn says_so(rest: &str) -> bool {
    rest.strip_prefix("です").is_some_and(|rest| {
        rest.is_empty()
            || rest.starts_with([
                '。', '、', '．', '，', '.', ',', '！', '!', '\n', '\r', '」', ' ', '　', '(', '（', '<', '"',
            ])
            || rest.starts_with('が')
            || rest.starts_with("けど")
    })
}

/// Whether the surname in front of `rest`, behind a department, is a person of it.
pub(super) fn belongs(rest: &str) -> bool {
    let closed = char_at(rest, 0).is_none_or(|c| matches!(c, '\n' | '\r' | ')' | '）' | '」' | '】' | '"'));
    // 人事部 林（011-263-4396）まで
    let reached = rest.strip_prefix(['(', '（']).is_some_and(|note| {
        note.starts_with(|c: char| is_digit(c) || c == '+')
            || ["内線", "直通", "電話", "携帯", "TEL", "Tel", "tel"]
                .iter()
                .any(|word| note.starts_with(word))
    });
    closed || reached || says_so(rest) || addressed(rest, true) || introduces(rest) || is_asked(rest)
}

/// Whether the name in front of `rest` is asked or told something.
fn is_asked(rest: &str) -> bool {
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
fn addressed(rest: &str, ordinary: bool) -> bool {
    rest.strip_prefix('宛').is_some_and(|rest| {
        let place = ordinary && rest.starts_with('の');
        !(place || rest.starts_with(is_kanji))
    })
}

/// Whether a greeting in the same line ends right before: お世話になっております。安藤です。
fn greets(before: &str) -> bool {
    const GREETINGS: [&str; 19] = [
        "お世話",
        "お疲れ",
        "おつかれ",
        "はじめまして",
        "初めまして",
        "こんにちは",
        "こんばんは",
        "おはよう",
        "もしもし",
        "失礼いたし",
        "失礼し",
        "ご無沙汰",
        "お久しぶり",
        "夜分",
        "お電話ありがとう",
        "いつもありがとう",
        "先日はありがとう",
        "恐れ入ります",
        "お待たせ",
    ];
    if !before.ends_with(['。', '、', '！', '!', '，', ' ', '　', '.', ',']) {
        return false;
    }
    let near = last_of(before, 26);
    GREETINGS.iter().any(|greeting| near.contains(greeting))
}

/// The last characters of `before` in its line, at most `most`.
fn last_of(before: &str, most: usize) -> &str {
    let near = before
        .char_indices()
        .rev()
        .nth(most)
        .map_or(before, |(at, _)| &before[at..]);
    near.rsplit('\n').next().unwrap_or_default()
}

/// Whether somebody speaks for a company or an office: 株式会社…の.
fn speaks_for(before: &str) -> bool {
    const WITHIN: [&str; 11] = [
        "会社",
        "商店",
        "銀行",
        "法人",
        "（株）",
        "(株)",
        "㈱",
        "事務所",
        "窓口",
        "センター",
        "病院",
    ];
    const ENDS: &[&str] = &[
        "商事",
        "工業",
        "製作所",
        "物産",
        "建設",
        "不動産",
        "電機",
        "電子",
        "製薬",
        "印刷",
        "運輸",
        "運送",
        "保険",
        "証券",
        "大学",
        "支店",
        "本社",
        "支社",
        "営業所",
        "工場",
        "部",
        "課",
        "係",
        "室",
        "デスク",
        "サポート",
        "システムズ",
        "クリニック",
        "出版",
        "商会",
        "産業",
        "食品",
        "興業",
        "設計",
        "通信",
        "ホールディングス",
        "コーポレーション",
        "サービス",
        "ソリューションズ",
        "テック",
        "総務",
        "経理",
        "人事",
        "営業",
        "広報",
        "役所",
        "役場",
        "組合",
        "協会",
        "担当",
        "責任者",
        "委員会",
        "事務局",
        "学校",
        "学院",
        "高校",
        "研究所",
        "医院",
        "薬局",
        "財団",
        "信用金庫",
        "農協",
        "ホテル",
        "旅館",
        "警察署",
        "消防署",
        "保育園",
        "幼稚園",
        "店",
    ];
    let near = last_of(before, 20);
    let office = near.strip_suffix('の').unwrap_or(near);
    WITHIN.iter().any(|word| near.contains(word)) || ENDS.iter().any(|end| office.ends_with(end))
}

/// What a name may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// 旧姓
    Former,
    /// 受取人
    Role,
    /// 担当, 届け先: of a place or a task, too.
    Task,
    /// 弊社
    Side,
}

/// Takes the name that touches the word that ends at `end`: 受取人早川 陽翔, 弊社中村が, 旧姓清水. Whether there was one.
pub(in super::super) fn touching(scan: &mut Scan<'_>, end: usize) -> bool {
    let text = scan.text;
    let Some(lead) = lead_before(scan, end) else {
        return false;
    };
    let window = Window::after(text, end, 14, |c| is_name(c) || is_space(c));
    let chars = window.chars();
    let Some((length, points)) = parse::forward(scan.lexicon, chars) else {
        return false;
    };
    let name = &chars[..length];
    let rest = &text[window.place(length)..];
    let entry = scan.lexicon.word(name);
    let sure = match points {
        Points::FULL => length > 2 && !entry.is(Entry::ORDINARY) && (lead != Lead::Side || length > 3),
        Points::RARE_FULL => length > 3 && !entry.is(Entry::ORDINARY),
        Points::SURNAME => {
            let ordinary = entry.is(Entry::ORDINARY);
            match lead {
                Lead::Former => ends_clause(rest),
                Lead::Role => !is_noun(name) && (ends_clause(rest) || is_particle(rest, true)),
                Lead::Task => !ordinary && length > 1 && (ends_clause(rest) || is_particle(rest, true)),
                // 弊社福岡が may be an office, 当社渋谷に is one.
                Lead::Side => {
                    !is_noun(name)
                        && (!is_prefecture(scan, name) || is_humble(rest))
                        && is_particle(rest, false)
                        && !["に", "へ", "を", "も", "から"]
                            .iter()
                            .any(|particle| rest.starts_with(particle))
                }
            }
        }
        Points::RARE | Points::GIVEN | Points::SHAPE => {
            lead == Lead::Former && length < 4 && ends_clause(rest)
        }
        _ => false,
    };
    if !sure {
        return false;
    }
    let end = window.place(length);
    scan.take(window.start(), end, PiiType::Person);
    if lead != Lead::Side {
        others(scan, end);
    }
    true
}

/// Whether what is done in front of which `rest` stands is told of oneself: が日程を調整いたします.
fn is_humble(rest: &str) -> bool {
    let clause = rest.split(['。', '\n']).next().unwrap_or_default();
    let near = clause
        .char_indices()
        .nth(24)
        .map_or(clause, |(at, _)| &clause[..at]);
    rest.starts_with('が')
        && ["いたし", "致し", "伺", "参り", "申し上げ", "ご説明", "お持ち"]
            .iter()
            .any(|verb| near.contains(verb))
}

fn lead_before(scan: &Scan<'_>, end: usize) -> Option<Lead> {
    let text = scan.text;
    let before = &text[..end];
    if SIDES.split_ascii_whitespace().any(|side| before.ends_with(side)) {
        return Some(Lead::Side);
    }
    let (length, label) = scan.lexicon.labels.longest(before.chars().rev().take(10))?;
    let Label::Name(Strength::Fair | Strength::Sure) = label else {
        return None;
    };
    let last = char_before(text, end)?;
    if length < 2 || is_company(before) {
        return None;
    }
    Some(match last {
        '姓' => Lead::Former,
        '者' | '人' | '員' | '師' | '医' | '官' | '長' | '任' | '役' | '主' | '事' | '徒' | '司' | '婦'
        | '郎' => Lead::Role,
        _ => Lead::Task,
    })
}

/// Whether a clause or a field ends in front of `rest`.
fn ends_clause(rest: &str) -> bool {
    char_at(rest, 0).is_none_or(|c| !is_name(c) && !c.is_alphanumeric() && !matches!(c, '・' | 'ー'))
}

/// Whether a particle or a title of a person follows; of a place, `の` does too.
fn is_particle(rest: &str, role: bool) -> bool {
    const PARTICLES: [&str; 14] = [
        "は", "が", "を", "に", "へ", "と", "も", "から", "より", "まで", "宛", "ほか", "です", "さん",
    ];
    let mut next = rest.chars();
    let chars = [next.next(), next.next(), next.next()].map(|c| c.unwrap_or('\0'));
    PARTICLES.iter().any(|particle| rest.starts_with(particle))
        || role && rest.starts_with('の')
        || begins_with_title(&chars)
}
