//! What each strength of read-only mode stops, what it does not, and that it says so.

use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::{Lang, Observation, ReadOnlyStrength, TargetState, Verdict};
use ops_core::ports::DatabaseGuard;
use ops_postgres::{PostgresDatabaseGuard, PostgresStore, WriteProbe};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::pooler;
use super::world::{World, key, run, session};

const WRITE: &str = "insert into conversations (title) values ('after')";
const LIFT: &str = "set default_transaction_read_only = off";
const READ_ONLY: &str = "25006";
const DENIED: &str = "42501";
const SPARED: &str = "1 sessions are spared as exports";

fn guard(world: &World, strength: ReadOnlyStrength) -> PostgresDatabaseGuard {
    world.guard().with_strength(strength)
}

async fn stop(world: &World, guard: &PostgresDatabaseGuard) -> Option<String> {
    let accepted = guard.set_read_only(&world.target(), &key()).await.unwrap();
    accepted.receipt().map(str::to_owned)
}

async fn observe(world: &World, guard: &PostgresDatabaseGuard) -> Observation {
    guard.observe(&world.target()).await.unwrap()
}

/// What is observed once it holds and says this, as the engine waits for it: on a busy machine a session that was ended may take longer to go than the stop waits.
async fn settled(world: &World, guard: &PostgresDatabaseGuard, what: &str) -> Observation {
    let mut seen = observe(world, guard).await;
    for _ in 0..1_000 {
        if seen.stopped().holds() && said(&seen).contains(what) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        seen = observe(world, guard).await;
    }
    seen
}

fn said(observation: &Observation) -> String {
    let said: Vec<_> = observation
        .caveats()
        .iter()
        .map(|caveat| caveat.get(Lang::En))
        .collect();
    said.join("\n")
}

async fn denied(session: &mut PgConnection, code: &str) {
    assert_eq!(run(session, WRITE).await, Err(code.to_owned()));
}

