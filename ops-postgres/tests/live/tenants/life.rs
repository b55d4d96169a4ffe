//! A tenant from its first rows to the proof that none is left.

use std::time::Duration;

use ops_core::error::ErrorKind;
use ops_core::model::{NewTenant, TableName, TenantLayout, TenantState, Timestamp};
use ops_core::ports::{LegalHolds as _, TenantCreated, TenantDirectory};
use ops_postgres::{BackFill, DataHolds, PURGE_AFTER, PostgresTenants, Progress, PurgeOutcome, TenantPurge};
use tokio::sync::Semaphore;

use super::super::world::{World, count, run};
use super::{app_role, held, protect, tenant};

/// The tables of the runbook, behind policies.
pub(crate) async fn organizations(world: &World) {
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "drop table memories, conversations;
         create table organizations (id text primary key, name text, plan text, is_active boolean not null, created_at timestamptz not null);
         create table users (organization_id text not null references organizations (id), id text not null, email text, name text, role_level int,
             left_at timestamptz, primary key (organization_id, id));
         create table departments (organization_id text not null references organizations (id), id text not null, name text, path text, level int,
             parent text, primary key (organization_id, id), foreign key (organization_id, parent) references departments (organization_id, id));
         create table tasks (organization_id text not null, id int not null, title text, owner text, primary key (organization_id, id),
             foreign key (organization_id, owner) references users (organization_id, id));
         create table logs (organization_id text not null, at date not null, n int not null, primary key (organization_id, at, n)) partition by range (at);
         create table logs_1 partition of logs for values from ('2026-01-01') to ('2026-02-01');
         create table logs_2 partition of logs for values from ('2026-02-01') to ('2026-03-01')",
    )
    .await
    .unwrap();
    for table in ["users", "departments", "tasks", "logs", "logs_1", "logs_2"] {
        protect(&mut owner, table).await;
    }
    let root = ops_postgres::tenant_policies(&"organizations".parse().unwrap(), "id", "text");
    run(&mut owner, &root.join(";")).await.unwrap();
    let grants = format!(
        "grant select, insert, update, delete on organizations, users, departments, tasks, logs to {}",
        app_role(world)
    );
    run(&mut owner, &grants).await.unwrap();
}

pub(super) fn new(name: &str) -> NewTenant {
    NewTenant::new(tenant(name), "株式会社〇〇", "admin@customer.example").unwrap()
}

pub(super) fn at(days: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60)
}

pub(super) fn layout(world: &World) -> TenantLayout {
    TenantLayout::default().with_app_role(app_role(world))
}

/// Opens the gate once so many rows were changed.
pub(super) fn cut_after(gate: &Semaphore, rows: u64) -> impl Fn(&Progress) + Send + Sync {
    move |progress| {
        if progress.rows >= rows {
            gate.add_permits(1);
        }
    }
}

/// Rows of a tenant in every table.
pub(super) async fn fill(world: &World, name: &str, rows: u32) {
    let mut root = world.superuser().await;
    run(
        &mut root,
        &format!(
            "insert into tasks select '{name}', n, 't', (select id from users where organization_id = '{name}' limit 1) from generate_series(1, {rows}) n;
             insert into departments select '{name}', 'd' || n, 'd', 'x', 1, case when n = 1 then null else 'd' || (n - 1) end from generate_series(1, 5) n;
             insert into logs select '{name}', date '2026-01-20' + n % 20, n from generate_series(1, {rows}) n"
        ),
    )
    .await
    .unwrap();
}

pub(super) async fn rows_of(world: &World, name: &str) -> i64 {
    let mut root = world.superuser().await;
    let mut sum = 0;
    for (table, column) in [
        ("organizations", "id"),
        ("users", "organization_id"),
        ("departments", "organization_id"),
        ("tasks", "organization_id"),
        ("logs", "organization_id"),
    ] {
        sum += count(&mut root, &format!("{table} where {column} = '{name}'")).await;
    }
    sum
}

