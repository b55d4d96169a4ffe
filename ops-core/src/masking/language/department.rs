//! Names of departments: by label, or by what they do and a suffix.

use super::labels::Value;
use super::letters::{
    Window, char_at, char_before, is_digit, is_hiragana, is_kanji, is_kanji_numeral, is_katakana, is_latin,
};
use super::lexicon::{Entry, Lexicon};
use super::scan::Scan;
use super::{person, row};
use crate::model::PiiType;

/// The last characters of the suffixes.
pub(super) const SUFFIX_ENDS: &str = "部課室局係プムー";

/// A suffix, and characters behind it that make another word.
const SUFFIXES: &[(&str, &str)] = &[
    ("部", "長員下品分門屋数署隊外類首位族材活費会"),
    ("課", "長題金税程外目員"),
    ("室", "長内外温員料"),
    ("局", "長所面番員"),
    ("係", "長員数争留り"),
    ("グループ", ""),
    ("チーム", ""),
    ("センター", "長"),
];

/// What departments do, and which of several they are.
pub(super) const STEMS: &str = "営業 人事 総務 経理 財務 法務 開発 技術 製造 生産 品質 品質保証 品質管理 購買 調達 物流 企画 経営企画 経営管理 経営戦略 事業企画 商品企画 広報 宣伝 広告 \
    マーケティング 情報システム 情報 システム 情報管理 情報セキュリティ セキュリティ 監査 内部監査 内部統制 研究 研究開発 基礎研究 設計 保守 運用 サポート カスタマーサポート カスタマーサクセス カスタマー サービス 秘書 庶務 労務 人材 \
    人材開発 採用 教育 研修 国際 海外 海外事業 海外営業 国内営業 事業 事業開発 新規事業 商品 商品開発 製品 製品開発 販売 販促 販売促進 営業推進 営業企画 営業支援 営業管理 営業統括 営業開発 店舗 店舗開発 店舗運営 データ分析 \
    データ 分析 インフラ プロダクト デザイン 渉外 知財 知的財産 安全 安全管理 環境 施設 施設管理 資材 工務 業務 業務管理 業務推進 業務改善 管理 総合企画 戦略 戦略企画 デジタル デジタル推進 法人営業 法人 個人営業 推進 支援 統括 営繕 設備 \
    建築 土木 工事 電気 機械 電子 化学 薬事 臨床 臨床開発 看護 医事 診療 検査 薬剤 放射線 外科 内科 編集 制作 出版 報道 番組 映像 配信 与信 審査 融資 預金 為替 資金 投資 証券 運用管理 リスク管理 コンプライアンス コンプラ ガバナンス 株式 主計 税務 会計 \
    契約 予算 原価 原価管理 輸出 輸入 貿易 通商 輸送 配送 倉庫 在庫管理 生産管理 生産技術 工程管理 製造技術 組立 加工 塗装 鋳造 溶接 保全 試験 評価 品証 顧客 顧客対応 お客様 お客様相談 お客様サービス 相談 受付 窓口 ネットワーク ソフトウェア ハードウェア \
    アプリ アプリケーション クラウド プラットフォーム アーキテクチャ ウェブ フロントエンド バックエンド モバイル ゲーム コンテンツ メディア クリエイティブ ブランド プロモーション セールス インサイドセールス フィールドセールス パートナー パートナー営業 アライアンス コンサルティング \
    ソリューション ソリューション営業 エンジニアリング オペレーション バックオフィス コーポレート 社長 役員 取締役 経営 会長 総合 特命 特販 直販 代理店 代理店営業 通販 流通 量販 外商 仕入 食品 衣料 家電 住宅 不動産 建設 都市開発 開発推進 開発企画 開発管理 開発支援 \
    技術開発 技術企画 技術管理 技術支援 技術営業 技術推進 技術研究 研究企画 人事労務 人事企画 人事総務 総務人事 総務経理 経理財務 財務経理 法務知財 法務総務 広報宣伝 宣伝広報 地域 地域振興 市民 福祉 保険 年金 税 住民 戸籍 農政 農林 水産 観光 商工 子育て 子育て支援 こども こども家庭 高齢 高齢者支援 障害福祉 生活支援 国民健康 保健 健康増進 まちづくり くらし 納税 市民税 教務 学生 学務 入試 就職 \
    図書 学術 危機管理 防災 消防 警備 警務 刑事 交通 生活安全 地域連携 産学連携 連携 改革 業務改革 働き方改革 変革 イノベーション 未来 創造 ロジスティクス サプライチェーン サステナビリティ 経営情報 経営支援 社会貢献 投資家 新卒 中途 キャリア \
    第 東日本 西日本 中日本 北日本 関東 関西 東北 北海道 中部 東海 近畿 中国 四国 九州 首都圏 北陸 信越 沖縄 東京 大阪 名古屋 福岡 札幌 仙台 広島 横浜 神戸 京都 国内 アジア 北米 欧州 中央 城南 城北 城東 城西 法人第 個人 官公庁 公共 金融 医療 自動車 農業 \
    海洋 宇宙 量子 航空 鉄道 電力 エネルギー ガス 通信 半導体 材料 素材 繊維 製紙 薬品 医薬 化粧品 飲料 酒類 菓子 冷凍 物件 賃貸 売買 仲介 リフォーム";

