use ops_core::error::ErrorKind;
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{AuditEraser, AuditStore};
use ops_postgres::{PostgresAuditStore, PostgresStore};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::world::{World, admin_url, run};

fn record(n: i64) -> AuditRecord {
    let at = Timestamp::from_unix_micros(1_769_731_200_000_001 + n);
    let tenant = TenantId::new("org_a").unwrap();
    AuditRecord::new(
        at,
        tenant,
        Actor::person("kazu").unwrap(),
        "export",
        "audit_log",
        n.to_string(),
    )
}

/// What is wrong with the store of this URL.
async fn wrong(url: &SecretString) -> String {
    let error = PostgresAuditStore::connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let said = error.to_string();
    assert!(said.contains("grant_audit_writer"), "the remedy is named: {said}");
    said
}

async fn superusers_url(world: &World) -> SecretString {
    let options: PgConnectOptions = admin_url().await.unwrap().expose_secret().parse().unwrap();
    options
        .database(world.scratch.name())
        .to_url_lossy()
        .to_string()
        .into()
}

#[tokio::test]
async fn a_role_that_could_change_the_trail_is_refused_with_the_reason_and_the_remedy() {
    let Some(world) = World::new().await else { return };
    world.audit().await.append(&record(1)).await.unwrap();
    let said = wrong(world.scratch.owner_url()).await;
    assert!(
        said.contains("owns ops.audit_log") && said.contains("_owner"),
        "{said}"
    );
    let said = wrong(&superusers_url(&world).await).await;
    assert!(said.contains("is a superuser"), "{said}");

    let (mut root, role) = (world.superuser().await, world.scratch.audit_role());
    for (allow, forbid, reason) in [
        (
            "grant update (action) on ops.audit_log to ROLE",
            "revoke update (action) on ops.audit_log from ROLE",
            "may UPDATE ops.audit_log",
        ),
        (
            "grant delete on ops.audit_log_rest to ROLE",
            "revoke delete on ops.audit_log_rest from ROLE",
            "may DELETE ops.audit_log_rest",
        ),
        (
            "grant truncate on ops.audit_log to ROLE",
            "revoke truncate on ops.audit_log from ROLE",
            "may TRUNCATE ops.audit_log",
        ),
        (
            "grant update on ops.audit_salt to ROLE",
            "revoke update on ops.audit_salt from ROLE",
            "may UPDATE ops.audit_salt",
        ),
        (
            "alter role ROLE bypassrls",
            "alter role ROLE nobypassrls",
            "BYPASSRLS",
        ),
        (
            "grant OWNER to ROLE",
            "revoke OWNER from ROLE",
            "member of its owner",
        ),
        (
            "alter table ops.audit_log_rest no force row level security",
            "alter table ops.audit_log_rest force row level security",
            "one policy for the rows of a tenant on ops.audit_log_rest",
        ),
        (
            "alter table ops.audit_log disable row level security",
            "alter table ops.audit_log enable row level security",
            "one policy for the rows of a tenant on ops.audit_log",
        ),
        (
            "create policy everybody on ops.audit_log for select using (true)",
            "drop policy everybody on ops.audit_log",
            "one policy for the rows of a tenant on ops.audit_log",
        ),
        (
            "alter policy tenant_rows on ops.audit_salt using (true)",
            "alter policy tenant_rows on ops.audit_salt using (tenant = (select nullif(current_setting('app.current_tenant', true), '')))",
            "one policy for the rows of a tenant on ops.audit_salt",
        ),
        // Rights that are not inherited are a SET ROLE away.
        (
            "alter role ROLE noinherit; create role ROLE_up; grant update on ops.audit_log to ROLE_up; grant ROLE_up to ROLE",
            "drop owned by ROLE_up; drop role ROLE_up; alter role ROLE inherit",
            "may UPDATE ops.audit_log",
        ),
        (
            "alter role ROLE noinherit; create role ROLE_up superuser; grant ROLE_up to ROLE",
            "drop role ROLE_up; alter role ROLE inherit",
            "superuser",
        ),
    ] {
        let owner = format!("{}_owner", world.scratch.name());
        let named = |statement: &str| statement.replace("ROLE", &role).replace("OWNER", &owner);
        run(&mut root, &named(allow)).await.unwrap();
        let said = wrong(world.scratch.audit_url()).await;
        assert!(said.contains(reason) && said.contains(&role), "{reason}: {said}");
        run(&mut root, &named(forbid)).await.unwrap();
        world.audit().await;
    }
    world.close().await;
}

