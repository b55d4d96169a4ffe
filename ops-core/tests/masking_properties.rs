//! What masking keeps, whatever the text: no panic, idempotence, any chunking, UTF-8, JSON.
//!
//! Runs over the kept corpus and random texts: some hundred by default, or for as long as `OPS_FUZZ_SECONDS` says. A text that breaks a
//! property is written to the corpus when it runs for a time.

#[path = "masking_properties/planted.rs"]
mod planted;

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_core::clock::SystemClock;
use ops_core::config::Env;
use ops_core::masking::{BuiltinMasker, Detector, MaskingKeys, Sealed, mask_all};
use ops_core::model::{Destination, MaskingPolicy, PiiCategory, PiiType, Timestamp, Treatment};
use ops_core::ports::{Clock, PiiMasker};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use self::planted::{PIECES, Planted, Random};

fn keys() -> Arc<MaskingKeys> {
    let file = format!("new {}\nold {}", "02".repeat(32), "01".repeat(32));
    Arc::new(MaskingKeys::parse(&SecretString::from(file)).expect("two keys"))
}

/// One masker for each destination, with and without keys, and one that makes pseudonyms.
fn maskers() -> Vec<BuiltinMasker> {
    let detector = Detector::new().with_recognizer(Arc::new(Planted));
    let base = BuiltinMasker::new();
    let planted = BuiltinMasker::new().with_detector(detector);
    let mut maskers: Vec<_> = Destination::ALL
        .map(|to| planted.clone().with_destination(to))
        .into();
    maskers.push(
        planted
            .clone()
            .with_destination(Destination::Storage)
            .with_keys(keys()),
    );
    let mut policy = MaskingPolicy::new();
    for category in [
        PiiCategory::Direct,
        PiiCategory::Indirect,
        PiiCategory::Confidential,
    ] {
        policy = policy.with_category(Destination::External, category, Treatment::Pseudonym);
    }
    maskers.push(
        planted
            .with_policy(policy)
            .with_destination(Destination::External)
            .with_keys(keys()),
    );
    maskers.push(base);
    maskers
}

/// Encrypted values differ from one time to the next; what is in them does not.
fn comparable(text: &str) -> String {
    let keys = keys();
    let (mut clear, mut done) = (String::new(), 0);
    for (at, _) in text.match_indices('[') {
        let token = text[at..].find(']').map_or("", |end| &text[at..=at + end]);
        let opened = token
            .parse::<Sealed>()
            .ok()
            .and_then(|sealed| keys.open(&sealed).ok());
        if let Some(opened) = opened {
            clear.push_str(&text[done..at]);
            clear.push_str(opened.expose_secret());
            done = at + token.len();
        }
    }
    clear + &text[done..]
}

fn chunked(masker: &BuiltinMasker, text: &[u8], mut next: impl FnMut(usize) -> usize) -> String {
    let (mut stream, mut out, mut at) = (masker.stream(), String::new(), 0);
    while at < text.len() {
        let length = next(text.len() - at).clamp(1, text.len() - at);
        stream.push(&text[at..at + length], &mut out);
        at += length;
    }
    stream.finish(&mut out);
    out
}

/// Everything that holds for every text.
fn check(text: &str, random: &mut Random) {
    let maskers = maskers();
    let at_log = &maskers[0];
    for masker in &maskers {
        let once = masker.mask(text);
        let twice = masker.mask(&once);
        assert_eq!(twice, once, "masked again, {:?}", masker.destination());
        assert!(matches!(twice, Cow::Borrowed(_)), "masked text is clean: {once}");
        let logged = at_log.mask(&once);
        assert_eq!(
            at_log.mask(&logged),
            logged,
            "a log policy over {:?}",
            masker.destination()
        );

        let whole = comparable(&once);
        let bytes = text.as_bytes();
        assert_eq!(
            comparable(&chunked(masker, bytes, |_| 1 + random.below(40))),
            whole,
            "in small chunks"
        );
        assert_eq!(
            comparable(&chunked(masker, bytes, |left| 1 + random.below(left))),
            whole,
            "in large chunks"
        );
        if text.len() < 2_000 {
            assert_eq!(comparable(&chunked(masker, bytes, |_| 1)), whole, "byte by byte");
        }
    }
    let masked = at_log.mask(text);
    let masked: Vec<_> = masked.lines().collect();
    // Lines are not moved; only those of a PEM block become one.
    if masked.len() == text.lines().count() {
        for (line, masked) in text.lines().zip(masked) {
            stays_json(line, masked);
        }
    }
}

fn stays_json(line: &str, masked: &str) {
    // A number alone on its line is taken for text.
    if !line.trim_start().starts_with(['{', '[', '"']) {
        return;
    }
    if let Ok(before) = serde_json::from_str::<Value>(line) {
        let after = serde_json::from_str::<Value>(masked);
        let after = after.unwrap_or_else(|error| panic!("{error}: {line} became {masked}"));
        assert_eq!(shape(&before), shape(&after), "{line} became {masked}");
    }
}

