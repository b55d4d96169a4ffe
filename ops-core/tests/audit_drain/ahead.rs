use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use ops_core::audit::Spool;
use ops_core::memory::InMemoryAudit;
use ops_core::model::TenantId;

use super::troubled::{Trouble, Troubled, names, of};
use super::{record, tenant};

#[tokio::test]
async fn what_is_read_while_the_store_works_is_given_once_and_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let tasks: Vec<_> = (0..3000)
        .map(|n| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.append(record(n)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let wanted: Vec<_> = spool
        .pending()
        .await
        .unwrap()
        .iter()
        .map(|record| record.id)
        .collect();
    let store = Troubled(InMemoryAudit::default(), Trouble::Tires(Mutex::default()));
    while spool.deliver(&store).await.unwrap().pending > 0 {}

    let mut at = 0;
    let Troubled(store, Trouble::Tires(given)) = store else {
        panic!()
    };
    let given = given.into_inner().unwrap();
    assert!(given.len() > 4, "some were refused, and given again");
    for (ids, taken) in given {
        assert_eq!(wanted[at..at + ids.len()], ids, "behind {at}");
        if taken {
            at += ids.len();
        }
    }
    assert_eq!(at, wanted.len());
    let chain = store.chain(&tenant());
    assert!(chain.iter().map(|(_, record)| record.id).eq(wanted));
}

#[tokio::test]
async fn of_long_records_no_batch_has_more_than_fits_easily_into_memory() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    for n in 0..5 {
        let long = record(n).with_detail("text", "x".repeat(10 << 20));
        spool.append(long).await.unwrap();
    }
    assert_eq!(spool.pending().await.unwrap().len(), 5, "all of them are told");
    let store = Troubled(InMemoryAudit::default(), Trouble::Tires(Mutex::default()));
    assert_eq!(spool.deliver(&store).await.unwrap().stored, 5);
    let Trouble::Tires(given) = store.1 else { panic!() };
    let sizes: Vec<_> = given
        .into_inner()
        .unwrap()
        .iter()
        .map(|(ids, _)| ids.len())
        .collect();
    assert_eq!(sizes, [4, 1], "32 MiB, and the one that goes over it");
}

#[tokio::test]
async fn what_was_read_of_a_tenant_before_its_chain_took_nothing_waits_with_the_rest_of_it() {
    const EACH: i64 = 1200;
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path()).unwrap();
    let tenants = ["org_a", "org_b", "org_c"].map(|name| TenantId::new(name).unwrap());
    for n in 0..EACH {
        // The batches of all three are read while the one before is given.
        let [a, b, c] = tenants.each_ref().map(|tenant| spool.append(of(tenant, n)));
        tokio::try_join!(a, b, c).unwrap();
    }
    let stuck = tenants[1].clone();
    let store = Troubled(
        InMemoryAudit::default(),
        Trouble::Stuck(stuck.clone(), AtomicUsize::default()),
    );
    let delivered = spool.deliver(&store).await.unwrap();
    let wanted: Vec<_> = (0..EACH).map(|n| n.to_string()).collect();
    assert_eq!(names(&store.0, &tenants[0]), wanted);
    assert_eq!(names(&store.0, &tenants[2]), wanted);
    assert!(names(&store.0, &stuck).is_empty());
    assert_eq!(delivered.pending, 1200);
    let Troubled(store, Trouble::Stuck(_, given)) = store else {
        panic!()
    };
    assert!(
        given.into_inner() < 1200,
        "most of its records wait without being given"
    );

    let delivered = spool.deliver(&store).await.unwrap();
    assert_eq!((delivered.stored, delivered.pending), (1200, 0));
    for tenant in &tenants {
        assert_eq!(names(&store, tenant), wanted);
    }
}
