//! Data maps and retention rules whose parts get in each other's way.

use ops_core::error::ErrorKind;
use ops_core::model::{DataRule, Disposal, RetentionEnd, RetentionRule, TenantLayout};
use ops_core::ports::Clock;
use ops_postgres::{Erasure, ErasureOutcome, Retention};

use super::super::world::{World, count, run};
use super::personal::{by, clock, people, rule};
use super::purging::meanwhile;
use super::tenant;

fn pseudonym(table: &str, column: &str) -> DataRule {
    let columns = vec![column.to_owned()];
    rule(table, column, Disposal::Pseudonym { columns })
}

fn emptied(table: &str, column: &str, empty: &str) -> DataRule {
    let columns = vec![empty.to_owned()];
    rule(table, column, Disposal::Null { columns })
}

#[tokio::test]
async fn what_hides_a_row_from_another_rule_comes_after_it_also_where_somebody_holds_the_row() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let (a, clock) = (tenant("org_a"), clock());
    let map = vec![
        pseudonym("messages", "user_id"),
        emptied("messages", "user_id", "body"),
    ];
    let erasure = Erasure::new(&world.store, TenantLayout::default(), map);
    let mut root = world.superuser().await;
    let mine = "organization_id = 'org_a' and user_id = 'usr_1'";
    run(
        &mut root,
        &format!("begin; select * from messages where {mine} order by id limit 1 for update"),
    )
    .await
    .unwrap();
    let ErasureOutcome::Left(report) = erasure.run(&a, "usr_1", &by(), &clock, &|_| {}).await.unwrap() else {
        panic!("a row is held by another transaction")
    };
    let left: Vec<_> = report.lines.iter().map(|line| line.left).collect();
    assert_eq!(
        left,
        [1, 200],
        "the text of one row is left, so every row can still be found"
    );
    run(&mut root, "rollback").await.unwrap();
    let ErasureOutcome::Done(_) = erasure.run(&a, "usr_1", &by(), &clock, &|_| {}).await.unwrap() else {
        panic!("done")
    };
    let count_of = |condition: &str| format!("messages where organization_id = 'org_a' and {condition}");
    assert_eq!(count(&mut root, &count_of("user_id = 'usr_1'")).await, 0);
    assert_eq!(
        count(&mut root, &count_of("user_id like 'erased-%' and body is null")).await,
        200
    );
    assert_eq!(count(&mut root, "messages where body is null").await, 200);
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn a_map_that_contradicts_itself_or_could_mean_another_tenants_person_is_refused() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create table letters (organization_id text not null, writer text, reader text, short varchar(20), user_id text);
         create table drafts (user_id text, body text); insert into drafts values ('usr_1', 'b')",
    )
    .await
    .unwrap();
    let (a, clock) = (tenant("org_a"), clock());
    let refused = async |layout: TenantLayout, map: Vec<DataRule>| {
        let erasure = Erasure::new(&world.store, layout, map);
        let refused = erasure.plan(&a, "usr_1", clock.now()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
        refused.to_string()
    };
    let columns = |name: &str| vec![name.to_owned()];
    let circle = |column: &str, changed: &str| {
        let columns = columns(changed);
        rule("letters", column, Disposal::Pseudonym { columns })
    };
    for map in [
        vec![circle("writer", "reader"), circle("reader", "writer")],
        vec![
            circle("writer", "reader"),
            circle("reader", "user_id"),
            circle("user_id", "writer"),
        ],
        vec![
            rule("messages", "user_id", Disposal::Delete),
            pseudonym("messages", "user_id"),
        ],
    ] {
        let said = refused(TenantLayout::default(), map).await;
        assert!(said.contains("contradict each other"), "{said}");
    }
    let said = refused(TenantLayout::default(), vec![circle("user_id", "short")]).await;
    assert!(said.contains("letters.short is too short"), "{said}");
    let drafts = vec![rule("drafts", "user_id", Disposal::Delete)];
    let said = refused(TenantLayout::default(), drafts.clone()).await;
    assert!(said.contains("drafts has no column with the tenant"), "{said}");
    let global = TenantLayout::default().with_global("drafts".parse().unwrap(), "one tenant only");
    let erasure = Erasure::new(&world.store, global, drafts);
    let plan = erasure.plan(&a, "usr_1", clock.now()).await.unwrap();
    assert_eq!(plan.lines[0].left, 1);
    drop(owner);
    world.close().await;
}

