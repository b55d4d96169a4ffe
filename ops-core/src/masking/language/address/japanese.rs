use super::super::letters::{
    REACH, Window, char_at, char_before, is_digit, is_hiragana, is_hyphen, is_kanji, is_kanji_numeral,
    is_katakana, is_space,
};
use super::super::lexicon::Entry;
use super::super::person;
use super::super::scan::Scan;
use super::building;
use crate::model::PiiType;

/// Takes the address whose prefecture or municipality ends at `end`; whether there was one.
pub(in super::super) fn japanese(scan: &mut Scan<'_>, end: usize) -> bool {
    let text = scan.text;
    if !may_go_on(text, end) {
        return false;
    }
    if let Some(start) = prefecture(scan, end) {
        let Some(to) = extent(text, end, false, true) else {
            return false;
        };
        scan.take(start, to, PiiType::Address);
        person::after_address(scan, to);
        return true;
    }
    if char_before(text, end).is_some_and(|c| matches!(c, '県' | '都' | '府' | '道')) {
        return false;
    }
    let Some(start) = municipality(text, end) else {
        return false;
    };
    // Without a prefecture the number must be one of an address: 3丁目5, 5-33-1.
    let Some(to) = extent(text, end, true, false) else {
        return false;
    };
    scan.take(start, to, PiiType::Address);
    person::after_address(scan, to);
    true
}

/// Whether a number follows behind names of places: a quick look that passes over most words.
fn may_go_on(text: &str, end: usize) -> bool {
    let mut kana = 0;
    let mut first = true;
    for c in text[end..].chars().take(36) {
        if is_digit(c) || c == '丁' || c == '番' {
            return true;
        }
        kana = if is_hiragana(c) { kana + 1 } else { 0 };
        let particle = first && matches!(c, 'を' | '、' | 'で' | 'へ');
        if particle || kana > 6 || !(is_hiragana(c) || is_kanji(c) || is_katakana(c) || is_space(c)) {
            // 一番地, 二号
            return matches!(c, '-' | '－' | '‐' | '−') && !first;
        }
        first = false;
    }
    false
}

/// The end of the address that a label says begins at `start`.
pub(super) fn labelled(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let text = scan.text;
    if let Some(end) = extent(text, start, true, false) {
        return Some(end);
    }
    // Without a number: down to the town.
    let window = Window::after(text, start, 24, |c| {
        is_kanji(c) || is_katakana(c) || matches!(c, 'ヶ' | 'ケ' | 'ノ')
    });
    let chars = window.chars();
    let places = chars
        .iter()
        .filter(|c| "県都府道市区町村郡".contains(**c))
        .count();
    let ends = char_at(text, window.end()).is_none_or(|c| !is_hiragana(c) && !is_digit(c));
    (places >= 2 && chars.len() >= 5 && ends).then(|| window.end())
}

/// Where the prefecture begins that ends at `end`.
fn prefecture(scan: &Scan<'_>, end: usize) -> Option<usize> {
    let window = Window::before(scan.text, end, 4, is_kanji);
    let chars = window.chars();
    [3, 4].into_iter().find_map(|length| {
        let from = chars.len().checked_sub(length)?;
        scan.lexicon
            .word(&chars[from..])
            .is(Entry::PREFECTURE)
            .then(|| window.place(from))
    })
}

/// Cities with kana in their names, which a look back over kanji does not reach.
const CITIES_IN_KANA: &[&str] = &[
    "さいたま市",
    "つくば市",
    "つくばみらい市",
    "ひたちなか市",
    "かすみがうら市",
    "いわき市",
    "あきる野市",
    "いすみ市",
    "ふじみ野市",
    "さくら市",
    "みどり市",
    "むつ市",
    "つがる市",
    "にかほ市",
    "かほく市",
    "あわら市",
    "いなべ市",
    "たつの市",
    "さぬき市",
    "うきは市",
    "みやま市",
    "えびの市",
    "いちき串木野市",
    "うるま市",
    "みよし市",
    "あま市",
    "みやこ町",
    "おおい町",
    "せたな町",
    "まんのう町",
    "東かがわ市",
    "南あわじ市",
    "紀の川市",
    "南アルプス市",
    "ニセコ町",
    "袖ケ浦市",
    "鎌ケ谷市",
    "龍ケ崎市",
    "茅ヶ崎市",
];

/// Words that stand in front of an address without a space.
const INTRODUCTIONS: &[&str] = &[
    "住所",
    "現住所",
    "新住所",
    "旧住所",
    "所在地",
    "本社",
    "支社",
    "支店",
    "自宅",
    "実家",
    "宛先",
    "送付先",
    "配送先",
    "勤務先",
    "勤務地",
    "会場",
    "弊社",
    "当社",
    "転居先",
    "届先",
    "場所",
];

