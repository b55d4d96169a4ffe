use std::ops::Range;

use super::label::{self, Meaning};
use super::value::{BLANKS, Field, is_placeholder, plain_end, value, whole, with_tail};
use super::view::{BREAK, Text};
use super::{pair, scheme, vendor};

/// The key that the run of word bytes `run` is or begins.
pub(super) fn token(text: &Text<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let word = &text.bytes[run.clone()];
    // A dot ends a run, but not the beginning that some vendors give their keys.
    let dotted = ["SG.", "ya29.", "hvs.", "hvb.", "xoxe."]
        .iter()
        .find(|prefix| text.ends(run.start, prefix.as_bytes()));
    let start = run.start - dotted.map_or(0, |prefix| prefix.len());
    if !text.before(start).is_ascii_alphanumeric()
        && let Some(length) = vendor::key(&text.bytes[start..])
    {
        return Some(start..start + length);
    }
    if is_identifier(word) {
        return None;
    }
    if let Some(line) = key_material(text, run.start) {
        return Some(line);
    }
    // The key of a field is looked at from its `:` or `=`.
    let before = text.before(run.start);
    // `<add key="ApiKey" value="…">` and `<apiKey>…` are no fields either.
    let marked_up = before == b'>' || matches!(before, b'"' | b'\'') && text.ends(run.start - 1, b" value=");
    if !(matches!(before, b' ' | b'`' | BREAK) || before >= 0x80 || marked_up) || !is_random(word) {
        return None;
    }
    let label = label::nearest(text, run.start)?;
    let named = label.meaning == Meaning::Secret && !label.clause_between && run.start - label.end <= 12;
    if !named {
        return None;
    }
    let end = plain_end(text, run.start);
    (!is_placeholder(&text.bytes[run.start..end])).then(|| whole(text, run.start..end))
}

/// How long a UUID is.
pub(super) const UUID: usize = 36;

/// Whether a run of word bytes that begins `text` is a UUID of hexadecimal digits.
#[inline]
pub(super) fn is_uuid(text: &[u8]) -> bool {
    let Some(word) = text.first_chunk::<UUID>() else {
        return false;
    };
    if [8, 13, 18, 23].iter().any(|at| word[*at] != b'-') {
        return false;
    }
    // Without a branch for each, so that they are looked at together.
    let odd = |byte: u8| {
        let digit = byte.wrapping_sub(b'0') < 10;
        let letter = (byte | 0x20).wrapping_sub(b'a') < 6;
        u8::from(!(digit | letter | (byte == b'-')))
    };
    let next = text.get(UUID).copied().unwrap_or(0);
    word.iter().fold(0, |odds, byte| odds | odd(*byte)) == 0
        && !(next.is_ascii_alphanumeric() || matches!(next, b'_' | b'-'))
}

/// Whether a run of word bytes has the hyphens of a UUID.
pub(super) fn is_identifier(word: &[u8]) -> bool {
    word.len() == 36 && [8, 13, 18, 23].iter().all(|at| word[*at] == b'-')
}

/// Whether letters and digits of a word are mixed as they are in a key.
pub(super) fn is_random(word: &[u8]) -> bool {
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = word.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    digits >= 2 && letters >= 2
}

/// A line of nothing but base64, as the body of a private key has them.
fn key_material(text: &Text<'_>, start: usize) -> Option<Range<usize>> {
    if !matches!(text.before(start), 0 | b'\n') {
        return None;
    }
    let mut end = start;
    while text.get(end).is_ascii_alphanumeric() || matches!(text.get(end), b'+' | b'/' | b'=') {
        end += 1;
    }
    let line = &text.bytes[start..end];
    let mixed = [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit]
        .iter()
        .all(|is| line.iter().any(is));
    let whole = matches!(text.get(end), 0 | b'\n' | b'\r');
    (matches!(end - start, 64 | 70 | 76) && mixed && whole).then_some(start..end)
}

