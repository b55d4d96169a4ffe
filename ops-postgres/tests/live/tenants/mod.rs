//! Tenants on a real server: what separates them, and how each naive way fails.

mod facts;
mod gaps;
mod isolation;
mod life;
mod map;
mod personal;
mod purging;

use ops_core::error::Result;
use ops_core::model::{Actor, LegalHold, TenantId, TenantLayout, Timestamp};
use ops_core::ports::LegalHolds as _;
use ops_core::tenancy::TenantContext;
use ops_postgres::{DataHolds, tenant_policies};
use sqlx::{PgConnection, PgPool};

use super::world::{World, run};

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(super) async fn held(
    holds: &DataHolds,
    tenant: &TenantId,
    person: Option<&str>,
    reason: &str,
    since: Timestamp,
) -> Result<LegalHold> {
    let mut hold = LegalHold::new(tenant.clone(), reason, since);
    hold.person = person.map(str::to_owned);
    holds.hold(&hold).await?;
    Ok(hold)
}

pub(super) fn context(name: &str) -> TenantContext {
    TenantContext::for_service(Actor::service("test").unwrap(), tenant(name))
}

pub(super) fn app_role(world: &World) -> String {
    format!("{}_app", world.scratch.name())
}

/// A table of tasks behind generated policies, with three rows for `org_a` and two for `org_b`, and nothing else in `public`.
pub(super) async fn tasks(world: &World) -> TenantLayout {
    let mut owner = world.owner().await;
    run(
        &mut owner,
        &format!(
            "drop table memories, conversations;
             create table tasks (organization_id text not null, id int not null, title text, primary key (organization_id, id));
             grant select, insert, update, delete on tasks to {};
             insert into tasks select 'org_a', n, 'a' from generate_series(1, 3) n;
             insert into tasks select 'org_b', n, 'b' from generate_series(1, 2) n",
            app_role(world)
        ),
    )
    .await
    .unwrap();
    protect(&mut owner, "tasks").await;
    TenantLayout::default().with_app_role(app_role(world))
}

pub(super) async fn protect(owner: &mut PgConnection, table: &str) {
    let statements = tenant_policies(&table.parse().unwrap(), "organization_id", "text");
    run(owner, &statements.join(";")).await.unwrap();
}

/// The tenants whose rows of `tasks` a session sees.
pub(super) async fn seen(connection: &mut PgConnection) -> Vec<String> {
    let rows = sqlx::raw_sql("select distinct organization_id from tasks order by 1")
        .fetch_all(connection)
        .await
        .unwrap();
    rows.iter().map(|row| sqlx::Row::get(row, 0)).collect()
}

pub(super) async fn seen_by_pool(pool: &PgPool) -> Vec<String> {
    seen(&mut pool.acquire().await.unwrap()).await
}
