//! What a purge must not pass over, and what must stop it.

use ops_core::error::ErrorKind;
use ops_core::model::{RetentionEnd, RetentionRule, TenantState};
use ops_core::ports::LegalHolds as _;
use ops_core::ports::TenantDirectory;
use ops_postgres::{BackFill, DataHolds, PostgresTenants, PurgeOutcome, PurgeProof, Retention, TenantPurge};

use super::super::world::{World, count, run, session};
use super::life::{at, fill, layout, new, organizations, rows_of};
use super::{held, tenant};

/// Does something from outside in the middle of a call, and waits for it.
pub(super) fn meanwhile(world: &World, statement: &str) {
    let url = world.scratch.owner_url().clone();
    let statement = statement.to_owned();
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { run(&mut session(&url).await, &statement).await.unwrap() });
    });
    done.join().unwrap();
}

/// Its rows, deleted logically long ago.
async fn deleted(world: &World, name: &str) {
    let tenants = PostgresTenants::new(&world.store);
    let _ = tenants.create(&new(name), at(0)).await.unwrap();
    fill(world, name, 40).await;
    tenants.delete(&tenant(name), at(0)).await.unwrap();
}

fn line(proof: &PurgeProof, table: &str) -> Option<(u64, u64)> {
    let found = proof.tables.iter().find(|one| one.table.to_string() == table);
    found.map(|one| (one.removed, one.left))
}

#[tokio::test]
async fn a_partition_in_another_schema_and_a_copy_of_the_rows_are_part_of_the_proof() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    deleted(&world, "org_a").await;
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create schema parts;
         create table events (organization_id text not null, user_id text, at date not null) partition by range (at);
         create table parts.events_1 partition of events for values from ('2026-01-01') to ('2027-01-01');
         insert into events select 'org_a', 'usr_1', date '2026-01-02' from generate_series(1, 9);
         insert into events select 'org_b', 'usr_1', date '2026-01-02' from generate_series(1, 4);
         create table shapes (organization_id text not null, at date not null) partition by range (at);
         create materialized view titles as select organization_id, at from events",
    )
    .await
    .unwrap();
    let layout = layout(&world);
    let rules = vec![RetentionRule::new(
        "events",
        "events".parse().unwrap(),
        RetentionEnd::Age {
            column: "at".to_owned(),
            keep: std::time::Duration::from_secs(60),
        },
    )];
    let retention = Retention::new(&world.store, layout.clone(), rules);
    let expired = retention.dry_run(at(365 * 57)).await.unwrap();
    assert_eq!((expired.len(), expired[0].left), (1, 13), "{expired:?}");

    let purge = TenantPurge::new(&world.store, layout.clone());
    let PurgeOutcome::Left(proof) = purge.run(&tenant("org_a"), at(40), &|_| {}).await.unwrap() else {
        panic!("the view still has the rows")
    };
    assert_eq!(line(&proof, "parts.events_1"), Some((9, 0)));
    assert_eq!(
        line(&proof, "public.shapes"),
        Some((0, 0)),
        "no partition, and said so"
    );
    assert_eq!(line(&proof, "public.titles"), Some((0, 9)));
    let mut root = world.superuser().await;
    assert_eq!(count(&mut root, "events").await, 4, "the other tenant's");

    // Rows of tenants in a schema that nobody named, and in somebody else's database.
    run(
        &mut root,
        "create foreign data wrapper nowhere; create server there foreign data wrapper nowhere;
         create foreign table elsewhere (organization_id text) server there;
         create schema attic; create table attic.tasks (organization_id text)",
    )
    .await
    .unwrap();
    run(&mut owner, "refresh materialized view titles").await.unwrap();
    let PurgeOutcome::Left(proof) = purge.run(&tenant("org_a"), at(41), &|_| {}).await.unwrap() else {
        panic!("not everything was looked at")
    };
    assert!(proof.tables.iter().all(|table| table.left == 0), "{proof:?}");
    assert_eq!(proof.unchecked, ["schema attic"]);
    let unknown: Vec<_> = proof.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown, ["public.elsewhere"]);
    run(
        &mut root,
        "drop schema attic cascade; drop foreign data wrapper nowhere cascade",
    )
    .await
    .unwrap();
    let done = purge.run(&tenant("org_a"), at(42), &|_| {}).await.unwrap();
    assert!(matches!(done, PurgeOutcome::Purged(_)), "{done:?}");
    drop((owner, root));
    world.close().await;
}

