use std::borrow::Cow;

use serde_json::{Value, json};

use crate::ports::PiiMasker;

/// The contract of [`PiiMasker`]. What is recognised differs between providers and is for their own tests.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn pii_masker(port: &dyn PiiMasker) {
    for clean in CLEAN {
        let masked = port.mask(clean);
        assert_eq!(masked, *clean, "clean text must stay as it is");
        assert!(
            matches!(masked, Cow::Borrowed(_)),
            "clean text must come back borrowed: {clean}"
        );
    }
    for text in PERSONAL {
        let once = port.mask(text).into_owned();
        let twice = port.mask(&once);
        assert_eq!(
            twice, once,
            "masking masked text must change nothing, but {text:?} changed again"
        );
        // Valid UTF-8 by its type; what stands around a value must not be torn.
        for (before, after) in [("𠮷。", "、é"), ("\n", "\r\n"), ("\u{3000}", "\u{feff}")] {
            let around = format!("{before}{text}{after}");
            let masked = port.mask(&around);
            assert!(
                masked.starts_with(before) && masked.ends_with(after),
                "what stands around a value must stay: {around:?} became {masked:?}"
            );
        }
        stays_json(
            port,
            &json!({ "message": text, "list": [text, 1, null], *text: true, "numbers": [4_111_111_111_111_111_u64, -1.5e300] }),
        );
    }
}

/// The forms of the first runbook, of a provider that masks in part.
///
/// # Panics
/// With the form that `port` does not give.
pub async fn pii_masker_forms(port: &dyn PiiMasker) {
    for (text, masked) in [
        ("tanaka@example.com", "t***@example.com"),
        ("090-9999-1234", "090-****-1234"),
        ("０９０－９９９９－１２３４", "090-****-1234"),
        ("氏名: 田中 太郎", "氏名: 田中 *"),
    ] {
        assert_eq!(
            port.mask(text),
            masked,
            "{text} must be masked in the form of the runbook"
        );
    }
}

fn stays_json(port: &dyn PiiMasker, value: &Value) {
    for line in [value.to_string(), format!("{value:#}")] {
        let masked = port.mask(&line);
        let read: Result<Value, _> = serde_json::from_str(&masked);
        let Ok(read) = read else {
            panic!("JSON must stay JSON, but {line} became {masked}");
        };
        assert_eq!(
            read.as_object().map(serde_json::Map::len),
            value.as_object().map(serde_json::Map::len),
            "JSON must keep its fields"
        );
    }
}

const CLEAN: &[&str] = &[
    "",
    "stop cloud-run:soul-kun-api",
    "2026-01-30T09:15:02Z generation 12, 3 of 4 targets hold",
    "読み取り専用モードに切り替えました",
    "仕様の変更、皆様、お客様、同様に",
    "run_019c0d5e8f7a7b3c9d1e2f3a4b5c6d7e",
];

const PERSONAL: &[&str] = &[
    "tanaka@example.com",
    "連絡先は tanaka.taro+ops@mail.example.co.jp です",
    "tanaka@example.com",
    "090-1234-5678",
    "電話09012345678まで",
    "+81 90-1234-5678",
    "0312345678",
    "０９０－１２３４－５６７８",
    "氏名: 田中太郎",
    "田中 太郎様",
    "田中太郎さんから tanaka@example.com と 090-1234-5678 を受け取った",
    "引用 \"田中太郎様\" と \\ と改行\nのあと",
    "@@ a@ @b a@b",
    "t***@example.com 090-****-1234 田中 *",
];
