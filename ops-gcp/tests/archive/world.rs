use std::sync::Arc;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::http::HttpTransport;
use ops_core::model::Digest;
use ops_core::ports::{ArchiveName, ArchiveUpload, ArchivedObject, EvidenceArchive as _};
use ops_core::testkit::{Faults, LoopbackServer, ManualClock, loopback_transport};
use ops_gcp::archive::CloudStorageArchive;
use ops_gcp::archive::sim::StorageSim;
use ops_gcp::auth::StaticToken;

pub(super) const BUCKET: &str = "soul-kun-evidence";
pub(super) const CHUNK: usize = 256 * 1024;

/// One bucket with object retention.
#[derive(Debug)]
pub(super) struct World {
    pub(super) sim: Arc<StorageSim>,
    pub(super) faults: Faults,
    pub(super) clock: Arc<ManualClock>,
    server: LoopbackServer,
}

impl World {
    pub(super) async fn new() -> Self {
        let (faults, clock) = (Faults::new(), Arc::new(ManualClock::self_moving()));
        let sim = StorageSim::new(Arc::clone(&clock) as _, faults.clone());
        sim.add_bucket(BUCKET, true);
        Self {
            server: LoopbackServer::start(Arc::clone(&sim) as _).await.unwrap(),
            sim,
            faults,
            clock,
        }
    }

    pub(super) fn archive(&self) -> CloudStorageArchive {
        self.archive_over(loopback_transport())
    }

    pub(super) fn locking(&self) -> CloudStorageArchive {
        let token = Arc::new(StaticToken::new("t0ken"));
        CloudStorageArchive::builder(BUCKET)
            .with_transport(loopback_transport())
            .with_token(token)
            .with_base_url(self.server.base_url())
            .with_locked_retention()
            .build()
            .unwrap()
    }

    pub(super) fn archive_over(&self, transport: Arc<dyn HttpTransport>) -> CloudStorageArchive {
        CloudStorageArchive::builder(BUCKET)
            .with_transport(transport)
            .with_token(Arc::new(StaticToken::new("t0ken")))
            .with_base_url(self.server.base_url())
            .build()
            .unwrap()
    }
}

pub(super) fn name(text: &str) -> ArchiveName {
    ArchiveName::new(text).unwrap()
}

pub(super) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

pub(super) fn upload(at: &str, content: &[u8]) -> ArchiveUpload {
    ArchiveUpload::new(name(at), content.len() as u64, Digest::of(content))
        .with_crc32c(crc32c::crc32c(content))
}

/// Brings all of it, from where it stands.
pub(super) async fn bring(
    archive: &CloudStorageArchive,
    upload: &ArchiveUpload,
    content: &[u8],
) -> Result<ArchivedObject> {
    let mut stands = archive.begin(upload).await?;
    while stands < upload.bytes {
        let from = usize::try_from(stands).unwrap();
        let until = (from + 2 * CHUNK).min(content.len());
        let before = stands;
        stands = archive.put(upload, stands, &content[from..until]).await?;
        if stands == before {
            return Err(Error::new(ErrorKind::Unavailable, "bring"));
        }
    }
    archive.finish(upload).await
}