#[tokio::test]
async fn what_inherits_is_purged_and_proven_whatever_schema_it_is_in() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    deleted(&world, "org_a").await;
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create schema attic;
         create table events (organization_id text not null, at date not null);
         create table attic.events_old () inherits (events);
         insert into attic.events_old select o, date '2001-01-02' from unnest(array['org_a', 'org_a', 'org_b']) o",
    )
    .await
    .unwrap();
    let purge = TenantPurge::new(&world.store, layout(&world));
    let plan = purge.dry_run(&tenant("org_a"), at(40)).await.unwrap();
    assert_eq!(line(&plan, "attic.events_old"), Some((0, 2)));
    let PurgeOutcome::Purged(proof) = purge.run(&tenant("org_a"), at(40), &|_| {}).await.unwrap() else {
        panic!("everything was looked at")
    };
    assert_eq!(line(&proof, "attic.events_old"), Some((2, 0)));
    assert_eq!(count(&mut owner, "events").await, 1, "the other tenant's");
    drop(owner);
    world.close().await;
}

#[tokio::test]
async fn a_hold_that_is_placed_during_a_purge_keeps_what_is_left_and_nobody_takes_it_back() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    deleted(&world, "org_a").await;
    let (a, tenants) = (tenant("org_a"), PostgresTenants::new(&world.store));
    let purge = TenantPurge::new(&world.store, layout(&world)).with_batch(1);
    let once = std::sync::Once::new();
    let held = purge
        .run(&a, at(40), &|_| {
            once.call_once(|| {
                meanwhile(
                    &world,
                    "insert into ops.data_hold values (gen_random_uuid(), 'org_a', null, 'case 7', 0)",
                );
            });
        })
        .await
        .unwrap();
    assert!(matches!(held, PurgeOutcome::Left(_)), "{held:?}");
    assert!(rows_of(&world, "org_a").await > 40, "most of it was spared");
    let found = tenants.find(&a).await.unwrap().unwrap();
    assert_eq!(found.state, TenantState::Purging);
    let back = tenants.undelete(&a).await.unwrap_err();
    assert_eq!(back.kind(), ErrorKind::Conflict, "{back}");
    assert!(matches!(
        purge.run(&a, at(41), &|_| {}).await.unwrap(),
        PurgeOutcome::Held { .. }
    ));
    let holds = DataHolds::new(&world.store);
    for hold in holds.open().await.unwrap() {
        assert_eq!(holds.release(hold.id, at(41)).await.unwrap(), Some(hold));
    }

    // Whatever the reason: a purge whose tenant is another's by now does not call it purged.
    let stolen = purge
        .run(&a, at(42), &|_| {
            meanwhile(
                &world,
                "update ops.tenant set state = 'active', deleted_at = null where id = 'org_a'",
            );
        })
        .await
        .unwrap_err();
    assert_eq!(stolen.kind(), ErrorKind::Conflict, "{stolen}");
    world.close().await;
}

