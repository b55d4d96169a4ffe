use super::label_table::{Entry, LABELS};
use super::view::{BREAK, Text};

/// What a label says about the value after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    MyNumber,
    Corporate,
    Licence,
    Passport,
    Health,
    Bank,
    Card,
    Phone,
    Postal,
    Employee,
    Secret,
    /// The first part of a number of two, as of a health insurance card or a post bank account.
    Symbol,
    /// A number of something that is nobody's: an order, a parcel, a version.
    Other,
}

/// A label before a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) meaning: Meaning,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it is the key of a field whose value this is.
    pub(super) is_key: bool,
    /// Whether other digits stand between it and the value.
    pub(super) digits_between: bool,
    /// Whether a clause ends between it and the value.
    pub(super) clause_between: bool,
}

impl Label {
    /// Whether nothing but a few signs and particles stand between it and the value at `at`.
    pub(super) fn is_near(&self, at: usize) -> bool {
        // `社員番号は、`
        let gap = at - self.end;
        !self.digits_between && gap <= if self.clause_between { NEAR - 3 } else { NEAR }
    }

    /// Whether the value at `at` is still in its reach.
    pub(super) fn reaches(&self, at: usize) -> bool {
        !self.digits_between && !self.clause_between && at - self.end <= REACH
    }
}

/// How far a label reaches to a value that has a form of its own, and to one that is any number; in bytes.
const FAR: usize = 96;
const REACH: usize = 30;
const NEAR: usize = 9;

/// The label nearest before `at` in the same line and sentence, or in the key of the field whose value begins at `at`.
pub(super) fn nearest(text: &Text<'_>, at: usize) -> Option<Label> {
    let field = Field::of(text, at);
    let low = field.low.max(at.saturating_sub(FAR));
    search(text, low, field.high, field.is_key)
}

/// The label that ends right before `at`.
pub(super) fn ending(text: &Text<'_>, at: usize) -> Option<Label> {
    let low = at.saturating_sub(FAR);
    if at < low + 2 || !may_end(&text.bytes[low..at]) {
        return None;
    }
    let (meaning, start) = longest(text.bytes, low, at)?;
    Some(Label {
        meaning,
        start,
        end: at,
        is_key: true,
        digits_between: false,
        clause_between: false,
    })
}

/// The label that stands alone in brackets right after the value from `start` to `end`, as in `1234567（口座番号）`: as if it were the key of
/// its field. Only labels of a number of a person or a company count there.
#[inline]
pub(super) fn in_brackets(text: &Text<'_>, end: usize, start: usize) -> Option<Label> {
    let at = end + usize::from(text.get(end) == b' ');
    let (open, close): (&[u8], &[u8]) = match text.get(at) {
        b'(' => (b"(", b")"),
        0xef if text.starts(at, "（".as_bytes()) => ("（".as_bytes(), "）".as_bytes()),
        _ => return None,
    };
    let from = at + open.len();
    let inside = &text.bytes[from..text.bytes.len().min(from + FAR)];
    let to = from + memchr::memmem::find(inside, close)?;
    let label = ending(text, to).filter(|label| label.start == from)?;
    let whose = !matches!(label.meaning, Meaning::Other | Meaning::Secret | Meaning::Symbol);
    whose.then_some(Label {
        start,
        end: start,
        ..label
    })
}

/// The label nearest before `label`, for a label such as 番号 that does not say whose.
pub(super) fn before(text: &Text<'_>, label: &Label) -> Option<Label> {
    search(text, label.start.saturating_sub(FAR), label.start, false)
}

/// Where labels of a value are.
struct Field {
    low: usize,
    high: usize,
    is_key: bool,
}

