//! Names that are known as surname and given name, without any other sign.

use super::super::letters::{Window, is_hiragana, is_kanji, is_katakana, is_space};
use super::super::lexicon::{Entry, SEED, step};
use super::super::scan::Scan;
use super::cell::given_in_next;
use super::frames::{is_framed, is_led, is_noted};
use super::katakana::reading;
use super::labelled::others;
use super::parse::{self, Points, begins_with_title, is_name};
use crate::model::PiiType;

/// Takes a surname in kanji that begins at `at`, where no kanji goes before, with its given name; or with a verb that people do.
pub(in super::super) fn bare(scan: &mut Scan<'_>, at: usize) {
    let text = scan.text;
    let lexicon = scan.lexicon;
    if !may_be_bare(scan, at) {
        return;
    }
    let window = Window::after(text, at, 12, |c| is_name(c) || is_space(c));
    let chars = window.chars();
    let run = chars.iter().take_while(|c| is_kanji(**c)).count();
    if !(1..=run.min(4)).any(|length| {
        let word = lexicon.word(&chars[..length]);
        word.is(Entry::SURNAME) || word.is(Entry::RARE_SURNAME)
    }) {
        return;
    }
    let Some((length, points)) = parse::forward(lexicon, chars) else {
        return;
    };
    let name = &chars[..length];
    let end = window.place(length);
    // "中村","裕樹"
    if matches!(points, Points::SURNAME | Points::RARE)
        && let Some((start, to)) = given_in_next(scan, name, at, end)
    {
        scan.push(at, end, PiiType::Person);
        scan.take(start, to, PiiType::Person);
        return;
    }
    let sure = match points {
        Points::FULL | Points::RARE_FULL => {
            is_bare_name(scan, name, chars.get(length).copied(), points)
                || points == Points::FULL
                    && (text[end..].starts_with('宛')
                        || is_cell(scan, name, &text[..at], &text[end..])
                        || name.len() > 3 && is_noted(&text[end..]))
        }
        Points::SURNAME | Points::RARE => is_framed(scan, name, at, end),
        _ => false,
    };
    if sure {
        scan.take(at, end, PiiType::Person);
        reading(scan, end);
        if is_led(&text[..at]) {
            others(scan, end);
        }
    }
}

/// Whether somebody says their own name in front of `rest`.
pub(super) fn introduces(rest: &str) -> bool {
    ["と申し", "と言いま", "といいま", "でございます"]
        .iter()
        .any(|sign| rest.starts_with(sign))
}

/// Whether the kanji from `at` on can be a name: a quick look that passes over most words.
#[inline]
fn may_be_bare(scan: &Scan<'_>, at: usize) -> bool {
    let mut chars = scan.text[at..].chars();
    let (Some(first), Some(second)) = (chars.next(), chars.next()) else {
        return false;
    };
    if !is_kanji(second) {
        // 林 太郎, 林さゆり
        let third = chars.next();
        return scan.lexicon.is_alone(first)
            && ((is_space(second) || is_hiragana(second)) && third.is_some_and(is_name)
                || matches!(second, '"' | ',' | '\t' | '(' | '（'));
    }
    let mut word = ['\0'; 8];
    [word[0], word[1]] = [first, second];
    let mut run = 2;
    for c in chars {
        if !is_kanji(c) {
            // Behind a surname a space, or kana that may be a given name.
            return is_split(scan, &word[..run])
                || is_addressed(scan, &word[..run])
                || (is_space(c) || matches!(c, 'ヶ' | 'ノ')) && is_surname(scan, &word[..run])
                || is_edge(c) && is_surname(scan, &word[..run])
                || is_hiragana(c) && run > 1 && {
                    let word = scan.lexicon.word(&word[..run]);
                    word.is(Entry::SURNAME)
                        || word.is(Entry::RARE_SURNAME)
                            && (!word.is(Entry::ORDINARY) || matches!(c, 'と' | 'で' | 'か' | 'よ'))
                };
        }
        word[run] = c;
        run += 1;
        if run > 7 {
            return false;
        }
    }
    is_addressed(scan, &word[..run])
        || run > 2 && is_split(scan, &word[..run])
        || is_surname(scan, &word[..run])
}

