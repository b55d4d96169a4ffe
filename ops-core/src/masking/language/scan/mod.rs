//! One pass over a text: where to look closer, and who looks.

#[cfg(test)]
mod tests;

use super::super::vector::{self, Windows};
use super::blocks::{LEAD, STEP, Stretch};
use super::labels::{Label, Link, Value, end_of_key, key, label_before, value_after, value_of_key};
use super::lexicon::{Lexicon, class};
use super::{address, confidential, department, escapes, person, secret};
use crate::model::{PiiSpan, PiiType};

/// A pass over a text and what it has found.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) lexicon: &'static Lexicon,
    found: &'a mut Vec<PiiSpan>,
    /// Where in `found` the finds of this pass begin.
    first: usize,
    /// Nothing that begins in front of this place is looked at any more.
    skip: usize,
    /// What stands in brackets is being looked at by a rule that reads on behind them.
    within: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str, found: &'a mut Vec<PiiSpan>) -> Self {
        Self {
            text,
            lexicon: Lexicon::get(),
            first: found.len(),
            found,
            skip: 0,
            within: false,
        }
    }

    pub(super) fn run(mut self, windows: Windows<'_>) {
        let bytes = self.text.as_bytes();
        let mut stretch = Stretch::default();
        let (mut at, mut before, mut before_katakana) = (0, 0, 0);
        while at < bytes.len() {
            let count = vector::language(windows, at, &mut stretch);
            for marks in &stretch[..count] {
                let mut places = marks.sign | marks.kana | begins(marks.katakana, before_katakana);
                before_katakana = marks.katakana;
                if marks.kanji != 0 {
                    let within = marks.kanji << 3 | before >> (STEP - 3);
                    places |= self.telling_kanji(marks.kanji, within, at);
                }
                before = marks.kanji;
                while places != 0 {
                    let place = at + places.trailing_zeros() as usize;
                    places &= places - 1;
                    if place >= self.skip {
                        self.look(bytes, place);
                    }
                }
                at += STEP;
            }
        }
    }

    /// The kanji from `at` on that end a word of ours, or with which a name may begin: those that are not `within` a run of kanji. A branch
    /// for each would cost more than all of this.
    #[inline]
    fn telling_kanji(&self, kanji: u64, within: u64, at: usize) -> u64 {
        let bytes = self.text.as_bytes();
        let mut telling = 0;
        let mut rest = kanji;
        // All characters of a step, but for the last one of a text, are in one piece.
        if let Some(step) = bytes[at..].first_chunk::<{ STEP + 2 }>() {
            while rest != 0 {
                let bit = rest.trailing_zeros() as usize % STEP;
                rest &= rest - 1;
                let code = code_of(step[bit], step[bit + 1], step[bit + 2]);
                telling |= u64::from(self.lexicon.is_classed(code)) << bit;
            }
        }
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            telling |= u64::from(self.lexicon.is_classed(code(bytes, at + bit as usize))) << bit;
        }
        rest = kanji & !within & !telling;
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            let place = at + bit as usize;
            let begins = self
                .lexicon
                .may_begin(code(bytes, place), second_kanji(bytes, place));
            telling |= u64::from(begins) << bit;
        }
        telling
    }

    #[inline]
    fn look(&mut self, bytes: &[u8], at: usize) {
        match bytes[at] {
            LEAD..=0xe9 => {
                let code = code(bytes, at);
                let class = self.lexicon.class(code);
                if class != 0 {
                    self.japanese(bytes, at, class);
                }
                // A name begins where no kanji goes before.
                let within = at >= 3 && is_kanji_lead(bytes[at - 3]) && bytes[at - 1] >= 0x80;
                if bytes[at] > LEAD
                    && !within
                    && self.lexicon.may_begin(code, second_kanji(bytes, at))
                    && at >= self.skip
                {
                    person::bare(self, at);
                }
            }
            b' ' => self.latin(bytes, at),
            b':' | b'=' => self.key(bytes, at),
            b'>' if is_tag(bytes, at) => self.key(bytes, at),
            b'\\' => self.escape(at),
            b'-' => person::addressed(self, at),
            _ => {}
        }
    }

    fn japanese(&mut self, bytes: &[u8], at: usize, class: u8) {
        let end = at + 3;
        if class & class::PLACE != 0 && address::japanese(self, end) {
            return;
        }
        if class & class::DEPARTMENT != 0 && department::japanese(self, end) {
            return;
        }
        if class & class::LABEL != 0 && may_follow(bytes, end, third_of(bytes, at)) && self.label(end) {
            return;
        }
        // 受取人早川, 弊社中村: a name that touches the word in front of it.
        if class & (class::LABEL | class::SIDE) != 0
            && bytes.get(end).is_some_and(|byte| is_kanji_lead(*byte))
            && self.lexicon.may_begin(code(bytes, end), second_kanji(bytes, end))
            && person::touching(self, end)
        {
            return;
        }
        if class & class::LEAVE != 0 && confidential::on_leave(self, end) {
            return;
        }
        if class & class::HONORIFIC != 0 {
            person::before_honorific(self, end);
        }
        if class & class::KATAKANA != 0 && !(at >= 3 && is_katakana(bytes, at - 3)) {
            person::katakana(self, at);
        }
    }

    fn label(&mut self, end: usize) -> bool {
        let Some((label, start)) = label_before(self.lexicon, self.text, end) else {
            return false;
        };
        if label == Label::Account {
            return person::holder(self, end);
        }
        // 手取り25万円
        let end = match label == Label::Money && self.text[end..].starts_with('り') {
            true => end + "り".len(),
            false => end,
        };
        // 年収622万円, 査定A
        let next = self.text.as_bytes().get(end).copied().unwrap_or_default();
        let direct = match label {
            Label::Money => {
                next.is_ascii_digit()
                    || next == 0xc2
                    || self.text[end..].starts_with([
                        '￥', '約', '０', '１', '２', '３', '４', '５', '６', '７', '８', '９',
                    ])
            }
            Label::Grade => matches!(next, b'S' | b'A'..=b'E'),
            _ => false,
        };
        if direct {
            let value = Value {
                start: end,
                link: Link::Sign,
                closer: None,
            };
            return self.value(label, value, start);
        }
        if label == Label::Health && confidential::diagnosed(self, start) {
            return true;
        }
        // 健康診断の結果は
        let results = "の結果";
        let end = if matches!(label, Label::Health | Label::Grade | Label::Rating)
            && self.text[end..].starts_with(results)
        {
            end + results.len()
        } else {
            end
        };
        // 年収欄に「480万円」
        let end = match self.text[end..].strip_prefix("欄") {
            Some(rest) if label != Label::Secret => {
                end + "欄".len()
                    + if rest.starts_with("に「") {
                        "に".len()
                    } else {
                        0
                    }
            }
            _ => end,
        };
        // 持病に喘息があり, 既往歴として
        let with = ["に", "として"]
            .into_iter()
            .find(|with| self.text[end..].starts_with(with));
        let value = match with {
            Some(with) if label == Label::Condition => Some(Value {
                start: end + with.len(),
                link: Link::Word,
                closer: None,
            }),
            _ => value_after(self.text, end),
        };
        value.is_some_and(|value| self.value(label, value, start))
    }

    #[inline]
    fn key(&mut self, bytes: &[u8], at: usize) {
        if let Some(end) = end_of_key(self.lexicon, bytes, at) {
            self.field(&bytes[..end], at);
        }
    }

    /// Takes the value behind the separator at `at` for what the key at the end of `name` says.
    #[inline(never)]
    fn field(&mut self, name: &[u8], at: usize) {
        if let Some(label) = key(self.lexicon, name)
            && let Some(value) = value_of_key(self.text, at)
        {
            self.value(label, value, at);
        }
    }

    /// Takes `value` for what `label` says; whether it is that.
    fn value(&mut self, label: Label, value: Value, label_start: usize) -> bool {
        match label {
            Label::Name(strength) => person::labelled(self, value, strength),
            Label::Account => false,
            Label::Secret => secret::labelled(self, value),
            // 給与を35万円に
            Label::Money => confidential::labelled(self, label, value, label_start),
            _ if self.text[..value.start].ends_with('を') => false,
            Label::Address => value.link == Link::Sign && address::labelled(self, value),
            Label::Department => value.link == Link::Sign && department::labelled(self, value),
            Label::Grade | Label::Rating | Label::Condition | Label::Health => {
                confidential::labelled(self, label, value, label_start)
            }
        }
    }

    /// A space in front of something in Latin letters.
    fn latin(&mut self, bytes: &[u8], at: usize) {
        let next = bytes.get(at + 1).copied().unwrap_or_default();
        if next.is_ascii_uppercase() {
            let before = at.checked_sub(1).map_or(b' ', |at| bytes[at]);
            if address::may_be_english(bytes, at) && address::english(self, at) {
                return;
            }
            if matches!(next, b'D' | b'T') && department::english(self, at) {
                return;
            }
            // Sales team, HR dept: the word behind decides.
            let word = bytes[at + 1..]
                .iter()
                .take(16)
                .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'&')
                .count();
            let behind = at + 1 + word;
            if matches!(
                bytes.get(behind..),
                Some([b' ', b'd' | b't', b'e', b'p' | b'a', ..])
            ) && department::english(self, behind)
            {
                return;
            }
            if matches!(before, b'n' | b'm' | b'o' | b'|') && department::named(self, at) {
                return;
            }
            person::capitalised(self, at);
        } else if confidential::may_be_english(bytes, at) {
            confidential::english(self, at);
        }
    }

    /// A line with `\u`: it is read as what it stands for.
    fn escape(&mut self, at: usize) {
        if !escapes::begins(self.text, at) {
            return;
        }
        let line = escapes::line(self.text, at);
        if let Some(decoded) = escapes::Decoded::read(self.text, line.clone()) {
            let from = self.first;
            let mut index = from;
            while index < self.found.len() {
                if self.found[index].start >= line.start {
                    self.found.remove(index);
                } else {
                    index += 1;
                }
            }
            decoded.find(self.found);
            self.skip = line.end;
        }
    }

    /// Looks at what stands from `start` to `end` now, in front of what a rule that reads on takes behind it. Whether it may read on: nothing was
    /// found that goes on behind `end`, and nobody looks from within already, so that this calls itself in no text.
    pub(super) fn look_through(&mut self, start: usize, end: usize) -> bool {
        if self.within {
            return false;
        }
        self.within = true;
        let (text, bytes) = (self.text, self.text.as_bytes());
        for (at, c) in text[start..end].char_indices() {
            let at = start + at;
            if c.len_utf8() == 3 && at >= self.skip {
                self.look(bytes, at);
            }
        }
        self.within = false;
        self.found.last().is_none_or(|last| last.end <= end)
    }

    /// Notes a find. Of two that overlap, the one that begins first counts, and of those the longer.
    pub(super) fn push(&mut self, start: usize, end: usize, kind: PiiType) {
        if start >= end {
            return;
        }
        while self.found.len() > self.first
            && let Some(last) = self.found.last()
            && last.end > start
        {
            if last.start < start || last.start == start && last.end >= end {
                return;
            }
            self.found.pop();
        }
        self.found.push(PiiSpan::new(start, end, kind));
    }

    /// Notes a find in front of others, unless it overlaps one.
    pub(super) fn insert(&mut self, start: usize, end: usize, kind: PiiType) {
        let behind = self.found[self.first..].partition_point(|span| span.start < start) + self.first;
        let free = behind == self.first || self.found[behind - 1].end <= start;
        if start < end && free && self.found.get(behind).is_none_or(|next| end <= next.start) {
            self.found.insert(behind, PiiSpan::new(start, end, kind));
        }
    }

    /// Whether a find of `kind` reaches from `start` to `end`.
    pub(super) fn fills(&self, start: usize, end: usize, kind: PiiType) -> bool {
        let mut last = self.found[self.first..].iter().rev().take(4);
        last.any(|span| span.start == start && span.end == end && span.kind == kind)
    }

    /// Whether a find of `kind` ends at `end`.
    pub(super) fn has_before(&self, end: usize, kind: PiiType) -> bool {
        let last = self.found[self.first..].last();
        last.is_some_and(|last| last.end == end && last.kind == kind)
    }

    /// Whether a find of `kind` is in the line up to `end`.
    pub(super) fn has_in_line(&self, end: usize, kind: PiiType) -> bool {
        let last = self.found[self.first..].last();
        let Some(last) = last.filter(|last| last.kind == kind && last.end <= end) else {
            return false;
        };
        end - last.end <= 64 && !self.text[last.end..end].contains('\n')
    }

    /// Notes a find, and looks at nothing inside it.
    pub(super) fn take(&mut self, start: usize, end: usize, kind: PiiType) {
        self.push(start, end, kind);
        self.skip = self.skip.max(end);
    }
}

