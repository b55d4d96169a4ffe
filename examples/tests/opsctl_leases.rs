//! What must not run twice at once is kept apart by leases, with a real PostgreSQL and processes that are killed.

mod support;

use std::ops::Deref;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use sqlx::AssertSqlSafe;
use support::{Ran, Site, opsctl};

const CONFIG: &str = r#"
lang = "en"
[database]
url_env = "DATABASE_URL"
[tenancy]
phase = "multi"
[[retention]]
name = "conversation summaries"
table = "conversation_summaries"
until = "age"
keep_days = 365
"#;

/// A deletion waits at the gate until it is opened; the statement time-out ends it after ten seconds.
const TABLES: &str = "
create table conversation_summaries (organization_id text not null, id int not null, created_at timestamptz not null, primary key (organization_id, id));
insert into conversation_summaries values ('org_a', 1, now() - interval '366 days'), ('org_a', 2, now());
create table gate (opened boolean);
create function wait() returns trigger language plpgsql as $$
begin
    while not exists (select from gate) loop
        perform pg_sleep(0.01);
    end loop;
    return old;
end $$;
create trigger wait before delete on conversation_summaries for each row execute function wait();
";

/// The site, and a job that waits at a gate.
struct World(Site);

impl Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0
    }
}

impl World {
    async fn start(name: &str) -> Option<Self> {
        let site = Site::start(name, CONFIG, TABLES).await?;
        assert_eq!(site.run(&["db", "migrate"]).code, 0);
        assert_eq!(site.run(&["leases"]).out, "none was ever taken\n");
        Some(Self(site))
    }

