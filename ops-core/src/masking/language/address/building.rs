//! The name of a building and the number of a room behind the numbers of an address.

use super::super::letters::{
    ends_with, is_digit, is_hiragana, is_kanji, is_katakana, is_latin, is_space, starts_with,
};

const KINDS: &[&str] = &[
    "ビル",
    "ビルディング",
    "マンション",
    "ハイツ",
    "アパート",
    "荘",
    "コーポ",
    "メゾン",
    "パレス",
    "タワー",
    "レジデンス",
    "クレスト",
    "コート",
    "ハイム",
    "ハウス",
    "ヒルズ",
    "プラザ",
    "センター",
    "テラス",
    "ガーデン",
    "ハイム",
    "会館",
    "団地",
    "住宅",
    "寮",
    "宿舎",
    "館",
    "ヴィラ",
    "ヒル",
    "スクエア",
    "フォレスト",
    "ドーム",
    "棟",
    "号棟",
    "Building",
    "Tower",
    "Bldg",
    "Heights",
    "Mansion",
    "House",
    "コーポラス",
    "ドミール",
    "シャトー",
    "ロイヤル",
    "グランド",
];

const ROOMS: &[&str] = &[
    "号室", "号棟", "号館", "号", "階", "Ｆ", "F", "f", "室", "棟", "Floor", "階建",
];

/// How many digits the number of a room and a floor have at most.
const ROOM: usize = 8;

/// Words behind an address that are no building.
const NO_BUILDINGS: &[&str] = &[
    "電話",
    "携帯",
    "氏名",
    "名前",
    "担当",
    "郵便",
    "年齢",
    "生年",
    "宛",
    "在住",
    "様方",
    "様",
    "TEL",
    "Tel",
    "tel",
    "FAX",
    "Fax",
    "fax",
    "メール",
    "Email",
    "email",
    "E-mail",
    "e-mail",
    "ファックス",
    "ファクス",
    "フリーダイヤル",
    "phone",
    "Phone",
    "mobile",
    "連絡",
    "方",
    "付近",
    "周辺",
    "勤務",
    "居住",
    "所在",
    "出身",
    "へ",
    "に",
    "で",
    "を",
    "は",
    "が",
    "と",
    "の",
    "です",
    "まで",
    "から",
    "より",
    "も",
    "お",
    "ご",
    "年収",
    "給与",
    "部署",
    "所属",
    "職業",
    "備考",
    "送付",
    "発送",
];