impl Field {
    fn of(text: &Text<'_>, at: usize) -> Self {
        let prose = Self {
            low: 0,
            high: at,
            is_key: false,
        };
        let mut high = at;
        while matches!(text.before(high), b' ' | b'"' | b'\'' | b'[') && at - high < 6 {
            high -= 1;
        }
        let sign = text.before(high);
        if !matches!(sign, b'=' | b':') {
            return prose;
        }
        high -= 1;
        while matches!(text.before(high), b' ') && at - high < 8 {
            high -= 1;
        }
        let quote = text.before(high);
        let quoted = matches!(quote, b'"' | b'\'');
        if quoted {
            high -= 1;
        } else if sign == b':' {
            return prose;
        }
        let mut low = high;
        while high - low < FAR {
            let byte = text.before(low);
            let inside = if quoted {
                byte != quote && !matches!(byte, 0 | b'\n')
            } else {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
            };
            if !inside {
                break;
            }
            low -= 1;
        }
        if is_general(&text.bytes[low..high]) {
            // The name of the object says whose number it is.
            while matches!(text.before(low), b'"' | b'\'' | b' ' | b'{' | b':' | BREAK) && high - low < 16 {
                low -= 1;
            }
            return Self {
                low: 0,
                high: low,
                is_key: false,
            };
        }
        Self {
            low,
            high,
            is_key: low < high,
        }
    }
}

/// Whether a key is the name of a value of any kind.
fn is_general(key: &[u8]) -> bool {
    [&b"number"[..], b"no", b"value", b"num", b"code"]
        .iter()
        .any(|name| key.eq_ignore_ascii_case(name))
        || key == "番号".as_bytes()
}

fn search(text: &Text<'_>, low: usize, high: usize, is_key: bool) -> Option<Label> {
    let bytes = text.bytes;
    let (mut digits_between, mut clause_between) = (false, false);
    let mut end = high;
    while end > low + 1 {
        let last = bytes[end - 1];
        let kind = KINDS[usize::from(last)];
        if kind == PLAIN {
            end -= 1;
            continue;
        }
        if kind & ENDS != 0
            && may_end(&bytes[low..end])
            && let Some((meaning, start)) = longest(bytes, low, end)
        {
            return Some(Label {
                meaning,
                start,
                end,
                is_key,
                digits_between,
                clause_between,
            });
        }
        match last {
            b'\n' | b'{' | b'}' | b';' if !is_key => return None,
            b'0'..=b'9' => digits_between = true,
            b',' | BREAK => clause_between = true,
            // 、and 。
            0x81 | 0x82 if bytes[..end].ends_with(&[0xe3, 0x80, last]) => {
                if last == 0x82 && !is_key {
                    return None;
                }
                clause_between = true;
            }
            _ => {}
        }
        end -= 1;
    }
    None
}

/// The longest label that ends before `end`.
fn longest(bytes: &[u8], low: usize, end: usize) -> Option<(Meaning, usize)> {
    let mut best: Option<(Meaning, usize)> = None;
    for key in keys(&bytes[low..end]) {
        let mut next = HEADS[key];
        while let Some(entry) = LABELS.get(usize::from(next)) {
            if let Some(start) = matched(entry, bytes, low, end)
                && best.is_none_or(|(_, found)| start < found)
            {
                best = Some((entry.meaning, start));
            }
            next = NEXT[usize::from(next)];
        }
    }
    best
}

/// Where `entry` begins, if it ends before `end`. A `~` in it stands for at most one sign between two words.
fn matched(entry: &Entry, bytes: &[u8], low: usize, end: usize) -> Option<usize> {
    let mut at = end;
    for want in entry.text.bytes().rev() {
        if want == b'~' {
            if at > low && matches!(bytes[at - 1], b' ' | b'_' | b'-' | b'.' | b'\'') {
                at -= 1;
            }
            continue;
        }
        if at <= low || bytes[at - 1].to_ascii_lowercase() != want {
            return None;
        }
        at -= 1;
    }
    let word = |byte: u8| byte.is_ascii_alphabetic();
    let first = entry.text.as_bytes()[0];
    let last = bytes[end - 1];
    let after = bytes.get(end).copied().unwrap_or(0);
    let before = at.checked_sub(1).map_or(0, |at| bytes[at]);
    // In camel case a word begins with a capital letter after a small one.
    let begins =
        !word(first) || !word(before) || (bytes[at].is_ascii_uppercase() && before.is_ascii_lowercase());
    let ends = !word(last) || !word(after) || (after.is_ascii_uppercase() && last.is_ascii_lowercase());
    // Within an address such as `pr@id.example.no`, nothing is a label.
    let later = bytes.get(end + 1).copied().unwrap_or(0);
    let host = before == b'@'
        || after == b'@'
        || (after == b'.' && later.is_ascii_lowercase())
        || (before == b'.' && end - at == 2);
    // What stands in place of a masked value, such as `[API_KEY]`.
    let mask =
        before == b'[' && matches!(after, b']' | b':') && !bytes[at..end].iter().any(u8::is_ascii_lowercase);
    (begins && ends && !host && !mask).then_some(at)
}

