use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha384};

use crate::error::{Error, ErrorKind, Result};
use crate::model::MigrationTool;

/// A migration as a file of this release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MigrationFile {
    /// As the tool writes it into its table.
    pub version: String,
    /// What it is called beside that.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The script, if it is SQL.
    #[serde(skip)]
    pub up: Option<String>,
    /// The way back, if there is one.
    #[serde(skip)]
    pub down: Option<String>,
    /// What it comes after. Empty for tools that go by number.
    pub after: Vec<String>,
}

impl MigrationFile {
    /// SHA-384 of the script, as sqlx keeps it.
    pub fn checksum(&self) -> Option<String> {
        self.up.as_deref().map(sha384)
    }

    /// Whether `checksum` is that of the same text with other line ends.
    pub fn differs_in_line_ends_only(&self, checksum: &str) -> bool {
        let Some(up) = &self.up else { return false };
        let unix = up.replace("\r\n", "\n");
        let same = sha384(&unix) == checksum || sha384(&unix.replace('\n', "\r\n")) == checksum;
        same && sha384(up) != checksum
    }
}

fn sha384(text: &str) -> String {
    Sha384::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The migrations of a release: a folder of scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MigrationFolder {
    /// Whose they are; `None` for numbered SQL, which several tools read.
    pub tool: Option<MigrationTool>,
    /// In their order.
    pub files: Vec<MigrationFile>,
}

const READ: &str = "read migrations";

impl MigrationFolder {
    /// Reads a folder: numbered SQL (`0001_name.sql`, or `.up.sql` and `.down.sql`), Alembic (`versions/` with
    /// `revision` and `down_revision`), Django (`0001_name.py` with `dependencies`), Rails (`20260130_name.rb`).
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a folder without migrations, or with two of the same version.
    pub fn read(folder: &Path) -> Result<Self> {
        let versions = folder.join("versions");
        let folder = if versions.is_dir() {
            versions.as_path()
        } else {
            folder
        };
        let entries = fs::read_dir(folder).map_err(|cause| {
            Error::new(ErrorKind::NotFound, READ)
                .context("folder", folder.display().to_string())
                .context("remedy", "name the folder that holds the scripts")
                .source(cause)
        })?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut found = Self {
            tool: None,
            files: Vec::new(),
        };
        for path in &paths {
            found.take(folder, path)?;
        }
        found.check(folder)?;
        found.order();
        Ok(found)
    }

    /// The file of that version.
    pub fn find(&self, version: &str) -> Option<&MigrationFile> {
        self.files
            .iter()
            .find(|file| same_version(&file.version, version))
    }

    /// Versions that nothing comes after: one, unless branches were not merged.
    pub fn heads(&self) -> Vec<&str> {
        let files = self.files.iter();
        let is_head =
            |file: &&MigrationFile| !self.files.iter().any(|other| other.after.contains(&file.version));
        files.filter(is_head).map(|file| file.version.as_str()).collect()
    }

    /// `version` and everything before it, by what each comes after.
    pub fn up_to(&self, version: &str) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        let mut open: Vec<&str> = self
            .find(version)
            .map(|file| file.version.as_str())
            .into_iter()
            .collect();
        while let Some(version) = open.pop() {
            if found.contains(&version) {
                continue;
            }
            found.push(version);
            if let Some(file) = self.find(version) {
                open.extend(file.after.iter().map(String::as_str));
            }
        }
        found
    }

    fn take(&mut self, folder: &Path, path: &Path) -> Result<()> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Ok(());
        };
        let text = || {
            fs::read_to_string(path).map_err(|cause| {
                Error::new(ErrorKind::InvalidInput, READ)
                    .context("file", path.display().to_string())
                    .source(cause)
            })
        };
        if let Some(stem) = name.strip_suffix(".down.sql") {
            let (version, _) = numbered(stem);
            let down = text()?;
            if let Some(file) = self.files.iter_mut().find(|file| file.version == version) {
                file.down = Some(down);
            } else if !version.is_empty() {
                self.files.push(MigrationFile {
                    version,
                    down: Some(down),
                    ..MigrationFile::default()
                });
            }
        } else if let Some(stem) = name.strip_suffix(".sql") {
            let (version, title) = numbered(stem.strip_suffix(".up").unwrap_or(stem));
            if version.is_empty() {
                return Ok(());
            }
            let up = text()?;
            let down = self
                .files
                .iter()
                .position(|file| file.version == version && file.up.is_none())
                .and_then(|at| self.files.remove(at).down);
            self.files.push(MigrationFile {
                version,
                name: title,
                path: path.to_owned(),
                up: Some(up),
                down,
                after: Vec::new(),
            });
        } else if name.ends_with(".py") && name != "__init__.py" {
            self.take_python(folder, path, &text()?);
        } else if let Some(stem) = name.strip_suffix(".rb") {
            let (version, title) = numbered(stem);
            if !version.is_empty() {
                self.tool = Some(MigrationTool::Rails);
                self.files.push(MigrationFile {
                    version,
                    name: title,
                    path: path.to_owned(),
                    ..MigrationFile::default()
                });
            }
        }
        Ok(())
    }

    fn take_python(&mut self, folder: &Path, path: &Path, text: &str) {
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if let Some(revision) = assigned(text, "revision").into_iter().next() {
            self.tool = Some(MigrationTool::Alembic);
            self.files.push(MigrationFile {
                version: revision,
                name: stem.to_owned(),
                path: path.to_owned(),
                after: assigned(text, "down_revision"),
                down: text.contains("def downgrade").then(String::new),
                ..MigrationFile::default()
            });
        } else if text.contains("class Migration(") {
            self.tool = Some(MigrationTool::Django);
            let app = folder
                .parent()
                .and_then(Path::file_name)
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            self.files.push(MigrationFile {
                version: format!("{app}.{stem}"),
                name: stem.to_owned(),
                path: path.to_owned(),
                after: dependencies(text, app),
                ..MigrationFile::default()
            });
        }
    }

    fn check(&self, folder: &Path) -> Result<()> {
        let wrong = |what: &'static str, value: String, remedy: &'static str| {
            Err(Error::new(ErrorKind::InvalidInput, READ)
                .context(what, value)
                .context("remedy", remedy))
        };
        if self.files.is_empty() {
            return wrong(
                "folder",
                folder.display().to_string(),
                "name a folder with scripts such as 0001_name.sql",
            );
        }
        for (at, file) in self.files.iter().enumerate() {
            if self
                .files
                .iter()
                .skip(at + 1)
                .any(|other| other.version == file.version)
            {
                return wrong(
                    "version",
                    file.version.clone(),
                    "two files have it: give one of them another",
                );
            }
            if file.path.as_os_str().is_empty() {
                return wrong(
                    "version",
                    file.version.clone(),
                    "there is a way down and none up: add the .up.sql",
                );
            }
        }
        Ok(())
    }

    /// By number; by what each comes after, where the tool says it.
    fn order(&mut self) {
        self.files
            .sort_by_key(|file| (number(&file.version), file.version.clone()));
        if self.files.iter().all(|file| file.after.is_empty()) {
            return;
        }
        let mut left = std::mem::take(&mut self.files);
        while !left.is_empty() {
            let ready = left.iter().position(|file| {
                !file
                    .after
                    .iter()
                    .any(|before| left.iter().any(|other| other.version == *before))
            });
            // A circle has no order: as they come.
            let file = left.remove(ready.unwrap_or(0));
            self.files.push(file);
        }
    }
}

