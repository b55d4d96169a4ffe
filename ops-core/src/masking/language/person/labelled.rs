//! Japanese names behind a label or a department.

use super::super::department;
use super::super::labels::{Label, Link, Strength, Value, label_before};
use super::super::letters::{
    REACH, Window, char_at, char_before, is_hiragana, is_kanji, is_katakana, is_narrow, is_space, starts_with,
};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::honorific::is_company;
use super::katakana::{kana_points, reading};
use super::parse::{self, Points, begins_with_title, is_name};
use crate::model::PiiType;

/// Takes the name that a label announces; whether there was one. `strength` is how far it is `announced`, or less where it is only told.
pub(super) fn labelled(scan: &mut Scan<'_>, value: Value, strength: Strength, announced: Strength) -> bool {
    let text = scan.text;
    let window = Window::after(text, value.start, REACH, |c| {
        is_name(c) || is_space(c) || matches!(c, '・' | '＝')
    });
    let chars = window.chars();
    let Some(first) = chars.first().copied() else {
        return false;
    };
    let closed = value.closer.is_some() && char_at(text, window.end()) == value.closer;
    if is_company(&text[..value.start]) {
        return false;
    }
    let taken = if is_narrow(first) {
        narrow_run(chars)
    } else if closed {
        closed_name(scan, chars, value.closer, strength)
    } else if is_katakana(first) {
        kana_run(scan, chars, strength, is_katakana)
    } else if is_hiragana(first) {
        kana_run(scan, chars, strength.min(Strength::Fair), is_hiragana)
    } else {
        kanji_run(scan, chars, value.link, strength, announced)
    };
    let Some(length) = taken else {
        return false;
    };
    let end = window.place(length);
    scan.take(value.start, end, PiiType::Person);
    reading(scan, end);
    if !closed {
        others(scan, end);
    }
    true
}

/// The length of the name that fills quotes or brackets.
fn closed_name(scan: &Scan<'_>, chars: &[char], closer: Option<char>, strength: Strength) -> Option<usize> {
    let mut length = chars.len();
    while length > 0 && is_space(chars[length - 1]) {
        length -= 1;
    }
    // An honorific stays outside.
    let title = (1..length).find(|title| {
        begins_with_title(&chars[*title..length])
            && length - title <= 3
            && parse::whole(scan.lexicon, &chars[..*title]) > Some(Points::SHAPE)
    });
    if let Some(title) = title {
        length = title;
        while is_space(chars[length - 1]) {
            length -= 1;
        }
    }
    let name = &chars[..length];
    let points = if name.iter().all(|c| !is_kanji(*c)) {
        let foreign = name.contains(&'・');
        kana_points(scan, name)
            .or(joined(scan, name))
            .or((foreign || strength == Strength::Sure && name.len() > 1).then_some(Points::SHAPE))
    } else if let Some(space) = name.iter().position(|c| is_space(*c)) {
        parse::spaced(scan.lexicon, &name[..space], &name[space + 1..])
    } else {
        parse::whole(scan.lexicon, name)
    };
    // Brackets are opened for much; only quotes hold nothing but the value.
    let quoted = matches!(closer, Some('"' | '\'' | '「' | '『' | '”'));
    let least = match strength {
        Strength::Sure if quoted => Points::SHAPE,
        Strength::Sure | Strength::Fair => Points::GIVEN,
        Strength::Weak => Points::GIVEN,
    };
    let long_enough = length > 1 || points >= Some(Points::SURNAME) || strength == Strength::Sure;
    (points >= Some(least) && long_enough).then_some(length)
}

