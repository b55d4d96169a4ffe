//! The story runs, and what it plants is nowhere in its output.

use std::process::Command;

#[test]
fn the_story_ends_with_an_alarm_and_shows_nothing_personal() {
    let test = std::env::current_exe().unwrap();
    let story = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples")
        .join("masked_logs");
    // `cargo test` has built the examples; with `--test` it has not.
    if !story.exists() {
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--locked",
                "--package",
                "ops-examples",
                "--example",
                "masked_logs",
            ])
            .status()
            .unwrap();
        assert!(built.success());
    }
    let output = Command::new(story).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    for planted in ["tanaka.taro", "1234-5678", "田中太郎", "sesame"] {
        assert!(!text.contains(planted), "{planted} in\n{text}");
    }
    for wanted in [
        "t***@example.com",
        "req-0312345678",
        "pii_leak_detected",
        "to #emergency",
        "audit records: 1",
    ] {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
}
