use ops_core::audit::Linker;
use ops_core::model::{Actor, AuditOutcome, AuditRecord, RunId, Salt, TenantId, Timestamp};
use ops_core::ports::{Appended, AuditEntry, AuditOrigin, AuditStore, TrailEntry};

use super::world::World;

fn tenant() -> TenantId {
    TenantId::new("org_shapes").unwrap()
}

/// Every part of a record that may be missing is there in some of them. A run comes late only: the first statements have none at all.
fn shaped(n: i64) -> AuditRecord {
    let actor = match n % 3 {
        0 => Actor::person("kazu"),
        1 => Actor::automation("cost-guard"),
        _ => Actor::service("api"),
    };
    let at = Timestamp::from_unix_micros(1_769_731_200_000_000 + n);
    let mut record = AuditRecord::new(at, tenant(), actor.unwrap(), "report.view", "報告", n.to_string())
        .with_outcome(match n % 4 {
            0 => AuditOutcome::Succeeded,
            1 => AuditOutcome::Failed,
            2 => AuditOutcome::Denied,
            _ => AuditOutcome::Unknown,
        });
    if n % 5 > 0 {
        record = record
            .with_detail("ip", "203.0.113.7")
            .with_detail("note", "a \"b\"\n\\ {},NULL");
    }
    if n % 7 == 1 {
        record = record.with_salt("actor", Salt::from_bytes([7; 32]));
    }
    if n % 7 == 2 {
        record = record
            .with_salt("resource_id", Salt::from_bytes([8; 32]))
            .with_salt("details.ip", Salt::from_bytes([9; 32]));
        record.withhold("resource_id");
    }
    if n > 1300 && n % 2 == 0 {
        record = record.with_run(RunId::new(format!("run_{n}")).unwrap());
    }
    record
}

/// A batch of this size goes to the server in several statements.
#[tokio::test]
async fn records_of_every_shape_come_back_as_they_were_given_in_whatever_statement_they_went() {
    let Some(world) = World::new().await else { return };
    let store = world.audit().await;
    let producer = uuid::Uuid::from_u128(7);
    let mut entries: Vec<_> = (0..2500_i64)
        .map(|n| {
            let origin = (n % 3 > 0).then(|| AuditOrigin::new(producer, n.unsigned_abs()));
            AuditEntry::new(shaped(n), origin)
        })
        .collect();
    // Given twice, at the two sides of a statement's end; one that no row can hold; one id with two contents.
    entries.insert(1500, entries[20].clone());
    let mut refused = shaped(3000);
    refused.resource_id = "nul\0".to_owned();
    entries.insert(700, AuditEntry::from(refused));
    let mut other = entries[1200].clone();
    other.record.action = "report.delete".to_owned();
    entries.insert(2300, other);

    let answers = store.append_all(&entries).await.unwrap();
    let mut linker = Linker::default();
    let mut wanted = Vec::new();
    for (place, (entry, answer)) in entries.iter().zip(&answers).enumerate() {
        match (place, answer) {
            (700 | 2300, Appended::Refused(_)) => {}
            (1501, Appended::Known(receipt)) => assert_eq!(receipt.sequence, 21),
            (_, Appended::Stored(receipt)) => {
                assert_eq!(*receipt, linker.push(&entry.record), "at {place}");
                wanted.push((receipt.clone(), entry.record.clone()));
            }
            (_, answer) => panic!("{place}: {answer:?}"),
        }
    }
    assert_eq!(wanted.len(), 2500);
    let chain = store.chain(&tenant(), 0, 10_000).await.unwrap();
    let found: Vec<_> = chain.into_iter().filter_map(TrailEntry::into_record).collect();
    assert_eq!(found, wanted);
    assert!(store.verify(&tenant()).await.unwrap().intact());
    assert_eq!(store.head(&tenant()).await.unwrap(), linker.head());
    let mut owner = world.owner().await;
    let origins: Vec<(Option<uuid::Uuid>, Option<i64>)> = sqlx::query_as(
        "select producer, number from (select set_config('app.current_tenant', 'org_shapes', false)) t, ops.audit_log order by sequence",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    for (at, (producer_found, number)) in origins.into_iter().enumerate() {
        let with = at % 3 > 0;
        assert_eq!(producer_found, with.then_some(producer), "at {at}");
        assert_eq!(number, with.then(|| i64::try_from(at).unwrap()), "at {at}");
    }
    world.close().await;
}
