use ops_core::error::ErrorKind;
use ops_postgres::{PostgresStore, ScratchDatabase};
use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::world::{World, admin_url, count, run, session};

#[tokio::test]
async fn a_scratch_database_refuses_to_take_over_an_existing_one() {
    let Some(world) = World::new().await else { return };
    let admin = admin_url().await.unwrap();
    let again = ScratchDatabase::create(&admin, world.scratch.name()).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(count(&mut world.app().await, "conversations").await, 2);

    let odd = ScratchDatabase::create(&admin, "x\"; drop database postgres; --").await;
    assert_eq!(odd.unwrap_err().kind(), ErrorKind::InvalidInput);
    world.close().await;
}

#[tokio::test]
async fn dropping_it_ends_sessions_and_leaves_no_role() {
    let Some(world) = World::new().await else { return };
    let mut app = world.app().await;
    let name = world.scratch.name().to_owned();
    world.close().await;
    assert!(run(&mut app, "select 1").await.is_err());
    let mut admin = session(&admin_url().await.unwrap()).await;
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from pg_database where datname = $1) + (select count(*) from pg_roles where starts_with(rolname, $1))",
    )
    .bind(name)
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn no_error_and_no_debug_output_shows_a_password() {
    let Some(world) = World::new().await else { return };
    let url = world.scratch.app_url().expose_secret().to_owned();
    let password = url.split([':', '@']).nth(2).unwrap().to_owned();
    assert_eq!(password.len(), 64, "the test must look for the password");
    let port_closed = url.replace(&format!("/{}", world.scratch.name()), "/nowhere");
    let error = PostgresStore::connect(&SecretString::from(port_closed))
        .await
        .unwrap_err();
    let broken = SecretString::from(format!("postgres//{password}@"));
    let unreadable = PostgresStore::connect(&broken).await.unwrap_err();
    assert_eq!(unreadable.kind(), ErrorKind::InvalidConfig);
    let shown = format!(
        "{:?} {:?} {error} {error:?} {unreadable}",
        world.scratch, world.store
    );
    assert!(!shown.contains(&password), "{shown}");
    world.close().await;
}

#[tokio::test]
async fn migrating_twice_and_while_read_only_changes_nothing() {
    let Some(world) = World::new().await else { return };
    world.store.migrate().await.unwrap();
    world.store.check_schema().await.unwrap();
    // The stop takes CREATE on the database from its owner: a second process must come up all the same.
    let prior = world.stop().await;
    let second = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
    second.migrate().await.unwrap();
    second.close().await;
    world.restore(&prior).await;
    world.close().await;
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_is_enough() {
    let Some(world) = World::new().await else { return };
    let name = world.scratch.name().replace("ops_test", "ops_adm");
    let mut root = world.superuser().await;
    run(
        &mut root,
        &format!("create role {name}_admin login createdb createrole password 'secret'"),
    )
    .await
    .unwrap();
    let options: PgConnectOptions = admin_url().await.unwrap().expose_secret().parse().unwrap();
    let login = options.username(&format!("{name}_admin")).password("secret");
    let admin = SecretString::from(login.to_url_lossy().to_string());

    let scratch = ScratchDatabase::create(&admin, &name).await.unwrap();
    assert_eq!(count(&mut session(scratch.app_url()).await, "memories").await, 2);
    scratch.drop_all().await.unwrap();
    run(&mut root, &format!("drop role {name}_admin")).await.unwrap();
    world.close().await;
}