/// Where the municipality begins that ends at `end`.
fn municipality(text: &str, end: usize) -> Option<usize> {
    if let Some(city) = CITIES_IN_KANA.iter().find(|city| text[..end].ends_with(**city)) {
        return Some(end - city.len());
    }
    let window = Window::before(text, end, 7, |c| is_kanji(c) || matches!(c, 'ヶ' | 'ケ' | 'ノ'));
    let chars = window.chars();
    // 市, 区 alone; or 大きな市
    if chars.len() < 2 {
        return None;
    }
    let before = &text[window.start()..end];
    let introduction = INTRODUCTIONS
        .iter()
        .filter(|word| before.starts_with(**word))
        .map(|word| word.len())
        .max();
    let start = window.start() + introduction.unwrap_or(0);
    let name = &text[start..end];
    let length = name.chars().count();
    let is_word = [
        "地区",
        "全区",
        "各市",
        "同市",
        "当市",
        "本市",
        "各区",
        "同区",
        "市町村",
        "都市",
        "地域",
        "学区",
        "特区",
        "同町",
        "下町",
        "城下町",
        "港町",
        "選挙区",
        "工区",
        "管区",
        "鉱区",
        "区区",
    ]
    .iter()
    .any(|word| name.ends_with(word) && name != "京都市");
    ((2..=6).contains(&length) && !is_word).then_some(start)
}

/// The end of the address whose prefecture or municipality ends at `start`. `strict`: the number must be more than a bare one;
/// `municipal`: a municipality must follow.
fn extent(text: &str, start: usize, strict: bool, municipal: bool) -> Option<usize> {
    let window = Window::after(text, start, REACH, |c| {
        !matches!(
            c,
            '\n' | '"' | '\t' | '、' | '。' | '「' | '」' | '（' | '）' | '(' | ')'
        )
    });
    let chars = window.chars();
    let (number, municipality) = town(chars)?;
    if municipal && !municipality {
        return None;
    }
    // 京都市上京区今出川町315: behind city, ward and town, one number will do.
    let ward =
        || chars.iter().take(6).any(|c| *c == '区') && chars.get(number.wrapping_sub(1)) == Some(&'町');
    let strict = strict && !(text[..start].ends_with('市') && ward());
    let end = numbers(chars, number, strict)?;
    Some(window.place(building::extent(chars, end)))
}

/// Reads the names of municipality and town: where the numbers begin, and whether a municipality was among the names.
fn town(chars: &[char]) -> Option<(usize, bool)> {
    const PARTICLES: &[&str] = &[
        "から",
        "まで",
        "より",
        "です",
        "では",
        "には",
        "への",
        "との",
        "にて",
        "での",
        "とは",
        "でも",
        "にも",
        "とも",
        "など",
        "だけ",
        "のみ",
        "なら",
        "にお",
        "にあ",
        "に住",
        "という",
        "として",
        "および",
        "及び",
    ];
    let mut municipality = false;
    let mut spaces = 0;
    let mut at = 0;
    // Behind a prefecture or municipality a lone kana is a particle.
    let mut marker = true;
    while at < chars.len().min(32) {
        let c = chars[at];
        if is_digit(c) || is_numeral(&chars[at..]) {
            return (!is_no_town(&chars[..at])).then_some((at, municipality));
        }
        if is_hiragana(c) {
            let rest = &chars[at..];
            let run = rest.iter().take_while(|c| is_hiragana(**c)).count();
            let particle = PARTICLES.iter().any(|word| {
                let mut rest = rest.iter();
                word.chars().all(|c| rest.next() == Some(&c))
            });
            let next_kanji = rest.get(run).is_some_and(|c| is_kanji(*c));
            if particle
                || rest[..run].contains(&'を')
                || run == 1
                    && c != 'る'
                    && (marker || !matches!(c, 'が' | 'の' | 'つ' | 'み' | 'し') || !next_kanji)
            {
                return None;
            }
            at += run;
            marker = false;
            continue;
        }
        if is_space(c) {
            spaces += 1;
            if spaces > 3 {
                return None;
            }
            at += 1;
            continue;
        }
        if !is_kanji(c) && !is_katakana(c) {
            return None;
        }
        marker = at > 0 && matches!(c, '市' | '区' | '町' | '村' | '郡');
        municipality |= marker;
        at += 1;
    }
    None
}

