//! Personal data that goes, on request and when its time is over.

use std::sync::Arc;
use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::memory::InMemoryTraces;
use ops_core::messages::erasure_report;
use ops_core::model::{
    Actor, DataRule, Disposal, Lang, RetentionEnd, RetentionRule, TenantLayout, Timestamp,
};
use ops_core::ports::Clock;
use ops_core::ports::LegalHolds as _;
use ops_core::testkit::ManualClock;
use ops_postgres::{DataHolds, Erasure, ErasureOutcome, Retention};
use tokio::sync::Semaphore;

use super::super::world::{World, count, run};
use super::life::cut_after;
use super::{held, protect, tenant};

/// Two people of two tenants with the same id, in four tables.
pub(super) async fn people(world: &World) {
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "drop table memories, conversations;
         create table users (organization_id text not null, id text not null, email text, left_at timestamptz, primary key (organization_id, id));
         create table threads (organization_id text not null, id int not null, user_id text not null, primary key (organization_id, id));
         create table messages (organization_id text not null, id int not null, thread int, user_id text, body text, created_at timestamptz not null default now(),
             primary key (organization_id, id), foreign key (organization_id, thread) references threads (organization_id, id));
         create table votes (organization_id text not null, id int not null, user_id text not null, primary key (organization_id, id));
         create table invoices (organization_id text not null, id int not null, user_id text not null, primary key (organization_id, id))",
    )
    .await
    .unwrap();
    for name in ["org_a", "org_b"] {
        run(
            &mut owner,
            &format!(
                "insert into users values ('{name}', 'usr_1', 'tanaka@example.com'), ('{name}', 'usr_2', 'sato@example.com');
                 insert into threads select '{name}', n, 'usr_' || 1 + n % 2 from generate_series(1, 40) n;
                 insert into messages select '{name}', n, 1 + n % 40, 'usr_' || 1 + (1 + n % 40) % 2, 'b' from generate_series(1, 400) n;
                 insert into votes select '{name}', n, 'usr_' || 1 + n % 2 from generate_series(1, 60) n;
                 insert into invoices select '{name}', n, 'usr_' || 1 + n % 2 from generate_series(1, 10) n"
            ),
        )
        .await
        .unwrap();
    }
    for table in ["users", "threads", "messages", "votes", "invoices"] {
        protect(&mut owner, table).await;
    }
}

pub(super) fn rule(table: &str, column: &str, disposal: Disposal) -> DataRule {
    DataRule::new(table.parse().unwrap(), column, disposal)
}

/// Not in the order in which the rows can go.
fn map() -> Vec<DataRule> {
    let columns = |name: &str| vec![name.to_owned()];
    vec![
        rule("threads", "user_id", Disposal::Delete),
        rule("messages", "user_id", Disposal::Delete),
        rule(
            "votes",
            "user_id",
            Disposal::Pseudonym {
                columns: columns("user_id"),
            },
        ),
        rule(
            "users",
            "id",
            Disposal::Null {
                columns: columns("email"),
            },
        ),
        rule(
            "invoices",
            "user_id",
            Disposal::Keep {
                reason: "会計帳簿 7 年".to_owned(),
            },
        ),
    ]
}

pub(super) fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_unix_micros(1_769_731_200_000_000))
}

pub(super) fn by() -> Actor {
    Actor::person("admin_1").unwrap()
}

