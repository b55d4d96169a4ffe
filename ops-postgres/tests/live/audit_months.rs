use ops_core::audit::{Tree, kept_tree, leaf, link};
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{AuditQuery, AuditStore, TrailEntry};
use sqlx::{AssertSqlSafe, PgConnection};

use super::world::{World, run};

fn tenant() -> TenantId {
    TenantId::new("org_a").unwrap()
}

/// A record of a day, in UTC.
fn record(day: &str, n: i64) -> AuditRecord {
    let at: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
    let at = Timestamp::from_unix_micros(at.as_unix_micros() + n);
    AuditRecord::new(
        at,
        tenant(),
        Actor::person("kazu").unwrap(),
        "export",
        "audit_log",
        n.to_string(),
    )
}

async fn texts(connection: &mut PgConnection, statement: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(statement.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap()
}

const PLACES: &str = "select tableoid::regclass::text from ops.audit_log order by sequence";

#[tokio::test]
async fn months_are_made_by_themselves_ahead_of_what_is_recorded_each_behind_row_security() {
    let Some(world) = World::new().await else { return };
    let mut root = world.superuser().await;
    let now = "select 'ops.audit_log_' || to_char((now() at time zone 'UTC') + make_interval(months => m), 'YYYYMM') from generate_series(0, 3) m";
    let wanted = texts(&mut root, now).await;
    let made = "select c.oid::regclass::text from pg_inherits i join pg_class c on c.oid = inhrelid where inhparent = 'ops.audit_log'::regclass order by 1";
    let before = texts(&mut root, made).await;
    assert!(wanted.iter().all(|month| before.contains(month)), "{before:?}");

    let audit = world.audit().await;
    audit.append(&record("2031-05-17", 1)).await.unwrap();
    assert_eq!(texts(&mut root, PLACES).await, ["ops.audit_log_203105"]);
    let after = texts(&mut root, made).await;
    for month in ["203105", "203106", "203107", "203108"] {
        assert!(after.contains(&format!("ops.audit_log_{month}")), "{after:?}");
    }
    let open = "select relname::text from pg_class c join pg_inherits i on c.oid = inhrelid where inhparent = 'ops.audit_log'::regclass \
         and not (relrowsecurity and relforcerowsecurity and exists (select from pg_policy where polrelid = c.oid))";
    assert!(texts(&mut root, open).await.is_empty());
    // A month that was made is not made again.
    let again: bool = sqlx::query_scalar("select ops.audit_make_month('2031-05-31')")
        .fetch_one(&mut root)
        .await
        .unwrap();
    assert!(!again);
    audit.append(&record("2031-06-01", 2)).await.unwrap();
    audit.append(&record("2031-05-31", 3)).await.unwrap();
    assert_eq!(
        texts(&mut root, PLACES).await,
        [
            "ops.audit_log_203105",
            "ops.audit_log_203106",
            "ops.audit_log_203105"
        ]
    );
    assert!(audit.verify(&tenant()).await.unwrap().intact());
    world.close().await;
}

#[tokio::test]
async fn where_nobody_makes_months_writing_goes_on_and_the_rows_move_when_somebody_does() {
    let Some(world) = World::new().await else { return };
    let (mut root, role) = (world.superuser().await, world.scratch.audit_role());
    let revoke = format!("revoke execute on function ops.audit_make_month(date) from {role}");
    run(&mut root, &revoke).await.unwrap();
    let audit = world.audit().await;
    for n in 0..3 {
        audit.append(&record("2031-05-17", n)).await.unwrap();
        audit.append(&record("2032-01-01", n)).await.unwrap();
    }
    assert_eq!(texts(&mut root, PLACES).await, ["ops.audit_log_rest"; 6]);

    world.store.grant_audit_writer(&role).await.unwrap();
    audit.make_months(record("2031-05-01", 0).at).await.unwrap();
    let (may, rest) = ("ops.audit_log_203105", "ops.audit_log_rest");
    assert_eq!(texts(&mut root, PLACES).await, [may, rest, may, rest, may, rest]);
    let report = audit.verify(&tenant()).await.unwrap();
    assert!(report.intact() && report.records == 6, "{report:?}");
    let page = audit.search(&tenant(), &AuditQuery::default()).await.unwrap();
    assert_eq!(page.records.len(), 6);
    // Row security of the rest holds again.
    let mut owner = world.owner().await;
    assert_eq!(super::world::count(&mut owner, "ops.audit_log_rest").await, 0);
    world.close().await;
}

#[tokio::test]
async fn the_table_of_before_becomes_a_partition_and_its_chain_goes_on() {
    let Some(world) = World::new().await else { return };
    // Back to the version before, with records in it.
    let mut owner = world.owner().await;
    let before = include_str!("../../migrations/0003_audit.sql");
    let back = format!(
        "drop table ops.audit_log, ops.audit_salt, ops.audit_head; drop function ops.audit_make_month(date); drop function ops.audit_close_month(text);
         drop table ops.audit_kept, ops.audit_pruned; drop function ops.audit_holds(text); drop function ops.audit_hold_still(); drop function ops.audit_months(bigint);
         drop function ops.audit_keep(text, bigint, bigint, bigint[], bytea[]); drop function ops.audit_drop(bigint, bigint);
         drop function ops.audit_withhold(text, bigint, bigint, text, text, text, text, text);
         drop table ops.limit_table, ops.limit_state, ops.limit_denial, ops.tenant, ops.data_hold, ops.deletion_requests, ops.acl_order,
             ops.migration_step, ops.migration_run, ops.read_only_setting, ops.incident, ops.incident_entry,
             ops.due_begun, ops.due_date, ops.due_completion, ops.lease;
         drop function ops.incident_written_once;
         drop function ops.check_limits; drop function ops.count_denials;
         {before} delete from ops.schema_migration where version >= 8"
    );
    run(&mut owner, &back).await.unwrap();
    let records: Vec<_> = (0..5)
        .map(|n| record("2025-11-30", n).with_detail("reason", "月次"))
        .collect();
    let mut previous = None;
    let mut root = world.superuser().await;
    for (sequence, record) in (1..).zip(&records) {
        let hash = link(previous.as_ref(), sequence, record);
        previous = Some(hash);
        sqlx::query(
            "insert into ops.audit_log values ('org_a', $1, $2, $3, 'person', 'kazu', 'export', 'audit_log', $4, 'succeeded', null, $5, $6)",
        )
        .bind(i64::try_from(sequence).unwrap())
        .bind(record.id)
        .bind(record.at.as_unix_micros())
        .bind(&record.resource_id)
        .bind(serde_json::to_string(&record.details).unwrap())
        .bind(hash.as_bytes().to_vec())
        .execute(&mut root)
        .await
        .unwrap();
    }
    sqlx::query("insert into ops.audit_head values ('org_a', 5, $1)")
        .bind(previous.unwrap().as_bytes().to_vec())
        .execute(&mut root)
        .await
        .unwrap();

    world.store.migrate().await.unwrap();
    world
        .store
        .grant_audit_writer(&world.scratch.audit_role())
        .await
        .unwrap();
    let audit = world.audit().await;
    let report = audit.verify(&tenant()).await.unwrap();
    assert!(report.intact() && report.records == 5, "{report:?}");
    let tree: Tree = records.iter().map(leaf).collect();
    assert_eq!(
        kept_tree(&audit, &tenant()).await.unwrap(),
        tree,
        "read through while it is not kept"
    );
    assert_eq!(
        audit.append(&records[2]).await.unwrap().sequence,
        3,
        "what is known stays known"
    );

    let new = record("2025-11-30", 77).with_salt("actor", ops_core::model::Salt::random().unwrap());
    assert_eq!(audit.append(&new).await.unwrap().sequence, 6);
    let report = audit.verify(&tenant()).await.unwrap();
    assert!(report.intact() && report.records == 6, "{report:?}");
    let kept: Option<Vec<u8>> = sqlx::query_scalar("select peaks from ops.audit_head")
        .fetch_one(&mut root)
        .await
        .unwrap();
    assert_eq!(
        kept.map(|peaks| peaks.len()),
        Some(64),
        "six records have two peaks"
    );
    assert_eq!(texts(&mut root, PLACES).await, ["ops.audit_log_before"; 6]);
    let found = audit.chain(&tenant(), 0, 10).await.unwrap();
    assert_eq!(
        found
            .iter()
            .filter_map(TrailEntry::record)
            .map(|(_, record)| record)
            .collect::<Vec<_>>(),
        records.iter().chain([&new]).collect::<Vec<_>>()
    );
    world.close().await;
}
