//! What PostgreSQL really does, with the naive way beside ours.

use ops_core::error::ErrorKind;
use ops_core::tenancy::TenantGap;
use ops_postgres::{TenantCheck, TenantPool};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Row};

use super::super::world::{World, run};
use super::{app_role, context, seen, seen_by_pool, tasks};

#[tokio::test]
async fn the_owner_sees_everything_until_row_security_is_forced() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    let mut owner = world.owner().await;
    assert!(
        seen(&mut owner).await.is_empty(),
        "forced: the owner has no tenant and sees nothing"
    );
    run(&mut owner, "alter table tasks no force row level security")
        .await
        .unwrap();
    assert_eq!(
        seen(&mut owner).await,
        ["org_a", "org_b"],
        "the naive way: enabled and not forced"
    );
    let report = TenantCheck::new(world.store.pool().clone(), layout)
        .run()
        .await
        .unwrap();
    let gaps: Vec<_> = report.findings.iter().map(|found| &found.gap).collect();
    assert_eq!(gaps, [&TenantGap::RowSecurityNotForced]);
    // The statements that the check hands out mend it.
    run(&mut owner, &report.statements.join(";")).await.unwrap();
    assert!(seen(&mut owner).await.is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_pool_of_a_superuser_or_of_one_who_bypasses_row_security_is_refused() {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let mut root = world.superuser().await;
    let (naive, role) = (seen(&mut root).await, app_role(&world));
    assert_eq!(
        naive,
        ["org_a", "org_b"],
        "forced or not, a superuser sees everything"
    );
    TenantPool::new(world.app_pool().await).await.unwrap();
    run(&mut root, &format!("alter role {role} bypassrls"))
        .await
        .unwrap();
    assert_eq!(seen_by_pool(&world.app_pool().await).await, ["org_a", "org_b"]);
    let refused = TenantPool::new(world.app_pool().await).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig, "{refused}");
    world.close().await;
}

#[tokio::test]
async fn without_a_tenant_there_are_no_rows_and_no_error_before_and_after_a_transaction() {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let mut owner = world.owner().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(world.app_pool().await.connect_options().as_ref().clone())
        .await
        .unwrap();
    // The runbook's policy: an error for a session that never had a tenant, and a cast of '' afterwards.
    let naive =
        "create table naive (organization_id uuid, id int); alter table naive enable row level security;
         create policy p on naive using (organization_id = current_setting('app.current_tenant')::uuid)";
    run(&mut owner, naive).await.unwrap();
    run(
        &mut owner,
        &format!("grant select on naive to {}", app_role(&world)),
    )
    .await
    .unwrap();
    let mut session = pool.acquire().await.unwrap();
    assert_eq!(
        run(&mut session, "select * from naive").await,
        Err("42704".to_owned())
    );
    assert!(seen(&mut session).await.is_empty());
    drop(session);

    let tenants = TenantPool::new(pool.clone()).await.unwrap();
    let mut transaction = tenants.begin(&context("org_a")).await.unwrap();
    assert_eq!(seen(&mut transaction).await, ["org_a"]);
    transaction.commit().await.unwrap();
    let mut session = pool.acquire().await.unwrap();
    let left = sqlx::query("select current_setting('app.current_tenant', true)")
        .fetch_one(&mut *session)
        .await
        .unwrap();
    assert_eq!(
        left.get::<Option<String>, _>(0).as_deref(),
        Some(""),
        "not null on a connection that had a tenant"
    );
    assert!(seen(&mut session).await.is_empty());
    run(&mut owner, "insert into naive values (gen_random_uuid(), 1)")
        .await
        .unwrap();
    assert_eq!(
        run(&mut session, "select * from naive").await,
        Err("22P02".to_owned())
    );
    drop(session);
    world.close().await;
}

