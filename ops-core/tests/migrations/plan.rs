//! What a plan binds, and what it knows of its steps.

use ops_core::governance::migration::MigrationPlan;
use ops_core::model::{
    AppliedMigration, HalfDone, Index, MigrationTool, Relation, RelationKind, Schema, SchemaState,
};

use crate::run::{LEDGER, World};

#[tokio::test]
async fn a_proof_is_of_a_migration_and_of_all_that_stand_before_it() {
    const SCRIPTS: [(&str, &str); 3] = [
        ("1_a.sql", "create table a (id int);"),
        ("2_b.sql", "create table b (id int);"),
        ("3_c.sql", "create table c (id int);"),
    ];
    let (first, second, third) = (SCRIPTS[0], SCRIPTS[1], SCRIPTS[2]);
    let digests = async |files: &[(&str, &str)], applied: &[&str]| {
        let world = World::new(files);
        for version in applied {
            let applied = AppliedMigration::new(*version);
            world.database.apply(MigrationTool::Sqlx, LEDGER, applied);
        }
        let plan = world.plan().await;
        let each = plan.migrations.iter().map(|migration| migration.digest.clone());
        (plan.digest.clone(), each.collect::<Vec<_>>())
    };
    let (all, each) = digests(&SCRIPTS, &[]).await;
    let (rest, left) = digests(&SCRIPTS, &["1"]).await;
    assert_eq!(left, each[1..], "what is left of a plan is still proved");
    assert_ne!(rest, all, "and is another run");
    let (_, one_fewer) = digests(&[second, third], &[]).await;
    let (_, other_order) = digests(&[("1_b.sql", second.1), ("2_a.sql", first.1), third], &[]).await;
    let (_, changed) = digests(&[("1_a.sql", "create table a (id bigint);"), second, third], &[]).await;
    for (what, found) in [
        ("one fewer", one_fewer),
        ("another order", other_order),
        ("another first one", changed),
    ] {
        let known: Vec<_> = found.iter().filter(|digest| each.contains(digest)).collect();
        assert!(known.is_empty(), "{what}: nothing of it was proved");
    }
    let world = World::new(&SCRIPTS);
    let bare = MigrationPlan::new(&world.folder, &SchemaState::default(), &Default::default()).unwrap();
    assert_ne!(bare.digest, all, "over another table it is another run");
}

#[tokio::test]
async fn what_no_session_can_lock_is_not_touched_and_what_stays_half_done_is_known() {
    let script = "reindex index concurrently parts_key;
        refresh materialized view totals;
        alter foreign table far add column b int;
        alter table near add column b int;
        alter table parts detach partition parts_1 concurrently;
        reindex table concurrently near;
        alter table parts detach partition parts_1 finalize;
        reindex table near;";
    let world = World::new(&[("1_a.sql", script)]);
    let mut schema = Schema::default();
    for (name, kind) in [
        ("totals", RelationKind::MaterializedView),
        ("far", RelationKind::Foreign),
        ("near", RelationKind::Table),
        ("parts", RelationKind::Partitioned),
        ("parts_1", RelationKind::Table),
    ] {
        let mut relation = Relation::default();
        relation.kind = kind;
        if name == "parts_1" {
            relation.parents = vec!["public.parts".to_owned()];
        }
        if name == "parts" {
            let mut key = Index::default();
            key.name = "public.parts_key".to_owned();
            relation.indexes.push(key);
        }
        schema.relations.insert(format!("public.{name}"), relation);
    }
    world.database.set_schema(schema);
    let plan = world.plan().await;
    assert_eq!(
        plan.migrations[0].touched,
        ["public.near", "public.parts_1"],
        "{plan:?}"
    );
    let leave: Vec<_> = plan.migrations[0]
        .steps
        .iter()
        .map(|step| step.may_leave.clone())
        .collect();
    let detach = HalfDone::Detach {
        partition: "public.parts_1".to_owned(),
    };
    let reindex = HalfDone::Reindex {
        tables: vec!["public.near".to_owned()],
    };
    let of_partitions = HalfDone::Reindex {
        tables: vec!["public.parts".to_owned(), "public.parts_1".to_owned()],
    };
    assert_eq!(
        leave,
        [
            Some(of_partitions),
            None,
            None,
            None,
            Some(detach),
            Some(reindex),
            None,
            None
        ]
    );
}
