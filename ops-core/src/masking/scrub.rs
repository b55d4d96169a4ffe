use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Reverse;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::FieldRules;
use super::scan::{FieldInText, Interest, scan};
use super::text::Edits;
use crate::ports::PiiMasker;

/// What takes the place of a dropped value.
pub(super) const DROPPED: &str = "***";

/// A masker together with the rules for fields: what every stage asks, so that the stages agree.
#[derive(Clone, Debug)]
pub(super) struct Scrub {
    pub(super) masker: Arc<dyn PiiMasker>,
    pub(super) fields: FieldRules,
}

/// Why there is no masked text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Withheld {
    /// The masker ended unexpectedly.
    Failed,
    /// The text was written from inside the masker.
    Nested,
    /// There is no text: a value ended its formatting with an error.
    #[cfg(feature = "log")]
    Unformatted,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "withheld: masking failed",
            Self::Nested => "withheld: written from inside the masker",
            #[cfg(feature = "log")]
            Self::Unformatted => "withheld: formatting failed",
        })
    }
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a masker.
pub(super) fn inside() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Runs what may ask a masker: once a thread at a time, and without its panics.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Withheld> {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            let _ = INSIDE.try_with(|inside| inside.set(false));
        }
    }
    if inside() {
        return Err(Withheld::Nested);
    }
    let _ = INSIDE.try_with(|inside| inside.set(true));
    let _leave = Leave;
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Withheld::Failed)
}

impl Scrub {
    pub(super) fn new(masker: Arc<dyn PiiMasker>, fields: FieldRules) -> Self {
        Self { masker, fields }
    }

    /// `text` with fields dropped and the rest masked; borrowed, and nothing allocated, if that changes nothing.
    pub(super) fn scrub<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, Withheld> {
        guarded(|| self.settled(text))
    }

    /// As [`scrub`](Self::scrub) for the value of a field: its name counts as a label.
    pub(super) fn scrub_value<'a>(&self, name: &str, value: &'a str) -> Result<Cow<'a, str>, Withheld> {
        if self.fields.drops(name) && !value.is_empty() {
            return Ok(if value == DROPPED {
                Cow::Borrowed(value)
            } else {
                Cow::Owned(DROPPED.to_owned())
            });
        }
        if self.fields.keeps(name) && is_one_word(value) {
            return Ok(Cow::Borrowed(value));
        }
        let label = format!("{name}: ");
        let labelled = format!("{label}{value}");
        let masked = match self.scrub(&labelled)? {
            Cow::Borrowed(_) => return Ok(Cow::Borrowed(value)),
            Cow::Owned(masked) => masked,
        };
        match masked.strip_prefix(&label) {
            Some(masked) => Ok(Cow::Owned(masked.to_owned())),
            // The name itself was masked.
            None => self.scrub(value),
        }
    }

    fn settled<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut settled = match self.once(text) {
            Cow::Borrowed(_) => return Cow::Borrowed(text),
            Cow::Owned(changed) => changed,
        };
        // What is dropped and what is masked may lay bare each other; the stage behind this one must find nothing new.
        for _ in 0..ROUNDS {
            match self.once(&settled) {
                Cow::Borrowed(_) => break,
                Cow::Owned(again) if again == settled => break,
                Cow::Owned(again) => settled = again,
            }
        }
        if settled == text {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(settled)
        }
    }

    fn once<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let dropped = self.without_dropped(text);
        let masked = match self.masker.mask(&dropped) {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        };
        let Some(masked) = masked else { return dropped };
        let kept = self.kept(&dropped);
        Cow::Owned(if kept.is_empty() {
            masked
        } else {
            self.around(&dropped, &kept)
        })
    }

    fn without_dropped<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut edits = Edits::default();
        scan(text, &self.fields, |interest, field| match interest {
            Interest::Dropped => drop_value(text, &field, &mut edits),
            Interest::Number => self.mask_number(text, field, &mut edits),
            Interest::Kept => {}
        });
        edits.apply(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// A number of JSON becomes a string if its digits, as text behind their name, would be masked.
    fn mask_number(&self, text: &str, field: FieldInText<'_>, edits: &mut Edits) {
        let number = &text[field.value.clone()];
        let digits = number.split(['.', 'e', 'E']).next().unwrap_or(number);
        let mut buffer = [0_u8; LONGEST_LABELLED];
        let Some(labelled) = join(&mut buffer, &[field.name, ": ", digits]) else {
            return;
        };
        if let Cow::Owned(masked) = self.masker.mask(labelled) {
            let masked = masked
                .strip_prefix(field.name)
                .and_then(|rest| rest.strip_prefix(": "))
                .unwrap_or(DROPPED);
            edits.replace(field.value, in_quotes(field.name_quote.unwrap_or("\""), masked));
        }
    }

    fn kept(&self, text: &str) -> Vec<Range<usize>> {
        let mut kept = Vec::new();
        if self.fields.keeps_any() {
            scan(text, &self.fields, |interest, field| {
                if interest == Interest::Kept && is_one_word(&text[field.value.clone()]) {
                    kept.push(field.value);
                }
            });
        }
        in_order(kept)
    }

    /// Masks what is around the kept values, each piece for itself: no label of a kept value speaks for what follows it.
    fn around(&self, text: &str, kept: &[Range<usize>]) -> String {
        let mut pieces = Vec::with_capacity(kept.len() + 1);
        let mut done = 0;
        for range in kept {
            pieces.push(&text[done..range.start]);
            done = range.end;
        }
        pieces.push(&text[done..]);
        let with_kept = |masked: &[Cow<'_, str>]| {
            let mut values = kept.iter().map(|range| &text[range.clone()]);
            masked
                .iter()
                .fold(String::with_capacity(text.len()), |whole, piece| {
                    whole + piece + values.next().unwrap_or_default()
                })
        };
        let masked: Vec<_> = pieces.iter().map(|piece| self.masker.mask(piece)).collect();
        let masked = with_kept(&masked);
        if !is_json(&masked) && is_json(text) {
            // A piece began within a string. Masked as a whole, with something in those places that the masker leaves alone.
            let whole = pieces.join(STAND_IN);
            let whole = self.masker.mask(&whole);
            let whole: Vec<_> = whole.split(STAND_IN).map(Cow::Borrowed).collect();
            if whole.len() == pieces.len() {
                return with_kept(&whole);
            }
        }
        masked
    }
}