/// Stems that say which of several, and nothing by themselves.
const WHICH: &str = "第 東日本 西日本 中日本 北日本 関東 関西 東北 北海道 中部 東海 近畿 中国 四国 九州 首都圏 北陸 信越 沖縄 東京 大阪 \
    名古屋 福岡 札幌 仙台 広島 横浜 神戸 京都 国内 中央 個人 社長 役員 取締役 会長 総合 地域 税 データ 顧客 未来 お客様 商品 \
    市民 学生 住民 製品 医療 情報 サービス パートナー エネルギー 自動車 ガス 公共";

/// Takes the department whose name ends at `end`; whether there was one.
pub(super) fn japanese(scan: &mut Scan<'_>, end: usize) -> bool {
    let text = scan.text;
    let short = |suffix: &str| suffix.len() == 3;
    let last = &text[end - 3..end];
    let found = SUFFIXES
        .iter()
        .find(|(suffix, _)| suffix.ends_with(last) && (short(suffix) || text[..end].ends_with(suffix)));
    let Some((suffix, not_before)) = found else {
        return false;
    };
    let next = char_at(text, end);
    if next.is_some_and(|c| not_before.contains(c) || suffix.len() > 3 && is_katakana(c)) {
        return false;
    }
    // Most words end here: 全部, 教室.
    let Some(before) = char_before(text, end - suffix.len()) else {
        return false;
    };
    let joined = is_latin(before)
        || is_digit(before)
        || matches!(before, '部' | '課' | '本' | '室')
        || is_kanji_numeral(before);
    if !joined
        && scan
            .lexicon
            .stems
            .longest(text[..end - suffix.len()].chars().rev().take(11))
            .is_none()
    {
        return false;
    }
    let window = Window::before(text, end - suffix.len(), 18, |c| {
        is_kanji(c) || is_katakana(c) || is_latin(c) || is_digit(c) || matches!(c, '・' | '&' | '＆' | 'お')
    });
    let chars = window.chars();
    let Some((start, stems)) = stems(scan.lexicon, chars) else {
        return false;
    };
    // 図書室は17時に閉まる: a room, unless more is said of it.
    let room = ["図書", "試験", "検査", "受付", "放射線", "診療", "教室"];
    if *suffix == "室" && start == 0 && room.iter().any(|word| word.chars().eq(chars.iter().copied())) {
        return false;
    }
    // データセンター, 物流センター are buildings.
    let works = |list: &[&str]| list.iter().any(|stem| text[..end - suffix.len()].ends_with(stem));
    if *suffix == "センター"
        && !works(&[
            "カスタマー",
            "サポート",
            "研修",
            "お客様",
            "お客様相談",
            "相談",
            "コール",
            "業務",
            "事務",
            "開発",
            "技術",
            "サービス",
            "オペレーション",
            "採用",
        ])
    {
        return false;
    }
    if stems == Stems::Letters
        && matches!(*suffix, "室" | "局" | "係" | "センター" | "課")
        && start + 1 >= chars.len()
    {
        return false;
    }
    if *suffix == "局"
        && !works(&[
            "営業", "人事", "総務", "経理", "開発", "企画", "編集", "広告", "事業", "報道", "制作", "技術",
            "管理", "財務", "広報", "国際",
        ])
    {
        return false;
    }
    scan.push(window.place(start), end, PiiType::Department);
    person::after_department(scan, end);
    row::around(scan, window.place(start), end);
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stems {
    /// At least one that says what the department does.
    Words,
    /// Capital letters: SRE, DX.
    Letters,
}

/// Where the name of a department begins whose suffix follows `chars`.
fn stems(lexicon: &Lexicon, chars: &[char]) -> Option<(usize, Stems)> {
    let mut at = chars.len();
    let mut known = false;
    let mut which = false;
    while at > 0 {
        let longest = lexicon.stems.longest(chars[..at].iter().rev().copied());
        if let Some((length, ())) = longest {
            let word = &chars[at - length..at];
            if WHICH
                .split_ascii_whitespace()
                .any(|only| only.chars().eq(word.iter().copied()))
            {
                which |= word != ['第'];
            } else {
                known = true;
            }
            at -= length;
            continue;
        }
        let c = chars[at - 1];
        let number = is_digit(c) || is_kanji_numeral(c);
        // 営業部第一課, 営業本部
        let joint = at < chars.len() && matches!(c, '部' | '課' | '室')
            || matches!(c, '本' | '副') && at == chars.len() && at > 1;
        if number || joint || matches!(c, '・' | '&' | '＆') && at < chars.len() {
            at -= 1;
            continue;
        }
        break;
    }
    // Ordinals and joints alone begin nothing.
    while at < chars.len() && matches!(chars[at], '部' | '課' | '室' | '本' | '・' | '&' | '＆') {
        at += 1;
    }
    let letters = chars[..at]
        .iter()
        .rev()
        .take_while(|c| c.is_ascii_uppercase() || ('Ａ'..='Ｚ').contains(*c))
        .count();
    let lower = chars[..at - letters]
        .last()
        .is_some_and(|c| is_latin(*c) || is_digit(*c));
    let whole = at == chars.len();
    if (1..=6).contains(&letters) && !lower && (whole && letters > 1 || known) {
        return Some((at - letters, if known { Stems::Words } else { Stems::Letters }));
    }
    if !known && !which || whole {
        return None;
    }
    // What no dictionary knows in front of it belongs to it, if it is short and no other word: 量子研究室.
    let unknown = chars[..at]
        .iter()
        .rev()
        .take_while(|c| is_kanji(**c) || is_katakana(**c))
        .count();
    let first = &chars[at - unknown..at];
    let edge = at - unknown == 0 || !is_digit(chars[at - unknown - 1]);
    let entry = lexicon.word(first);
    let other = entry.is(Entry::ROLE)
        || entry.is(Entry::SURNAME)
        || first.iter().any(|c| {
            "社店県市区町村者先名行商業所庁省学院病旧新同全各現元前当本月日年回時円様氏".contains(*c)
        });
    if known && edge && (2..=4).contains(&unknown) && !other {
        at -= unknown;
    } else if !known && unknown > 0 {
        return None;
    }
    known.then_some((at, Stems::Words))
}

/// Takes the department that a label announces; whether there was one.
pub(super) fn labelled(scan: &mut Scan<'_>, value: Value) -> bool {
    let text = scan.text;
    let window = Window::after(text, value.start, 24, |c| {
        is_kanji(c)
            || is_katakana(c)
            || is_digit(c)
            || is_latin(c)
            || is_hiragana(c)
            || matches!(c, '・' | '&' | '＆' | ' ' | '-' | '/' | '\'')
    });
    let chars = window.chars();
    let Some(first) = chars.first().copied() else {
        return false;
    };
    let closed = value.closer.is_some() && char_at(text, window.end()) == value.closer;
    let length = if is_latin(first) && chars.iter().all(|c| c.is_ascii()) {
        english_length(chars, closed)
    } else {
        japanese_length(scan.lexicon, chars)
    };
    let Some(length) = length else {
        return false;
    };
    scan.take(value.start, window.place(length), PiiType::Department);
    if !closed {
        person::after_department(scan, window.place(length));
    }
    true
}

fn japanese_length(lexicon: &Lexicon, chars: &[char]) -> Option<usize> {
    let run = chars
        .iter()
        .take_while(|c| !is_hiragana(**c) && **c != ' ' && **c != '/' || **c == 'お')
        .count();
    let is_end = |at: usize| {
        let (head, next) = (&chars[..at], chars.get(at));
        SUFFIXES.iter().any(|(suffix, not_before)| {
            let length = suffix.chars().count();
            head.len() > length
                && head[at - length..].iter().copied().eq(suffix.chars())
                && !next.is_some_and(|c| not_before.contains(*c))
        })
    };
    if let Some(end) = (2..=run).rev().find(|at| is_end(*at)) {
        return Some(end);
    }
    // 部署: 営業
    let stem = lexicon.stems.longest(chars[..run].iter().rev().copied());
    (run > 1 && stem.is_some_and(|(length, ())| length == run)).then_some(run)
}

const ENGLISH: &str = "sales marketing hr human resources finance accounting accounts engineering legal it operations support customer success \
    product design security research development r&d procurement logistics purchasing planning corporate communications \
    relations public quality assurance control qa compliance audit infrastructure platform data analytics business general \
    affairs administration admin manufacturing production international overseas payroll training facilities strategy \
    information systems technology technical service services devops sre backend frontend mobile recruiting recruitment \
    talent people management risk treasury tax investor pr advertising growth partnerships supply chain executive medical \
    clinical nursing editorial creative media software hardware network internal first second third";

fn is_stem(word: &str) -> bool {
    ENGLISH
        .split_ascii_whitespace()
        .any(|stem| stem.eq_ignore_ascii_case(word))
}

const SUFFIX_WORDS: [&str; 8] = [
    "department",
    "dept",
    "division",
    "team",
    "group",
    "section",
    "unit",
    "office",
];

fn is_suffix(word: &str) -> bool {
    SUFFIX_WORDS
        .iter()
        .any(|suffix| suffix.eq_ignore_ascii_case(word))
}

/// Whether `word` is `known`, in small or capital letters.
fn is_same(word: &[char], known: &str) -> bool {
    word.len() == known.len()
        && word
            .iter()
            .zip(known.chars())
            .all(|(c, other)| c.eq_ignore_ascii_case(&other))
}

/// The length of a department in English at the beginning of a value.
fn english_length(chars: &[char], closed: bool) -> Option<usize> {
    let mut end = 0;
    let mut known = false;
    let mut at = 0;
    for _ in 0..5 {
        let length = chars[at..]
            .iter()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '&' | '-'))
            .count();
        let word = &chars[at..at + length];
        if length == 0 {
            break;
        }
        let stem = ENGLISH.split_ascii_whitespace().any(|stem| is_same(word, stem));
        let joint = ["and", "&", "of"].iter().any(|joint| is_same(word, joint));
        if !(stem || joint || known && SUFFIX_WORDS.iter().any(|suffix| is_same(word, suffix))) {
            break;
        }
        known |= stem;
        if !joint {
            end = at + length;
        }
        at += length;
        if chars.get(at) != Some(&' ') {
            break;
        }
        at += 1;
    }
    if !known || closed && end < chars.len() {
        return None;
    }
    (chars
        .get(end)
        .is_none_or(|c| !is_digit(*c) && !matches!(c, '-' | '/')))
    .then_some(end)
}

