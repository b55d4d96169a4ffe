//! `opsctl backups`: what would be lost, and does a dump restore, on a real PostgreSQL.
#![cfg(unix)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use support::{Ran, opsctl};

async fn scratch(name: &str) -> Option<ScratchDatabase> {
    let admin = SecretString::from(postgres_url().await?);
    let name = format!("ops_backups_{name}_{}", std::process::id());
    Some(ScratchDatabase::create(&admin, &name).await.expect("a database"))
}

fn folder(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(dir.path().join("dumps")).expect("a folder");
    std::fs::write(dir.path().join("ops.toml"), config).expect("a file");
    // The user of a throw-away server must get there.
    std::fs::create_dir(dir.path().join("tmp")).expect("a folder");
    for (path, mode) in [(dir.path().to_owned(), 0o755), (dir.path().join("tmp"), 0o777)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("rights");
    }
    dir
}

const CONFIG: &str = "[database]\n[backup]\ndirectory = 'dumps'\nrpo = '24h'\nkeep_days = 1\n";

fn run(dir: &Path, database: &ScratchDatabase, arguments: &[&str]) -> Ran {
    let mut command = opsctl(dir);
    command
        .env("DATABASE_URL", database.owner_url().expose_secret())
        .env("TMPDIR", dir.join("tmp"));
    Ran::of(command.args(arguments).output().expect("opsctl runs"))
}

/// As a superuser: row level security hides the audit trail from its owner too.
async fn dump(database: &ScratchDatabase, arguments: &[&str], file: &Path) {
    let url = postgres_url().await.expect("a server");
    let server = url.rsplit_once('/').map_or(url.as_str(), |(server, _)| server);
    let mut command = Command::new("pg_dump");
    command.args(arguments).arg("-f").arg(file);
    let status = command
        .args(["-d", &format!("{server}/{}", database.name())])
        .status();
    assert!(status.expect("pg_dump runs").success());
}

