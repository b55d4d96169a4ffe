//! Values behind the word password without a sign that a field has, or with one of another language: `password is hunter2`,
//! `<password>hunter2</password>`, `user[password]=hunter2`.

use std::ops::Range;

use super::value::{BLANKS, Field, is_foreign, is_placeholder, value, with_tail};
use super::view::Text;

/// The value after the word password at `at`.
pub(super) fn find(text: &Text<'_>, at: usize) -> Option<Range<usize>> {
    let end = if text.get(at) == 0x83 {
        text.ends(at + 2, "パスワード".as_bytes()).then_some(at + 2)?
    } else {
        let rest = text.bytes.get(at..)?;
        let length = ["sword", "swd"]
            .iter()
            .find(|tail| {
                rest.len() >= tail.len() && rest[..tail.len()].eq_ignore_ascii_case(tail.as_bytes())
            })?
            .len();
        let begins = at >= 3 && text.bytes[at - 3..at].eq_ignore_ascii_case(b"pas");
        begins.then_some(at + length)?
    };
    if let Some(value) = in_markup(text, at, end).or_else(|| dressed(text, end)) {
        return Some(value);
    }
    let mut start = end;
    let mut told = false;
    while let Some(sign) = CONNECTORS.iter().find(|sign| text.starts(start, sign.as_bytes())) {
        told |= *sign == "：" || *sign == "「" || *sign == "『";
        start += sign.len();
        if start - end > 24 {
            return None;
        }
    }
    // With one of these, the field itself is found.
    if start == end || matches!(text.get(end), b':' | b'=' | b'"' | b'\'') {
        return None;
    }
    if !told && text.get(start) == b'(' {
        start += 1;
        if is_note(&text.bytes[start..]) {
            return None;
        }
    }
    let value = with_tail(text, value(text, start, Field::Told)?);
    let bytes = &text.bytes[value.clone()];
    let mixed = bytes.iter().any(u8::is_ascii_digit) && bytes.iter().any(|byte| !byte.is_ascii_digit())
        || bytes
            .iter()
            .any(|byte| matches!(byte, b'!' | b'#' | b'$' | b'%' | b'^' | b'*' | b'&'));
    let number = bytes.iter().all(u8::is_ascii_digit);
    let right =
        (mixed && value.len() >= 5) || (number && value.len() >= 4 && told) || (told && value.len() >= 4);
    right.then_some(value)
}

/// The value behind a name that ends before `end` and its sign, where something stands between the two: `user[password]=hunter2`,
/// `env["DB_PASSWORD"] = "hunter2"`, `&quot;password&quot;:&quot;hunter2&quot;`, `パスワード（初期）：hunter2`. Without, the field itself is found.
fn dressed(text: &Text<'_>, end: usize) -> Option<Range<usize>> {
    let rest = text.bytes.get(end..)?;
    let tabs = blanks(text, end);
    let entity = ["&quot;", "&#34;", "&#39;"]
        .into_iter()
        .find(|sign| rest.starts_with(sign.as_bytes()));
    let default = ["\", \"", "', '"]
        .into_iter()
        .find(|sign| rest.starts_with(sign.as_bytes()));
    let close = ["\"]", "']", "[]", "]"]
        .into_iter()
        .find(|sign| rest.starts_with(sign.as_bytes()));
    if let Some(entity) = entity {
        let start = end + entity.len();
        let sign = start + blanks(text, start);
        let from = sign + 1 + blanks(text, sign + 1);
        let opened = matches!(text.get(sign), b':' | b'=') && text.starts(from, entity.as_bytes());
        let from = from + entity.len();
        let rest = text.bytes.get(from..).filter(|_| opened)?;
        let length = memchr::memmem::find(&rest[..rest.len().min(LONGEST)], entity.as_bytes())?;
        return is_written(&rest[..length]).then_some(from..from + length);
    }
    // os.getenv("DB_PASSWORD", "hunter2")
    if let Some(between) = default {
        let line = &text.bytes[end.saturating_sub(LONGEST_NAME)..end];
        let open = memchr::memrchr2(b'"', b'\'', line)?;
        let called = ["env(", "get(", "fetch(", "getProperty("]
            .iter()
            .any(|call| line[..open].ends_with(call.as_bytes()));
        let value = value(text, end + between.len() - 1, Field::Assigned).filter(|_| called)?;
        return is_word(&text.bytes[value.clone()]).then_some(value);
    }
    let (sign, touching) = if let Some(close) = close {
        let start = end + close.len();
        (start + blanks(text, start), close)
    } else if rest.starts_with("（".as_bytes()) || rest.starts_with(b" (") {
        let close: &[u8] = if rest[0] == b' ' { b")" } else { "）".as_bytes() };
        let note = &rest[..rest.len().min(LONGEST_NOTE)];
        let length = memchr::memmem::find(note, close).filter(|length| !note[..*length].contains(&b'\n'))?;
        let start = end + length + close.len();
        (start + blanks(text, start), "")
    } else if rest[..tabs].contains(&b'\t')
        || matches!(rest.first(), Some(b'"' | b'\'')) && rest.get(1) == Some(&b'\t')
    {
        let start = end + usize::from(tabs == 0);
        (start + blanks(text, start), "")
    } else {
        return None;
    };
    let width = match text.get(sign) {
        b':' | b'=' => 1,
        0xef if text.starts(sign, "：".as_bytes()) || text.starts(sign, "＝".as_bytes()) => 3,
        _ => return None,
    };
    let start = sign + width;
    // What a program puts there is another name; what a form sends stands right behind the sign.
    let quoted = matches!(text.get(start + blanks(text, start)), b'"' | b'\'');
    if !touching.is_empty() && !quoted && (sign > end + touching.len() || text.get(start) == b' ') {
        return None;
    }
    let kind = if touching.is_empty() {
        Field::Told
    } else {
        Field::Assigned
    };
    let value = value(text, start, kind)?;
    // `errors["password"] = "is too short"`
    let is_text = !touching.is_empty() && !is_word(&text.bytes[value.clone()]);
    (value.len() >= 3 && !is_text).then(|| with_tail(text, value))
}

