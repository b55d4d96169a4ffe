use super::audit_store::{fresh_tenant, record, records};
use super::{at, ok};
use crate::audit::{Tree, kept_tree, leaf, link};
use crate::error::ErrorKind;
use crate::model::{Actor, AuditRecord, Salt, TenantId};
use crate::ports::{Appended, AuditEntry, AuditEraser, AuditOrigin, AuditQuery, AuditReceipt, AuditStore};

/// The part of the contract that is about many records at once, the tree and the salts.
pub(super) async fn audit_batches(port: &dyn AuditStore) {
    an_empty_batch_is_nothing(port).await;
    a_batch_is_appended_in_its_order_and_once(port).await;
    what_is_refused_holds_up_nothing(port).await;
    batches_at_the_same_time_make_one_chain(port).await;
    the_tree_is_kept_beside_the_chain(port).await;
    salts_are_kept_in_the_chain_and_not_found(port).await;
}

/// The contract of [`AuditEraser`] for what `store` keeps. It uses fresh tenants, so that it may run on a shared store; its records stay.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn audit_eraser(store: &dyn AuditStore, port: &dyn AuditEraser) {
    let (tenant, other) = (fresh_tenant(), fresh_tenant());
    let salt = |record: AuditRecord, field: &str| record.with_salt(field, ok("a salt", Salt::random()));
    let by = |tenant: &TenantId, n: i64, who: &str| {
        AuditRecord::new(
            at(n),
            tenant.clone(),
            ok("an actor", Actor::person(who)),
            "export",
            "list",
            "1",
        )
        .with_detail("ip", "203.0.113.7")
        .with_detail("user", if who == "hanako" { "jiro" } else { "hanako" })
    };
    let written = [
        salt(salt(by(&tenant, 1, "kazu"), "actor"), "details.ip"),
        salt(salt(by(&tenant, 2, "hanako"), "actor"), "details.ip"),
        salt(by(&tenant, 3, "saburo"), "details.user"),
        by(&tenant, 4, "kazu"),
        salt(by(&other, 1, "kazu"), "actor"),
    ];
    let entries: Vec<_> = written.iter().cloned().map(AuditEntry::from).collect();
    let receipts = stored(ok("append", store.append_all(&entries).await));
    let before = ok("tree", kept_tree(store, &tenant).await);

    let forgotten = ok("forget", port.forget(&tenant, "kazu").await);
    assert_eq!(
        (forgotten.records, forgotten.left),
        (1, 1),
        "one record can lose the name, one has it in a field without a salt"
    );
    let chain = records(ok("chain", store.chain(&tenant, 0, 100).await));
    assert_eq!(
        chain.iter().map(|(receipt, _)| receipt).collect::<Vec<_>>(),
        receipts[..4].iter().collect::<Vec<_>>(),
        "the receipts must stay"
    );
    let first = &chain[0].1;
    assert!(
        first.actor.id() != "kazu" && first.details["ip"] != "203.0.113.7" && first.salts.is_empty(),
        "of the person's own record every field with a salt must be gone: {first:?}"
    );
    assert_eq!(first.details["user"], "hanako", "a field without a salt stays");
    assert_eq!(
        chain[1].1, written[1],
        "the record of somebody else stays as it is"
    );
    let report = ok("verify", store.verify(&tenant).await);
    assert!(
        report.intact() && report.withheld == 1,
        "the chain must stay intact, and the report must say how many records lost values: {report:?}"
    );
    let leaves: Tree = chain.iter().map(|(_, record)| leaf(record)).collect();
    assert_eq!(
        leaves.root(),
        before.root(),
        "checkpoints that were signed before must hold"
    );
    let query = AuditQuery {
        actor: Some("kazu".to_owned()),
        ..AuditQuery::default()
    };
    let page = ok("search", store.search(&tenant, &query).await);
    assert_eq!(page.records.len(), 1, "what was removed must not be found");
    let elsewhere = records(ok("chain", store.chain(&other, 0, 100).await));
    assert_eq!(
        elsewhere[0].1, written[4],
        "another tenant's records stay as they are"
    );

    let again = ok("append of what was forgotten", store.append_all(&entries).await);
    assert!(
        again.iter().all(|answer| matches!(answer, Appended::Known(_))),
        "a late second delivery must bring nothing back: {again:?}"
    );
    let once_more = ok("forget again", port.forget(&tenant, "kazu").await);
    assert_eq!(
        (once_more.records, once_more.left),
        (0, 1),
        "forgetting again is harmless"
    );
    let named = ok("forget in a detail", port.forget(&tenant, "hanako").await);
    assert_eq!(
        named.records, 2,
        "who is named in a field with a salt must be forgotten there, and in records of their own"
    );
    let chain = records(ok("chain", store.chain(&tenant, 0, 100).await));
    assert!(
        chain[2].1.details["user"] != "hanako" && chain[2].1.actor.id() == "saburo",
        "only the field that names them: {:?}",
        chain[2].1
    );
    assert!(ok("verify", store.verify(&tenant).await).intact());
    let new = by(&tenant, 9, "late");
    ok("append behind it", store.append(&new).await);
    let tree: Tree = records(ok("chain", store.chain(&tenant, 0, 100).await))
        .iter()
        .map(|(_, record)| leaf(record))
        .collect();
    assert_eq!(
        ok("tree", kept_tree(store, &tenant).await),
        tree,
        "the chain must go on"
    );
}

