//! A mode that begins again: after it was forgotten, with roles that are new, with a probe that has seen a stop.

use ops_core::model::{IdempotencyKey, Lang, ReadOnlyStrength, TargetState, Verdict};
use ops_core::ports::DatabaseGuard;
use ops_postgres::{PostgresDatabaseGuard, PostgresStore, WriteProbe};
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::world::{World, key, run};

const WRITE: &str = "insert into conversations (title) values ('after')";
const READ_ONLY: &str = "25006";

async fn stop(world: &World, guard: &PostgresDatabaseGuard, key: &IdempotencyKey) {
    guard.set_read_only(&world.target(), key).await.unwrap();
}

#[tokio::test]
async fn a_marker_whose_run_was_given_up_is_left_over_and_the_next_stop_leaves_its_own() {
    let Some(world) = World::new().await else { return };
    let brake = world.guard().with_strength(ReadOnlyStrength::Brake);
    let (first, second) = (key(), key());
    let mut root = world.superuser().await;
    let hold = |released: &str| {
        format!(
            "begin read write; delete from ops.journal_hold;
             insert into ops.journal_hold (target, run, at_micros, snapshot, released_at) values ('{}', '{}', 0, '', {released}); commit",
            world.target().as_str(),
            first.run()
        )
    };
    let seen = async || brake.observe(&world.target()).await.unwrap();
    let marker = async || seen().await.marker().map(|run| run.as_str().to_owned());
    stop(&world, &brake, &first).await;
    run(&mut root, &hold("null")).await.unwrap();
    stop(&world, &brake, &second).await;
    assert_eq!(
        marker().await.as_deref(),
        Some(first.run()),
        "the first one holds"
    );

    // Forgotten, and put in order by hand: nothing is in force any more.
    run(&mut root, &hold("now()")).await.unwrap();
    let reset = format!(
        "begin read write; alter database {} reset default_transaction_read_only; commit",
        world.scratch.name()
    );
    run(&mut root, &reset).await.unwrap();
    assert_eq!(
        (seen().await.state(), marker().await),
        (TargetState::Serving, None)
    );
    stop(&world, &brake, &second).await;
    assert_eq!(marker().await.as_deref(), Some(second.run()));
    let age: f64 = sqlx::query_scalar(
        "select extract(epoch from since - (select backend_start from pg_stat_activity where pid = pg_backend_pid()))::float8
         from ops.read_only_marker",
    )
    .fetch_one(&mut world.superuser().await)
    .await
    .unwrap();
    assert!(age < 0.0, "since the second stop, and before this session: {age}");
    let from_between: bool = sqlx::query_scalar(
        "select since > (select max(released_at) from ops.journal_hold) from ops.read_only_marker",
    )
    .fetch_one(&mut root)
    .await
    .unwrap();
    assert!(
        from_between,
        "what began in between is from before the second stop"
    );
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn strict_without_a_marker_is_not_settled_while_a_session_is_out_of_reach() {
    let Some(world) = World::new().await else { return };
    let name = world.scratch.name();
    let make =
        format!("create role {name}_plain login password 'x'; alter database {name} owner to {name}_plain");
    run(&mut world.superuser().await, &make).await.unwrap();
    let options: PgConnectOptions = world.scratch.owner_url().expose_secret().parse().unwrap();
    let url = options
        .username(&format!("{name}_plain"))
        .password("x")
        .to_url_lossy()
        .to_string();
    let store = PostgresStore::connect(&url.into()).await.unwrap();
    let strict = PostgresDatabaseGuard::new(&store).with_strength(ReadOnlyStrength::Strict);
    let mut old = world.app().await;
    stop(&world, &strict, &key()).await;
    run(&mut old, WRITE).await.expect("it was out of reach");
    let seen = strict.observe(&world.target()).await.unwrap();
    assert_eq!(seen.state(), TargetState::Stopped);
    assert!(matches!(seen.stopped(), Verdict::NotYet { .. }), "{seen:?}");
    drop(old);
    store.close().await;
    let back = format!("alter database {name} owner to {name}_owner; drop role {name}_plain");
    run(
        &mut world.superuser().await,
        &format!("begin read write; {back}; commit"),
    )
    .await
    .unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_role_that_came_between_two_stops_gets_its_setting_back() {
    let Some(world) = World::new().await else { return };
    let (name, app) = (world.scratch.name(), format!("{}_app", world.scratch.name()));
    let brake = world.guard().with_strength(ReadOnlyStrength::Brake);
    let prior = world.observe().await;
    stop(&world, &brake, &key()).await;
    let mut root = world.superuser().await;
    let make = format!(
        "begin read write; create role {app}_late login password 'x'; grant {app} to {app}_late; grant {app}_late to {name}_owner;
         alter role {app}_late in database {name} set default_transaction_read_only = 'no'; commit"
    );
    run(&mut root, &make).await.unwrap();
    let setting = async || {
        let query = "select setconfig::text from pg_db_role_setting s join pg_roles r on r.oid = s.setrole where r.rolname = $1";
        let found: Option<String> = sqlx::query_scalar(query)
            .bind(format!("{app}_late"))
            .fetch_optional(&mut world.superuser().await)
            .await
            .unwrap();
        found.unwrap_or_default()
    };
    let before = setting().await;
    stop(&world, &brake, &key()).await;
    assert_eq!(setting().await, "{default_transaction_read_only=on}");
    stop(&world, &brake, &key()).await;
    world.restore(&prior).await;
    assert_eq!(setting().await, before);
    let back = format!("begin read write; drop role {app}_late; commit");
    run(&mut root, &back).await.unwrap();
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn the_default_is_set_although_nobody_can_tell_who_could_write() {
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    let blind = "revoke execute on function pg_catalog.has_any_column_privilege(oid, oid, text) from public";
    run(&mut root, blind).await.unwrap();
    let brake = world.guard().with_strength(ReadOnlyStrength::Brake);
    let error = brake.set_read_only(&world.target(), &key()).await.unwrap_err();
    assert!(error.to_string().contains("defaults of roles"), "{error}");
    assert_eq!(
        run(&mut world.app().await, WRITE).await,
        Err(READ_ONLY.to_owned())
    );
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn the_probe_opens_a_session_again_after_a_stop_has_ended_it() {
    let Some(world) = World::new().await else { return };
    let probe = WriteProbe::new(world.scratch.app_url()).unwrap();
    for (strength, expected) in [
        (ReadOnlyStrength::Strict, "session from before was ended"),
        (ReadOnlyStrength::Brake, "session from before wrote"),
        (ReadOnlyStrength::Strict, "session from before was ended"),
    ] {
        let guard = world.guard().with_strength(strength).with_probe(probe.clone());
        let prior = guard.observe(&world.target()).await.unwrap();
        stop(&world, &guard, &key()).await;
        for _ in 0..2 {
            let seen = guard.observe(&world.target()).await.unwrap();
            let said: Vec<_> = seen.caveats().iter().map(|caveat| caveat.get(Lang::En)).collect();
            assert!(said.join("\n").contains(expected), "{strength}: {said:?}");
        }
        world.restore(prior.snapshot()).await;
    }
    world.close().await;
}