/// Every setting of roles and databases that concerns this one, as the server keeps it.
async fn settings(world: &World) -> Vec<(String, String)> {
    let query = "select coalesce(r.rolname::text, ''), s.setconfig::text from pg_db_role_setting s
                 left join pg_roles r on r.oid = s.setrole
                 where s.setdatabase = (select oid from pg_database where datname = current_database())
                    or r.rolname like $1 order by 1, 2";
    sqlx::query_as(query)
        .bind(format!("{}%", world.scratch.name()))
        .fetch_all(&mut world.superuser().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_brake_reaches_new_sessions_only_and_says_so() {
    let Some(world) = World::new().await else { return };
    let brake = guard(&world, ReadOnlyStrength::Brake);
    let capability = brake.capability();
    assert!(!capability.covers_open_sessions && !capability.withstands_session_settings);
    let limits = format!("{:?}", capability.limitations);
    for limit in [
        "sessions that are open go on writing",
        "lift the mode for itself",
        "COMMIT PREPARED",
        "large objects",
    ] {
        assert!(limits.contains(limit), "{limits}");
    }

    let mut old = world.app().await;
    let prior = observe(&world, &brake).await;
    stop(&world, &brake).await;
    run(&mut old, WRITE).await.unwrap();
    denied(&mut world.app().await, READ_ONLY).await;
    let mut lifting = world.app().await;
    run(&mut lifting, LIFT).await.unwrap();
    run(&mut lifting, WRITE).await.unwrap();
    run(
        &mut world.superuser().await,
        &format!("begin read write; {WRITE}; commit"),
    )
    .await
    .unwrap();
    let seen = observe(&world, &brake).await;
    assert!(seen.stopped().holds(), "{seen:?}");
    assert!(
        said(&seen).contains("sessions from before are still open"),
        "{}",
        said(&seen)
    );
    // The same database, judged by what a wall is.
    assert_eq!(
        observe(&world, &world.guard()).await.state(),
        TargetState::PartlyStopped
    );

    world.restore(prior.snapshot()).await;
    run(&mut world.app().await, WRITE).await.unwrap();
    assert_eq!(world.observe().await, *prior.snapshot());
    world.close().await;
}

#[tokio::test]
async fn a_role_whose_own_setting_beats_the_databases_is_braked_too_and_gets_it_back() {
    let Some(world) = World::new().await else { return };
    let (name, app) = (world.scratch.name(), format!("{}_app", world.scratch.name()));
    let mut root = world.superuser().await;
    let make = format!(
        "create role {app}_two login password 'x'; grant {app} to {app}_two; grant {app}_two to {name}_owner;
         alter role {app} in database {name} set default_transaction_read_only = off;
         alter role {app} in database {name} set work_mem = '8MB';
         alter role {app}_two set default_transaction_read_only = 'no';
         alter database {name} set work_mem = '7MB'"
    );
    run(&mut root, &make).await.unwrap();
    let before = settings(&world).await;

    for strength in [ReadOnlyStrength::Brake, ReadOnlyStrength::Strict] {
        let guard = guard(&world, strength);
        let prior = observe(&world, &guard).await;
        assert!(
            said(&prior).contains(&format!("beats the database's: {app}, {app}_two")),
            "{}",
            said(&prior)
        );
        stop(&world, &guard).await;
        denied(&mut world.app().await, READ_ONLY).await;
        let options: PgConnectOptions = world.scratch.app_url().expose_secret().parse().unwrap();
        let two = options.username(&format!("{app}_two")).password("x");
        denied(&mut two.connect().await.unwrap(), READ_ONLY).await;
        assert!(observe(&world, &guard).await.stopped().holds());
        world.restore(prior.snapshot()).await;
        assert_eq!(settings(&world).await, before, "{strength}");
        assert_eq!(world.observe().await, *prior.snapshot());
    }

    // A role that is neither ours nor within reach keeps its setting: the state says so, and the error names the right.
    run(&mut root, &format!("revoke {app}_two from {name}_owner"))
        .await
        .unwrap();
    let brake = guard(&world, ReadOnlyStrength::Brake);
    let prior = observe(&world, &brake).await;
    let error = brake.set_read_only(&world.target(), &key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error
            .to_string()
            .contains(&format!("the right to alter role {app}_two")),
        "{error}"
    );
    assert_eq!(observe(&world, &brake).await.state(), TargetState::PartlyStopped);
    denied(&mut world.app().await, READ_ONLY).await;
    world.restore(prior.snapshot()).await;
    assert_eq!(settings(&world).await, before);
    run(&mut root, &format!("drop role {app}_two")).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn strict_ends_the_others_and_proves_that_their_writes_are_over() {
    let Some(world) = World::new().await else { return };
    let strict = guard(&world, ReadOnlyStrength::Strict);
    assert!(strict.capability().covers_open_sessions && !strict.capability().withstands_session_settings);
    let (mut busy, mut lifted) = (world.app().await, world.app().await);
    run(&mut busy, &format!("begin; {WRITE}")).await.unwrap();
    run(&mut lifted, LIFT).await.unwrap();
    let prior = observe(&world, &strict).await;

    let found = stop(&world, &strict).await.unwrap();
    assert_eq!(found, "drained: 2 tables locked against writers and released");
    for old in [&mut busy, &mut lifted] {
        assert!(old.ping().await.is_err(), "ended, whatever it had set");
    }
    denied(&mut world.app().await, READ_ONLY).await;
    assert!(observe(&world, &strict).await.stopped().holds());
    // What it says that it cannot stop.
    let mut lifting = world.app().await;
    run(&mut lifting, LIFT).await.unwrap();
    run(&mut lifting, WRITE).await.unwrap();
    world.restore(prior.snapshot()).await;
    assert_eq!(world.observe().await, *prior.snapshot());
    world.close().await;
}

#[tokio::test]
async fn a_writer_that_cannot_be_ended_is_found_by_the_lock() {
    // The privileges of a superuser cannot be taken, nor its session ended by an owner; REVOKE waits for nobody.
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    run(&mut root, &format!("begin; {WRITE}")).await.unwrap();
    for strength in [ReadOnlyStrength::Strict, ReadOnlyStrength::Wall] {
        let guard = guard(&world, strength);
        let found = stop(&world, &guard).await.unwrap();
        assert!(found.contains("drained: 1 tables"), "{strength}: {found}");
        assert!(
            found.contains("1 still held by a transaction"),
            "{strength}: {found}"
        );
        let seen = observe(&world, &guard).await;
        assert!(
            matches!(seen.stopped(), Verdict::NotYet { .. }),
            "{strength}: {seen:?}"
        );
    }
    run(&mut root, "rollback").await.unwrap();
    let found = stop(&world, &world.guard()).await.unwrap();
    assert_eq!(found, "drained: 2 tables locked against writers and released");
    world.close().await;
}

#[tokio::test]
async fn prepared_transactions_are_named_and_rolled_back_only_if_asked() {
    let Some(world) = World::new().await else { return };
    let mut app = world.app().await;
    let prepare = format!(
        "begin; {WRITE}; prepare transaction 'it''s {}'",
        world.scratch.name()
    );
    if run(&mut app, &prepare).await == Err("55000".to_owned()) {
        eprintln!("LEFT OUT: the server allows no prepared transactions");
        return world.close().await;
    }
    let strict = guard(&world, ReadOnlyStrength::Strict);
    stop(&world, &strict).await;
    let seen = observe(&world, &strict).await;
    assert!(said(&seen).contains("1 prepared transactions"), "{}", said(&seen));
    assert!(matches!(seen.stopped(), Verdict::NotYet { .. }));
    assert!(!strict.capability().throws_away);

    let strict = strict.rolling_back_prepared(true);
    assert!(strict.capability().throws_away);
    assert!(format!("{:?}", strict.capability().limitations).contains("nothing brings them back"));
    let found = stop(&world, &strict).await.unwrap();
    assert!(
        found.starts_with("prepared transactions rolled back: 1; drained"),
        "{found}"
    );
    assert!(observe(&world, &strict).await.stopped().holds());
    world.close().await;
}

#[tokio::test]
async fn a_prepared_transaction_is_committed_by_a_read_only_session() {
    // So a stop that did not count them would call itself settled, and a row would appear afterwards.
    let Some(world) = World::new().await else { return };
    let mut app = world.app().await;
    let name = world.scratch.name();
    if run(&mut app, &format!("begin; {WRITE}; prepare transaction '{name}'"))
        .await
        .is_err()
    {
        eprintln!("LEFT OUT: the server allows no prepared transactions");
        return world.close().await;
    }
    world.stop().await;
    let mut read_only = world.app().await;
    run(&mut read_only, &format!("commit prepared '{name}'"))
        .await
        .unwrap();
    let seen = observe(&world, &world.guard()).await;
    assert!(seen.stopped().holds(), "now nothing is left: {seen:?}");
    world.close().await;
}

#[tokio::test]
async fn a_running_export_lives_on_unless_it_has_written() {
    let Some(world) = World::new().await else { return };
    let options: PgConnectOptions = world.scratch.app_url().expose_secret().parse().unwrap();
    let options = options.application_name("pg_dump");
    let mut export = options.connect().await.unwrap();
    run(
        &mut export,
        "begin isolation level repeatable read read only; select * from conversations",
    )
    .await
    .unwrap();
    let mut pretender = options.connect().await.unwrap();
    run(&mut pretender, &format!("begin; {WRITE}")).await.unwrap();
    for strength in [ReadOnlyStrength::Strict, ReadOnlyStrength::Wall] {
        let guard = guard(&world, strength);
        stop(&world, &guard).await;
        export.ping().await.unwrap();
        assert!(pretender.ping().await.is_err(), "{strength}");
        let seen = settled(&world, &guard, SPARED).await;
        assert!(seen.stopped().holds(), "{seen:?}");
        assert!(said(&seen).contains(SPARED), "{}", said(&seen));
    }
    run(&mut export, "select * from memories; commit").await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_pooled_client_writes_past_the_brake_and_for_others_past_strict_and_not_past_the_wall() {
    let Some(world) = World::new().await else { return };
    let Some(pooler) = pooler::start(world.scratch.app_url()) else {
        return;
    };
    let pooled = pooler.url(world.scratch.app_url());
    // The pooler now has a server connection, from before.
    run(&mut session(&pooled).await, WRITE).await.unwrap();

    stop(&world, &guard(&world, ReadOnlyStrength::Brake)).await;
    denied(&mut world.app().await, READ_ONLY).await;
    run(&mut session(&pooled).await, WRITE)
        .await
        .expect("a client from after gets the connection from before");

    stop(&world, &guard(&world, ReadOnlyStrength::Strict)).await;
    let mut client = session(&pooled).await;
    denied(&mut client, READ_ONLY).await;
    run(&mut client, LIFT).await.unwrap();
    run(&mut session(&pooled).await, WRITE)
        .await
        .expect("another client, with what the first one has set");

    stop(&world, &world.guard()).await;
    // The pooler may hand the next statement to a connection of after the wall; nothing gets through either.
    let mut refused = Vec::new();
    for _ in 0..10 {
        let mut client = session(&pooled).await;
        run(&mut client, LIFT).await.unwrap();
        refused.push(run(&mut client, WRITE).await.expect_err("behind the wall"));
        refused.push(
            run(&mut session(&pooled).await, WRITE)
                .await
                .expect_err("behind the wall"),
        );
    }
    assert!(
        refused
            .iter()
            .all(|code| [DENIED, READ_ONLY].contains(&code.as_str())),
        "{refused:?}"
    );
    assert!(refused.iter().any(|code| code == DENIED), "{refused:?}");
    drop(pooler);
    world.close().await;
}

#[tokio::test]
async fn the_probe_tries_a_write_in_four_ways_and_reports_each() {
    let Some(world) = World::new().await else { return };
    for (strength, expected) in [
        (
            ReadOnlyStrength::Brake,
            "session from before wrote, session with its own SET wrote, fresh session refused (25006), pooled session wrote",
        ),
        (
            ReadOnlyStrength::Strict,
            "session from before was ended, session with its own SET wrote, fresh session refused (25006), pooled session refused (25006)",
        ),
        (
            ReadOnlyStrength::Wall,
            "session from before was ended, session with its own SET refused (42501), fresh session refused (25006), \
             pooled session refused (25006)",
        ),
    ] {
        let Some(pooler) = pooler::start(world.scratch.app_url()) else {
            return;
        };
        let probe = WriteProbe::new(world.scratch.app_url()).unwrap();
        let pooled = pooler.url(world.scratch.app_url());
        run(&mut session(&pooled).await, WRITE).await.unwrap();
        let guard = guard(&world, strength).with_probe(probe.with_pooler(&pooled).unwrap());
        let prior = observe(&world, &guard).await;
        assert!(
            !said(&prior).contains("a write was tried"),
            "nothing is in force yet"
        );
        stop(&world, &guard).await;
        let seen = observe(&world, &guard).await;
        assert!(seen.stopped().holds(), "{strength}: {seen:?}");
        let line = said(&seen)
            .lines()
            .find(|line| line.starts_with("a write was tried"))
            .unwrap()
            .to_owned();
        // The pooler may or may not have noticed yet that its connection was ended.
        let lost = "pooled session not tried: the session was lost";
        let line = line.replace(lost, "pooled session was ended");
        let line = line.replace("pooled session was ended", "pooled session refused (25006)");
        assert_eq!(line, format!("a write was tried: {expected}"), "{strength}");
        world.restore(prior.snapshot()).await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_write_that_gets_past_the_wall_is_seen_by_the_probe() {
    // The catalogue says that the role may write nothing; the probe's role was let through by a superuser meanwhile, on another table.
    let Some(world) = World::new().await else { return };
    let guard = world
        .guard()
        .with_probe(WriteProbe::new(world.scratch.owner_url()).unwrap());
    stop(&world, &guard).await;
    assert!(observe(&world, &guard).await.stopped().holds());
    run(
        &mut world.superuser().await,
        &format!(
            "begin read write; alter role {}_owner superuser; commit",
            world.scratch.name()
        ),
    )
    .await
    .unwrap();
    let seen = observe(&world, &guard).await;
    assert_eq!(seen.state(), TargetState::PartlyStopped, "{}", said(&seen));
    assert!(
        said(&seen).contains("session with its own SET wrote"),
        "{}",
        said(&seen)
    );
    run(
        &mut world.superuser().await,
        &format!(
            "begin read write; alter role {}_owner nosuperuser; commit",
            world.scratch.name()
        ),
    )
    .await
    .unwrap();
    world.close().await;
}

#[tokio::test]
async fn a_plain_owner_of_the_database_alone_can_brake_and_is_told_what_a_wall_needs() {
    // As on Cloud SQL or Supabase: no superuser, and the tables belong to somebody else.
    let Some(world) = World::new().await else { return };
    let name = world.scratch.name();
    let make = format!(
        "create role {name}_plain login password 'x'; alter database {name} owner to {name}_plain;
         grant usage, create on schema ops to {name}_plain;
         grant select, insert, update, delete on all tables in schema ops to {name}_plain"
    );
    run(&mut world.superuser().await, &make).await.unwrap();
    let options: PgConnectOptions = world.scratch.owner_url().expose_secret().parse().unwrap();
    let url = options
        .username(&format!("{name}_plain"))
        .password("x")
        .to_url_lossy()
        .to_string();
    let store = PostgresStore::connect(&url.into()).await.unwrap();
    let brake = PostgresDatabaseGuard::new(&store).with_strength(ReadOnlyStrength::Brake);
    let prior = brake.observe(&world.target()).await.unwrap();
    brake.set_read_only(&world.target(), &key()).await.unwrap();
    assert!(brake.observe(&world.target()).await.unwrap().stopped().holds());
    denied(&mut world.app().await, READ_ONLY).await;

    let wall = PostgresDatabaseGuard::new(&store);
    let error = wall.set_read_only(&world.target(), &key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("membership in {name}_owner, the owner of")),
        "{error}"
    );
    brake.restore(prior.snapshot(), &key()).await.unwrap();
    run(&mut world.app().await, WRITE).await.unwrap();
    let after = brake.observe(&world.target()).await.unwrap();
    assert_eq!(after.snapshot(), prior.snapshot());
    store.close().await;
    let back = format!(
        "alter database {name} owner to {name}_owner; drop owned by {name}_plain; drop role {name}_plain"
    );
    run(&mut world.superuser().await, &back).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn what_passes_every_strength_is_said_beforehand() {
    let Some(world) = World::new().await else { return };
    let mut old = world.app().await;
    run(&mut old, "create temporary table mine (id int)")
        .await
        .unwrap();
    for strength in ReadOnlyStrength::ALL {
        let guard = guard(&world, strength);
        let limits = format!("{:?}", guard.capability().limitations);
        assert!(
            limits.contains("large objects") && limits.contains("temporary tables"),
            "{limits}"
        );
        stop(&world, &guard).await;
        let mut app = world.app().await;
        run(
            &mut app,
            "select pg_advisory_lock(1); select txid_current(); notify nobody",
        )
        .await
        .unwrap();
        // From PostgreSQL 16 on the default holds it back, as long as nobody lifts it.
        let mut lifting = world.app().await;
        run(&mut lifting, LIFT).await.unwrap();
        run(&mut lifting, "select lo_create(0)").await.unwrap();
        for refused in [
            "create temporary table t (id int)",
            "select nextval('conversations_id_seq')",
        ] {
            assert!(run(&mut app, refused).await.is_err(), "{strength}: {refused}");
        }
        let locking = run(&mut app, "select * from conversations for update").await;
        assert!(locking.is_err(), "{strength}");
    }
    world.close().await;
}
