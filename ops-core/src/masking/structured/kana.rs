//! Names in kana behind a label in kana: `ﾅﾏｴ:ﾔﾏﾀﾞ ｶﾅ`, `おなまえ：みうら みなと`. Forms that people fill in by hand and the lists of banks have them.

use std::ops::Range;

use super::view::Text;

/// Labels, without what makes them polite.
const LABELS: [&str; 18] = [
    "なまえ",
    "しめい",
    "ナマエ",
    "シメイ",
    "ふりがな",
    "フリガナ",
    "みょうじ",
    "ﾅﾏｴ",
    "ｼﾒｲ",
    "ﾌﾘｶﾞﾅ",
    "ﾐｮｳｼﾞ",
    "ﾒｲｷﾞ",
    "ﾒｲｷﾞﾆﾝ",
    "ｺｳｻﾞﾒｲｷﾞ",
    "ｲﾗｲﾆﾝ",
    "ｳｹﾄﾘﾆﾝ",
    "ｶﾅｼﾒｲ",
    "ｼﾒｲｶﾅ",
];

/// What is written where no name is.
const NONE: [&str; 22] = [
    "みてい",
    "ひっす",
    "なし",
    "ふめい",
    "にんい",
    "ひみつ",
    "とくめい",
    "ないしょ",
    "みとうろく",
    "みにゅうりょく",
    "ﾐﾃｲ",
    "ﾅｼ",
    "ﾌﾒｲ",
    "ﾋｯｽ",
    "ここに",
    "ひらがな",
    "カタカナ",
    "ｶﾀｶﾅ",
    "エラー",
    "ｴﾗｰ",
    "テスト",
    "ﾃｽﾄ",
];

/// How many characters a name has at most.
const LONGEST: usize = 16;

/// The name behind the sign at `sign`, which takes `width` bytes.
#[inline]
pub(super) fn name(text: &Text<'_>, sign: usize, width: usize) -> Option<Range<usize>> {
    // え, い, な, ナ, じ; ｴ, ｲ, ﾅ, ﾞ, ﾝ
    matches!(
        text.before(sign),
        0x88 | 0x84 | 0x85 | 0xa8 | 0x8a | 0x98 | 0xaa | 0xa4 | 0xb4 | 0xb2 | 0x9e | 0x9d
    )
    .then(|| labelled(text, sign, sign + width))
    .flatten()
}

fn labelled(text: &Text<'_>, end: usize, from: usize) -> Option<Range<usize>> {
    let label = LABELS.iter().find(|label| text.ends(end, label.as_bytes()))?;
    let mut start = end - label.len();
    start -= ["お", "ご", "ｵ", "ｺﾞ"]
        .iter()
        .find(|polite| text.ends(start, polite.as_bytes()))
        .map_or(0, |polite| polite.len());
    // そのなまえ is an end of something else.
    if start >= 3 && is_kana(text, start - 3) {
        return None;
    }
    let mut at = from;
    while let Some(space) = space(text, at).filter(|_| at - from < 6) {
        at += space;
    }
    let first = word(text, at);
    let mut stop = first;
    if let Some(space) = space(text, first) {
        let second = word(text, first + space);
        if second - first - space >= 3 {
            stop = second;
        }
    }
    let characters = (stop - at) / 3;
    let closed = match text.get(stop) {
        0x80.. => ["、", "。", "　", "（", "／", "様", "」", "､", "･"]
            .iter()
            .any(|sign| text.starts(stop, sign.as_bytes())),
        byte => !byte.is_ascii_alphanumeric(),
    };
    let value = &text.bytes[at..stop];
    let none = NONE.iter().any(|none| value.starts_with(none.as_bytes()));
    // ひらがなで: what is said of the field.
    let told = stop == first
        && ["で", "を", "に", "は", "が", "ます", "です", "さい"]
            .iter()
            .any(|end| value.ends_with(end.as_bytes()));
    ((2..=LONGEST).contains(&characters) && closed && !none && !told).then_some(at..stop)
}

/// How long the space at `at` is, or the sign that stands for one.
fn space(text: &Text<'_>, at: usize) -> Option<usize> {
    match text.get(at) {
        b' ' | b'/' => Some(1),
        0xe3 if text.starts(at, "・".as_bytes()) => Some(3),
        0xef if text.starts(at, "･".as_bytes()) || text.starts(at, "､".as_bytes()) => Some(3),
        0xe3 if text.starts(at, "　".as_bytes()) => Some(3),
        _ => None,
    }
}

/// The end of the kana that begin at `at`.
fn word(text: &Text<'_>, at: usize) -> usize {
    let mut end = at;
    while end - at < 3 * LONGEST && is_kana(text, end) {
        end += 3;
    }
    end
}

/// Whether kana of either width stand at `at`.
fn is_kana(text: &Text<'_>, at: usize) -> bool {
    match (text.get(at), text.get(at + 1), text.get(at + 2)) {
        (0xe3, 0x81, third) => third > 0x80,
        (0xe3, 0x82, third) => third <= 0x96 || third >= 0xa1,
        (0xe3, 0x83, third) => third <= 0xba || third == 0xbc,
        (0xef, 0xbd, third) => third >= 0xa6,
        (0xef, 0xbe, third) => third <= 0x9f,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<&str> {
        let text = Text::plain(line.as_bytes());
        line.match_indices([':', '：'])
            .find_map(|(at, sign)| name(&text, at, sign.len()))
            .map(|range| &line[range])
    }

    #[test]
    fn a_name_in_kana_stands_behind_its_label() {
        for (line, expected) in [
            ("ﾃﾞﾝﾜ:09011112222 ﾅﾏｴ:ｵｵｸﾎﾞ ｼｮｳ", "ｵｵｸﾎﾞ ｼｮｳ"),
            ("おなまえ：おおくぼ しょう", "おおくぼ しょう"),
            ("なまえ：おおくぼ　しょう（６さい）", "おおくぼ　しょう"),
            ("しめい: おおくぼ", "おおくぼ"),
            ("ｼﾒｲ:ｵｵｸﾎﾞ,ﾐﾅﾄ", "ｵｵｸﾎﾞ"),
            ("ﾒｲｷﾞﾆﾝ：ｵｵｸﾎﾞ ｼｮｳ", "ｵｵｸﾎﾞ ｼｮｳ"),
        ] {
            assert_eq!(found(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_name_is_left_alone() {
        for line in [
            "おなまえ：ひらがなで",
            "なまえ：みてい",
            "ものなまえ：おおくぼ",
            "なまえ：入力してください",
            "なまえ：おおくぼ屋",
            "ﾅﾏｴ:090",
            "ｼﾒｲ:",
            "しめい：",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
