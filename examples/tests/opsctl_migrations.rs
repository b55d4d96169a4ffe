//! `opsctl migrations`: state, the four answers, and a run, on a real PostgreSQL.

mod support;

use std::path::Path;

use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use support::{Ran, Simulation, opsctl};

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn run(dir: &Path, database: Option<&ScratchDatabase>, arguments: &[&str]) -> Ran {
    let mut command = opsctl(dir);
    if let Some(database) = database {
        command
            .env("DATABASE_URL", database.owner_url().expose_secret())
            .env("OPS_AUDIT_DATABASE_URL", database.audit_url().expose_secret());
    }
    Ran::of(command.args(arguments).output().expect("opsctl runs"))
}

#[test]
fn a_script_is_looked_at_without_a_database() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(
        dir.path(),
        "bad.sql",
        "alter table orders add column id uuid default gen_random_uuid();",
    );
    write(dir.path(), "good.sql", "alter table orders add column note text;");
    write(dir.path(), "code.sql", "select note from orders;");
    write(dir.path(), "drop.sql", "alter table orders drop column note;");
    let bad = run(dir.path(), None, &["migrations", "check", "bad.sql", "--json"]);
    assert_eq!(bad.code, 1, "{}{}", bad.out, bad.err);
    let effect = &bad.json()["scripts"][0]["locks"][0]["effects"][0];
    assert_eq!(
        (effect["lock"].as_str(), effect["work"][0].as_str()),
        (Some("access_exclusive"), Some("rewrite"))
    );
    let good = run(dir.path(), None, &["migrations", "check", "good.sql"]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert!(good.out.contains("lock_timeout"), "{}", good.out);
    let code = run(
        dir.path(),
        None,
        &[
            "migrations",
            "check",
            "drop.sql",
            "--code",
            "running=code.sql",
            "--lang",
            "en",
        ],
    );
    assert_eq!(code.code, 1, "{}{}", code.out, code.err);
    assert!(code.out.contains("public.orders.note"), "{}", code.out);
}

#[test]
fn what_cannot_be_judged_is_not_called_good() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "good.sql", "alter table orders add column note text;");
    write(
        dir.path(),
        "code.sql",
        "select note from orders; selekt everything from nowhere at all;",
    );
    let code = [
        "migrations",
        "check",
        "good.sql",
        "--code",
        "running=code.sql",
        "--json",
    ];
    let ran = run(dir.path(), None, &code);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(
        ran.json()["code"][0]["unreadable"].as_u64() > Some(0),
        "{}",
        ran.out
    );

    write(
        dir.path(),
        "versions/a1.py",
        "revision = 'a1'\ndown_revision = None\ndef upgrade():\n    pass\n",
    );
    let programs = run(dir.path(), None, &["migrations", "check", ".", "--json"]);
    assert_eq!(programs.code, 1, "{}{}", programs.out, programs.err);
    assert!(programs.out.contains("no SQL"), "{}", programs.out);
}

#[tokio::test]
async fn the_way_back_is_tried_as_it_is_and_leads_to_where_the_script_runs_again() {
    if postgres_url().await.is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    // The server refuses to reindex a partitioned table inside a transaction; that it is one, only the schema says that the way up leaves.
    write(
        dir.path(),
        "parts.up.sql",
        "create table parts (id int primary key) partition by range (id);",
    );
    write(
        dir.path(),
        "parts.down.sql",
        "reindex table parts;\ndrop table parts;",
    );
    // A role is no part of the schema, and stays.
    write(dir.path(), "role.up.sql", "create role ops_stays nologin;");
    write(dir.path(), "role.down.sql", "select 1;");
    // That it does not run again is because of where down leads.
    write(dir.path(), "stays.up.sql", "create table stays (id int);");
    write(dir.path(), "stays.down.sql", "select 1;");
    let arguments = [
        "migrations",
        "check",
        "parts.up.sql",
        "role.up.sql",
        "stays.up.sql",
        "--proof",
        "--json",
    ];
    let ran = run(dir.path(), None, &arguments);
    let tried = |at: usize| ran.json()["scripts"][at]["reversibility"]["tried"].clone();
    assert_eq!(tried(0)["result"], "exact", "{}{}", ran.out, ran.err);
    assert_eq!(tried(1)["result"], "not_again", "{}{}", ran.out, ran.err);
    assert!(
        tried(1)["detail"]
            .as_str()
            .is_some_and(|why| why.contains("42710")),
        "{}",
        ran.out
    );
    assert_eq!(tried(2)["result"], "different", "{}{}", ran.out, ran.err);
    assert_eq!(ran.code, 1);
}

