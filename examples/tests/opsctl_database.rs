//! The tool with a real PostgreSQL: the drill's own database, read-only on and off, and a database that is gone.

mod support;

use std::path::Path;

use ops_core::testkit::postgres_url;
use ops_postgres::ScratchDatabase;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use support::{Ran, Simulation, opsctl};

/// A database with an owner, an application role and an audit role, and a simulated vendor whose procedures use it.
struct World {
    simulation: Simulation,
    database: ScratchDatabase,
}

impl World {
    async fn start(name: &str) -> Option<Self> {
        let admin = SecretString::from(postgres_url().await?);
        let database = ScratchDatabase::create(&admin, &format!("ops_cli_{name}_{}", std::process::id()))
            .await
            .expect("a database");
        Some(Self {
            simulation: Simulation::start(&["--world", "gcp", "--database"]),
            database,
        })
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_at(
            self.simulation.path(),
            self.database.owner_url().expose_secret(),
            arguments,
        )
    }

    fn run_at(&self, dir: &Path, url: &str, arguments: &[&str]) -> Ran {
        let mut command = opsctl(dir);
        command.env("DATABASE_URL", url).env(
            "OPS_AUDIT_DATABASE_URL",
            self.database.audit_url().expose_secret(),
        );
        Ran::of(command.args(arguments).output().expect("opsctl runs"))
    }

    async fn app(&self) -> PgConnection {
        PgConnection::connect(self.database.app_url().expose_secret())
            .await
            .expect("the application connects")
    }
}

async fn write(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("insert into memories (conversation_id, body) values (1, 'new')")
        .execute(session)
        .await
        .map(drop)
}

