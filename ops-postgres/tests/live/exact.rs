//! A stop and its restore leave the database byte for byte as it was, also when a process is killed in between.

use std::process::{Child, Command, Stdio};

use ops_core::config::Env;
use ops_core::model::{ReadOnlyStrength, Snapshot};
use ops_core::ports::{ApprovalStore, DatabaseGuard};
use ops_postgres::{PostgresApprovals, PostgresDatabaseGuard, PostgresStore};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;

use super::world::{World, admin_url, count, key, run};

/// Roles, grants and settings of every kind that a stop touches.
async fn furnish(world: &World) {
    let name = world.scratch.name();
    let make = format!(
        "create role {name}_zz; create role {name}_mm; create role {name}_aa;
         grant {name}_zz, {name}_mm, {name}_aa to {name}_owner;
         grant create on database {name} to {name}_zz, {name}_aa;
         revoke connect on database {name} from public; grant connect on database {name} to {name}_app, {name}_audit;
         alter database {name} set work_mem = '7MB';
         alter role {name}_app in database {name} set default_transaction_read_only = off;
         alter role {name}_app set default_transaction_read_only = 'no'"
    );
    run(&mut world.superuser().await, &make).await.unwrap();
    let make = format!(
        "create schema shop; grant usage, create on schema shop to {name}_zz; grant usage, create on schema shop to {name}_mm;
         grant create on schema shop to {name}_app; grant usage on schema shop to {name}_aa;
         create table shop.goods (id serial primary key, title text, price int);
         create table shop.days (day int) partition by range (day);
         create table shop.day_1 partition of shop.days for values from (1) to (2);
         create view shop.cheap as select * from shop.goods where price < 3;
         create materialized view shop.count as select count(*) from shop.goods;
         grant insert on shop.goods to {name}_zz; grant select on shop.goods to {name}_mm; grant insert on shop.goods to {name}_aa;
         grant all on shop.days to {name}_mm with grant option; grant truncate on shop.day_1 to public;
         grant select (title) on shop.cheap to {name}_zz; grant update (title), insert (title, price) on shop.cheap to {name}_aa;
         grant usage on sequence shop.goods_id_seq to {name}_zz, {name}_mm; grant select on sequence shop.goods_id_seq to {name}_aa;
         revoke insert on shop.day_1 from {name}_owner;
         alter default privileges in schema shop grant insert on tables to {name}_zz;
         alter default privileges grant usage on sequences to {name}_aa;
         set role {name}_mm; grant update on shop.days to {name}_zz; grant delete on shop.days to {name}_aa with grant option; reset role"
    );
    run(&mut world.owner().await, &make).await.unwrap();
}

async fn clear(world: World) {
    let name = world.scratch.name().to_owned();
    world.close().await;
    let mut root = super::world::session(&admin_url().await.unwrap()).await;
    run(&mut root, &format!("drop role {name}_zz, {name}_mm, {name}_aa"))
        .await
        .unwrap();
}

/// What the server keeps of settings and privileges, and the schema as `pg_dump` writes it.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    kept: Vec<String>,
    dump: Option<String>,
}

async fn picture(world: &World) -> Picture {
    let kept = sqlx::query_scalar(KEPT)
        .fetch_all(&mut world.superuser().await)
        .await
        .unwrap();
    Picture {
        kept,
        dump: dump(world.scratch.name()).await,
    }
}

/// `None`, loudly, where the server is newer than the `pg_dump` that is here.
async fn dump(database: &str) -> Option<String> {
    let url = admin_url().await.unwrap();
    let options: sqlx::postgres::PgConnectOptions = url.expose_secret().parse().unwrap();
    let mut command = Command::new("pg_dump");
    command
        .args([
            "--schema-only",
            "--create",
            "--no-password",
            "-h",
            options.get_host(),
            "-U",
            options.get_username(),
        ])
        .args(["-p", &options.get_port().to_string(), database])
        .env("PGPASSWORD", password(&url));
    let output = match command.output() {
        Ok(output) if output.status.success() => output,
        other => {
            let line = format!("LEFT OUT: the comparison of dumps: {other:?}\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            return None;
        }
    };
    let text = String::from_utf8(output.stdout).unwrap();
    // Newer versions put a word of their own around it, another one each time. In which order the settings of roles come, nobody says.
    let kept = text.lines().filter(|line| !line.contains("restrict "));
    let (mut roles, mut lines): (Vec<_>, Vec<_>) = kept.partition(|line| line.starts_with("ALTER ROLE "));
    roles.sort_unstable();
    lines.append(&mut roles);
    Some(lines.join("\n"))
}

fn password(url: &SecretString) -> String {
    let text = url.expose_secret();
    let login = text
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('@').next())
        .unwrap_or_default();
    login.split(':').nth(1).unwrap_or_default().to_owned()
}

