use ops_core::model::{AppliedMigration, Leftover, MigrationLedger, MigrationTool, SchemaState};
use ops_core::testkit;
use ops_postgres::{PostgresMigrations, PostgresTrial, schema_dump};
use secrecy::SecretString;

const TABLES: &str = "
create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null default now(),
    success boolean not null, checksum bytea not null, execution_time bigint not null);
insert into _sqlx_migrations values (1, 'one', now(), true, '\\x0a', 1), (2, 'two', now(), false, '\\x0b', 1);
create table alembic_version (version_num varchar(32) primary key);
insert into alembic_version values ('a1'), ('b2');
create table django_migrations (id bigserial primary key, app varchar(255), name varchar(255), applied timestamptz);
insert into django_migrations (app, name, applied) values ('shop', '0002_b', now()), ('shop', '0001_a', now());
create schema rails;
create table rails.schema_migrations (version varchar primary key);
insert into rails.schema_migrations values ('10'), ('9');
create schema golang;
create table golang.schema_migrations (version bigint primary key, dirty boolean not null);
insert into golang.schema_migrations values (7, true);
create schema supabase_migrations;
create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
insert into supabase_migrations.schema_migrations values ('20260130', '{}', 'price');
create table schema_migrations (id int);
create table t (id int);
insert into t values (1), (1);
alter table t add constraint positive check (id > 0) not valid;
";

#[tokio::test]
async fn the_tables_of_every_tool_are_found_in_whatever_schema_they_lie() {
    let Some(admin) = testkit::postgres_url().await else {
        return;
    };
    let trial = PostgresTrial::create(&SecretString::from(admin), TABLES)
        .await
        .unwrap();
    // A unique index over equal rows cannot be built: it stays behind.
    let traces = trial
        .run(
            &[(
                "create unique index concurrently broken on t (id)".to_owned(),
                true,
            )],
            false,
        )
        .await
        .unwrap();
    assert!(traces[0].failure.is_some());
    let applied = |versions: &[&str]| {
        versions
            .iter()
            .map(|version| AppliedMigration::new(*version))
            .collect::<Vec<_>>()
    };
    let mut sqlx = applied(&["1", "2"]);
    for (at, name, checksum) in [(0, "one", "0a"), (1, "two", "0b")] {
        sqlx[at].name = Some(name.to_owned());
        sqlx[at].checksum = Some(checksum.to_owned());
    }
    sqlx[1].dirty = true;
    let mut golang = applied(&["7"]);
    golang[0].dirty = true;
    let mut supabase = applied(&["20260130"]);
    supabase[0].name = Some("price".to_owned());
    let mut expected = SchemaState::default();
    for (tool, table, applied) in [
        (MigrationTool::GolangMigrate, "golang.schema_migrations", golang),
        (MigrationTool::Sqlx, "public._sqlx_migrations", sqlx),
        (
            MigrationTool::Alembic,
            "public.alembic_version",
            applied(&["a1", "b2"]),
        ),
        (
            MigrationTool::Django,
            "public.django_migrations",
            applied(&["shop.0002_b", "shop.0001_a"]),
        ),
        (
            MigrationTool::Rails,
            "rails.schema_migrations",
            applied(&["9", "10"]),
        ),
        (
            MigrationTool::Supabase,
            "supabase_migrations.schema_migrations",
            supabase,
        ),
    ] {
        expected.ledgers.push(MigrationLedger::new(tool, table, applied));
    }
    expected.leftovers = vec![
        Leftover::InvalidIndex {
            index: "public.broken".to_owned(),
            table: "public.t".to_owned(),
            being_built: false,
        },
        Leftover::NotValidConstraint {
            constraint: "positive".to_owned(),
            table: "public.t".to_owned(),
        },
    ];
    testkit::migration_inspector(&PostgresMigrations::new(&trial.url()).unwrap(), &expected).await;
    trial.drop_all().await.unwrap();
}

#[tokio::test]
async fn the_schema_of_a_dump_is_the_schema_that_was_dumped() {
    let Some(admin) = testkit::postgres_url().await else {
        return;
    };
    let admin = SecretString::from(admin);
    let first = PostgresTrial::create(&admin, include_str!("fixture.sql"))
        .await
        .unwrap();
    let Ok(dump) = schema_dump(&first.url()).await else {
        eprintln!("LEFT OUT: there is no pg_dump that fits the server");
        return first.drop_all().await.unwrap();
    };
    let second = PostgresTrial::create(&admin, &dump).await.unwrap();
    assert_eq!(schema_dump(&second.url()).await.unwrap(), dump);
    let add = [("alter table big add column x int".to_owned(), false)];
    second.run(&add, false).await.unwrap();
    assert_ne!(schema_dump(&second.url()).await.unwrap(), dump);
    let back = [("alter table big drop column x".to_owned(), false)];
    second.run(&back, false).await.unwrap();
    assert_eq!(
        schema_dump(&second.url()).await.unwrap(),
        dump,
        "up and down: the same bytes"
    );
    first.drop_all().await.unwrap();
    second.drop_all().await.unwrap();
}