#[tokio::test]
async fn the_drill_uses_a_database_of_its_own_and_removes_it() {
    let Some(url) = postgres_url().await else { return };
    let mut admin = PgConnection::connect(&url).await.expect("the server answers");
    let names = "select coalesce(string_agg(nspname, ',' order by nspname), '') from pg_namespace where nspname !~ '^pg_(toast_)?temp'";
    let before: String = sqlx::query_scalar(names)
        .fetch_one(&mut admin)
        .await
        .expect("an answer");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = opsctl(dir.path())
        .env("DATABASE_URL", &url)
        .args(["drill", "llm-brain-stop", "--json"])
        .output();
    let ran = Ran::of(output.expect("opsctl runs"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for run in ran.json()["runs"].as_array().expect("runs") {
        for name in [
            "stopped_verified",
            "restored_exactly",
            "audited",
            "audit_verified",
            "journalled",
        ] {
            assert_eq!(run[name], true, "{name}: {run:#}");
        }
        let database = run["steps"].as_array().expect("steps").iter().any(|step| {
            step["target"]
                .as_str()
                .is_some_and(|target| target.starts_with("postgres:ops_drill_"))
        });
        assert!(database, "the drill's own database was made read-only");
    }
    let left: i64 = sqlx::query_scalar("select count(*) from pg_database where datname like 'ops_drill_%'")
        .fetch_one(&mut admin)
        .await
        .expect("an answer");
    let roles: i64 = sqlx::query_scalar("select count(*) from pg_roles where rolname like 'ops_drill_%'")
        .fetch_one(&mut admin)
        .await
        .expect("an answer");
    let after: String = sqlx::query_scalar(names)
        .fetch_one(&mut admin)
        .await
        .expect("an answer");
    assert_eq!((left, roles), (0, 0));
    assert_eq!(before, after, "the database named by the variable is as before");
}

#[tokio::test]
async fn read_only_holds_for_open_sessions_and_is_lifted_from_a_fresh_one() {
    let Some(world) = World::start("readonly").await else {
        return;
    };
    let mut before = world.app().await;
    write(&mut before).await.expect("writable at first");
    assert_eq!(world.run(&["db", "status", "--json"]).json()["state"], "serving");

    let on = world.run(&["db", "read-only", "on", "--json"]);
    assert_eq!(on.code, 0, "{}{}", on.out, on.err);
    assert_eq!(
        (&on.json()["audited"], &on.json()["journalled"]),
        (&true.into(), &true.into())
    );
    assert!(
        write(&mut before).await.is_err(),
        "a session that was open before"
    );
    let mut fresh = world.app().await;
    sqlx::query("set default_transaction_read_only = off")
        .execute(&mut fresh)
        .await
        .expect("a session may say so");
    assert!(write(&mut fresh).await.is_err(), "and gets nothing through");
    assert_eq!(world.run(&["db", "status", "--json"]).json()["state"], "stopped");
    let found = world
        .run(&["audit", "search", "--action", "emergency.stop", "--json"])
        .json();
    assert_eq!(
        found["records"].as_array().map(Vec::len),
        Some(1),
        "recorded while read-only: {found:#}"
    );

    let off = world.run(&["db", "read-only", "off", "--json"]);
    assert_eq!(
        (off.code, &off.json()["restored_exactly"]),
        (0, &true.into()),
        "{}{}",
        off.out,
        off.err
    );
    write(&mut world.app().await).await.expect("writable again");
    let verified = world.run(&["audit", "verify", "--json"]);
    assert_eq!(
        (verified.code, &verified.json()["records"]),
        // Stop, restore, and the search between them.
        (0, &3.into()),
        "{}",
        verified.out
    );
    world.database.drop_all().await.expect("removed");
}

#[tokio::test]
async fn a_stop_in_postgres_is_resumed_and_restored_by_other_processes() {
    let Some(world) = World::start("stop").await else {
        return;
    };
    let stop = world.run(&["stop", "llm-brain-stop", "--json"]);
    assert_eq!(stop.code, 0, "{}{}", stop.out, stop.err);
    let run = stop.json()["run"].as_str().expect("a run").to_owned();
    // Another state directory, the same database: the journal is shared.
    let other = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(
        world.simulation.path().join("ops.toml"),
        other.path().join("ops.toml"),
    )
    .expect("a copy");
    let restored = world.run_at(
        other.path(),
        world.database.owner_url().expose_secret(),
        &["restore", &run, "--json"],
    );
    assert_eq!(
        (restored.code, &restored.json()["restored_exactly"]),
        (0, &true.into()),
        "{}{}",
        restored.out,
        restored.err
    );
    write(&mut world.app().await).await.expect("writable again");
    world.database.drop_all().await.expect("removed");
}

#[tokio::test]
async fn without_the_database_the_stop_stops_and_says_what_it_could_not_record() {
    let Some(world) = World::start("gone").await else {
        return;
    };
    let nowhere = format!("postgres://nobody@127.0.0.1:1/{}", world.database.name());
    let stop = world.run_at(
        world.simulation.path(),
        &nowhere,
        &["stop", "llm-brain-stop", "--json"],
    );
    let document = stop.json();
    assert_eq!(stop.code, 3, "{}{}", stop.out, stop.err);
    for step in document["steps"].as_array().expect("steps") {
        let service = step["target"]
            .as_str()
            .is_some_and(|target| target.starts_with("cloud-run:"));
        assert_eq!(
            step["verdict"] == "holds",
            service,
            "the service is stopped, the rest is unknown: {step:#}"
        );
    }
    assert_eq!(
        (&document["journalled"], &document["audited"]),
        (&false.into(), &false.into())
    );
    assert!(
        !stop.err.contains("nobody@"),
        "no URL in the warning: {}",
        stop.err
    );
    assert_eq!(world.run(&["db", "migrate"]).code, 0);
    // The database is back: what waited is delivered, and the stop is restored from the spool of this machine.
    let found = world
        .run(&["audit", "search", "--action", "emergency.stop", "--json"])
        .json();
    assert_eq!(
        (found["records"].as_array().map(Vec::len), &found["complete"]),
        (Some(3), &true.into()),
        "{found:#}"
    );
    let run = document["run"].as_str().expect("a run");
    let resumed = world.run(&["resume", run, "--json"]);
    assert_eq!(
        resumed.code, 0,
        "what had failed is stopped now: {}{}",
        resumed.out, resumed.err
    );
    let restored = world.run(&["restore", run, "--json"]);
    let exact = restored.json()["restored_exactly"] == true;
    assert!(restored.code == 0 && exact, "{}{}", restored.out, restored.err);
    write(&mut world.app().await).await.expect("writable again");
    world.database.drop_all().await.expect("removed");
}

#[tokio::test]
async fn a_drill_is_evidence_for_every_machine_that_uses_the_database() {
    let Some(world) = World::start("drills").await else {
        return;
    };
    // Under another name than the one that makes a drill bring a database of its own.
    let here = world.simulation.path();
    let config = std::fs::read_to_string(here.join("ops.toml")).expect("a configuration");
    let config = config.replace("\"DATABASE_URL\"", "\"OPS_APP_DATABASE_URL\"");
    let other = tempfile::tempdir().expect("another machine");
    for dir in [here, other.path()] {
        std::fs::write(dir.join("ops.toml"), &config).expect("writable");
    }
    let run = |dir: &Path, url: &str, arguments: &[&str]| {
        let mut command = opsctl(dir);
        command.env("OPS_APP_DATABASE_URL", url);
        Ran::of(command.args(arguments).output().expect("opsctl runs"))
    };
    let url = world.database.owner_url().expose_secret();
    let drill = |procedure: &str| run(here, url, &["drill", procedure, "--world", "gcp", "--json"]);

    // What acts, or `db migrate`, makes the tables; a drill makes none.
    let before = drill("api-stop");
    assert_eq!(before.code, 0, "{}{}", before.out, before.err);
    assert!(before.err.contains("この端末にだけ"), "{}", before.err);
    assert_eq!(run(here, url, &["db", "migrate"]).code, 0);
    let drilled = drill("llm-brain-stop");
    assert_eq!(drilled.code, 0, "{}{}", drilled.out, drilled.err);

    let last = |dir: &Path, url: &str, procedure: &str| {
        let ran = run(dir, url, &["plan", procedure, "--json"]);
        ran.json()["last_drill"]["verdict"].clone()
    };
    assert_eq!(last(other.path(), url, "llm-brain-stop"), "passed");
    assert_eq!(last(other.path(), url, "api-stop"), serde_json::Value::Null);
    assert_eq!(
        last(here, url, "api-stop"),
        "passed",
        "that of this machine is still read"
    );
    let listed = run(here, url, &["drill", "list", "--json"]).json();
    assert_eq!(
        listed["drills"].as_array().map(Vec::len),
        Some(2),
        "each once: {listed}"
    );
    let away = "postgres://nobody@127.0.0.1:1/none";
    assert_eq!(
        last(here, away, "llm-brain-stop"),
        "passed",
        "without the database too"
    );
    world.database.drop_all().await.expect("removed");
}

#[tokio::test]
async fn a_brake_spares_open_sessions_and_the_journal_keeps_the_strength() {
    let Some(world) = World::start("brake").await else {
        return;
    };
    let mut before = world.app().await;
    let on = world.run(&["db", "read-only", "on", "--strength", "brake", "--json"]);
    assert_eq!(on.code, 0, "{}{}", on.out, on.err);
    assert_eq!(on.json()["procedure"], "database-read-only:brake", "{}", on.out);
    assert!(
        on.out.contains("sessions that are open go on writing"),
        "{}",
        on.out
    );
    write(&mut before).await.expect("a session that was open before");
    assert!(write(&mut world.app().await).await.is_err(), "a new one");

    // A wall on top of it, and both are lifted at once.
    let wall = world.run(&["db", "read-only", "on", "--json"]);
    assert_eq!(wall.code, 0, "{}{}", wall.out, wall.err);
    assert!(write(&mut before).await.is_err());
    let usage = world.run(&["db", "read-only", "off", "--strength", "wall"]);
    assert_eq!(usage.code, 2, "{}{}", usage.out, usage.err);
    let off = world.run(&["db", "read-only", "off", "--accept-drift", "--json"]);
    assert_eq!(
        (off.code, &off.json()["restored_exactly"]),
        (0, &true.into()),
        "{}{}",
        off.out,
        off.err
    );
    write(&mut world.app().await).await.expect("writable again");
    world.database.drop_all().await.expect("removed");
}

// The tool runs as a process while the other session waits in a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_is_shown_and_a_session_is_ended_only_with_act() {
    let Some(world) = World::start("load").await else {
        return;
    };
    assert_eq!(world.run(&["db", "migrate"]).code, 0);
    let status = world.run(&["db", "status", "--json"]).json();
    assert_eq!(status["load"]["slow"], "not_installed", "{status:#}");
    assert!(
        status["load"]["connections"]["used"].as_u64() > Some(0),
        "{status:#}"
    );
    let tables = world.run(&["db", "tables", "--most", "3", "--json"]).json();
    assert_eq!(tables["tables"].as_array().map(Vec::len), Some(3), "{tables:#}");

    let (mut holder, mut waiter) = (world.app().await, world.app().await);
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
    let blockers = loop {
        let found = world.run(&["db", "blockers", "--json"]).json();
        if found["chains"]
            .as_array()
            .is_some_and(|chains| !chains.is_empty())
        {
            break found;
        }
        assert!(!waiting.is_finished(), "nobody waits: {found:#}");
    };
    assert_eq!(blockers["chains"][0]["root"], pid, "{blockers:#}");
    assert!(
        !blockers.to_string().contains("somebody"),
        "no literal is shown: {blockers:#}"
    );

    let number = pid.to_string();
    let shown = world
        .run(&["db", "cancel", "--pid", &number, "--end", "--json"])
        .json();
    assert_eq!(
        (&shown["acted"], &shown["chosen"][0]["result"]),
        (&false.into(), &serde_json::Value::Null)
    );
    holder.ping().await.expect("it was only shown");
    let ended = world.run(&["db", "cancel", "--pid", &number, "--end", "--act", "--json"]);
    assert_eq!(
        ended.json()["chosen"][0]["result"],
        "sent",
        "{}{}",
        ended.out,
        ended.err
    );
    assert_eq!(
        (ended.code, &ended.json()["chosen"][0]["effective"]),
        (0, &true.into()),
        "another look shows it"
    );
    assert!(holder.ping().await.is_err());
    waiting.await.expect("a task").expect("the way is free");
    let found = world
        .run(&["audit", "search", "--action", "database.session.end", "--json"])
        .json();
    let outcomes: Vec<_> = found["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| record["outcome"].clone())
        .collect();
    assert_eq!(
        outcomes,
        ["succeeded", "unknown"],
        "when it was sent, and when it was seen: {found:#}"
    );

    let on = world.run(&["db", "timeouts", "on", "--json"]);
    assert_eq!(on.code, 0, "{}{}", on.out, on.err);
    let mut app = world.app().await;
    let limit: String = sqlx::query_scalar("show lock_timeout")
        .fetch_one(&mut app)
        .await
        .expect("a value");
    assert_eq!(limit, "5s");
    let off = world.run(&["db", "timeouts", "off", "--json"]);
    assert_eq!(
        (off.code, &off.json()["restored_exactly"]),
        (0, &true.into()),
        "{}{}",
        off.out,
        off.err
    );
    world.database.drop_all().await.expect("removed");
}