/// The same version in another spelling: `0001` is `1` in a table of numbers.
pub(super) fn same_version(one: &str, other: &str) -> bool {
    one == other || (number(one).is_some() && number(one) == number(other))
}

pub(super) fn number(version: &str) -> Option<u128> {
    version.parse().ok()
}

/// `0001_add_price` is version `0001` and `add price`.
fn numbered(stem: &str) -> (String, String) {
    let end = stem
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(stem.len());
    let (version, rest) = stem.split_at(end);
    (
        version.to_owned(),
        rest.trim_start_matches(['_', '-']).replace('_', " "),
    )
}

/// The texts that a line of Python assigns to `name`: `down_revision = ("a1", "b2")`.
fn assigned(text: &str, name: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| {
        let Some((left, _)) = line.split_once('=') else {
            return true;
        };
        let left = left.split(':').next().unwrap_or_default().trim();
        left != name
    });
    let Some(first) = lines.next() else {
        return Vec::new();
    };
    let mut value = first
        .split_once('=')
        .map(|(_, value)| value.to_owned())
        .unwrap_or_default();
    if value.contains('(') && !value.contains(')') {
        for line in lines {
            value.push_str(line);
            if line.contains(')') {
                break;
            }
        }
    }
    quoted_parts(value.split('#').next().unwrap_or_default())
}

/// `dependencies = [("shop", "0001_initial")]`, those of other apps too.
fn dependencies(text: &str, app: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("dependencies = [") else {
        return Vec::new();
    };
    let inside = rest.split(']').next().unwrap_or_default();
    let parts = quoted_parts(inside);
    let pairs = parts.chunks_exact(2);
    pairs
        .filter(|pair| pair[0] == app)
        .map(|pair| format!("{}.{}", pair[0], pair[1]))
        .collect()
}

fn quoted_parts(text: &str) -> Vec<String> {
    let text = text.replace('\'', "\"");
    text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}