/// What a byte may be to a search for labels, as bits.
const PLAIN: u8 = 0;
/// The last byte of a label.
const ENDS: u8 = 1;
/// A sign or digit that counts when it stands between label and value.
const COUNTS: u8 = 2;

static KINDS: [u8; 256] = {
    let mut kinds = [PLAIN; 256];
    let mut index = 0;
    while index < LABELS.len() {
        let text = LABELS[index].text.as_bytes();
        let last = text[text.len() - 1];
        kinds[last as usize] |= ENDS;
        kinds[last.to_ascii_uppercase() as usize] |= ENDS;
        index += 1;
    }
    let counts = b"\n{};,0123456789\x0b\x81\x82";
    let mut index = 0;
    while index < counts.len() {
        kinds[counts[index] as usize] |= COUNTS;
        index += 1;
    }
    kinds
};

/// Whether a label may be what `text` ends with, by its last bytes.
#[inline]
fn may_end(text: &[u8]) -> bool {
    let (last, previous) = (text[text.len() - 1], text[text.len() - 2]);
    let third = text.len().checked_sub(3).map_or(0, |at| text[at]);
    let short = triple(0, previous, last);
    let whole = triple(third, previous, last);
    (TRIPLES[short / 64] >> (short % 64) | TRIPLES[whole / 64] >> (whole % 64)) & 1 == 1
}

/// 0 for `third` stands for any byte.
const fn triple(third: u8, previous: u8, last: u8) -> usize {
    let (third, previous, last) = (
        third.to_ascii_lowercase() as usize,
        previous.to_ascii_lowercase() as usize,
        last.to_ascii_lowercase() as usize,
    );
    (third * 1021 + previous * 37 + last * 5) % (64 * TRIPLES_WORDS)
}

const TRIPLES_WORDS: usize = 128;

/// Which last three bytes labels have; of short ones and such as have a sign there, the last two.
static TRIPLES: [u64; TRIPLES_WORDS] = {
    let mut triples = [0; TRIPLES_WORDS];
    let mut index = 0;
    while index < LABELS.len() {
        let text = LABELS[index].text.as_bytes();
        let length = text.len();
        let third = if length > 2 && text[length - 3] != b'~' {
            text[length - 3]
        } else {
            0
        };
        let triple = triple(third, text[length - 2], text[length - 1]);
        triples[triple / 64] |= 1 << (triple % 64);
        index += 1;
    }
    triples
};

/// The keys under which labels are filed that `text` may end with: of the short ones, of the others, and of those of one
/// letter of three bytes.
const fn keys(text: &[u8]) -> [usize; 3] {
    let length = text.len();
    let (previous, last) = (text[length - 2], text[length - 1]);
    if last < 0x80 {
        let before = length.wrapping_sub(general(text));
        // A sign between two words does not count.
        let before = if before > 1 && before < length && is_sign(text[before - 1]) {
            before - 1
        } else {
            before
        };
        let (first, second) = (
            byte(text, before.wrapping_sub(1)),
            byte(text, before.wrapping_sub(2)),
        );
        let second = if is_sign(second) { 0 } else { second };
        [
            key(previous, last, 0, 0),
            key(previous, last, first, second),
            EMPTY,
        ]
    } else {
        // Many end with 番号: what is before that tells them apart.
        [
            key(previous, last, byte(text, length.wrapping_sub(4)), 1),
            key(
                previous,
                last,
                byte(text, length.wrapping_sub(7)),
                byte(text, length.wrapping_sub(8)),
            ),
            key(previous, last, 2, 2),
        ]
    }
}

