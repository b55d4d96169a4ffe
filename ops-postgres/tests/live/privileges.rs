//! What comes back exactly.

use ops_core::error::ErrorKind;
use ops_core::model::Snapshot;
use ops_core::ports::DatabaseGuard;
use ops_postgres::{PostgresDatabaseGuard, PostgresStore};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use super::world::{World, admin_url, key, run};

/// A database as it grows in years.
async fn grown(world: &World) {
    let name = world.scratch.name();
    let (owner, app, audit) = (
        format!("{name}_owner"),
        format!("{name}_app"),
        format!("{name}_audit"),
    );
    let as_owner = format!(
        r#"create schema "Odd ""schema""";
           create table "Odd ""schema"""."Table; drop" (id int primary key, "Col ""x""" text);
           grant insert ("Col ""x"""), update ("Col ""x""") on "Odd ""schema"""."Table; drop" to {app};
           grant usage, create on schema "Odd ""schema""" to {app};
           create table open_to_all (id int);
           grant insert, select on open_to_all to public;
           create table passed_on (id int, note text);
           grant insert, update on passed_on to {app} with grant option;
           create table events (id int, day date) partition by range (day);
           create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01');
           create table events_2 partition of events for values from ('2026-02-01') to ('2026-03-01');
           grant insert, select on events to {app};
           grant insert, delete on events_1 to {app};
           create view titles as select id, title from conversations;
           grant update (title), insert on titles to {app};
           create materialized view summary as select count(*) from memories;
           create table frozen (id int);
           revoke truncate, delete on frozen from {owner};
           create table nobody (id int);
           revoke all on nobody from {owner};
           create sequence numbers;
           grant usage, update on sequence numbers to {app};
           grant insert on open_to_all to {audit};
           grant create on schema public to {app};"#
    );
    run(&mut world.owner().await, &as_owner).await.unwrap();
    let as_app = format!(
        "grant insert on passed_on to {audit};
         -- Rests on a privilege on the whole table: CASCADE does not reach it.
         grant update (note) on passed_on to {audit};
         create table of_the_app (id int);
         grant insert on of_the_app to {audit} with grant option;"
    );
    run(&mut world.app().await, &as_app).await.unwrap();
}

/// Every effective ACL of the database, the system's and ours left out, read without the guard's help.
async fn acls(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select * from (
             select format('%s %s %s %s %s %s', c.oid::regclass, a.grantor::regrole, a.grantee, a.privilege_type, a.is_grantable, '')
             from pg_class c join pg_namespace n on n.oid = c.relnamespace,
                  aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner))) a
             where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'ops') and c.relkind <> 'i'
             union all
             select format('%s %s %s %s %s %s', t.attrelid::regclass, a.grantor::regrole, a.grantee, a.privilege_type, a.is_grantable, t.attname)
             from pg_attribute t, aclexplode(t.attacl) a
             union all
             select format('%s %s %s %s %s', n.nspname, a.grantor::regrole, a.grantee, a.privilege_type, a.is_grantable)
             from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
             union all
             select format('database %s %s %s %s', a.grantor::regrole, a.grantee, a.privilege_type, a.is_grantable)
             from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a where d.datname = current_database()
             union all
             select format('setting %s %s', setrole, setconfig) from pg_db_role_setting s
             where setdatabase = (select oid from pg_database where datname = current_database())
         ) every(line) order by line collate \"C\"",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_privilege_and_setting_comes_back_exactly() {
    let Some(world) = World::new().await else { return };
    grown(&world).await;
    let mut root = world.superuser().await;
    let before = acls(&mut root).await;
    let prior = world.stop().await;
    let guard = world.guard();
    let stopped = guard.observe(&world.target()).await.unwrap();
    assert!(stopped.stopped().holds(), "{stopped:?}");
    assert_ne!(acls(&mut root).await, before);

    // The partition by itself is closed too, and so is what the application's role owns.
    let mut app = world.app().await;
    run(&mut app, "set default_transaction_read_only = off")
        .await
        .unwrap();
    for write in [
        "insert into events_1 values (1, '2026-01-02')",
        "insert into events values (1, '2026-01-02')",
        "insert into of_the_app values (1)",
        "insert into open_to_all values (1)",
        "insert into titles (title) values ('x')",
        r#"insert into "Odd ""schema"""."Table; drop" ("Col ""x""") values ('x')"#,
        "select nextval('numbers')",
        "create table public.another (id int)",
        "update passed_on set note = 'x'",
    ] {
        assert_eq!(run(&mut app, write).await, Err("42501".to_owned()), "{write}");
    }

    // What the journal keeps is the text of the snapshot.
    let text = serde_json::to_string(&prior).unwrap();
    let prior: Snapshot = serde_json::from_str(&text).unwrap();
    world.restore(&prior).await;
    assert_eq!(acls(&mut root).await, before);
    assert_eq!(world.observe().await.restorable_bytes(), prior.restorable_bytes());
    world.restore(&prior).await;
    assert_eq!(acls(&mut root).await, before, "a second restore changes nothing");
    world.close().await;
}

