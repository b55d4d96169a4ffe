//! A restore that is tried: a good dump passes, a damaged one and one without a table do not.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ops_core::clock::SystemClock;
use ops_core::error::Result;
use ops_core::masking::BuiltinMasker;
use ops_core::model::{Actor, AuditRecord, RestoreTest, RunId, TenantId, Timestamp};
use ops_core::ports::AuditStore;
use ops_core::testkit::PostgresServer;
use ops_postgres::{DumpFiles, PostgresAuditStore, RestoreTrial};
use secrecy::SecretString;

use super::backup_files::dump;
use super::world::{World, run};

/// A throw-away server to try restores on, one after the other.
struct Bench {
    _server: PostgresServer,
    trial: RestoreTrial,
}

impl Bench {
    async fn new() -> Self {
        let server = PostgresServer::start().await.unwrap();
        let url = SecretString::from(server.url());
        let (masker, clock) = (Arc::new(BuiltinMasker::new()), Arc::new(SystemClock::new()));
        let trial = RestoreTrial::new(&url, server.programs(), masker, clock).unwrap();
        Self {
            _server: server,
            trial,
        }
    }

    async fn tried(&self, path: &Path, live: Option<&SecretString>) -> Result<RestoreTest> {
        let copy = DumpFiles::one(path)?;
        let mut test = RestoreTest::new(
            RunId::generate(Timestamp::UNIX_EPOCH),
            Timestamp::UNIX_EPOCH,
            "dump",
        );
        test.rto = Duration::from_secs(3600);
        self.trial.run(path, &copy, live, &mut test).await?;
        Ok(test)
    }
}

fn rows(test: &RestoreTest, table: &str) -> Option<i64> {
    let found = test.tables.iter().find(|found| found.name == table);
    found.map(|found| found.rows)
}