/// Two generations of children of `messages`, one of them in a schema that nobody names, each with a row for each person.
async fn children(world: &World) {
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create schema attic;
         create table messages_old (note text) inherits (messages);
         create table attic.messages_older () inherits (messages_old);
         insert into messages_old select 'org_a', n, null, 'usr_' || n, 'b', timestamptz '2001-01-01' from generate_series(1, 2) n;
         insert into attic.messages_older select 'org_a', n, null, 'usr_' || n, 'b', timestamptz '2001-01-01' from generate_series(1, 2) n",
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn what_inherits_from_a_table_of_the_map_goes_with_it_unless_it_has_rules_of_its_own() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    children(&world).await;
    let (a, clock) = (tenant("org_a"), clock());
    let delete = |table: &str| rule(table, "user_id", Disposal::Delete);
    let erasure = |map| Erasure::new(&world.store, TenantLayout::default(), map);
    let mut root = world.superuser().await;

    let reason = "case 7".to_owned();
    let kept = rule("messages_old", "user_id", Disposal::Keep { reason });
    let report = erasure(vec![delete("messages"), kept])
        .plan(&a, "usr_1", clock.now())
        .await
        .unwrap();
    let lines: Vec<_> = report
        .lines
        .iter()
        .map(|line| {
            (
                line.table.to_string(),
                line.disposal == Disposal::Delete,
                line.left,
            )
        })
        .collect();
    for wanted in [
        ("public.messages".to_owned(), true, 200),
        ("public.messages_old".to_owned(), false, 1),
        ("attic.messages_older".to_owned(), false, 1),
    ] {
        assert!(lines.contains(&wanted), "{lines:?}");
    }
    assert_eq!(lines.len(), 3, "each table once: {lines:?}");

    let whole = erasure(vec![delete("messages")]);
    let ErasureOutcome::Done(report) = whole.run(&a, "usr_1", &by(), &clock, &|_| {}).await.unwrap() else {
        panic!("nothing holds it up")
    };
    assert_eq!(report.lines.iter().map(|line| line.rows).sum::<u64>(), 202);
    assert!(
        !report
            .unmapped
            .iter()
            .any(|table| table.name().starts_with("messages")),
        "{:?}",
        report.unmapped
    );
    let mine = "organization_id = 'org_a' and user_id";
    assert_eq!(
        count(&mut root, &format!("messages where {mine} = 'usr_1'")).await,
        0
    );
    assert_eq!(
        count(&mut root, &format!("messages_old where {mine} = 'usr_2'")).await,
        2
    );
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn what_inherits_and_cannot_be_reached_makes_a_map_and_a_rule_of_retention_refused_by_its_name() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    children(&world).await;
    let mut root = world.superuser().await;
    let (a, clock) = (tenant("org_a"), clock());
    let delete = |table: &str| rule(table, "user_id", Disposal::Delete);
    let by_age = || {
        let end = RetentionEnd::Age {
            column: "created_at".to_owned(),
            keep: std::time::Duration::from_secs(60),
        };
        let rules = vec![RetentionRule::new("old", "messages".parse().unwrap(), end)];
        Retention::new(&world.store, TenantLayout::default(), rules)
    };
    run(&mut root, "alter table messages_old alter body set not null")
        .await
        .unwrap();
    for (make, map, wanted) in [
        (
            "",
            vec![emptied("messages", "user_id", "body")],
            "public.messages_old.body must not be null",
        ),
        (
            "create foreign data wrapper nowhere; create server there foreign data wrapper nowhere;
             create foreign table far () inherits (messages) server there",
            vec![delete("messages")],
            "public.far is a foreign table",
        ),
        (
            "drop foreign data wrapper nowhere cascade; create table \"dotted.name\" () inherits (messages)",
            vec![delete("messages")],
            "table public.dotted.name holds rows of it",
        ),
        (
            "drop table \"dotted.name\"; create table pair () inherits (messages, votes)",
            vec![delete("messages"), delete("votes")],
            "public.pair inherits from two tables with rules",
        ),
    ] {
        if !make.is_empty() {
            run(&mut root, make).await.unwrap();
        }
        let erasure = Erasure::new(&world.store, TenantLayout::default(), map);
        let refused = erasure
            .run(&a, "usr_1", &by(), &clock, &|_| {})
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
        assert!(refused.to_string().contains(wanted), "{refused}");
        if make.contains("server") || make.contains("create table \"") {
            let refused = by_age().run(clock.now(), &|_| {}).await.unwrap_err();
            assert!(refused.to_string().contains(wanted), "{refused}");
        }
    }
    assert_eq!(
        count(&mut root, "ops.deletion_requests").await,
        0,
        "refused whole"
    );
    run(
        &mut root,
        "drop table pair; alter table messages disable row level security",
    )
    .await
    .unwrap();
    let found = by_age().run(clock.now(), &|_| {}).await.unwrap();
    let rows = |table: &str| {
        let found = found.iter().find(|one| one.table.to_string() == table);
        found.map(|one| (one.rows, one.left))
    };
    assert_eq!(rows("public.messages_old"), Some((2, 0)), "{found:?}");
    assert_eq!(rows("attic.messages_older"), Some((2, 0)), "{found:?}");
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn a_hold_that_is_placed_during_an_erasure_keeps_what_is_left() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let (a, clock) = (tenant("org_a"), clock());
    let map = vec![rule("messages", "user_id", Disposal::Delete)];
    let erasure = Erasure::new(&world.store, TenantLayout::default(), map).with_batch(5);
    let once = std::sync::Once::new();
    let outcome = erasure
        .run(&a, "usr_1", &by(), &clock, &|_| {
            once.call_once(|| {
                meanwhile(
                    &world,
                    "insert into ops.data_hold values (gen_random_uuid(), 'org_a', 'usr_1', 'case 7', 0)",
                );
            });
        })
        .await
        .unwrap();
    let ErasureOutcome::Left(report) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(report.lines[0].left, 195);
    world.close().await;
}

