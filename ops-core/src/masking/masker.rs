use std::borrow::Cow;
use std::sync::Arc;

use super::form::{partial, placeholder};
use super::json::JsonState;
use super::pieces::{Pieces, WINDOW};
use super::token::{blind, tokens};
use super::{Detector, MaskStream, MaskWriter, MaskingKeys};
use crate::model::{Destination, MaskingPolicy, PiiSpan, PiiType, Treatment};
use crate::ports::PiiMasker;

/// Masks what a [`Detector`] finds, as a [`MaskingPolicy`] says for one [`Destination`]. No I/O.
///
/// Masked text is never masked again, whatever the destination of the second masker. In JSON, masks stay inside strings, no escape is cut
/// apart, and a bare number or word that must go becomes a string. A value of a megabyte is as good as one of ten bytes, but context that is
/// further away than 32 KiB within one line does not count.
///
/// ```
/// use ops_core::masking::BuiltinMasker;
/// use ops_core::model::Destination;
/// use ops_core::ports::PiiMasker;
///
/// let masker = BuiltinMasker::new();
/// let text = "田中太郎様 (tanaka@example.com, 090-1234-5678) から申請";
/// assert_eq!(masker.mask(text), "田中 *様 (t***@example.com, 090-****-5678) から申請");
/// // Nobody has given a key, so that what should be encrypted is dropped.
/// let masker = masker.with_destination(Destination::Storage);
/// assert_eq!(masker.mask("tanaka@example.com"), "[EMAIL]");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuiltinMasker {
    detector: Detector,
    policy: MaskingPolicy,
    destination: Destination,
    keys: Option<Arc<MaskingKeys>>,
}

impl Default for BuiltinMasker {
    fn default() -> Self {
        Self {
            detector: Detector::new(),
            policy: MaskingPolicy::default(),
            destination: Destination::Log,
            keys: None,
        }
    }
}

impl BuiltinMasker {
    /// A masker for logs, with the built-in detector and the default policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks what goes to `destination`.
    #[must_use]
    pub fn with_destination(mut self, destination: Destination) -> Self {
        self.destination = destination;
        self
    }

    /// Treats values as `policy` says.
    #[must_use]
    pub fn with_policy(mut self, policy: MaskingPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Masks what `detector` finds.
    #[must_use]
    pub fn with_detector(mut self, detector: Detector) -> Self {
        self.detector = detector;
        self
    }

    /// Makes pseudonyms and encrypted values with `keys`; without, such values are dropped.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<MaskingKeys>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Where the text goes.
    pub fn destination(&self) -> Destination {
        self.destination
    }

    /// Masks a value that is known to be of `kind`; the whole of it, whatever it looks like.
    ///
    /// ```
    /// use ops_core::{masking::BuiltinMasker, model::PiiType};
    ///
    /// assert_eq!(BuiltinMasker::new().mask_value(PiiType::Person, "田中 太郎"), "田中 *");
    /// ```
    pub fn mask_value(&self, kind: PiiType, value: &str) -> String {
        self.mask_as(self.treatment(kind), kind, value).into_owned()
    }

    /// What `treatment` makes of `value`.
    pub(super) fn mask_as<'v>(&self, treatment: Treatment, kind: PiiType, value: &'v str) -> Cow<'v, str> {
        let made = match treatment {
            Treatment::Keep => return Cow::Borrowed(value),
            Treatment::Partial => return partial(kind, value),
            Treatment::Drop => None,
            Treatment::Pseudonym => self.keys.as_ref().map(|keys| keys.pseudonym(kind, value)),
            Treatment::Encrypt => {
                let sealed = self.keys.as_ref().and_then(|keys| keys.seal(kind, value).ok());
                sealed.map(|sealed| sealed.to_string())
            }
        };
        made.map_or(Cow::Borrowed(placeholder(kind)), Cow::Owned)
    }

    /// Masks text that comes in pieces.
    pub fn stream(&self) -> MaskStream {
        MaskStream::new(self.clone())
    }

    /// Masks what is written, and writes it to `output`.
    pub fn writer<W: std::io::Write>(&self, output: W) -> MaskWriter<W> {
        MaskWriter::new(self.stream(), output)
    }

    pub(super) fn treatment(&self, kind: PiiType) -> Treatment {
        self.policy.treatment(kind, self.destination)
    }

    /// The places that must not stay as they are.
    pub(super) fn find(&self, text: &str) -> Vec<PiiSpan> {
        let masked = tokens(text);
        let mut found = if masked.is_empty() {
            self.detector.detect(text)
        } else {
            self.detector.detect(&blind(text, &masked))
        };
        found.retain(|span| self.treatment(span.kind) != Treatment::Keep);
        found
    }
}

