use std::collections::BTreeMap;

use super::*;
use crate::governance::migration::statements;
use crate::model::{LockMode, Relation, Work};

fn schema(bytes: u64) -> Schema {
    let table = Relation {
        rows: Some(bytes / 100),
        bytes,
        ..Relation::default()
    };
    Schema {
        server: 15,
        time_zone: "UTC".to_owned(),
        relations: BTreeMap::from([
            ("public.orders".to_owned(), table.clone()),
            ("public.users".to_owned(), table),
        ]),
        ..Schema::default()
    }
}

fn hazards(script: &str, schema: &Schema, atomic: bool) -> Vec<(Hazard, Urgency)> {
    let reviews = review(script, schema, atomic);
    let findings = reviews.into_iter().flat_map(|review| review.findings);
    findings
        .map(|finding| (finding.hazard, finding.urgency))
        .collect()
}

#[test]
fn the_same_statement_is_as_urgent_as_the_table_is_large() {
    let sql = "create index i on orders (a)";
    for (bytes, urgency) in [
        (0, Urgency::Note),
        (1000, Urgency::Caution),
        (1 << 30, Urgency::Danger),
    ] {
        assert_eq!(
            hazards(sql, &schema(bytes), true),
            [(Hazard::LongLock, urgency)],
            "{bytes}"
        );
    }
}

#[test]
fn a_table_that_the_script_makes_itself_is_no_hazard() {
    let script =
        "create table fresh (id int); create index i on fresh (id); alter table fresh add check (id > 0);";
    assert_eq!(hazards(script, &schema(1 << 30), true), []);
}

#[test]
fn without_a_schema_every_table_counts_as_full() {
    let found = review(
        "alter table orders alter column a set not null",
        &Schema::default(),
        false,
    );
    let effect = RelationEffect::new("public.orders", LockMode::AccessExclusive, [Work::Scan]);
    assert_eq!(found[0].effects, [effect]);
    assert_eq!(found[0].findings[0].urgency, Urgency::Danger);
}

#[test]
fn what_cannot_be_read_is_said_and_never_passed_over() {
    let script = "alter table orders add column a int;\nalter tabel orders drop column b;\nselect 1;";
    let found = review(script, &schema(0), false);
    let unreadable = |review: &&StatementReview| {
        review
            .findings
            .iter()
            .any(|finding| finding.hazard == Hazard::Unreadable)
    };
    let bad: Vec<_> = found
        .iter()
        .filter(unreadable)
        .map(|review| review.line)
        .collect();
    assert!(bad.contains(&2), "{found:?}");
    assert!(statements(script).is_err());
}

#[test]
fn what_code_does_is_not_known_from_its_text() {
    for sql in [
        "do $$ begin execute 'drop table orders'; end $$",
        "select migrate()",
        "call migrate()",
    ] {
        assert_eq!(
            hazards(sql, &schema(0), false),
            [(Hazard::Unknown, Urgency::Caution)],
            "{sql}"
        );
    }
}

#[test]
fn a_validation_in_the_transaction_of_its_constraint_gains_nothing() {
    let script = "alter table orders add constraint c check (a > 0) not valid; alter table orders validate constraint c;";
    assert!(hazards(script, &schema(1 << 30), true).contains(&(Hazard::ValidatedAtOnce, Urgency::Danger)));
    assert!(
        !hazards(script, &schema(1 << 30), false)
            .iter()
            .any(|found| found.1 == Urgency::Danger)
    );
}

#[test]
fn one_transaction_over_two_tables_may_deadlock() {
    let script = "alter table orders add column a int; alter table users add column a int;";
    let several = (Hazard::SeveralLocks, Urgency::Caution);
    assert!(hazards(script, &schema(0), true).contains(&several));
    assert!(!hazards(script, &schema(0), false).contains(&several));
}

#[test]
fn an_index_built_beside_the_traffic_must_not_stand_in_a_transaction() {
    let sql = "create index concurrently i on orders (a)";
    let refused = (Hazard::RefusesTransaction, Urgency::Danger);
    assert!(hazards(sql, &schema(0), true).contains(&refused));
    assert_eq!(
        hazards(sql, &schema(0), false),
        [(Hazard::WaitsForOld, Urgency::Note)]
    );
}

#[test]
fn a_change_of_every_row_is_told_although_its_lock_is_weak() {
    let danger = [(Hazard::WholeTable, Urgency::Danger)];
    assert_eq!(hazards("update orders set a = 1", &schema(0), true), danger);
    assert_eq!(
        hazards("update orders set a = 1 where id = 7", &schema(0), true),
        []
    );
}

#[test]
fn a_check_that_the_script_has_validated_spares_the_scan() {
    let script = "alter table orders add constraint c check (a is not null) not valid;
        alter table orders validate constraint c;
        alter table orders alter column a set not null;";
    let found = review(script, &schema(1 << 30), false);
    assert!(found[2].effects[0].work.is_empty(), "{:?}", found[2]);
    let naive = review(
        "alter table orders alter column a set not null",
        &schema(1 << 30),
        false,
    );
    assert!(!naive[0].effects[0].work.is_empty());
}

#[test]
fn a_statement_is_shown_without_the_comments_around_it_and_with_its_line() {
    let script = "-- first\n\n/* why */ alter table orders -- here\n add column a int;\n-- last\n";
    let found = review(script, &schema(0), false);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, 3);
    assert_eq!(found[0].sql, "alter table orders -- here\n add column a int");
}

