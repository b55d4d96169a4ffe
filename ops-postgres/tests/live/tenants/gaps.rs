//! The check names each gap, and nothing in a database that has none.

use ops_core::model::{AcceptedGap, Lang, TableName};
use ops_postgres::TenantCheck;

use super::super::world::{World, run};
use super::{app_role, seen, tasks};

/// `subject gap` of each finding.
async fn found(world: &World, layout: &ops_core::model::TenantLayout) -> Vec<String> {
    let report = TenantCheck::new(world.store.pool().clone(), layout.clone())
        .run()
        .await
        .unwrap();
    for finding in &report.findings {
        assert!(
            !finding.gap.text().get(Lang::Ja).is_empty()
                && finding.gap.text().get(Lang::Ja) != finding.gap.name()
        );
    }
    report
        .findings
        .iter()
        .map(|found| format!("{} {}", found.subject, found.gap.name()))
        .collect()
}

#[tokio::test]
async fn each_gap_is_found_by_its_name_and_goes_when_it_is_mended() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    let role = app_role(&world);
    let database = world.scratch.name().to_owned();
    assert_eq!(found(&world, &layout).await, [""; 0], "a database without a gap");
    let mut root = world.superuser().await;
    let predicate = "(organization_id = (select nullif(current_setting('app.current_tenant', true), '')))";
    for (make, mend, wanted) in [
        (
            "create table notes (id int)",
            "drop table notes",
            "public.notes no_tenant_column",
        ),
        (
            "alter table tasks disable row level security",
            "alter table tasks enable row level security",
            "public.tasks row_security_off",
        ),
        (
            "alter table tasks no force row level security",
            "alter table tasks force row level security",
            "public.tasks row_security_not_forced",
        ),
        (
            "alter table tasks drop constraint tasks_pkey; alter table tasks alter organization_id drop not null",
            "alter table tasks add primary key (organization_id, id)",
            "public.tasks tenant_may_be_null",
        ),
        (
            "create policy support on tasks for select using (true)",
            "drop policy support on tasks",
            "public.tasks open_policy",
        ),
        (
            "create policy shared on tasks for select using (title = 'a')",
            "drop policy shared on tasks",
            "public.tasks open_policy",
        ),
        (
            "create policy p on tasks for update using (organization_id = (select nullif(current_setting('app.current_tenant', true), ''))) with check (true)",
            "drop policy p on tasks",
            "public.tasks unchecked_write",
        ),
        (
            "create policy noisy on tasks for select using (organization_id = current_setting('app.current_tenant'))",
            "drop policy noisy on tasks",
            "public.tasks noisy_policy",
        ),
        (
            "create policy slow on tasks for select using (organization_id = nullif(current_setting('app.current_tenant', true), ''))",
            "drop policy slow on tasks",
            "public.tasks slow_policy",
        ),
        (
            "create unique index once on tasks (id, organization_id)",
            "drop index once",
            "public.tasks key_without_tenant",
        ),
        (
            "create unique index once on tasks (lower(organization_id), id)",
            "drop index once",
            "public.tasks key_without_tenant",
        ),
        (
            "create materialized view kept as select * from tasks; grant select on kept to {role}",
            "drop materialized view kept",
            "public.kept beyond_row_security",
        ),
        (
            "create schema other; create table other.t () inherits (tasks); grant usage on schema other to {role}; grant select on other.t to {role}",
            "drop schema other cascade",
            "other.t row_security_off",
        ),
        (
            "grant truncate on tasks to {role}",
            "revoke truncate on tasks from {role}",
            "public.tasks role_may_truncate",
        ),
        (
            "create role {role}_team; grant {role}_team to {role}; create policy team on tasks for select to {role}_team using (true)",
            "drop policy team on tasks; drop role {role}_team",
            "public.tasks open_policy",
        ),
        (
            "create schema other; create table other.t (id int); grant usage on schema other to {role}; grant select on other.t to {role}",
            "drop schema other cascade",
            "schema other schema_unchecked",
        ),
        (
            "alter role {role} bypassrls",
            "alter role {role} nobypassrls",
            "role {role} role_bypasses",
        ),
        (
            "grant {owner} to {role}",
            "revoke {owner} from {role}",
            "public.tasks role_owns",
        ),
        (
            "create function peek() returns bigint language sql security definer as 'select count(*) from public.tasks'",
            "drop function peek()",
            "function peek() definer_function",
        ),
    ] {
        let fill = |text: &str| {
            text.replace("{role}", &role)
                .replace("{owner}", &format!("{database}_owner"))
        };
        // The owner is a member of the application's role, and must not be while that is a member of the owner.
        if make.contains("grant {owner}") {
            run(&mut root, &fill("revoke {role} from {owner}")).await.unwrap();
        }
        run(&mut root, &fill(make)).await.unwrap();
        assert_eq!(found(&world, &layout).await, [fill(wanted)], "{make}");
        run(&mut root, &fill(mend)).await.unwrap();
        assert_eq!(found(&world, &layout).await, [""; 0], "after {mend}");
    }
    // Harmless beside the others: a restrictive policy, and one that asks for more than the tenant.
    for harmless in [
        "create policy narrow on tasks as restrictive using (title <> 'x')".to_owned(),
        format!("create policy more on tasks for select using ({predicate} and title = 'a')"),
        "create unique index fine on tasks (organization_id, title, id)".to_owned(),
        "create function own() returns int language sql as 'select 1'".to_owned(),
    ] {
        run(&mut root, &harmless).await.unwrap();
        assert_eq!(found(&world, &layout).await, [""; 0], "{harmless}");
    }
    // An open permissive policy is held by a restrictive one that asks for the tenant.
    run(&mut root, &format!("create policy all_rows on tasks using (true); create policy wall on tasks as restrictive using {predicate}")).await.unwrap();
    assert_eq!(found(&world, &layout).await, [""; 0]);
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn who_reads_a_table_without_tenants_reads_what_inherits_from_it_past_its_policies() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world)
        .await
        .with_global("trunk".parse().unwrap(), "ids only");
    let (mut root, role) = (world.superuser().await, app_role(&world));
    run(
        &mut root,
        "create table trunk (id int); alter table tasks inherit trunk",
    )
    .await
    .unwrap();
    assert_eq!(
        found(&world, &layout).await,
        [""; 0],
        "the application may not read it"
    );
    run(&mut root, &format!("grant select on trunk to {role}"))
        .await
        .unwrap();
    let mut app = world.app().await;
    let naive: i64 = sqlx::query_scalar("select count(*) from trunk")
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(naive, 5, "every tenant's, without a tenant");
    assert_eq!(found(&world, &layout).await, ["public.tasks open_through_parent"]);
    drop((app, root));
    world.close().await;
}

