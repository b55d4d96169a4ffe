use super::super::scan::Scan;
use super::places::{CODES, COUNTRIES, PARTS, PREFECTURES, STATES, STREETS, SUFFIXES, UNITS};
use crate::model::PiiType;

/// Whether an address may be around the space at `at`: a number ends there, or the code of a military one follows.
#[inline]
pub(in super::super) fn may_be_english(bytes: &[u8], at: usize) -> bool {
    let military = || matches!(bytes.get(at + 1..), Some([b'A' | b'D' | b'F', b'P', ..]));
    match bytes[..at] {
        // Behind the time of a log line, as nearly all are.
        [.., b'.', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'Z'] => military(),
        [.., b'0'..=b'9'] | [.., b'0'..=b'9', b'A'..=b'Z'] => {
            number_before(bytes, at).is_some() || military()
        }
        // 3783 5th Ave
        [.., b'0'..=b'9', b't', b'h']
        | [.., b'1', b's', b't']
        | [.., b'2', b'n', b'd']
        | [.., b'3', b'r', b'd'] => house_before(bytes, at).is_some(),
        [.., b'A'..=b'Z' | b','] => military(),
        _ => false,
    }
}

/// Takes the address whose number ends at the space at `at`; whether there was one.
pub(in super::super) fn english(scan: &mut Scan<'_>, at: usize) -> bool {
    let bytes = scan.text.as_bytes();
    if matches!(bytes.get(at + 1), Some(b'A' | b'F' | b'D')) && military(scan, at) {
        return true;
    }
    let Some(start) = number_before(bytes, at).or_else(|| house_before(bytes, at)) else {
        return false;
    };
    let Some(end) = self::at(scan.text, start) else {
        return false;
    };
    scan.take(start, end, PiiType::Address);
    true
}

/// Where the number of a house begins that ends at the space at `at`.
#[inline]
fn number_before(bytes: &[u8], at: usize) -> Option<usize> {
    if at == 0 {
        return None;
    }
    let letter = usize::from(bytes[at - 1].is_ascii_uppercase() && at > 1 && bytes[at - 2].is_ascii_digit());
    let mut number = 0;
    while let Some(at) = (at - letter).checked_sub(number + 1)
        && number + letter < 14
        && matches!(bytes[at], b'0'..=b'9' | b'-')
    {
        number += 1;
    }
    if number == 0 {
        return None;
    }
    let start = at - letter - number;
    let edge = start == 0
        || matches!(
            bytes[start - 1],
            b' ' | b'"' | b'\'' | b'(' | b':' | b',' | b'\t' | b'\n' | b'=' | b'>' | b'#'
        )
        || bytes[start - 1] >= 0x80;
    // 13:32:01 Retrying
    let time = start > 1 && bytes[start - 1] == b':' && bytes[start - 2].is_ascii_digit();
    (edge && !time && bytes[start].is_ascii_digit()).then_some(start)
}

/// Where the number of a house begins in front of the number of a street, which ends at the space at `at`.
fn house_before(bytes: &[u8], at: usize) -> Option<usize> {
    let letters = bytes[..at]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_lowercase())
        .count();
    let digits = bytes[..at - letters]
        .iter()
        .rev()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let space = (at - letters - digits).checked_sub(1)?;
    (letters == 2 && digits > 0 && bytes[space] == b' ')
        .then(|| number_before(bytes, space))
        .flatten()
}

/// A word of an address.
#[derive(Clone, Copy, Debug, Default)]
struct Word<'a> {
    text: &'a str,
    end: usize,
    /// A comma stands behind it.
    comma: bool,
}