#[tokio::test]
async fn a_person_is_erased_everywhere_by_the_map_and_both_times_are_kept() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let (a, clock, traces) = (
        tenant("org_a"),
        Arc::new(clock()),
        Arc::new(InMemoryTraces::new()),
    );
    traces.leave(&a, "usr_1");
    traces.leave(&a, "usr_2");
    let erasure = Erasure::new(&world.store, TenantLayout::default(), map())
        .with_traces(Arc::clone(&traces) as _)
        .with_batch(7);
    let mut root = world.superuser().await;
    let plan = erasure.plan(&a, "usr_1", clock.now()).await.unwrap();
    let planned = |table: &str| {
        plan.lines
            .iter()
            .find(|line| line.table.name() == table)
            .map(|line| line.left)
    };
    assert_eq!(
        (
            planned("messages"),
            planned("votes"),
            planned("users"),
            planned("invoices")
        ),
        (Some(200), Some(30), Some(1), Some(5))
    );
    assert_eq!(
        count(&mut root, "ops.deletion_requests").await,
        0,
        "a plan records nothing"
    );

    // Traces that cannot be reached leave the request open, with the rows gone.
    traces.set_reachable(false);
    erasure
        .run(&a, "usr_1", &by(), &*clock, &|_| {})
        .await
        .unwrap_err();
    assert_eq!(
        count(
            &mut root,
            "ops.deletion_requests where completed_at is null and pseudonym is not null"
        )
        .await,
        1
    );
    traces.set_reachable(true);
    clock.advance(Duration::from_secs(90));
    let ErasureOutcome::Done(report) = erasure.run(&a, "usr_1", &by(), &*clock, &|_| {}).await.unwrap()
    else {
        panic!("done")
    };
    let told = report.lines.iter().find(|line| line.table.name() == "messages");
    assert_eq!(
        told.map(|line| line.rows),
        Some(200),
        "what the first run did is told, too"
    );
    assert_eq!(
        report.completed_at.unwrap().saturating_since(report.requested_at),
        Duration::from_secs(90),
        "two times"
    );
    assert_eq!(
        count(
            &mut root,
            "ops.deletion_requests where completed_at - requested_at = 90000000 and pseudonym is null"
        )
        .await,
        1
    );

    for table in ["threads", "messages", "votes"] {
        assert_eq!(
            count(
                &mut root,
                &format!("{table} where organization_id = 'org_a' and user_id = 'usr_1'")
            )
            .await,
            0,
            "{table}"
        );
    }
    assert_eq!(
        count(
            &mut root,
            "votes where organization_id = 'org_a' and user_id like 'erased-%'"
        )
        .await,
        30,
        "the votes still count"
    );
    assert_eq!(
        count(
            &mut root,
            "users where organization_id = 'org_a' and id = 'usr_1' and email is null"
        )
        .await,
        1
    );
    assert_eq!(
        count(
            &mut root,
            "invoices where organization_id = 'org_a' and user_id = 'usr_1'"
        )
        .await,
        5,
        "kept, with a reason"
    );
    // Nobody else lost anything: not the other person, not the same id of another tenant.
    assert_eq!(count(&mut root, "messages").await, 600);
    assert_eq!(count(&mut root, "users where email is not null").await, 3);
    assert!(!traces.has(&a, "usr_1") && traces.has(&a, "usr_2"));
    let text = erasure_report(&report);
    assert!(
        text.get(Lang::Ja).contains("会計帳簿 7 年") && !text.get(Lang::Ja).contains("tanaka"),
        "{}",
        text.get(Lang::Ja)
    );
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn an_erasure_that_was_cut_off_goes_on_with_the_same_request_and_the_same_pseudonym() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let (a, clock) = (tenant("org_a"), clock());
    let erasure = Erasure::new(&world.store, TenantLayout::default(), map()).with_batch(5);
    let mut root = world.superuser().await;
    for stop_after in [5, 20, 1] {
        let gate = Semaphore::new(0);
        let (by, tell) = (by(), cut_after(&gate, stop_after));
        tokio::select! {
            _ = erasure.run(&a, "usr_2", &by, &clock, &tell) => {}
            _ = gate.acquire() => {}
        }
        assert_eq!(
            count(&mut root, "ops.deletion_requests where completed_at is null").await,
            1
        );
    }
    let ErasureOutcome::Done(report) = erasure.run(&a, "usr_2", &by(), &clock, &|_| {}).await.unwrap() else {
        panic!("done")
    };
    assert_eq!(
        count(&mut root, "ops.deletion_requests").await,
        1,
        "one request, however often it was taken up"
    );
    let names: i64 =
        sqlx::query_scalar("select count(distinct user_id) from votes where user_id like 'erased-%'")
            .fetch_one(&mut root)
            .await
            .unwrap();
    assert_eq!(names, 1);
    assert!(report.is_done());
    // Asked for again later: another request, and nothing is left to do.
    let ErasureOutcome::Done(again) = erasure.run(&a, "usr_2", &by(), &clock, &|_| {}).await.unwrap() else {
        panic!("done")
    };
    assert!(
        again.lines.iter().all(|line| line.rows == 0) && again.request != report.request,
        "{again:?}"
    );
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn what_is_held_stays_and_a_map_that_does_not_fit_is_refused_whole() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let (a, clock) = (tenant("org_a"), clock());
    let holds = DataHolds::new(&world.store);
    let hold = held(&holds, &a, Some("usr_1"), "case 7", clock.now())
        .await
        .unwrap();
    let erasure = Erasure::new(&world.store, TenantLayout::default(), map());
    let outcome = erasure.run(&a, "usr_1", &by(), &clock, &|_| {}).await.unwrap();
    assert_eq!(outcome, ErasureOutcome::Held(vec![hold]));
    let mut root = world.superuser().await;
    assert_eq!(
        count(
            &mut root,
            "messages where user_id = 'usr_1' and organization_id = 'org_a'"
        )
        .await,
        200
    );
    assert_eq!(
        count(&mut root, "ops.deletion_requests where completed_at is null").await,
        1,
        "the request is not lost"
    );
    assert!(matches!(
        erasure.run(&a, "usr_2", &by(), &clock, &|_| {}).await.unwrap(),
        ErasureOutcome::Done(_)
    ));

    let wrong = vec![
        rule("nothing", "user_id", Disposal::Delete),
        rule("votes", "who", Disposal::Delete),
        rule(
            "threads",
            "user_id",
            Disposal::Null {
                columns: vec!["user_id".to_owned()],
            },
        ),
        rule(
            "messages",
            "user_id",
            Disposal::Pseudonym {
                columns: vec!["thread".to_owned()],
            },
        ),
    ];
    let erasure = Erasure::new(&world.store, TenantLayout::default(), wrong);
    let refused = erasure
        .run(&a, "usr_3", &by(), &clock, &|_| {})
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
    for part in [
        "public.nothing",
        "no column who",
        "user_id must not be null",
        "thread is no text",
    ] {
        assert!(refused.to_string().contains(part), "{part} in {refused}");
    }
    // A table with persons that the map does not mention is named.
    let erasure = Erasure::new(&world.store, TenantLayout::default(), map()[..2].to_vec());
    let plan = erasure.plan(&a, "usr_3", clock.now()).await.unwrap();
    let unmapped: Vec<String> = plan
        .unmapped
        .iter()
        .map(|table| table.name().to_owned())
        .collect();
    assert_eq!(unmapped.len(), 2, "{unmapped:?}");
    assert!(unmapped.contains(&"invoices".to_owned()) && unmapped.contains(&"votes".to_owned()));
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn what_is_past_its_time_goes_to_the_microsecond_and_what_is_held_stays() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let (mut root, now) = (world.superuser().await, clock().now());
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let limit = now - year;
    run(
        &mut root,
        &format!(
            "update messages set created_at = timestamptz '{limit}' - interval '1 microsecond' where id <= 10;
             update messages set created_at = timestamptz '{limit}' where id > 10 and id <= 20;
             update messages set created_at = timestamptz '{now}' where id > 20;
             update users set left_at = timestamptz '{now}' where id = 'usr_2' and organization_id = 'org_a';
             insert into ops.tenant (id, name, plan, state, created_at) values ('org_a', '', '', 'active', 0), ('org_b', '', '', 'active', 0);
             insert into ops.deletion_requests (id, tenant, user_id, requested_at, requested_by) values (gen_random_uuid(), 'org_b', 'usr_1', 0, 'x')"
        ),
    )
    .await
    .unwrap();
    let rules = vec![
        RetentionRule::new(
            "summaries",
            "messages".parse().unwrap(),
            RetentionEnd::Age {
                column: "created_at".to_owned(),
                keep: year,
            },
        )
        .with_person_column("user_id"),
        RetentionRule::new(
            "preferences",
            "votes".parse().unwrap(),
            RetentionEnd::Leaving {
                user_column: "user_id".to_owned(),
                users: "users".parse().unwrap(),
                left_column: "left_at".to_owned(),
            },
        ),
        RetentionRule::new(
            "erased",
            "invoices".parse().unwrap(),
            RetentionEnd::Erased {
                user_column: "user_id".to_owned(),
            },
        ),
    ];
    let holds = DataHolds::new(&world.store);
    let hold = held(&holds, &tenant("org_a"), Some("usr_1"), "case 7", now)
        .await
        .unwrap();
    let retention = Retention::new(&world.store, TenantLayout::default(), rules).with_batch(1);
    let plan = retention.dry_run(now).await.unwrap();
    let figures: Vec<_> = plan
        .iter()
        .map(|one| (one.rule.as_str(), one.rows, one.left, one.held))
        .collect();
    // Ten rows of each tenant are past their time; of org_a, five are usr_1's.
    assert_eq!(
        figures,
        [
            ("summaries", 0, 15, 5),
            ("preferences", 0, 30, 0),
            ("erased", 0, 5, 0)
        ]
    );
    assert_eq!(
        count(&mut root, "messages").await,
        800,
        "a dry run changes nothing"
    );
    let done = retention.run(now, &|_| {}).await.unwrap();
    let figures: Vec<_> = done.iter().map(|one| (one.rows, one.left, one.held)).collect();
    assert_eq!(figures, [(15, 0, 5), (30, 0, 0), (5, 0, 0)]);
    assert_eq!(
        count(
            &mut root,
            &format!("messages where created_at < timestamptz '{limit}'")
        )
        .await,
        5,
        "the held ones"
    );
    assert_eq!(
        count(
            &mut root,
            &format!("messages where created_at = timestamptz '{limit}'")
        )
        .await,
        20,
        "exactly a year old is kept"
    );
    assert_eq!(
        count(
            &mut root,
            "votes where user_id = 'usr_2' and organization_id = 'org_b'"
        )
        .await,
        30,
        "the other usr_2 has not left"
    );
    assert_eq!(
        count(
            &mut root,
            "invoices where user_id = 'usr_1' and organization_id = 'org_a'"
        )
        .await,
        5,
        "the other usr_1 has not asked"
    );
    holds.release(hold.id, now).await.unwrap();
    let done = retention.run(now, &|_| {}).await.unwrap();
    assert_eq!((done[0].rows, done[0].held), (5, 0), "{done:?}");

    let audit = RetentionRule::new(
        "trail",
        "ops.audit_log".parse().unwrap(),
        RetentionEnd::Age {
            column: "at".to_owned(),
            keep: year,
        },
    );
    let refused = Retention::new(&world.store, TenantLayout::default(), vec![audit])
        .run(now, &|_| {})
        .await
        .unwrap_err();
    assert_eq!(
        refused.kind(),
        ErrorKind::InvalidConfig,
        "the audit trail is not deleted row by row: {refused}"
    );
    drop(root);
    world.close().await;
}