/// The value of the field whose name ends before the `:` or `=` at `sign`, which takes `width` bytes.
#[inline]
pub(super) fn field(text: &Text<'_>, sign: usize, width: usize) -> Option<Range<usize>> {
    // `Token::Ident` is a path of a program.
    if text.get(sign) == b':' && (text.get(sign + 1) == b':' || text.before(sign) == b':') {
        return None;
    }
    let mut end = sign;
    while matches!(text.before(end), b' ' | b'\t') && sign - end < BLANKS {
        end -= 1;
    }
    let quoted = matches!(text.before(end), b'"' | b'\'' | b'`');
    if quoted {
        end -= 1;
    }
    if !may_be_name(text, end) {
        return None;
    }
    match pair::name_end(text, end) {
        // `{"name": "DB_PASSWORD", "value": "hunter2"}`
        Some(name) if quoted && may_be_name(text, name) => {
            named(text, sign, width, name, quoted).filter(|value| pair::is_value(&text.bytes[value.clone()]))
        }
        _ => named(text, sign, width, end, quoted),
    }
}

/// As [`field`], for a name that ends before `end`.
fn named(text: &Text<'_>, sign: usize, width: usize, end: usize, quoted: bool) -> Option<Range<usize>> {
    let name = name(text, end)?;
    let equals = text.get(sign) == b'=';
    let mut start = sign + width;
    if matches!(name, Name::Other) && scheme::is_signed(text, start) {
        return None;
    }
    // `${PASSWORD:?must be set}` says that there is none, `${PASSWORD:-hunter2}` which one else.
    if !equals && matches!(text.get(start), b'?' | b'-') && is_in_braces(text, end) {
        if text.get(start) == b'?' {
            return None;
        }
        start += 1;
    }
    if equals && matches!(text.get(start), b'=' | b'>') {
        start += 1;
    }
    // `password := "hunter2"`, but not what a program calls there.
    if text.get(sign) == b':' && text.starts(start, b"= ") && matches!(text.get(start + 2), b'"' | b'`') {
        start += 2;
    }
    let kind = if quoted || equals {
        Field::Assigned
    } else {
        Field::Told
    };
    let list = match kind {
        Field::Assigned => pair::list(text, start),
        Field::Told => None,
    };
    let mut value = value(text, list.unwrap_or(start), kind)?;
    if list.is_some() && !pair::is_element(&text.bytes[value.clone()]) {
        return None;
    }
    if matches!(name, Name::Password) {
        value = with_tail(text, value);
    }
    let length = value.len();
    let bytes = &text.bytes[value.clone()];
    // `password= user=bob`: the value is missing.
    if equals && text.get(start) == b' ' && is_field(bytes) {
        return None;
    }
    let least = match name {
        Name::Password => 3,
        Name::Pin => 3,
        Name::Other => 6,
    };
    let long = length >= least;
    if matches!(name, Name::Password) && STATES.contains(&bytes) && is_deed(text, end) {
        return None;
    }
    // `api_key=OPENAI_API_KEY`, `if token == END_ELEMENT`
    let compared = equals && text.get(sign + 1) == b'=';
    let within = matches!(text.before(value.start), b'"' | b'\'' | b'`');
    if !within && (is_named(bytes) || compared && is_constant(bytes)) {
        return None;
    }
    let right = match name {
        Name::Pin => bytes.iter().all(u8::is_ascii_digit) && length <= 12,
        Name::Password => true,
        Name::Other => {
            let constant = kind == Field::Told && text.ends_any(end, b"token") && is_constant(bytes);
            let address = bytes.starts_with(b"http") || bytes.starts_with(b"arn:");
            !(address || constant || bytes.contains(&b' '))
        }
    };
    (long && right).then_some(value)
}

