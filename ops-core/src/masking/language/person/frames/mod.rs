//! Frames in which a surname alone is a person: 安藤です behind a greeting, 弊社中村が, 旧姓清水, 鈴木宛.

mod alone;
mod lead;
mod message;
mod namesakes;
mod other;
mod told;
mod touching;

pub(super) use self::lead::{is_led, is_line_start};
pub(in super::super) use self::namesakes::{FAMILIES, NOUNS, PLACES, TOWNS};
pub(super) use self::namesakes::{is_noun, is_place};
pub(super) use self::told::{ends_clause, is_noted, is_particle};
pub(in super::super) use self::touching::{SIDE_ENDS, touching};

use self::alone::is_word;
use self::lead::{greets, is_oneself, is_related, signs_off, speaks_for};
use self::message::{is_timed, is_told, line, opens_message, speaks};
use self::namesakes::{is_family, is_prefecture, is_worded};
use self::told::{
    DEEDS, HUMBLE, VERBS, addressed, hands_over, is_asked, is_of_department, is_paired, is_told_of, says_so,
};
use super::super::letters::{char_at, is_digit};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::bare::introduces;

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
    // 渡辺が, 同行：渡辺
    if is_family(scan, name) && is_word(scan, before, rest) {
        return true;
    }
    // 小川が承りました, 小川まで（内線1234）
    let humble = HUMBLE.iter().any(|sign| rest.starts_with(sign));
    if known && !is_noun(scan, name) && (humble || is_reached(rest.strip_prefix("まで").unwrap_or(rest))) {
        return true;
    }
    // 福岡宛 is where a parcel goes, (福岡宛) whom a letter is for.
    let place = is_place(scan, name);
    let opens = known && name.len() > 1 && opens_message(before) && !is_noun(scan, name);
    if opens && (speaks(rest, ordinary || place) || !place && (is_told(rest, ordinary) || is_timed(rest))) {
        return true;
    }
    // What opens with a bracket is said by nobody who does not open a message.
    if rest.starts_with('「') && !before.ends_with(['：', ':', '＝', '・', '／', '@', '＠', ' ', '　'])
    {
        return false;
    }
    if known && name.len() > 1 && !place && !is_noun(scan, name) && stands_alone(scan, before, rest, ordinary)
    {
        return true;
    }
    if known && !is_noun(scan, name) {
        let apart = !place || before.ends_with(['(', '（', ' ', '　']);
        if apart && addressed(rest, ordinary || place) {
            return true;
        }
        // 引き継ぎました大津です
        let presents = ["ました", "おります", "います"]
            .iter()
            .any(|end| before.ends_with(end));
        if says_so(rest) && (before.ends_with('の') && speaks_for(before) || greets(before) || presents) {
            return true;
        }
    }
    // 長谷川が担当, 商店の西園寺です, 青木が担当; but 庭の青木です
    let spoken = !ordinary || speaks_for(before);
    name.len() > 1
        && !is_noun(scan, name)
        && !(place && rest.starts_with('宛'))
        && (spoken || is_worded(name))
        && (spoken && rest.starts_with("です") && before.ends_with('の')
            // 長野へ転送, 福島から報告: of a place as well.
            || (!place || does(scan, name, rest)) && VERBS.iter().any(|sign| rest.starts_with(sign))
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

/// Whether the surname in front of `rest`, behind a department, is a person of it.
pub(super) fn belongs(rest: &str) -> bool {
    let closed = char_at(rest, 0).is_none_or(|c| matches!(c, '\n' | '\r' | ')' | '）' | '」' | '】' | '"'));
    closed || is_reached(rest) || says_so(rest) || addressed(rest, true) || introduces(rest) || is_asked(rest)
}

/// Whether who does something stands in front of `rest`, and no place that somebody looks after: 福島が担当します, 宮崎が担当エリア. A
/// prefecture does so only where it is told as of people; not in 福島が対応に追われる.
fn does(scan: &Scan<'_>, name: &[char], rest: &str) -> bool {
    let Some(deed) = rest.strip_prefix('が') else {
        return false;
    };
    let end = deed.char_indices().nth(9).map_or(deed.len(), |(at, _)| at);
    let holds = |words: &[&str]| words.iter().any(|word| deed[..end].contains(word));
    // 福島が対応。 is a note.
    let noted = || deed.chars().nth(2).is_none_or(|c| "。\n\r)）」".contains(c));
    !holds(&["エリア", "地区", "地域", "区域", "店"])
        && (!is_prefecture(scan, name)
            || noted()
            || holds(&["しま", "いたし", "致し", "しており", "です", "不在", "欠席"]))
}

/// Whether a number to reach somebody at follows in brackets.
fn is_reached(rest: &str) -> bool {
    // 人事部 林（011-263-4396）まで
    rest.strip_prefix(['(', '（']).is_some_and(|note| {
        note.starts_with(|c: char| is_digit(c) || c == '+')
            || ["内線", "直通", "電話", "携帯", "TEL", "Tel", "tel"]
                .iter()
                .any(|word| note.starts_with(word))
    })
}
