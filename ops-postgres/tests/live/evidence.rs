use std::path::Path;
use std::sync::Arc;

use ops_core::audit::{
    EvidenceExport, EvidenceFaultKind, EvidenceManifest, EvidenceRequest, EvidenceVerdict, EvidenceVerifier,
    NoteSigner, check_dump,
};
use ops_core::clock::SystemClock;
use ops_core::error::{ErrorKind, Result};
use ops_core::model::{Actor, AuditRecord, TenantId, Timestamp};
use ops_core::ports::{AuditQuery, AuditStore, EvidenceFilter, EvidenceSource, TrailEntry};
use ops_postgres::{PostgresAuditStore, PostgresStore};

use super::world::{World, run};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn record(tenant: &TenantId, n: i64) -> AuditRecord {
    let at = Timestamp::from_unix_micros(1_769_731_200_000_001 + n * 86_400_000_000);
    let actor = Actor::person(if n % 2 == 0 { "kazu" } else { "mika" }).unwrap();
    let action = if n % 3 == 0 { "export" } else { "read" };
    AuditRecord::new(at, tenant.clone(), actor, action, "task", format!("t{}", n % 4))
        .with_detail("reason", "月次")
}

/// Two tenants, forty records each, over more than a month.
async fn trails(world: &World) -> PostgresAuditStore {
    let audit = world.audit().await;
    for n in 0..40 {
        audit.append(&record(&tenant("org_a"), n)).await.unwrap();
        audit.append(&record(&tenant("org_b"), n)).await.unwrap();
    }
    audit
}

async fn export(
    audit: &PostgresAuditStore,
    signer: &NoteSigner,
    query: &AuditQuery,
    out: &Path,
) -> Result<EvidenceManifest> {
    let mut request = EvidenceRequest::new(tenant("org_a"), "INC-7", Actor::person("kazu").unwrap());
    request.filter = EvidenceFilter::of(query);
    EvidenceExport::new(
        Arc::new(audit.clone()),
        signer.clone(),
        Arc::new(SystemClock::new()),
    )
    .write(&request, out)
    .await
}

fn verify(signer: &NoteSigner, out: &Path) -> EvidenceVerdict {
    EvidenceVerifier::new(vec![signer.verifier().clone()])
        .verify(out)
        .unwrap()
}

#[tokio::test]
async fn an_export_has_the_records_of_its_tenant_and_verifies_without_the_database() {
    let Some(world) = World::new().await else { return };
    let audit = trails(&world).await;
    let signer = NoteSigner::generate("audit.example.com").unwrap();
    let mut queries = vec![AuditQuery::default(); 4];
    queries[1].actor = Some("kazu".to_owned());
    queries[2].from = Some(record(&tenant("org_a"), 10).at);
    queries[2].actions = AuditQuery::HIGH_PRIVILEGE.map(str::to_owned).to_vec();
    queries[3].resource_type = Some("task".to_owned());
    queries[3].resource_id = Some("t2".to_owned());
    for query in queries {
        let out = tempfile::tempdir().unwrap();
        let manifest = export(&audit, &signer, &query, out.path()).await.unwrap();
        let mut shown = Vec::new();
        let verdict = EvidenceVerifier::new(vec![signer.verifier().clone()])
            .verify_each(out.path(), |receipt, record| {
                shown.push((receipt.clone(), record.clone()))
            })
            .unwrap();
        assert!(verdict.intact(), "{verdict:?}");
        let chain = audit.chain(&tenant("org_a"), 0, 1000).await.unwrap();
        let wanted: Vec<_> = chain
            .into_iter()
            .filter_map(TrailEntry::into_record)
            .filter(|(_, record)| query.matches(record))
            .collect();
        assert_eq!(shown, wanted);
        assert_eq!((manifest.size, manifest.counted), (40, wanted.len() as u64));
    }
    world.close().await;
}