async fn an_empty_batch_is_nothing(port: &dyn AuditStore) {
    assert!(ok("append of nothing", port.append_all(&[]).await).is_empty());
}

async fn a_batch_is_appended_in_its_order_and_once(port: &dyn AuditStore) {
    let (tenant, other) = (fresh_tenant(), fresh_tenant());
    let producer = uuid::Uuid::from_u128(7);
    // Not in the order of their times.
    let entries: Vec<_> = (0..)
        .zip([
            (&tenant, 5),
            (&other, 1),
            (&tenant, 2),
            (&tenant, 9),
            (&other, 0),
            (&tenant, 3),
        ])
        .map(|(number, (tenant, n))| {
            AuditEntry::new(record(tenant, n), Some(AuditOrigin::new(producer, number)))
        })
        .collect();
    let receipts = stored(ok("append of a batch", port.append_all(&entries).await));
    for tenant in [&tenant, &other] {
        let mut previous = None;
        let of_tenant = entries
            .iter()
            .zip(&receipts)
            .filter(|(entry, _)| entry.record.tenant == *tenant);
        for (sequence, (entry, receipt)) in (1..).zip(of_tenant) {
            let hash = link(previous.as_ref(), sequence, &entry.record);
            assert_eq!(
                *receipt,
                AuditReceipt::new(sequence, hash),
                "records of a tenant must be linked in the order of the batch"
            );
            previous = Some(hash);
        }
    }
    let mut more = entries.clone();
    more.insert(2, record(&tenant, 7).into());
    more.push(more[2].clone());
    let answers = ok(
        "append of a batch that is known in part",
        port.append_all(&more).await,
    );
    let mut known = receipts.iter();
    for (place, answer) in answers.iter().enumerate() {
        match (place, answer) {
            (2, Appended::Stored(receipt)) => assert_eq!(receipt.sequence, 5, "no place may be left out"),
            (7, Appended::Known(receipt)) => assert_eq!(receipt.sequence, 5, "twice in one batch is once"),
            (_, Appended::Known(receipt)) => assert_eq!(Some(receipt), known.next(), "the first receipt"),
            _ => panic!("place {place} of a batch that is known in part: {answer:?}"),
        }
    }
    let report = ok("verify", port.verify(&tenant).await);
    assert!(
        report.intact() && report.records == 5,
        "nothing twice: {report:?}"
    );
}

