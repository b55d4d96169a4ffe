//! Messages that begin with whom they are from: 藤井：了解しました.

use super::super::super::letters::is_hiragana;
use super::lead::is_line_start;

/// Whether somebody says what fills the line in front of `rest`: 藤井「了解しました」. A name that is a `word` as well says a whole sentence.
pub(super) fn speaks(rest: &str, word: bool) -> bool {
    let said = line(rest)
        .strip_prefix('「')
        .and_then(|said| said.strip_suffix('」'));
    said.is_some_and(|said| {
        !said.contains(['「', '」']) && (is_polite(said) || !word && said.ends_with(is_hiragana))
    })
}

/// Whether a message may begin behind `before`: at the start of a line, behind a time, behind a heading.
pub(super) fn opens_message(before: &str) -> bool {
    let lead = before.trim_end_matches([' ', '　', ']', ')', '］', '）']);
    // 23:30 大津: 了解です
    let time = lead.len() < before.len() && {
        let clock = lead.trim_end_matches(|c: char| c.is_ascii_digit());
        clock.len() < lead.len() && clock.ends_with([':', '：'])
    };
    is_line_start(before) || time || lead.ends_with(['：', ':'])
}

/// Whether the line goes on with what somebody said: 藤井：了解しました.
pub(super) fn is_told(rest: &str, ordinary: bool) -> bool {
    line(rest).strip_prefix(['：', ':']).is_some_and(|said| {
        is_polite(said)
            || !ordinary && said.ends_with(['。', '！', '？', 'ね', 'よ']) && said.contains(is_hiragana)
    })
}

/// Whether a sentence ends as people end what they say to others.
fn is_polite(said: &str) -> bool {
    const ENDS: [&str; 10] = [
        "です",
        "ます",
        "でした",
        "ました",
        "ません",
        "ください",
        "下さい",
        "しょう",
        "お願いします",
        "ありがとう",
    ];
    let said = said
        .trim_end_matches(['。', '！', '!', '？', '?', '〜', 'ー'])
        .trim_end_matches(['か', 'ね', 'よ', 'が']);
    ENDS.iter().any(|end| said.ends_with(end))
}

/// What is left of the line, at most what a message has.
pub(super) fn line(rest: &str) -> &str {
    let near = rest.char_indices().nth(120).map_or(rest, |(at, _)| &rest[..at]);
    near.split('\n').next().unwrap_or_default().trim_end()
}

/// Whether a message begins behind whom it is from: 奥村 10:32.
pub(super) fn is_timed(rest: &str) -> bool {
    let line = line(rest);
    let time = line.trim_start_matches([' ', '　', '[', '(', '［', '（']);
    let time = time.trim_start_matches("午前").trim_start_matches("午後");
    let is_part =
        |c: char| c.is_ascii_digit() || matches!(c, ':' | '/' | '-' | ' ' | ']' | ')' | '］' | '）');
    time.len() < line.len()
        && (4..=22).contains(&time.len())
        && time.starts_with(|c: char| c.is_ascii_digit())
        && time.contains(':')
        && time.chars().all(is_part)
}
