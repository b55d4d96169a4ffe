//! Real processes are killed at every fail point; with the journal in files, everything is put back byte for byte.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::clone_on_ref_ptr,
    reason = "a test ends at what it did not expect, and shares its doubles as ports"
)]

mod support_emergency;
mod support_kill;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use ops_core::file::FileJournal;
use ops_core::ports::Journal;
use support_kill::{Journals, Scene, kill_everywhere, work_if_asked};

#[derive(Debug)]
struct Files;

#[async_trait]
impl Journals for Files {
    async fn open(folder: &Path, _url: Option<&str>) -> Arc<dyn Journal> {
        Arc::new(FileJournal::open(folder.join("state/journal")).unwrap())
    }

    async fn clear(_url: Option<&str>) {}

    fn tear(folder: &Path) {
        for run in fs::read_dir(folder.join("state/journal/runs")).unwrap() {
            let mut run = File::options().append(true).open(run.unwrap().path()).unwrap();
            run.write_all(b"0123abcd {\"run\":").unwrap();
        }
    }
}

/// The process that is killed is this test, run again.
#[test]
fn what_the_killed_process_does() {
    work_if_asked::<Files>();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_fail_point_leaves_a_run_that_is_put_back_exactly() {
    kill_everywhere::<Files>("what_the_killed_process_does", vec![None; 8], elsewhere).await;
}

/// The files are written in the same way whoever writes: three scenes are enough for what lies within one write.
fn elsewhere(scene: Scene, point: &str) -> bool {
    point.starts_with("file.") && !matches!(scene, Scene::Stop | Scene::Restore | Scene::Resume)
}
