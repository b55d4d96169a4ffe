use super::label_index::{self, ENDS, KINDS, PLAIN, may_end};
use super::label_table::Entry;
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
    if let Some(label) = before_note(text, at) {
        return Some(label);
    }
    // "番号": "第123号"
    let ordinal = "第".as_bytes();
    let from = if text.before(at) >= 0x80 && text.ends(at, ordinal) {
        at - ordinal.len()
    } else {
        at
    };
    let field = Field::of(text, from);
    let low = field.low.max(at.saturating_sub(FAR));
    search(text, low, field.high, field.is_key)
}

/// The label in front of a note in brackets that stands right before the value, as in `保険者番号（８桁）　12345678`.
#[inline]
fn before_note(text: &Text<'_>, at: usize) -> Option<Label> {
    let mut end = at;
    while matches!(text.before(end), b' ' | b':') && at - end < 2 {
        end -= 1;
    }
    // Most numbers stand behind a letter or a sign of ASCII.
    if text.before(end) < 0x80 && text.before(end) != b')' {
        return None;
    }
    for sign in ["　", "：", "は"] {
        if text.ends(end, sign.as_bytes()) {
            end -= sign.len();
        }
    }
    let open: &[u8] = match text.before(end) {
        b')' => b"(",
        0x89 if text.ends(end, "）".as_bytes()) => "（".as_bytes(),
        _ => return None,
    };
    let low = end.saturating_sub(NOTE);
    let open = low + memchr::memmem::rfind(&text.bytes[low..end], open)?;
    if text.bytes[open..end].contains(&b'\n') {
        return None;
    }
    let label = ending(text, open)?;
    (label.meaning != Meaning::Other).then_some(Label { end: at, ..label })
}

/// The longest note, in bytes.
const NOTE: usize = 30;

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
#[inline]
fn is_general(key: &[u8]) -> bool {
    // Most are told by their last letter.
    matches!(
        key,
        [.., b'r' | b'R' | b'o' | b'O' | b'e' | b'E' | b'm' | b'M' | 0xb7]
    ) && is_among_general(key)
}

fn is_among_general(key: &[u8]) -> bool {
    let among =
        |key: &[u8], names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes()));
    // `kyc.doc_no` is as general as `doc_no`; `order.no` is the number of an order.
    let last = key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    among(key, GENERAL) || among(last, GENERAL_LAST)
}

const GENERAL: &[&str] = &["number", "no", "value", "num", "code", "番号"];

/// Such as are general also behind the name of an object and a dot.
const GENERAL_LAST: &[&str] = &[
    "doc_no",
    "docno",
    "document_no",
    "doc_number",
    "document_number",
    "documentnumber",
    "id_number",
    "id_no",
];

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
    label_index::each(&bytes[low..end], |entry| {
        if let Some(start) = matched(entry, bytes, low, end)
            && best.is_none_or(|(_, found)| start < found)
        {
            best = Some((entry.meaning, start));
        }
    });
    best
}

/// Where `entry` begins, if it ends before `end`.
fn matched(entry: &Entry, bytes: &[u8], low: usize, end: usize) -> Option<usize> {
    let at = if entry.is_open {
        open_start(entry, bytes, low, end)?
    } else {
        let at = end.checked_sub(entry.text.len()).filter(|at| *at >= low)?;
        let (found, wanted) = (&bytes[at..end], entry.text.as_bytes());
        // Most of those that are filed alike begin otherwise.
        let same = found[0].to_ascii_lowercase() == wanted[0]
            && (found == wanted || found.eq_ignore_ascii_case(wanted));
        same.then_some(at)?
    };
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

/// As [`matched`] for the letters alone. A `~` in them stands for at most one sign between two words.
fn open_start(entry: &Entry, bytes: &[u8], low: usize, end: usize) -> Option<usize> {
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
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::super::label_table::LABELS;
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
    fn a_general_key_is_told_by_its_last_letter() {
        for key in GENERAL.iter().chain(GENERAL_LAST) {
            for key in [(*key).to_owned(), key.to_uppercase()] {
                assert!(is_general(key.as_bytes()), "{key}");
            }
        }
        assert!(is_general(b"kyc.doc_no") && !is_general(b"order.no") && !is_general(b""));
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
    fn a_label_without_signs_is_compared_as_the_others_are() {
        for entry in LABELS.iter().filter(|entry| !entry.is_open) {
            let text = entry.text.as_bytes();
            let slowly = Entry {
                is_open: true,
                ..*entry
            };
            for (before, at) in (0..3).flat_map(|before| (0..text.len()).map(move |at| (before, at))) {
                // The same, a capital letter, another byte.
                for change in [0, 0x20, 1] {
                    let mut bytes = [&b"  "[..before], text].concat();
                    bytes[before + at] ^= change;
                    for low in 0..3 {
                        let expected = matched(&slowly, &bytes, low, bytes.len());
                        assert_eq!(matched(entry, &bytes, low, bytes.len()), expected, "{bytes:?}");
                    }
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
