//! What stands in the way of a stop or a restore, and what is done all the same.

use std::time::Duration;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::TargetState;
use ops_core::ports::DatabaseGuard;
use sqlx::{Connection, PgConnection};

use super::world::{World, key, run, session};

const WRITE: &str = "insert into conversations (title) values ('after')";

async fn stop(world: &World) -> Result<(), Error> {
    world.guard().set_read_only(&world.target(), &key()).await?;
    Ok(())
}

async fn state(world: &World) -> TargetState {
    let seen = world.guard().observe(&world.target()).await.unwrap();
    seen.state()
}

/// A write of the application's role that the read-only default does not hold back.
async fn determined(world: &World, write: &str) -> Result<(), String> {
    let mut app = world.app().await;
    run(&mut app, "set default_transaction_read_only = off")
        .await
        .unwrap();
    run(&mut app, write).await
}

async fn assert_the_rest_is_closed(world: &World, old: &mut PgConnection) {
    assert!(old.ping().await.is_err(), "the old session must have been ended");
    assert_eq!(determined(world, WRITE).await, Err("42501".to_owned()));
    assert_eq!(state(world).await, TargetState::PartlyStopped);
}

#[tokio::test]
async fn a_table_in_a_schema_that_is_closed_to_the_guard_does_not_keep_the_rest_open() {
    // The owner of a table may not even name it without USAGE on its schema.
    let Some(world) = World::new().await else { return };
    let name = world.scratch.name();
    let hidden = format!(
        "create schema hidden; create table hidden.t (id int); alter table hidden.t owner to {name}_owner;
         grant insert on hidden.t to {name}_app"
    );
    run(&mut world.superuser().await, &hidden).await.unwrap();
    let mut old = world.app().await;
    let prior = world.observe().await;
    let error = stop(&world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("table hidden.t"), "{error}");
    assert_the_rest_is_closed(&world, &mut old).await;
    world.restore(&prior).await;
    assert_eq!(world.observe().await, prior);
    world.close().await;
}

#[tokio::test]
async fn an_event_trigger_that_raises_costs_only_what_it_raises_for() {
    let Some(world) = World::new().await else { return };
    let trigger = "
        create function forbid() returns event_trigger language plpgsql as $$
        begin if current_query() like '%memories%' then raise exception 'not this one'; end if; end $$;
        create event trigger forbid on ddl_command_end when tag in ('REVOKE') execute function forbid()";
    run(&mut world.superuser().await, trigger).await.unwrap();
    let mut old = world.app().await;
    let error = stop(&world).await.unwrap_err();
    assert!(error.to_string().contains("table public.memories"), "{error}");
    assert!(error.to_string().contains("P0001"), "{error}");
    assert_the_rest_is_closed(&world, &mut old).await;
    world.close().await;
}

