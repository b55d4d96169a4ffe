//! The sources of the workspace as a test reads them.

mod code;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use self::code::{inline_modules, is_word, names_after, test_items, without_literals, words};

/// A source file without its comments and literals.
pub(crate) struct Source {
    /// From the workspace's folder, with forward slashes.
    pub(crate) path: String,
    code: String,
    /// Where test code stands.
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = without_literals(text);
        let whole_file = path
            .split('/')
            .any(|part| matches!(part, "tests" | "tests.rs" | "testkit" | "benches"));
        let tests = if whole_file {
            std::iter::once(0..code.len()).collect()
        } else {
            test_items(&code)
        };
        Self {
            path: path.to_owned(),
            code,
            tests,
        }
    }

    /// The line, from 1, of an offset.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Whether one of the folders or the file has this name, `.rs` apart.
    pub(crate) fn is_in(&self, name: &str) -> bool {
        self.path
            .split('/')
            .any(|part| part.strip_suffix(".rs").unwrap_or(part) == name)
    }

    /// What follows `::` at an offset: one name, or the first name of each path of a group.
    pub(crate) fn names_after(&self, at: usize) -> Vec<(usize, String)> {
        names_after(&self.code, at)
    }

    /// What follows `name::` wherever `name` stands.
    pub(crate) fn names_in(&self, name: &str) -> Vec<(usize, String)> {
        words(&self.code, name)
            .flat_map(|at| names_after(&self.code, at + name.len()))
            .collect()
    }

    /// Whether test code stands there.
    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|test| test.contains(&at))
    }

    /// The top-level module of a source of `ops-core`.
    pub(crate) fn room(&self) -> &str {
        let inside = self.path.strip_prefix("ops-core/src/").unwrap_or(&self.path);
        let room = inside.split('/').next().unwrap_or(inside);
        room.strip_suffix(".rs").unwrap_or(room)
    }

    /// What follows `root::` where `root` begins a path; nothing or `as` follows where it is imported whole.
    pub(crate) fn paths(&self, root: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for at in words(&self.code, root) {
            let before = &self.code[..at];
            // `::name` begins a path, `a::name` goes on with one.
            let begin = before.strip_suffix("::").unwrap_or(before);
            if begin.len() < before.len() && begin.ends_with(is_word) {
                continue;
            }
            let names = names_after(&self.code, at + root.len());
            if names.is_empty() && begin.trim_end().ends_with("use") {
                let renamed = self.code[at + root.len()..].trim_start().starts_with("as ");
                found.push((at, if renamed { "as" } else { "" }.to_owned()));
            }
            found.extend(names);
        }
        found
    }

    /// What follows `super::super::…` where that is the root of the crate.
    pub(crate) fn paths_above(&self) -> Vec<(usize, String)> {
        let inside = self.path.split_once("/src/").map_or("", |(_, inside)| inside);
        let depth = inside.split('/').filter(|part| *part != "mod.rs").count();
        let modules = inline_modules(&self.code);
        let mut found = Vec::new();
        let mut end_of_last = 0;
        for first in words(&self.code, "super") {
            if first < end_of_last {
                continue;
            }
            let (mut steps, mut end) = (1, first + "super".len());
            while let [(at, name)] = names_after(&self.code, end).as_slice()
                && name == "super"
            {
                steps += 1;
                end = at + name.len();
            }
            end_of_last = end;
            let inner = modules.iter().filter(|module| module.contains(&first)).count();
            if steps == depth + inner {
                found.extend(names_after(&self.code, end));
            }
        }
        found
    }
}

/// The sources under a folder of the workspace.
pub(crate) fn sources(folder: &str) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(workspace(&folder))? {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().display());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.ends_with(".rs") {
                found.push(Source::new(&path, &fs::read_to_string(entry.path())?));
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

/// A file or folder of the workspace.
pub(crate) fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
