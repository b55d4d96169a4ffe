use proptest::prelude::*;

use super::*;

/// Looks at every place at which a value could be recognised, a byte at a time.
fn find_slowly(text: &str) -> Vec<PiiSpan> {
    let bytes = text.as_bytes();
    let get = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let before = |at: usize| at.checked_sub(1).map_or(0, get);
    let digit = |at: usize| get(at).is_ascii_digit();
    let word = |at: usize| get(at).is_ascii_alphanumeric() || matches!(get(at), b'_' | b'-');
    let joint = |at: usize| matches!(get(at), b'-' | b'.' | b' ' | b'(' | b')' | 0x80..);
    let mut search = Search::new(Text::plain(bytes), &[]);
    let (mut found, mut done) = (Vec::new(), 0);
    for at in 0..bytes.len() {
        let begins = digit(at) && !before(at).is_ascii_digit();
        let goes_on = |at: usize| {
            joint(at) && (digit(at + 1) || joint(at + 1) && (digit(at + 2) || joint(at + 2) && digit(at + 3)))
        };
        let long = digit(at + 1) && digit(at + 2);
        let number = begins && (long || goes_on(at + 1) || digit(at + 1) && goes_on(at + 2));
        let long = (at..at + LONG).all(word) && !(at > 0 && word(at - 1));
        let pair = [get(at), get(at + 1)];
        let sign = matches!(get(at), b'@' | b'\\' | b'%' | 0xef | b':' | b'=')
            || pair.eq_ignore_ascii_case(b"sw")
            || pair == [0x83, 0x89]
            || pair == *b"--"
            || before(at) == b' ' && get(at) == b'-' && get(at + 1).is_ascii_alphabetic();
        let marks = Marks {
            number: u64::from(number),
            long: u64::from(long),
            sign: u64::from(sign),
            dashes: 0,
        };
        done = search.step(marks, at, done, &mut found);
    }
    found
}

fn find_fast(text: &str) -> Vec<PiiSpan> {
    let mut found = Vec::new();
    find(text, Windows::of(text.as_bytes()), &mut found);
    found
}

/// What stands in real lines, joined at random.
pub(super) fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "2026-01-02T03:04:05.678Z",
            "03:04:05",
            "2026/01/02",
            "12:34",
            "192.168.0.1",
            "v1.2.3.4",
            "2001:db8::1",
            "fe80::1%eth0",
            "71E2:D8FE:A10E:CB05:EF0C:7795:BEF7:DC6C",
            "::",
            "a1:b2:c3",
            "090-1234-5678",
            "03(1234)5678",
            "+81 90 1234 5678",
            "(03) 1234-5678",
            "4111 1111 1111 1111",
            "123456789018",
            "7000012050002",
            "T7000012050002",
            "a.b+c@d.co.jp",
            "@",
            "password",
            "passwd",
            "PassWord: ",
            "パスワード",
            "api_key",
            "token",
            "\"secret\": \"",
            "pin=",
            "pwd = ",
            "口座番号：",
            "電話",
            "社員番号",
            "免許証番号は",
            "保険証 記号",
            "番号",
            "注文番号",
            "passport ",
            "tel:",
            "id",
            "no",
            "card",
            "sk-0123456789abcdef0123",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "deadbeefdeadbeefdeadbeefdeadbeef",
            "EMP-",
            "x",
            "ms",
            "kb",
            " ",
            "-",
            ".",
            "(",
            ")",
            "+",
            ",",
            "_",
            "/",
            ":",
            "=",
            "\"",
            "'",
            "`",
            "%40",
            "\\u0040",
            "\\",
            "：",
            "０",
            "９",
            "－",
            "　",
            "は",
            "件",
            "円",
            "東京都",
            "〒",
            "\n",
            "{",
            "}",
            "[",
            "]",
            "worker ",
            "電話番号: ",
            "社員番号 ",
            "記号 12-34 番号 ",
            "took ",
            "items ",
            "--",
            "-----BEGIN PRIVATE KEY-----",
            "mysql -u root",
            " -p",
            " -phunter2",
            "curl -u admin:",
            "Cookie: sid=a1b2c3d4",
            "; session=",
            "<password>",
            "</",
            "\" value=\"",
        ])
        .prop_map(str::to_owned),
        "[0-9]{1,13}",
        "[0-9]{1,4}[a-z]{0,2}",
        "[a-zA-Z0-9_-]{1,24}",
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_label_in_brackets_behind_its_value_counts() {
    for (text, kind) in [
        ("振込先 1234567（口座番号）", PiiType::BankAccount),
        ("123456789018 (マイナンバー)", PiiType::MyNumber),
        ("301234567890(免許証番号)", PiiType::DriversLicense),
        ("1234-5678 (電話)", PiiType::Phone),
        ("TK1234567 (passport no)", PiiType::Passport),
    ] {
        let found = find_fast(text);
        assert!(found.len() == 1 && found[0].kind == kind, "{text}: {found:?}");
    }
    for text in [
        "1234567（税込）",
        "1234567 (注文番号)",
        "1234567（口座番号は別紙）",
        "1234567 (",
        "件数 1234567（番号）",
    ] {
        assert_eq!(find_fast(text), [], "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_begins_between_dots(
        front in texts(),
        numbers in "([0-9]{1,4}\\.){1,6}[0-9]{1,8}|[0-9]\\.20[0-9]{2}\\.0[1-9]\\.1[0-9]",
        after in texts(),
    ) {
        let text = [front, numbers, after].concat();
        let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let mut search = Search::new(Text::plain(text.as_bytes()), &[]);
        for at in (0..text.len()).filter(|at| is_digit(*at)) {
            search.cluster.read(&search.text, at);
            // Such a line is read through a view.
            let mut groups = search.cluster.groups().iter();
            let veiled = groups.any(|group| cluster::is_wide_joint(text.as_bytes(), group.end));
            let Next::From(end) = search.behind_dots() else {
                continue;
            };
            for between in at + 1..end {
                if !veiled && is_digit(between) && !is_digit(between - 1) {
                    let mut found = Vec::new();
                    let next = search.number(between, &mut found);
                    // What is read through a view from here is so from the end too.
                    let also = matches!(search.number(end, &mut Vec::new()), Next::Veiled);
                    prop_assert!(also || !matches!(next, Next::Veiled), "{} at {}", text, between);
                    // Nor does a date begin there that reaches further.
                    let date = when::end(&search.text, between);
                    prop_assert!(date.is_none_or(|date| date <= end), "{} at {}", text, between);
                    prop_assert_eq!(found, [], "{} at {}", text, between);
                    // No label, sign or run of a key is there either.
                    prop_assert!(text[between..end].bytes().all(|byte| byte == b'.' || byte.is_ascii_digit()));
                }
            }
        }
    }

    #[test]
    fn two_hyphens_in_a_row_are_seen_wherever_they_stand(text in texts(), front in 0..200_usize) {
        let text = ["x ".repeat(front / 2), "-".repeat(front % 2), text].concat();
        let windows = Windows::of(text.as_bytes());
        prop_assert_eq!(find(&text, windows, &mut Vec::new()), text.contains("--"), "{}", text);
    }

    #[test]
    fn nothing_is_lost_to_the_marks(text in texts()) {
        prop_assert_eq!(find_fast(&text), find_slowly(&text));
    }
}