/// The ranges in the order of the text, without those that begin within another: a kept value may itself read as a name with a kept value.
fn in_order(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, Reverse(range.end)));
    let mut done = 0;
    ranges.retain(|range| {
        let begins_behind = range.start >= done;
        if begins_behind {
            done = range.end;
        }
        begins_behind
    });
    ranges
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn drop_value(text: &str, field: &FieldInText<'_>, edits: &mut Edits) {
    let value = &text[field.value.clone()];
    if value == DROPPED || matches!(value, "null" | "None") {
        return;
    }
    let mask = match field.name_quote {
        Some(quote) if !field.in_quotes => in_quotes(quote, DROPPED),
        _ => DROPPED.to_owned(),
    };
    edits.replace(field.value.clone(), mask);
}

fn in_quotes(quote: &str, text: &str) -> String {
    format!("{quote}{text}{quote}")
}

/// Whether a value is a name that a program made, and no text.
fn is_one_word(value: &str) -> bool {
    value.len() <= LONGEST_KEPT
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn join<'b>(buffer: &'b mut [u8; LONGEST_LABELLED], parts: &[&str]) -> Option<&'b str> {
    let mut length = 0;
    for part in parts {
        buffer
            .get_mut(length..length + part.len())?
            .copy_from_slice(part.as_bytes());
        length += part.len();
    }
    std::str::from_utf8(&buffer[..length]).ok()
}

/// For private use: no letter, no digit, and nothing that JSON would escape.
const STAND_IN: &str = "\u{e000}";

/// More than any text was seen to need.
const ROUNDS: usize = 4;

/// Longer values are texts.
const LONGEST_KEPT: usize = 128;

