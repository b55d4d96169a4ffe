//! Japanese names behind a label, an address or a department.

mod account;
mod behind;
mod list;
mod run;
mod successor;

pub(in super::super) use self::account::holder;
pub(in super::super) use self::behind::{after_address, after_department};
pub(super) use self::list::others;
pub(super) use self::run::joined;
pub(super) use self::successor::is_handed;

use self::list::others_in_quotes;
use self::run::{closed_name, kana_run, kanji_run, narrow_run};
use self::successor::successor;
use super::super::labels::{Link, Strength, Value};
use super::super::letters::{
    REACH, Window, char_at, is_digit, is_hiragana, is_katakana, is_narrow, is_space,
};
use super::super::lexicon::Entry;
use super::super::scan::Scan;
use super::frames::{ends_clause, is_noun, is_particle, is_place};
use super::honorific::{is_company, is_everybody};
use super::katakana::reading;
use super::parse::{self, Points, is_name};
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
    let follows = char_at(text, window.end());
    let taken = if is_narrow(first) {
        narrow_run(chars)
    } else if closed {
        closed_name(scan, chars, value.closer, strength)
    } else if is_katakana(first) {
        kana_run(scan, chars, strength, follows, is_katakana)
    } else if is_hiragana(first) {
        kana_run(scan, chars, strength.min(Strength::Fair), follows, is_hiragana)
    } else {
        // 連絡先は千葉です, 訪問先：青山: a place.
        let place = |length: &usize| {
            let rest = &text[window.place(*length)..];
            let is_alone = value.link == Link::Word
                || strength == Strength::Weak && value.link == Link::Sign && !is_user(&text[..value.start])
                || is_aim(&text[..value.start]) && !is_reached(rest);
            !role && is_alone && is_place(scan, &chars[..*length])
        };
        let run = kanji_run(scan, chars, value.link, strength).filter(|length| !place(length));
        run.or_else(|| {
            let (length, points) = parse::forward(scan.lexicon, chars).filter(|_| role)?;
            let name = &chars[..length];
            let rest = &text[window.place(length)..];
            let before = &text[..value.start];
            let fits = match points {
                Points::SURNAME => {
                    let told = is_said(rest) || before.ends_with('の') && is_particle(rest, false);
                    // 後任の南を, not 後任の前に.
                    let behind = matches!(name, ['前' | '中' | '奥' | '所' | '新' | '角']);
                    let noun = is_noun(scan, name) && (behind || !is_person(before));
                    told && !noun
                }
                // 次女の史笑は
                Points::GIVEN => {
                    let kin = before.strip_suffix('の').is_some_and(is_kin);
                    kin && length > 1
                        && name.last() != Some(&'人')
                        && !is_noun(scan, name)
                        && !scan.lexicon.word(name).is(Entry::ORDINARY)
                        && (is_particle(rest, true) || ends_clause(rest))
                }
                _ => false,
            };
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

/// Whether a key in Latin letters or a word for whoever uses something ends `before`, with its sign: `user: `, ユーザー：.
fn is_user(before: &str) -> bool {
    let label = before.trim_end_matches([':', '：', '=', '＝', '>', ' ', '　', '"', '\'']);
    label.ends_with(|c: char| c.is_ascii_alphabetic())
        || ["顧客", "ユーザー", "ユーザ", "名"]
            .iter()
            .any(|word| label.ends_with(word))
}

/// Whether a word for one of a family ends `before`.
fn is_kin(before: &str) -> bool {
    const KIN: [&str; 31] = [
        "友達",
        "友人",
        "親友",
        "彼女",
        "彼氏",
        "婚約者",
        "同級生",
        "甥",
        "姪",
        "長男",
        "長女",
        "次男",
        "次女",
        "二男",
        "二女",
        "三男",
        "三女",
        "息子",
        "娘",
        "妻",
        "夫",
        "兄",
        "姉",
        "弟",
        "妹",
        "父",
        "母",
        "祖父",
        "祖母",
        "孫",
        "配偶者",
    ];
    KIN.iter().any(|kin| before.ends_with(kin))
}

/// Whether what a single person is ends `before`, with の behind it: 後任の, 配達員の.
fn is_person(before: &str) -> bool {
    before
        .strip_suffix('の')
        .is_some_and(|role| role.ends_with(['者', '人', '員', '師', '任', '長', '司', '医', '役']))
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
        "入力",
        "登録",
        "記入",
        "記載",
        "変更",
        "修正",
        "訂正",
        "表示",
        "改め",
        "交代",
        "任命",
        "指名",
        "選任",
        "決定",
        "割り当て",
        "アサイン",
        "引き継",
        "お願い",
        "依頼",
    ]
    .iter()
    .any(|verb| rest.starts_with(verb))
}
