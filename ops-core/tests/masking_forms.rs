//! The three forms of the first runbook, in text.

use ops_core::masking::BuiltinMasker;
use ops_core::ports::PiiMasker;

fn mask(text: &str) -> String {
    BuiltinMasker::new().mask(text).into_owned()
}

#[test]
fn addresses_in_text() {
    for (text, masked) in [
        ("tanaka@example.com", "t***@example.com"),
        (
            "連絡先はtanaka.taro+ops@mail.example.co.jpです",
            "連絡先はt***@mail.example.co.jpです",
        ),
        (
            "ｔａｎａｋａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
            "ｔ***＠ｅｘａｍｐｌｅ．ｃｏｍ",
        ),
        ("<a@b.jp>,c@d.jp;", "<a***@b.jp>,c***@d.jp;"),
        ("x@example.com.", "x***@example.com."),
        ("{\"to\":\"tanaka@example.com\"}", "{\"to\":\"t***@example.com\"}"),
    ] {
        assert_eq!(mask(text), masked);
        assert_eq!(mask(masked), masked);
    }
}

#[test]
fn what_is_no_address_stays() {
    for text in [
        "@",
        "a@",
        "@b.jp",
        "a@b",
        "a@.jp",
        "meet @ noon",
        "t***@example.com",
        "user@localhost",
    ] {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn an_escape_in_front_is_not_cut_apart() {
    assert_eq!(mask(r#""a\ntanaka@example.com""#), r#""a\nt***@example.com""#);
    assert_eq!(
        mask(r#""\u3000tanaka@example.com""#),
        r#""\u3000t***@example.com""#
    );
}

#[test]
fn numbers_in_text() {
    for (text, masked) in [
        ("090-1234-5678", "090-****-5678"),
        ("09012345678", "090-****-5678"),
        ("電話09012345678まで", "電話090-****-5678まで"),
        ("０９０－１２３４－５６７８", "090-****-5678"),
        ("０９０ー１２３４ー５６７８", "090-****-5678"),
        ("0312345678", "03-****-5678"),
        ("(03) 1234-5678", "03-****-5678"),
        ("03(1234)5678", "03-****-5678"),
        ("(090-1234-5678)", "(090-****-5678)"),
        ("0120-444-444", "0120-****-4444"),
        ("0800-123-4567", "0800-****-4567"),
        ("+81 90-1234-5678", "+81-90-****-5678"),
        ("+81(0)90-1234-5678", "+81-90-****-5678"),
        ("+819012345678", "+81-90-****-5678"),
        ("tel.03-1234-5678", "tel.03-****-5678"),
        ("090-1234-5678 03-1234-5678", "090-****-5678 03-****-5678"),
        ("12 090 1234 5678", "12 090-****-5678"),
        (r#""a\n03-1234-5678""#, r#""a\n03-****-5678""#),
        (r#""\u300003-1234-5678""#, r#""\u300003-****-5678""#),
    ] {
        assert_eq!(mask(text), masked);
        assert_eq!(mask(masked), masked);
    }
}

#[test]
fn what_is_no_number_stays() {
    for text in [
        "2026-01-30 09:15:02",
        "2026-01-30T09:15:02Z",
        "1769731200",
        "0.0312345678",
        "1e+8190123456789",
        "run_0312345678",
        "0312345678ab",
        "019c0d5e-0312-4567-8901-abcdefabcdef",
        "00123456789",
        "10.0.0.5",
        "090-****-5678",
    ] {
        assert_eq!(mask(text), text);
    }
}

#[test]
fn names_in_text() {
    for (text, masked) in [
        ("田中太郎様", "田中 *様"),
        ("田中 太郎さんから", "田中 *さんから"),
        ("田中　太郎様", "田中 *様"),
        ("林様と佐々木様", "林 *様と佐々 *様"),
        ("村上様", "村上 *様"),
        ("氏名: 田中太郎", "氏名: 田中 *"),
        ("氏名：田中　太郎、電話", "氏名：田中 *、電話"),
        ("氏名: 田中太郎様", "氏名: 田中 *様"),
        ("{\"氏名\": \"田中太郎\"}", "{\"氏名\": \"田中 *\"}"),
        ("お名前=タナカ タロウ", "お名前=タナカ *"),
        ("氏名: Taro Tanaka", "氏名: T *"),
        ("担当者名「田中」", "担当者名「田中 *」"),
    ] {
        assert_eq!(mask(text), masked);
        assert_eq!(mask(masked), masked);
    }
}

#[test]
fn words_that_only_look_like_names_stay() {
    for text in [
        "皆様、お客様",
        "仕様の変更",
        "同様に",
        "様々な",
        "模様",
        "多様な",
        "奥様",
        "神様",
        "たくさん",
        "皆さん",
        "お母さん",
        "利用者様",
        "氏名の変更",
        "摂氏",
        "宮殿",
        "状況の様子",
    ] {
        assert_eq!(mask(text), text);
    }
}