#[tokio::test]
async fn from_the_first_look_to_the_run_and_back_to_the_state() {
    let Some(admin) = postgres_url().await else { return };
    let admin = SecretString::from(admin);
    let name = format!("ops_cli_migr_{}", std::process::id());
    let database = ScratchDatabase::create(&admin, &name).await.expect("a database");
    let simulation = Simulation::start(&["--world", "gcp", "--database"]);
    let (dir, url) = (simulation.path(), database.owner_url().expose_secret());
    let mut owner = PgConnection::connect(url).await.expect("the owner connects");
    let ledger = "create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null
        default now(), success boolean not null, checksum bytea not null, execution_time bigint not null)";
    sqlx::query(ledger)
        .execute(&mut owner)
        .await
        .expect("the tool's table");
    write(
        dir,
        "m/0001_note.up.sql",
        "alter table conversations add column note text;\ncreate index concurrently by_note on conversations (note);\n",
    );
    write(
        dir,
        "m/0001_note.down.sql",
        "drop index by_note;\nalter table conversations drop column note;\n",
    );

    let status = run(
        dir,
        Some(&database),
        &["migrations", "status", "--dir", "m", "--json"],
    );
    assert_eq!(status.code, 3, "{}{}", status.out, status.err);
    assert_eq!(status.json()["pending"][0], "0001");

    let refused = run(
        dir,
        Some(&database),
        &[
            "migrations",
            "run",
            "m",
            "--backup-at",
            "2020-01-01T00:00:00Z",
            "--json",
        ],
    );
    assert_eq!(refused.code, 5, "{}{}", refused.out, refused.err);
    assert_eq!(refused.json()["open"], serde_json::json!(["tested", "backup"]));

    let check = run(
        dir,
        Some(&database),
        &["migrations", "check", "m", "--database", "--proof", "--json"],
    );
    assert_eq!(check.code, 0, "{}{}", check.out, check.err);
    let script = &check.json()["scripts"][0];
    assert_eq!(script["reversibility"]["tried"]["result"], "exact");
    assert_eq!(script["proof"]["unlike_locks"], serde_json::json!([]));

    let arguments = [
        "migrations",
        "run",
        "m",
        "--accept",
        "backup",
        "--reason",
        "a test",
        "--watch",
        "0",
        "--json",
    ];
    #[cfg(unix)]
    interrupted(dir, &database, &arguments[..9]).await;
    let ran = run(dir, Some(&database), &arguments);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()["report"]["steps"].as_array().map(Vec::len), Some(2));
    assert!(
        ran.json()["report"]["stalls"]["public.conversations"]["beats"].as_u64() > Some(0),
        "{}",
        ran.out
    );

    // As a program leaves it that dies after the last step.
    let owed = "insert into ops.migration_run (scope, run) values ('public._sqlx_migrations', '{\"touched\": [\"public.conversations\"]}')";
    sqlx::query(owed).execute(&mut owner).await.expect("what is owed");
    let restarted = dir.join("restarted");
    for wanted in [true, false] {
        let restart = format!("touch {}", restarted.display());
        let again = [
            "migrations",
            "run",
            "m",
            "--restart",
            &restart,
            "--watch",
            "0",
            "--json",
        ];
        let ran = run(dir, Some(&database), &again);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert_eq!(restarted.exists(), wanted, "once, by the run that goes on");
        let _ = std::fs::remove_file(&restarted);
    }

    let status = run(
        dir,
        Some(&database),
        &["migrations", "status", "--dir", "m", "--json"],
    );
    assert_eq!(status.code, 0, "{}{}", status.out, status.err);
    let audit = run(
        dir,
        Some(&database),
        &["audit", "search", "--action", "migration.step", "--json"],
    );
    assert_eq!(
        audit.json()["records"].as_array().map(Vec::len),
        Some(2),
        "{}",
        audit.out
    );
    let audit = run(
        dir,
        Some(&database),
        &["audit", "search", "--action", "migration.run", "--json"],
    );
    let runs = audit.json()["records"].clone();
    let outcomes: Vec<_> = runs
        .as_array()
        .expect("records")
        .iter()
        .map(|record| record["outcome"].clone())
        .collect();
    assert_eq!(
        outcomes,
        [
            "succeeded",
            "unknown",
            "succeeded",
            "unknown",
            "unknown",
            "denied"
        ],
        "{runs}"
    );
    assert_eq!(runs[2]["details"]["accepted"], "backup", "{runs}");
    assert_eq!(runs[2]["details"]["reason"], "a test");
    assert_eq!(runs[5]["details"]["open"], "tested,backup");
    owner.close().await.expect("closed");
    drop(simulation);
    database.drop_all().await.expect("dropped");
}