#[tokio::test]
async fn nothing_of_the_application_is_changed_while_the_database_is_read_only() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    deleted(&world, "org_a").await;
    let mut owner = world.owner().await;
    run(
        &mut owner,
        "create schema bare; create table bare.notes (organization_id text, at timestamptz);
         insert into bare.notes values (null, '2000-01-01')",
    )
    .await
    .unwrap();
    let (a, layout) = (tenant("org_a"), layout(&world));
    let brake = world
        .guard()
        .with_strength(ops_core::model::ReadOnlyStrength::Brake);
    let prior = world.observe().await;
    ops_core::ports::DatabaseGuard::set_read_only(&brake, &world.target(), &super::super::world::key())
        .await
        .unwrap();
    let (tenants, rows) = (PostgresTenants::new(&world.store), rows_of(&world, "org_a").await);
    let purge = TenantPurge::new(&world.store, layout.clone());
    let mut bare = layout;
    bare.schemas = vec!["bare".to_owned()];
    let fill = BackFill::new(&world.store, bare.clone());
    let age = RetentionEnd::Age {
        column: "at".to_owned(),
        keep: std::time::Duration::from_secs(60),
    };
    let rule = RetentionRule::new("notes", "bare.notes".parse().unwrap(), age);
    let retention = Retention::new(&world.store, bare, vec![rule]);
    for (what, refused) in [
        ("purge", purge.run(&a, at(40), &|_| {}).await.map(drop)),
        ("back-fill", fill.run(&a, &|_| {}).await.map(drop)),
        ("retention", retention.run(at(20_000), &|_| {}).await.map(drop)),
        ("create", tenants.create(&new("org_b"), at(0)).await.map(drop)),
        ("undelete", tenants.undelete(&a).await.map(drop)),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{what}: {refused}");
        assert!(
            refused.to_string().contains("read-only mode"),
            "{what}: {refused}"
        );
    }
    assert_eq!(rows_of(&world, "org_a").await, rows);
    assert_eq!(
        tenants.find(&a).await.unwrap().unwrap().state,
        TenantState::Deleted,
        "it can still be had back"
    );
    world.restore(&prior).await;
    tenants.undelete(&a).await.unwrap();
    drop(owner);
    world.close().await;
}

#[tokio::test]
async fn a_mode_that_begins_in_the_middle_of_a_change_undoes_the_change() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    let tenants = PostgresTenants::new(&world.store);
    let _ = tenants.create(&new("org_a"), at(0)).await.unwrap();
    let mut owner = world.superuser().await;
    // In the same transaction, so that it comes neither earlier nor later.
    run(
        &mut owner,
        "create schema bare; create table bare.notes (organization_id text);
         insert into bare.notes values (null);
         create function begin_mode() returns trigger language plpgsql security definer as $$ begin
             execute format('alter database %I set default_transaction_read_only = on', current_database());
             return new;
         end $$;
         create trigger begin_mode before update on bare.notes for each row execute function begin_mode();
         create trigger begin_mode before update on organizations for each row execute function begin_mode()",
    )
    .await
    .unwrap();
    let grant = format!(
        "alter schema bare owner to {0}; alter table bare.notes owner to {0}",
        world.store.role().await.unwrap()
    );
    run(&mut owner, &grant).await.unwrap();
    let (a, mut bare) = (tenant("org_a"), layout(&world));
    bare.schemas = vec!["bare".to_owned()];
    let fill = BackFill::new(&world.store, bare);
    for (what, refused) in [
        ("delete", tenants.delete(&a, at(1)).await.map(drop)),
        ("back-fill", fill.run(&a, &|_| {}).await.map(drop)),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{what}: {refused}");
        assert!(
            refused.to_string().contains("read-only mode"),
            "{what}: {refused}"
        );
    }
    assert_eq!(
        tenants.find(&a).await.unwrap().unwrap().state,
        TenantState::Active
    );
    assert_eq!(
        count(&mut owner, "bare.notes where organization_id is null").await,
        1
    );
    world.close().await;
}

#[tokio::test]
async fn a_deletion_that_finds_no_organisation_and_a_hold_on_nobody_are_refused() {
    let Some(world) = World::new().await else { return };
    organizations(&world).await;
    let (tenants, holds) = (PostgresTenants::new(&world.store), DataHolds::new(&world.store));
    let early = held(&holds, &tenant("org_a"), None, "case 7", at(0)).await;
    early.expect("there is no directory yet");
    let _ = tenants.create(&new("org_a"), at(0)).await.unwrap();
    let typo = held(&holds, &tenant("org_A"), None, "case 8", at(0))
        .await
        .unwrap_err();
    assert_eq!(typo.kind(), ErrorKind::NotFound, "{typo}");
    let statement = "delete from departments; delete from users; delete from organizations";
    run(&mut world.superuser().await, statement).await.unwrap();
    let gone = tenants.delete(&tenant("org_a"), at(1)).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Conflict, "{gone}");
    assert!(
        gone.to_string().contains("remedy: insert its row there"),
        "{gone}"
    );
    let found = tenants.find(&tenant("org_a")).await.unwrap().unwrap();
    assert_eq!(found.state, TenantState::Active);
    world.close().await;
}
