//! What else a family's name is told of: a river, a shop, a brand.

use super::super::super::letters::is_space;

/// What is told of rivers and mountains in front of `rest`: 中川が氾濫した.
pub(super) fn is_nature(rest: &str) -> bool {
    const TOLD: [&str; 26] = [
        "を渡",
        "を下",
        "を上",
        "を登",
        "に登",
        "に日",
        "が氾濫",
        "が増水",
        "が流れ",
        "が決壊",
        "が濁",
        "が溢",
        "があふれ",
        "が噴火",
        "の水位",
        "の氾濫",
        "の堤防",
        "の河口",
        "の源流",
        "の麓",
        "の山",
        "の花火",
        "で釣",
        "に沿",
        "を越え",
        "に架",
    ];
    TOLD.iter().any(|sign| rest.starts_with(sign))
}

/// Whether the kind of a shop stands right before, with a space: 居酒屋 山本.
pub(super) fn is_shop(before: &str) -> bool {
    const SHOPS: [&str; 44] = [
        "旅館",
        "民宿",
        "居酒屋",
        "割烹",
        "料亭",
        "食堂",
        "酒場",
        "酒造",
        "酒店",
        "寿司",
        "鮨",
        "蕎麦",
        "そば",
        "うどん",
        "ラーメン",
        "焼肉",
        "焼鳥",
        "串カツ",
        "スナック",
        "バー",
        "喫茶",
        "珈琲",
        "カフェ",
        "レストラン",
        "ホテル",
        "ペンション",
        "美容室",
        "美容院",
        "理容",
        "理髪",
        "サロン",
        "ヘアー",
        "クリニック",
        "医院",
        "歯科",
        "薬局",
        "書店",
        "商店",
        "工房",
        "農園",
        "牧場",
        "道場",
        "塾",
        "銘酒",
    ];
    let lead = before.trim_end_matches(is_space);
    lead.len() < before.len() && SHOPS.iter().any(|shop| lead.ends_with(shop))
}

/// Whether a heading for things and places stands before, perhaps with others of its list: メーカー：本田、鈴木.
pub(super) fn is_listed_thing(before: &str) -> bool {
    const HEADINGS: [&str; 42] = [
        "品種",
        "屋号",
        "店名",
        "商品名",
        "製品名",
        "品名",
        "銘柄",
        "ブランド",
        "メーカー",
        "社名",
        "会社名",
        "会社",
        "企業",
        "企業名",
        "業者",
        "取引先",
        "仕入先",
        "仕入れ先",
        "配送",
        "運送",
        "施工",
        "製造元",
        "販売元",
        "発売元",
        "製造",
        "産地",
        "会場",
        "駅",
        "駅名",
        "路線",
        "拠点",
        "地名",
        "地域",
        "エリア",
        "支店",
        "店舗",
        "行き先",
        "勤務地",
        "出身",
        "車種",
        "機種",
        "施設",
    ];
    let near = before
        .char_indices()
        .rev()
        .nth(23)
        .map_or(before, |(at, _)| &before[at..]);
    let near = near.rsplit(['\n', '。', ' ', '　']).next().unwrap_or_default();
    let Some((heading, _)) = near
        .rsplit_once(['：', ':', '＝'])
        .or_else(|| near.rsplit_once('は'))
    else {
        return false;
    };
    HEADINGS.iter().any(|word| heading.ends_with(word))
}
