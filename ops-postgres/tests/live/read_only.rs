//! What read-only mode withstands.

use ops_core::error::ErrorKind;
use ops_core::model::{Lang, TargetState, Verdict};
use ops_core::ports::DatabaseGuard;
use ops_postgres::{PostgresDatabaseGuard, PostgresStore};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::world::{World, count, key, run, session};

const WRITE: &str = "insert into conversations (title) values ('after')";

/// How many conversations there are, asked by somebody who sees everything.
async fn conversations(world: &World) -> i64 {
    count(&mut world.superuser().await, "conversations").await
}

#[tokio::test]
async fn a_session_opened_before_cannot_write_afterwards() {
    let Some(world) = World::new().await else { return };
    let (mut idle, mut busy) = (world.app().await, world.app().await);
    run(&mut idle, WRITE).await.unwrap();
    // A transaction that has written, and could still commit.
    run(&mut busy, "begin").await.unwrap();
    run(&mut busy, WRITE).await.unwrap();

    let prior = world.stop().await;
    for old in [&mut idle, &mut busy] {
        let error = run(old, "insert into conversations (title) values ('late'); commit").await;
        assert!(error.is_err());
        assert!(old.ping().await.is_err(), "the session must have been ended");
    }
    assert_eq!(
        conversations(&world).await,
        3,
        "only the write from before may be there"
    );

    world.restore(&prior).await;
    run(&mut world.app().await, WRITE).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_session_that_lives_on_cannot_write_either() {
    // Changing the default of the database does not reach sessions that are open: taking the privileges does. A session that
    // nobody may end is simulated by the guard's own name, which it spares.
    let Some(world) = World::new().await else { return };
    let name: String = sqlx::query_scalar("select current_setting('application_name')")
        .fetch_one(world.store.pool())
        .await
        .unwrap();
    let options: PgConnectOptions = world.scratch.app_url().expose_secret().parse().unwrap();
    let mut old = options.application_name(&name).connect().await.unwrap();
    run(&mut old, WRITE).await.unwrap();
    run(
        &mut old,
        "prepare late as insert into conversations (title) values ('late')",
    )
    .await
    .unwrap();

    let prior = world.stop().await;
    old.ping().await.unwrap();
    let default: String = sqlx::query_scalar("show default_transaction_read_only")
        .fetch_one(&mut old)
        .await
        .unwrap();
    assert_eq!(default, "off", "the setting did not reach this session");
    for write in [
        WRITE,
        "execute late",
        "truncate memories",
        "select nextval('conversations_id_seq')",
    ] {
        assert_eq!(run(&mut old, write).await, Err("42501".to_owned()), "{write}");
    }
    assert_eq!(count(&mut old, "conversations").await, 3, "reading goes on");
    world.restore(&prior).await;
    run(&mut old, WRITE).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_sessions_own_settings_do_not_get_a_write_through() {
    // Each of these lifts PostgreSQL's read-only default for a plain role.
    let Some(world) = World::new().await else { return };
    world.stop().await;
    let before = conversations(&world).await;
    for (attempt, end) in [
        ("set default_transaction_read_only = off", ""),
        ("begin read write", "commit"),
        ("begin; set transaction read write", "commit"),
        ("set session characteristics as transaction read write", ""),
        (
            "select set_config('default_transaction_read_only', 'off', false)",
            "",
        ),
        ("set role none; set default_transaction_read_only = off", ""),
    ] {
        let mut app = world.app().await;
        assert_eq!(
            run(&mut app, WRITE).await,
            Err("25006".to_owned()),
            "as the default is"
        );
        run(&mut app, attempt).await.unwrap();
        assert_eq!(run(&mut app, WRITE).await, Err("42501".to_owned()), "{attempt}");
        let _ = run(&mut app, end).await;
    }
    let options: PgConnectOptions = world.scratch.app_url().expose_secret().parse().unwrap();
    let mut app = options
        .options([("default_transaction_read_only", "off")])
        .connect()
        .await
        .unwrap();
    assert_eq!(
        run(&mut app, WRITE).await,
        Err("42501".to_owned()),
        "a startup option"
    );
    assert_eq!(conversations(&world).await, before);
    world.close().await;
}

#[tokio::test]
async fn a_role_that_exempts_itself_from_the_default_gains_nothing() {
    // A role may change its own settings, and those beat the database's.
    let Some(world) = World::new().await else { return };
    let (name, app) = (world.scratch.name(), format!("{}_app", world.scratch.name()));
    let statement = format!("alter role {app} in database {name} set default_transaction_read_only = off");
    run(&mut world.app().await, &statement).await.unwrap();
    world.stop().await;
    assert_eq!(run(&mut world.app().await, WRITE).await, Err("42501".to_owned()));
    world.close().await;
}

#[tokio::test]
async fn the_observation_tells_serving_stopped_and_partly_stopped_apart() {
    let Some(world) = World::new().await else { return };
    let guard = world.guard();
    let seen = guard.observe(&world.target()).await.unwrap();
    assert_eq!(seen.state(), TargetState::Serving);

    let stop = key();
    guard.set_read_only(&world.target(), &stop).await.unwrap();
    let seen = guard.observe(&world.target()).await.unwrap();
    assert!(seen.stopped().holds(), "{seen:?}");
    assert_eq!(seen.marker().unwrap().as_str(), stop.run());

    // Somebody lets one column be written again.
    let app = format!("{}_app", world.scratch.name());
    let grant = format!("begin read write; grant update (title) on conversations to {app}; commit");
    run(&mut world.owner().await, &grant).await.unwrap();
    let seen = guard.observe(&world.target()).await.unwrap();
    assert_eq!(seen.state(), TargetState::PartlyStopped);
    let said: Vec<_> = seen.caveats().iter().map(|caveat| caveat.get(Lang::En)).collect();
    assert!(
        said.iter()
            .any(|caveat| caveat.starts_with("roles that can still write") && caveat.contains(&app)),
        "{said:?}"
    );
    world.close().await;
}

#[tokio::test]
async fn a_transaction_that_has_written_keeps_the_stop_from_being_settled() {
    // REVOKE does not wait for it, and what it has written commits all the same.
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    run(&mut root, "begin").await.unwrap();
    run(&mut root, WRITE).await.unwrap();
    // The owner may not end a superuser's session.
    world.stop().await;
    let guard = world.guard();
    let seen = guard.observe(&world.target()).await.unwrap();
    assert_eq!(seen.state(), TargetState::Stopped);
    assert!(matches!(seen.stopped(), Verdict::NotYet { .. }), "{seen:?}");
    let said = format!("{:?}", seen.caveats());
    assert!(said.contains("1 open sessions cannot be ended"), "{said}");
    run(&mut root, "rollback").await.unwrap();
    let seen = guard.observe(&world.target()).await.unwrap();
    assert!(seen.stopped().holds(), "{seen:?}");
    world.close().await;
}

#[tokio::test]
async fn a_prepared_transaction_is_named_and_keeps_the_stop_from_being_settled() {
    // A read-only session may commit it.
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    let allowed: i32 = sqlx::query_scalar("select current_setting('max_prepared_transactions')::int")
        .fetch_one(&mut root)
        .await
        .unwrap();
    if allowed == 0 {
        eprintln!("LEFT OUT: the server allows no prepared transactions");
        return world.close().await;
    }
    run(
        &mut root,
        "begin; insert into conversations (title) values ('x'); prepare transaction 'ops_test'",
    )
    .await
    .unwrap();
    world.stop().await;
    let seen = world.guard().observe(&world.target()).await.unwrap();
    let said = format!("{:?}", seen.caveats());
    assert!(said.contains("1 prepared transactions"), "{said}");
    assert_eq!(seen.state(), TargetState::Stopped);
    assert!(matches!(seen.stopped(), Verdict::NotYet { .. }), "{seen:?}");
    run(&mut root, "rollback prepared 'ops_test'").await.unwrap();
    let seen = world.guard().observe(&world.target()).await.unwrap();
    assert!(seen.stopped().holds(), "{seen:?}");
    world.close().await;
}

#[tokio::test]
async fn superusers_and_owners_are_named_before_the_stop() {
    let Some(world) = World::new().await else { return };
    let seen = world.guard().observe(&world.target()).await.unwrap();
    let said = format!("{:?}", seen.caveats());
    assert!(said.contains("superusers can still write"), "{said}");
    assert!(
        said.contains(&format!("{}_owner", world.scratch.name())),
        "{said}"
    );
    assert!(said.contains("所有者"), "{said}");
    world.close().await;
}

#[tokio::test]
async fn a_role_that_owns_nothing_is_told_what_it_lacks_and_changes_nothing() {
    let Some(world) = World::new().await else { return };
    let prior = world.observe().await;
    let app = PostgresStore::connect(world.scratch.app_url()).await.unwrap();
    let error = PostgresDatabaseGuard::new(&app)
        .set_read_only(&world.target(), &key())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("ownership of the database"), "{error}");
    assert_eq!(world.observe().await, prior);
    app.close().await;
    world.close().await;
}

#[tokio::test]
async fn what_one_role_may_not_do_is_named_and_the_rest_is_done() {
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    let app = format!("{}_app", world.scratch.name());
    run(
        &mut root,
        &format!("create table foreign_table (id int); grant insert on foreign_table to {app}"),
    )
    .await
    .unwrap();
    let guard = world.guard();
    let prior = world.observe().await;
    let error = guard.set_read_only(&world.target(), &key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(
        error.to_string().contains("table public.foreign_table"),
        "{error}"
    );
    let seen = guard.observe(&world.target()).await.unwrap();
    assert_eq!(seen.state(), TargetState::PartlyStopped);
    assert_eq!(run(&mut world.app().await, WRITE).await, Err("25006".to_owned()));
    // The table that was not touched needs nothing put back.
    world.restore(&prior).await;
    assert_eq!(world.observe().await, prior);
    world.close().await;
}

#[tokio::test]
async fn a_migration_in_the_middle_does_not_hold_up_the_stop() {
    // REVOKE waits for whoever has changed the table's row of the catalog.
    let Some(world) = World::new().await else { return };
    let prior = world.observe().await;
    let mut migration = world.owner().await;
    run(&mut migration, "begin; alter table memories add column note text")
        .await
        .unwrap();
    world
        .guard()
        .set_read_only(&world.target(), &key())
        .await
        .unwrap();
    let seen = world.guard().observe(&world.target()).await.unwrap();
    assert!(seen.stopped().holds(), "{seen:?}");
    world.restore(&prior).await;
    assert_eq!(world.observe().await, prior);

    // Nobody but a superuser may end this one: everything else is closed all the same.
    let mut root = world.superuser().await;
    run(&mut root, "begin; alter table memories add column note text")
        .await
        .unwrap();
    let error = world
        .guard()
        .set_read_only(&world.target(), &key())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let mut app = world.app().await;
    run(&mut app, "set default_transaction_read_only = off")
        .await
        .unwrap();
    assert_eq!(run(&mut app, WRITE).await, Err("42501".to_owned()));
    let seen = world.guard().observe(&world.target()).await.unwrap();
    assert_eq!(seen.state(), TargetState::PartlyStopped);
    run(&mut root, "rollback").await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn sessions_of_an_exempt_role_live_on() {
    let Some(world) = World::new().await else { return };
    let mut audit: PgConnection = session(world.scratch.audit_url()).await;
    world.stop().await;
    audit.ping().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn another_database_is_not_found() {
    let Some(world) = World::new().await else { return };
    let guard = world.guard();
    let other = PostgresDatabaseGuard::target("postgres").unwrap();
    assert_eq!(
        guard.observe(&other).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let error = guard.set_read_only(&other, &key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    world.close().await;
}
