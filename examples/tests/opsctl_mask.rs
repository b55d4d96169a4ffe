//! `opsctl mask` and `opsctl detect` as processes: no configuration, no server, any input.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use support::opsctl;

/// Runs a verb over `input` in an empty folder, which it must leave empty.
fn filter(arguments: &[&str], input: &[u8]) -> Output {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = filter_in(dir.path(), arguments, input);
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
    output
}

fn filter_in(dir: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut process = opsctl(dir)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("opsctl starts");
    let mut stdin = process.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A tool that refuses does not read on.
            let _ = stdin.write_all(input);
        });
        process.wait_with_output().expect("opsctl ends")
    });
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    output
}

#[track_caller]
fn masked(arguments: &[&str], input: &[u8]) -> String {
    let output = filter(arguments, input);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn text_is_masked_for_each_destination() {
    let text = "氏名: 田中 太郎 tanaka@example.com 090-9999-1234\r\nclean\nlast line tanaka@example.com";
    for to in ["log", "external", "support"] {
        assert_eq!(
            masked(&["mask", "--for", to], text.as_bytes()),
            "氏名: 田中 * t***@example.com 090-****-1234\r\nclean\nlast line t***@example.com"
        );
    }
    let output = filter(&["mask", "--for", "storage", "--lang", "en"], text.as_bytes());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "氏名: [PERSON] [EMAIL] [PHONE]\r\nclean\nlast line [EMAIL]"
    );
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no --key-file")
    );
}

#[test]
fn empty_input_is_empty_output() {
    assert_eq!(masked(&["mask", "--for", "log"], b""), "");
    assert_eq!(masked(&["detect"], b""), "");
}

#[test]
fn rubbish_goes_through_as_utf_8() {
    let mut rubbish: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    rubbish.extend_from_slice(b" tanaka@example.com");
    let out = masked(&["mask", "--for", "log"], &rubbish);
    assert!(out.ends_with("t***@example.com") && out.contains('\u{fffd}'));
}