#[tokio::test]
async fn a_second_stop_changes_nothing_in_the_prior_state_that_is_restored() {
    let Some(world) = World::new().await else { return };
    grown(&world).await;
    let before = acls(&mut world.superuser().await).await;
    let prior = world.stop().await;
    let again = world.stop().await;
    assert_ne!(again, prior, "the second one observed a stopped database");
    world.restore(&prior).await;
    assert_eq!(acls(&mut world.superuser().await).await, before);
    world.close().await;
}

#[tokio::test]
async fn a_superuser_stops_and_restores_what_others_own() {
    let Some(world) = World::new().await else { return };
    grown(&world).await;
    let mut root = world.superuser().await;
    let name = world.scratch.name();
    run(
        &mut root,
        &format!("create table of_root (id int); grant insert on of_root to {name}_app; alter database {name} set default_transaction_read_only = 'false'"),
    )
    .await
    .unwrap();
    let before = acls(&mut root).await;

    let admin = admin_url().await.unwrap();
    let options: PgConnectOptions = admin.expose_secret().parse().unwrap();
    let url = SecretString::from(options.database(name).to_url_lossy().to_string());
    let store = PostgresStore::connect(&url).await.unwrap();
    let guard = PostgresDatabaseGuard::new(&store);
    let prior = guard.observe(&world.target()).await.unwrap();
    assert_eq!(
        prior.snapshot().field("default_transaction_read_only"),
        Some(&json!("false"))
    );
    guard.set_read_only(&world.target(), &key()).await.unwrap();
    let stopped = guard.observe(&world.target()).await.unwrap();
    assert!(stopped.stopped().holds(), "{stopped:?}");
    guard.restore(prior.snapshot(), &key()).await.unwrap();
    store.close().await;
    // The superuser's own session was ended as well.
    assert_eq!(acls(&mut world.superuser().await).await, before);
    world.close().await;
}

#[tokio::test]
async fn what_was_dropped_meanwhile_is_named_and_the_rest_comes_back() {
    let Some(world) = World::new().await else { return };
    let prior = world.stop().await;
    run(
        &mut world.superuser().await,
        "begin read write; drop table memories; commit",
    )
    .await
    .unwrap();
    let accepted = world.guard().restore(&prior, &key()).await.unwrap();
    let left_out = "left out, gone meanwhile: table public.memories";
    assert_eq!(accepted.receipt(), Some(left_out));
    run(
        &mut world.app().await,
        "insert into conversations (title) values ('after')",
    )
    .await
    .unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_table_added_by_hand_is_no_difference_and_keeps_its_grants() {
    let Some(world) = World::new().await else { return };
    let prior = world.stop().await;
    let mut root = world.superuser().await;
    run(&mut root, "begin read write; create table added (id int); commit")
        .await
        .unwrap();
    world.restore(&prior).await;
    assert_eq!(world.observe().await, prior);

    // With something granted on it, it is a difference, by name; a restore leaves it.
    let prior = world.stop().await;
    let app = format!("{}_app", world.scratch.name());
    run(
        &mut world.superuser().await,
        &format!("begin read write; create table granted (id int); grant insert on granted to {app}; commit"),
    )
    .await
    .unwrap();
    world.restore(&prior).await;
    let differences = prior.differences(&world.observe().await);
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].path, "privileges.tables.public.granted");
    run(&mut world.app().await, "insert into granted values (1)")
        .await
        .unwrap();
    world.close().await;
}

#[tokio::test]
async fn what_was_granted_meanwhile_on_a_known_table_is_taken_back() {
    let Some(world) = World::new().await else { return };
    let prior = world.stop().await;
    let app = format!("{}_app", world.scratch.name());
    let grant = format!("begin read write; grant truncate on memories to {app} with grant option; commit");
    run(&mut world.owner().await, &grant).await.unwrap();
    world.restore(&prior).await;
    assert_eq!(world.observe().await, prior);
    assert_eq!(
        run(&mut world.app().await, "truncate memories").await,
        Err("42501".to_owned())
    );
    world.close().await;
}

#[tokio::test]
async fn a_foreign_or_forged_snapshot_is_refused() {
    let Some(world) = World::new().await else { return };
    let prior = world.observe().await;
    let guard = world.guard();
    let foreign = Snapshot::new(world.target(), "cloud-run/1");
    let forged = prior.clone().with_field(
        "privileges",
        json!({"tables": {"public": {"memories": {"grants": [{"to": "x", "privilege": "ALL ON x TO y; --"}]}}}}),
    );
    for snapshot in [foreign, forged] {
        let error = guard.restore(&snapshot, &key()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(world.observe().await, prior);
    world.close().await;
}