#[tokio::test]
async fn a_tenant_is_made_whole_or_not_at_all_and_two_at_once_make_one() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    let tenants = PostgresTenants::new(&world.store);
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let tenants = tenants.clone();
        tasks.push(tokio::spawn(async move {
            tenants.create(&new("org_a"), at(0)).await.unwrap()
        }));
    }
    let mut made = 0;
    for task in tasks {
        made += usize::from(matches!(task.await.unwrap(), TenantCreated::Made(_)));
    }
    assert_eq!(made, 1);
    let mut root = world.superuser().await;
    assert_eq!(
        rows_of(&world, "org_a").await,
        3,
        "organisation, administrator, root department"
    );
    assert_eq!(
        count(
            &mut root,
            "users where role_level = 6 and email = 'admin@customer.example'"
        )
        .await,
        1
    );
    assert_eq!(
        count(&mut root, "departments where path = 'root' and level = 0").await,
        1
    );

    // The department cannot be made: nothing is left of the rest, and it can be made later.
    run(
        &mut root,
        "alter table departments add constraint broken check (organization_id <> 'org_b')",
    )
    .await
    .unwrap();
    tenants.create(&new("org_b"), at(0)).await.unwrap_err();
    assert_eq!(rows_of(&world, "org_b").await, 0);
    assert_eq!(tenants.find(&tenant("org_b")).await.unwrap(), None);
    run(&mut root, "alter table departments drop constraint broken")
        .await
        .unwrap();
    assert!(matches!(
        tenants.create(&new("org_b"), at(0)).await.unwrap(),
        TenantCreated::Made(_)
    ));

    // An organisation that is older than the directory is adopted as it is.
    run(
        &mut root,
        "insert into organizations values ('org_soulsyncs', '社内', 'standard', true, now())",
    )
    .await
    .unwrap();
    let _ = tenants.create(&new("org_soulsyncs"), at(0)).await.unwrap();
    assert_eq!(
        count(
            &mut root,
            "organizations where id = 'org_soulsyncs' and name = '社内'"
        )
        .await,
        1
    );
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn rows_without_a_tenant_are_filled_and_row_security_is_not_taken_for_nothing_to_do() {
    let Some(world) = World::new().await else { return };
    let (mut owner, mut root) = (world.owner().await, world.superuser().await);
    run(
        &mut owner,
        "drop table memories, conversations; create table notes (organization_id text, id int primary key, body text);
         insert into notes select case n % 3 when 0 then null when 1 then '' else 'org_b' end, n, repeat('x', 200) from generate_series(1, 3000) n",
    )
    .await
    .unwrap();
    let fill = BackFill::new(&world.store, layout(&world)).with_batch(2);
    let found = fill.dry_run().await.unwrap();
    assert_eq!((found[0].rows, found[0].left), (0, 2000));
    assert_eq!(
        count(&mut root, "notes where organization_id = 'org_a'").await,
        0,
        "a dry run changes nothing"
    );

    // Cut off in the middle: what was done stays, and the next run goes on.
    let gate = Semaphore::new(0);
    let (a, tell) = (tenant("org_a"), cut_after(&gate, 600));
    let cut = tokio::select! {
        _ = fill.run(&a, &tell) => false,
        _ = gate.acquire() => true,
    };
    let done = count(&mut root, "notes where organization_id = 'org_a'").await;
    assert!(!cut || (600..=2000).contains(&done), "{done}");
    // Somebody holds a row: it is passed by and told, not waited for.
    let mut holder = world.owner().await;
    run(&mut holder, "begin; select * from notes where organization_id is null or organization_id = '' order by id desc limit 1 for update").await.unwrap();
    let left = fill.run(&tenant("org_a"), &|_| {}).await.unwrap();
    assert_eq!(
        left.iter().map(|one| one.left).sum::<u64>(),
        u64::from(done < 2000),
        "{left:?}"
    );
    run(&mut holder, "rollback").await.unwrap();
    fill.run(&tenant("org_a"), &|_| {}).await.unwrap();
    assert_eq!(
        count(&mut root, "notes where organization_id = 'org_a'").await,
        2000
    );
    assert!(
        fill.run(&tenant("org_a"), &|_| {}).await.unwrap().is_empty(),
        "again: nothing to do"
    );

    // Behind a forced policy the naive update succeeds and changes nothing; ours refuses.
    run(&mut owner, "update notes set organization_id = null where id = 1")
        .await
        .unwrap();
    protect(&mut owner, "notes").await;
    let naive = sqlx::query("update notes set organization_id = 'org_a' where organization_id is null")
        .execute(&mut owner)
        .await
        .unwrap();
    assert_eq!(naive.rows_affected(), 0, "the naive way");
    let refused = fill.run(&tenant("org_a"), &|_| {}).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
    drop((owner, root, holder));
    world.close().await;
}