/// The end of the address that begins at `start` with a number.
#[inline(never)]
pub(super) fn at(text: &str, start: usize) -> Option<usize> {
    let mut words = [Word::default(); 18];
    let count = read(text, start, &mut words);
    let words = &words[..count];
    let number = words.first()?.text;
    let japanese = number.bytes().filter(|byte| *byte == b'-').count();
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if !number.starts_with(|c: char| c.is_ascii_digit())
        || number.bytes().any(|byte| byte.is_ascii_lowercase())
        || number.contains('.')
    {
        return None;
    }
    // 1-2-3 Nishi-Shinjuku, Shinjuku-ku, Tokyo
    let last_part = words.iter().skip(1).rposition(|word| {
        let part = PARTS
            .split_ascii_whitespace()
            .any(|part| is_part(word.text, part));
        part || is_among(word, PREFECTURES)
    });
    let parts = words.iter().any(|word| {
        PARTS
            .split_ascii_whitespace()
            .any(|part| is_part(word.text, part))
    });
    if let Some(last) = last_part
        && (parts || japanese > 0)
        && digits <= 9
    {
        let mut end = last + 1;
        if words[end].comma && words.get(end + 1).is_some_and(|word| is_among(word, COUNTRIES)) {
            end += 1;
        }
        return Some(words[end].end);
    }
    if digits > 6 || japanese > 1 {
        return None;
    }
    // The state and the ZIP code decide, whatever the street is called.
    for at in 2..words.len() {
        let zip = words[at].text;
        let is_zip = zip.len() == 5 && zip.bytes().all(|byte| byte.is_ascii_digit())
            || zip.len() == 10
                && zip.bytes().enumerate().all(|(at, byte)| {
                    if at == 5 {
                        byte == b'-'
                    } else {
                        byte.is_ascii_digit()
                    }
                });
        let state = &words[at - 1];
        let is_state = state.text.len() == 2 && state.text.bytes().all(|byte| byte.is_ascii_uppercase())
            || is_among(state, STATES);
        if is_zip && is_state && words[..at].iter().any(|word| word.comma) {
            let mut end = at;
            if words[at].comma && words.get(at + 1).is_some_and(|word| is_among(word, COUNTRIES)) {
                end += 1;
            }
            return Some(words[end].end);
        }
    }
    // 9253 Ellis Light Apt. 642, Anitaport, TN: the code of the state will do without the ZIP code, if a city stands before it.
    if let Some(end) = with_state(words) {
        return Some(end);
    }
    let street = (2..words.len().min(7))
        .find(|at| is_among(&words[*at], STREETS) && !words[1..*at].iter().any(|word| word.comma))?;
    // 20 3rd Party Drive: behind the number of a street stands what it is.
    let numbered =
        words[1].text.starts_with(|c: char| c.is_ascii_digit()) && words[1].text.ends_with(['t', 'h', 'd']);
    if numbered && street > 2 {
        return None;
    }
    let mut end = street;
    // NW, and the apartment.
    if words
        .get(end + 1)
        .is_some_and(|word| matches!(word.text, "N" | "S" | "E" | "W" | "NW" | "NE" | "SW" | "SE"))
        && !words[end].comma
    {
        end += 1;
    }
    while let Some(unit) = words.get(end + 1) {
        if is_among(unit, UNITS)
            && words
                .get(end + 2)
                .is_some_and(|id| id.text.bytes().any(|byte| byte.is_ascii_digit()) || id.text.len() == 1)
        {
            end += 2;
        } else if unit.text.starts_with('#') {
            end += 1;
        } else {
            break;
        }
    }
    // A city, when a state or country follows.
    let known = (end + 1..words.len().min(end + 6)).rfind(|at| {
        let word = &words[*at];
        let state = word.text.len() == 2 && word.text.bytes().all(|byte| byte.is_ascii_uppercase());
        words[at - 1].comma && (state || is_among(word, STATES) || is_among(word, COUNTRIES))
    });
    if words[end].comma
        && let Some(known) = known
    {
        end = known;
    } else if let Some(city) = city(words, end) {
        end = city;
    }
    Some(words[end].end)
}

