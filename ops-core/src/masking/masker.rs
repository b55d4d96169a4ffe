use std::borrow::Cow;

use super::text::Edits;
use super::{email, name, phone};
use crate::ports::PiiMasker;

/// Masks mail addresses, Japanese telephone numbers, and Japanese names that are marked as such. No dictionary, no I/O.
///
/// | recognised | becomes |
/// |---|---|
/// | `tanaka@example.com`, also in full width | `t***@example.com` |
/// | 10 or 11 digits from 0, or `+81`, half or full width, with or without hyphens, spaces, brackets | `090-****-5678` |
/// | two or more kanji before 様, さん, 氏, 殿, くん, ちゃん (one kanji before 様 and さん) | `田中 *様` |
/// | a name after 氏名, お名前, 姓名, フルネーム or 担当者名 and a colon or an equals sign, also as a JSON field | `氏名: 田中 *` |
///
/// **Not recognised:** names without such a mark; names in kana or letters before 様 and the like (カズさん); family names
/// longer than two characters without a space after them (the first two characters are kept); local parts of mail addresses
/// in other scripts; numbers of other countries; numbers split over lines; postal addresses, cards, My Number and other
/// identifiers; Japanese text that JSON spells as `\uXXXX`. Words that end in 様 or さん without being names are known by a
/// short list; a word beyond it is masked, as is a 10-digit number from 0 that is no telephone number.
///
/// ```
/// use ops_core::masking::BuiltinMasker;
/// use ops_core::ports::PiiMasker;
///
/// let masker = BuiltinMasker::new();
/// let text = "田中太郎様 (tanaka@example.com, 090-1234-5678) から申請";
/// assert_eq!(masker.mask(text), "田中 *様 (t***@example.com, 090-****-5678) から申請");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BuiltinMasker;

impl BuiltinMasker {
    /// A masker.
    pub fn new() -> Self {
        Self
    }
}

impl PiiMasker for BuiltinMasker {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        // A mask may lay bare what the masked word was part of, so that it is looked at again.
        for _ in 0..ROUNDS {
            let mut changed = false;
            for find in [email::find, phone::find, name::find] {
                let mut edits = Edits::default();
                find(&masked, &mut edits);
                if let Some(edited) = edits.apply(&masked) {
                    masked = Cow::Owned(edited);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        masked
    }
}

/// More than any text was seen to need; it bounds the work for a hostile one.
const ROUNDS: usize = 8;

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
            let text = text.as_str();
            prop_assert!(matches!(BuiltinMasker::new().mask(text), Cow::Borrowed(found) if found == text));
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
    fn a_long_hostile_text_takes_linear_time() {
        // Quadratic work on a megabyte would take minutes.
        for piece in [
            "@", "0", "0-", "a.", "田", "様", "氏名:", "+81 ", "\\u", "\\", "0 (", "田 ",
        ] {
            let text = piece.repeat(1_000_000 / piece.len());
            let _ = mask(&text);
        }
    }
}
