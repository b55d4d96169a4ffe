//! What an observation says of ways past the read-only mode.

use ops_core::model::Lang;
use ops_core::ports::DatabaseGuard;

use super::world::{World, run, session};

/// What the observation says, as text.
async fn said(world: &World) -> String {
    let seen = world.guard().observe(&world.target()).await.unwrap();
    let said: Vec<_> = seen
        .caveats()
        .iter()
        .map(|caveat| caveat.get(Lang::En).to_owned())
        .collect();
    said.join("\n")
}

fn line<'a>(said: &'a str, start: &str) -> &'a str {
    said.lines().find(|line| line.contains(start)).unwrap_or_default()
}

#[tokio::test]
async fn a_role_that_may_make_roles_is_named() {
    // Until PostgreSQL 15 it may grant pg_write_all_data to whomever it likes.
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&mut root)
        .await
        .unwrap();
    let app = format!("{}_app", world.scratch.name());
    assert!(!line(&said(&world).await, "CREATEROLE").contains(&app));
    run(&mut root, &format!("alter role {app} createrole"))
        .await
        .unwrap();
    let named = line(&said(&world).await, "CREATEROLE").contains(&app);
    assert_eq!(named, version < 160_000);
    world.close().await;
}

#[tokio::test]
async fn members_of_an_owner_that_does_not_log_in_are_named() {
    let Some(world) = World::new().await else { return };
    let app = format!("{}_app", world.scratch.name());
    let group = format!("{}_group", world.scratch.name());
    assert!(!line(&said(&world).await, "owners").contains(&app));
    let make = format!(
        "create role {group} nologin; grant {group} to {app};
         create schema theirs; alter schema theirs owner to {group}"
    );
    let mut root = world.superuser().await;
    run(&mut root, &make).await.unwrap();
    assert!(line(&said(&world).await, "owners").contains(&app));
    run(&mut root, &format!("drop schema theirs; drop role {group}"))
        .await
        .unwrap();
    world.close().await;
}

#[tokio::test]
async fn functions_with_the_rights_of_an_exempt_role_are_counted() {
    let Some(world) = World::new().await else { return };
    assert_eq!(line(&said(&world).await, "functions"), "");
    let make = format!(
        "create function public.late() returns void language sql security definer as 'select';
         alter function public.late() owner to {}",
        world.scratch.audit_role()
    );
    run(&mut world.superuser().await, &make).await.unwrap();
    assert!(line(&said(&world).await, "functions").starts_with("1 functions"));
    world.close().await;
}

#[tokio::test]
async fn enabled_subscriptions_and_sessions_of_superusers_are_named() {
    let Some(world) = World::new().await else { return };
    let before = said(&world).await;
    assert_eq!(line(&before, "subscriptions"), "");
    assert_eq!(line(&before, "WARNING"), "");
    let mut root = world.superuser().await;
    let make = "create subscription feed connection 'host=127.0.0.1 port=1' publication p
                with (connect = false, slot_name = 'x')";
    run(&mut root, make).await.unwrap();
    let disabled = said(&world).await;
    assert_eq!(line(&disabled, "subscriptions"), "");
    assert!(line(&disabled, "WARNING").contains("1 sessions of superusers"));
    run(&mut root, "alter subscription feed enable").await.unwrap();
    let enabled = said(&world).await;
    run(&mut root, "alter subscription feed disable").await.unwrap();
    run(&mut root, "alter subscription feed set (slot_name = none)")
        .await
        .unwrap();
    run(&mut root, "drop subscription feed").await.unwrap();
    assert!(line(&enabled, "subscriptions").ends_with("feed"), "{enabled}");
    world.close().await;
}

#[tokio::test]
async fn a_reference_to_a_covered_table_stops_an_exempt_role_and_is_named() {
    // The check runs as the owner of the table that is referred to, and locks its row: that needs UPDATE.
    let Some(world) = World::new().await else { return };
    let make = format!(
        "create table notes (of bigint references conversations); grant insert on notes to {}",
        world.scratch.audit_role()
    );
    assert_eq!(line(&said(&world).await, "refer to"), "");
    run(&mut world.owner().await, &make).await.unwrap();
    assert!(line(&said(&world).await, "refer to").ends_with("public.notes"));
    world.stop().await;
    let mut audit = session(world.scratch.audit_url()).await;
    run(&mut audit, "insert into notes values (null)").await.unwrap();
    let refused = run(&mut audit, "insert into notes select 1").await;
    assert_eq!(refused, Err("42501".to_owned()));
    world.close().await;
}
