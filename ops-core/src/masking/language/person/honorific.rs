//! Names in front of an honorific or a title.

use super::super::letters::{
    Window, char_at, char_before, ends_with, is_hiragana, is_kanji, is_katakana, is_latin, is_narrow,
    is_space,
};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::katakana::{katakana_before, reading};
use super::latin;
use super::narrow::narrow_before;
use super::parse::{self, Points, begins_with_title, is_name};
use crate::model::PiiType;

/// The last characters of honorifics and titles.
pub(in super::super) const HONORIFIC_ENDS: &str =
    "様ん氏殿君生長務任役表ーま授師士手員督臣輩問事査妻人史嬢者儀";

/// An honorific or title behind a name.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Honorific {
    pub(in super::super) word: &'static str,
    /// Characters with which it is another word, in front of it and behind.
    not_after: &'static str,
    not_before: &'static str,
    /// Whether only a name that the dictionaries know counts.
    known: bool,
}

const fn honorific(word: &'static str, not_after: &'static str, not_before: &'static str) -> Honorific {
    Honorific {
        word,
        not_after,
        not_before,
        known: false,
    }
}

const fn title(word: &'static str, not_before: &'static str) -> Honorific {
    Honorific {
        word,
        not_after: "",
        not_before,
        known: true,
    }
}

pub(in super::super) const HONORIFICS: &[Honorific] = &[
    honorific(
        "様",
        "皆仕同模多神王奥異一各有態図紋外客殿姫嫁上人貴逆両今",
        "式子々態相変似",
    ),
    honorific("さん", "皆客奥娘く母父兄姉お孫", "ざば"),
    honorific("さま", "皆客奥お母父熱", "ざ"),
    honorific("姉さん", "お義", ""),
    honorific("兄さん", "お義", ""),
    honorific("くん", "", "れ"),
    honorific("ちゃん", "赤坊お", "とねこ"),
    honorific("氏", "摂華同両各某諸彼源平藤氏", "名神族子姓家素"),
    honorific("殿", "宮神御拝本沈貴仏正寝殿", "下堂様方"),
    honorific("君", "諸細主暴名若大君", "主臨子"),
    honorific("先生", "", "方達"),
    title("儀", "式礼仗典"),
    title("本部長", "会"),
    title("副部長", "会"),
    title("部長", "会職級代補"),
    title("副課長", "会"),
    title("課長", "会職級代補"),
    title("係長", "会職級補"),
    title("副社長", "会室"),
    title("社長", "会室業"),
    title("支店長", "会"),
    title("支社長", "会"),
    title("工場長", "会"),
    title("副店長", "会"),
    title("店長", "会職"),
    title("室長", "会"),
    title("局長", "会"),
    title("次長", "会"),
    title("所長", "会"),
    title("校長", "会室"),
    title("院長", "会室"),
    title("園長", "会"),
    title("会長", "会職"),
    title("館長", "会"),
    title("班長", "会"),
    title("組長", "会"),
    title("専務", "理"),
    title("常務", "理会"),
    title("副主任", ""),
    title("主任", "技研"),
    title("取締役", "会"),
    title("監査役", "会"),
    title("代表", "者取電的作権社"),
    title("マネージャー", ""),
    title("マネジャー", ""),
    title("リーダー", ""),
    title("ディレクター", ""),
    title("准教授", "会"),
    title("教授", "会法"),
    title("医師", "会国免"),
    title("看護師", "国長"),
    title("弁護士", "会事法"),
    title("税理士", "会事法"),
    title("選手", "権団"),
    title("議員", "会立"),
    title("監督", "署官下者"),
    title("大臣", ""),
    title("講師", ""),
    title("社員", "番証数寮食旅教研"),
    title("専門員", ""),
    title("先輩", "方達"),
    title("後輩", "達"),
    title("顧問", "弁会税料契"),
    title("理事", "会国"),
    title("理事長", "会"),
    title("監事", "会"),
    title("委員", "会"),
    title("委員長", "会"),
    title("議長", "国席"),
    title("編集長", "会"),
    title("隊長", ""),
    title("薬剤師", "会国"),
    title("保健師", "会国"),
    title("会計士", "会事法試"),
    title("司法書士", "会事法試"),
    title("行政書士", "会事法試"),
    title("社労士", "会事法試"),
    title("建築士", "会事法試"),
    title("弁理士", "会事法試"),
    title("保育士", "会"),
    title("介護士", "会"),
    title("主査", "会"),
    title("専務理事", "会"),
    title("常務理事", "会"),
    title("副理事長", "会"),
    title("副委員長", "会"),
    title("実行委員", "会"),
    title("実行委員長", "会"),
    title("審査委員", "会"),
    title("審査委員長", "会"),
    title("民生委員", "会"),
    title("公認会計士", "会事法試"),
    title("一級建築士", "会事法試"),
    title("二級建築士", "会事法試"),
    title("夫妻", ""),
    title("ご夫妻", ""),
    title("夫人", ""),
    title("女史", ""),
    title("嬢", ""),
    title("容疑者", ""),
    title("記者", "会団席発"),
    title("執行役員", "会"),
    title("相談役", "会"),
    title("名誉教授", "会"),
    title("特任教授", "会"),
    title("看護師長", "会"),
    title("師長", "会"),
    title("学長", "会室"),
    title("塾長", "会"),
    title("署長", "会"),
    title("機長", ""),
    title("船長", ""),
    title("駅長", "室"),
    title("投手", "陣力"),
    title("捕手", ""),
    title("刑事", "罰事訴裁法"),
    title("検事", "総正"),
    title("巡査", ""),
    title("助教授", "会"),
    title("技師", "長会"),
    title("技師長", "会"),
    title("棋士", "会"),
];