#[tokio::test]
async fn a_table_that_is_dropped_while_the_stop_waits_for_it_is_no_failure() {
    let Some(world) = World::new().await else { return };
    let audit = world.scratch.audit_role();
    let doomed = format!("create table doomed (id int); alter table doomed owner to {audit}");
    run(&mut world.superuser().await, &doomed).await.unwrap();
    let grant = format!("grant insert on doomed to {}_app", world.scratch.name());
    // The stop spares the sessions of this role. It owns the table, so that only a member can take privileges on it.
    let mut exempt = session(world.scratch.audit_url()).await;
    run(&mut exempt, &grant).await.unwrap();
    let member = format!("grant {audit} to {}_owner", world.scratch.name());
    run(&mut world.superuser().await, &member).await.unwrap();
    run(&mut exempt, "begin; drop table doomed").await.unwrap();

    let waiting = async {
        let mut root = world.superuser().await;
        let name = world.scratch.name();
        loop {
            let held: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'",
            )
            .bind(name)
            .fetch_one(&mut root)
            .await
            .unwrap();
            if held > 0 {
                return run(&mut exempt, "commit").await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (stopped, ()) = tokio::join!(stop(&world), waiting);
    stopped.unwrap();
    assert_eq!(determined(&world, WRITE).await, Err("42501".to_owned()));
    world.close().await;
}

#[tokio::test]
async fn many_tables_held_up_leave_the_others_closed_within_the_time_of_a_step() {
    // Waiting half a second for each would take more than a minute, and whoever gives up on a transaction has nothing.
    let Some(world) = World::new().await else { return };
    let make = format!(
        "do $$ begin for i in 1..150 loop execute format('create table held_%s (id int)', i);
         execute format('grant insert on held_%s to {0}_app', i); end loop; end $$;
         create table zzz_last (id int); grant insert on zzz_last to {0}_app",
        world.scratch.name()
    );
    run(&mut world.owner().await, &make).await.unwrap();
    let mut root = world.superuser().await;
    let hold = "begin; do $$ begin for i in 1..150 loop
                execute format('alter table held_%s add column note text', i); end loop; end $$";
    run(&mut root, hold).await.unwrap();
    let mut old = world.app().await;

    let step = Duration::from_secs(10);
    let error = tokio::time::timeout(step, stop(&world))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("table public.held_1"), "{error}");
    assert!(error.to_string().contains("and 145 more"), "{error}");
    assert_the_rest_is_closed(&world, &mut old).await;
    assert_eq!(
        determined(&world, "insert into zzz_last values (1)").await,
        Err("42501".to_owned())
    );
    run(&mut root, "rollback").await.unwrap();
    stop(&world).await.unwrap();
    assert_eq!(state(&world).await, TargetState::Stopped);
    world.close().await;
}

#[tokio::test]
async fn a_transaction_on_the_row_of_the_database_holds_up_only_what_is_said_there() {
    let Some(world) = World::new().await else { return };
    let name = world.scratch.name();
    let mut root = world.superuser().await;
    let hold = format!(
        "begin; alter database {name} connection limit 50; alter database {name} set work_mem = '8MB'"
    );
    run(&mut root, &hold).await.unwrap();
    run(
        &mut world.owner().await,
        &format!("grant create on schema public to {name}_app"),
    )
    .await
    .unwrap();
    let mut old = world.app().await;
    let error = stop(&world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let said = error.to_string();
    assert!(said.contains("the database"), "{said}");
    assert!(said.contains("the read-only default of the database"), "{said}");
    assert_the_rest_is_closed(&world, &mut old).await;
    run(&mut root, "rollback").await.unwrap();
    stop(&world).await.unwrap();
    assert_eq!(state(&world).await, TargetState::Stopped);
    world.close().await;
}

#[tokio::test]
async fn a_column_that_was_dropped_meanwhile_is_named_and_the_rest_comes_back() {
    let Some(world) = World::new().await else { return };
    let name = world.scratch.name();
    let make = format!(
        "create table t (id int, note text, \"Odd\" int); grant insert (id, note), update (\"Odd\") on t to {name}_app"
    );
    run(&mut world.owner().await, &make).await.unwrap();
    let prior = world.stop().await;
    let drop = "begin read write; alter table t drop column note, drop column \"Odd\"; commit";
    run(&mut world.superuser().await, drop).await.unwrap();
    let accepted = world.guard().restore(&prior, &key()).await.unwrap();
    let left_out = "left out, gone meanwhile: column Odd of table public.t, column note of table public.t";
    assert_eq!(accepted.receipt(), Some(left_out));
    let mut app = world.app().await;
    run(&mut app, "insert into t (id) values (1)").await.unwrap();
    run(&mut app, WRITE).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_table_that_others_put_into_our_schema_is_covered_and_ours_go_on() {
    let Some(world) = World::new().await else { return };
    let make = format!(
        "create table ops.theirs (id int); grant insert on ops.theirs to {0}_app;
         grant usage, create on schema ops to {0}_app",
        world.scratch.name()
    );
    run(&mut world.owner().await, &make).await.unwrap();
    let prior = world.stop().await;
    assert_eq!(state(&world).await, TargetState::Stopped);
    for write in [
        "insert into ops.theirs values (1)",
        "create table ops.another (id int)",
    ] {
        assert_eq!(
            determined(&world, write).await,
            Err("42501".to_owned()),
            "{write}"
        );
    }
    // The owner may still make the tables of a newer version.
    run(
        &mut world.owner().await,
        "begin read write; create table ops.newer (id int); drop table ops.newer; commit",
    )
    .await
    .unwrap();
    world.restore(&prior).await;
    assert_eq!(world.observe().await, prior);
    world.close().await;
}

#[tokio::test]
async fn a_role_that_may_become_one_that_writes_is_counted_among_the_writers() {
    // SET ROLE needs membership only: a role that does not inherit has the privileges as soon as it asks.
    let Some(world) = World::new().await else { return };
    let role = format!("{}_sleeper", world.scratch.name());
    let make = format!(
        "create role {role} login noinherit; grant {0} to {role}; grant insert on conversations to {0}",
        world.scratch.audit_role()
    );
    run(&mut world.superuser().await, &make).await.unwrap();
    world.stop().await;
    let seen = world.guard().observe(&world.target()).await.unwrap();
    assert_eq!(seen.state(), TargetState::PartlyStopped);
    let said = format!("{:?}", seen.caveats());
    assert!(
        said.contains(&format!("roles that can still write: {role}")),
        "{said}"
    );
    let drop = format!("begin read write; drop role {role}; commit");
    run(&mut world.superuser().await, &drop).await.unwrap();
    assert_eq!(state(&world).await, TargetState::Stopped);
    world.close().await;
}