/// The length of the name in kanji at the beginning of an open value.
fn kanji_run(
    scan: &Scan<'_>,
    chars: &[char],
    link: Link,
    strength: Strength,
    announced: Strength,
) -> Option<usize> {
    let (length, points) = parse::forward(scan.lexicon, chars)?;
    // 出席者は先方平野社長: whose they are is no part of a name.
    if length > 2 && scan.lexicon.word(&chars[..2]).is(Entry::ROLE) {
        return None;
    }
    // `| 氏名 | 郵便番号 |`: the next label is no value.
    let reversed = chars[..length].iter().rev().copied();
    if scan
        .lexicon
        .labels
        .longest(reversed)
        .is_some_and(|(label, _)| label == length && length > 1)
    {
        return None;
    }
    // 伊藤園, 松本楼: a house, where anything can follow.
    let house = matches!(
        chars[length - 1],
        '園' | '館' | '屋' | '庵' | '亭' | '軒' | '堂' | '苑' | '荘' | '舎' | '楼'
    );
    if house
        && length > 2
        && strength == Strength::Weak
        && !scan.lexicon.word(&chars[..length]).is(Entry::SURNAME)
    {
        return None;
    }
    let least = match (strength, link) {
        (Strength::Sure, Link::Sign) => Points::SHAPE,
        (Strength::Fair, Link::Sign) => Points::GIVEN,
        _ => Points::RARE,
    };
    if points < least || points == Points::SHAPE && length < 2 {
        return None;
    }
    // Behind `は` or a space, a lone surname that is a word as well is rather the word, unless the sentence ends there: 幹事は桑原です.
    let entry = scan.lexicon.word(&chars[..length]);
    let said = link == Link::Word && announced >= Strength::Fair && length > 1 && {
        let rest = &chars[length..];
        rest.is_empty() || starts_with(rest, "です") || starts_with(rest, "でした")
    };
    let word = points <= Points::SURNAME
        && entry.is(Entry::ORDINARY)
        && !((link == Link::Space || said) && entry.is(Entry::SURNAME));
    if word && (link != Link::Sign || strength == Strength::Weak) {
        return None;
    }
    Some(length)
}

/// Whether surname and given name stand in kana without a space, of which the surname is known: オイカワセイイチロウ.
fn joined(scan: &Scan<'_>, name: &[char]) -> Option<Points> {
    let known = (3..=5).any(|split| {
        let given = name.len().saturating_sub(split);
        (2..=7).contains(&given) && {
            let surname = scan.lexicon.word(&name[..split]);
            surname.is(Entry::SURNAME) && !surname.is(Entry::ORDINARY)
        }
    });
    (known && name.iter().all(|c| is_hiragana(*c) || is_katakana(*c))).then_some(Points::GIVEN)
}

/// The length of a name in katakana of half width: one word or two.
fn narrow_run(chars: &[char]) -> Option<usize> {
    let word = |from: usize| chars[from..].iter().take_while(|c| is_narrow(**c)).count();
    let first = word(0);
    let second = match chars.get(first) {
        Some(c) if is_space(*c) => word(first + 1),
        _ => 0,
    };
    // The next label is no name: ﾅﾏｴ ﾑﾗｶﾐ.
    const LABELS: [&str; 7] = ["ﾅﾏｴ", "ｼﾒｲ", "ﾒｲｷﾞ", "ﾃﾞﾝﾜ", "ｺｳｻﾞ", "ﾌﾘｶﾞﾅ", "ｼﾞｭｳｼｮ"];
    if LABELS
        .iter()
        .any(|label| label.chars().eq(chars[..first].iter().copied()))
    {
        return None;
    }
    let length = if second > 1 { first + 1 + second } else { first };
    (3..=30).contains(&length).then_some(length)
}

/// Where a word in hiragana, in front of `next`, is no name any more: 「くさかべ れんです」.
fn copula(word: &[char], next: Option<char>) -> Option<usize> {
    const VERBS: [&str; 4] = ["です", "でした", "でござ", "といいま"];
    const ENDS: [&str; 7] = ["さん", "さま", "ちゃん", "くん", "より", "から", "まで"];
    (2..word.len()).find(|at| {
        let rest = &word[*at..];
        // よりこ is a name: these end the word, but for one particle.
        let ends = |end: &str| starts_with(rest, end) && rest.len() <= end.chars().count() + 1;
        VERBS.iter().any(|verb| starts_with(rest, verb))
            || ENDS.iter().any(|end| ends(end))
                && !(rest.len() == 3 && matches!(rest[2], 'こ' | 'み' | 'え' | 'か'))
            || matches!(rest, ['は' | 'が' | 'を' | 'へ'])
            || matches!((rest, next), (['と'], Some('申')))
    })
}

/// The length of the name in kana at the beginning of an open value: one word or two.
fn kana_run(
    scan: &Scan<'_>,
    chars: &[char],
    strength: Strength,
    is_kana: impl Fn(char) -> bool,
) -> Option<usize> {
    let word = |from: usize| {
        chars[from..]
            .iter()
            .take_while(|c| is_kana(**c) || **c == '・' || **c == '＝' || **c == 'ー')
            .count()
    };
    let word = |from: usize| {
        let length = word(from);
        copula(&chars[from..from + length], chars.get(from + length).copied()).unwrap_or(length)
    };
    let first = word(0);
    let mut length = first;
    if chars.get(first).is_some_and(|c| is_space(*c)) {
        let second = word(first + 1);
        let next = chars.get(first + 1 + second);
        if second > 1 && !next.is_some_and(|c| is_kanji(*c)) {
            length = first + 1 + second;
        }
    }
    let points = kana_points(scan, &chars[..length]).or(joined(scan, &chars[..length]));
    if scan.lexicon.word(&chars[..first]).is(Entry::ROLE)
        || !(2..=20).contains(&length)
        || chars.get(length).is_some_and(|c| is_kanji(*c))
    {
        return None;
    }
    let foreign = chars[..length].contains(&'・');
    let known = points >= Some(Points::GIVEN) || foreign;
    (known || strength == Strength::Sure).then_some(length)
}

