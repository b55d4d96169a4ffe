//! Runs `opsctl` as a process, as an operator would.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod site;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
pub use site::Site;

/// A folder with an `ops.toml` and the simulated vendors that it leads to; both end with it.
#[derive(Debug)]
pub struct Simulation {
    dir: tempfile::TempDir,
    process: Child,
}

impl Simulation {
    /// Starts the vendors and waits until the configuration is there.
    pub fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut process = opsctl(dir.path())
            .args(["sim", "--write", "ops.toml"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("opsctl starts");
        // The line on standard error comes when everything is up.
        let mut line = String::new();
        BufReader::new(process.stderr.take().expect("piped"))
            .read_line(&mut line)
            .expect("opsctl sim speaks");
        assert!(dir.path().join("ops.toml").exists(), "{line}");
        Self { dir, process }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// As a real configuration should be: two approvers, who must both sign a restore.
    pub fn with_two_approvers(self) -> Self {
        let file = self.path().join("ops.toml");
        let mut text = std::fs::read_to_string(&file).expect("a configuration");
        assert!(text.contains("restore = 0"), "{text}");
        text = text.replace("restore = 0", "restore = 2");
        // The public keys of the first two test vectors of RFC 8032.
        for (name, key) in [
            (
                "bob",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            ),
            (
                "carol",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            ),
        ] {
            text += &format!("\n[[approver]]\nname = \"{name}\"\npublic_key = \"{key}\"\n");
        }
        std::fs::write(&file, text).expect("a configuration");
        self
    }

    /// Runs a verb to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(opsctl(self.path()).args(arguments).output().expect("opsctl runs"))
    }

    /// Starts a verb.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        opsctl(self.path())
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("opsctl starts")
    }

    /// The entries of the `nth` run in the file journal, from 0; its first line is no entry.
    pub fn journal_entries(&self, nth: usize) -> usize {
        let runs = self.path().join(".ops/journal/runs");
        let mut files: Vec<_> = std::fs::read_dir(runs)
            .into_iter()
            .flatten()
            .flatten()
            .map(|file| file.path())
            .collect();
        files.sort();
        let text = files.get(nth).and_then(|file| std::fs::read_to_string(file).ok());
        text.map_or(0, |text| text.lines().count().saturating_sub(1))
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How a verb ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let ran = Self {
            code: output.status.code().expect("ended by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("one JSON document: {error}\n{}\n{}", self.out, self.err))
    }
}

/// The tool, in a folder, with nothing of the surroundings that could change what it does.
pub fn opsctl(dir: &Path) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_opsctl")));
    command
        .current_dir(dir)
        .env_remove("DATABASE_URL")
        .env_remove("OPS_AUDIT_DATABASE_URL")
        .env("OPS_ACTOR", "alice")
        .stdin(Stdio::null());
    command
}

/// A drill in a folder of its own.
pub fn drill(arguments: &[&str]) -> Ran {
    let dir = tempfile::tempdir().expect("a temporary folder");
    Ran::of(
        opsctl(dir.path())
            .args(["drill", "--json"])
            .args(arguments)
            .output()
            .expect("opsctl runs"),
    )
}