#[tokio::test]
async fn retention_that_could_be_blind_or_mean_somebody_else_says_so() {
    let Some(world) = World::new().await else { return };
    people(&world).await;
    let mut owner = world.owner().await;
    let (mut root, now) = (world.superuser().await, clock().now());
    run(
        &mut owner,
        "create table tastes (organization_id text not null, user_id text); create table loose (user_id text)",
    )
    .await
    .unwrap();
    run(
        &mut root,
        &format!(
            "insert into tastes values ('org_a', 'usr_1'), ('org_b', 'usr_1');
             insert into loose values ('usr_1'), ('usr_2');
             update users set left_at = timestamptz '{now}' where organization_id = 'org_a' or id = 'usr_2'"
        ),
    )
    .await
    .unwrap();
    let leaving = |table: &str| {
        let end = RetentionEnd::Leaving {
            user_column: "user_id".to_owned(),
            users: "users".parse().unwrap(),
            left_column: "left_at".to_owned(),
        };
        vec![RetentionRule::new("leaving", table.parse().unwrap(), end)]
    };
    let retention = |layout, table| Retention::new(&world.store, layout, leaving(table));
    // Row security hides the users from their owner, and nobody says which tenants there are.
    let blind = retention(TenantLayout::default(), "tastes").dry_run(now).await;
    assert_eq!(blind.unwrap_err().kind(), ErrorKind::PermissionDenied);
    run(
        &mut root,
        "insert into ops.tenant (id, name, plan, state, created_at) values ('org_a', '', '', 'active', 0), ('org_b', '', '', 'active', 0)",
    )
    .await
    .unwrap();
    let found = retention(TenantLayout::default(), "tastes")
        .dry_run(now)
        .await
        .unwrap();
    assert_eq!((found.len(), found[0].left), (1, 1), "{found:?}");

    // A row that says nothing of a tenant: only where that is meant, and only when the last one of that id has left.
    let unclear = retention(TenantLayout::default(), "loose").dry_run(now).await;
    assert_eq!(unclear.unwrap_err().kind(), ErrorKind::InvalidConfig);
    run(&mut root, "alter table users disable row level security")
        .await
        .unwrap();
    let global = TenantLayout::default().with_global("loose".parse().unwrap(), "ids are of one person");
    let found = retention(global, "loose").dry_run(now).await.unwrap();
    assert_eq!(found[0].left, 1, "usr_1 of org_b is still there: {found:?}");
    drop((owner, root));
    world.close().await;
}
