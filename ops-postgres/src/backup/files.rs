use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{BackupCopy, BackupState, Text, Unseen};
use ops_core::ports::{BackupCapability, BackupInspector};

use super::judge::judge;
use crate::error::error;

/// Copies in a directory, each a file or a folder in it: `pg_dump` plain, `-Fc` and `-Fd`, and `pg_basebackup` with its `backup_manifest`. Only
/// reads, and little: heads, tables of contents, ends.
///
/// What is cut off is found; what was changed in the middle without a change of size is not. Whether a copy restores, a test tells.
#[derive(Clone, Debug)]
pub struct DumpFiles {
    directory: PathBuf,
}

impl DumpFiles {
    /// Those in `directory`; what lies deeper is left out.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The one file or folder at `path`. Blocks.
    ///
    /// # Errors
    /// `NotFound` when nothing is there, `Unavailable` when it cannot be read, `InvalidInput` when it is no copy.
    pub fn one(path: &Path) -> Result<BackupCopy> {
        match judge(path) {
            Ok(Some(copy)) => Ok(copy),
            Ok(None) => Err(error(ErrorKind::InvalidInput, LOOK)
                .context("file", path.display().to_string())
                .context("remedy", "give the output of pg_dump or pg_basebackup")),
            Err(cause) => Err(unread(path, cause)),
        }
    }
}

#[async_trait]
impl BackupInspector for DumpFiles {
    fn name(&self) -> &str {
        "files"
    }

    fn capability(&self) -> BackupCapability {
        BackupCapability::new(vec![
            Text::new(
                "コピーの中身は一部しか読まない。途中のビット化けは見つからない。復元できるかは opsctl backups test で分かる",
                "copies are read at their ends: rot in the middle is not found; whether one restores, opsctl backups test tells",
            ),
            Text::new(
                "プレーンテキストのダンプはどのデータベースのものか書いていないことがあり、データを含むかも見ていない",
                "a plain dump may not say of which database it is, and is not searched for data",
            ),
            Text::new(
                "ディレクトリが別の機械・別リージョンにも写されているかは分からない",
                "whether the directory is also on another machine or in another region is not known",
            ),
        ])
    }

    async fn inspect(&self) -> Result<BackupState> {
        let directory = self.directory.clone();
        let looking = tokio::task::spawn_blocking(move || look(&directory));
        looking
            .await
            .map_err(|cause| error(ErrorKind::Unavailable, LOOK).source(cause))?
    }
}

fn look(directory: &Path) -> Result<BackupState> {
    let mut state = BackupState::default();
    let mut copies = Vec::new();
    for entry in fs::read_dir(directory).map_err(|cause| unread(directory, cause))? {
        let path = entry.map_err(|cause| unread(directory, cause))?.path();
        match judge(&path) {
            Ok(copy) => copies.extend(copy),
            // It was removed meanwhile.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => {
                let why = unread(&path, cause).to_string();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                state.unseen.push(Unseen::new(name, Text::new(why.clone(), why)));
            }
        }
    }
    copies.sort_by(|one, two| (two.at, &one.name).cmp(&(one.at, &two.name)));
    state.copies = Some(copies);
    state.unseen.sort_by(|one, two| one.part.cmp(&two.part));
    Ok(state)
}

fn unread(path: &Path, cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Unavailable,
    };
    error(kind, LOOK)
        .context("file", path.display().to_string())
        .source(cause)
}

const LOOK: &str = "look for copies";
