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
        stays_json(
            port,
            &json!({ "message": text, "list": [text, 1, null], *text: true }),
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
