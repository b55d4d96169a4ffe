//! Finding personal values beside a floor (`memchr` over a buffer larger than the cache) and a peer (four regexes in turn), interleaved in
//! one run.
//!
//! The texts are made here, about 55 bytes a line: log lines and sentences in Japanese and English, without values, with few, with many.
//! Prints GB/s as medians over the rounds, the ratio to the floor and to the peer.

use std::hint::black_box;
use std::time::Instant;

use ops_core::masking::{BuiltinMasker, Detector};
use ops_core::ports::PiiMasker;
use regex::Regex;

const ROUNDS: usize = 7;
const SIZE: usize = 4_000_000;
/// Larger than the cache of any machine of today that this runs on.
const LARGE: usize = 200_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let texts = [("none", text(0)), ("sparse", text(5)), ("dense", text(70))];
    let large = vec![1; LARGE];
    let structured = Detector::structured();
    let whole = Detector::new();
    let masker = BuiltinMasker::new();
    let regexes = [
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
        r"(?:\+81[- ]?|0)\d{1,4}[- ]?\d{1,4}[- ]?\d{4}",
        r"(?:\d[ -]?){13,16}",
        r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
    ]
    .into_iter()
    .map(Regex::new)
    .collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    let mut floor = Vec::new();
    let mut rows = vec![[const { Vec::new() }; 6]; texts.len()];
    for _ in 0..ROUNDS {
        floor.push(speed(LARGE, || {
            usize::from(memchr::memchr(0, black_box(&large)).is_some())
        }));
        for (row, (_, text)) in rows.iter_mut().zip(&texts) {
            let size = text.len();
            // As a log hands them over: to find where they end is no part of it.
            let lines: Vec<&str> = text.lines().collect();
            row[0].push(speed(size, || {
                regexes.iter().map(|regex| regex.find_iter(text).count()).sum()
            }));
            row[1].push(speed(size, || {
                structured.detect_into(text, &mut found);
                found.len()
            }));
            row[2].push(speed(size, || {
                lines
                    .iter()
                    .map(|line| {
                        structured.detect_into(line, &mut found);
                        found.len()
                    })
                    .sum()
            }));
            row[3].push(speed(size, || {
                whole.detect_into(text, &mut found);
                found.len()
            }));
            row[4].push(speed(size, || masker.mask(text).len()));
            row[5].push(speed(size, || {
                lines.iter().map(|line| masker.mask(line).len()).sum()
            }));
        }
    }
    let floor = median(&mut floor);
    println!(
        "memchr, absent byte, {} MB: {floor:.2} GB/s = F",
        LARGE / 1_000_000
    );
    for ((name, _), row) in texts.iter().zip(&mut rows) {
        println!("{name}:");
        let peer = median(&mut row[0]);
        let names = [
            "four regexes in turn",
            "structured types, whole text",
            "structured types, line by line",
            "all types, whole text",
            "all types masked, whole text",
            "all types masked, line by line",
        ];
        for (name, speeds) in names.iter().zip(row) {
            let speed = median(speeds);
            println!(
                "  {name:32} {speed:7.3} GB/s   F/{:6.1}   {:6.1} x regexes",
                floor / speed,
                speed / peer
            );
        }
    }
    println!(
        "bars on none: structured types 1.5 GB/s or F/17; all types 0.8 GB/s; dense and masked: 0.5 GB/s"
    );
    Ok(())
}

/// Lines of which `percent` of a hundred hold a value.
fn text(percent: usize) -> String {
    let mut draw = Draw(7);
    let mut text = String::with_capacity(SIZE + 200);
    while text.len() < SIZE {
        let line = if draw.below(100) < percent { FILLED } else { CLEAN }[draw.below(10)];
        for c in line.chars() {
            match c {
                '#' => text.push(char::from(b'0' + draw.below(10) as u8)),
                '%' => text.push(char::from(b"0123456789abcdef"[draw.below(16)])),
                c => text.push(c),
            }
        }
        text.push('\n');
    }
    text
}

/// `#` becomes a digit, `%` a hexadecimal one.
const CLEAN: [&str; 10] = [
    "2026-0#-1#T1#:2#:3#.###Z INFO worker ### idle",
    "2026-0#-1#T1#:2#:3#.###Z DEBUG GET /api/v1/items took ##ms",
    "[2026-0#-1#T1#:2#:3#.###Z] 処理が完了しました",
    "2026-0#-1#T1#:2#:3#.###Z INFO 在庫の同期を開始します",
    r#"{"ts":"2026-0#-1#T1#:2#:3#.###Z","lvl":"INFO","msg":"cache refreshed","n":###}"#,
    r#"{"ts":"2026-0#-1#T1#:2#:3#.###Z","lvl":"WARN","msg":"再試行します","job":####}"#,
    "job %%%%%%%%-%%%%-%%%%-%%%%-%%%%%%%%%%%% finished in ####ms",
    "受注番号############を登録",
    "バージョン#.##.#の案内を送信しました",
    "connection reset by upstream, retrying",
];

const FILLED: [&str; 10] = [
    "2026-0#-1#T1#:2#:3#.###Z INFO login user##@example.co.jp from 10.1.#.##",
    "ご登録の電話番号は090-####-####です",
    r#"{"ts":"2026-0#-1#T1#:2#:3#.###Z","lvl":"INFO","email":"k.ito##@example.com"}"#,
    "折り返しは03-3###-####へお願いします",
    "口座番号：####### に入金",
    r#"{"employee_no":"EMP-####","ok":true}"#,
    "運転免許証の番号 3########### を確認",
    "peer 2001:db8::%%%1:2%%% connected",
    "api_key=sk-%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
    "〒1##-#### 東京都",
];

struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

/// GB/s of one pass over `size` bytes.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn speed(size: usize, mut work: impl FnMut() -> usize) -> f64 {
    let began = Instant::now();
    black_box(work());
    size as f64 / began.elapsed().as_secs_f64() / 1e9
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
