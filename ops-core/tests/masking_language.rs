//! Names, addresses, departments and confidential values on lines of our own, most of them with names that no dictionary has.

use std::collections::BTreeMap;

use ops_core::masking::Detector;
use ops_core::model::PiiType;

/// A line a case; `⟦P:…⟧` is a person, `A` an address, `D` a department, `C` a confidential value. Nothing else is to be found.
const LINES: &str = include_str!("language/lines.txt");

/// Lines as those, on names by kind of evidence; each as it is written. `#` begins a heading.
const NAMES: &str = include_str!("language/names.txt");

const KINDS: [(&str, PiiType); 4] = [
    ("P:", PiiType::Person),
    ("A:", PiiType::Address),
    ("D:", PiiType::Department),
    ("C:", PiiType::Confidential),
];

type Span = (usize, usize, PiiType);

fn read(line: &str) -> (String, Vec<Span>) {
    let mut text = String::new();
    let mut spans = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('⟦') {
        let (marked, after) = after.split_once('⟧').expect("a closing bracket");
        let (sign, kind) = KINDS
            .into_iter()
            .find(|(sign, _)| marked.starts_with(sign))
            .expect("a known sign");
        text.push_str(before);
        let start = text.len();
        text.push_str(&marked[sign.len()..]);
        spans.push((start, text.len(), kind));
        rest = after;
    }
    text.push_str(rest);
    (text, spans)
}

fn detect(text: &str) -> Vec<Span> {
    Detector::new()
        .detect(text)
        .into_iter()
        .filter(|span| KINDS.iter().any(|(_, kind)| *kind == span.kind))
        .map(|span| (span.start, span.end, span.kind))
        .collect()
}

#[derive(Debug, Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
    untouched: usize,
}

impl Score {
    fn f1(&self) -> f64 {
        2.0 * self.right as f64 / (2 * self.right + self.wrong + self.missed) as f64
    }
}

#[test]
fn values_are_found_exactly_and_clean_lines_are_left_alone() {
    let mut scores: BTreeMap<PiiType, Score> = BTreeMap::new();
    let mut touched = Vec::new();
    let mut different = Vec::new();
    let mut clean = 0;
    for line in LINES.lines() {
        let (text, expected) = read(line);
        let found = detect(&text);
        if found != expected {
            different.push(line);
        }
        if expected.is_empty() {
            clean += 1;
            if !found.is_empty() {
                touched.push(line);
            }
        }
        for span in &expected {
            let score = scores.entry(span.2).or_default();
            if found.contains(span) {
                score.right += 1;
            } else {
                score.missed += 1;
            }
            if !found.iter().any(|other| other.0 < span.1 && span.0 < other.1) {
                score.untouched += 1;
            }
        }
        for span in found.iter().filter(|span| !expected.contains(span)) {
            scores.entry(span.2).or_default().wrong += 1;
        }
    }
    assert!(clean > 100);
    assert!(touched.is_empty(), "{touched:?}");
    // Of two it is known that they are missed.
    assert!(different.len() <= 2, "{}", different.join("\n"));
    for (kind, least) in [
        (PiiType::Person, 0.96),
        (PiiType::Address, 0.96),
        (PiiType::Department, 0.96),
        (PiiType::Confidential, 0.96),
    ] {
        let score = &scores[&kind];
        assert!(score.f1() >= least, "{kind}: {score:?}\n{}", different.join("\n"));
    }
}

#[test]
fn names_are_found_by_each_kind_of_evidence_and_not_without_it() {
    let mut different = Vec::new();
    for line in NAMES.lines().filter(|line| !line.starts_with('#')) {
        let (text, expected) = read(line);
        let found = detect(&text);
        if found != expected {
            let found: Vec<_> = found
                .iter()
                .map(|(start, end, kind)| format!("{kind}:{}", &text[*start..*end]))
                .collect();
            different.push(format!("{line} {found:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn an_unknown_name_is_found_by_honorific_and_by_label() {
    for name in [
        "鵺野",
        "鵺野鳴之",
        "鵺野 鳴之",
        "ゾルタン",
        "ゾルタン・コヴァーチ",
    ] {
        for (before, after) in [("昨日、", "様が来た"), ("氏名：", ""), ("{\"氏名\":\"", "\"}")] {
            let text = format!("{before}{name}{after}");
            let expected = (before.len(), before.len() + name.len(), PiiType::Person);
            assert_eq!(detect(&text), [expected], "{text}");
        }
    }
}

#[test]
fn a_value_is_found_in_the_same_place_among_other_lines() {
    for line in LINES.lines().chain(NAMES.lines()) {
        let (text, _) = read(line);
        let alone = detect(&text);
        let among = detect(&format!("氏名：\n{text}\n様"));
        let shift = "氏名：\n".len();
        let moved: Vec<_> = alone
            .iter()
            .map(|(start, end, kind)| (start + shift, end + shift, *kind))
            .collect();
        assert_eq!(among, moved, "{text}");
    }
}

#[test]
fn cutting_a_line_anywhere_breaks_nothing() {
    for line in LINES.lines().chain(NAMES.lines()) {
        let (text, _) = read(line);
        for (at, _) in text.char_indices() {
            for part in [&text[..at], &text[at..]] {
                for (start, end, _) in detect(part) {
                    assert!(
                        start < end && part.is_char_boundary(start) && part.is_char_boundary(end),
                        "{part}"
                    );
                }
            }
        }
    }
}

#[test]
fn text_made_to_be_slow_is_read() {
    for piece in [
        "様",
        "県市区町村",
        "田中",
        "\\u",
        "\\\\u3042",
        "a B ",
        "name=",
        "年収",
        "部課室",
        "A. ",
        "1-1-",
        "東京都港区",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        detect(&text);
    }
}

#[test]
fn escaped_japanese_is_found_with_the_bytes_of_its_escapes() {
    let name = r"\u9234\u6728 \u82b1\u5b50";
    let text = format!("line\n{{\"id\":1,\"name\":\"{name}\"}}\n田中様");
    let start = text.find(name).unwrap();
    let second = text.rfind("田中").unwrap();
    assert_eq!(
        detect(&text),
        [
            (start, start + name.len(), PiiType::Person),
            (second, second + "田中".len(), PiiType::Person)
        ]
    );
    // An escaped backslash begins no escape.
    assert!(detect(r#"{"path":"C:\\u9234\u6728"}"#).is_empty());
}

/// A note in brackets is looked at before what stands behind it, and a note in it is not, however many there are.
#[test]
fn notes_within_notes_take_no_stack_and_lose_no_name() {
    for (piece, least) in [
        ("(担当は佐藤(課)、鈴木", 3000),
        ("（受取人佐藤（課）、鈴木", 3000),
        ("（営業部）、高橋", 2),
    ] {
        let text = format!("担当は田中{}", piece.repeat(3000));
        let found = Detector::new().detect(&text);
        assert!(found.len() >= least, "{piece}: {}", found.len());
    }
}