fn assert_same(before: &Picture, after: &Picture, what: &str) {
    for (before, after) in before.kept.iter().zip(&after.kept) {
        assert_eq!(before, after, "{what}");
    }
    let (before, after) = (&before.dump, &after.dump);
    if before != after {
        let (before, after) = (
            before.clone().unwrap_or_default(),
            after.clone().unwrap_or_default(),
        );
        let first = before
            .lines()
            .zip(after.lines())
            .find(|(before, after)| before != after);
        panic!("{what}: the dumps differ, first in {first:?}");
    }
}

#[tokio::test]
async fn a_wall_and_its_restore_leave_settings_grants_and_dump_byte_for_byte_as_they_were() {
    let Some(world) = World::new().await else { return };
    furnish(&world).await;
    let before = picture(&world).await;
    let prior = world.stop().await;
    assert_ne!(picture(&world).await.kept, before.kept);
    world.restore(&prior).await;
    assert_same(&before, &picture(&world).await, "once");

    // A stronger mode on top of a weaker one is undone by what the weaker one saw.
    for strength in ReadOnlyStrength::ALL {
        let guard = world.guard().with_strength(strength);
        guard.set_read_only(&world.target(), &key()).await.unwrap();
    }
    world.restore(&prior).await;
    assert_same(&before, &picture(&world).await, "three strengths");
    clear(world).await;
}

/// The process that is killed is this test, run again.
#[tokio::test]
async fn what_the_killed_process_does() {
    let env = Env::process();
    let Some(url) = env.secret("OPS_TEST_GUARD_URL") else {
        return;
    };
    let store = PostgresStore::connect(&url).await.unwrap();
    let exempt = env.text("OPS_TEST_GUARD_EXEMPT").unwrap();
    let guard = PostgresDatabaseGuard::new(&store).with_exempt_role(exempt);
    let target = PostgresDatabaseGuard::target(store.database()).unwrap();
    match env.text("OPS_TEST_GUARD_PRIOR") {
        None => drop(guard.set_read_only(&target, &key()).await),
        Some(prior) => {
            let prior: Snapshot = serde_json::from_str(&prior).unwrap();
            drop(guard.restore(&prior, &key()).await);
        }
    }
}

fn spawn(world: &World, prior: Option<&Snapshot>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "exact::what_the_killed_process_does"])
        .env("OPS_TEST_GUARD_URL", world.scratch.owner_url().expose_secret())
        .env("OPS_TEST_GUARD_EXEMPT", world.scratch.audit_role())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(prior) = prior {
        command.env("OPS_TEST_GUARD_PRIOR", serde_json::to_string(prior).unwrap());
    }
    command.spawn().unwrap()
}