/// The end of the address in `chars` whose numbers end at `end`, with building and room if they follow.
pub(super) fn extent(chars: &[char], end: usize) -> usize {
    let mut best = end;
    let mut at = end;
    let mut named = false;
    for word in 0..4 {
        let mut from = at;
        if chars.get(from).is_some_and(|c| is_space(*c)) {
            from += 1;
        } else if word > 0 {
            break;
        }
        let rest = &chars[from..];
        if rest.is_empty() || starts_with_any(rest, NO_BUILDINGS) {
            break;
        }
        let length = word_length(rest);
        if length == 0 {
            break;
        }
        let token = &rest[..length];
        // A telephone number is no room.
        let goes_on = || {
            let next: &[char] = rest.get(length + 1..).unwrap_or_default();
            is_space(rest[length]) && next.len() > 2 && next[..3].iter().all(|c| is_digit(*c))
        };
        let dialled = matches!(token[0], '0' | '０') && token.iter().all(|c| is_digit(*c));
        if token.iter().filter(|c| is_digit(**c)).count() > ROOM
            || dialled && rest.len() > length && goes_on()
        {
            break;
        }
        let foreign = token.iter().filter(|c| is_katakana(**c) || is_latin(**c)).count();
        let kind = KINDS.iter().any(|kind| contains(token, kind));
        // Directly behind the numbers: 5号に, 1-2-3在住.
        if from == at && !(kind || foreign > 1) {
            break;
        }
        named |= kind || foreign > 1;
        let good = (1..=length).rev().find(|to| {
            let part = &token[..*to];
            let open = token
                .get(*to)
                .is_some_and(|c| is_digit(*c) || is_katakana(*c) && is_katakana(part[*to - 1]));
            let room = ends_with_room(part);
            // レジデンス南 727: the side of a building, and a room behind it.
            let side = named
                && is_side(part)
                && chars.get(from + length).is_some_and(|c| is_space(*c))
                && chars.get(from + length + 1).is_some_and(|c| is_digit(*c));
            // 南 3名: a number of something.
            let room_behind = || {
                let rest = &chars[from + length + 1..];
                let digits = rest.iter().take_while(|c| is_digit(**c)).count();
                let counted = rest
                    .get(digits)
                    .is_some_and(|c| "名人年月日時分円歳回件個台本枚".contains(*c));
                let time = rest.get(digits).is_some_and(|c| matches!(c, ':' | '：'))
                    && rest.get(digits + 1).is_some_and(|c| is_digit(*c));
                // Rooms have three digits or more, as a rule.
                !(digits < 3 && (counted || time) || digits == 4 && rest.get(digits) == Some(&'年'))
                    && digits < 5
                    && !rest.get(digits).is_some_and(|c| matches!(c, '円' | '万'))
            };
            let side = side && room_behind();
            let digits = is_digit(part[*to - 1])
                && !ROOMS
                    .iter()
                    .any(|room| contains(&token[*to..], room) && starts_with(&token[*to..], room));
            let alone = part.iter().all(|c| is_digit(*c));
            // メゾン青葉 797号室
            let side = side
                || kind && !token.iter().any(|c| is_digit(*c)) && begins_with_room(&chars[from + length..]);
            !open
                && (side && *to == length
                    || room && (named || *to == length)
                    || digits && named && (!alone || word > 0)
                    || KINDS.iter().any(|kind| ends_with(part, kind)))
        });
        match good {
            Some(good) => {
                best = from + good;
                at = from + length;
                if good < length {
                    break;
                }
            }
            None if foreign > 1 && !token.iter().any(|c| is_digit(*c)) => at = from + length,
            None if named && best == end => at = from + length,
            None => break,
        }
    }
    best
}

/// The length of a word of a building's name.
fn word_length(chars: &[char]) -> usize {
    let letter = |c: char| is_kanji(c) || is_katakana(c) || is_latin(c) || is_digit(c);
    let mut length = 0;
    while length < chars.len().min(24) {
        let c = chars[length];
        let next = chars.get(length + 1).copied();
        let inner = matches!(
            c,
            '・' | '-' | '－' | '&' | '.' | '\'' | '’' | 'が' | 'の' | 'つ' | '#' | '＆'
        ) && (length > 0 || c == '#')
            && next.is_some_and(letter);
        // A name that begins in hiragana: さくら荘.
        let kana = is_hiragana(c) && chars[..length].iter().all(|c| is_hiragana(*c)) && length < 6;
        if !letter(c) && !inner && !kana {
            break;
        }
        length += 1;
    }
    if chars[..length].iter().all(|c| is_hiragana(*c)) {
        0
    } else {
        length
    }
}

fn ends_with_room(chars: &[char]) -> bool {
    ROOMS.iter().any(|room| {
        let length = room.chars().count();
        ends_with(chars, room) && chars.len() > length && {
            let before = chars[chars.len() - length - 1];
            is_digit(before) || *room == "棟" && is_latin(before)
        }
    })
}

/// Whether a space and the number of a room follow.
fn begins_with_room(rest: &[char]) -> bool {
    let Some((space, room)) = rest.split_first() else {
        return false;
    };
    let digits = room.iter().take_while(|c| is_digit(**c)).count();
    is_space(*space)
        && (1..=4).contains(&digits)
        && ["号", "階", "Ｆ", "F"]
            .iter()
            .any(|sign| starts_with(&room[digits..], sign))
}

/// Whether a word of a building's name ends with the side that it stands on.
fn is_side(part: &[char]) -> bool {
    matches!(part, [.., c, '東' | '西' | '南' | '北' | '中' | '館'] if is_katakana(*c))
}

fn starts_with_any(chars: &[char], words: &[&str]) -> bool {
    words.iter().any(|word| starts_with(chars, word))
}

fn contains(chars: &[char], word: &str) -> bool {
    (0..chars.len()).any(|at| starts_with(&chars[at..], word))
}