/// Where words of katakana begin: behind none. `before` are those of the step before.
#[inline]
fn begins(katakana: u64, before: u64) -> u64 {
    katakana & !(katakana << 3 | before >> (STEP - 3))
}

/// Whether a tag of XML ends at `at`: `<name>`, `<field name="shimei">`.
fn is_tag(bytes: &[u8], at: usize) -> bool {
    let near = &bytes[at.saturating_sub(64)..at];
    let open = near.iter().rev().find(|byte| matches!(byte, b'<' | b'>' | b'\n'));
    // A title of a page is none of a person.
    open == Some(&b'<') && !near.ends_with(b"title")
}

/// The code of the character of three bytes at `at`; 0 at the end of the text.
#[inline]
fn code(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..at + 3) {
        Some([first, second, third]) => code_of(*first, *second, *third),
        _ => 0,
    }
}

#[inline]
fn code_of(first: u8, second: u8, third: u8) -> usize {
    usize::from(first & 0xf) << 12 | usize::from(second & 0x3f) << 6 | usize::from(third & 0x3f)
}

/// Whether what follows a word can make it a label: a sign, a space, a bracket, `は`; an amount. `last` is the last byte of the word.
fn may_follow(bytes: &[u8], at: usize, last: u8) -> bool {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some([first, second, third]) = rest.first_chunk() else {
        // 総合評価A, and nothing else in the text.
        return matches!(rest.first(), Some(b' ' | b'0'..=b'9' | b'S' | b'A'..=b'E'));
    };
    match first {
        b':' | b'=' | b' ' | b'\t' | b'"' | b'\'' | b'(' | b'<' | b'[' | b']' | b')' | b'|' | b'>' | b'*'
        | b',' | b'\\' => true,
        // 年収500, 査定A
        b'0'..=b'9' | b'S' | b'A'..=b'E' | 0xc2 => true,
        0xe2 | 0xef => true,
        // The space of full width, brackets; は が の に と
        0xe3 if *second == 0x80 => true,
        // ・, and 欄
        0xe3 if *second == 0x83 && *third == 0xbb => true,
        b'/' => true,
        // 貧血の診断書
        0xe6 => *second == 0xac && *third == 0x84 || last == 0xad && *second == 0x9b && *third == 0xb8,
        0xe3 if *second == 0x81 => {
            // 診断され, 診断し, 診断を
            // 持病に, 既往歴として: behind 病 歴 患 症
            let condition = matches!(last, 0x85 | 0xb4 | 0xa3 | 0x87) && matches!(third, 0xab | 0xa8);
            matches!(third, 0xaf | 0x8c | 0xae) || condition || last == 0xad && matches!(third, 0x95 | 0x97)
        }
        // 診断を, 名前を, 給与を, 月給を, 年俸を, 報酬を, キーを, 担当を, 責任者を, 代理人を, 委員を; 手取り
        0xe3 if *second == 0x82 => {
            let object = *third == 0x92
                && matches!(
                    last,
                    0xad | 0x8d | 0x8e | 0xa6 | 0xb8 | 0xac | 0xbc | 0x93 | 0x85 | 0xba | 0xa1
                );
            object || *third == 0x8a && last == 0x96
        }
        // 約
        0xe7 => *second == 0xb4 && *third == 0x84,
        _ => false,
    }
}

/// The code of the kanji behind the one at `at`.
#[inline]
fn second_kanji(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 3..at + 6) {
        // 々, and 﨑 for what it stands for.
        Some([0xe4..=0xe9, ..] | [0xe3, 0x80, 0x85]) => Some(code(bytes, at + 3)),
        Some([0xef, 0xa8, 0x91]) => Some('崎' as usize),
        _ => None,
    }
}

fn third_of(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at + 2).copied().unwrap_or_default()
}

fn is_kanji_lead(byte: u8) -> bool {
    matches!(byte, 0xe4..=0xe9)
}

fn is_katakana(bytes: &[u8], at: usize) -> bool {
    bytes[at] == 0xe3 && (bytes[at + 1] == 0x83 || bytes[at + 1] == 0x82 && bytes[at + 2] >= 0xa1)
}