/// Takes the name that stands right behind the word for whoever has it, which ends at `end`: 受取人早川, 旧姓清水, 弊社中村が.
pub(in super::super) fn touching(scan: &mut Scan<'_>, end: usize) -> bool {
    let text = scan.text;
    let sides = ["弊社", "当社", "当方", "先方"];
    let side = sides.iter().any(|side| text[..end].ends_with(side));
    let label = || label_before(scan.lexicon, text, end).map(|(label, _)| label);
    if !side && !matches!(label(), Some(Label::Name(Strength::Sure | Strength::Fair))) {
        return false;
    }
    let window = Window::after(text, end, 12, |c| is_name(c) || is_space(c));
    let chars = window.chars();
    let Some((length, points)) = parse::forward(scan.lexicon, chars) else {
        return false;
    };
    let next = char_at(text, window.place(length));
    // Where nothing goes on, a surname may be a word as well.
    let stands = next.is_none_or(|c| !is_name(c));
    let word = scan.lexicon.word(&chars[..length]);
    let surname = length > 1
        && points == Points::SURNAME
        && (!word.is(Entry::ORDINARY) || stands && !side && word.is(Entry::SURNAME));
    if !surname && points < Points::RARE_FULL {
        return false;
    }
    scan.take(end, window.place(length), PiiType::Person);
    reading(scan, window.place(length));
    true
}

/// The place behind a note in brackets at `at`, behind which a list goes on: 坂本(資材部)、金子.
fn behind_note(text: &str, at: usize) -> usize {
    let Some(open) = char_at(text, at).filter(|c| matches!(c, '(' | '（')) else {
        return at;
    };
    let inside = at + open.len_utf8();
    let note = Window::after(text, inside, 16, |c| !matches!(c, ')' | '）' | '(' | '（' | '\n'));
    let end = match char_at(text, note.end()) {
        Some(close @ (')' | '）')) => note.end() + close.len_utf8(),
        _ => return at,
    };
    match char_at(text, end) {
        Some('、' | '，' | ',' | '/' | '／' | '・') => end,
        _ => at,
    }
}

/// Takes further names of a list: 田中、佐藤.
fn others(scan: &mut Scan<'_>, end: usize) {
    let mut end = end;
    for _ in 0..8 {
        let behind = behind_note(scan.text, end);
        if behind > end {
            let note = char_before(scan.text, behind).map_or(behind, |close| behind - close.len_utf8());
            department::japanese(scan, note);
            end = behind;
        }
        let window = Window::after(scan.text, end, 16, |c| {
            is_name(c) || is_space(c) || matches!(c, '、' | '/' | '／' | '・' | ',')
        });
        let chars = window.chars();
        let skip = chars.iter().take_while(|c| !is_name(**c)).count();
        if skip == 0 || skip > 2 || is_space(chars[0]) {
            return;
        }
        match parse::forward(scan.lexicon, &chars[skip..]) {
            Some((length, points))
                if length > 1 && (points >= Points::SURNAME || points == Points::HALF && length > 3) =>
            {
                scan.take(window.place(skip), window.place(skip + length), PiiType::Person);
                end = window.place(skip + length);
            }
            _ => return,
        }
    }
}

/// Takes the surname behind a department: 営業部の田中が, 営業部 田中.
pub(in super::super) fn after_department(scan: &mut Scan<'_>, end: usize) {
    let Some(joint) = char_at(scan.text, end).filter(|c| *c == 'の' || is_space(*c)) else {
        return;
    };
    let start = end + joint.len_utf8();
    let window = Window::after(scan.text, start, 12, |c| is_name(c) || is_space(c));
    if let Some((length, points)) = parse::forward(scan.lexicon, window.chars())
        && (points >= Points::SURNAME || points == Points::RARE && length > 2)
        && !scan.lexicon.word(&window.chars()[..length]).is(Entry::ORDINARY)
    {
        scan.push(start, window.place(length), PiiType::Person);
    }
}
