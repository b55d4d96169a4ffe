//! What only looks changes nothing in a database, with a real PostgreSQL: schema missing, older, current, newer; and a login that may only read.

mod support;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

use ops_postgres::PostgresStore;
use secrecy::SecretString;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqlSafeStr};
use support::{Ran, Site, opsctl};

const CONFIG: &str = r#"
lang = "en"
tenant = "acme"
[database]
url_env = "DATABASE_URL"
[[database.session_rule]]
name = "runaway"
when = "running"
longer_than = "5m"
deed = "cancel"
[tenancy]
phase = "multi"
[[switch]]
name = "new-brain"
[[personal_data]]
table = "memories"
how = "delete"
[[retention]]
name = "memories"
table = "memories"
until = "age"
keep_days = 365
"#;

const TABLES: &str = "
drop table memories, conversations;
create table memories (organization_id text not null, id int not null, user_id text not null, created_at timestamptz not null,
    primary key (organization_id, id));
";

/// The site, and how its schema is looked at.
struct World(Site);

impl Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0
    }
}

impl World {
    async fn start(name: &str) -> Option<Self> {
        let site = Site::start(name, CONFIG, TABLES).await?;
        let folder = site.dir.path().join("sql");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("0001_first.sql"), "create table first (id int);").expect("written");
        Some(Self(site))
    }

    /// Our schema as the version `until` of this program left it.
    async fn older(&self, until: i64) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops-postgres/migrations");
        let mut migrations = Vec::new();
        for file in std::fs::read_dir(folder).expect("our migrations").flatten() {
            let name = file.file_name().into_string().expect("a name");
            let version: i64 = name
                .split('_')
                .next()
                .and_then(|digits| digits.parse().ok())
                .expect("a version");
            let sql = std::fs::read_to_string(file.path()).expect("a migration");
            let sql = AssertSqlSafe(sql).into_sql_str();
            if version <= until {
                migrations.push(Migration::new(
                    version,
                    name.into(),
                    MigrationType::Simple,
                    sql,
                    false,
                ));
            }
        }
        migrations.sort_by_key(|migration| migration.version);
        let mut migrator = Migrator::with_migrations(migrations);
        migrator.dangerous_set_table_name("ops.schema_migration");
        migrator.create_schema("ops");
        migrator
            .run(&mut self.session().await)
            .await
            .expect("an older schema");
    }

    /// Everything of the catalogue that a verb could change, and how many rows our tables have.
    async fn catalogue(&self) -> (Vec<String>, BTreeMap<String, i64>) {
        let mut root = self.root().await;
        let things: Vec<String> = sqlx::query_scalar(CATALOGUE)
            .bind(self.database.name())
            .fetch_all(&mut root)
            .await
            .expect("the catalogue");
        let tables: Vec<String> = sqlx::query_scalar(
            "select c.oid::regclass::text from pg_class c where c.relkind = 'r' and c.relnamespace = to_regnamespace('ops')",
        )
        .fetch_all(&mut root)
        .await
        .expect("our tables");
        let mut rows = BTreeMap::new();
        for table in tables {
            let count = format!("select count(*) from {table}");
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(count))
                .fetch_one(&mut root)
                .await
                .expect("a count");
            rows.insert(table, count);
        }
        (things, rows)
    }

    async fn close(self) {
        self.0.close(&["audit_writer", "reader"]).await;
    }
}

const CATALOGUE: &str = include_str!("support/catalogue.sql");

/// How a verb that looks may end.
enum Ends {
    /// It needs none of our tables.
    With(i32),
    /// Usage or configuration: it says that the schema is missing or older, and what brings it up to date.
    Told,
    /// Whatever it finds: it says nothing of the schema, or writes files only.
    Anyhow,
}

const RUN: &str = "01980000-0000-7000-8000-000000000000";

const LOOKS: &[(&[&str], Ends)] = &[
    (&["plan", "database-read-only"], Ends::With(0)),
    (&["plan", "database-timeouts"], Ends::With(0)),
    (&["stop", "database-read-only", "--dry-run"], Ends::With(0)),
    (&["runs"], Ends::Told),
    (&["runs", RUN], Ends::Told),
    (&["restore", RUN, "--dry-run"], Ends::Told),
    (&["reviews"], Ends::Told),
    (&["switch", "list"], Ends::Told),
    (&["db", "status"], Ends::With(0)),
    (&["db", "triage"], Ends::With(0)),
    (&["db", "blockers"], Ends::With(0)),
    (&["db", "tables"], Ends::With(0)),
    (&["db", "cancel"], Ends::With(0)),
    (&["audit", "search"], Ends::Told),
    (&["audit", "verify"], Ends::Told),
    (&["audit", "retention"], Ends::Told),
    (&["limits", "show"], Ends::Anyhow),
    (&["doctor"], Ends::With(1)),
    (&["metrics"], Ends::Told),
    (&["drill", "list"], Ends::Anyhow),
    (&["tenant", "check"], Ends::With(1)),
    (&["tenant", "list"], Ends::Told),
    (&["tenant", "holds"], Ends::Told),
    (&["tenant", "back-fill", "--dry-run"], Ends::With(0)),
    (&["tenant", "purge", "acme"], Ends::Told),
    (&["erase", "usr_1"], Ends::Told),
    (&["retention", "run", "--dry-run"], Ends::Told),
    (&["migrations", "status", "--dir", "sql"], Ends::Anyhow),
    (&["migrations", "run", "sql", "--dry-run"], Ends::Anyhow),
];