#[tokio::test]
async fn a_purge_waits_thirty_days_spares_what_is_held_and_proves_that_nothing_is_left() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    let tenants = PostgresTenants::new(&world.store);
    for name in ["org_a", "org_b"] {
        let _ = tenants.create(&new(name), at(0)).await.unwrap();
        fill(&world, name, 400).await;
    }
    let (a, others) = (tenant("org_a"), rows_of(&world, "org_b").await);
    let purge = TenantPurge::new(&world.store, layout(&world)).with_batch(1);
    assert_eq!(
        purge.run(&a, at(40), &|_| {}).await.unwrap(),
        PurgeOutcome::NotDeleted
    );
    let deleted = tenants.delete(&a, at(1)).await.unwrap();
    assert_eq!(
        count(
            &mut world.superuser().await,
            "organizations where id = 'org_a' and not is_active"
        )
        .await,
        1
    );
    let until = deleted.deleted_at.unwrap() + PURGE_AFTER;
    let early = until - Duration::from_micros(1);
    assert_eq!(
        purge.run(&a, early, &|_| {}).await.unwrap(),
        PurgeOutcome::NotYet { until }
    );
    let holds = DataHolds::new(&world.store);
    let hold = held(&holds, &a, Some("usr_1"), "case 7", at(2)).await.unwrap();
    assert_eq!(
        purge.run(&a, until, &|_| {}).await.unwrap(),
        PurgeOutcome::Held {
            holds: vec![hold.clone()]
        }
    );
    let all = rows_of(&world, "org_a").await;
    assert!(
        holds.release(hold.id, at(3)).await.unwrap().is_some() && all > 800,
        "{all}"
    );

    // Cut off in the middle, as a killed process is.
    let gate = Semaphore::new(0);
    let tell = cut_after(&gate, 1);
    tokio::select! {
        _ = purge.run(&a, until, &tell) => {}
        _ = gate.acquire() => {}
    }
    let half = rows_of(&world, "org_a").await;
    assert!(half < all, "something was removed: {half} of {all}");
    assert_eq!(
        tenants.find(&a).await.unwrap().unwrap().state,
        TenantState::Purging
    );
    assert_eq!(
        tenants.undelete(&a).await.unwrap_err().kind(),
        ErrorKind::Conflict,
        "some of it is gone"
    );
    let PurgeOutcome::Purged(proof) = purge.run(&a, until, &|_| {}).await.unwrap() else {
        panic!("it goes on")
    };
    assert!(proof.holds());
    let tables: Vec<String> = proof.tables.iter().map(|table| table.table.to_string()).collect();
    for table in [
        "organizations",
        "users",
        "departments",
        "tasks",
        "logs_1",
        "logs_2",
    ] {
        assert!(
            tables.contains(&format!("public.{table}")),
            "{table} in {tables:?}"
        );
    }
    assert_eq!(
        (rows_of(&world, "org_a").await, rows_of(&world, "org_b").await),
        (0, others)
    );
    // The id is never given again, and a repetition counts again.
    assert_eq!(
        tenants.create(&new("org_a"), at(60)).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(
        tenants.undelete(&a).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let PurgeOutcome::Purged(again) = purge.run(&a, at(90), &|_| {}).await.unwrap() else {
        panic!("it stays purged")
    };
    assert!(again.tables.iter().all(|table| table.removed == 0));
    world.close().await;
}

#[tokio::test]
async fn a_count_that_could_be_blind_proves_nothing() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    let tenants = PostgresTenants::new(&world.store);
    let _ = tenants.create(&new("org_a"), at(0)).await.unwrap();
    fill(&world, "org_a", 10).await;
    tenants.delete(&tenant("org_a"), at(0)).await.unwrap();
    let mut owner = world.owner().await;
    // Rows that a second policy hides: the naive count is 0, and they are there.
    run(
        &mut owner,
        "create policy shown on tasks as restrictive using (title <> 't')",
    )
    .await
    .unwrap();
    run(
        &mut owner,
        "begin; select set_config('app.current_tenant', 'org_a', true)",
    )
    .await
    .unwrap();
    assert_eq!(count(&mut owner, "tasks").await, 0, "the naive way");
    run(&mut owner, "rollback").await.unwrap();
    let purge = TenantPurge::new(&world.store, layout(&world));
    let blind = purge.run(&tenant("org_a"), at(40), &|_| {}).await.unwrap_err();
    assert_eq!(blind.kind(), ErrorKind::PermissionDenied, "{blind}");
    assert!(blind.to_string().contains("public.tasks"), "{blind}");
    run(&mut owner, "drop policy shown on tasks").await.unwrap();

    // A table without the tenant: nobody knows what is in it.
    run(&mut owner, "create table scraps (id int)").await.unwrap();
    let PurgeOutcome::Left(proof) = purge.run(&tenant("org_a"), at(40), &|_| {}).await.unwrap() else {
        panic!("unproven")
    };
    let scraps: TableName = "scraps".parse().unwrap();
    assert_eq!(proof.unknown, std::slice::from_ref(&scraps));
    let purge = TenantPurge::new(
        &world.store,
        layout(&world).with_global(scraps, "drawings of nobody"),
    );
    assert!(matches!(
        purge.run(&tenant("org_a"), at(40), &|_| {}).await.unwrap(),
        PurgeOutcome::Purged(_)
    ));
    drop(owner);
    world.close().await;
}
