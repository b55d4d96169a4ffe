//! Japanese names behind a label or a department.

use super::super::labels::{Link, Strength, Value};
use super::super::letters::{
    Note, REACH, Window, char_at, is_digit, is_hiragana, is_kanji, is_katakana, is_narrow, is_space, note_at,
    starts_with,
};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::frames::{belongs, is_noun, is_place};
use super::honorific::{is_company, is_everybody};
use super::katakana::{kana_points, reading};
use super::parse::{self, Points, begins_with_title, is_name};
use crate::model::PiiType;

/// Takes the name that a label announces; whether there was one.
pub(super) fn labelled(scan: &mut Scan<'_>, value: Value, strength: Strength, role: bool) -> bool {
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
        // 連絡先は千葉です, 訪問先：青山: a place.
        let place = |length: &usize| {
            let rest = &text[window.place(*length)..];
            let is_alone = value.link == Link::Word || is_aim(&text[..value.start]) && !is_reached(rest);
            !role && is_alone && is_place(scan, &chars[..*length])
        };
        let run = kanji_run(scan, chars, value.link, strength).filter(|length| !place(length));
        run.or_else(|| {
            let (length, points) = parse::forward(scan.lexicon, chars).filter(|_| role)?;
            let name = &chars[..length];
            let fits = points == Points::SURNAME && !is_noun(name) && is_said(&text[window.place(length)..]);
            fits.then_some(length)
        })
    };
    let Some(length) = taken else {
        return false;
    };
    let end = window.place(length);
    // 社員のみなさまへ
    if text[end..].starts_with(['さ', '様']) && is_everybody(&text[..end]) {
        return false;
    }
    // 名前を山田に変更; but a name that is added to something is none of a person.
    if text[..value.start].ends_with('を') && !is_entered(&text[end..]) {
        return false;
    }
    scan.take(value.start, end, PiiType::Person);
    reading(scan, end);
    if closed {
        others_in_quotes(scan, end, value.closer);
    } else {
        others(scan, end);
        successor(scan, end);
    }
    true
}

/// Whether the label in front of a value says where something goes: 訪問先, 送付先.
fn is_aim(before: &str) -> bool {
    before
        .trim_end_matches(['：', ':', '＝', '=', ' ', '　', '】', '」', '"'])
        .ends_with('先')
}

/// Whether a number to reach somebody at, or a title, follows.
fn is_reached(rest: &str) -> bool {
    let rest = rest.trim_start_matches(is_space);
    rest.starts_with(|c: char| is_digit(c) || matches!(c, '(' | '（' | '+'))
        || rest.starts_with(['様', 'さ', '氏', '殿'])
}

/// Takes who comes after the person that ends at `end`: 坂本から阿部へ変わりました, 坂本→阿部.
fn successor(scan: &mut Scan<'_>, end: usize) {
    let rest = scan.text[end..].trim_start_matches(is_space);
    let Some((sign, behind)) = ["から", "より", "→", "⇒", "➡"]
        .iter()
        .find_map(|sign| Some((*sign, rest.strip_prefix(sign)?)))
    else {
        return;
    };
    let behind = behind.trim_start_matches(is_space);
    let start = scan.text.len() - behind.len();
    let window = Window::after(scan.text, start, 12, |c| is_name(c) || is_space(c));
    let Some((length, points)) = parse::forward(scan.lexicon, window.chars()) else {
        return;
    };
    let name_end = window.place(length);
    let next = &scan.text[name_end..];
    let arrow = !matches!(sign, "から" | "より")
        && (is_said(next) || next.starts_with(['に', 'へ', '(', '（', ' ', '　']));
    if points >= Points::SURNAME && !is_noun(&window.chars()[..length]) && (is_handed(next) || arrow) {
        scan.take(start, name_end, PiiType::Person);
    }
}