async fn what_is_refused_holds_up_nothing(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    let known = record(&tenant, 1);
    ok("append", port.append(&known).await);
    let mut moved = known.clone();
    moved.at = at(77);
    let entries = [
        record(&tenant, 2),
        known.with_detail("reason", "another"),
        record(&tenant, 3),
        moved,
    ];
    let entries = entries.map(AuditEntry::from);
    let answers = ok(
        "append of a batch with a conflict",
        port.append_all(&entries).await,
    );
    let conflict =
        |answer: &Appended| matches!(answer, Appended::Refused(error) if error.kind() == ErrorKind::Conflict);
    assert!(
        conflict(&answers[1]) && conflict(&answers[3]),
        "the same id with another content, or another time, is a conflict: {answers:?}"
    );
    let place = |answer: &Appended| match answer {
        Appended::Stored(receipt) => receipt.sequence,
        _ => 0,
    };
    assert_eq!(
        (place(&answers[0]), place(&answers[2])),
        (2, 3),
        "a conflict must hold up nothing and leave no place out: {answers:?}"
    );
    assert!(ok("verify", port.verify(&tenant).await).intact());
}

async fn batches_at_the_same_time_make_one_chain(port: &dyn AuditStore) {
    let (tenant, other) = (fresh_tenant(), fresh_tenant());
    let batch = |first: i64| -> Vec<AuditEntry> {
        (first..first + 20)
            .flat_map(|n| [record(&tenant, n), record(&other, n)])
            .map(AuditEntry::from)
            .collect()
    };
    let (a, b, c) = (batch(0), batch(100), batch(200));
    // The second batch is given by two writers.
    let answers: [_; 4] = tokio::join!(
        port.append_all(&a),
        port.append_all(&b),
        port.append_all(&b),
        port.append_all(&c)
    )
    .into();
    let mut places: Vec<_> = answers
        .into_iter()
        .flat_map(|answers| ok("append at the same time", answers))
        .filter_map(|answer| match answer {
            Appended::Stored(receipt) => Some(receipt.sequence),
            _ => None,
        })
        .collect();
    places.sort_unstable();
    let wanted: Vec<u64> = (1..=60).flat_map(|place| [place, place]).collect();
    assert_eq!(
        places, wanted,
        "each tenant must have one chain, and what two writers give is stored once"
    );
    for tenant in [&tenant, &other] {
        let report = ok("verify", port.verify(tenant).await);
        assert!(report.intact() && report.records == 60, "one chain: {report:?}");
    }
}

async fn the_tree_is_kept_beside_the_chain(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    assert_eq!(ok("head of nothing", port.head(&tenant).await), None);
    assert_eq!(ok("tree of nothing", kept_tree(port, &tenant).await), Tree::new());
    let mut tree = Tree::new();
    for (n, size) in (0..).zip([1_i64, 2, 1, 5, 8]) {
        let entries: Vec<AuditEntry> = (0..size).map(|m| record(&tenant, 100 * n + m).into()).collect();
        let receipts = stored(ok("append of a batch", port.append_all(&entries).await));
        tree.extend(entries.iter().map(|entry| leaf(&entry.record)));
        let head = ok("head", port.head(&tenant).await);
        assert_eq!(
            head.as_ref().map(|head| &head.receipt),
            receipts.last(),
            "the head must be the newest record's receipt"
        );
        assert_eq!(
            ok("tree", kept_tree(port, &tenant).await),
            tree,
            "the tree beside the head must be that of all records"
        );
    }
}

async fn salts_are_kept_in_the_chain_and_not_found(port: &dyn AuditStore) {
    let tenant = fresh_tenant();
    let plain = record(&tenant, 1);
    let salted = |salt: u8| plain.clone().with_salt("actor", Salt::from_bytes([salt; 32]));
    let first = ok("append of a record with a salt", port.append(&salted(1)).await);
    assert_eq!(
        ok("append with another salt", port.append(&salted(2)).await),
        first,
        "a salt is no content"
    );
    let chain = records(ok("chain", port.chain(&tenant, 0, 10).await));
    assert_eq!(chain, [(first, salted(1))], "the chain must give the salts back");
    let page = ok("search", port.search(&tenant, &AuditQuery::default()).await);
    assert_eq!(page.records, [plain], "a search must give no salts");
}

fn stored(answers: Vec<Appended>) -> Vec<AuditReceipt> {
    let stored = |answer: Appended| match answer {
        Appended::Stored(receipt) => receipt,
        other => panic!("a new record must be stored: {other:?}"),
    };
    answers.into_iter().map(stored).collect()
}