    /// A run that has the lease and waits at the gate.
    async fn at_the_gate(&self) -> Child {
        let mut command = opsctl(self.dir.path());
        let mut child = command
            .env("DATABASE_URL", self.owner())
            .env("OPS_ACTOR", "bob")
            .args(["retention", "run", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("opsctl starts");
        let waits = "select exists (select from pg_stat_activity where datname = current_database() and query like '%delete%'
            and state = 'active' and pid <> pg_backend_pid())";
        for _ in 0..4_000 {
            if self.asks(waits).await
                && self
                    .asks("select exists (select from ops.lease where until > clock_timestamp())")
                    .await
            {
                return child;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
        panic!("it never came to the gate");
    }

    /// Ends what the server still does for a process that was killed.
    async fn forget_the_dead(&self) {
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and usename = current_user and pid <> pg_backend_pid()",
        )
        .await;
    }

    async fn asks(&self, question: &str) -> bool {
        sqlx::query_scalar(AssertSqlSafe(question))
            .fetch_one(&mut self.session().await)
            .await
            .expect("an answer")
    }

    fn lease(&self) -> Value {
        self.run(&["leases", "--json"]).json()["leases"][0].clone()
    }

    async fn close(self) {
        self.forget_the_dead().await;
        self.0.close(&[]).await;
    }
}

#[tokio::test]
async fn of_two_at_once_the_second_is_refused_and_told_who_runs_it_since_when_and_until_when() {
    let Some(world) = World::start("lease_two").await else {
        return;
    };
    let first = world.at_the_gate().await;
    let second = world.run(&["retention", "run", "--json"]);
    assert_eq!(second.code, 5, "{}{}", second.out, second.err);
    let error = second.json()["error"].clone();
    assert_eq!(
        (&error["kind"], &error["lease"]["name"], &error["lease"]["token"]),
        (&"held".into(), &"retention".into(), &1.into()),
        "{error:#}"
    );
    let holder = error["lease"]["holder"].as_str().expect("a holder");
    assert!(
        holder.starts_with("bob@") && holder.contains(&format!("pid {}", first.id())),
        "{holder}"
    );
    let second = world.run(&["retention", "run"]);
    assert!(
        second.code == 5 && second.err.contains("bob@") && second.err.contains("nothing has been changed"),
        "{}",
        second.err
    );
    let japanese = world.run(&["retention", "run", "--lang", "ja"]);
    assert!(
        japanese.code == 5 && japanese.err.contains("から実行中です"),
        "{}",
        japanese.err
    );
    // To look needs no turn.
    assert_eq!(world.run(&["retention", "run", "--dry-run"]).code, 0);
    assert_eq!(world.lease()["held"], true);

    world.sql("insert into gate values (true)").await;
    let first = Ran::of(first.wait_with_output().expect("it ends"));
    assert_eq!(
        (first.code, first.json()["rules"][0]["rows"].as_i64()),
        (0, Some(1)),
        "{}{}",
        first.out,
        first.err
    );
    let lease = world.lease();
    assert_eq!(
        (&lease["held"], &lease["holder"]),
        (&false.into(), &Value::Null),
        "given back at its end"
    );
    assert_eq!(world.run(&["retention", "run"]).code, 0);
    assert_eq!(world.lease()["token"], 2);
    world.close().await;
}

#[tokio::test]
async fn a_run_that_is_killed_keeps_others_out_for_a_minute_and_no_longer() {
    let Some(world) = World::start("lease_kill").await else {
        return;
    };
    let mut first = world.at_the_gate().await;
    first.kill().expect("SIGKILL");
    first.wait().expect("it ends");
    assert_eq!(
        world.run(&["retention", "run"]).code,
        5,
        "nobody knows that it is dead"
    );
    assert!(
        world
            .asks("select until <= clock_timestamp() + interval '60 s' from ops.lease")
            .await
    );
    world.forget_the_dead().await;
    world.sql("insert into gate values (true)").await;
    // A minute later.
    world
        .sql("update ops.lease set since = since - interval '60 s', until = until - interval '60 s'")
        .await;
    let listed = world.run(&["leases"]);
    assert!(
        listed.out.contains("stopped without giving it back"),
        "{}",
        listed.out
    );
    let second = world.run(&["retention", "run", "--json"]);
    assert_eq!(
        (second.code, second.json()["rules"][0]["rows"].as_i64()),
        (0, Some(1)),
        "{}{}",
        second.out,
        second.err
    );
    assert_eq!(world.lease()["token"], 2, "the dead one is fenced off");
    world.close().await;
}

#[tokio::test]
async fn a_run_that_hangs_loses_its_lease_to_a_person_who_says_why() {
    let Some(world) = World::start("lease_hang").await else {
        return;
    };
    let nobody = world.run(&["leases", "release", "retention", "--reason", "it hangs"]);
    assert!(
        nobody.code == 2 && nobody.err.contains("nobody runs retention now"),
        "{}",
        nobody.err
    );
    let mut first = world.at_the_gate().await;
    let release = ["leases", "release", "retention", "--reason", "it hangs", "--json"];
    let released = world.run(&release);
    assert_eq!(released.code, 0, "{}{}", released.out, released.err);
    let document = released.json();
    assert_eq!(
        (
            &document["audited"],
            &document["released"]["token"],
            &document["lease"]["token"]
        ),
        (&true.into(), &1.into(), &2.into()),
        "{document:#}"
    );
    assert_eq!(document["lease"]["holder"], Value::Null);
    let trail = world
        .run(&["audit", "search", "--action", "release_lease", "--json"])
        .json();
    let details = &trail["records"][0]["details"];
    assert!(
        details["reason"] == "it hangs"
            && details["holder"]
                .as_str()
                .is_some_and(|holder| holder.starts_with("bob@")),
        "{trail:#}"
    );
    assert_eq!(world.run(&release).code, 5, "once is enough");
    assert_eq!(
        world.run(&["retention", "run"]).code,
        5,
        "not before the first has noticed"
    );
    first.kill().expect("SIGKILL");
    first.wait().expect("it ends");
    world.close().await;
}

#[tokio::test]
async fn taking_a_job_away_is_recorded_also_where_the_answer_is_lost() {
    let Some(world) = World::start("lease_lost").await else {
        return;
    };
    world
        .sql("insert into ops.lease values ('job', 'bob', 3, now(), now() + interval '1 min')")
        .await;
    // Locked for longer than anybody waits.
    let mut session = world.session().await;
    sqlx::raw_sql("begin; select from ops.lease for update")
        .execute(&mut session)
        .await
        .expect("locked");
    let lost = world.run(&["leases", "release", "job", "--reason", "it hangs"]);
    assert_eq!(lost.code, 1, "{}{}", lost.out, lost.err);
    let trail = world
        .run(&["audit", "search", "--action", "release_lease", "--json"])
        .json();
    let record = &trail["records"][0];
    assert_eq!(
        (&record["outcome"], &record["details"]["token"]),
        (&"unknown".into(), &"3".into()),
        "{trail:#}"
    );
    drop(session);
    world.close().await;
}

#[tokio::test]
async fn a_run_whose_lease_was_given_to_another_while_it_stood_still_deletes_nothing() {
    let Some(world) = World::start("lease_fence").await else {
        return;
    };
    let first = world.at_the_gate().await;
    // As if it had stood still for an hour, in the middle of its batch.
    world
        .sql("update ops.lease set holder = 'other', token = token + 1, until = clock_timestamp() + interval '1 min'; insert into gate values (true)")
        .await;
    let first = Ran::of(first.wait_with_output().expect("it ends"));
    assert!(
        first.code == 1 && first.out.contains("retention was lost"),
        "{}{}",
        first.out,
        first.err
    );
    assert!(
        world
            .asks("select count(*) = 2 from conversation_summaries")
            .await
    );
    assert_eq!(world.lease()["token"], 2, "what another has is not given back");
    world.close().await;
}

#[tokio::test]
async fn without_the_table_of_leases_nothing_is_run() {
    let Some(world) = World::start("lease_none").await else {
        return;
    };
    world
        .sql("insert into gate values (true); drop table ops.lease")
        .await;
    for verb in [
        &["retention", "run"][..],
        &["tenant", "back-fill"],
        &["tenant", "purge", "org_a", "--yes"],
        &["audit", "retention", "--yes"],
    ] {
        let ran = world.run(verb);
        assert!(
            ran.code == 2 && ran.err.contains("take lease"),
            "{verb:?}: {}{}",
            ran.out,
            ran.err
        );
    }
    assert!(
        world
            .asks("select count(*) = 2 from conversation_summaries")
            .await
    );
    world.close().await;
}

#[tokio::test]
async fn each_verb_has_a_lease_of_its_own_and_each_tenant_one_for_its_purge() {
    let Some(world) = World::start("lease_names").await else {
        return;
    };
    for verb in [
        &["tenant", "back-fill"][..],
        &["tenant", "purge", "org_a", "--yes"],
        &["tenant", "purge", "org_b", "--yes"],
        &["audit", "retention", "--yes"],
    ] {
        world.run(verb);
    }
    let listed = world.run(&["leases", "--json"]).json();
    let leases = listed["leases"].as_array().expect("leases");
    let names: Vec<_> = leases.iter().filter_map(|lease| lease["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "audit-retention",
            "tenant-back-fill",
            "tenant-purge/org_a",
            "tenant-purge/org_b"
        ],
        "{listed:#}"
    );
    assert!(
        leases.iter().all(|lease| lease["held"] == false),
        "given back, also after a refusal"
    );
    world.close().await;
}