/// Whether something is handed to the person in front of `rest`: 阿部へ変わりました.
pub(super) fn is_handed(rest: &str) -> bool {
    const CHANGES: [&str; 9] = [
        "変",
        "交代",
        "代わ",
        "替",
        "引き",
        "引継",
        "異動",
        "バトン",
        "なり",
    ];
    rest.strip_prefix(['に', 'へ', 'と'])
        .is_some_and(|rest| CHANGES.iter().any(|change| rest.starts_with(change)))
}

/// Takes the further names of a list in which each stands in quotes: `"assignees": ["田中", "佐藤"]`.
fn others_in_quotes(scan: &mut Scan<'_>, end: usize, closer: Option<char>) {
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
fn kanji_run(scan: &Scan<'_>, chars: &[char], link: Link, strength: Strength) -> Option<usize> {
    // 出席者は先方平野社長: whoever it is stands behind 先方.
    if parse::begins_with_side(chars) {
        return None;
    }
    let (length, points) = parse::forward(scan.lexicon, chars)?;
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
    // 承認者：済
    let mark = length == 1 && "済良可否有無優要未同上他".contains(chars[0]);
    if points < least || mark || points == Points::SHAPE && length < 2 {
        return None;
    }
    // Behind `は` or a space, a lone surname that is a word as well is rather the word.
    let entry = scan.lexicon.word(&chars[..length]);
    let word = points <= Points::SURNAME
        && entry.is(Entry::ORDINARY)
        && !(link == Link::Space && entry.is(Entry::SURNAME));
    if word && (link != Link::Sign || strength == Strength::Weak) {
        return None;
    }
    Some(length)
}

/// Whether surname and given name stand in kana without a space, of which the surname is known: オイカワセイイチロウ.
pub(super) fn joined(scan: &Scan<'_>, name: &[char]) -> Option<Points> {
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

/// Takes the name of half width behind the number of an account: 普通 8950624 ﾌｼﾞﾜﾗ ｲﾁﾛｳ. Whether there was one.
pub(in super::super) fn holder(scan: &mut Scan<'_>, end: usize) -> bool {
    let rest = &scan.text[end..];
    let number = rest.trim_start_matches([
        ' ', '　', ')', '）', ':', '：', '番', '号', '.', 'N', 'o', ',', '\t', '|',
    ]);
    let behind = number.trim_start_matches(is_digit);
    let digits = number.len() - behind.len();
    let name = behind.trim_start_matches([' ', '　', '/', '／', '、', ',', '\t', '|']);
    if rest.len() - number.len() > 16 || !(4..=24).contains(&digits) || behind.len() - name.len() > 6 {
        return false;
    }
    if name.len() == behind.len() {
        return holder_before(scan, end);
    }
    let start = scan.text.len() - name.len();
    let window = Window::after(scan.text, start, 30, |c| is_narrow(c) || is_space(c));
    if window.chars().is_empty() {
        return holder_before(scan, end);
    }
    let Some(length) = narrow_run(window.chars()) else {
        return false;
    };
    // ﾐﾅﾄｼｮｳｼﾞ(ｶ: a company.
    let end = window.place(length);
    if scan.text[end..].starts_with(['(', '（', ')', '）']) {
        return false;
    }
    scan.take(start, end, PiiType::Person);
    true
}

/// Takes the name of half width in a cell of its own in front of the kind of the account that ends at `end`: ﾌｼﾞﾜﾗ ｲﾁﾛｳ,ﾐﾅﾄ銀行,普通,8950624.
fn holder_before(scan: &mut Scan<'_>, end: usize) -> bool {
    let is_edge = |c: char| matches!(c, ',' | '、' | '\t' | '|' | '｜' | '/' | '／');
    let window = Window::before(scan.text, end, 40, |c| c != '\n');
    let chars = window.chars();
    let Some(last) = chars.iter().rposition(|c| is_narrow(*c)) else {
        return false;
    };
    let first = chars[..last]
        .iter()
        .rposition(|c| !is_narrow(*c) && !is_space(*c))
        .map_or(0, |at| at + 1);
    let opens = first > 0 && is_edge(chars[first - 1])
        || first == 0
            && scan.text[..window.start()]
                .chars()
                .next_back()
                .is_none_or(|c| c == '\n' || is_edge(c));
    let name = &chars[first..=last];
    let words = name.split(|c| is_space(*c)).filter(|word| word.len() > 1).count();
    if !opens || !is_edge(chars[last + 1]) || words != 2 || narrow_run(name) != Some(name.len()) {
        return false;
    }
    scan.push(window.place(first), window.place(last + 1), PiiType::Person);
    true
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
    // 署名がない: behind a particle, words of the language are names of people too.
    let said = strength == Strength::Weak && chars[..length].iter().all(|c| is_hiragana(*c));
    if said && points < Some(Points::SURNAME) {
        return None;
    }
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

/// Whether what stands in front of `rest` is all that is said of a role: 幹事は桑原です.
fn is_said(rest: &str) -> bool {
    char_at(rest, 0).is_none_or(|c| {
        matches!(
            c,
            '。' | '、' | '，' | ',' | ')' | '）' | '」' | '\n' | '"' | '/' | '／'
        )
    }) || [
        "です",
        "でした",
        "でございます",
        "に変",
        "に交代",
        "に代わ",
        "が務",
        "が担",
        "となり",
        "になり",
        "に決",
        "にお願い",
    ]
    .iter()
    .any(|sign| rest.starts_with(sign))
}

/// Whether what stands in front of `rest` is typed into a field.
fn is_entered(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(['と', 'に']) else {
        return false;
    };
    [
        "入力", "登録", "記入", "記載", "変更", "修正", "訂正", "表示", "改め",
    ]
    .iter()
    .any(|verb| rest.starts_with(verb))
}

/// Whether a list ends, or goes on, in front of `rest`: a surname of one kanji has nothing else behind it.
fn is_last(rest: &[char]) -> bool {
    rest.first().is_none_or(|c| is_separator(*c))
}

fn is_separator(c: char) -> bool {
    matches!(c, '、' | '/' | '／' | '・' | ',' | '，' | ';' | '；')
}

/// Takes further names of a list: 田中、佐藤, or 田中(営業部)、佐藤(総務部).
pub(super) fn others(scan: &mut Scan<'_>, end: usize) {
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
                    && (points >= Points::SURNAME || points == Points::HALF && length > 3) =>
            {
                scan.take(window.place(skip), window.place(skip + length), PiiType::Person);
                end = window.place(skip + length);
            }
            _ => return,
        }
    }
}

/// Takes surname and given name behind an address, with which a field or a line ends: 東京都…4番24号 松本遥.
pub(in super::super) fn after_address(scan: &mut Scan<'_>, end: usize) {
    let Some(space) = char_at(scan.text, end).filter(|c| is_space(*c)) else {
        return;
    };
    let start = end + space.len_utf8();
    let window = Window::after(scan.text, start, 12, |c| is_name(c) || is_space(c));
    if let Some((length, Points::FULL)) = parse::forward(scan.lexicon, window.chars()) {
        let name_end = window.place(length);
        let closed = char_at(scan.text, name_end)
            .is_none_or(|c| matches!(c, '\n' | '\r' | ',' | '"' | ')' | '）' | '|' | '\t' | '（' | '('));
        if closed && length > 2 {
            scan.take(start, name_end, PiiType::Person);
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
        && {
            let name = &window.chars()[..length];
            !scan.lexicon.word(name).is(Entry::ORDINARY)
                // 営業部の山本です, 購買課 原宛
                || points == Points::SURNAME && !is_noun(name) && belongs(&scan.text[window.place(length)..])
        }
    {
        scan.push(start, window.place(length), PiiType::Person);
    }
}
