//! Tenants, erasure and retention by the tool, with a real PostgreSQL.

mod support;

use std::ops::Deref;

use ops_core::model::{Actor, AuditRecord, TenantId};
use ops_core::ports::AuditStore as _;
use ops_postgres::{PostgresAuditStore, PostgresStore};
use secrecy::{ExposeSecret, SecretString};
use support::{Ran, Site, opsctl};

const CONFIG: &str = r#"
lang = "en"
[database]
url_env = "DATABASE_URL"
[tenancy]
phase = "multi"
app_roles = ["ROLE"]
[[tenancy.table]]
name = "public.plans"
global = "the price list"
[[personal_data]]
table = "memories"
how = "delete"
[[personal_data]]
table = "users"
user_column = "id"
how = "null"
columns = ["email"]
[[retention]]
name = "conversation summaries"
table = "conversation_summaries"
until = "age"
keep_days = 365
"#;

const TABLES: &str = "
drop table memories, conversations;
create table plans (id text primary key);
create table organizations (id text primary key, name text, plan text, is_active boolean not null, created_at timestamptz not null);
create table users (organization_id text not null references organizations, id text not null, email text, name text, role_level int, primary key (organization_id, id));
create table departments (organization_id text not null references organizations, id text not null, name text, path text, level int, primary key (organization_id, id));
create table memories (organization_id text not null, id int not null, user_id text not null, primary key (organization_id, id));
create table conversation_summaries (organization_id text not null, id int not null, created_at timestamptz not null, primary key (organization_id, id));
";

/// The site, and the roles that the tests make beside it.
struct World(Site);

impl Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0
    }
}

impl World {
    async fn start(name: &str) -> Option<Self> {
        Site::start(name, CONFIG, TABLES).await.map(Self)
    }

    /// The role that removes values from the audit trail.
    fn eraser(&self) -> String {
        format!("{}_audit_eraser", self.database.name())
    }

    async fn make_eraser(&self) {
        self.make_role(&self.eraser()).await;
    }

    /// Makes it, as an administrator.
    async fn make_role(&self, role: &str) {
        let name = self.database.name();
        self.root_sql(&format!(
            "create role {role} nologin; grant {role} to {name}_owner"
        ))
        .await;
    }

    async fn close(self) {
        self.0.close(&["audit_eraser", "audit_pruner"]).await;
    }
}