/// Ctrl-C while a step waits for its lock: it is said how the run is taken up.
#[cfg(unix)]
async fn interrupted(dir: &Path, database: &ScratchDatabase, arguments: &[&str]) {
    let url = database.owner_url().expose_secret();
    let mut holder = PgConnection::connect(url).await.expect("a session");
    sqlx::raw_sql("begin; select * from conversations")
        .execute(&mut holder)
        .await
        .expect("a reader");
    let process = opsctl(dir)
        .env("DATABASE_URL", url)
        .env("OPS_AUDIT_DATABASE_URL", database.audit_url().expose_secret())
        .args(arguments)
        .args(["--lang", "en"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("opsctl starts");
    let mut watcher = PgConnection::connect(url).await.expect("a session");
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks where not granted and relation = 'conversations'::regclass",
        )
        .fetch_one(&mut watcher)
        .await
        .expect("a count");
        if waiting > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let sent = std::process::Command::new("kill")
        .args(["-INT", &process.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    let ended = Ran::of(process.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, 6, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("run the same command again"), "{}", ended.err);
    sqlx::raw_sql("rollback")
        .execute(&mut holder)
        .await
        .expect("let go");
}

#[tokio::test]
async fn what_was_run_goes_back_by_name_once_the_list_is_complete() {
    let Some(admin) = postgres_url().await else { return };
    let name = format!("ops_cli_back_{}", std::process::id());
    let database = ScratchDatabase::create(&SecretString::from(admin), &name)
        .await
        .expect("a database");
    let simulation = Simulation::start(&["--world", "gcp", "--database"]);
    let (dir, url) = (simulation.path(), database.owner_url().expose_secret());
    let mut owner = PgConnection::connect(url).await.expect("the owner connects");
    let ledger = "create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null
        default now(), success boolean not null, checksum bytea not null, execution_time bigint not null)";
    sqlx::query(ledger)
        .execute(&mut owner)
        .await
        .expect("the tool's table");
    for (name, text) in [
        (
            "m/0001_note.up.sql",
            "alter table conversations add column note text;\n",
        ),
        (
            "m/0001_note.down.sql",
            "alter table conversations drop column note;\n",
        ),
        ("m/0002_tags.up.sql", "create table tags (id int);\n"),
        ("m/0002_tags.down.sql", "drop table tags;\n"),
        ("uses.sql", "select id from tags;"),
        ("other.sql", "select note from conversations;"),
        ("empty.sql", "-- none\n"),
    ] {
        write(dir, name, text);
    }
    let opsctl = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        run(dir, Some(&database), &arguments)
    };
    let wanted = |ran: &Ran, code: i32| assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    wanted(&opsctl("migrations check m --database --proof"), 0);
    let care = "--accept backup --reason test --quiet 00:00-24:00 --watch 0 --json";
    let nothing = opsctl("migrations back m --json");
    wanted(&nothing, 0);
    wanted(&opsctl(&format!("migrations run m {care}")), 0);

    let seen = opsctl("migrations back m --json");
    wanted(&seen, 5);
    assert_eq!(
        seen.json()["open"],
        serde_json::json!(["code", "backup", "quiet_window"])
    );
    assert_eq!(seen.json()["losses"][0]["what"], "public.tags");
    let text = opsctl("migrations back m --lang en");
    assert!(
        text.out.contains("opsctl migrations back m --version 0002 --yes"),
        "{}",
        text.out
    );
    assert!(
        text.out.contains("data that is lost: public.tags"),
        "{}",
        text.out
    );
    wanted(&opsctl(&format!("migrations back m --yes {care}")), 2);
    let middle = opsctl(&format!("migrations back m --version 1 --yes {care}"));
    wanted(&middle, 5);
    assert_eq!(middle.json()["refusals"][0]["migration"], "0001");
    let broken = opsctl(&format!(
        "migrations back m --version 2 --yes --code running=uses.sql {care}"
    ));
    wanted(&broken, 5);
    assert_eq!(broken.json()["open"], serde_json::json!(["code"]));
    assert_eq!(
        broken.json()["compatibility"][0]["breaks"][0]["place"],
        "public.tags"
    );
    let empty = opsctl(&format!(
        "migrations back m --version 2 --yes --code running=empty.sql {care}"
    ));
    wanted(&empty, 5);
    assert_eq!(empty.json()["open"], serde_json::json!(["code"]), "{}", empty.out);
    let status = opsctl("migrations status --dir m --json");
    assert_eq!(
        status.json()["pending"],
        serde_json::json!([]),
        "nothing was changed"
    );

    let deed = format!("migrations back m --version 2 --yes --code running=other.sql {care}");
    let back = opsctl(&deed);
    wanted(&back, 0);
    assert_eq!(back.json()["report"]["steps"][0]["done"], "now");
    let status = opsctl("migrations status --dir m --json");
    assert_eq!(status.json()["pending"], serde_json::json!(["0002"]));
    let again = opsctl(&deed);
    wanted(&again, 0);
    assert_eq!(
        again.json()["plan"]["migrations"],
        serde_json::json!([]),
        "no other one goes"
    );

    // As a process leaves it that dies before its watch.
    let owed = "insert into ops.migration_run (scope, run) values ('public._sqlx_migrations', '{\"versions\": [\"0002\"], \"back\": true}')";
    sqlx::query(owed).execute(&mut owner).await.expect("what is owed");
    wanted(&opsctl(&format!("migrations run m {care}")), 5);
    let ended = opsctl(&format!("migrations back m --yes {care}"));
    wanted(&ended, 0);
    assert_eq!(ended.json()["report"]["steps"], serde_json::json!([]));
    wanted(&opsctl(&format!("migrations run m {care}")), 0);

    let audit = opsctl("audit search --action migration.back --json");
    let records = audit.json()["records"].clone();
    let outcomes: Vec<_> = records
        .as_array()
        .expect("records")
        .iter()
        .map(|record| record["outcome"].clone())
        .collect();
    assert_eq!(
        outcomes,
        [
            "succeeded",
            "unknown",
            "succeeded",
            "unknown",
            "denied",
            "denied",
            "denied"
        ],
        "{records}"
    );
    let middle = &records[6]["details"];
    assert_eq!(middle["version"], "1", "{records}");
    let why = middle["refused"].as_str().unwrap_or_default();
    assert!(why.contains("0002"), "{records}");
    assert_eq!(records[5]["details"]["code"], "running=uses.sql");
    let steps = opsctl("audit search --action migration.step --json");
    let way = steps.json()["records"].as_array().map(|records| {
        let back = records.iter().filter(|record| record["details"]["way"] == "back");
        back.count()
    });
    assert_eq!(way, Some(1), "{}", steps.out);
    owner.close().await.expect("closed");
    drop(simulation);
    database.drop_all().await.expect("dropped");
}
