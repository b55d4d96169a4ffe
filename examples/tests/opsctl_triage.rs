//! The procedure for trouble with a database, by the tool: with a real PostgreSQL, and without one.

mod support;

use ops_core::governance::triage;
use ops_core::messages::cause_temporary;
use ops_core::model::{DatabaseCause, DatabaseFacts, DatabaseSession, SessionState};
use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection, PgConnection};
use support::{Ran, opsctl};

const CONFIG: &str = "lang = \"en\"\n[database]\nurl_env = \"DATABASE_URL\"\n";

fn triage_at(url: &str, arguments: &[&str]) -> Ran {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("ops.toml"), CONFIG).expect("written");
    let mut command = opsctl(dir.path());
    command.env("DATABASE_URL", url).args(["db"]).args(arguments);
    Ran::of(command.output().expect("opsctl runs"))
}

/// The one cause that is told, of a database that cannot be reached.
fn cause(url: &str) -> String {
    let ran = triage_at(url, &["triage", "--json"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let document = ran.json();
    let findings = document["findings"].as_array().expect("findings");
    assert_eq!(
        (findings.len(), &findings[0]["severity"]),
        (1, &"P1".into()),
        "{document:#}"
    );
    findings[0]["cause"].as_str().expect("a cause").to_owned()
}

async fn scratch(name: &str) -> Option<ScratchDatabase> {
    let admin = SecretString::from(postgres_url().await?);
    let name = format!("ops_cli_{name}_{}", std::process::id());
    Some(ScratchDatabase::create(&admin, &name).await.expect("a database"))
}

#[test]
fn a_server_that_is_down_is_told_with_what_to_do_and_nothing_of_the_url() {
    let url = "postgres://hanako:sesame@127.0.0.1:1/shop";
    assert_eq!(cause(url), "server_down");
    let ran = triage_at(url, &["triage"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for part in [
        "P1",
        "shown by: the connection is refused",
        "→ opsctl doctor",
        "for good:",
        "escalate: P1: begun within 15 minutes",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ja = triage_at(url, &["triage", "--lang", "ja"]);
    assert!(ja.out.contains("兆候: 接続を拒否された"), "{}", ja.out);
    let said = format!("{}{}{}{}", ran.out, ran.err, ja.out, ja.err);
    assert!(!said.contains("hanako") && !said.contains("sesame"), "{said}");
    assert_eq!(cause("postgres//nobody"), "bad_url");
    assert_eq!(cause("postgres://x@no-such-host.invalid/shop"), "unknown_host");
}

#[tokio::test]
async fn wrong_credentials_a_missing_database_and_no_free_connection_are_told_apart() {
    let Some(database) = scratch("triage_conn").await else {
        return;
    };
    let admin = postgres_url().await.expect("a server");
    let options: PgConnectOptions = admin.parse().expect("a URL");
    let url = |options: PgConnectOptions| options.to_url_lossy().to_string();
    let stranger = options.clone().username("nobody_at_all").password("wrong");
    assert_eq!(cause(&url(stranger)), "credentials");
    assert_eq!(
        cause(&url(options.database("no_such_database"))),
        "wrong_database"
    );
    let mut root = PgConnection::connect(&admin).await.expect("a superuser");
    let full = format!("alter role {}_app connection limit 0", database.name());
    sqlx::raw_sql(AssertSqlSafe(full))
        .execute(&mut root)
        .await
        .expect("full");
    assert_eq!(cause(database.app_url().expose_secret()), "connections_exhausted");
    database.drop_all().await.expect("dropped");
}

// The tool runs as a process while the other session waits in a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_blocks_others_is_named_in_the_command_that_ends_it_and_then_nothing_is_the_matter() {
    let Some(database) = scratch("triage_block").await else {
        return;
    };
    let (owner, app) = (
        database.owner_url().expose_secret().to_owned(),
        database.app_url(),
    );
    let quiet = triage_at(&owner, &["triage", "--json"]);
    assert_eq!(quiet.code, 0, "{}{}", quiet.out, quiet.err);
    let mut holder = PgConnection::connect(app.expose_secret())
        .await
        .expect("a session");
    let mut waiter = PgConnection::connect(app.expose_secret())
        .await
        .expect("a session");
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut holder)
        .await
        .expect("a number");
    let lock = "begin; update conversations set title = 'somebody' where id = 1";
    sqlx::raw_sql(lock).execute(&mut holder).await.expect("locked");
    let waiting = tokio::spawn(async move {
        let wait = "update conversations set title = 'else' where id = 1";
        sqlx::raw_sql(wait).execute(&mut waiter).await.map(drop)
    });
    let found = loop {
        let ran = triage_at(&owner, &["triage", "--json"]);
        if ran.json()["findings"]
            .as_array()
            .is_some_and(|found| !found.is_empty())
        {
            break ran;
        }
    };
    assert_eq!(found.code, 3, "a warning: {}", found.out);
    let document = found.json();
    assert_eq!(document["findings"][0]["cause"], "blocked", "{document:#}");
    let steps = document["findings"][0]["temporary"].as_array().expect("steps");
    let command = format!("opsctl db cancel --pid {pid} --end --act");
    assert!(
        steps.iter().any(|step| step["command"] == *command),
        "{document:#}"
    );
    let pid = pid.to_string();
    let ended = triage_at(&owner, &["cancel", "--pid", &pid, "--end", "--act"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    waiting.await.expect("a task").expect("no longer waits");
    let over = triage_at(&owner, &["triage"]);
    assert_eq!(
        (over.code, over.out.contains("nothing is the matter")),
        (0, true),
        "{}{}",
        over.out,
        over.err
    );
    let on = triage_at(&owner, &["read-only", "on"]);
    assert_eq!(on.code, 0, "{}{}", on.out, on.err);
    let stopped = triage_at(&owner, &["triage", "--json"]);
    assert_eq!(
        (stopped.code, &stopped.json()["findings"][0]["cause"]),
        (3, &"read_only".into()),
        "{}",
        stopped.out
    );
    database.drop_all().await.expect("dropped");
}

#[test]
fn every_command_of_the_procedure_is_one() {
    let mut commands: Vec<String> = DatabaseCause::ALL
        .into_iter()
        .flat_map(cause_temporary)
        .filter_map(|(_, command)| command.map(str::to_owned))
        .collect();
    let mut facts = DatabaseFacts::default();
    for (pid, state) in [(7, SessionState::IdleInTransaction), (8, SessionState::Active)] {
        let mut session = DatabaseSession::new(pid, "app");
        (session.state, session.lasting) = (state, std::time::Duration::from_secs(600));
        facts.sessions.push(session);
    }
    let steps = triage(&facts).into_iter().flat_map(|finding| finding.temporary);
    commands.extend(steps.filter_map(|step| step.command));
    commands.sort_unstable();
    commands.dedup();
    assert!(commands.len() >= 12, "{commands:#?}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    for command in commands {
        let arguments = command.strip_prefix("opsctl ").expect("of this tool").split(' ');
        let ran = opsctl(dir.path())
            .args(arguments)
            .arg("--help")
            .output()
            .expect("opsctl runs");
        assert!(
            ran.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}