#[tokio::test]
async fn a_policy_for_inserts_that_checks_nothing_lets_forged_rows_in() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    let tenants = TenantPool::new(world.app_pool().await).await.unwrap();
    let forge = "insert into tasks values ('org_b', 77, 'forged')";
    let mut transaction = tenants.begin(&context("org_a")).await.unwrap();
    assert_eq!(run(&mut transaction, forge).await, Err("42501".to_owned()));
    drop(transaction);
    let mut transaction = tenants.begin(&context("org_a")).await.unwrap();
    let moved = run(&mut transaction, "update tasks set organization_id = 'org_b'").await;
    assert_eq!(
        moved,
        Err("42501".to_owned()),
        "a row cannot be given away either"
    );
    drop(transaction);

    // One permissive policy more: it is joined by "or", and it wins.
    run(
        &mut world.owner().await,
        "create policy import on tasks for insert with check (true)",
    )
    .await
    .unwrap();
    let mut transaction = tenants.begin(&context("org_a")).await.unwrap();
    assert_eq!(run(&mut transaction, forge).await, Ok(()), "the naive way");
    drop(transaction);
    let report = TenantCheck::new(world.store.pool().clone(), layout)
        .run()
        .await
        .unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(
        report.findings[0].gap,
        TenantGap::UncheckedWrite {
            policy: "import".to_owned()
        }
    );
    world.close().await;
}

#[tokio::test]
async fn a_key_without_the_tenant_tells_of_others_and_swallows_ones_own_row() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    let mut owner = world.owner().await;
    let naive = "create table events (organization_id text not null, id int primary key)";
    run(&mut owner, naive).await.unwrap();
    run(
        &mut owner,
        &format!("grant select, insert on events to {}", app_role(&world)),
    )
    .await
    .unwrap();
    super::protect(&mut owner, "events").await;
    let tenants = TenantPool::new(world.app_pool().await).await.unwrap();
    let mut b = tenants.begin(&context("org_b")).await.unwrap();
    run(
        &mut b,
        "insert into events values ('org_b', 1); insert into tasks values ('org_b', 9)",
    )
    .await
    .unwrap();
    b.commit().await.unwrap();

    let mut a = tenants.begin(&context("org_a")).await.unwrap();
    let swallowed = sqlx::query("insert into events values ('org_a', 1) on conflict do nothing")
        .execute(&mut *a)
        .await
        .unwrap();
    assert_eq!(
        swallowed.rows_affected(),
        0,
        "the naive way: my row is gone without a word"
    );
    assert_eq!(
        run(&mut a, "savepoint s; insert into events values ('org_a', 1)").await,
        Err("23505".to_owned())
    );
    run(&mut a, "rollback to s").await.unwrap();
    let kept = sqlx::query("insert into tasks values ('org_a', 9) on conflict do nothing")
        .execute(&mut *a)
        .await
        .unwrap();
    assert_eq!(
        kept.rows_affected(),
        1,
        "a key that begins with the tenant knows nothing of others"
    );
    drop(a);
    let report = TenantCheck::new(world.store.pool().clone(), layout)
        .run()
        .await
        .unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(
        report.findings[0].gap,
        TenantGap::KeyWithoutTenant {
            key: "events_pkey".to_owned()
        }
    );
    world.close().await;
}

