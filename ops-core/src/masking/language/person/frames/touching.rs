//! Names that touch the word in front of them: 弊社中村が, 旧姓清水, 受取人早川.

use super::super::super::labels::{Label, Strength};
use super::super::super::letters::{Window, char_before, is_space};
use super::super::super::lexicon::Entry;
use super::super::super::scan::Scan;
use super::super::honorific::is_company;
use super::super::labelled::others;
use super::super::parse::{self, Points, is_name};
use super::namesakes::{is_noun, is_prefecture};
use super::told::{ends_clause, is_particle};
use crate::model::PiiType;

/// Words for one's own side and the other one, which names touch: 先方五十嵐社長, 弊社中村が.
const SIDES: &str = "先方 当方 弊方 弊社 当社 御社 貴社 弊店 当店 弊行 当行 弊所 当所";

/// The last characters of [`SIDES`].
pub(in super::super::super) const SIDE_ENDS: &str = "方社店行所";

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
pub(in super::super::super) fn touching(scan: &mut Scan<'_>, end: usize) -> bool {
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
                Lead::Role => !is_noun(scan, name) && (ends_clause(rest) || is_particle(rest, true)),
                Lead::Task => !ordinary && length > 1 && (ends_clause(rest) || is_particle(rest, true)),
                // 弊社福岡が may be an office, 当社渋谷に is one.
                Lead::Side => {
                    !is_noun(scan, name)
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