/// Takes the name in front of the honorific or title that ends at `end`.
pub(in super::super) fn before_honorific(scan: &mut Scan<'_>, end: usize) {
    let text = scan.text;
    let Some((_, number)) = scan.lexicon.honorifics.longest(text[..end].chars().rev().take(7)) else {
        return;
    };
    let honorific = &HONORIFICS[usize::from(number)];
    let mut start = end - honorific.word.len();
    if char_at(text, end)
        .is_some_and(|c| honorific.not_before.contains(c) || honorific.known && goes_on(text, end))
    {
        return;
    }
    if char_before(text, start).is_some_and(is_space) {
        start -= char_before(text, start).map_or(0, char::len_utf8);
    }
    let Some(last) = char_before(text, start) else {
        return;
    };
    // 皆様, 仕様; but 客野様 and 上様 of a longer name.
    let alone = |at: usize| !char_before(text, at).is_some_and(is_kanji);
    if honorific.not_after.contains(last) && (alone(start - last.len_utf8()) || !is_known_name(scan, start)) {
        return;
    }
    if is_everybody(&text[..start]) {
        return;
    }
    if is_latin(last) {
        latin::before_honorific(scan, start, honorific.known);
        return;
    }
    if is_narrow(last) {
        narrow_before(scan, start);
        return;
    }
    if is_katakana(last) {
        katakana_before(scan, start, honorific.known);
        return;
    }
    let window = Window::before(text, start, 14, |c| is_name(c) || is_space(c));
    let Some((at, points)) = parse::backward(scan.lexicon, window.chars()) else {
        return;
    };
    let least = if honorific.known {
        Points::HALF
    } else {
        Points::SHAPE
    };
    let length = window.chars().len() - at;
    let alone = at == 0 || !is_kanji(window.chars()[at - 1]);
    let rare = points == Points::RARE
        || points == Points::GIVEN && alone && is_rare_surname(scan, &window.chars()[at..]);
    if points < least && !(honorific.known && rare && length >= 2) {
        return;
    }
    // Of a single unknown character nothing is known.
    if points == Points::SHAPE && (length < 2 || honorific.word == "君" || honorific.word == "先生") {
        return;
    }
    let start_of_name = window.place(at);
    // みなと出版様: the end of what a company is called.
    if points < Points::SURNAME && is_house(&window.chars()[at..]) {
        return;
    }
    if is_company(&text[..start_of_name]) {
        return;
    }
    scan.push(start_of_name, start, PiiType::Person);
    reading(scan, end);
}

/// Whether a word ends as what companies are called does.
fn is_house(name: &[char]) -> bool {
    const HOUSES: [&str; 26] = [
        "出版", "物流", "商事", "商会", "工業", "産業", "興業", "建設", "製作", "製薬", "製菓", "印刷",
        "運輸", "運送", "保険", "証券", "電機", "電子", "食品", "設計", "通信", "水産", "物産", "酒造",
        "農園", "旅館",
    ];
    HOUSES.iter().any(|house| ends_with(name, house))
}

/// Whether all are meant: みなさん, but not 鈴木みなさん.
pub(super) fn is_everybody(before: &str) -> bool {
    ["みな", "みんな"]
        .iter()
        .filter_map(|all| before.strip_suffix(all))
        // すずきみなさん may be called so.
        .filter(|rest| !rest.trim_end().ends_with(is_hiragana) || rest.ends_with(is_particle))
        .any(|rest| {
            !rest.ends_with(|c: char| is_kanji(c) || is_space(c))
                || rest.ends_with([' ', '　']) && !rest.trim_end().ends_with(is_kanji)
        })
}

fn is_particle(c: char) -> bool {
    "のはがをにへとでもや".contains(c)
}

/// Whether the characters that end at `end` are a surname or a full name for sure, such as 藤, 源 or 大客.
fn is_known_name(scan: &Scan<'_>, end: usize) -> bool {
    let window = Window::before(scan.text, end, 6, is_kanji);
    let chars = window.chars();
    chars.len() > 1 && parse::whole(scan.lexicon, chars).is_some_and(|points| points >= Points::RARE)
}

pub(super) fn is_rare_surname(scan: &Scan<'_>, chars: &[char]) -> bool {
    scan.lexicon.word(chars).is(Entry::RARE_SURNAME)
}

/// Whether a word goes on behind a title.
fn goes_on(text: &str, end: usize) -> bool {
    let window = Window::after(text, end, 4, is_name);
    match window.chars().first() {
        Some(c) if is_kanji(*c) => {
            !begins_with_title(window.chars()) && !matches!(c, '兼' | '付' | '宅' | '側' | '自')
        }
        Some(c) => is_katakana(*c),
        None => false,
    }
}

/// Whether a company's name is under way: 株式会社田中様 is no person.
pub(super) fn is_company(before: &str) -> bool {
    ["会社", "(株)", "（株）", "㈱", "㈲", "(有)", "（有）", "法人"]
        .iter()
        .any(|sign| before.ends_with(sign))
}
