//! What a server says of its backups: the archive works, fails, is off; what a plain role does not see.

use std::sync::Arc;
use std::time::Duration;

use ops_core::governance::{BackupReport, BackupSeverity, LossBy, backup_report};
use ops_core::masking::BuiltinMasker;
use ops_core::model::{ArchiveMode, BackupPolicy, BackupState};
use ops_core::ports::BackupInspector;
use ops_core::testkit::{self, PostgresServer};
use ops_postgres::PostgresBackups;
use secrecy::SecretString;
use sqlx::PgConnection;

use super::world::{World, run, session};

fn inspector(url: &SecretString) -> PostgresBackups {
    PostgresBackups::new(url, Arc::new(BuiltinMasker::new())).unwrap()
}

/// A server of its own, with these settings in force.
async fn server(settings: &[(&str, &str)]) -> (PostgresServer, SecretString, PgConnection) {
    let mut server = PostgresServer::start().await.unwrap();
    let url = SecretString::from(server.url());
    let mut admin = session(&url).await;
    for (name, value) in settings {
        let statement = format!("alter system set {name} = '{}'", value.replace('\'', "''"));
        run(&mut admin, &statement).await.unwrap();
    }
    drop(admin);
    server.kill_and_restart().await.unwrap();
    let admin = session(&url).await;
    (server, url, admin)
}