#[tokio::test]
async fn with_one_login_only_the_owner_makes_a_writer_and_takes_its_rights() {
    let Some(world) = World::new().await else { return };
    let root = PostgresStore::connect(&superusers_url(&world).await)
        .await
        .unwrap();
    let writer = root.audit_writer().await.unwrap();
    assert_eq!(
        root.audit_writer().await.unwrap(),
        writer,
        "making it again is harmless"
    );
    let audit = PostgresAuditStore::assume(&root, &writer).await.unwrap();
    audit.append(&record(1)).await.unwrap();
    assert!(audit.verify(&record(1).tenant).await.unwrap().intact());
    // The rights are the writer's, row security holds.
    let options = PgConnectOptions::clone(&root.pool().connect_options()).options([("role", &writer)]);
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    assert_eq!(
        run(&mut session, "delete from ops.audit_log").await,
        Err("42501".to_owned())
    );
    let rows: i64 = sqlx::query_scalar("select count(*) from ops.audit_log")
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(rows, 0);
    drop(session);

    let eraser = root.audit_eraser().await.unwrap();
    assert_eq!(root.audit_eraser().await.unwrap(), eraser);
    let forgetting = PostgresAuditStore::assume(&root, &eraser).await.unwrap();
    let salted = record(2).with_salt("actor", ops_core::model::Salt::random().unwrap());
    audit.append(&salted).await.unwrap();
    let person = salted.actor.id();
    assert!(audit.forget(&salted.tenant, person).await.is_err());
    let forgotten = forgetting.forget(&salted.tenant, person).await.unwrap();
    assert_eq!(forgotten.records, 1);
    drop(forgetting);

    let error = PostgresAuditStore::assume(&root, "postgres; drop")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // An owner that may make no roles is told what to do.
    let owner = PostgresStore::connect(world.scratch.owner_url()).await.unwrap();
    let mut admin = PgConnection::connect(admin_url().await.unwrap().expose_secret())
        .await
        .unwrap();
    drop(audit);
    root.close().await;
    let mut inside = world.superuser().await;
    run(
        &mut inside,
        &format!("drop owned by {writer}, {eraser}; drop role {writer}, {eraser}"),
    )
    .await
    .unwrap();
    let error = owner.audit_writer().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("administrator"), "{error}");
    owner.close().await;
    world.close().await;
    let left: bool = sqlx::query_scalar(AssertSqlSafe(format!(
        "select exists (select from pg_roles where rolname = '{writer}')"
    )))
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert!(!left);
}

#[tokio::test]
async fn the_writer_may_not_forget_and_the_eraser_may() {
    let Some(world) = World::new().await else { return };
    let audit = world.audit().await;
    let salted = record(1).with_salt("actor", ops_core::model::Salt::random().unwrap());
    audit.append(&salted).await.unwrap();
    let error = audit.forget(&salted.tenant, "kazu").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    world
        .store
        .grant_audit_eraser(&world.scratch.audit_role())
        .await
        .unwrap();
    let forgotten = world.audit().await.forget(&salted.tenant, "kazu").await.unwrap();
    assert_eq!((forgotten.records, forgotten.left), (1, 0));
    let mut root = world.superuser().await;
    let left: i64 = sqlx::query_scalar("select (select count(*) from ops.audit_salt) + (select count(*) from ops.audit_log where actor_id = 'kazu')")
        .fetch_one(&mut root)
        .await
        .unwrap();
    assert_eq!(left, 0, "neither value nor salt is left");
    let report = audit.verify(&salted.tenant).await.unwrap();
    assert!(report.intact() && report.withheld == 1, "{report:?}");
    // What is shown beside the commitment is no part of it: nobody else can be put there.
    run(&mut root, "update ops.audit_log set actor_id = 'mallory'")
        .await
        .unwrap();
    let report = audit.verify(&salted.tenant).await.unwrap();
    assert_eq!(report.faults[0].sequence, 1, "{report:?}");
    world.close().await;
}

#[tokio::test]
async fn a_month_takes_no_rights_from_the_owners_defaults() {
    let Some(world) = World::new().await else { return };
    let (mut owner, role) = (world.owner().await, world.scratch.audit_role());
    run(
        &mut owner,
        &format!("alter default privileges in schema ops grant all on tables to {role}, public"),
    )
    .await
    .unwrap();
    let mut late = record(1);
    late.at = "2031-05-17T00:00:00Z".parse().unwrap();
    world.audit().await.append(&late).await.unwrap();
    // Refused if the month could be changed.
    assert!(world.audit().await.verify(&late.tenant).await.unwrap().intact());
    world.close().await;
}