async fn nothing_is_changed(world: &World, what: &str) {
    let before = world.catalogue().await;
    let mut wrong = Vec::new();
    for (verb, ends) in LOOKS {
        let ran = world.run(verb);
        let as_it_should = match ends {
            Ends::With(code) => ran.code == *code,
            Ends::Told => ran.code == 2 && ran.err.contains("opsctl db migrate"),
            Ends::Anyhow => true,
        };
        if !as_it_should {
            wrong.push(format!("{what}: {verb:?}: {}\n{}{}", ran.code, ran.out, ran.err));
        }
        assert_eq!(world.catalogue().await, before, "{what}: {verb:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_only_looks_changes_nothing_where_our_schema_is_missing_and_says_what_brings_it() {
    let Some(world) = World::start("look_none").await else {
        return;
    };
    nothing_is_changed(&world, "missing").await;
    let plan = world.run(&["plan", "database-read-only", "--json"]);
    assert_eq!(
        plan.json()["steps"][0]["prior"]["prior"],
        "observed",
        "{}",
        plan.out
    );
    assert!(plan.err.contains("opsctl db migrate"), "a warning: {}", plan.err);
    let ran = world.run(&["runs", "--json"]).json();
    assert_eq!(ran["error"]["kind"], "invalid configuration", "{ran:#}");
    world.close().await;
}

#[tokio::test]
async fn what_only_looks_changes_nothing_in_an_older_schema_and_what_acts_brings_it_up_to_date() {
    let Some(world) = World::start("look_older").await else {
        return;
    };
    world.older(7).await;
    nothing_is_changed(&world, "older").await;
    let ran = world.run(&["runs"]);
    assert!(ran.err.contains("found: 7"), "{}", ran.err);
    let ran = world.run(&["tenant", "hold", "acme", "--reason", "case 7"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = world.run(&["tenant", "holds"]);
    assert_eq!(
        (ran.code, ran.out.contains("case 7")),
        (0, true),
        "{}{}",
        ran.out,
        ran.err
    );
    world.close().await;
}

#[tokio::test]
async fn a_login_that_may_only_read_can_look_at_everything_and_changes_nothing() {
    let Some(world) = World::start("look_reader").await else {
        return;
    };
    let name = world.database.name().to_owned();
    let reader = format!("{name}_reader");
    let make = format!(
        "create role {reader} login password 'secret'; grant pg_read_all_data to {reader};
         create role {name}_audit_writer nologin; grant {name}_audit_writer to {name}_owner"
    );
    world.root_sql(&make).await;
    assert_eq!(world.run(&["db", "migrate"]).code, 0);
    assert_eq!(
        world.run(&["tenant", "hold", "acme", "--reason", "case 7"]).code,
        0
    );
    let options = world.root_options().await.username(&reader).password("secret");
    let url = options.to_url_lossy().to_string();
    // It tells of every tenant, so that reading the tables is no right to it.
    let ran = world.run_as(&url, &["audit", "retention"]);
    assert!(
        ran.code == 1 && ran.err.contains("audit_months"),
        "{}{}",
        ran.code,
        ran.err
    );
    world
        .root_sql(&format!(
            "grant execute on function ops.audit_months(bigint) to {reader}"
        ))
        .await;
    let before = world.catalogue().await;
    let mut wrong = Vec::new();
    for (verb, ends) in LOOKS {
        let ran = world.run_as(&url, verb);
        let as_it_should = match ends {
            // There is no such run.
            _ if verb.contains(&RUN) => ran.code == 2 && ran.err.contains("does not know"),
            Ends::With(code) => ran.code == *code,
            Ends::Told => ran.code == 0,
            Ends::Anyhow => true,
        };
        if !as_it_should {
            wrong.push(format!("{verb:?}: {}\n{}{}", ran.code, ran.out, ran.err));
        }
        assert_eq!(world.catalogue().await, before, "{verb:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let holds = world.run_as(&url, &["tenant", "holds"]);
    assert!(holds.out.contains("case 7"), "{}{}", holds.out, holds.err);
    let search = world.run_as(&url, &["audit", "search", "--json"]);
    assert!(
        search.out.contains("schema.migrate"),
        "{}{}",
        search.out,
        search.err
    );
    assert!(
        search.err.contains("audit records wait in the spool"),
        "{}",
        search.err
    );
    // Who looks sees the same as who acts, the exemption of the trail's role included.
    let on = world.run(&["db", "read-only", "on"]);
    assert_eq!(on.code, 0, "{}{}", on.out, on.err);
    let (seen, known) = (
        world.run_as(&url, &["db", "status", "--json"]).json(),
        world.run(&["db", "status", "--json"]).json(),
    );
    assert_eq!(
        (&seen["state"], &seen["marker"]),
        (&known["state"], &known["marker"]),
        "{seen:#}"
    );
    assert_eq!(seen["state"], "stopped", "{seen:#}");
    world.close().await;
}

#[tokio::test]
async fn a_role_that_could_be_made_is_made_by_what_acts_only() {
    let Some(world) = World::start("look_role").await else {
        return;
    };
    let url = world.root_options().await.to_url_lossy().to_string();
    // As an application migrates it: without a role for the trail.
    let store = PostgresStore::connect(&SecretString::from(url.clone()))
        .await
        .expect("a store");
    store.migrate().await.expect("a schema");
    store.close().await;
    let before = world.catalogue().await;
    for verb in [
        &["runs"][..],
        &["db", "status"],
        &["plan", "database-read-only"],
        &["audit", "verify"],
    ] {
        let ran = world.run_as(&url, verb);
        assert_eq!(ran.code, 0, "{verb:?}: {}{}", ran.out, ran.err);
        assert_eq!(world.catalogue().await, before, "{verb:?}");
    }
    let ran = world.run_as(&url, &["tenant", "hold", "acme", "--reason", "case 7"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let role = format!("role {}_audit_writer", world.database.name());
    let after = world.catalogue().await.0;
    assert!(after.iter().any(|thing| thing.starts_with(&role)), "{after:#?}");
    world.close().await;
}

#[tokio::test]
async fn eight_processes_bring_the_schema_up_to_date_at_once_and_one_of_them_says_that_it_did() {
    let Some(world) = World::start("look_migrate").await else {
        return;
    };
    let before = world.catalogue().await;
    let nobody = world.run(&["db", "migrate", "--actor", "a\nb"]);
    assert_eq!(nobody.code, 2, "{}{}", nobody.out, nobody.err);
    assert_eq!(
        world.catalogue().await,
        before,
        "who cannot be recorded changes nothing"
    );
    world.older(7).await;
    let processes: Vec<_> = (0..8)
        .map(|_| {
            opsctl(world.dir.path())
                .env("DATABASE_URL", world.owner())
                .args(["db", "migrate", "--json"])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("opsctl starts")
        })
        .collect();
    let mut changed = Vec::new();
    for process in processes {
        let ran = Ran::of(process.wait_with_output().expect("ended"));
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        changed.push(ran.json());
    }
    let (did, found): (Vec<_>, Vec<_>) = changed
        .into_iter()
        .partition(|document| document["changed"] == true);
    assert_eq!((did.len(), found.len()), (1, 7), "{did:#?}");
    assert_eq!(
        (&did[0]["from"], &did[0]["audited"]),
        (&7.into(), &true.into()),
        "{did:#?}"
    );
    assert_eq!(
        (&found[0]["from"], &found[0]["audited"]),
        (&did[0]["to"], &serde_json::Value::Null)
    );
    let again = world.run(&["db", "migrate"]);
    assert_eq!(
        (again.code, again.out.contains("nothing was changed")),
        (0, true),
        "{}",
        again.out
    );
    let trail = world
        .run(&["audit", "search", "--action", "schema.migrate", "--json"])
        .json();
    assert_eq!(trail["records"].as_array().map(Vec::len), Some(1), "{trail:#}");
    assert_eq!(trail["records"][0]["details"]["from"], "7", "{trail:#}");
    world.close().await;
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused_to_look_and_to_act() {
    let Some(world) = World::start("look_newer").await else {
        return;
    };
    assert_eq!(world.run(&["db", "migrate", "--lang", "ja"]).code, 0);
    world
        .sql(
            "insert into ops.schema_migration (version, description, success, checksum, execution_time)
             values (9999, 'of tomorrow', true, '\\x00', 0)",
        )
        .await;
    let before = world.catalogue().await;
    for verb in [
        &["db", "migrate"][..],
        &["tenant", "check"],
        &["tenant", "list"],
        &["tenant", "hold", "acme", "--reason", "case 7"],
    ] {
        let ran = world.run(verb);
        assert_eq!(ran.code, 2, "{verb:?}: {}{}", ran.out, ran.err);
        assert!(
            ran.err.contains("a newer version of this program made it"),
            "{}",
            ran.err
        );
    }
    for verb in [&["runs"][..], &["db", "blockers"], &["audit", "search"]] {
        let ran = world.run(verb);
        assert_eq!(ran.code, 1, "{verb:?}: {}{}", ran.out, ran.err);
        assert!(
            ran.err.contains("a newer version of this program made it"),
            "{}",
            ran.err
        );
    }
    assert_eq!(world.catalogue().await, before);
    world.close().await;
}