/// Takes the department of two words or more, both known, behind the space at `at`: in Product Design, | Customer Success |; whether there was one.
pub(super) fn named(scan: &mut Scan<'_>, at: usize) -> bool {
    let head = &scan.text.as_bytes()[..at];
    let cue = [&b" in"[..], b" from", b" to", b"|"]
        .iter()
        .any(|cue| head.ends_with(cue));
    if !cue {
        return false;
    }
    let window = Window::after(scan.text, at + 1, 40, |c| {
        c.is_ascii_alphabetic() || matches!(c, ' ' | '&' | '-')
    });
    let chars = window.chars();
    let Some(length) = english_length(chars, false) else {
        return false;
    };
    let single = !chars[..length].contains(&' ');
    if single && !(is_department(&chars[..length]) && is_of_person(scan, at)) {
        return false;
    }
    let mut words = chars[..length].split(|c| *c == ' ');
    let capital = words.all(|word| word.first().is_some_and(char::is_ascii_uppercase) || word.len() < 4);
    // In Sales Force something else goes on.
    let ends = !matches!(chars.get(length..), Some([' ', next, ..]) if next.is_ascii_uppercase())
        && !chars.get(length).is_some_and(|c| c.is_ascii_alphabetic());
    if capital && ends {
        scan.take(at + 1, window.place(length), PiiType::Department);
    }
    capital && ends
}