/// The brackets of a value, without its scalars.
fn shape(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            // The keys may be masked, and with them their order.
            let mut fields: Vec<_> = fields.values().map(shape).collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        _ => ".".to_owned(),
    }
}

/// A random text: words of real lines, JSON of them, or a long line.
fn text(random: &mut Random) -> String {
    let words = |random: &mut Random, most: usize| -> String {
        let count = random.below(most);
        (0..count).map(|_| PIECES[random.below(PIECES.len())]).collect()
    };
    match random.below(40) {
        0..=11 => {
            let (key, value) = (words(random, 4), words(random, 10));
            let json = serde_json::json!({
                "id": 7, key: value, "card": 4_111_111_111_111_234_u64, "list": [5_000_000, words(random, 5), null, -5_000_000.5],
            });
            match random.below(3) {
                0 => format!("{json:#}\n"),
                1 => planted::with_escapes_for_everything(&json.to_string()),
                _ => format!("{json}\n"),
            }
        }
        12 => {
            // A line, a value or a PEM block that no window holds.
            let inner = words(random, 6);
            let filler = ["a", "word ", "田", "4", "\\", "\"", "{\"a\":", "@", "QUJD\n"][random.below(9)];
            let front = [
                "",
                "-----BEGIN PRIVATE KEY-----\n",
                "tok_",
                "{\"k\":\"",
                "password=tok_",
                "[",
            ][random.below(6)];
            let length = 60_000 + random.below(80_000);
            let long = filler.repeat(length / filler.len());
            format!("{front}{long}{inner}{}", words(random, 6))
        }
        _ => words(random, 14),
    }
}

#[test]
fn what_stands_behind_a_value_of_many_windows_holds_every_property() {
    let behind = "123456789018+81 90-1234-5678-----END PRIVATE KEY-----";
    let text = format!("password=tok_{}{behind}", "@".repeat(110_321));
    check(&text, &mut Random::new(7));
}