/// Whether a field, a clause or a list may go on or end with `c` behind a surname.
fn is_edge(c: char) -> bool {
    matches!(
        c,
        '「' | '：'
            | ':'
            | '、'
            | '，'
            | ','
            | '・'
            | '('
            | '（'
            | ')'
            | '）'
            | '】'
            | ']'
            | '］'
            | '\n'
            | '\r'
            | '@'
            | '＠'
            | '。'
            | '．'
            | '！'
            | '？'
            | '/'
            | '／'
            | '|'
            | '｜'
            | ';'
            | '；'
            | '>'
            | '＞'
            | '→'
            | '⇒'
            | '\t'
            | '"'
    )
}

/// Whether `word` is a surname and what stands behind one: 宛, 他, 携帯.
fn is_addressed(scan: &Scan<'_>, word: &[char]) -> bool {
    match word {
        [surname @ .., '宛' | '他'] => is_surname(scan, surname),
        [surname @ .., '携', '帯'] | [surname @ .., '代', '理'] | [surname @ .., '両', '名'] => {
            is_surname(scan, surname)
        }
        _ => false,
    }
}

pub(super) fn is_surname(scan: &Scan<'_>, word: &[char]) -> bool {
    let entry = scan.lexicon.word(word);
    entry.is(Entry::SURNAME) || entry.is(Entry::RARE_SURNAME)
}

/// Whether `word` begins with a surname and a given name, with nothing or a title behind; or with a surname and a verb of people.
fn is_split(scan: &Scan<'_>, word: &[char]) -> bool {
    let mut hash = SEED;
    for split in 1..word.len().min(5) {
        hash = step(hash, word[split - 1]);
        let surname = scan.lexicon.entry(hash);
        if !surname.is(Entry::SURNAME) && !surname.is(Entry::RARE_SURNAME) {
            continue;
        }
        let mut given = SEED;
        for end in split + 1..=word.len().min(split + 3) {
            given = step(given, word[end - 1]);
            let ends = end == word.len() || begins_with_title(&word[end..]);
            if ends && scan.lexicon.entry(given).is(Entry::GIVEN) {
                return true;
            }
        }
    }
    false
}

/// Whether a known surname and given name without any other sign are a person rather than another word.
fn is_bare_name(scan: &Scan<'_>, name: &[char], next: Option<char>, points: Points) -> bool {
    let lexicon = scan.lexicon;
    if next.is_some_and(is_katakana) {
        return false;
    }
    // 高木 is a word too, 髙木 is a name.
    let ordinary = |chars: &[char]| {
        lexicon.word(chars).is(Entry::ORDINARY)
            && !chars.iter().any(|c| matches!(c, '﨑' | '髙' | '德' | '濵'))
    };
    // 鈴木 is a word by the dictionary, and a family first of all.
    let ordinary_family = |chars: &[char]| ordinary(chars) && !lexicon.word(chars).is(Entry::FAMILY);
    if let Some(space) = name.iter().position(|c| is_space(*c)) {
        let (surname, given) = (&name[..space], &name[space + 1..]);
        let both_words = ordinary_family(surname) && ordinary(given);
        return !both_words
            && (points == Points::FULL
                || given.len() > 1 && !ordinary(given)
                || surname.len() > 2 && !ordinary(surname))
            && (surname.len() > 1 || given.len() > 1);
    }
    if name.len() < 3 || ordinary(name) {
        return false;
    }
    // The split that is known must not be of two ordinary words, nor of one with a short other half.
    (1..name.len()).any(|split| {
        let (surname, given) = (&name[..split], &name[split..]);
        let first = lexicon.word(surname);
        if !lexicon.word(given).is(Entry::GIVEN) {
            return false;
        }
        let rare = first.is(Entry::RARE_SURNAME)
            && (given.len() > 1 || split > 2)
            && match split {
                1 => given.len() == 2 && is_given_end(given) && !ordinary(given),
                2 => !first.is(Entry::ORDINARY),
                _ => !first.is(Entry::ORDINARY) || !ordinary(given),
            };
        let known = first.is(Entry::SURNAME) || rare;
        match (split, given.len()) {
            _ if !known => false,
            (1, 1) => false,
            (1, _) => !ordinary(surname) && !ordinary(given) || given.len() > 1 && is_given_end(given) && !ordinary(given),
            (_, 1) => first.is(Entry::SURNAME) && (!ordinary_family(surname) || is_given_alone(given[0])) && !"大中市東西南北上下新県区港城駅山川橋町村部課室局長店社寺島内外前後側線道式型系産製発着行町口坂谷沢野原田園館屋庵亭軒堂苑荘舎楼錦郷梨米酒茶飴丼鍋漬塾組邸宅家塚峠湖湾焼牛豚餅錠酢油紙窯織染流派説法杯賞線".contains(given[0]),
            _ => !(ordinary_family(surname) && ordinary(given)),
        }
    })
}