/// Whether numbers written in kanji begin here: 三丁目, 二番地; not 四番町.
fn is_numeral(chars: &[char]) -> bool {
    let run = chars.iter().take(4).take_while(|c| is_kanji_numeral(**c)).count();
    if run == 0 {
        return false;
    }
    match chars.get(run) {
        Some('丁') => chars.get(run + 1) == Some(&'目'),
        Some('番') => chars.get(run + 1) != Some(&'町'),
        Some('号') => true,
        Some(c) => is_hyphen(*c) && *c != 'ー' && chars.get(run + 1).is_some_and(|c| is_kanji_numeral(*c)),
        None => false,
    }
}

/// Whether what stands in front of a number says that it counts something else.
fn is_no_town(chars: &[char]) -> bool {
    const WORDS: &[&str] = &[
        "在庫", "件数", "人口", "電話", "番号", "約", "第", "全", "計", "残り", "平成", "令和", "昭和",
        "合計", "売上", "気温", "距離", "徒歩", "予算", "面積", "支店", "店舗", "役所", "役場", "県庁",
        "庁舎", "の", "年", "が", "限定", "最大", "最低", "時給", "家賃", "価格", "料金", "他", "以下",
        "以上", "最高", "平均", "上位", "人数", "定員", "震度", "選挙", "開催", "内線", "受付",
    ];
    WORDS.iter().any(|word| {
        let mut end = chars.iter().rev();
        word.chars().rev().all(|c| end.next() == Some(&c))
    })
}

/// Reads the numbers of an address from `from` on: where they end.
fn numbers(chars: &[char], from: usize, strict: bool) -> Option<usize> {
    const UNITS: &[&str] = &["丁目", "番地", "番", "号", "条", "線", "地割", "丁"];
    let mut at = from;
    let mut groups = 0;
    let mut units = 0;
    let mut end = from;
    let zero = matches!(chars[from], '0' | '０');
    while groups < 7 {
        let run = chars[at..]
            .iter()
            .take_while(|c| is_digit(**c) || is_kanji_numeral(**c))
            .count();
        if run == 0 {
            break;
        }
        if run > 5 {
            return None;
        }
        groups += 1;
        at += run;
        end = at;
        let rest = &chars[at..];
        let unit = UNITS.iter().find(|unit| {
            let mut rest = rest.iter();
            unit.chars().all(|c| rest.next() == Some(&c))
        });
        if let Some(unit) = unit {
            let length = unit.chars().count();
            // 3号室 and 5番線 count rooms and platforms.
            let room = *unit == "号" && matches!(chars.get(at + length), Some('室' | '棟' | '館'));
            let platform = *unit == "番" && matches!(chars.get(at + length), Some('線' | '目' | '手'));
            if room && groups > 1 || platform {
                break;
            }
            units += 1;
            at += length;
            end = at;
            // 本通14丁目北1-26
            let side = *unit == "丁目"
                && chars
                    .get(at)
                    .is_some_and(|c| matches!(c, '東' | '西' | '南' | '北'));
            if side && chars.get(at + 1).is_some_and(|c| is_digit(*c)) {
                at += 1;
                continue;
            }
            if matches!(*unit, "条" | "線") {
                // 北1条西2丁目
                let name = chars[at..]
                    .iter()
                    .take(4)
                    .take_while(|c| is_kanji(**c) && !is_kanji_numeral(**c))
                    .count();
                if chars
                    .get(at + name)
                    .is_some_and(|c| is_digit(*c) || is_kanji_numeral(*c))
                {
                    at += name;
                    continue;
                }
            }
        }
        let is_number = |c: Option<&char>| c.is_some_and(|c| is_digit(*c) || is_kanji_numeral(*c));
        match chars.get(at) {
            Some(c) if (is_hyphen(*c) || matches!(c, 'の' | 'ノ' | '之')) && is_number(chars.get(at + 1)) => {
                at += 1
            }
            Some(c)
                if is_space(*c) && unit.is_some_and(|unit| *unit != "号") && is_number(chars.get(at + 1)) =>
            {
                at += 1
            }
            Some(c) if (is_digit(*c) || is_kanji_numeral(*c)) && unit.is_some() => {}
            _ => break,
        }
    }
    let bare = groups == 1 && units == 0;
    let counted = chars.get(end).is_some_and(|c| {
        "件人円個年月日時台名万千億%％本社店歳度回位点倍割枚校戸棟階キkm分秒/:.,，．".contains(*c)
    });
    if zero
        || bare && (strict || counted)
        || groups > 1 && units == 0 && chars.get(end).is_some_and(|c| "年月日時円%/:".contains(*c))
    {
        return None;
    }
    Some(end)
}
