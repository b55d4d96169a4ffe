use std::sync::Arc;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result, Retry};
use ops_core::http::{HttpRequest, HttpResponse, HttpTransport, Method};
use ops_core::model::{CheckState, Digest};
use ops_core::ports::{ArchiveHold, ArchiveUpload, EvidenceArchive as _};
use ops_core::testkit::{Fault, FaultRule, loopback_transport};
use ops_gcp::archive::REQUIRED;
use tokio::sync::Notify;

use super::world::{BUCKET, CHUNK, World, bring, content, name, upload};

/// Goes on after each error, as the caller does.
async fn bring_at_last(world: &World, upload: &ArchiveUpload, content: &[u8]) -> u32 {
    let archive = world.archive();
    for failed in 0..20 {
        match bring(&archive, upload, content).await {
            Ok(object) => {
                assert_eq!(object.crc32c, crc32c::crc32c(content));
                assert_eq!(world.sim.bytes(BUCKET, upload.name.as_str()).unwrap(), content);
                return failed;
            }
            Err(error) => assert_ne!(error.retry(), Retry::Never, "{error}"),
        }
    }
    panic!("it never arrives");
}

#[tokio::test]
async fn each_request_of_an_upload_may_fail_in_each_way_and_nothing_is_stored_twice_or_lost() {
    let content = content(5 * CHUNK + 9);
    for fault in [
        Fault::Refused,
        Fault::LostAnswer,
        Fault::Unavailable,
        Fault::TooManyRequests,
    ] {
        // One request after the other is the one that fails.
        for place in 0.. {
            let world = World::new().await;
            let passed = Fault::Latency(std::time::Duration::ZERO);
            world.faults.add(FaultRule::on_all(passed, "").times(place));
            world.faults.add(FaultRule::on_all(fault, "").times(1));
            let upload = upload("a/b", &content);
            bring_at_last(&world, &upload, &content).await;
            let never_met = world.faults.strike("", false).is_some();
            if never_met {
                assert!(place >= 6, "fewer requests than an upload has");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_chunk_whose_answer_was_lost_is_not_sent_again() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(4 * CHUNK);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    world
        .faults
        .add(FaultRule::on_writes(Fault::LostAnswer, "").times(1));
    let lost = archive.put(&upload, 0, &content[..2 * CHUNK]).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable);
    let refused = archive.put(&upload, 0, &content[..2 * CHUNK]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "it may be there: {refused}");
    let refused = archive
        .put(&upload, 2 * CHUNK as u64, &content[2 * CHUNK..])
        .await;
    assert_eq!(
        refused.unwrap_err().kind(),
        ErrorKind::Conflict,
        "nor is anything sent behind it"
    );
    assert_eq!(archive.begin(&upload).await.unwrap(), 2 * CHUNK as u64);
    assert_eq!(
        bring(&archive, &upload, &content).await.unwrap().bytes,
        upload.bytes
    );
    assert_eq!(world.sim.bytes(BUCKET, "a/b").unwrap(), content);
}

#[tokio::test]
async fn a_put_that_was_dropped_is_in_doubt_and_begin_tells() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(3 * CHUNK);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    let slow = Fault::Latency(std::time::Duration::from_secs(30));
    world.faults.add(FaultRule::on_writes(slow, "").times(1));
    tokio::select! {
        biased;
        answer = archive.put(&upload, 0, &content[..CHUNK]) => panic!("{answer:?}"),
        () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
    }
    let refused = archive.put(&upload, 0, &content[..CHUNK]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    bring_at_last(&world, &upload, &content).await;
    assert_eq!(
        bring(&archive, &upload, &content).await.unwrap().bytes,
        upload.bytes
    );
}

#[tokio::test]
async fn a_finish_whose_answer_was_lost_has_succeeded() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(CHUNK + 1);
    let upload = upload("a/b", &content).with_hold(ArchiveHold::held());
    archive.begin(&upload).await.unwrap();
    archive.put(&upload, 0, &content).await.unwrap();
    world
        .faults
        .add(FaultRule::on_writes(Fault::LostAnswer, "").times(1));
    assert!(archive.finish(&upload).await.is_err());
    let object = archive.finish(&upload).await.unwrap();
    assert!(object.hold.held && object.bytes == upload.bytes);
}

#[tokio::test]
async fn a_byte_that_changed_on_the_way_is_noticed_whoever_looks() {
    let world = World::new().await;
    world.sim.be_careless();
    let content = content(CHUNK + 1);
    let refused = bring(&world.archive(), &upload("a/b", &content), &content)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert!(refused.to_string().contains("upload again"), "{refused}");
}

/// Without a checksum the vendor compares nothing: what was sent is known here.
#[tokio::test]
async fn a_byte_that_changed_on_the_way_is_noticed_though_the_answer_was_lost() {
    let world = World::new().await;
    world.sim.be_careless();
    let content = content(CHUNK + 1);
    let bare = ArchiveUpload::new(name("a/b"), content.len() as u64, Digest::of(&content));
    let archive = world.archive();
    archive.begin(&bare).await.unwrap();
    archive.put(&bare, 0, &content).await.unwrap();
    world
        .faults
        .add(FaultRule::on_writes(Fault::LostAnswer, "").times(1));
    assert!(archive.finish(&bare).await.is_err());
    let refused = archive.finish(&bare).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
}

/// What one call learns is not taken for the outcome of another.
#[tokio::test]
async fn one_call_of_an_upload_is_under_way_at_a_time() {
    let world = World::new().await;
    let gate = Arc::new(Gate {
        inner: loopback_transport(),
        arrived: Notify::new(),
        open: Notify::new(),
    });
    let archive = Arc::new(world.archive_over(Arc::clone(&gate) as _));
    let content = content(3 * CHUNK);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    let putting = tokio::spawn({
        let (archive, upload, content) = (Arc::clone(&archive), upload.clone(), content.clone());
        async move { archive.put(&upload, 0, &content[..CHUNK]).await }
    });
    gate.arrived.notified().await;
    for refused in [
        archive.begin(&upload).await.err(),
        archive.finish(&upload).await.err(),
    ] {
        let refused = refused.unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        assert_ne!(refused.retry(), Retry::Never, "later it can be done");
    }
    gate.open.notify_one();
    assert_eq!(putting.await.unwrap().unwrap(), CHUNK as u64);
    assert_eq!(archive.begin(&upload).await.unwrap(), CHUNK as u64);
    bring(&world.archive(), &upload, &content).await.unwrap();
    assert_eq!(world.sim.bytes(BUCKET, "a/b").unwrap(), content);
}

/// The vendor says each time why an upload became nothing: the next one is another upload.
#[tokio::test]
async fn an_upload_that_was_refused_unheard_does_not_stand_in_the_way() {
    let world = World::new().await;
    let archive = world.archive();
    let content = content(CHUNK + 1);
    let wrong = upload("a/b", &content).with_crc32c(crc32c::crc32c(&content));
    archive.begin(&wrong).await.unwrap();
    archive.put(&wrong, 0, &content).await.unwrap();
    world.sim.damage_next_upload();
    world
        .faults
        .add(FaultRule::on_writes(Fault::LostAnswer, "").times(1));
    assert!(archive.finish(&wrong).await.is_err());
    assert_eq!(
        bring(&archive, &wrong, &content).await.unwrap().bytes,
        wrong.bytes
    );
    assert_eq!(world.sim.bytes(BUCKET, "a/b").unwrap(), content);
}

#[tokio::test]
async fn uploads_that_were_given_up_do_not_pile_up() {
    let world = World::new().await;
    let archive = world.archive();
    for n in 0..105 {
        archive.begin(&upload(&format!("a/{n}"), b"x")).await.unwrap();
    }
    assert_eq!(world.sim.open_uploads(), 100);
    let first = upload("a/0", b"x");
    assert_eq!(
        archive.put(&first, 0, b"x").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    bring(&archive, &first, b"x").await.unwrap();
}

#[tokio::test]
async fn a_vendor_that_says_no_is_told_and_not_asked_again() {
    let world = World::new().await;
    let content = content(10);
    for (revoked, doing) in [
        ("storage.objects.create", "begin"),
        ("storage.objects.list", "look"),
    ] {
        let world = World::new().await;
        world.sim.revoke(revoked);
        let error = bring(&world.archive(), &upload("a/b", &content), &content)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{doing}: {error}");
        assert_eq!(error.retry(), Retry::Never);
        let text = error.to_string();
        assert!(
            text.contains(BUCKET) && !text.contains("somebody@example.com"),
            "{text}"
        );
    }
    let missing = world.archive().hold(&name("a/none"), &ArchiveHold::held()).await;
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_missing_is_told_before_it_is_needed() {
    let world = World::new().await;
    let ready = world.archive().examine().await;
    assert!(ready.len() > REQUIRED.len());
    assert!(
        ready.iter().all(|check| check.state == CheckState::Ready),
        "{ready:?}"
    );
    world.sim.revoke("storage.objects.create");
    let lacking = world.archive().examine().await;
    let not_ready: Vec<_> = lacking
        .iter()
        .filter(|check| check.state != CheckState::Ready)
        .collect();
    assert_eq!(not_ready.len(), 1, "{not_ready:?}");
    assert!(not_ready[0].name.contains("storage.objects.create") && not_ready[0].remedy.is_some());
    world.faults.add(FaultRule::on_all(Fault::Unavailable, ""));
    let unknown = world.archive().examine().await;
    assert!(
        unknown.iter().all(|check| check.state == CheckState::Unknown),
        "{unknown:?}"
    );
}

/// Lets bytes of an upload through when it is opened.
#[derive(Debug)]
struct Gate {
    inner: Arc<dyn HttpTransport>,
    arrived: Notify,
    open: Notify,
}

#[async_trait]
impl HttpTransport for Gate {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        if request.method() == Method::Put && !request.body().is_empty() {
            self.arrived.notify_one();
            self.open.notified().await;
        }
        self.inner.send(request).await
    }
}

/// Answers with what it is told, and keeps what it was asked.
#[derive(Debug)]
struct Told {
    inner: Arc<dyn HttpTransport>,
    method: Method,
    answer: HttpResponse,
}

#[async_trait]
impl HttpTransport for Told {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        match request.method() == self.method {
            true => Ok(self.answer.clone()),
            false => self.inner.send(request).await,
        }
    }
}

#[tokio::test]
async fn evidence_is_sent_to_no_other_address_than_the_one_that_was_asked() {
    let world = World::new().await;
    let content = content(10);
    for elsewhere in [
        "https://evil.example/upload/storage/v1/b/soul-kun-evidence/o?upload_id=1",
        "http://127.0.0.1:1/upload/storage/v1/b/soul-kun-evidence/o?upload_id=1",
        "",
    ] {
        let archive = world.archive_over(Arc::new(Told {
            inner: loopback_transport(),
            method: Method::Post,
            answer: HttpResponse::new(200, vec![("location".to_owned(), elsewhere.to_owned())], ""),
        }));
        let error = archive.begin(&upload("a/b", &content)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{elsewhere}");
        assert!(!error.to_string().contains("upload_id"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_no_success() {
    let world = World::new().await;
    let content = content(2 * CHUNK);
    let answers = [
        HttpResponse::new(
            308,
            vec![("range".to_owned(), "bytes=0-999999999".to_owned())],
            "",
        ),
        HttpResponse::new(308, vec![("range".to_owned(), "bytes=5-9".to_owned())], ""),
        HttpResponse::new(
            308,
            vec![("range".to_owned(), "bytes=0-18446744073709551615".to_owned())],
            "",
        ),
        HttpResponse::new(200, Vec::new(), "{}"),
        HttpResponse::new(200, Vec::new(), "not json"),
        HttpResponse::new(
            200,
            Vec::new(),
            r#"{"bucket":"soul-kun-evidence","name":"a/other","size":"10","crc32c":"AAAAAA=="}"#,
        ),
    ];
    for answer in answers {
        let archive = world.archive_over(Arc::new(Told {
            inner: loopback_transport(),
            method: Method::Put,
            answer: answer.clone(),
        }));
        let upload = upload("a/b", &content);
        assert!(archive.begin(&upload).await.is_ok(), "{answer:?}");
        assert!(archive.put(&upload, 0, &content).await.is_err(), "{answer:?}");
        assert!(archive.finish(&upload).await.is_err(), "{answer:?}");
        assert_eq!(world.sim.bytes(BUCKET, "a/b"), None);
    }
}

#[tokio::test]
async fn an_answer_about_something_else_is_not_taken_for_what_was_asked() {
    let world = World::new().await;
    let told = |status, headers: &[(&str, &str)], body: String| {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        world.archive_over(Arc::new(Told {
            inner: loopback_transport(),
            method: Method::Get,
            answer: HttpResponse::new(status, headers.collect(), body),
        }))
    };
    for (bucket, at) in [(BUCKET, "a/other"), ("another-bucket", "a/b")] {
        let crc32c = "vHPXcA==";
        let body = format!(r#"{{"bucket":"{bucket}","name":"{at}","size":"10","crc32c":"{crc32c}"}}"#);
        let error = told(200, &[], body).observe(&name("a/b")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
    }
    for (status, range) in [(206, "bytes 0-4/10"), (206, "bytes 50-54/100"), (200, "")] {
        let archive = told(status, &[("content-range", range)], "12345".to_owned());
        let error = archive.read(&name("a/b"), 5, 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{status} {range}: {error}");
    }
    let more = told(206, &[("content-range", "bytes 5-9/10")], "123456".to_owned());
    assert!(
        more.read(&name("a/b"), 5, 5).await.is_err(),
        "more than was asked for"
    );
    let right = told(206, &[("content-range", "bytes 5-9/10")], "12345".to_owned());
    assert_eq!(right.read(&name("a/b"), 5, 5).await.unwrap(), b"12345");
}

#[tokio::test]
async fn nothing_secret_shows() {
    let world = World::new().await;
    let archive = world.archive();
    let content = b"somebody@example.com did it".repeat(20_000);
    let upload = upload("a/b", &content);
    archive.begin(&upload).await.unwrap();
    archive.put(&upload, 0, &content).await.unwrap();
    let shown = format!("{archive:?}");
    for secret in ["t0ken", "upload_id", "session-1", "somebody", "115, 111, 109"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    world.faults.add(FaultRule::on_all(Fault::LostAnswer, ""));
    let error = archive.finish(&upload).await.unwrap_err();
    assert!(!format!("{error:?}").contains("session-1"), "{error:?}");
}