/// Looks until `wanted`: the archiver works beside the server.
async fn until(url: &SecretString, wanted: impl Fn(&BackupState) -> bool) -> BackupState {
    let inspector = inspector(url);
    for _ in 0..400 {
        let state = inspector.inspect().await.unwrap();
        if wanted(&state) {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {:?}", inspector.inspect().await);
}

fn judged(state: &BackupState) -> BackupReport {
    let now = state.server.as_ref().unwrap().at;
    backup_report(state, &BackupPolicy::default(), None, None, now)
}

fn kinds(report: &BackupReport) -> Vec<&str> {
    report
        .findings
        .iter()
        .map(|finding| finding.kind.as_str())
        .collect()
}

#[tokio::test]
async fn without_an_archive_the_server_says_so_and_looking_leaves_nothing_behind() {
    let Some(world) = World::new().await else { return };
    let backups = inspector(world.scratch.owner_url());
    testkit::backup_inspector(&backups).await;
    let state = backups.inspect().await.unwrap();
    let server = state.server.as_ref().unwrap();
    assert_eq!(server.database, world.scratch.name());
    assert_eq!(server.archiving.mode, ArchiveMode::Off);
    assert!(!server.archiving.configured);
    // A throw-away server does not sync.
    assert!(!server.fsync && !server.full_page_writes);
    let report = judged(&state);
    assert!(kinds(&report).contains(&"archive_off"), "{report:?}");
    assert_eq!(
        (report.destroyed.by, report.worst()),
        (LossBy::Nothing, Some(BackupSeverity::Unknown))
    );
    let mut admin = world.superuser().await;
    let left: i64 =
        sqlx::query_scalar("select count(*) from pg_stat_activity where application_name = 'ops-backups'")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert_eq!(left, 0);
    world.close().await;
}

#[tokio::test]
async fn a_database_without_our_schema_is_looked_at_and_stays_without_it() {
    let Some(admin) = super::world::admin_url().await else {
        return;
    };
    let mut session = session(&admin).await;
    let schemas = "select count(*) from pg_namespace where nspname = 'ops'";
    let before: i64 = sqlx::query_scalar(schemas).fetch_one(&mut session).await.unwrap();
    inspector(&admin).inspect().await.unwrap();
    let after: i64 = sqlx::query_scalar(schemas).fetch_one(&mut session).await.unwrap();
    assert_eq!(before, after);
}

#[tokio::test]
async fn an_archive_that_works_is_complete_until_its_last_segment_and_nothing_is_lost_while_nothing_is_written()
 {
    let archive = tempfile::tempdir().unwrap();
    open_to_all(archive.path());
    let command = format!("cp %p {}/%f", archive.path().display());
    let (_server, url, mut admin) = server(&[
        ("archive_mode", "on"),
        ("archive_command", &command),
        ("archive_timeout", "300"),
    ])
    .await;
    run(&mut admin, "create table t (id int); select pg_switch_wal()")
        .await
        .unwrap();
    let state = until(&url, |state| {
        let archiving = &state.server.as_ref().unwrap().archiving;
        archiving.archived > 0 && archiving.waiting == Some(0)
    })
    .await;
    let server = state.server.as_ref().unwrap();
    let last = server.archiving.last.as_ref().unwrap();
    assert!(archive.path().join(&last.segment).exists());
    assert!(!server.archiving.is_failing());
    assert_eq!(server.archiving.timeout, Duration::from_secs(300));
    let complete = server.archiving.complete_until.unwrap();
    assert!(complete <= last.at, "full before it was archived: {server:?}");
    let report = judged(&state);
    assert_eq!(report.destroyed.by, LossBy::Archive);
    assert!(
        report.destroyed.most.unwrap() < Duration::from_secs(300),
        "{report:?}"
    );
    // Without a base backup that was seen, an archive is half of the way.
    assert!(kinds(&report).contains(&"no_base_backup"));
    assert!(!kinds(&report).contains(&"archive_failing"));

    // Something is written: it is in no archive, and the position says so.
    let before = server.archiving.bytes_behind.unwrap();
    run(&mut admin, "insert into t select generate_series(1, 10000)")
        .await
        .unwrap();
    let state = inspector(&url).inspect().await.unwrap();
    let archiving = &state.server.as_ref().unwrap().archiving;
    assert!(
        archiving.bytes_behind.unwrap() > before + 100_000,
        "{archiving:?}"
    );
    assert_eq!(archiving.waiting, Some(0), "no segment is full");
    testkit::backup_inspector(&inspector(&url)).await;
}

#[tokio::test]
async fn an_archive_that_fails_is_said_with_what_waits_until_it_works_again() {
    let (_server, url, mut admin) = server(&[
        ("archive_mode", "on"),
        ("archive_command", "test ! -e /nonexistent-secret-word && false"),
        ("archive_timeout", "60"),
    ])
    .await;
    run(&mut admin, "create table t (id int); select pg_switch_wal()")
        .await
        .unwrap();
    let state = until(&url, |state| state.server.as_ref().unwrap().archiving.failed > 0).await;
    let archiving = &state.server.as_ref().unwrap().archiving;
    assert!(
        archiving.is_failing() && archiving.waiting >= Some(1),
        "{archiving:?}"
    );
    assert!(archiving.oldest_waiting.is_some(), "{archiving:?}");
    let report = judged(&state);
    assert!(kinds(&report).contains(&"archive_failing"), "{report:?}");
    assert_eq!(report.worst(), Some(BackupSeverity::Failed));
    // The command may hold a secret.
    let shown = format!("{state:?}{}", serde_json::to_string(&report).unwrap());
    assert!(!shown.contains("secret-word"), "{shown}");

    run(&mut admin, "alter system set archive_command = 'true'")
        .await
        .unwrap();
    run(&mut admin, "select pg_reload_conf()").await.unwrap();
    let state = until(&url, |state| {
        !state.server.as_ref().unwrap().archiving.is_failing()
    })
    .await;
    assert!(!kinds(&judged(&state)).contains(&"archive_failing"));
}

#[tokio::test]
async fn a_role_without_pg_monitor_is_told_what_it_does_not_see() {
    let (_server, url, mut admin) = server(&[
        ("archive_mode", "on"),
        ("archive_command", "true"),
        ("wal_level", "replica"),
    ])
    .await;
    run(&mut admin, "create role plain login; select pg_switch_wal()")
        .await
        .unwrap();
    until(&url, |state| {
        state.server.as_ref().unwrap().archiving.archived > 0
    })
    .await;
    let plain = SecretString::from(secrecy::ExposeSecret::expose_secret(&url).replace("postgres@", "plain@"));
    let state = inspector(&plain).inspect().await.unwrap();
    let parts: Vec<_> = state.unseen.iter().map(|unseen| unseen.part.as_str()).collect();
    assert_eq!(parts, ["archive_status"]);
    let archiving = &state.server.as_ref().unwrap().archiving;
    assert_eq!(archiving.complete_until, None);
    assert!(archiving.waiting.is_some(), "by the position");
    assert!(!judged(&state).destroyed.exact);
    assert!(judged(&state).worst() >= Some(BackupSeverity::Unknown));

    run(&mut admin, "grant pg_monitor to plain").await.unwrap();
    let state = inspector(&plain).inspect().await.unwrap();
    assert_eq!(state.unseen, []);

    // A slot that nobody reads holds log.
    run(
        &mut admin,
        "select pg_create_physical_replication_slot('left_over', true)",
    )
    .await
    .unwrap();
    let state = inspector(&plain).inspect().await.unwrap();
    assert!(kinds(&judged(&state)).contains(&"slot_fills_disk"), "{state:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_and_shows_no_password() {
    let url = SecretString::from("postgres://me:s3cret@127.0.0.1:1/nowhere".to_owned());
    let error = inspector(&url).inspect().await.unwrap_err();
    assert!(!format!("{error:?}{error}").contains("s3cret"));
}

fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}
