//! How far a name goes at the beginning of a value: in kanji, in kana, in half width, in quotes.

use super::super::super::labels::{Link, Strength};
use super::super::super::letters::{is_hiragana, is_kanji, is_katakana, is_narrow, is_space, starts_with};
use super::super::super::lexicon::Entry;
use super::super::super::scan::Scan;
use super::super::katakana::kana_points;
use super::super::parse::{self, Points, begins_with_title};

/// The length of the name that fills quotes or brackets.
pub(super) fn closed_name(
    scan: &Scan<'_>,
    chars: &[char],
    closer: Option<char>,
    strength: Strength,
) -> Option<usize> {
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
pub(super) fn kanji_run(scan: &Scan<'_>, chars: &[char], link: Link, strength: Strength) -> Option<usize> {
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
    let mark = length == 1 && "済良可否有無優要未同上他甲乙丙丁".contains(chars[0]);
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
pub(in super::super) fn joined(scan: &Scan<'_>, name: &[char]) -> Option<Points> {
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
pub(super) fn narrow_run(chars: &[char]) -> Option<usize> {
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
pub(super) fn kana_run(
    scan: &Scan<'_>,
    chars: &[char],
    strength: Strength,
    follows: Option<char>,
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
        // セイ：ハセガワ　メイ：ヨウイチ: the next label.
        let label = next.is_none() && follows.is_some_and(|c| matches!(c, ':' | '：' | '=' | '＝'));
        if second > 1 && !label && !next.is_some_and(|c| is_kanji(*c)) {
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