/// The end of number, street, comma, city, comma and a state, by its code or its name.
fn with_state(words: &[Word<'_>]) -> Option<usize> {
    let mut street = words
        .iter()
        .position(|word| word.comma)
        .filter(|at| (2..=6).contains(at))?;
    // 12 Baxter Cove, Apt 39D, New York
    if is_among(words.get(street + 1)?, UNITS) && words.get(street + 2).is_some_and(|id| id.comma) {
        street += 2;
    }
    let city = (street + 1..words.len().min(street + 4)).find(|at| words[*at].comma)?;
    let state = words.get(city + 1)?;
    let code = state.text.trim_end_matches('.');
    let end = if CODES.split_ascii_whitespace().any(|known| known == code) {
        state.end - (state.text.len() - code.len())
    } else if is_among(state, STATES) {
        state.end
    } else {
        let second = words
            .get(city + 2)
            .filter(|word| is_among(word, STATES) && !state.comma)?;
        is_among(state, "new north south west rhode").then_some(second.end)?
    };
    // Codes of states are words and short forms too: only behind what the post office of the United States calls a street.
    let last = words.iter().position(|word| word.comma)?;
    let called = (2..=last).any(|at| {
        let ends = at == last
            || is_among(&words[at + 1], UNITS)
            || words[at + 1].text.starts_with('#')
            || words[at + 1].text.len() < 3;
        ends && (is_among(&words[at], STREETS) || is_among(&words[at], SUFFIXES))
    });
    if !called {
        return None;
    }
    let named = words[street + 1..=city]
        .iter()
        .all(|word| is_name(word) && !has_digit(word));
    (named
        && words[1..=street]
            .iter()
            .all(|word| is_name(word) || has_digit(word)))
    .then_some(end)
}

/// The place of the city that stands behind the comma of `words[end]`, by what cities are called.
fn city(words: &[Word<'_>], end: usize) -> Option<usize> {
    const FIRST: &str = "lake north south east west new port fort san santa saint st los las mount el";
    const ENDS: &[&str] = &[
        "ville", "ton", "burgh", "side", "shire", "port", "chester", "mouth", "furt", "borough", "bury",
        "haven", "berg", "stad", "fort", "view", "field", "ham", "dale", "wood", "town",
    ];
    let first = words.get(end + 1).filter(|_| words[end].comma)?;
    let plain = |word: &Word<'_>| is_name(word) && !has_digit(word);
    if is_among(first, FIRST) {
        return words.get(end + 2).is_some_and(plain).then_some(end + 2);
    }
    let name = first.text.to_ascii_lowercase();
    let called = ENDS
        .iter()
        .any(|tail| name.len() > tail.len() + 2 && name.ends_with(tail));
    (plain(first) && called).then_some(end + 1)
}

/// Whether a word is one of `list`.
fn is_among(word: &Word<'_>, list: &str) -> bool {
    let word = word.text.trim_end_matches('.');
    list.split_ascii_whitespace()
        .any(|known| known.eq_ignore_ascii_case(word))
}

fn has_digit(word: &Word<'_>) -> bool {
    word.text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether a word is written as names of streets and cities are.
fn is_name(word: &Word<'_>) -> bool {
    word.text.len() == 1 || word.text.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn is_part(word: &str, part: &str) -> bool {
    let (word, part) = (word.as_bytes(), part.as_bytes());
    word.len() > part.len() + 1 && word[word.len() - part.len()..].eq_ignore_ascii_case(part)
}

/// Reads the words from `start` on, as long as they can belong to an address.
fn read<'a>(text: &'a str, start: usize, words: &mut [Word<'a>; 18]) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    let mut count = 0;
    while count < words.len() {
        let length = bytes[at..]
            .iter()
            .take(32)
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'\'' | b'.' | b'#' | b'-'))
            .count();
        let mut end = at + length;
        // A full stop ends the sentence, unless it shortens a word.
        let short = length <= 5 && bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
        if length > 1 && bytes[end - 1] == b'.' && (!short || !matches!(bytes.get(end), Some(b' ' | b','))) {
            end -= 1;
        }
        // A quote ends a string, and no word.
        while end > at && bytes[end - 1] == b'\'' {
            end -= 1;
        }
        let Some(first) = bytes.get(at).filter(|_| end > at) else {
            break;
        };
        if first.is_ascii_lowercase() && !matches!(&text[at..end], "of" | "the" | "and" | "de" | "la") {
            break;
        }
        let comma = bytes.get(end) == Some(&b',');
        words[count] = Word {
            text: &text[at..end],
            end,
            comma,
        };
        count += 1;
        at = end + usize::from(comma);
        if bytes.get(at) != Some(&b' ') {
            break;
        }
        at += 1;
    }
    count
}

/// Takes an address of the armed forces, whose `APO`, `FPO` or `DPO` stands behind `at`.
fn military(scan: &mut Scan<'_>, at: usize) -> bool {
    let text = scan.text;
    let rest = text.as_bytes().get(at + 1..at + 13);
    let Some(
        [
            b'A' | b'F' | b'D',
            b'P',
            b'O',
            b' ',
            b'A',
            b'A' | b'E' | b'P',
            b' ',
            zip @ ..,
        ],
    ) = rest
    else {
        return false;
    };
    if !zip.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let mut from = at.saturating_sub(40);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    from += text[from..at].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[from..at];
    let start = ["PSC ", "Unit ", "USS ", "USNS ", "USCGC ", "USNV ", "CMR "]
        .iter()
        .filter_map(|sign| before.rfind(sign))
        .max();
    if let Some(start) = start {
        scan.take(from + start, at + 13, PiiType::Address);
    }
    start.is_some()
}