/// Kills the child as soon as `sign` can be seen; whether it was still at work then.
async fn kill_at(world: &World, mut child: Child, sign: &str) -> bool {
    let mut root: PgConnection = world.superuser().await;
    let query = format!("select exists ({sign})");
    while child.try_wait().unwrap().is_none() {
        let seen: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(query.clone()))
            .fetch_one(&mut root)
            .await
            .unwrap();
        if seen {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_stop_or_a_restore_that_is_killed_anywhere_is_put_back_byte_for_byte() {
    let Some(world) = World::new().await else { return };
    furnish(&world).await;
    // So that there is something to be killed in the middle of.
    let many = "do $$ begin for i in 1..400 loop execute format('create table many_%s (id int)', i);
                execute format('grant insert on many_%s to public', i); end loop; end $$";
    run(&mut world.owner().await, many).await.unwrap();
    let before = picture(&world).await;
    let prior = world.observe().await;
    let at_work = |query: &str| {
        format!(
            "select from pg_stat_activity where datname = current_database() and application_name like 'ops-%'
             and state <> 'idle' and query like '%{query}%'"
        )
    };
    let mut killed = 0;
    for sign in [
        at_work("aclexplode"),
        at_work("REVOKE"),
        "select from pg_class where relname = 'many_400' and relacl::text not like '%=a/%'".to_owned(),
        "select from ops.read_only_marker".to_owned(),
        "select from pg_db_role_setting where setconfig::text like '%only=on%'".to_owned(),
        at_work("LOCK TABLE"),
    ] {
        killed += u32::from(kill_at(&world, spawn(&world, None), &sign).await);
        settle(&world).await;
        world.restore(&prior).await;
        assert_same(&before, &picture(&world).await, &sign);
    }
    assert!(killed >= 3, "{killed} of 6 stops were killed at work");
    let mut killed = 0;
    for sign in [at_work("aclexplode"), at_work("GRANT"), at_work("ALTER DATABASE")] {
        world.stop().await;
        killed += u32::from(kill_at(&world, spawn(&world, Some(&prior)), &sign).await);
        settle(&world).await;
        world.restore(&prior).await;
        assert_same(&before, &picture(&world).await, &sign);
    }
    assert!(killed >= 1, "{killed} of 3 restores were killed at work");
    clear(world).await;
}

/// What the dead process left running on the server is over.
async fn settle(world: &World) {
    let mut root = world.superuser().await;
    let busy = "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'ops-%'
                and state <> 'idle' and pid <> pg_backend_pid()";
    for _ in 0..10_000 {
        let left: i64 = sqlx::query_scalar(busy).fetch_one(&mut root).await.unwrap();
        if left == 0 {
            return;
        }
    }
}

#[tokio::test]
async fn our_own_tables_can_be_written_while_the_wall_stands() {
    // Otherwise nobody could file the approval that the restore needs.
    let Some(world) = World::new().await else { return };
    let app = format!("{}_app", world.scratch.name());
    world.store.grant_switches(&app).await.unwrap();
    let prior = world.stop().await;
    let open = PostgresApprovals::new(&world.store)
        .open(ops_core::model::Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    assert!(open.is_empty());
    for write in [
        "insert into ops.approval_request values ('d', 1, 2, 'r')",
        "insert into ops.approval values ('d', 'f', 'a')",
        "insert into ops.drill values ('r', 'p', 'd', '{}')",
        "insert into ops.journal_entry select from ops.journal_entry where false",
    ] {
        sqlx::query(write)
            .execute(world.store.pool())
            .await
            .map(drop)
            .unwrap_or_else(|error| {
                panic!("{write}: {error}");
            });
    }
    let mut process = world.app().await;
    for statement in [
        "set default_transaction_read_only = off",
        "insert into ops.switch_process values ('id', 'p')",
    ] {
        run(&mut process, statement).await.unwrap();
    }
    assert_eq!(count(&mut process, "ops.switch_process").await, 1);
    world.restore(&prior).await;
    assert_eq!(world.observe().await, prior);
    world.close().await;
}

const KEPT: &str = "
select 'setting ' || coalesce(r.rolname::text, '') || ' ' || s.setconfig::text
from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole
where s.setdatabase = (select oid from pg_database where datname = current_database())
   or r.rolname like current_database() || '%'
union all
select 'class ' || n.nspname || '.' || c.relname || ' ' || coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner))::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
union all
select 'column ' || a.attrelid::regclass || '.' || a.attname || ' ' || a.attacl::text from pg_attribute a
where a.attacl is not null and a.attrelid >= 16384
union all
select 'schema ' || n.nspname || ' ' || coalesce(n.nspacl, acldefault('n', n.nspowner))::text from pg_namespace n where n.nspname !~ '^pg_'
union all
select 'database ' || coalesce(d.datacl, acldefault('d', d.datdba))::text from pg_database d where d.datname = current_database()
union all
select 'default ' || coalesce(n.nspname, '') || ' ' || d.defaclobjtype::text || ' ' || d.defaclacl::text
from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
order by 1";
