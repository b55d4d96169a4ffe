//! Load and connections of a real server.

use std::sync::Arc;
use std::time::Duration;

use ops_core::masking::BuiltinMasker;
use ops_core::model::{
    DatabaseSession, Lang, SessionDeed, SessionMatch, SessionRule, SessionState, SessionTrouble, TargetState,
    blocking_chains,
};
use ops_core::ports::Action;
use ops_postgres::{PostgresLoad, PostgresStore, PostgresTimeouts, SignalResult, SlowQueries, TimeoutLimits};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::world::{World, key, run};

fn load(world: &World) -> PostgresLoad {
    PostgresLoad::new(&world.store, Arc::new(BuiltinMasker::new()))
        .with_exempt_role(world.scratch.audit_role())
}

async fn pid(session: &mut PgConnection) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(session)
        .await
        .unwrap()
}

/// The session of that number, as soon as it does what `shown` waits for.
async fn seen(
    load: &PostgresLoad,
    pid: i32,
    shown: impl Fn(&DatabaseSession) -> bool,
) -> (DatabaseSession, Vec<DatabaseSession>) {
    loop {
        let sessions = load.sessions().await.unwrap();
        if let Some(session) = sessions
            .iter()
            .find(|session| session.pid == pid && shown(session))
        {
            return (session.clone(), sessions);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A transaction that nothing runs in, and two that wait for it and for each other.
async fn blocked(world: &World) -> (PgConnection, [i32; 3]) {
    let mut holder = world.app().await;
    let (mut first, mut second) = (world.app().await, world.app().await);
    let pids = [
        pid(&mut holder).await,
        pid(&mut first).await,
        pid(&mut second).await,
    ];
    run(
        &mut holder,
        "begin; update conversations set title = title where id = 1",
    )
    .await
    .unwrap();
    let load = load(world);
    tokio::spawn(async move {
        run(&mut first, "begin; update conversations set title = title where id = 2; update conversations set title = '山田太郎' where id = 1")
            .await
    });
    seen(&load, pids[1], |session| !session.blocked_by.is_empty()).await;
    tokio::spawn(
        async move { run(&mut second, "update conversations set title = title where id = 2").await },
    );
    seen(&load, pids[2], |session| !session.blocked_by.is_empty()).await;
    (holder, pids)
}

#[tokio::test]
async fn the_chain_of_blockers_leads_to_its_root_and_the_root_is_ended_by_rule() {
    let Some(world) = World::new().await else { return };
    let load = load(&world);
    let (mut holder, [root, first, second]) = blocked(&world).await;
    let sessions = load.sessions().await.unwrap();
    let chains = blocking_chains(&sessions);
    assert_eq!(chains.len(), 1, "{chains:?}");
    assert_eq!(
        (chains[0].root, chains[0].waiting.clone()),
        (root, vec![(first, 1), (second, 2)])
    );
    let waiting = sessions.iter().find(|session| session.pid == first).unwrap();
    assert!(!waiting.query.contains("山田"), "{}", waiting.query);
    assert!(
        waiting.query.ends_with("title = ? where id = 1"),
        "{}",
        waiting.query
    );

    let rule = SessionRule::new(
        "blockers",
        SessionTrouble::Blocking,
        Duration::ZERO,
        SessionDeed::End,
    );
    // Both the root and the one in the middle keep others waiting; one whose role is spared is left alone.
    let app = SessionMatch::role(format!("{}_app", world.scratch.name()));
    assert!(rule.choose(&sessions, &[app]).is_empty());
    let chosen = rule.choose(&sessions, &[]);
    assert_eq!(
        chosen.iter().map(|session| session.pid).collect::<Vec<_>>(),
        [root, first]
    );
    assert_eq!(
        load.act(chosen[0], SessionDeed::End).await.unwrap(),
        SignalResult::Sent
    );
    assert!(holder.ping().await.is_err());
    // The one in the middle goes on, and may be gone by now: what was seen of it is no reason any more.
    let waits = |session: &DatabaseSession| session.pid == first && !session.blocked_by.is_empty();
    while load.sessions().await.unwrap().iter().any(waits) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        load.act(chosen[1], SessionDeed::End).await.unwrap(),
        SignalResult::MovedOn
    );
    assert_eq!(
        load.act(chosen[0], SessionDeed::End).await.unwrap(),
        SignalResult::MovedOn
    );
    world.close().await;
}

#[tokio::test]
async fn a_statement_is_cancelled_and_its_session_lives_on() {
    let Some(world) = World::new().await else { return };
    let load = load(&world);
    let mut app = world.app().await;
    let number = pid(&mut app).await;
    let running = tokio::spawn(async move { (run(&mut app, "select pg_sleep(600)").await, app) });
    let (session, sessions) = seen(&load, number, |session| session.state == SessionState::Active).await;
    let rule = |longer| SessionRule::new("long", SessionTrouble::Running, longer, SessionDeed::Cancel);
    assert!(rule(Duration::from_secs(300)).choose(&sessions, &[]).is_empty());
    assert_eq!(
        rule(Duration::ZERO).choose(&sessions, &[]).len(),
        1,
        "our own are never chosen: {sessions:?}"
    );
    assert_eq!(
        load.act(&session, SessionDeed::Cancel).await.unwrap(),
        SignalResult::Sent
    );
    let (result, mut app) = running.await.unwrap();
    assert_eq!(result, Err("57014".to_owned()));
    app.ping().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn sessions_of_superusers_exempt_roles_and_our_own_are_never_acted_on() {
    let Some(world) = World::new().await else { return };
    let load = load(&world);
    let mut root = world.superuser().await;
    let mut audit = super::world::session(world.scratch.audit_url()).await;
    let numbers = [pid(&mut root).await, pid(&mut audit).await];
    for number in numbers {
        let (mut session, _) = seen(&load, number, |_| true).await;
        assert!(session.untouchable);
        assert_eq!(
            load.act(&session, SessionDeed::End).await.unwrap(),
            SignalResult::NotPermitted
        );
        // Not even if somebody says otherwise.
        session.untouchable = false;
        session.began_micros = session.began_micros.max(1);
        assert_eq!(
            load.act(&session, SessionDeed::End).await.unwrap(),
            SignalResult::MovedOn
        );
    }
    root.ping().await.unwrap();
    audit.ping().await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn the_report_counts_connections_and_says_that_slow_statements_are_not_there() {
    let Some(world) = World::new().await else { return };
    let load = load(&world);
    let before = load.connections().await.unwrap();
    let _held = [world.app().await, world.app().await];
    let report = load.report().await.unwrap();
    assert!(report.connections.used >= before.used.min(2), "{report:?}");
    let most: i64 = sqlx::query_scalar(
        "select (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::bigint",
    )
    .fetch_one(&mut world.superuser().await)
    .await
    .unwrap();
    assert_eq!(i64::from(report.connections.most), most);
    let app = format!("{}_app", world.scratch.name());
    assert!(report.by_role.contains(&(app, 2)), "{:?}", report.by_role);
    assert!(report.bytes > 1_000_000);
    assert_eq!(report.slow, SlowQueries::NotInstalled);
    assert!(report.replicas.is_empty());
    world.close().await;
}

#[tokio::test]
async fn the_biggest_table_comes_first_with_what_holds_nothing() {
    let Some(world) = World::new().await else { return };
    let fill = "create table big (id int, note text);
                insert into big select i, repeat('x', 100) from generate_series(1, 20000) i; analyze big";
    run(&mut world.owner().await, fill).await.unwrap();
    let load = load(&world);
    let full = load.tables(10).await.unwrap();
    assert_eq!(full[0].name, "big");
    let tight = full[0].bloat_bytes.unwrap();
    assert!(tight < full[0].bytes / 5, "{:?}", full[0]);
    run(
        &mut world.owner().await,
        "delete from big where id % 10 <> 0; analyze big",
    )
    .await
    .unwrap();
    let table = load.tables(1).await.unwrap().remove(0);
    assert!(table.bloat_bytes.unwrap() > table.bytes / 2, "{table:?}");
    assert!(load.tables(0).await.is_err());
    world.close().await;
}

#[tokio::test]
async fn timeouts_are_tightened_for_new_sessions_and_put_back_as_they_were_written() {
    let Some(world) = World::new().await else { return };
    let (name, app) = (world.scratch.name(), format!("{}_app", world.scratch.name()));
    let make = format!(
        "alter database {name} set statement_timeout = '10min'; alter database {name} set work_mem = '7MB';
         alter role {app} set lock_timeout = '1h'"
    );
    run(&mut world.superuser().await, &make).await.unwrap();
    let kept = || async {
        let query =
            "select setconfig::text from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
                     where d.datname = current_database() and s.setrole = 0";
        sqlx::query_scalar::<_, String>(query)
            .fetch_one(&mut world.superuser().await)
            .await
            .unwrap()
    };
    let before = kept().await;
    let mut limits = TimeoutLimits::default();
    limits.statement = Duration::from_millis(50);
    let action = PostgresTimeouts::new(&world.store, limits).unwrap();
    let prior = action.observe().await.unwrap();
    assert_eq!(prior.state(), TargetState::Serving);
    assert!(
        prior.caveats()[0].get(Lang::En).contains(&app),
        "{:?}",
        prior.caveats()
    );

    action.apply(&key()).await.unwrap();
    action.apply(&key()).await.unwrap();
    let seen = action.observe().await.unwrap();
    assert!(action.verify(&seen).holds(), "{seen:?}");
    let mut session = world.app().await;
    assert_eq!(
        run(&mut session, "select pg_sleep(10)").await,
        Err("57014".to_owned())
    );

    // By somebody else, in between: neither state.
    run(
        &mut world.owner().await,
        &format!("alter database {name} reset lock_timeout"),
    )
    .await
    .unwrap();
    assert_eq!(
        action.observe().await.unwrap().state(),
        TargetState::PartlyStopped
    );
    action.restore(prior.snapshot(), &key()).await.unwrap();
    assert_eq!(kept().await, before);
    assert_eq!(action.observe().await.unwrap().snapshot(), prior.snapshot());

    let plain = PostgresStore::connect(world.scratch.app_url()).await.unwrap();
    let error = PostgresTimeouts::new(&plain, limits)
        .unwrap()
        .apply(&key())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ownership of the database"), "{error}");
    plain.close().await;
    world.close().await;
}

#[tokio::test]
async fn a_timeout_that_is_tighter_already_stays() {
    let Some(world) = World::new().await else { return };
    let name = world.scratch.name();
    let set = |value: &str| format!("alter database {name} set statement_timeout = '{value}'");
    let mut owner = world.owner().await;
    let action = PostgresTimeouts::new(&world.store, TimeoutLimits::default()).unwrap();
    for (before, after) in [("10s", "10s"), ("0", "30000ms"), ("2min", "30000ms")] {
        run(&mut owner, &set(before)).await.unwrap();
        let prior = action.observe().await.unwrap();
        assert_eq!(prior.state(), TargetState::Serving, "{before}");
        action.apply(&key()).await.unwrap();
        let seen = action.observe().await.unwrap();
        assert!(action.verify(&seen).holds(), "{before}: {seen:?}");
        let now = seen.snapshot().field("timeouts").unwrap()["statement_timeout"].clone();
        assert_eq!(now, after, "{before}");
        action.restore(prior.snapshot(), &key()).await.unwrap();
    }
    drop(owner);
    world.close().await;
}

#[tokio::test]
async fn a_name_that_an_application_gave_itself_is_masked() {
    let Some(world) = World::new().await else { return };
    let options: PgConnectOptions = world.scratch.app_url().expose_secret().parse().unwrap();
    let mut session = options
        .application_name("job for taro@example.com")
        .connect()
        .await
        .unwrap();
    let number = pid(&mut session).await;
    let (session, _) = seen(&load(&world), number, |_| true).await;
    assert!(!session.application.contains("taro@"), "{}", session.application);
    world.close().await;
}