#[tokio::test]
async fn a_partition_that_is_granted_is_open_unless_it_has_policies_of_its_own() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    let (mut owner, role) = (world.owner().await, app_role(&world));
    run(
        &mut owner,
        &format!(
            "create table logs (organization_id text not null, at date not null, primary key (organization_id, at)) partition by range (at);
             create table logs_1 partition of logs for values from ('2026-01-01') to ('2026-02-01');
             insert into logs values ('org_a', '2026-01-05'), ('org_b', '2026-01-06');
             grant select on logs, logs_1 to {role}"
        ),
    )
    .await
    .unwrap();
    super::protect(&mut owner, "logs").await;
    let mut app = world.app().await;
    let count = |table| AssertSqlSafe(format!("select count(*) from {table}"));
    let parent: i64 = sqlx::query_scalar(count("logs"))
        .fetch_one(&mut app)
        .await
        .unwrap();
    let partition: i64 = sqlx::query_scalar(count("logs_1"))
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(
        (parent, partition),
        (0, 2),
        "the naive way: policies on the parent only"
    );
    let check = TenantCheck::new(world.store.pool().clone(), layout);
    let report = check.run().await.unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(
        (report.findings[0].subject.as_str(), &report.findings[0].gap),
        ("public.logs_1", &TenantGap::RowSecurityOff)
    );
    run(&mut owner, &report.statements.join(";")).await.unwrap();
    let partition: i64 = sqlx::query_scalar(count("logs_1"))
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(partition, 0);
    assert!(check.run().await.unwrap().intact());
    // Nor is it a gap when the application may not touch it.
    run(
        &mut owner,
        &format!("alter table logs_1 disable row level security; revoke all on logs_1 from {role}"),
    )
    .await
    .unwrap();
    assert!(check.run().await.unwrap().intact());
    world.close().await;
}

#[tokio::test]
async fn truncate_passes_row_security_by_and_copy_into_the_table_is_refused() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    run(
        &mut world.owner().await,
        &format!("grant truncate on tasks to {}", app_role(&world)),
    )
    .await
    .unwrap();
    let report = TenantCheck::new(world.store.pool().clone(), layout)
        .run()
        .await
        .unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(
        report.findings[0].gap,
        TenantGap::RoleMayTruncate {
            role: app_role(&world)
        }
    );
    let tenants = TenantPool::new(world.app_pool().await).await.unwrap();
    let mut a = tenants.begin(&context("org_a")).await.unwrap();
    assert_eq!(
        run(&mut a, "savepoint s; copy tasks from stdin").await,
        Err("0A000".to_owned())
    );
    run(&mut a, "rollback to s; truncate tasks").await.unwrap();
    a.commit().await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from tasks")
        .fetch_one(&mut world.superuser().await)
        .await
        .unwrap();
    assert_eq!(left, 0, "the rows of every tenant are gone");
    world.close().await;
}

#[tokio::test]
async fn the_generated_policy_reads_the_setting_once_and_not_for_each_row() {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let tenants = TenantPool::new(world.app_pool().await).await.unwrap();
    let mut a = tenants.begin(&context("org_a")).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar("explain (costs off) select * from tasks")
        .fetch_all(&mut *a)
        .await
        .unwrap();
    assert!(plan.iter().any(|line| line.contains("InitPlan")), "{plan:?}");
    drop(a);
    world.close().await;
}

#[tokio::test]
async fn a_cached_plan_follows_the_tenant_and_whoever_writes_sql_may_choose_it() {
    let Some(world) = World::new().await else { return };
    tasks(&world).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(world.app_pool().await.connect_options().as_ref().clone())
        .await
        .unwrap();
    let tenants = TenantPool::new(pool.clone()).await.unwrap();
    run(
        &mut pool.acquire().await.unwrap(),
        "set plan_cache_mode = force_generic_plan",
    )
    .await
    .unwrap();
    for (name, wanted) in [("org_a", 3), ("org_b", 2), ("org_c", 0), ("org_a", 3)] {
        let mut transaction = tenants.begin(&context(name)).await.unwrap();
        let count: i64 = sqlx::query_scalar("select count(*) from tasks")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(count, wanted, "{name}");
    }
    // Stated in the docs: a setting is no wall against injected SQL.
    let mut a = tenants.begin(&context("org_a")).await.unwrap();
    let injected = sqlx::raw_sql("select set_config('app.current_tenant', 'org_b', true)")
        .execute(&mut *a)
        .await;
    injected.unwrap();
    assert_eq!(seen(&mut a).await, ["org_b"]);
    drop(a);
    world.close().await;
}
