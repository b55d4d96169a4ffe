use ops_core::masking::Detector;
use ops_core::model::{PiiSpan, PiiType};
use proptest::prelude::*;

/// Pieces of values, labels, signs and escapes, joined at random.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

const PIECES: &[&str] = &[
    "tanaka@example.com",
    "@",
    "a.b+c@d.co.jp",
    "%40",
    "＠",
    "ｅｘ．ｊｐ",
    "090-1234-5678",
    "0312345678",
    "+81 ",
    "０９０",
    "－",
    "ー",
    "-",
    "--",
    " ",
    "　",
    "(",
    ")",
    "（",
    "）",
    "1",
    "12",
    "0000",
    "123456789018",
    "4111111111111111",
    "4111-1111-",
    "10.0.0.1",
    ".",
    "::",
    ":",
    "fe80",
    "1:2:3:",
    "2026-01-02T03:04:05.678Z",
    "password",
    "passwd=",
    "パスワード",
    "は",
    "：",
    "=",
    "\"",
    "'",
    "\\",
    "\\n",
    "\\u3000",
    "\\u0040",
    "\\u",
    "\\\"",
    "%",
    "%2",
    "sk-",
    "ghp_",
    "eyJ",
    "SG.",
    "0123456789abcdef0123456789abcdef",
    "マイナンバー",
    "番号",
    "記号",
    "口座",
    "社員番号",
    "EMP-",
    "TK1234567",
    "旅券",
    "〒",
    "東京都",
    "order_id",
    "\"key\":",
    "{",
    "}",
    ",",
    "、",
    "。",
    "\r",
    "é",
    "😀",
    "x",
    "a",
    "_",
    "postgres://u:",
    "-----BEGIN ",
    "PRIVATE KEY",
];

/// Pieces without a line break.
fn line() -> impl Strategy<Value = String> {
    pieces().prop_map(|text| text.replace('\n', " "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn spans_are_in_order_and_on_boundaries(text in pieces()) {
        let mut end = 0;
        for span in Detector::new().detect(&text) {
            prop_assert!(span.start >= end && span.start < span.end && span.end <= text.len());
            prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
            end = span.end;
        }
    }

    #[test]
    fn a_line_is_looked_at_by_itself(lines in prop::collection::vec(line(), 1..5)) {
        let detector = Detector::new();
        let mut expected = Vec::new();
        let mut at = 0;
        for line in &lines {
            for span in detector.detect(line) {
                expected.push(PiiSpan::new(at + span.start, at + span.end, span.kind));
            }
            at += line.len() + 1;
        }
        prop_assert_eq!(detector.detect(&lines.join("\n")), expected);
    }

    #[test]
    fn escapes_hide_nothing(local in "[a-z]{2,8}", host in "[a-z]{2,8}", digits in "[1-9][0-9]{7}", sign in "[、。あ ]") {
        let plain = format!("{sign}{local}@{host}.jp{sign}090{digits}{sign}");
        let mut escaped = String::new();
        for unit in plain.encode_utf16() {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
        let found = Detector::structured().detect(&escaped);
        let kinds: Vec<_> = found.iter().map(|span| (span.kind, span.end - span.start)).collect();
        let address = local.len() + host.len() + 4;
        prop_assert_eq!(kinds, [(PiiType::Email, address * 6), (PiiType::Phone, 11 * 6)]);
    }
}

#[test]
fn a_long_hostile_text_takes_linear_time() {
    // Quadratic work on this much would take minutes.
    for piece in PIECES.iter().chain(&[
        "0-",
        "0 (",
        "a@",
        "@a.",
        "pwd=***",
        "pwd=\"",
        "番号1 ",
        "\\\\",
        "\\\n",
        "口座 12345",
        "1.1.1.",
        "a:b:c:",
        "key: ",
        "x\"'",
        "０",
        "sk-a",
        "-----BEGIN X ",
        "記号1234567",
        "Aa1",
        "eyJ.",
        "hvs.aaaaaaaaaaaaaaaa.",
        "xoxe.aaaaaaaaaaaaaaaa.",
        "-----BEGIN PRIVATE KEY\"",
        " -p",
        "mysql -p",
        "curl -u ",
        "cookie: a=",
        "cookie: sid=1;",
        "password\" value=",
        "<password>",
        "password=a&",
        "token=http",
        "pin=1",
        "password=***=",
        "curl -u a:pin=1",
        "password: Some(",
    ]) {
        let text = piece.repeat(300_000 / piece.len());
        let _ = Detector::structured().detect(&text);
    }
}

#[test]
fn what_follows_a_rejected_match_is_still_found() {
    let kinds = |text: &str| -> Vec<_> {
        Detector::structured()
            .detect(text)
            .iter()
            .map(|span| span.kind)
            .collect()
    };
    assert_eq!(kinds("12 090 1234 5678"), [PiiType::Phone]);
    assert_eq!(kinds("1.2.3.4.5 10.0.0.1"), [PiiType::Ip]);
    assert_eq!(kinds("@@a@b.jp"), [PiiType::Email]);
    assert_eq!(kinds("4111111111111112 4111111111111111"), [PiiType::CreditCard]);
    assert_eq!(kinds("2026-01-02 03:04:05 03-1234-5678"), [PiiType::Phone]);
}
