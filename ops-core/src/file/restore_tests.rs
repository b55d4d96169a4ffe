use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{Directory, Sums, blocking, damaged, file_name, read_whole, refused, write_new};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Digest, RestoreTest};

/// Tests of restores as evidence: a file each, written once, with its digest, which the audit trail has too.
///
/// Looking makes no directory.
#[derive(Clone, Debug)]
pub struct FileRestoreTests {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct TestFile {
    format: String,
    /// Of the test: a file that was changed by hand does not fit it, and not the audit trail either.
    digest: Digest,
    test: RestoreTest,
}

impl FileRestoreTests {
    /// Those in `directory`, which need not be there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Keeps a test; makes the directory if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::Unavailable`]; [`ErrorKind::Conflict`] when there is another of this id.
    pub async fn append(&self, test: &RestoreTest) -> Result<()> {
        let directory = self.directory.clone();
        let file = TestFile {
            format: FORMAT.to_owned(),
            digest: test.digest(),
            test: test.clone(),
        };
        blocking(KEEP, move || {
            let directory = Directory::open(directory)?;
            let text = serde_json::to_string(&file)
                .map_err(|source| Error::new(ErrorKind::InvalidInput, KEEP).source(source))?;
            let path = directory.file(&format!("{}{SUFFIX}", file_name(file.test.id.as_str())));
            let made = directory.file(&format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
            if write_new(&path, &made, &text)? || read(&path)?.is_some_and(|kept| kept == file.test) {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Conflict, KEEP)
                .provider("file")
                .context("test", "is kept already, with another result"))
        })
        .await
    }

    /// The newest test; `None` if none was kept.
    ///
    /// # Errors
    /// [`ErrorKind::Unexpected`] for a file that was changed; [`ErrorKind::Unavailable`].
    pub async fn newest(&self) -> Result<Option<RestoreTest>> {
        let directory = self.directory.clone();
        blocking(READ, move || {
            if !directory.exists() {
                return Ok(None);
            }
            let entries =
                std::fs::read_dir(&directory).map_err(|source| refused(READ, &directory, source))?;
            let mut newest: Option<RestoreTest> = None;
            for entry in entries.flatten() {
                let path = entry.path();
                let is_one = path.file_name().is_some_and(|name| {
                    let name = name.to_string_lossy();
                    name.ends_with(SUFFIX) && !name.starts_with('.')
                });
                if is_one && let Some(test) = read(&path)? {
                    newest = newest.filter(|newest| newest.at > test.at).or(Some(test));
                }
            }
            Ok(newest)
        })
        .await
    }

    /// The digest of a dump, of all its bytes; `None` for a folder.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when it cannot be read.
    pub async fn digest_of(dump: &Path) -> Result<Option<Digest>> {
        let dump = dump.to_owned();
        blocking(READ, move || {
            if dump.is_dir() {
                return Ok(None);
            }
            let sums = Sums::of(&dump).map_err(|source| refused(READ, &dump, source))?;
            Ok(Some(sums.sha256))
        })
        .await
    }
}

fn read(path: &Path) -> Result<Option<RestoreTest>> {
    let wrong = |what: &str| damaged(READ, path, 1, what);
    let Some(text) = read_whole(path)? else {
        return Ok(None);
    };
    let file: TestFile = serde_json::from_str(&text).map_err(|_| wrong("is no test of a restore"))?;
    if file.format != FORMAT {
        return Err(wrong("is of another format"));
    }
    if file.digest != file.test.digest() {
        return Err(wrong("does not fit its own digest"));
    }
    Ok(Some(file.test))
}

const KEEP: &str = "keep restore test";
const READ: &str = "read restore tests";
const SUFFIX: &str = ".json";
const FORMAT: &str = "ops-restore-test/1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RestoredTable, RunId, Timestamp};

    #[tokio::test]
    async fn the_newest_test_is_found_again_and_one_that_was_changed_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let tests = FileRestoreTests::new(dir.path().join("restore-tests"));
        assert_eq!(tests.newest().await.unwrap(), None);
        assert!(
            !dir.path().join("restore-tests").exists(),
            "looking makes nothing"
        );
        let test = |seconds: i64| {
            let at = Timestamp::from_unix_micros(seconds * 1_000_000);
            let mut test = RestoreTest::new(RunId::generate(at), at, "shop.dump");
            test.took = std::time::Duration::from_millis(1234);
            test.tables.push(RestoredTable::new("public.orders", 3));
            test
        };
        let (old, new) = (test(1), test(2));
        tests.append(&new).await.unwrap();
        tests.append(&old).await.unwrap();
        tests.append(&old).await.unwrap();
        assert_eq!(tests.newest().await.unwrap(), Some(new.clone()));
        let mut other = old.clone();
        other.failures.push("later".to_owned());
        assert_eq!(
            tests.append(&other).await.unwrap_err().kind(),
            ErrorKind::Conflict
        );

        let path = tests
            .directory
            .join(format!("{}.json", file_name(new.id.as_str())));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"rows\":3", "\"rows\":4")).unwrap();
        assert!(tests.newest().await.is_err());
    }
}
