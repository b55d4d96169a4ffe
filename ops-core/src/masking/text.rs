use std::ops::Range;

/// Replacements in a text, in the order of their places, without overlap.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Replaces `range` by `mask`, unless an earlier replacement reaches into it.
    pub(super) fn replace(&mut self, range: Range<usize>, mask: String) {
        if range.start >= self.end() {
            self.0.push((range, mask));
        }
    }

    /// Where the last replacement ends.
    pub(super) fn end(&self) -> usize {
        self.0.last().map_or(0, |(range, _)| range.end)
    }

    /// The text with the replacements made; `None` if there is nothing to change.
    pub(super) fn apply(self, text: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut changed = String::with_capacity(text.len());
        let mut done = 0;
        for (range, mask) in self.0 {
            changed.push_str(&text[done..range.start]);
            changed.push_str(&mask);
            done = range.end;
        }
        changed.push_str(&text[done..]);
        Some(changed)
    }
}

/// The half-width form of a full-width letter, digit or sign; any other character as it is.
pub(super) fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

pub(super) const PREFECTURES: &str = "北海道 青森県 岩手県 宮城県 秋田県 山形県 福島県 茨城県 栃木県 群馬県 埼玉県 千葉県 東京都 神奈川県 \
    新潟県 富山県 石川県 福井県 山梨県 長野県 岐阜県 静岡県 愛知県 三重県 滋賀県 京都府 大阪府 兵庫県 奈良県 和歌山県 鳥取県 島根県 岡山県 広島県 山口県 徳島県 香川県 \
    愛媛県 高知県 福岡県 佐賀県 長崎県 熊本県 大分県 宮崎県 鹿児島県 沖縄県";