impl PiiMasker for BuiltinMasker {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let edited = if text.len() < WINDOW {
            let found = self.find(text);
            if found.is_empty() {
                return Cow::Borrowed(text);
            }
            let mut state = JsonState::default();
            state.begin(text);
            self.edited(text, found, state)
        } else {
            Pieces::default().edit_all(self, text)
        };
        edited.map_or(Cow::Borrowed(text), Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn mask(text: &str) -> String {
        BuiltinMasker::new().mask(text).into_owned()
    }

    /// Pieces that meet in real lines; the generator joins them at random.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "tanaka@example.com",
                "@",
                "a.b+c@d.co.jp",
                "t***@x.jp",
                "@",
                "ｔａｎａｋａ＠ｅｘ．ｊｐ",
                "090-1234-5678",
                "0312345678",
                "+81 90-1234-5678",
                "+81",
                "０９０",
                "－",
                "-",
                " ",
                "　",
                "(03)",
                ")",
                "0120-444-444",
                "090-****-1234",
                "****",
                "*",
                " *",
                "0",
                "1",
                "12",
                "0000",
                "田中",
                "太郎",
                "様",
                "さん",
                "氏",
                "氏名",
                "：",
                ": ",
                "=",
                "\"",
                "\\",
                "\\n",
                "\\u3000",
                "\\u0040",
                "\n",
                "皆",
                "お客",
                "仕",
                "佐々木",
                "林",
                "殿",
                "くん",
                "e",
                "+",
                ".",
                "/",
                "_",
                "です",
                "タナカ",
                "Taro",
                "{",
                "}",
                ",",
                "担当者名",
            ])
            .prop_map(str::to_owned),
            "\\PC{0,3}",
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn masking_masked_text_changes_nothing(text in pieces()) {
            let once = mask(&text);
            prop_assert_eq!(mask(&once), once);
        }

        #[test]
        fn json_stays_json_with_the_same_fields(key in pieces(), value in pieces()) {
            let json = json!({ key.clone(): value.clone(), "list": [value, 1.5e10, null], "n": 312_345_678 });
            for line in [json.to_string(), format!("{json:#}")] {
                let masked: Value = serde_json::from_str(&mask(&line)).unwrap();
                prop_assert_eq!(masked.as_object().unwrap().len(), json.as_object().unwrap().len());
            }
        }

        #[test]
        fn json_with_escapes_for_everything_stays_json(value in pieces()) {
            // As Python's `json.dumps` writes by default.
            let mut line = String::from("[\"");
            for unit in value.encode_utf16() {
                match u8::try_from(unit) {
                    Ok(byte) if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\') => line.push(char::from(byte)),
                    _ => line.push_str(&format!("\\u{unit:04x}")),
                }
            }
            line.push_str("\"]");
            prop_assert!(serde_json::from_str::<Value>(&mask(&line)).is_ok(), "{} became {}", line, mask(&line));
        }

        #[test]
        fn numbers_in_json_are_left_alone(n in any::<f64>(), m in any::<i64>()) {
            let line = format!("{{\"a\":{},\"b\":{m},\"c\":[{:e}]}}", json!(n), if n.is_finite() { n } else { 0.0 });
            prop_assert!(serde_json::from_str::<Value>(&mask(&line)).is_ok());
        }

        #[test]
        fn clean_text_is_not_copied(text in "[a-zA-Z ,:;を読む停止]{0,40}") {
            match BuiltinMasker::new().mask(&text) {
                Cow::Borrowed(found) => prop_assert_eq!(found, &text),
                // Chance has written a label and its value.
                Cow::Owned(masked) => prop_assert_ne!(masked, text),
            }
        }

        #[test]
        fn no_address_and_no_number_gets_through(
            local in "[a-z]{2,8}", host in "[a-z]{2,8}", digits in "[1-9][0-9]{7}", before in "[、。あ ]?", after in "[、。あ ]?"
        ) {
            let text = format!("{before}{local}@{host}.jp{after}、090{digits}、090-{}-{}", &digits[..4], &digits[4..]);
            let masked = mask(&text);
            prop_assert!(!masked.contains(&format!("{local}@")), "{}", masked);
            prop_assert!(!masked.contains(&digits[..4]) || digits[..4] == digits[4..], "{}", masked);
        }
    }

    #[test]
    fn a_star_behind_a_name_is_no_mask_of_it() {
        for (text, masked) in [
            ("/* Author: Jonathan Zimmerman */", "/* Author: J */"),
            ("氏名：高橋健太郎 *1", "氏名：高橋 *1"),
            ("/** 担当：高橋健太郎 */", "/** 担当：高橋 */"),
            ("東海林 太郎様 *必須", "東海林 *様 *必須"),
            ("東海林 *様", "東海林 *様"),
            ("田中 *様", "田中 *様"),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(masked), masked);
        }
        let dropped = BuiltinMasker::new().with_destination(Destination::Storage);
        assert_eq!(
            dropped.mask("/* Author: Jonathan Zimmerman */"),
            "/* Author: [PERSON] */"
        );
    }

    #[test]
    fn a_line_of_many_windows_is_masked_once() {
        let record = |number: usize| json!({ "id": number, "name": "田中太郎", "note": "Mr. Jonathan Smithから連絡、佐藤さんへ" });
        let text = json!((0..3_000).map(record).collect::<Vec<_>>()).to_string();
        let once = mask(&text);
        assert!(!once.contains("太郎") && !once.contains("Smith"));
        assert_eq!(mask(&once), once);
        assert_eq!(once.matches(" *").count(), 9_000);
    }

    #[test]
    fn a_card_behind_another_label_is_masked_whole() {
        for label in ["電話：", "社員番号 ", "口座番号: "] {
            let text = format!("{label}4111 1111 1111 1111");
            assert_eq!(mask(&text), format!("{label}****-****-****-1111"));
        }
        assert_eq!(mask("ID: +81-90-1234-5678"), "ID: +81-90-****-5678");
    }

    #[test]
    fn a_long_hostile_text_takes_linear_time() {
        // Quadratic work on a megabyte would take minutes.
        for piece in [
            "@",
            "0",
            "0-",
            "a.",
            "田",
            "様",
            "氏名:",
            "+81 ",
            "\\u",
            "\\",
            "0 (",
            "田 ",
            "1.2.3.4 を ",
            "1.2.3.4 ",
            "<a>",
            " = ",
            "のため休職",
            "氏名（",
            " for A",
        ] {
            let text = piece.repeat(1_000_000 / piece.len());
            let _ = mask(&text);
        }
    }
}