#[test]
fn a_hundred_megabytes_without_a_line_break_are_masked_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = opsctl(dir.path())
        .args(["mask", "--for", "log"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    let chunk = [b"x".repeat(999_980).as_slice(), b" tanaka@example.com "].concat();
    let (found, most) = std::thread::scope(|scope| {
        scope.spawn(move || (0..100).for_each(|_| stdin.write_all(&chunk).unwrap()));
        let (mut found, mut most, mut buffer) = (0, 0, vec![0; 1 << 20]);
        loop {
            let length = stdout.read(&mut buffer).unwrap();
            if length == 0 {
                return (found, most);
            }
            found += buffer[..length].iter().filter(|byte| **byte == b'*').count() / 3;
            most = most.max(resident(process.id()));
        }
    });
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!((99..=100).contains(&found), "{found}");
    assert!(most < 64 * 1024, "{most} KiB");
}

/// The memory of a process in KiB; 0 where it cannot be read.
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn lines_come_out_as_they_come_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = opsctl(dir.path())
        .args(["mask", "--for", "log"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (
        process.stdin.take().unwrap(),
        BufReader::new(process.stdout.take().unwrap()),
    );
    for _ in 0..3 {
        stdin.write_all(b"to tanaka@example.com\nhalf a li").unwrap();
        stdin.flush().unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with("to t***@example.com\n"), "{line}");
        stdin.write_all(b"ne ").unwrap();
    }
    drop(stdin);
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    for arguments in [&["mask", "--for", "log"][..], &["detect"]] {
        let dir = tempfile::tempdir().unwrap();
        let mut process = opsctl(dir.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = process.stdin.take().unwrap();
        drop(process.stdout.take());
        let line = b"{\"text\": \"tanaka@example.com\"}\n".repeat(1_000);
        while stdin.write_all(&line).is_ok() {}
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_it_while_it_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = opsctl(dir.path())
        .args(["mask", "--for", "log"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    stdin.write_all(b"a line\n").unwrap();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &process.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(6));
    drop(stdin);
}

#[test]
fn json_lines_stay_json_and_others_are_reported_by_their_number() {
    let input = "{\"to\": \"tanaka@example.com\"}\nno json tanaka@example.com\n[1]\n{\"a\":";
    let output = filter(
        &["mask", "--for", "log", "--json-lines", "--lang", "en"],
        input.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(2));
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        out,
        "{\"to\": \"t***@example.com\"}\nno json t***@example.com\n[1]\n{\"a\":"
    );
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("line 2: is no JSON") && err.contains("line 4: is no JSON"),
        "{err}"
    );
    assert!(!err.contains("tanaka"), "{err}");
}

#[test]
fn a_key_file_encrypts_and_what_is_encrypted_stays() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("keys"), format!("k1 {}\n", "5e".repeat(32))).unwrap();
    let arguments = ["mask", "--for", "storage", "--key-file", "keys"];
    let output = filter_in(dir.path(), &arguments, b"to tanaka@example.com\n");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.starts_with("to [EMAIL:sealed:k1:"), "{out}");
    let again = filter_in(dir.path(), &arguments, out.as_bytes());
    assert_eq!(String::from_utf8(again.stdout).unwrap(), out);

    std::fs::write(dir.path().join("keys"), "k1 5e5e5e5e\n").unwrap();
    let output = filter_in(dir.path(), &arguments, b"to tanaka@example.com\n");
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(2), &b""[..]),
        "{err}"
    );
    assert!(
        err.contains("line: 1") && err.contains("64 hexadecimal digits") && !err.contains("5e5e"),
        "{err}"
    );

    let output = filter_in(dir.path(), &["mask", "--for", "log", "--key-file", "none"], b"x");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_policy_of_ops_toml_counts_and_a_wrong_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("ops.toml");
    std::fs::write(&config, "[masking.log]\nemail = \"drop\"\n").unwrap();
    let output = filter_in(dir.path(), &["mask", "--for", "log"], b"tanaka@example.com");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[EMAIL]");

    std::fs::write(&config, "[masking.log]\nemail = \"hide\"\n").unwrap();
    let output = filter_in(dir.path(), &["mask", "--for", "log"], b"tanaka@example.com");
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(2), &b""[..])
    );
    assert!(err.contains("line 2: masking.log.email"), "{err}");

    let output = filter_in(
        dir.path(),
        &["mask", "--for", "log", "--config", "none.toml"],
        b"x",
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn every_line_gets_an_answer_and_a_wrong_one_names_its_number() {
    let lines = [
        &b"{\"text\": \"a\", \"spans\": [1]}"[..],
        b"{\"text\": 5}",
        b"",
        b"not json tanaka@example.com",
        b"{\"text\": \"\xff\"}",
        b"{\"text\": \"\\ud842\"}\r",
        b"[]",
        b"{\"text\": \"\\u7530\"}\r",
    ];
    let output = filter(&["detect", "--lang", "en"], &lines.join(&b'\n'));
    assert_eq!(output.status.code(), Some(2));
    let out = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len());
    for (at, answer) in answers.iter().enumerate() {
        if [0, 7].contains(&at) {
            assert_eq!(*answer, json!({"spans": []}));
        } else {
            assert!(
                answer["error"].is_string() && answer.get("spans").is_none(),
                "{answer}"
            );
        }
    }
    let err = String::from_utf8(output.stderr).unwrap();
    for number in 2..=7 {
        assert!(err.contains(&format!("line {number}: ")), "{err}");
    }
    assert!(
        err.contains("line 5: is not UTF-8") && err.contains("write one {\"text\""),
        "{err}"
    );
    assert!(!err.contains("tanaka"), "{err}");
}

#[test]
fn a_line_too_long_to_hold_is_answered_too() {
    let mut input = b"{\"text\": \"".to_vec();
    input.resize(17 * 1024 * 1024, b'a');
    input.extend_from_slice(b"\"}\n{\"text\": \"a\"}");
    let output = filter(&["detect", "--lang", "en"], &input);
    assert_eq!(output.status.code(), Some(2));
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out, "{\"error\":\"is longer than 16 MiB\"}\n{\"spans\":[]}\n");
}

#[test]
fn many_lines_are_answered_in_their_order() {
    let input: String = (0..20_000)
        .map(|n| {
            if n % 1_000 == 7 {
                "x\n".to_owned()
            } else {
                format!("{{\"text\": \"{n}\"}}\n")
            }
        })
        .collect();
    let output = filter(&["detect"], input.as_bytes());
    let out = String::from_utf8(output.stdout).unwrap();
    let wrong: Vec<_> = out
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("error"))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(wrong, (0..20).map(|n| n * 1_000 + 7).collect::<Vec<_>>());
    assert_eq!(out.lines().count(), 20_000);
}