#[tokio::test]
async fn a_view_reads_as_its_owner_unless_it_is_told_not_to() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    let (mut root, role) = (world.superuser().await, app_role(&world));
    run(&mut root, &format!("create view all_tasks as select * from tasks; create view again as select * from all_tasks; grant select on all_tasks, again to {role}")).await.unwrap();
    let mut app = world.app().await;
    let naive: i64 = sqlx::query_scalar("select count(*) from again")
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(
        naive, 5,
        "the naive way: a view of a superuser shows every tenant, through another view as well"
    );
    assert_eq!(
        found(&world, &layout).await,
        [
            "public.again view_runs_as_owner",
            "public.all_tasks view_runs_as_owner"
        ]
    );
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&mut root)
        .await
        .unwrap();
    if version >= 150_000 {
        run(
            &mut root,
            "alter view all_tasks set (security_invoker = true); alter view again set (security_invoker)",
        )
        .await
        .unwrap();
        assert_eq!(found(&world, &layout).await, [""; 0]);
        let count: i64 = sqlx::query_scalar("select count(*) from again")
            .fetch_one(&mut app)
            .await
            .unwrap();
        assert_eq!(count, 0);
    }
    assert!(seen(&mut app).await.is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_reference_takes_the_tenant_along_or_points_at_others() {
    let Some(world) = World::new().await else { return };
    let layout = tasks(&world).await;
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create table plans (id text primary key);
         create table organizations (id text primary key, plan text references plans (id));
         create table notes (organization_id text not null references organizations (id), id int, task int, plan text references plans (id),
             primary key (organization_id, id), foreign key (organization_id, task) references tasks (organization_id, id))",
    )
    .await
    .unwrap();
    super::protect(&mut owner, "notes").await;
    run(
        &mut owner,
        &ops_postgres::tenant_policies(&"organizations".parse().unwrap(), "id", "text").join(";"),
    )
    .await
    .unwrap();
    assert_eq!(found(&world, &layout).await, ["public.plans no_tenant_column"]);
    let plans: TableName = "plans".parse().unwrap();
    let layout = layout.with_global(plans, "the price list");
    assert_eq!(found(&world, &layout).await, [""; 0]);
    run(
        &mut owner,
        "delete from tasks; alter table tasks no force row level security",
    )
    .await
    .unwrap();
    run(&mut owner, "delete from tasks; alter table tasks add constraint ids unique (id); alter table notes add constraint bare foreign key (task) references tasks (id); alter table tasks force row level security").await.unwrap();
    assert_eq!(
        found(&world, &layout).await,
        [
            "public.notes reference_without_tenant",
            "public.tasks key_without_tenant"
        ]
    );
    let layout = layout.accepting(AcceptedGap::new(
        "public.tasks",
        "key_without_tenant",
        "ids are drawn by a sequence",
    ));
    assert_eq!(
        found(&world, &layout).await,
        ["public.notes reference_without_tenant"]
    );
    world.close().await;
}

#[tokio::test]
async fn an_application_role_that_is_not_named_or_not_there_is_a_gap() {
    let Some(world) = World::new().await else { return };
    let mut layout = tasks(&world).await;
    layout.app_roles.clear();
    assert_eq!(found(&world, &layout).await, ["application no_app_role"]);
    let layout = layout.with_app_role("nobody_of_that_name");
    assert_eq!(
        found(&world, &layout).await,
        ["role nobody_of_that_name unknown_role"]
    );
    world.close().await;
}