/// Whether a known surname and given name fill a field of a list, a table or a line, where even two ordinary words are a name: | 山口さくら |.
fn is_cell(scan: &Scan<'_>, name: &[char], before: &str, behind: &str) -> bool {
    let strict = |c: char| matches!(c, '|' | '｜' | ';' | '；' | '\t' | '"');
    let loose = |c: char| {
        strict(c)
            || matches!(
                c,
                '、' | '，' | ',' | ':' | '：' | '(' | '（' | '「' | ')' | '）' | '」'
            )
    };
    let line = |c: char| matches!(c, '\n' | '\r');
    let left = before.trim_end_matches(is_space);
    let right = behind.trim_start_matches([' ', '　']);
    let (first, last) = (left.chars().next_back(), right.chars().next());
    let (starts, ends) = (first.is_none_or(line), last.is_none_or(line));
    if name.iter().any(|c| is_space(*c)) {
        // 39692850　山本 陽子
        let number = left.len() < before.len() && first.is_some_and(|c| c.is_ascii_digit());
        let opens = starts || number || first.is_some_and(|c| loose(c) && !matches!(c, ')' | '）' | '」'));
        let closes =
            ends || last.is_some_and(loose) && (right.len() == behind.len() || last.is_some_and(strict));
        // ('原 修', 'osamu@example.com')
        let quote = |c: Option<char>| c.is_some_and(|c| matches!(c, '\'' | '"'));
        let quoted =
            quote(first) && first == last && left.len() == before.len() && right.len() == behind.len();
        return name.len() > 3 && opens && closes || quoted;
    }
    // ばあちゃん（森真帆）, <li>林里佳（東京）
    let enclosed = matches!((first, last), (Some('（' | '('), Some('）' | ')')))
        || first == Some('>') && matches!(last, Some('<' | '（' | '('));
    let house = name.last().is_some_and(|c| {
        "園館屋庵亭軒堂苑荘舎楼系県市区町村府駅錦宛".contains(*c)
            || "道線城山川和".contains(*c) && !is_given_whole(scan, name)
    });
    if enclosed && name.len() > 2 && !house {
        return true;
    }
    let kana = name.iter().rev().take(2).all(|c| is_hiragana(*c));
    let closes = ends || last.is_some_and(strict);
    // 0012,東幸一,男: behind a number, or at the start of a row.
    let row =
        starts || left.ends_with(',') && left.trim_end_matches(',').ends_with(|c: char| c.is_ascii_digit());
    let in_row = row && left.len() == before.len() && behind.starts_with([',', '\t']) && !house;
    name.len() > 2 && (in_row || closes && (first.is_some_and(strict) || starts && ends && kana))
}

/// Whether a name ends with a given name of two characters, behind a surname: 山口正和; but 東大和 is a town and 東海道 a road.
fn is_given_whole(scan: &Scan<'_>, name: &[char]) -> bool {
    let given = name.len().checked_sub(2).map(|from| &name[from..]);
    given.is_some_and(|given| scan.lexicon.word(given).is(Entry::GIVEN))
        && !matches!(name, ['東', '大', '和'] | ['東', '海', '道'])
}

/// Given names of one character that are hardly any other word.
fn is_given_alone(c: char) -> bool {
    "浩淳晃充亮翼聡茜翔葵萌悠凛渉翠稔誠豊徹隆茂勇進昇亨篤毅剛猛諭哲敦淑潤舞瞳遥楓澪凪蓮颯樹陸駿隼匠慧司治実栞彩恵薫馨瑛慎賢健修".contains(c)
}

/// Characters that end given names and few other words.
fn is_given_end(given: &[char]) -> bool {
    given.last().is_some_and(|c| {
        "郎朗子美介助輔恵香奈菜也哉斗翔太男雄夫彦江枝代治司二三平吾之樹紀希織穂乃華花音葉咲月結".contains(*c)
    })
}