#[tokio::test]
async fn a_good_dump_of_each_form_restores_with_its_rows_its_roles_and_its_audit_trail() {
    let Some(world) = World::new().await else { return };
    let tenant = TenantId::new("org_test").unwrap();
    let record = |id: &str| {
        let actor = Actor::person("alice").unwrap();
        AuditRecord::new(
            Timestamp::UNIX_EPOCH,
            tenant.clone(),
            actor,
            "test.deed",
            "thing",
            id,
        )
    };
    let audit = PostgresAuditStore::unchecked(&world.store);
    for id in ["one", "two", "three"] {
        audit.append(&record(id)).await.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new().await;
    for (arguments, name) in [
        (&["-Fc"][..], "custom.dump"),
        (&["-Fd"], "directory"),
        (&["-Ft"], "tar"),
        (&["-Fp"], "plain.sql"),
        (&["-Fp", "-C"], "create.sql"),
    ] {
        let path = dir.path().join(name);
        dump(&world.superuser_url(), arguments, &path);
        let test = bench.tried(&path, Some(world.scratch.owner_url())).await.unwrap();
        assert!(test.passed(), "{name}: {test:?}");
        assert_eq!(rows(&test, "public.conversations"), Some(2), "{name}");
        assert_eq!(rows(&test, "public.memories"), Some(2), "{name}");
        assert_eq!(test.audit_records, Some(3), "{name}");
        assert_eq!((&test.missing, &test.extra), (&vec![], &vec![]), "{name}");
        assert!(
            test.compared && test.within_rto() && !test.took.is_zero(),
            "{name}"
        );
    }
    // A record that was changed in the database is a failure of the test, not of the restore.
    let mut superuser = world.superuser().await;
    run(
        &mut superuser,
        "update ops.audit_log set action = 'test.other' where sequence = 2",
    )
    .await
    .unwrap();
    let path = dir.path().join("changed.dump");
    dump(&world.superuser_url(), &["-Fc"], &path);
    let test = bench.tried(&path, None).await.unwrap();
    assert!(
        !test.passed() && test.failures[0].contains("audit trail"),
        "{test:?}"
    );
    world.close().await;
}

#[tokio::test]
async fn a_damaged_dump_fails_and_what_fails_shows_no_row() {
    let Some(world) = World::new().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new().await;
    let (good, cut) = (dir.path().join("good.dump"), dir.path().join("cut.dump"));
    dump(&world.superuser_url(), &["-Fc"], &good);
    fs::copy(&good, &cut).unwrap();
    let length = fs::metadata(&cut).unwrap().len();
    File::options()
        .write(true)
        .open(&cut)
        .unwrap()
        .set_len(length - 40)
        .unwrap();
    let test = bench.tried(&cut, None).await.unwrap();
    assert!(!test.passed() && !test.failures.is_empty(), "{test:?}");

    // A row that breaks a foreign key, one that is no number, and one that is there twice.
    let plain = dir.path().join("plain.sql");
    dump(&world.superuser_url(), &["-Fp"], &plain);
    let text = fs::read_to_string(&plain).unwrap();
    for (from, to, wanted) in [
        ("1\t1\tmemory of first", "1\t9876\tmemory of first", "foreign key"),
        (
            "1\t1\tmemory of first",
            "secretword\t1\tmemory of first",
            "invalid input syntax",
        ),
        ("2\t2\tmemory of second", "1\t2\tmemory of second", "unique"),
    ] {
        assert!(text.contains(from));
        fs::write(&plain, text.replace(from, to)).unwrap();
        let test = bench.tried(&plain, None).await.unwrap();
        let said = test.failures.join("\n");
        assert!(!test.passed() && said.contains(wanted), "{said}");
        assert!(!said.contains("secretword") && !said.contains("9876"), "{said}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_dump_without_a_table_of_the_live_database_fails_and_one_that_has_more_is_said() {
    let Some(world) = World::new().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new().await;
    let path = dir.path().join("less.dump");
    dump(&world.superuser_url(), &["-Fc", "-T", "public.memories"], &path);
    let test = bench.tried(&path, Some(world.scratch.owner_url())).await.unwrap();
    assert_eq!(test.missing, ["public.memories"]);
    assert!(!test.passed() && test.failures.is_empty(), "{test:?}");
    // Without a live database nobody knows.
    assert!(bench.tried(&path, None).await.unwrap().passed());

    dump(&world.superuser_url(), &["-Fc"], &path);
    run(&mut world.owner().await, "drop table public.memories")
        .await
        .unwrap();
    let test = bench.tried(&path, Some(world.scratch.owner_url())).await.unwrap();
    assert_eq!(
        (test.passed(), test.extra),
        (true, vec!["public.memories".to_owned()])
    );
    world.close().await;
}

/// As older versions of `pg_dump` wrote it.
fn without_restriction(dump: &Path) -> String {
    let text = fs::read_to_string(dump).unwrap();
    let kept = |line: &&str| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ");
    text.split_inclusive('\n').filter(kept).collect()
}

#[tokio::test]
async fn no_row_and_no_name_of_a_plain_dump_starts_a_program() {
    let Some(world) = World::new().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new().await;
    let path = dir.path().join("plain.sql");
    let ran = dir.path().join("ran");
    let touch = format!("touch {}", ran.display());
    dump(&world.superuser_url(), &["-Fp", "-C"], &path);
    // What restricts nothing by itself restores as well.
    let old = without_restriction(&path);
    fs::write(&path, &old).unwrap();
    let test = bench.tried(&path, None).await.unwrap();
    assert!(test.passed(), "{test:?}");
    assert_eq!(rows(&test, "public.conversations"), Some(2));
    // A name with a line break, and the rows of a table that cannot be made.
    let from = "--\n-- PostgreSQL database dump complete";
    for part in [
        format!("-- Name: a\n\\! {touch}\n; Type: TABLE\n"),
        format!("create table t (a no_such_type);\n\nCOPY t (a) FROM stdin;\nYamada\\t`{touch}`\n\\.\n"),
    ] {
        assert!(old.contains(from));
        fs::write(&path, old.replace(from, &format!("{part}\n{from}"))).unwrap();
        let test = bench.tried(&path, None).await.unwrap();
        assert!(!test.passed() && !test.failures.is_empty(), "{test:?}");
        assert!(!ran.exists(), "{part}");
        assert!(!test.failures.join("").contains("Yamada"), "{test:?}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_trail_without_its_heads_fails_and_one_without_a_record_verifies_nothing() {
    let Some(world) = World::new().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new().await;
    let path = dir.path().join("trail.dump");
    dump(&world.superuser_url(), &["-Fc"], &path);
    assert_eq!(bench.tried(&path, None).await.unwrap().audit_records, Some(0));
    let actor = Actor::person("alice").unwrap();
    let tenant = TenantId::new("org_test").unwrap();
    let record = AuditRecord::new(Timestamp::UNIX_EPOCH, tenant, actor, "test.deed", "thing", "one");
    let audit = PostgresAuditStore::unchecked(&world.store);
    audit.append(&record).await.unwrap();
    dump(
        &world.superuser_url(),
        &["-Fc", "--exclude-table-data", "ops.audit_head"],
        &path,
    );
    let test = bench.tried(&path, None).await.unwrap();
    assert!(test.failures.join("").contains("audit trail"), "{test:?}");
    world.close().await;
}

#[tokio::test]
async fn a_dump_of_a_whole_cluster_is_not_run() {
    if super::world::admin_url().await.is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.sql");
    let text = "--\n-- PostgreSQL database cluster dump\n--\n\n--\n-- PostgreSQL database cluster dump complete\n--\n";
    fs::write(&path, text).unwrap();
    let refused = Bench::new().await.tried(&path, None).await.unwrap_err();
    assert_eq!(refused.kind(), ops_core::error::ErrorKind::Unsupported);
}