/// Whether a value without quotes is the name of a constant or a variable that holds a secret: `DB_PASSWORD`.
fn is_named(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'_').filter(|part| !part.is_empty());
    is_constant(value) && parts.any(|part| [&b"KEY"[..], b"TOKEN", b"SECRET", b"PASSWORD"].contains(&part))
}

/// Whether a value is the name of something in a program or a style sheet: `FG_DEFAULT`, `#d0d0d0`.
fn is_constant(value: &[u8]) -> bool {
    let name = value
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
        && value.contains(&b'_');
    let colour = value
        .strip_prefix(b"#")
        .is_some_and(|rest| matches!(rest.len(), 6 | 8) && rest.iter().all(u8::is_ascii_hexdigit));
    name || colour
}

/// Whether the name of a password that ends before `end` is that of something done with one: `forgotpassword=sent`, `show_password: function`.
fn is_deed(text: &Text<'_>, end: usize) -> bool {
    let low = end.saturating_sub(24);
    let name = &text.bytes[low..end];
    let lower = name.to_ascii_lowercase();
    let Some(at) = memchr::memmem::rfind(&lower, b"passw").or_else(|| memchr::memmem::rfind(&lower, b"pw"))
    else {
        return false;
    };
    let signs = lower[..at]
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b'_' | b'-'))
        .count();
    let front = &lower[..at - signs];
    DEEDS.iter().any(|deed| {
        // `redis_password` has no `is` in it.
        front.strip_suffix(deed.as_bytes()).is_some_and(|rest| {
            let begins = !rest.last().is_some_and(u8::is_ascii_alphanumeric);
            begins || name[rest.len()].is_ascii_uppercase()
        })
    })
}

/// What a program says of something done with a password.
const STATES: [&[u8]; 24] = [
    b"sent",
    b"done",
    b"function",
    b"success",
    b"succeeded",
    b"error",
    b"visible",
    b"shown",
    b"enabled",
    b"disabled",
    b"void",
    b"boolean",
    b"bool",
    b"object",
    b"async",
    b"click",
    b"submit",
    b"request",
    b"link",
    b"email",
    b"page",
    b"form",
    b"pending",
    b"allowed",
];

const DEEDS: [&str; 22] = [
    "forgot",
    "forget",
    "forgotten",
    "show",
    "hide",
    "reset",
    "change",
    "changed",
    "toggle",
    "update",
    "has",
    "is",
    "no",
    "lost",
    "remember",
    "require",
    "needs",
    "validate",
    "check",
    "enable",
    "disable",
    "allow",
];

/// Whether `word` is a name and a value, `user=bob`.
fn is_field(word: &[u8]) -> bool {
    let sign = memchr::memchr(b'=', word).unwrap_or(0);
    let name = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    sign > 0 && sign + 1 < word.len() && word[..sign].iter().all(name)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// A person chose it: any word.
    Password,
    /// Digits.
    Pin,
    Other,
}

/// Whether a name ends before `end` that may be one of a secret, by its last letters.
#[inline]
pub(super) fn may_be_name(text: &Text<'_>, end: usize) -> bool {
    let tail = match text.bytes.get(end.wrapping_sub(3)..end) {
        Some(tail) => [tail[0], tail[1], tail[2]],
        None => {
            let back = |count: usize| end.checked_sub(count).map_or(0, |at| text.get(at));
            [0, back(2), back(1)]
        }
    };
    let lower = [tail[0] | 0x20, tail[1] | 0x20, tail[2] | 0x20];
    match &lower {
        b"ord" | b"swd" | b"pwd" | b"ret" | b"ken" | b"key" | b"ase" | b"als" | b"ial" | b"ode" | b"pin"
        | b"cvv" | b"cvc" | b"otp" | b"jwt" | b"ion" | b"ass" | b"rds" | b"rer" | b"sic" | b"kie"
        | b"lue" => true,
        [_, b'p', b'w'] => true,
        _ => tail[2] >= 0x80,
    }
}

