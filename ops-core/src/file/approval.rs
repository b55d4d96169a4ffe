use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::durable::{Directory, blocking, write_plain};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Approval, ApprovalRequest, Digest, Timestamp};
use crate::ports::{ApprovalStore, ApprovalsFound, MAX_APPROVAL, MAX_APPROVALS, MAX_OPEN, MAX_REQUEST};

/// Requests and approvals in a directory: `DIGEST.request` and, one for each signature, `DIGEST.FINGERPRINT.json`.
///
/// The files are plain JSON: what they say is proven by the digest and by the signatures, and an approval may be carried here by hand,
/// under any name that begins with the digest and ends with `.json`.
#[derive(Clone, Debug)]
pub struct FileApprovals {
    directory: Arc<Directory>,
}

impl FileApprovals {
    /// Opens the store in `directory`, making it if it is missing. Blocks for a directory look-up.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Unavailable`] when the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = Arc::new(Directory::open(directory)?);
        Ok(Self { directory })
    }
}

#[async_trait]
impl ApprovalStore for FileApprovals {
    async fn request(&self, request: &ApprovalRequest) -> Result<()> {
        let (file, text) = (
            self.directory.file(&format!("{}{REQUEST}", request.digest)),
            request.to_stored()?,
        );
        blocking("file request", move || write_plain(&file, &text)).await
    }

    async fn requested(&self, digest: Digest) -> Result<Option<ApprovalRequest>> {
        let file = self.directory.file(&format!("{digest}{REQUEST}"));
        blocking("read request", move || {
            Ok(read(&file, MAX_REQUEST).and_then(|text| ApprovalRequest::from_stored(digest, &text)))
        })
        .await
    }

    async fn open(&self, now: Timestamp) -> Result<Vec<ApprovalRequest>> {
        let directory = Arc::clone(&self.directory);
        blocking("list requests", move || {
            let mut newest: Vec<_> = directory
                .names()?
                .into_iter()
                .filter(|name| name.ends_with(REQUEST))
                .filter_map(|name| {
                    let changed =
                        fs::symlink_metadata(directory.file(&name)).and_then(|found| found.modified());
                    Some((changed.ok()?, name))
                })
                .collect();
            newest.sort_by(|one, other| other.cmp(one));
            let open = newest.into_iter().take(LOOKED_AT).filter_map(|(_, name)| {
                let digest = name.strip_suffix(REQUEST)?.parse().ok()?;
                ApprovalRequest::from_stored(digest, &read(&directory.file(&name), MAX_REQUEST)?)
            });
            let mut open: Vec<_> = open
                .filter(|request| request.until > now)
                .take(MAX_OPEN)
                .collect();
            open.sort_by_key(|request| std::cmp::Reverse(request.at));
            Ok(open)
        })
        .await
    }

    async fn approve(&self, approval: &Approval) -> Result<()> {
        let (directory, approval) = (Arc::clone(&self.directory), approval.clone());
        blocking("keep approval", move || {
            let text = approval.to_stored()?;
            let name = format!("{}.{}{APPROVAL}", approval.plan(), approval.fingerprint());
            let names = of_plan(&directory, approval.plan())?;
            if names.len() >= MAX_APPROVALS && !names.contains(&name) {
                return Err(Error::new(ErrorKind::InvalidInput, "keep approval")
                    .provider("file")
                    .context("approvals", format!("this plan has {MAX_APPROVALS} already")));
            }
            write_plain(&directory.file(&name), &text)
        })
        .await
    }

    async fn approvals(&self, digest: Digest) -> Result<ApprovalsFound> {
        let directory = Arc::clone(&self.directory);
        blocking("read approvals", move || {
            let mut found = ApprovalsFound::default();
            let names = of_plan(&directory, digest)?;
            for (position, name) in names.into_iter().enumerate() {
                // Foreign files must not push out what belongs here for ever, nor keep a stop busy.
                match read(&directory.file(&name), MAX_APPROVAL).filter(|_| position < 4 * MAX_APPROVALS) {
                    Some(text) => found.add(digest, name, &text),
                    None => found.passed_over.push(name),
                }
            }
            // A signature that was also carried here by hand is one signature.
            found.approvals.sort_by_key(Approval::fingerprint);
            found.approvals.dedup_by_key(|approval| approval.fingerprint());
            Ok(found)
        })
        .await
    }
}

const REQUEST: &str = ".request";
const APPROVAL: &str = ".json";
/// Of the newest requests, only so many are opened to find those that are still open.
const LOOKED_AT: usize = 4 * MAX_OPEN;

fn of_plan(directory: &Directory, digest: Digest) -> Result<Vec<String>> {
    let mut names = directory.names()?;
    let prefix = format!("{digest}.");
    names.retain(|name| name.starts_with(&prefix) && name.ends_with(APPROVAL));
    Ok(names)
}

/// The text of a regular file of at most `most` bytes; a pipe in its place would keep a stop waiting.
fn read(path: &Path, most: usize) -> Option<String> {
    let kept = fs::symlink_metadata(path).ok()?;
    let bound = u64::try_from(most).ok()?;
    // An approval that an earlier version wrote is indented.
    if !kept.is_file() || kept.len() > 2 * bound {
        return None;
    }
    let mut text = String::new();
    fs::File::open(path)
        .ok()?
        .take(2 * bound)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}
