use super::view::Text;

/// Whether a unit follows that counts: people, days, yen.
pub(super) fn is_counted(text: &Text<'_>, end: usize) -> bool {
    let spaced = text.get(end) == b' ';
    let at = end + usize::from(spaced);
    if text.get(at) < 0x80 {
        return !spaced && text.get(at) == b'%';
    }
    let (second, third) = (text.get(at + 1) & 0x3f, text.get(at + 2) & 0x3f);
    if FIRSTS[usize::from(second)] >> third & 1 == 0 {
        return false;
    }
    // After a space a unit stands alone: 名義 is no unit.
    let stands = |unit: &str| !spaced || !matches!(text.get(at + unit.len()), 0xe4..=0xe9);
    let first = text.get(at);
    UNITS
        .iter()
        .any(|unit| unit.as_bytes()[0] == first && text.starts(at, unit.as_bytes()) && stands(unit))
}

/// The last two bytes of the first characters of units.
static FIRSTS: [u64; 64] = {
    let mut firsts = [0; 64];
    let mut index = 0;
    while index < UNITS.len() {
        let unit = UNITS[index].as_bytes();
        firsts[(unit[1] & 0x3f) as usize] |= 1 << (unit[2] & 0x3f);
        index += 1;
    }
    firsts
};

const UNITS: [&str; 45] = [
    "円",
    "件",
    "個",
    "名",
    "人",
    "回",
    "年",
    "月",
    "日",
    "時",
    "分",
    "秒",
    "台",
    "本",
    "枚",
    "社",
    "階",
    "歳",
    "点",
    "倍",
    "度",
    "位",
    "周",
    "株",
    "冊",
    "行",
    "万",
    "億",
    "千",
    "ドル",
    "語",
    "文字",
    "バイト",
    "ページ",
    "ヶ",
    "か月",
    "か所",
    "か国",
    "か年",
    "店",
    "部",
    "箱",
    "号室",
    "桁",
    "％",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_counts() {
        for unit in UNITS {
            for text in [format!("12{unit}"), format!("12 {unit}")] {
                assert!(is_counted(&Text::plain(text.as_bytes()), 2), "{text}");
            }
        }
        for text in ["12", "12 ", "12様", "12を"] {
            assert!(!is_counted(&Text::plain(text.as_bytes()), 2), "{text}");
        }
    }
}