fn kinds(ran: &Ran) -> Vec<String> {
    let document = ran.json();
    let findings = document["findings"].as_array().expect("findings");
    let kinds = findings.iter().filter_map(|finding| finding["kind"].as_str());
    kinds.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_check_tells_what_would_be_lost_and_changes_nothing() {
    let Some(database) = scratch("check").await else {
        return;
    };
    let dir = folder(CONFIG);
    let dumps = dir.path().join("dumps");
    let check = ["backups", "check", "--json"];
    let none = run(dir.path(), &database, &check);
    assert_eq!(none.code, 1, "{}{}", none.out, none.err);
    assert!(kinds(&none).contains(&"no_backup".to_owned()), "{}", none.out);

    let file = dumps.join("shop.dump");
    dump(&database, &["-Fc"], &file).await;
    let fresh = run(dir.path(), &database, &check);
    // The archive is off, and no restore was tried: warnings.
    assert_eq!(fresh.code, 3, "{}{}", fresh.out, fresh.err);
    assert!(kinds(&fresh).contains(&"test_due".to_owned()), "{}", fresh.out);
    let document = fresh.json();
    assert_eq!(document["destroyed"]["by"], "copy");
    assert_eq!(document["copies"][0]["database"], database.name());
    assert!(
        document["limitations"]
            .as_array()
            .is_some_and(|all| all.len() > 3)
    );
    for (lang, wanted) in [
        ("ja", "今データが壊されたら"),
        ("en", "lost if the data were destroyed now"),
    ] {
        let told = run(dir.path(), &database, &["backups", "check", "--lang", lang]);
        assert!(told.out.contains(wanted), "{}", told.out);
    }

    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(25 * 60 * 60);
    let opened = std::fs::File::options().write(true).open(&file).expect("a file");
    opened.set_modified(old).expect("a time");
    let stale = run(dir.path(), &database, &check);
    assert_eq!(stale.code, 1, "{}", stale.out);
    assert!(kinds(&stale).contains(&"stale".to_owned()), "{}", stale.out);

    // Neither a schema nor a directory was made.
    let url = database.owner_url().expose_secret();
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    let schemas: i64 = sqlx::query_scalar("select count(*) from pg_namespace where nspname = 'ops'")
        .fetch_one(&mut connection)
        .await
        .expect("an answer");
    assert_eq!(schemas, 0);
    drop(connection);
    assert!(!dir.path().join(".ops").exists());
    database.drop_all().await.expect("dropped");
}

#[tokio::test]
async fn what_cannot_be_seen_ends_with_4_and_a_file_of_another_database_is_no_backup() {
    let Some(database) = scratch("unseen").await else {
        return;
    };
    let Some(other) = scratch("other").await else {
        return;
    };
    let dir = folder(CONFIG);
    let file = dir.path().join("dumps/shop.dump");
    dump(&other, &["-Fc"], &file).await;
    let foreign = run(dir.path(), &database, &["backups", "check", "--json"]);
    assert_eq!(foreign.code, 1, "{}", foreign.out);
    assert!(
        kinds(&foreign).contains(&"copy_of_another".to_owned()),
        "{}",
        foreign.out
    );

    dump(&database, &["-Fc"], &file).await;
    let mut command = opsctl(dir.path());
    command.env("DATABASE_URL", "postgres://me:s3cret@127.0.0.1:1/x");
    command.args(["backups", "check", "--json", "--directory"]);
    let away = Ran::of(
        command
            .arg(dir.path().join("nowhere"))
            .output()
            .expect("opsctl runs"),
    );
    assert_eq!(away.code, 4, "{}{}", away.out, away.err);
    let seen = kinds(&away);
    for part in ["unseen:postgres", "unseen:files", "loss_unknown"] {
        assert!(seen.contains(&part.to_owned()), "{seen:?}");
    }
    assert!(!format!("{}{}", away.out, away.err).contains("s3cret"));

    let nothing = folder("[[switch]]\nname = 'x'\n");
    let ran = Ran::of(
        opsctl(nothing.path())
            .args(["backups", "check"])
            .output()
            .expect("opsctl runs"),
    );
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    for database in [database, other] {
        database.drop_all().await.expect("dropped");
    }
}

#[tokio::test]
async fn a_restore_is_tried_kept_as_evidence_recorded_and_known_to_the_next_check() {
    let Some(database) = scratch("test").await else {
        return;
    };
    let dir = folder(CONFIG);
    let file = dir.path().join("dumps/shop.dump");
    dump(&database, &["-Fc"], &file).await;
    // It looks: the schema that takes its record is made by who acts.
    assert_eq!(run(dir.path(), &database, &["db", "migrate"]).code, 0);
    let arguments = ["backups", "test", "dumps/shop.dump", "--rto", "4h", "--json"];
    let ran = run(dir.path(), &database, &arguments);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let document = ran.json();
    assert_eq!(document["passed"], true);
    assert_eq!(
        (&document["within_rto"], &document["audited"]),
        (&true.into(), &true.into())
    );
    let id = document["test"]["id"].as_str().expect("an id");
    let evidence = dir.path().join(format!(".ops/restore-tests/{id}.json"));
    let kept = std::fs::read_to_string(evidence).expect("evidence");
    let digest = document["digest"].as_str().expect("a digest");
    assert!(kept.contains(digest), "{kept}");
    let trail = run(
        dir.path(),
        &database,
        &["audit", "search", "--action", "backup.test", "--json"],
    );
    assert!(trail.out.contains(digest), "{}{}", trail.out, trail.err);
    let check = run(dir.path(), &database, &["backups", "check", "--json"]);
    assert!(
        !kinds(&check).iter().any(|kind| kind.starts_with("test_")),
        "{}",
        check.out
    );

    // Damaged: it fails, and the next check says so.
    let bytes = std::fs::read(&file).expect("a dump");
    std::fs::write(dir.path().join("cut.dump"), &bytes[..bytes.len() - 9]).expect("a file");
    let cut = run(
        dir.path(),
        &database,
        &["backups", "test", "cut.dump", "--lang", "en"],
    );
    assert_eq!(cut.code, 1, "{}{}", cut.out, cut.err);
    assert!(
        cut.out.contains("does not restore") && cut.out.contains("cut off"),
        "{}",
        cut.out
    );
    let check = run(dir.path(), &database, &["backups", "check", "--json"]);
    assert!(kinds(&check).contains(&"test_failed".to_owned()), "{}", check.out);
    let left = std::fs::read_dir(dir.path().join("tmp")).expect("a folder");
    assert_eq!(left.count(), 0, "no throw-away server is left");
    database.drop_all().await.expect("dropped");
}

/// In the middle: while the server is made, started, or restored into.
#[tokio::test]
async fn a_test_that_is_killed_leaves_no_server_and_no_file() {
    let Some(database) = scratch("killed").await else {
        return;
    };
    let dir = folder(CONFIG);
    let file = dir.path().join("dumps/shop.dump");
    dump(&database, &["-Fc"], &file).await;
    let (tmp, tests) = (dir.path().join("tmp"), dir.path().join(".ops/restore-tests"));
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().count();
    for signal in ["KILL", "INT"] {
        let mut child = opsctl(dir.path())
            .env("DATABASE_URL", database.owner_url().expose_secret())
            .env("TMPDIR", &tmp)
            .args(["backups", "test", "dumps/shop.dump"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("opsctl starts");
        until("a server is made", || entries(&tmp) > 0).await;
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("kill runs").success());
        child.wait().expect("it ends");
        until("the server is gone", || entries(&tmp) == 0).await;
        assert_eq!(entries(&tests), 0, "no evidence of what did not end");
    }
    database.drop_all().await.expect("dropped");
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test]
async fn rubbish_is_refused_with_a_remedy_and_nothing_is_started() {
    let Some(database) = scratch("rubbish").await else {
        return;
    };
    let dir = folder(CONFIG);
    std::fs::write(dir.path().join("notes.txt"), "hello").expect("a file");
    let all = "--\n-- PostgreSQL database cluster dump\n--\n\n--\n-- PostgreSQL database cluster dump complete\n--\n";
    std::fs::write(dir.path().join("all.sql"), all).expect("a file");
    std::fs::write(dir.path().join("x.sql.gz"), [0x1f, 0x8b, 8]).expect("a file");
    for arguments in [
        &["backups", "test", "nowhere.dump"][..],
        &["backups", "test", "notes.txt"],
        &["backups", "test", "x.sql.gz"],
        &["backups", "test", "all.sql"],
        &["backups", "test", "notes.txt", "--rto", "soon"],
        &["backups", "test", "notes.txt", "--rto", "99999999999h"],
        &["backups"],
    ] {
        let ran = run(dir.path(), &database, arguments);
        assert_eq!(ran.code, 2, "{arguments:?} {}{}", ran.out, ran.err);
    }
    // A script that is no dump is not run.
    std::fs::write(dir.path().join("evil.sql"), "\\! touch ran\n").expect("a file");
    let ran = run(dir.path(), &database, &["backups", "test", "evil.sql"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(!dir.path().join("ran").exists());
    database.drop_all().await.expect("dropped");
}

#[tokio::test]
async fn a_migration_takes_the_time_of_the_newest_complete_copy_and_names_it() {
    let Some(database) = scratch("migrate").await else {
        return;
    };
    let dir = folder(CONFIG);
    std::fs::create_dir(dir.path().join("m")).expect("a folder");
    std::fs::write(
        dir.path().join("m/0001_note.sql"),
        "alter table conversations add column note text;\n",
    )
    .expect("a file");
    let arguments = ["migrations", "run", "m", "--dry-run", "--json"];
    let backup = |ran: &Ran| {
        let document = ran.json();
        let checks = document["checks"].as_array().cloned().unwrap_or_default();
        let found = checks.into_iter().find(|check| check["name"] == "backup");
        found.unwrap_or_else(|| panic!("{}", ran.out))
    };
    let none = backup(&run(dir.path(), &database, &arguments));
    assert_eq!(none["state"], "unknown", "{none}");
    let file = dir.path().join("dumps/shop.dump");
    dump(&database, &["-Fc"], &file).await;
    let ready = backup(&run(dir.path(), &database, &arguments));
    assert_eq!(ready["state"], "ready", "{ready}");
    assert!(
        ready["detail"]
            .as_str()
            .is_some_and(|said| said.contains("shop.dump")),
        "{ready}"
    );
    let bytes = std::fs::read(&file).expect("a dump");
    std::fs::write(&file, &bytes[..bytes.len() - 9]).expect("a file");
    assert_eq!(
        backup(&run(dir.path(), &database, &arguments))["state"],
        "unknown"
    );
    database.drop_all().await.expect("dropped");
}
