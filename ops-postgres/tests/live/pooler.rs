//! Behind a real PgBouncer in transaction mode.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ops_core::config::Env;
use ops_core::guard::{KillSwitch, RefreshOptions, SwitchRefresher};
use ops_core::model::{Actor, Timestamp};
use ops_core::ports::{ProcessRegistry, SwitchedOff};
use ops_postgres::{PostgresProcesses, PostgresSwitchStore};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use super::world::World;

pub(crate) struct Pooler {
    child: Child,
    folder: std::path::PathBuf,
    port: u16,
}

impl Pooler {
    /// The same role and database as `url`, through it.
    pub(crate) fn url(&self, url: &SecretString) -> SecretString {
        let options: PgConnectOptions = url.expose_secret().parse().unwrap();
        SecretString::from(format!(
            "postgres://{}:{}@127.0.0.1:{}/{}?sslmode=disable",
            options.get_username(),
            password(url),
            self.port,
            options.get_database().unwrap()
        ))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// In front of the database of `url`; `None`, loudly, where there is no pgbouncer.
pub(crate) fn start(url: &SecretString) -> Option<Pooler> {
    start_with(url, 3)
}

/// With so many connections to the server.
pub(crate) fn start_with(url: &SecretString, connections: u32) -> Option<Pooler> {
    let path = Env::process().text("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let Some(place) = places.find(|place| place.join("pgbouncer").exists()) else {
        let required = Env::process()
            .text("OPS_REQUIRE_POOLER")
            .is_some_and(|value| value != "0");
        assert!(!required, "OPS_REQUIRE_POOLER is set, but there is no pgbouncer");
        say_left_out();
        return None;
    };
    let program = place.join("pgbouncer");
    let server: PgConnectOptions = url.expose_secret().parse().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = std::env::temp_dir().join(format!("ops-pooler-{port}"));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let settings = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n\
         ignore_startup_parameters = extra_float_digits,options\n",
        server.get_host(),
        server.get_port()
    );
    // `auth_type = any` logs in as the user that the database line names.
    let settings = settings.replace(
        &format!("port={}\n", server.get_port()),
        &format!(
            "port={} user={} password={}\n",
            server.get_port(),
            server.get_username(),
            password(url)
        ),
    );
    let file = folder.join("pgbouncer.ini");
    fs::write(&file, settings).unwrap();
    let mut command = Command::new(program);
    command
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It refuses to run as root.
    if let Some((uid, gid)) = nobody() {
        chown(&folder, Some(uid), Some(gid)).unwrap();
        chown(&file, Some(uid), Some(gid)).unwrap();
        command.uid(uid).gid(gid);
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let child = command.spawn().unwrap();
    let mut pooler = Pooler { child, folder, port };
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(pooler.child.try_wait().unwrap().is_none(), "pgbouncer ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(pooler)
}

/// Past the test harness, which keeps the output of a test that passes to itself.
fn say_left_out() {
    let line = b"LEFT OUT: what is tested behind a transaction pooler needs pgbouncer, and there is none\n";
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line);
}

fn password(url: &SecretString) -> String {
    let text = url.expose_secret();
    let login = text
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('@').next())
        .unwrap();
    login.split(':').nth(1).unwrap_or_default().to_owned()
}

/// `None`: we are not root.
fn nobody() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "nobody"]), id(&["-g", "nobody"])))
}

#[tokio::test]
async fn behind_a_transaction_pooler_lost_notifications_are_seen_and_polling_carries_the_stop() {
    let Some(world) = World::new().await else { return };
    let direct = world.scratch.owner_url();
    let Some(pooler) = start(direct) else { return };
    let url = pooler.url(direct);
    let (switch, brain) = KillSwitch::single("brain");
    let switch = Arc::new(switch);
    let pooled = url.clone();
    let refresher = SwitchRefresher::start(Arc::clone(&switch), RefreshOptions::new("chat"), move || {
        let url = pooled.clone();
        async move { PostgresSwitchStore::link(&url).await }
    });
    let refresher = refresher.unwrap();
    while refresher.health().hints.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(refresher.health().hints, Some(false), "{:?}", refresher.health());

    let off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None);
    let stopped = BTreeMap::from([("brain".to_owned(), off)]);
    let link = PostgresSwitchStore::link(&url).await.unwrap();
    assert_eq!(
        link.store.write(0, &stopped).await.unwrap(),
        1,
        "the switch can be written through it"
    );
    switch.stopped(brain).await;
    let processes = PostgresProcesses::new(&world.store);
    while processes
        .processes()
        .await
        .unwrap()
        .iter()
        .all(|one| one.process.hints.is_none())
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let listed = processes.processes().await.unwrap();
    assert_eq!(listed[0].process.hints, Some(false), "the process says so itself");
    drop(refresher);
    drop(pooler);
    world.close().await;
}

#[tokio::test]
async fn a_switch_is_written_through_a_connection_on_which_somebody_else_listens() {
    let Some(world) = World::new().await else { return };
    let direct = world.scratch.owner_url();
    let Some(pooler) = start_with(direct, 1) else {
        return;
    };
    let url = pooler.url(direct);
    let mut stranger = PgConnection::connect(url.expose_secret()).await.unwrap();
    sqlx::raw_sql("listen ops_switch")
        .execute(&mut stranger)
        .await
        .unwrap();
    let store = PostgresSwitchStore::link(&url).await.unwrap().store;
    let mut generation = 0;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let off = SwitchedOff::new(Timestamp::UNIX_EPOCH, Actor::person("alice").unwrap(), None);
        let stopped = BTreeMap::from([(name.to_owned(), off)]);
        generation = store.write(generation, &stopped).await.unwrap();
        let read = store.read().await.unwrap();
        assert_eq!((read.generation, read.stopped), (generation, stopped));
    }
    assert_eq!(generation, 8);
    drop((stranger, pooler));
    world.close().await;
}