#[test]
fn each_destination_gets_what_its_policy_says() {
    let text = r#"{"who": "田中太郎", "dept": "営業部", "pay": 5000000, "sick": true, "card": 4111111111111234, "key": "tok_abc"}"#;
    let maskers = maskers();
    for (masker, wanted) in maskers.iter().zip([
        r#"{"who": "田中 *", "dept": "営業部", "pay": "[CONFIDENTIAL]", "sick": "[CONFIDENTIAL]", "card": "****-****-****-1234", "key": "[API_KEY]"}"#,
        r#"{"who": "田中 *", "dept": "[DEPARTMENT]", "pay": "[CONFIDENTIAL]", "sick": "[CONFIDENTIAL]", "card": "****-****-****-1234", "key": "[API_KEY]"}"#,
        r#"{"who": "[PERSON]", "dept": "営業部", "pay": "[CONFIDENTIAL]", "sick": "[CONFIDENTIAL]", "card": "[CREDIT_CARD]", "key": "[API_KEY]"}"#,
    ]) {
        assert_eq!(masker.mask(text), wanted, "{:?}", masker.destination());
    }
    let stored = maskers[4].mask(text).into_owned();
    assert!(
        stored.contains(r#""who": "[PERSON:sealed:new:"#)
            && stored.contains(r#""card": "[CREDIT_CARD:sealed:new:"#)
    );
    assert_eq!(
        comparable(&stored),
        r#"{"who": "田中太郎", "dept": "営業部", "pay": "[CONFIDENTIAL]", "sick": "[CONFIDENTIAL]", "card": "4111111111111234", "key": "[API_KEY]"}"#
    );
    // A pseudonym is that of the value, however the text spells it.
    let names = maskers[5]
        .mask("田中太郎 {\"a\":\"\\u7530\\u4e2d\\u592a\\u90ce\"} 田中")
        .into_owned();
    let keys = keys();
    let (whole, family) = (
        keys.pseudonym(PiiType::Person, "田中太郎"),
        keys.pseudonym(PiiType::Person, "田中"),
    );
    assert_eq!(names, format!("{whole} {{\"a\":\"{whole}\"}} {family}"));
}

#[test]
fn a_stricter_policy_takes_what_a_milder_one_left() {
    let maskers = maskers();
    assert_eq!(
        maskers[0].mask("田中 * 東京都*** \"\\u7530\\u4e2d\\u592a\\u90ce\""),
        "田中 * 東京都*** \"田中 *\""
    );
    assert_eq!(maskers[2].mask("田中 * 東京都***"), "[PERSON] [ADDRESS]");
    assert_eq!(
        maskers[0].mask("password=[API_KEY]hunter2"),
        "password=[API_KEY][API_KEY]"
    );
}

#[test]
fn a_place_over_several_strings_takes_no_key_away() {
    let text = r#"{"a":"<<","card":1,"b":">>"}"#;
    assert_eq!(
        maskers()[0].mask(text),
        r#"{"a":"[API_KEY]","card":"[API_KEY]","b":"[API_KEY]"}"#
    );
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/masking")
}

#[test]
fn the_kept_corpus_holds_every_property() {
    let mut checked = 0;
    for entry in fs::read_dir(corpus()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        eprintln!("{}", path.display());
        check(&String::from_utf8_lossy(&bytes), &mut Random::new(1));
        checked += 1;
    }
    assert!(checked > 5, "only {checked} texts in the corpus");
}

#[test]
fn random_texts_hold_every_property() {
    let clock = SystemClock::new();
    let began = clock.now();
    let seconds: Option<u64> = Env::process()
        .text("OPS_FUZZ_SECONDS")
        .map(|text| text.parse().expect("OPS_FUZZ_SECONDS is a number of seconds"));
    let spent = |now: Timestamp| now.saturating_since(began).as_secs();
    let first = if seconds.is_some() {
        began.as_unix_micros().unsigned_abs()
    } else {
        0
    };
    for seed in first.. {
        match seconds {
            Some(seconds) if spent(clock.now()) >= seconds => break,
            None if seed >= 400 => break,
            _ => {}
        }
        let text = text(&mut Random::new(seed));
        let checked = std::panic::catch_unwind(|| check(&text, &mut Random::new(seed)));
        if let Err(panic) = checked {
            eprintln!("seed {seed}: {:?}", &text[..text.floor_char_boundary(2_000)]);
            if seconds.is_some() {
                fs::write(corpus().join(format!("found-{seed}.txt")), &text).unwrap();
            }
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn every_way_to_cut_a_small_text_in_three_gives_the_whole() {
    let text = "氏名: 田中太郎様\r\ntel 090-1234-5678、tanaka@example.com {\"n\": 4111111111111234}\n東京都千代田区千代田1-1";
    for masker in maskers() {
        let whole = comparable(&masker.mask(text));
        for first in 0..text.len() {
            for second in (first..text.len()).step_by(7) {
                let mut cuts = [first, second - first, text.len()]
                    .into_iter()
                    .filter(|length| *length > 0);
                let out = chunked(&masker, text.as_bytes(), |_| cuts.next().unwrap_or(usize::MAX));
                assert_eq!(comparable(&out), whole, "{first} {second}");
            }
        }
    }
}

#[test]
fn many_workers_mask_as_one() {
    let mut random = Random::new(5);
    let text: String = (0..2_000)
        .map(|_| self::text(&mut random) + "\n")
        .take(600)
        .collect();
    for masker in maskers() {
        let (mut one, mut many) = (String::new(), String::new());
        let mut stream = masker.stream().with_workers(3.try_into().unwrap());
        for chunk in text.as_bytes().chunks(700_001) {
            stream.push(chunk, &mut many);
        }
        stream.finish(&mut many);
        one.push_str(&masker.mask(&text));
        assert_eq!(comparable(&one), comparable(&many));
    }
}

#[test]
fn what_is_not_utf_8_is_replaced_however_it_is_cut() {
    let bytes = b"a\xffb\xe7\x94tanaka@example.com \xf0\x9f\n\xe7";
    let masker = BuiltinMasker::new();
    let whole = masker.mask(&String::from_utf8_lossy(bytes)).into_owned();
    assert!(whole.contains("t***@example.com"));
    for length in 1..bytes.len() {
        assert_eq!(chunked(&masker, bytes, |_| length), whole, "{length}");
    }
    let mut out = Vec::new();
    assert_eq!(
        mask_all(&masker, &bytes[..], &mut out).unwrap(),
        bytes.len() as u64
    );
    assert_eq!(out, whole.as_bytes());
}

#[test]
fn a_line_of_many_megabytes_is_masked_and_not_held() {
    let masker = BuiltinMasker::new();
    let (mut stream, mut out) = (masker.stream(), String::new());
    let chunk = "word, tanaka@example.com, 090-1234-5678; ".repeat(100);
    for taken in 1..=500 {
        stream.push(chunk.as_bytes(), &mut out);
        let given = out.matches("t***@").count();
        assert!(taken * 100 - given < 2 * 64 * 1024 / 41, "{taken}: {given}");
    }
    stream.finish(&mut out);
    assert!(!out.contains("tanaka@") && !out.contains("1234-5678"));
    assert_eq!(out.matches("t***@example.com").count(), 50_000);
}

#[test]
fn a_secret_that_no_window_holds_is_masked_from_its_head() {
    let masker = &maskers()[0];
    for (text, masked) in [
        (
            format!("key tok_{} after", "a".repeat(1_000_000)),
            "key [API_KEY] after".to_owned(),
        ),
        (
            format!(
                "{{\"key\":\"tok_{}\",\"to\":\"tanaka@example.com\"}}",
                "a".repeat(300_000)
            ),
            "{\"key\":\"[API_KEY]\",\"to\":\"t***@example.com\"}".to_owned(),
        ),
        (
            format!(
                "a\nb -----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY----- c\n",
                "QUJD\n".repeat(100_000)
            ),
            "a\nb [API_KEY] c\n".to_owned(),
        ),
        (
            format!("{} tok_{}", "word ".repeat(13_000), "a".repeat(60_000)),
            format!("{} [API_KEY]", "word ".repeat(13_000)),
        ),
    ] {
        assert_eq!(masker.mask(&text), masked);
        assert_eq!(chunked(masker, text.as_bytes(), |_| 9_999), masked);
    }
}
