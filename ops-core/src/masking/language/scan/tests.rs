use proptest::prelude::*;

use super::super::labels::japanese_labels;
use super::super::person::HONORIFICS;
use super::*;

/// Looks at every character at which a rule could begin, one at a time.
fn find_slowly(text: &str) -> Vec<PiiSpan> {
    let bytes = text.as_bytes();
    let get = |at: usize| bytes.get(at).copied().unwrap_or(b'\n');
    let mut found = Vec::new();
    let mut scan = Scan::new(text, &mut found);
    for (at, c) in text.char_indices() {
        let before = at.checked_sub(1).map_or(b'\n', get);
        let worth = match c {
            ' ' => {
                let link = get(at + 3) == b' ' && matches!(get(at + 1), b'i' | b'o');
                get(at + 1).is_ascii_uppercase() || get(at + 1) == b'w' || link
            }
            '=' if before == b' ' => true,
            ':' | '=' | '>' => before.is_ascii_alphabetic() || matches!(before, b'"' | b'\''),
            // Of hiragana, those that the rules know.
            '\u{3041}'..='\u{3092}' => matches!(c, 'ま' | 'な'),
            _ => true,
        };
        if worth && at >= scan.skip {
            scan.look(bytes, at);
        }
    }
    found
}

fn find_fast(text: &str) -> Vec<PiiSpan> {
    let mut found = Vec::new();
    Scan::new(text, &mut found).run(Windows::of(text.as_bytes()));
    found
}

#[test]
fn of_katakana_that_end_a_word_the_marks_know_all() {
    let lexicon = Lexicon::get();
    for c in '\u{3093}'..='\u{30ff}' {
        let ends = lexicon.class(c as usize) & !class::KATAKANA != 0;
        // Behind another one, so that no word of katakana begins with it.
        let text = format!("ア{c}");
        let mut stretch = Stretch::default();
        vector::language(Windows::of(text.as_bytes()), 0, &mut stretch);
        assert_eq!(stretch[0].kana >> 3 & 1 == 1, ends, "{c}");
    }
}

#[test]
fn of_words_that_end_with_hiragana_the_marks_know_all() {
    let mut words: Vec<String> = HONORIFICS
        .iter()
        .map(|honorific| honorific.word.to_owned())
        .collect();
    japanese_labels(|word, _| words.push(word.to_owned()));
    let ends = |word: &&String| word.ends_with(['ま', 'な']);
    let ending: Vec<_> = words.iter().filter(ends).collect();
    assert_eq!(ending, ["さま", "ふりがな"]);
    let lexicon = Lexicon::get();
    let class = |c: char| lexicon.class(c as usize);
    assert_eq!((class('ま'), class('な')), (class::HONORIFIC, class::LABEL));
}

/// What stands in real lines, joined at random.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "田中",
            "<name>",
            "salary = ",
            "のため休職",
            "さま",
            "サま",
            "ま",
            "ふりがな",
            "ふりガな：",
            "な",
            "太郎",
            "佐々木",
            "林",
            "東海林",
            "髙橋",
            "さゆり",
            "タナカ",
            "タロウ",
            "ジョン・スミス",
            "様",
            "さん",
            "氏",
            "部長",
            "先生",
            "くん",
            "氏名",
            "担当者",
            "住所",
            "部署",
            "年収",
            "手取り",
            "フリガナ",
            "評価",
            "病歴",
            "診断",
            "健康診断",
            "アレルギー",
            "ランク",
            "：",
            ":",
            "=",
            "は",
            "が",
            "の",
            "を",
            "と申します",
            "東京都",
            "千代田区",
            "丸の内",
            "1-2-3",
            "大阪府",
            "丁目",
            "ビル",
            "営業部",
            "総務課",
            "本社",
            "株式会社",
            "皆",
            "お客",
            "仕",
            "500万円",
            "A",
            "B+",
            "良好",
            "糖尿病",
            "Taro",
            "Tanaka",
            "John Smith",
            "Mr. ",
            "Dear ",
            "from ",
            "salary",
            "\"name\"",
            "user_name",
            "address",
            "is",
            "of",
            "with",
            "diabetes",
            "INFO",
            "GET",
            "Sales dept",
            "123 Main St",
            "Apt 4",
            "\"",
            "'",
            " ",
            "　",
            "、",
            "。",
            "\n",
            "（",
            "）",
            "「",
            "」",
            "\\u7530\\u4e2d",
            "\\",
            "処理が完了しました",
            "在庫の同期を開始します",
            "カタカナ",
        ])
        .prop_map(str::to_owned),
        "[一-龠]{1,4}",
        "[ァ-ヶー]{1,6}",
        "[ぁ-ん]{1,4}",
        "[A-Z][a-z]{1,8} ",
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_of_katakana_begin_behind_none(text in "[アーンあaん漢]{0,200}") {
        let mut stretch = Stretch::default();
        let count = vector::language(Windows::of(text.as_bytes()), 0, &mut stretch);
        let (mut found, mut before) = (Vec::new(), 0);
        for (step, marks) in stretch[..count].iter().enumerate() {
            let places = begins(marks.katakana, before);
            found.extend((0..STEP).filter(|bit| places >> bit & 1 == 1).map(|bit| step * STEP + bit));
            before = marks.katakana;
        }
        let katakana = |c: char| "アーン".contains(c);
        let expected: Vec<_> = text
            .char_indices()
            .filter(|(at, c)| katakana(*c) && !text[..*at].ends_with(katakana))
            .map(|(at, _)| at)
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn where_no_phrase_may_be_none_is(
        front in texts(),
        before in prop::sample::select(vec!["", "1", "12-34", "9Z", "Z", "04.567Z", "03:04:05Z", " 567Z", "1.2-34Z", ",", "salary", "diagnosed", "x", "NY", "Bonus", "PSC 802 Box 74,"]),
        behind in prop::sample::select(vec![
            "Main St", "APO AE 09012", "FPO AP 96601", "DPO AA 34001", "is $1000", "of 500,000 yen", "on leave for asthma",
            "on sick leave for diabetes", "was 5,000,000 yen", "with asthma", "will be $9,000", "in", "worker", "Taro",
        ]),
        after in texts(),
    ) {
        let text = [&front, before, " ", behind, &after].concat();
        let bytes = text.as_bytes();
        for at in memchr::memchr_iter(b' ', bytes) {
            let mut found = Vec::new();
            let mut scan = Scan::new(&text, &mut found);
            let next = bytes.get(at + 1).copied().unwrap_or_default();
            let ends = at > 0 && (bytes[at - 1].is_ascii_digit() || bytes[at - 1].is_ascii_uppercase());
            let army = at > 0 && bytes[at - 1] == b',' && matches!(next, b'A' | b'D' | b'F');
            if next.is_ascii_uppercase() && (ends || army) && !address::may_be_english(bytes, at) {
                prop_assert!(!address::english(&mut scan, at), "{} at {}", text, at);
            }
            if matches!(next, b'i' | b'o' | b'w') && !confidential::may_be_english(bytes, at) {
                confidential::english(&mut scan, at);
            }
            prop_assert_eq!(found, [], "{} at {}", text, at);
        }
    }

    #[test]
    fn nothing_is_lost_to_the_marks(text in texts()) {
        prop_assert_eq!(find_fast(&text), find_slowly(&text));
    }
}