/// Name and digits of a number.
const LONGEST_LABELLED: usize = 160;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::masking::BuiltinMasker;

    fn scrub() -> Scrub {
        Scrub::new(Arc::new(BuiltinMasker::new()), FieldRules::new())
    }

    fn scrubbed(text: &str) -> String {
        scrub().scrub(text).unwrap().into_owned()
    }

    #[test]
    fn dropped_fields_are_found_in_text_of_any_form() {
        for (text, wanted) in [
            ("password=hunter2 user=1", "password=*** user=1"),
            ("password = hunter2", "password = ***"),
            ("password: hunter2, and more", "password: ***, and more"),
            ("password=\"two words\" user=1", "password=\"***\" user=1"),
            (r#"password="a \"b\" c" x"#, r#"password="***" x"#),
            (r#"{"password":"a\\","x":"y"}"#, r#"{"password":"***","x":"y"}"#),
            (r#"{"password" : "a"}"#, r#"{"password" : "***"}"#),
            (
                "{\n  \"password\": 12,\n  \"x\": 1\n}",
                "{\n  \"password\": \"***\",\n  \"x\": 1\n}",
            ),
            (r#"{"token":{"a":[1,"}"]},"x":1}"#, r#"{"token":"***","x":1}"#),
            (r#"{"token":null,"pin":-1.5e3}"#, r#"{"token":null,"pin":"***"}"#),
            (
                r#"{"body":"{\"password\":\"a\",\"x\":1}"}"#,
                r#"{"body":"{\"password\":\"***\",\"x\":1}"}"#,
            ),
            (r#"{"body":"{\"pin\":12}"}"#, r#"{"body":"{\"pin\":\"***\"}"}"#),
            (
                r#"{"a":"{\"b\":\"{\\\"pin\\\":\\\"1\\\"}\"}"}"#,
                r#"{"a":"{\"b\":\"{\\\"pin\\\":\\\"***\\\"}\"}"}"#,
            ),
            (
                "User { password: \"x\", id: 1 }",
                "User { password: \"***\", id: 1 }",
            ),
            (
                "User { password: Some(\"x y\"), id: 1 }",
                "User { password: ***, id: 1 }",
            ),
            ("secret: Secret { inner: \"x\" } id", "secret: *** id"),
            ("Authorization: Bearer abc.def\nnext", "Authorization: ***\nnext"),
            ("authorization=Bearer abc next", "authorization=*** next"),
            ("Set-Cookie: a=b; c=d\nnext", "Set-Cookie: ***\nnext"),
            ("GET /x?token=abc&page=2", "GET /x?token=***&page=2"),
            ("{'password': 'x'}", "{'password': '***'}"),
            ("{\"m\":\"'password':x\"}", "{\"m\":\"'password':'***'\"}"),
            (
                r#"{"m":"password=a b","n":"token={","x":1}"#,
                r#"{"m":"password=*** b","n":"token=***","x":1}"#,
            ),
            ("パスワード: ひみつ", "パスワード: ***"),
        ] {
            assert_eq!(scrubbed(text), wanted, "{text}");
            assert_eq!(scrubbed(wanted), wanted, "again");
        }
    }

    #[test]
    fn what_is_no_dropped_field_stays_and_is_borrowed() {
        for text in [
            "ops_core::masking::token::Kind",
            "token == other && pin != 5 && x <= password",
            "max_tokens=5, tokens: 3, password_policy: strong",
            "https://example.com/a?b=c",
            "password= user=bob",
            "a: \"password\"",
            r#"{"m":"password=","password=":0}"#,
            r#"{"password\\":0}"#,
            "{\"token\":\"\",\"pin\":null}",
            "=:=:\"=\\\":",
        ] {
            assert!(
                matches!(scrub().scrub(text), Ok(Cow::Borrowed(_))),
                "{text}: {}",
                scrubbed(text)
            );
        }
    }

    #[test]
    fn kept_values_stay_in_a_line_that_is_masked_elsewhere() {
        for (text, wanted) in [
            (
                "request_id=x-0312345678 0312345678",
                "request_id=x-0312345678 03-****-5678",
            ),
            (
                r#"{"traceId":"0312345678-a","t":"tanaka@example.com"}"#,
                r#"{"traceId":"0312345678-a","t":"t***@example.com"}"#,
            ),
        ] {
            let masked = scrubbed(text);
            assert!(masked == wanted || !masked.contains("tanaka@"), "{masked}");
            assert!(masked.contains("0312345678"), "{masked}");
        }
        assert!(!scrubbed("request_id=tanaka@example.com").contains("tanaka"));
    }

    #[test]
    fn what_is_kept_within_a_string_of_json_does_not_end_the_string() {
        for (text, wanted) in [
            (
                r#"{"message":"request_id=x","{password":100}"#,
                r#"{"message":"request_id=x","{password":"[API_KEY]"}"#,
            ),
            // As in the text itself.
            (
                "\u{e000} request_id=x tanaka@example.com",
                "\u{e000} request_id=x t***@example.com",
            ),
        ] {
            assert_eq!(scrubbed(text), wanted);
        }
    }

    #[test]
    fn a_kept_value_within_a_kept_value_is_kept_once() {
        for (text, wanted) in [
            (
                "tanaka@example.com=request_id=request_id:a",
                "t***@example.com=request_id=request_id:a",
            ),
            (
                "tanaka@example.com[request_id:request_id:null",
                "t***@example.com[request_id:request_id:null",
            ),
        ] {
            assert_eq!(scrubbed(text), wanted);
        }
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "password",
            "token",
            "request_id",
            "=",
            ":",
            ": ",
            "\"",
            "\\\"",
            "\\",
            "'",
            "{",
            "}",
            "[",
            "]",
            "(",
            ")",
            " ",
            ",",
            "\n",
            "***",
            "Bearer",
            "tanaka@example.com",
            "090-1234-5678",
            "田中太郎様",
            "氏名",
            "a",
            "Some",
            "123456789012",
            "null",
            "Cookie",
            "&",
            ";",
        ]);
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn a_brace_without_a_word_before_it_is_read() {
        assert_eq!(scrubbed("Cookie= {"), scrubbed(&scrubbed("Cookie= {")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn scrubbing_scrubbed_text_changes_nothing(text in pieces()) {
            let once = scrubbed(&text);
            prop_assert_eq!(scrubbed(&once), once);
        }

        #[test]
        fn json_stays_json(a in pieces(), b in pieces(), n in any::<u64>()) {
            let value = json!({ "password": a.clone(), "token": n, "pin": [a.clone(), { "x": b.clone() }], "message": b, a: n, "n": n });
            for line in [value.to_string(), format!("{value:#}")] {
                let masked = scrubbed(&line);
                prop_assert!(serde_json::from_str::<Value>(&masked).is_ok(), "{} became {}", line, masked);
            }
        }
    }
}