/// How long the word at the end is, if it is one that many labels end with; else two letters.
const fn general(text: &[u8]) -> usize {
    let words: [&[u8]; 8] = [
        b"number", b"code", b"key", b"card", b"token", b"license", b"num", b"acc",
    ];
    let last = text[text.len() - 1].to_ascii_lowercase();
    let mut index = 0;
    while index < words.len() {
        let word = words[index];
        index += 1;
        if word[word.len() - 1] != last {
            continue;
        }
        let mut same = 0;
        while same < word.len()
            && byte(text, text.len().wrapping_sub(same + 1)).to_ascii_lowercase()
                == word[word.len() - 1 - same]
        {
            same += 1;
        }
        if same == word.len() {
            return same;
        }
    }
    2
}

/// The key under which the label `text` is filed.
const fn key_of(text: &[u8]) -> usize {
    let last = text[text.len() - 1];
    // What is before such a short one is not of the label.
    let short = if last < 0x80 {
        text.len() < general(text) + 3
    } else {
        text.len() < 9
    };
    let keys = keys(text);
    match text.len() {
        3 if last >= 0x80 => keys[2],
        _ if short => keys[0],
        _ => keys[1],
    }
}

const fn is_sign(byte: u8) -> bool {
    matches!(byte, b'~' | b' ' | b'_' | b'-' | b'.' | b'\'')
}

const fn byte(text: &[u8], at: usize) -> u8 {
    if at < text.len() { text[at] } else { 0 }
}

const fn key(previous: u8, last: u8, third: u8, fourth: u8) -> usize {
    let key = previous.to_ascii_lowercase() as usize * 961
        + last.to_ascii_lowercase() as usize * 31
        + third.to_ascii_lowercase() as usize * 1021
        + fourth.to_ascii_lowercase() as usize * 577;
    key % EMPTY
}

const NONE: u16 = u16::MAX;

/// A key that no label has.
const EMPTY: usize = 4096;

/// The first label under each key.
static HEADS: [u16; EMPTY + 1] = chains().0;

/// The next label under the same key.
static NEXT: [u16; LABELS.len()] = chains().1;

const fn chains() -> ([u16; EMPTY + 1], [u16; LABELS.len()]) {
    let mut heads = [NONE; EMPTY + 1];
    let mut next = [NONE; LABELS.len()];
    let mut index = 0;
    while index < LABELS.len() {
        let key = key_of(LABELS[index].text.as_bytes());
        next[index] = heads[key];
        heads[key] = index as u16;
        index += 1;
    }
    (heads, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(before: &str) -> Option<Meaning> {
        nearest(&Text::plain(before.as_bytes()), before.len()).map(|label| label.meaning)
    }

    #[test]
    fn the_nearest_label_counts() {
        for (before, expected) in [
            ("マイナンバー：", Some(Meaning::MyNumber)),
            ("\"employeeNo\":\"", Some(Meaning::Employee)),
            ("\"employee-id\" : ", Some(Meaning::Employee)),
            ("Account Number: ", Some(Meaning::Bank)),
            ("account_no=", Some(Meaning::Bank)),
            ("個人番号カードの番号は", Some(Meaning::MyNumber)),
            ("口座番号と注文番号 ", Some(Meaning::Other)),
            ("{\"passport\":{\"number\":\"", Some(Meaning::Passport)),
            ("\"passport\":1,\"amount\":\"", Some(Meaning::Other)),
            ("\"passport\":1,\"note\":\"", None),
            ("マイナンバー\n", None),
            ("マイナンバー。次は", None),
            ("mycardno ", None),
            ("", None),
        ] {
            assert_eq!(meaning(before), expected, "{before}");
        }
    }

    #[test]
    fn every_label_is_found_by_itself() {
        for entry in LABELS {
            for sign in ["", " ", "_", "-"] {
                let label = entry.text.replace('~', sign);
                for text in [label.clone(), label.to_uppercase(), format!("({label}")] {
                    assert_eq!(meaning(&text), Some(entry.meaning), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_stands_between_is_told() {
        let text = "社員番号 12、は";
        let label = nearest(&Text::plain(text.as_bytes()), text.len()).unwrap();
        assert!(label.digits_between && label.clause_between && !label.is_near(text.len()));
    }
}