/// Words that are names of departments by themselves, where somebody moved to one.
const SINGLE: &str = "sales marketing hr finance accounting engineering legal it operations procurement logistics purchasing compliance \
    payroll manufacturing security design support research planning administration facilities treasury recruiting";

/// What people do, and things too.
const MOVES: &[&str] = &[
    "moved",
    "moves",
    "moving",
    "rotated",
    "works",
    "working",
    "worked",
    "switched",
    "relocated",
];

/// What is done with people only.
const MOVED: &[&str] = &[
    "transferred",
    "transfers",
    "transferring",
    "reassigned",
    "promoted",
    "seconded",
];

fn is_department(word: &[char]) -> bool {
    SINGLE.split_ascii_whitespace().any(|known| is_same(word, known))
}

/// Whether the word before the space at `at` joins somebody and a department: Renee Cordova in, she moved from Sales to.
fn is_of_person(scan: &Scan<'_>, at: usize) -> bool {
    let head = &scan.text[..at];
    let Some(space) = head.rfind(' ') else {
        return false;
    };
    let head = &head[..space];
    if scan.has_before(space, PiiType::Person) || scan.has_before(space, PiiType::Department) {
        return true;
    }
    let from = head.rfind(' ').map_or(0, |space| space + 1);
    let verb = &head[from..];
    let any = |words: &[&str], word: &str| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    let moves = any(MOVES, verb);
    let moved = any(MOVED, verb);
    let before = head[..from].trim_end_matches(' ');
    let word = before
        .rsplit(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or(before);
    let who = any(&["he", "she", "who", "employee", "i"], word) || moved && any(&["was", "is", "has"], word);
    (moves || moved) && (who || scan.has_in_line(space, PiiType::Person))
}

/// Takes the department around the space at `at`, behind which `Department` or the like stands; whether there was one.
pub(super) fn english(scan: &mut Scan<'_>, at: usize) -> bool {
    let text = scan.text;
    let bytes = text.as_bytes();
    let length = bytes[at + 1..]
        .iter()
        .take(12)
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let Some(suffix) = text.get(at + 1..at + 1 + length) else {
        return false;
    };
    if !matches!(length, 4 | 5 | 8 | 10)
        || !is_suffix(suffix)
        || matches!(suffix, "Unit" | "unit" | "Group" | "group")
    {
        return false;
    }
    let mut start = at;
    let mut any_lower = false;
    for _ in 0..4 {
        let end = if start == at { at } else { start - 1 };
        let word_length = bytes[..end]
            .iter()
            .rev()
            .take(16)
            .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'&')
            .count();
        let word = &text[end - word_length..end];
        let joint = start != at && (word == "and" || word == "&");
        if word_length == 0 || !is_stem(word) && !joint {
            break;
        }
        any_lower |= word.starts_with(|c: char| c.is_ascii_lowercase()) && !joint;
        start = end - word_length;
        if start == 0 || bytes[start - 1] != b' ' {
            break;
        }
    }
    if start == at || text[start..].starts_with("and ") || text[start..].starts_with("& ") {
        return false;
    }
    let strong = suffix.starts_with(['d', 'D']);
    if any_lower && (!strong || text[start..at].eq_ignore_ascii_case("it")) {
        return false;
    }
    scan.take(start, at + 1 + length, PiiType::Department);
    true
}