#[test]
fn a_lock_of_an_earlier_statement_lasts_as_long_as_what_comes_after_it() {
    let long = (Hazard::LongLock, Urgency::Danger);
    let script = "alter table orders add column a int; update orders set a = 1 where id > 7;";
    assert!(hazards(script, &schema(1 << 30), true).contains(&long));
    assert!(!hazards(script, &schema(1 << 30), false).contains(&long));
    assert!(
        !hazards(script, &schema(0), true).contains(&long),
        "nothing takes long"
    );
    for later in [
        "create table copy as select 1; insert into copy select a from users",
        "select migrate()",
        "alter table users add constraint c check (a > 0)",
        "with gone as (delete from users returning a) select a from gone",
    ] {
        let script = format!("alter table orders add column a int; {later};");
        let found = review(&script, &schema(1 << 30), true);
        let held = found.iter().flat_map(|review| &review.findings).any(|finding| {
            finding.hazard == Hazard::LongLock && finding.relation.as_deref() == Some("public.orders")
        });
        assert!(held, "{later}: {found:?}");
    }
}

#[test]
fn without_a_schema_a_table_is_not_taken_for_absent_because_others_are_made() {
    for script in [
        "create table x (id int); alter table if exists orders alter column id type bigint;",
        "create table if not exists orders (id int); alter table orders alter column id type bigint;",
        "create table if not exists orders as select 1 as id; alter table orders alter column id type bigint;",
    ] {
        let found = hazards(script, &Schema::default(), false);
        assert!(
            found.contains(&(Hazard::LongLock, Urgency::Danger)),
            "{script}: {found:?}"
        );
    }
    let dropped = review(
        "create table x (id int); drop table orders;",
        &Schema::default(),
        false,
    );
    assert_eq!(dropped[1].effects.len(), 1);
}

#[test]
fn a_condition_that_every_row_fulfils_is_none() {
    let danger = (Hazard::WholeTable, Urgency::Danger);
    for sql in [
        "update orders set a = 1 where true",
        "update orders set a = 1 where 1 = 1",
        "update orders set a = 1 where a is null",
        "delete from orders o where o.a is null",
        "with gone as (delete from orders returning id) select count(id) from gone",
    ] {
        assert!(hazards(sql, &schema(0), false).contains(&danger), "{sql}");
    }
    for sql in [
        "delete from orders where a is null and id = 7",
        "create rule r as on delete to orders do also delete from users",
        "insert into orders values (1) on conflict (id) do update set a = 1",
    ] {
        assert!(!hazards(sql, &schema(0), false).contains(&danger), "{sql}");
    }
}

#[test]
fn a_default_that_calls_a_volatile_function_of_the_same_script_rewrites() {
    let make = "create function fresh() returns int language sql as 'select 1';";
    let script = format!("{make} alter table orders add column a int default fresh();");
    for schema in [schema(1 << 30), Schema::default()] {
        let found = review(&script, &schema, false);
        assert!(found[1].effects[0].work.contains(&Work::Rewrite), "{found:?}");
    }
    let steady = script.replace("language sql", "language sql immutable");
    let found = review(&steady, &Schema::default(), false);
    assert!(
        found[1].effects[0].work.is_empty() && found[1].unknown.is_empty(),
        "{found:?}"
    );
}

#[test]
fn an_index_that_nobody_may_use_keeps_readers_waiting() {
    for sql in [
        "reindex table orders",
        "alter index by_day set tablespace fast",
        "reindex index by_day",
    ] {
        let found = review(sql, &Schema::default(), false);
        let told = found[0].findings.iter().any(|finding| {
            finding.hazard == Hazard::LongLock
                && finding.urgency == Urgency::Danger
                && finding
                    .what
                    .get(crate::model::Lang::En)
                    .contains("reads wait too")
        });
        assert!(told, "{sql}: {found:?}");
    }
    let gentle = hazards("reindex table concurrently orders", &Schema::default(), false);
    assert!(
        !gentle.iter().any(|found| found.0 == Hazard::LongLock),
        "{gentle:?}"
    );
}

#[test]
fn what_the_server_refuses_inside_a_transaction_is_known() {
    let mut schema = schema(0);
    let orders = schema.relations.get_mut("public.orders").unwrap();
    orders.kind = crate::model::RelationKind::Partitioned;
    for (sql, refused) in [
        ("create subscription s connection 'host=a' publication p", true),
        (
            "create subscription s connection 'host=a' publication p with (create_slot = false)",
            false,
        ),
        ("drop subscription s", true),
        ("reindex table orders", true),
        ("reindex table users", false),
    ] {
        assert_eq!(review(sql, &schema, false)[0].autocommit, refused, "{sql}");
    }
}

#[test]
fn a_truncate_names_every_table_that_it_empties() {
    let mut schema = schema(1 << 30);
    let users = schema.relations.get_mut("public.users").unwrap();
    users.constraints = vec![crate::model::Constraint {
        kind: crate::model::ConstraintKind::ForeignKey,
        references: Some("public.orders".to_owned()),
        ..Default::default()
    }];
    let found = review("truncate orders cascade", &schema, false);
    let lost = found[0]
        .findings
        .iter()
        .filter(|finding| finding.hazard == Hazard::LosesData);
    let lost: Vec<_> = lost.filter_map(|finding| finding.relation.as_deref()).collect();
    assert_eq!(lost, ["public.orders", "public.users"]);
}