/// What the name that ends before `end` is the name of.
fn name(text: &Text<'_>, end: usize) -> Option<Name> {
    if text.ends_any(end, b"authorization") {
        return Some(Name::Other);
    }
    // PGPASSWORD, userpassword: such a name is not parted from the word before it.
    let joined = text.ends_any(end, b"password") || text.ends_any(end, b"passwd");
    let label = match label::ending(text, end) {
        Some(label) => label,
        None if joined => return Some(Name::Password),
        None => return None,
    };
    if label.meaning != Meaning::Secret {
        return None;
    }
    let word = &text.bytes[label.start..label.end];
    if ends_other(word) {
        return Some(Name::Other);
    }
    let ends = |name: &str| {
        word.len() >= name.len() && word[word.len() - name.len()..].eq_ignore_ascii_case(name.as_bytes())
    };
    let any = |names: &[&str]| names.iter().any(|name| ends(name));
    Some(if any(&PINS) {
        if ends("pass") { Name::Password } else { Name::Pin }
    } else if any(&PASSWORDS) {
        Name::Password
    } else {
        Name::Other
    })
}

const PINS: [&str; 12] = [
    "pin",
    "pin code",
    "pin_code",
    "pincode",
    "cvv",
    "cvc",
    "otp",
    "暗証番号",
    "暗証",
    "コード",
    "ｺｰﾄﾞ",
    "pass",
];

const PASSWORDS: [&str; 12] = [
    "password",
    "passwd",
    "pwd",
    "pw",
    "passphrase",
    "passcode",
    "passwords",
    "パスワード",
    "パスフレーズ",
    "合言葉",
    "ﾊﾟｽﾜｰﾄﾞ",
    "ﾊﾟｽﾌﾚｰｽﾞ",
];

/// Whether none of [`PINS`] and [`PASSWORDS`] ends like `word`: most are told by the last letter.
#[inline]
fn ends_other(word: &[u8]) -> bool {
    let last = word.last().map_or(0, u8::to_ascii_lowercase);
    !matches!(
        last,
        b'n' | b'e' | b'v' | b'c' | b'p' | b's' | b'd' | b'w' | 0x80..
    )
}

/// Whether the name that ends before `end` stands behind `${`.
fn is_in_braces(text: &Text<'_>, end: usize) -> bool {
    let mut start = end;
    while end - start < 64 && (text.before(start).is_ascii_alphanumeric() || text.before(start) == b'_') {
        start -= 1;
    }
    text.ends(start, b"${")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_word_ends_with_loses_none_of_ours() {
        for name in PINS.iter().chain(&PASSWORDS) {
            for name in [(*name).to_owned(), name.to_uppercase()] {
                assert!(!ends_other(name.as_bytes()), "{name}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_uuid_is_an_identifier_and_no_key(
            before in prop::sample::select(vec!["", " ", "=", "\n", "key ", "token: ", "é"]),
            hex in "[0-9a-fA-F]{32}",
            changes in prop::collection::vec((0_usize..40, prop::sample::select(&b"09afAFgz-_. :"[..])), 0..2),
            after in prop::sample::select(vec!["", " ", "-", "_", "f", ".", "\n", "z", "="]),
        ) {
            let mut word = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-").into_bytes();
            for (at, byte) in changes {
                if let Some(place) = word.get_mut(at) {
                    *place = byte;
                }
            }
            let bytes = [before.as_bytes(), &word, after.as_bytes()].concat();
            let start = before.len();
            let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            let end = start + bytes[start..].iter().take_while(is_word).count();
            if is_uuid(&bytes[start..]) {
                let text = Text::plain(&bytes);
                prop_assert_eq!(end, start + UUID);
                prop_assert!(is_identifier(&bytes[start..end]));
                prop_assert_eq!(token(&text, start..end), None);
            } else {
                let hexadecimal = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
                prop_assert!(!(is_identifier(&bytes[start..end]) && bytes[start..end].iter().all(hexadecimal)));
            }
        }
    }
}