#[tokio::test]
async fn a_check_fails_in_ci_until_the_statements_that_it_prints_were_run() {
    let Some(world) = World::start("tcheck").await else {
        return;
    };
    let ran = world.run(&["tenant", "check", "--json"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let report = &ran.json()["report"];
    let gap = &report["findings"][0];
    assert!(
        gap["subject"]
            .as_str()
            .is_some_and(|subject| subject.starts_with("public.")),
        "{report:#}"
    );
    assert_eq!(
        (ran.json()["exit_code"].as_i64(), report["global"].as_i64()),
        (Some(1), Some(1))
    );
    let sql = world.run(&["tenant", "check", "--sql"]);
    assert_eq!(sql.code, 1);
    world.sql(&sql.out).await;
    let ran = world.run(&["tenant", "check"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("tenants are kept apart"), "{}", ran.out);
    world.sql("create table forgotten (id int)").await;
    let ran = world.run(&["tenant", "check"]);
    assert!(
        ran.code == 1 && ran.out.contains("public.forgotten") && ran.out.contains("no_tenant_column"),
        "{}",
        ran.out
    );
    world.close().await;
}

#[tokio::test]
async fn a_tenant_is_made_held_deleted_and_not_purged_before_its_time() {
    let Some(world) = World::start("tlife").await else {
        return;
    };
    let create = [
        "tenant",
        "create",
        "org_a",
        "--name",
        "株式会社〇〇",
        "--admin-email",
        "admin@customer.example",
    ];
    let ran = world.run(&create);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        !ran.out.contains("customer.example"),
        "no personal data in the output: {}",
        ran.out
    );
    let again = world.run(&[&create[..], &["--json"]].concat()).json();
    assert_eq!(again["made"], false);
    assert_eq!(
        world.run(&["tenant", "purge", "org_a", "--yes"]).code,
        5,
        "not deleted logically"
    );
    let ran = world.run(&["tenant", "delete", "org_a"]);
    assert!(
        ran.code == 0 && ran.out.contains("can be had back"),
        "{}{}",
        ran.out,
        ran.err
    );
    let again = world.run(&["tenant", "delete", "org_a", "--json"]);
    assert_eq!((again.code, &again.json()["changed"]), (0, &false.into()));
    let ran = world.run(&["tenant", "purge", "org_a"]);
    assert!(
        ran.code == 0 && ran.out.contains("nothing was changed"),
        "{}{}",
        ran.out,
        ran.err
    );
    let ran = world.run(&["tenant", "purge", "org_a", "--yes"]);
    assert!(
        ran.code == 5 && ran.err.contains("not before"),
        "{}{}",
        ran.out,
        ran.err
    );

    // Thirty-one days later.
    world
        .sql("update ops.tenant set deleted_at = deleted_at - 31 * 24 * 60 * 60 * 1000000::bigint")
        .await;
    let held = world
        .run(&["tenant", "hold", "org_a", "--reason", "case 7", "--json"])
        .json();
    assert_eq!(world.run(&["tenant", "purge", "org_a", "--yes"]).code, 5, "held");
    let hold = held["hold"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.run(&["tenant", "release", &hold]).code, 0);
    let ran = world.run(&["tenant", "purge", "org_a", "--yes", "--json"]);
    assert_eq!(
        (ran.code, ran.json()["result"]["outcome"].as_str()),
        (0, Some("purged")),
        "{}{}",
        ran.out,
        ran.err
    );
    assert_eq!(ran.json()["audited"], true);
    // What concerns a tenant is in its own trail.
    let mut root = world.root().await;
    let actions: Vec<String> =
        sqlx::query_scalar("select action from ops.audit_log where tenant = 'org_a' order by sequence")
            .fetch_all(&mut root)
            .await
            .expect("its trail");
    assert_eq!(
        actions,
        [
            "create_tenant",
            "delete_tenant",
            "hold_data",
            "release_data",
            "purge_tenant"
        ]
    );
    drop(root);
    assert_eq!(world.run(&create).code, 1, "the id is never given again");
    world.close().await;
}

#[tokio::test]
async fn a_hold_on_an_address_is_kept_as_it_is_and_shown_masked() {
    let Some(world) = World::start("holdmask").await else {
        return;
    };
    let hold = [
        "tenant",
        "hold",
        "org_soulsyncs",
        "--user",
        "tanaka@example.com",
        "--resource",
        "mail:sato@example.com",
        "--reason",
        "case 7, told by hana@example.com",
    ];
    let raw = ["tanaka@", "sato@", "hana@"];
    let held = world.run(&[&hold[..], &["--json"]].concat());
    assert_eq!(held.code, 0, "{}{}", held.out, held.err);
    let listed = world.run(&["tenant", "holds"]);
    let document = world.run(&["tenant", "holds", "--json"]);
    for ran in [&held, &listed, &document] {
        assert!(
            !raw.iter()
                .any(|raw| ran.out.contains(raw) || ran.err.contains(raw)),
            "{}{}",
            ran.out,
            ran.err
        );
    }
    assert!(listed.out.contains("case 7"), "{}", listed.out);
    let mut root = world.root().await;
    let (person, reason): (String, String) = sqlx::query_as("select person, reason from ops.data_hold")
        .fetch_one(&mut root)
        .await
        .expect("the hold");
    assert_eq!(person, "tanaka@example.com", "rows are compared with it");
    assert!(!reason.contains("hana@"), "{reason}");

    // One that an older version kept, and the verb that it stops.
    world
        .root_sql("update ops.data_hold set reason = 'told by hana@example.com'")
        .await;
    for json in [&[][..], &["--json"]] {
        let ran = world.run(&[&["erase", "tanaka@example.com", "--yes"], json].concat());
        assert_eq!(ran.code, 5, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("told by"), "{}", ran.err);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(!raw.iter().any(|raw| said.contains(raw)), "{said}");
    }
    drop(root);
    world.close().await;
}

#[tokio::test]
async fn an_erasure_shows_its_plan_first_and_then_what_the_person_is_told() {
    let Some(world) = World::start("erase").await else {
        return;
    };
    world
        .sql(
            "insert into organizations values ('org_soulsyncs', 'x', 'standard', true, now());
             insert into users values ('org_soulsyncs', 'usr_1', 'tanaka@example.com', '田中', 1);
             insert into memories select 'org_soulsyncs', n, 'usr_1' from generate_series(1, 12) n;
             insert into conversation_summaries values ('org_soulsyncs', 1, now() - interval '366 days'), ('org_soulsyncs', 2, now())",
        )
        .await;
    assert_eq!(world.run(&["db", "migrate"]).code, 0);
    let plan = world.run(&["erase", "usr_1", "--json"]);
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    assert_eq!(plan.json()["dry_run"], true);
    let ran = world.run(&["erase", "usr_1", "--yes", "--lang", "ja"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("public.memories: 12 件 削除") && ran.out.contains("完了日時"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("tanaka"), "{}", ran.out);
    let trail = world
        .run(&["audit", "search", "--action", "erase_person", "--json"])
        .json();
    assert_eq!(trail["records"][0]["details"]["rows"], "13", "{trail:#}");

    // In the trail they keep their name until that is asked for too.
    let as_the_person = |arguments: &[&str]| {
        let mut command = opsctl(world.dir.path());
        command.env("DATABASE_URL", world.database.owner_url().expose_secret());
        command.env("OPS_ACTOR", "usr_1");
        Ran::of(command.args(arguments).output().expect("opsctl runs"))
    };
    assert_eq!(as_the_person(&["audit", "search"]).code, 0);
    let theirs = || {
        let found = world
            .run(&["audit", "search", "--user", "usr_1", "--json"])
            .json();
        found["records"].as_array().expect("records").len()
    };
    assert_eq!(theirs(), 1);
    let plan = world.run(&["erase", "usr_1"]);
    assert!(
        plan.out.contains("audit trail: kept as it is") && theirs() == 1,
        "{}",
        plan.out
    );
    // The owner of this database may make no role: an administrator does.
    let ran = world.run(&["erase", "usr_1", "--trail", "--yes"]);
    let eraser = format!("{}_audit_eraser", world.database.name());
    assert!(
        ran.code == 1 && ran.err.contains(&eraser) && ran.err.contains("the request is recorded"),
        "{}{}",
        ran.out,
        ran.err
    );
    // The request is on record all the same, in the trail too, without the name; and nothing was done.
    let refused = world
        .run(&["audit", "search", "--action", "erase_person", "--json"])
        .json();
    let refused = &refused["records"][0];
    let request: String =
        sqlx::query_scalar("select id::text from ops.deletion_requests where completed_at is null")
            .fetch_one(&mut world.session().await)
            .await
            .expect("an open request");
    assert_eq!(
        (&refused["outcome"], &refused["resource_id"]),
        (&"failed".into(), &request.as_str().into()),
        "{refused:#}"
    );
    assert_eq!(theirs(), 1);
    world.make_eraser().await;
    let ran = world.run(&["erase", "usr_1", "--trail", "--yes", "--json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    // Their own, and those of who looked for it.
    let gone = ran.json()["report"]["traces"][0][1].as_u64();
    assert!(gone.is_some_and(|gone| gone >= 3) && theirs() == 0, "{}", ran.out);
    let verified = world.run(&["audit", "verify", "--json"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);

    let dry = world.run(&["retention", "run", "--dry-run", "--json"]).json();
    assert_eq!(dry["rules"][0]["left"], 1, "{dry:#}");
    let ran = world.run(&["retention", "run", "--json"]);
    assert_eq!(
        (
            ran.code,
            ran.json()["rules"][0]["rows"].as_i64(),
            ran.json()["rules"][0]["tenants"]["org_soulsyncs"].as_i64()
        ),
        (0, Some(1), Some(1)),
        "{}{}",
        ran.out,
        ran.err
    );
    world.close().await;
}

#[tokio::test]
async fn an_erasure_from_the_trail_is_refused_where_the_trail_that_is_written_is_another_ones() {
    let Some(world) = World::start("erase_here").await else {
        return;
    };
    let elsewhere = World::start("erase_there").await.expect("a server");
    world.make_eraser().await;
    let config = std::fs::read_to_string(world.dir.path().join("ops.toml")).expect("a configuration");
    let config = config.replace("[database]", "[database]\naudit_url_env = \"AUDIT_URL\"");
    let run = |owner: &SecretString, audit: &SecretString, arguments: &[&str]| {
        let mut command = opsctl(world.dir.path());
        command.env("DATABASE_URL", owner.expose_secret());
        command.env("AUDIT_URL", audit.expose_secret());
        Ran::of(command.args(arguments).output().expect("opsctl runs"))
    };
    std::fs::write(world.dir.path().join("ops.toml"), config).expect("written");
    let (here, there) = (&world.database, &elsewhere.database);
    // Each has a trail of its own, and the schema.
    for database in [here, there] {
        let ran = run(database.owner_url(), database.audit_url(), &["db", "migrate"]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }
    let erase = ["erase", "usr_1", "--trail", "--yes"];
    let ran = run(here.owner_url(), there.audit_url(), &erase);
    assert!(
        ran.code != 0 && ran.err.contains("not the one in database.url_env"),
        "{}: {}{}",
        ran.code,
        ran.out,
        ran.err
    );
    let ran = run(here.owner_url(), here.audit_url(), &erase);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    world.close().await;
    elsewhere.close().await;
}

#[tokio::test]
async fn months_of_the_trail_go_when_evidence_has_them_and_what_is_held_stays() {
    let Some(world) = World::start("trail_retention").await else {
        return;
    };
    // Something to begin with, moved into a month of long ago by who can do that.
    assert_eq!(world.run(&["db", "migrate"]).code, 0);
    let store = PostgresStore::connect(world.database.owner_url())
        .await
        .expect("the owner");
    let audit = PostgresAuditStore::unchecked(&store);
    let tenant = TenantId::new("org_soulsyncs").expect("a tenant");
    for (who, n) in [("kazu", 1), ("hana", 2), ("kazu", 3)] {
        let at = format!("2025-03-0{n}T00:00:00Z").parse().expect("a time");
        let actor = Actor::person(who).expect("an actor");
        let old = AuditRecord::new(at, tenant.clone(), actor, "export", "task", n.to_string());
        audit.append(&old).await.expect("appended");
    }
    let held = world.run(&[
        "tenant",
        "hold",
        "org_soulsyncs",
        "--user",
        "hana",
        "--reason",
        "case 7",
    ]);
    assert_eq!(held.code, 0, "{}{}", held.out, held.err);
    let task = [
        "tenant",
        "hold",
        "org_soulsyncs",
        "--resource",
        "task:3",
        "--reason",
        "case 8",
    ];
    assert_eq!(world.run(&task).code, 0);
    let holds = world.run(&["tenant", "holds", "--json"]).json();
    assert_eq!(holds["holds"][1]["resource"]["id"], "3", "{holds:#}");

    let plan = world.run(&["audit", "retention", "--lang", "ja"]);
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    assert!(
        plan.out.contains("2025-03")
            && plan.out.contains("証跡がありません")
            && plan.out.contains("何も変更していません"),
        "{}",
        plan.out
    );
    let (key, out) = (
        world.dir.path().join("audit.key"),
        world.dir.path().join("yearly"),
    );
    let (key, out) = (key.to_str().expect("a path"), out.to_str().expect("a path"));
    let public = format!("{key}.pub");
    assert_eq!(
        world
            .run(&["audit", "keygen", "audit.example.com", "--out", key])
            .code,
        0
    );
    let preserve = [
        "audit",
        "preserve",
        "--incident",
        "yearly",
        "--key",
        key,
        "--out",
        out,
    ];
    let preserved = world.run(&preserve);
    assert_eq!(preserved.code, 0, "{}{}", preserved.out, preserved.err);
    let prune = [
        "audit",
        "retention",
        "--evidence",
        out,
        "--key",
        &public,
        "--yes",
        "--json",
    ];
    // The owner of this database may make no role: an administrator does.
    let ran = world.run(&prune);
    assert!(
        ran.code == 1 && ran.out.contains("_audit_pruner"),
        "{}{}",
        ran.out,
        ran.err
    );
    world
        .make_role(&format!("{}_audit_pruner", world.database.name()))
        .await;
    let without = world.run(&["audit", "retention", "--yes", "--json"]);
    assert_eq!(
        (without.code, without.json()["left"].as_i64()),
        (3, Some(1)),
        "{}",
        without.out
    );
    let ran = world.run(&prune);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let done = ran.json();
    assert_eq!(done["removed"][0], "2025-03", "{}", ran.out);
    let left = &done["verified"][0];
    assert_eq!(
        (&left["tenant"], &left["intact"]),
        (&"org_soulsyncs".into(), &true.into()),
        "{}",
        ran.out
    );
    let verified = world.run(&["audit", "verify", "--json"]);
    assert_eq!(
        (verified.code, verified.json()["removed"].as_i64()),
        (0, Some(1)),
        "{}{}",
        verified.out,
        verified.err
    );
    let told = world
        .run(&["audit", "search", "--action", "audit.prune", "--json"])
        .json();
    assert_eq!(told["records"][0]["details"]["removed"], "1", "{told:#}");
    let left = world
        .run(&["audit", "search", "--until", "2025-04-01T00:00:00Z", "--json"])
        .json();
    assert_eq!(left["records"].as_array().map(Vec::len), Some(2), "{left:#}");

    // Another month goes; a record that stays was changed by hand meanwhile.
    let at = "2025-04-01T00:00:00Z".parse().expect("a time");
    let kazu = Actor::person("kazu").expect("an actor");
    let old = AuditRecord::new(at, tenant.clone(), kazu, "export", "task", "4");
    audit.append(&old).await.expect("appended");
    let again = world.dir.path().join("again");
    let again = again.to_str().expect("a path");
    let preserve = [&preserve[..6], &["--out", again]].concat();
    let preserved = world.run(&preserve);
    assert_eq!(preserved.code, 0, "{}{}", preserved.out, preserved.err);
    let mut root = world.root().await;
    let changed = "set session_replication_role = replica;
        update ops.audit_log set hash = sha256(hash) where action = 'hold_data'";
    sqlx::raw_sql(changed).execute(&mut root).await.expect("changed");
    let ran = world.run(&[&prune[..2], &["--evidence", again], &prune[4..]].concat());
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let left = &ran.json()["verified"][0];
    assert_eq!(left["intact"], false, "{}", ran.out);
    assert!(ran.err.contains("audit verify"), "{}", ran.err);
    drop(root);
    store.close().await;
    world.close().await;
}
