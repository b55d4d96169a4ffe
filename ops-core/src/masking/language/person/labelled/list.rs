//! The further names of a list: 田中、佐藤.

use super::super::super::letters::{Note, Window, char_at, is_space, note_at};
use super::super::super::scan::Scan;
use super::super::parse::{self, Points, is_name};
use super::is_kin;
use crate::model::PiiType;

/// Takes further names of a list: 田中、佐藤, or 田中(営業部)、佐藤(総務部).
pub(in super::super) fn others(scan: &mut Scan<'_>, end: usize) {
    let mut end = end;
    for _ in 0..8 {
        // 坂本(資材部)、金子: what the note says is looked at first.
        end = match note_at(scan.text, end, 18) {
            Note::None => end,
            Note::Closed { close, behind }
                if char_at(scan.text, behind).is_some_and(is_separator) && scan.look_through(end, close) =>
            {
                behind
            }
            _ => return,
        };
        let window = Window::after(scan.text, end, 16, |c| {
            is_name(c) || is_space(c) || is_separator(c)
        });
        let chars = window.chars();
        let skip = chars.iter().take_while(|c| !is_name(**c)).count();
        if skip == 0 || skip > 2 || is_space(chars[0]) {
            return;
        }
        match parse::forward(scan.lexicon, &chars[skip..]) {
            Some((length, points))
                if (length > 1 || is_last(&chars[skip + length..]))
                    && (points >= Points::SURNAME
                        || points == Points::HALF && length > 3
                        || points == Points::GIVEN
                            && length > 1
                            && is_relative(scan, window.place(skip + length))) =>
            {
                scan.take(window.place(skip), window.place(skip + length), PiiType::Person);
                end = window.place(skip + length);
            }
            _ => return,
        }
    }
}

/// Takes the further names of a list in which each stands in quotes: `"assignees": ["田中", "佐藤"]`.
pub(super) fn others_in_quotes(scan: &mut Scan<'_>, end: usize, closer: Option<char>) {
    let Some(quote @ ('"' | '\'')) = closer else {
        return;
    };
    let mut end = end;
    for _ in 0..8 {
        let Some(rest) = scan.text[end..]
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_prefix(','))
        else {
            return;
        };
        let Some(name) = rest.trim_start_matches(' ').strip_prefix(quote) else {
            return;
        };
        let start = scan.text.len() - name.len();
        let window = Window::after(scan.text, start, 16, |c| is_name(c) || is_space(c));
        let fits = !window.chars().is_empty()
            && char_at(scan.text, window.end()) == closer
            && parse::whole(scan.lexicon, window.chars()) >= Some(Points::SURNAME);
        // The next key of an object is no name.
        if !fits
            || scan.text[window.end() + 1..]
                .trim_start_matches(' ')
                .starts_with(':')
        {
            return;
        }
        end = window.end();
        scan.take(start, end, PiiType::Person);
    }
}

/// Whether a note behind a given name says whose it is: 康弘（長男）.
fn is_relative(scan: &Scan<'_>, end: usize) -> bool {
    match note_at(scan.text, end, 6) {
        Note::Closed { close, .. } => is_kin(&scan.text[..close]),
        _ => false,
    }
}

/// Whether a list ends, or goes on, in front of `rest`: a surname of one kanji has nothing else behind it.
fn is_last(rest: &[char]) -> bool {
    rest.first().is_none_or(|c| is_separator(*c))
}

fn is_separator(c: char) -> bool {
    matches!(c, '、' | '/' | '／' | '・' | ',' | '，' | ';' | '；')
}
