use super::{at, fresh, ok, refused};
use crate::error::ErrorKind;
use crate::model::Digest;
use crate::ports::{ArchiveHold, ArchiveName, ArchiveUpload, EvidenceArchive};

/// The contract of [`EvidenceArchive`]. It uses fresh names; of its objects one stays, retained until 2126.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn evidence_archive(port: &dyn EvidenceArchive) {
    let folder = fresh("evidence");
    let name = |file: &str| ok("a name", ArchiveName::new(format!("{folder}/{file}")));
    let chunk = port.capability().chunk.max(4) as usize;
    let content: Vec<u8> = (0..chunk * 3 + 1).map(|n| (n % 251) as u8).collect();
    let upload = ArchiveUpload::new(name("part-1"), content.len() as u64, Digest::of(&content));

    an_upload_is_taken_up_where_it_stands(port, &upload, &content, chunk).await;
    an_object_never_changes(port, &upload, &content).await;
    what_is_stored_is_told(port, &upload, &content, chunk).await;
    another_content_than_announced_is_refused(port, name("part-2")).await;
    the_first_that_ends_stays(port, name("part-3")).await;
    holds_keep(port, &upload.name).await;
}

async fn an_upload_is_taken_up_where_it_stands(
    port: &dyn EvidenceArchive,
    upload: &ArchiveUpload,
    content: &[u8],
    chunk: usize,
) {
    assert_eq!(
        ok("observe of an unknown object", port.observe(&upload.name).await),
        None,
        "what was never uploaded must not be there"
    );
    refused(
        "finish of an unknown upload",
        ErrorKind::NotFound,
        port.finish(upload).await,
    );
    assert_eq!(
        ok("begin", port.begin(upload).await),
        0,
        "a fresh upload must stand at 0"
    );
    let stands = ok("put", port.put(upload, 0, &content[..chunk]).await);
    assert_eq!(stands, chunk as u64, "a put must say where the upload stands");
    refused(
        "a put at another place",
        ErrorKind::Conflict,
        port.put(upload, 0, &content[..chunk]).await,
    );
    refused("finish of a part", ErrorKind::Conflict, port.finish(upload).await);
    assert_eq!(
        ok("observe of a part", port.observe(&upload.name).await),
        None,
        "a part of an upload must not be an object"
    );
    let stands = ok("begin after a cut", port.begin(upload).await);
    assert_eq!(stands, chunk as u64, "an upload must be taken up where it stands");
    let end = ok(
        "put of the rest",
        port.put(upload, stands, &content[chunk..]).await,
    );
    assert_eq!(end, content.len() as u64);
    let object = ok("finish", port.finish(upload).await);
    assert_eq!(
        object,
        ok("finish again", port.finish(upload).await),
        "finish must be repeatable"
    );
}

async fn an_object_never_changes(port: &dyn EvidenceArchive, upload: &ArchiveUpload, content: &[u8]) {
    assert_eq!(
        ok("begin of what is there", port.begin(upload).await),
        content.len() as u64,
        "a complete object must need nothing more"
    );
    let other = ArchiveUpload::new(upload.name.clone(), 5, Digest::of(b"other"));
    refused(
        "another content under the same name",
        ErrorKind::Conflict,
        port.begin(&other).await,
    );
}

/// Two uploads of one name at the same time.
async fn the_first_that_ends_stays(port: &dyn EvidenceArchive, name: ArchiveName) {
    let late = ArchiveUpload::new(name.clone(), 4, Digest::of(b"late"));
    let first = ArchiveUpload::new(name.clone(), 5, Digest::of(b"first"))
        .with_crc32c(crc32c::crc32c(b"first"))
        .with_hold(ArchiveHold::held());
    ok("begin", port.begin(&late).await);
    ok("begin of another content meanwhile", port.begin(&first).await);
    ok("put", port.put(&first, 0, b"first").await);
    let held = ok("finish", port.finish(&first).await);
    assert!(
        held.hold.held,
        "an object must have the hold of its upload from its first moment"
    );
    refused(
        "delete of what was uploaded under a hold",
        ErrorKind::PermissionDenied,
        port.delete(&name).await,
    );
    // It may have been given up already.
    let _ = port.put(&late, 0, b"late").await;
    refused(
        "finish of the other content",
        ErrorKind::Conflict,
        port.finish(&late).await,
    );
    let object = ok("observe", port.observe(&name).await);
    assert!(
        object.is_some_and(|object| object.crc32c == crc32c::crc32c(b"first") && object.hold.held),
        "what was there first must stay, with its hold"
    );
    ok("lift", port.hold(&name, &ArchiveHold::default()).await);
    ok("delete", port.delete(&name).await);
}

async fn what_is_stored_is_told(
    port: &dyn EvidenceArchive,
    upload: &ArchiveUpload,
    content: &[u8],
    chunk: usize,
) {
    let Some(object) = ok("observe", port.observe(&upload.name).await) else {
        panic!("a finished upload must be there")
    };
    assert_eq!(
        (object.bytes, object.crc32c),
        (content.len() as u64, crc32c::crc32c(content)),
        "length and checksum must be those of what is stored"
    );
    let (mut found, step) = (Vec::new(), u32::try_from(chunk).unwrap_or(u32::MAX));
    loop {
        let read = ok("read", port.read(&upload.name, found.len() as u64, step).await);
        if read.is_empty() {
            break;
        }
        found.extend(read);
    }
    assert_eq!(found, content, "what is read must be what was uploaded");
}

async fn another_content_than_announced_is_refused(port: &dyn EvidenceArchive, name: ArchiveName) {
    let upload = ArchiveUpload::new(name.clone(), 4, Digest::of(b"good"));
    ok("begin", port.begin(&upload).await);
    ok("put", port.put(&upload, 0, b"evil").await);
    refused(
        "finish of another content",
        ErrorKind::InvalidInput,
        port.finish(&upload).await,
    );
    assert_eq!(
        ok("observe", port.observe(&name).await),
        None,
        "what has another hash must not become an object"
    );
    assert_eq!(ok("begin", port.begin(&upload).await), 0, "and must not stay");
    ok("put", port.put(&upload, 0, b"good").await);
    ok("finish", port.finish(&upload).await);
    ok("delete of what nothing protects", port.delete(&name).await);
    ok("delete of what is not there", port.delete(&name).await);
    assert_eq!(ok("observe", port.observe(&name).await), None, "it must be gone");
}

async fn holds_keep(port: &dyn EvidenceArchive, name: &ArchiveName) {
    ok("hold", port.hold(name, &ArchiveHold::held()).await);
    refused(
        "delete of what is held",
        ErrorKind::PermissionDenied,
        port.delete(name).await,
    );
    let later = at(100 * 365 * 86_400);
    let retained = ArchiveHold::default().until(later);
    ok("retention in place of the hold", port.hold(name, &retained).await);
    refused(
        "delete of what is retained",
        ErrorKind::PermissionDenied,
        port.delete(name).await,
    );
    for nearer in [ArchiveHold::held(), ArchiveHold::default().until(at(0))] {
        refused(
            "a retention time that is taken away or moved nearer",
            ErrorKind::PermissionDenied,
            port.hold(name, &nearer).await,
        );
    }
    let object = ok("observe", port.observe(name).await);
    assert_eq!(
        object.map(|object| object.hold),
        Some(retained),
        "the hold must be told as it is"
    );
}