/// Whether what stands behind a bracket is a version, as in `base-passwd (3.5.3)`, or a kind of hash, and no password.
fn is_note(rest: &[u8]) -> bool {
    let word = |byte: &&u8| byte.is_ascii_graphic() && **byte != b')';
    let length = rest.iter().take(LONGEST_NOTE).take_while(word).count();
    let word = rest[..length].to_ascii_lowercase();
    let version = word.first().is_some_and(u8::is_ascii_digit) && word.contains(&b'.');
    let is_hash = |hash: &&[u8]| {
        let rest = word.strip_prefix(*hash);
        // `isolde99` is none.
        rest.is_some_and(|rest| hash.len() > 4 || !rest.first().is_some_and(u8::is_ascii_alphabetic))
    };
    version || HASHES.iter().any(is_hash)
}

const HASHES: [&[u8]; 12] = [
    b"sha", b"md5", b"bcrypt", b"argon2", b"pbkdf2", b"base64", b"utf", b"rfc", b"ipv", b"tls", b"cve-",
    b"iso",
];

/// How many blanks and tabs stand at `at`.
fn blanks(text: &Text<'_>, at: usize) -> usize {
    let rest = text.bytes.get(at..).unwrap_or_default();
    rest.iter()
        .take(BLANKS)
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count()
}

/// Whether a value is one word, and no sentence.
fn is_word(value: &[u8]) -> bool {
    let plain = |word: &&[u8]| word.len() > 1 && word.iter().all(u8::is_ascii_alphabetic);
    let sentence = || value.split(|byte| *byte == b' ').filter(plain).count() > 1;
    is_value(value) && (is_chosen(value) || !value.contains(&b' ') || !sentence())
}

/// Whether a value is a secret and not what a form or a schema says to people, as in `<password>必須</password>`.
fn is_written(value: &[u8]) -> bool {
    let words = value.contains(&b' ')
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b' ');
    is_value(value) && (!words || is_chosen(value))
}

/// Whether a value may be a password.
fn is_value(value: &[u8]) -> bool {
    value.len() >= 3
        && (value.is_ascii() || is_foreign(value))
        && !value.contains(&b'\n')
        && !is_placeholder(value)
}

/// Whether words are ones that somebody has chosen for a password, and no text for people: `correct horse battery staple`.
fn is_chosen(value: &[u8]) -> bool {
    let words = || value.split(|byte| *byte == b' ');
    words().count() > 3
        && words().all(|word| {
            word.len() > 2 && word.iter().all(u8::is_ascii_lowercase) && !OF_SENTENCES.contains(&word)
        })
}

/// Words that a text for people of four words and more has.
const OF_SENTENCES: [&[u8]; 24] = [
    b"password",
    b"must",
    b"required",
    b"field",
    b"please",
    b"your",
    b"the",
    b"not",
    b"and",
    b"for",
    b"has",
    b"with",
    b"enter",
    b"you",
    b"can",
    b"this",
    b"that",
    b"from",
    b"was",
    b"are",
    b"have",
    b"when",
    b"new",
    b"invalid",
];

const LONGEST: usize = 4096;
const LONGEST_NAME: usize = 64;
const LONGEST_NOTE: usize = 32;

/// The value of the element or attribute whose name ends at `end` with the word around `at`: `<password>hunter2</password>`,
/// `key="DbPassword" value="hunter2"`.
fn in_markup(text: &Text<'_>, at: usize, end: usize) -> Option<Range<usize>> {
    let range = match text.get(end) {
        b'>' | b' ' => {
            let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
            let mut start = at;
            while name(text.before(start)) && at - start < LONGEST_NAME {
                start -= 1;
            }
            if text.before(start) != b'<' {
                return None;
            }
            let rest = &text.bytes[end..text.bytes.len().min(end + LONGEST)];
            let open = memchr::memchr2(b'>', b'\n', rest).filter(|open| rest[*open] == b'>')?;
            let from = end + open + 1;
            let rest = &text.bytes[from..];
            let ends = |byte: &u8| matches!(byte, b'<' | b'\n' | b'"');
            let length = rest.iter().take(LONGEST).position(ends)?;
            rest[length..].starts_with(b"</").then_some(from..from + length)?
        }
        b'"' | b'\'' if text.starts(end + 1, b" value=") => {
            value(text, end + 1 + b" value=".len(), Field::Assigned)?
        }
        _ => return None,
    };
    is_written(&text.bytes[range.clone()]).then_some(range)
}

const CONNECTORS: [&str; 18] = [
    "\t",
    "は",
    "が",
    "：",
    " is ",
    " was ",
    " has been ",
    "reset to ",
    "changed to ",
    "set to ",
    " ",
    "「",
    "『",
    "（",
    "の値",
    "を",
    "\"",
    "→",
];