#[tokio::test]
async fn a_role_that_passes_row_security_by_exports_no_other_tenant() {
    let Some(world) = World::new().await else { return };
    trails(&world).await;
    let admin = super::world::admin_url().await.unwrap();
    let url = secrecy::ExposeSecret::expose_secret(&admin);
    let (server, _) = url.rsplit_once('/').unwrap();
    let url = format!("{server}/{}", world.scratch.name());
    let store = PostgresStore::connect(&url.into()).await.unwrap();
    let audit = PostgresAuditStore::unchecked(&store);
    let (signer, out) = (
        NoteSigner::generate("audit.example.com").unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let manifest = export(&audit, &signer, &AuditQuery::default(), out.path())
        .await
        .unwrap();
    assert_eq!((manifest.records, manifest.fault_count), (40, 0));
    assert!(verify(&signer, out.path()).intact());
    store.close().await;
    world.close().await;
}

#[tokio::test]
async fn what_is_appended_meanwhile_is_not_seen() {
    let Some(world) = World::new().await else { return };
    let audit = trails(&world).await;
    let mut snapshot = audit
        .snapshot(&tenant("org_a"), &EvidenceFilter::default())
        .await
        .unwrap();
    audit.append(&record(&tenant("org_a"), 40)).await.unwrap();
    let mut found = 0;
    loop {
        let batch = snapshot.next().await.unwrap();
        if batch.is_empty() {
            break;
        }
        found += batch.len();
    }
    assert_eq!((found, snapshot.extent().matching), (40, 40));
    // Dropped before its end, a snapshot gives its connection back: more of them than there are connections.
    for _ in 0..10 {
        drop(
            audit
                .snapshot(&tenant("org_a"), &EvidenceFilter::default())
                .await
                .unwrap(),
        );
    }
    world.close().await;
}

#[tokio::test]
async fn what_a_superuser_changed_is_preserved_and_named() {
    let Some(world) = World::new().await else { return };
    let audit = trails(&world).await;
    let signer = NoteSigner::generate("audit.example.com").unwrap();
    let mut root = world.superuser().await;
    run(&mut root, "create table public.kept as table ops.audit_log; create table public.kept_head as table ops.audit_head")
        .await
        .unwrap();
    for (tampering, kind) in [
        (
            "update ops.audit_log set actor_id = 'nobody' where tenant = 'org_a' and sequence = 3",
            EvidenceFaultKind::Edited,
        ),
        (
            "update ops.audit_log set details = 'no json' where tenant = 'org_a' and sequence = 5",
            EvidenceFaultKind::Unreadable,
        ),
        (
            "delete from ops.audit_log where tenant = 'org_a' and sequence = 7",
            EvidenceFaultKind::Deleted,
        ),
        (
            "delete from ops.audit_log where tenant = 'org_a' and sequence > 30",
            EvidenceFaultKind::FoundAtExport,
        ),
    ] {
        run(&mut root, tampering).await.unwrap();
        let out = tempfile::tempdir().unwrap();
        let manifest = export(&audit, &signer, &AuditQuery::default(), out.path())
            .await
            .unwrap();
        assert_eq!(manifest.checkpoint, None, "nobody signs it: {tampering}");
        let verdict = verify(&signer, out.path());
        assert!(verdict.names(kind), "{tampering}: {verdict:?}");
        run(
            &mut root,
            "delete from ops.audit_log; insert into ops.audit_log select * from public.kept;
             delete from ops.audit_head; insert into ops.audit_head select * from public.kept_head",
        )
        .await
        .unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let manifest = export(&audit, &signer, &AuditQuery::default(), out.path())
        .await
        .unwrap();
    assert!(manifest.checkpoint.is_some(), "after putting back");
    world.close().await;
}

#[tokio::test]
async fn an_unknown_tenant_is_no_empty_success() {
    let Some(world) = World::new().await else { return };
    let audit = world.audit().await;
    let (signer, out) = (
        NoteSigner::generate("audit.example.com").unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let refused = export(&audit, &signer, &AuditQuery::default(), out.path())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    world.close().await;
}

/// The traps of the runbook's `pg_dump`: a success without rows.
#[tokio::test]
async fn a_dump_without_rows_is_noticed_though_pg_dump_succeeds() {
    let Some(world) = World::new().await else { return };
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create table public.audit_logs (id bigint, at date) partition by range (at);
         create table public.audit_logs_2026 partition of public.audit_logs for values from ('2026-01-01') to ('2027-01-01');
         insert into public.audit_logs select n, '2026-02-01' from generate_series(1, 100) n",
    )
    .await
    .unwrap();
    let dump = |table: &str| {
        // pg_dump knows none of the driver's own settings.
        let url = secrecy::ExposeSecret::expose_secret(world.scratch.owner_url());
        let url = url.split('?').next().unwrap();
        let ran = std::process::Command::new("pg_dump")
            .args(["--data-only", "-t", table, "-d", url])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        if said.contains("server version mismatch") {
            let line = format!("LEFT OUT: the check of dumps: {said}");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            return None;
        }
        assert!(ran.status.success(), "{said}");
        Some(check_dump(ran.stdout.as_slice(), "audit_logs", Some(100)).unwrap())
    };
    let Some(parent) = dump("public.audit_logs") else {
        return world.close().await;
    };
    assert!(!parent.complete() && parent.rows == 0, "{parent:?}");
    let whole = dump("public.audit_logs*").unwrap();
    assert!(whole.complete() && whole.rows == 100, "{whole:?}");
    world.close().await;
}

#[tokio::test]
async fn an_export_that_is_given_up_leaves_no_connection_an_answer_behind() {
    let Some(world) = World::new().await else { return };
    let (audit, org) = (world.audit().await, tenant("org_a"));
    let entries: Vec<_> = (0..12_000).map(|n| record(&org, n % 40).into()).collect();
    for part in entries.chunks(4000) {
        audit.append_all(part).await.unwrap();
    }
    // More often than there are connections.
    for _ in 0..6 {
        let mut snapshot = audit.snapshot(&org, &EvidenceFilter::default()).await.unwrap();
        assert!(!snapshot.next().await.unwrap().is_empty());
        drop(snapshot);
    }
    for n in 0..8 {
        audit.append(&record(&org, n)).await.unwrap();
        let head = audit.head(&org).await.unwrap().unwrap();
        assert_eq!(head.receipt.sequence, 12_001 + n.unsigned_abs());
    }
    assert!(audit.verify(&org).await.unwrap().intact());
    world.close().await;
}
