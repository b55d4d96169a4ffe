use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::env;
use crate::error::{Error, ErrorKind, Result};

/// A throw-away PostgreSQL on 127.0.0.1 and a free port. It ends, and its files go, when this is dropped or its process ends
/// in whatever way.
///
/// The superuser is `postgres`, without a password unless it was [started for one](PostgresServer::start_private); durability is off.
#[derive(Debug)]
pub struct PostgresServer {
    /// Its standard input is the life line: the script on the other side ends the server when it closes.
    guardian: Child,
    port: u16,
    folder: PathBuf,
    programs: PathBuf,
    password: Option<SecretString>,
}

impl PostgresServer {
    /// Finds the server programs, makes a cluster and starts it. Takes about a second.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there are no server programs, [`ErrorKind::Unavailable`] when the server does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with("off", None).await
    }

    /// As [`start`](Self::start), but with a password that nobody else knows: for data that other users of this machine must not see.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_private() -> Result<Self> {
        Self::start_with(
            "off",
            Some(SecretString::from(Uuid::new_v4().simple().to_string())),
        )
        .await
    }

    /// As [`start`](Self::start), but it syncs as a server in service does: for measurements.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_durable() -> Result<Self> {
        Self::start_with("on", None).await
    }

    async fn start_with(sync: &'static str, password: Option<SecretString>) -> Result<Self> {
        tokio::task::spawn_blocking(move || start(sync, password.as_ref()))
            .await
            .map_err(|error| failed("wait for the start").source(error))?
    }

    /// Kills all processes of the server as `kill -9` does, and starts it again on the same files and port.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when it does not come back.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        let before = postmaster(&self.folder);
        let Some(life_line) = &mut self.guardian.stdin else {
            return Err(failed("its life line is closed"));
        };
        life_line
            .write_all(b"kill\n")
            .map_err(io_failed("tell the guardian"))?;
        for _ in 0..PATIENCE {
            tokio::time::sleep(PAUSE).await;
            if is_ready(&self.folder) && postmaster(&self.folder) != before {
                return Ok(());
            }
        }
        Err(failed("it did not come back in time"))
    }

    /// The folder with the server's own programs. Those of clients, such as `pg_restore`, are there too where they are installed.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The superuser's URL of the database `postgres`, with the password if there is one.
    pub fn url(&self) -> String {
        let password = self.password.as_ref().map(ExposeSecret::expose_secret);
        let password = password.map_or_else(String::new, |password| format!(":{password}"));
        format!("postgres://postgres{password}@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

/// A superuser's URL for tests: `OPS_TEST_DATABASE_URL`, else that of a throw-away server which this process shares.
///
/// `None`, and a loud line, when neither can be had: the test is then left out.
///
/// # Panics
/// Instead of `None`, when `OPS_REQUIRE_LIVE` is set.
pub async fn postgres_url() -> Option<String> {
    if let Some(url) = env::test_database_url() {
        return Some(url);
    }
    static SHARED: OnceCell<Result<PostgresServer>> = OnceCell::const_new();
    match SHARED.get_or_init(PostgresServer::start).await {
        Ok(server) => Some(server.url()),
        Err(error) => {
            assert!(
                !env::live_is_required(),
                "OPS_REQUIRE_LIVE is set, but there is no PostgreSQL: {error}"
            );
            eprintln!("LEFT OUT: this test needs PostgreSQL and there is none ({error})");
            None
        }
    }
}

const OPERATION: &str = "start a throw-away PostgreSQL";
/// A port that was free may be taken before the server binds it.
const ATTEMPTS: u32 = 4;
const PATIENCE: u32 = 1200;
const PAUSE: Duration = Duration::from_millis(25);

fn start(sync: &str, password: Option<&SecretString>) -> Result<PostgresServer> {
    let programs = programs()?;
    let user = unprivileged_user()?;
    let mut last = failed("no attempt was made");
    for _ in 0..ATTEMPTS {
        let folder = new_folder("ops-postgres", user).map_err(io_failed("make a folder"))?;
        match launch(&programs, &folder, user, sync, password) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn launch(
    programs: &Path,
    folder: &Path,
    user: Option<(u32, u32)>,
    sync: &str,
    password: Option<&SecretString>,
) -> Result<PostgresServer> {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(io_failed("find a free port"))?
        .port();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SCRIPT, "ops-postgres"])
        .arg(folder)
        .arg(programs)
        .args([port.to_string(), sync.to_owned()])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C is for the tests only: the closed life line then ends the server.
        .process_group(0);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    if let Some(password) = password {
        // Other users see arguments, and not this.
        command.env("PASSWORD", password.expose_secret());
    }
    let guardian = command.spawn().map_err(io_failed("run sh"))?;
    let server = PostgresServer {
        guardian,
        port,
        folder: folder.to_owned(),
        programs: programs.to_owned(),
        password: password.cloned(),
    };
    for _ in 0..PATIENCE {
        if is_ready(folder) {
            return Ok(server);
        }
        if let Some(reason) = has_given_up(folder) {
            return Err(failed(reason));
        }
        std::thread::sleep(PAUSE);
    }
    Err(failed("it was not ready in time"))
}

/// `$1` folder, `$2` programs, `$3` port, `$4` whether it syncs; `PASSWORD`, if there is to be one. Each line on standard input kills the server and starts it again; the folder is removed when it closes.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
cd "$1" || exit 1
access=trust
if [ -n "$PASSWORD" ]; then
    access=scram-sha-256
    (umask 077 && printf '%s\n' "$PASSWORD" >"$1/password") || exit 1
fi
if "$2/initdb" -D "$1/data" -U postgres -A "$access" ${PASSWORD:+--pwfile="$1/password"} -E UTF8 --locale=C --no-sync >"$1/log" 2>&1 </dev/null; then
    run() {
        "$2/postgres" -D "$1/data" -c listen_addresses=127.0.0.1 -c port="$3" -c unix_socket_directories= \
            -c fsync="$4" -c full_page_writes="$4" -c max_connections=300 -c max_prepared_transactions=8 \
            -c timezone=UTC -c logging_collector=off >>"$1/log" 2>&1 </dev/null &
        server=$!
    }
    run "$@"
    # A line: killed with all its children, and started again once nobody is attached to its memory.
    while read -r _; do
        children=$(cat "/proc/$server/task/$server/children" 2>/dev/null || pgrep -P "$server")
        kill -9 "$server" $children 2>/dev/null
        wait "$server" 2>/dev/null
        for child in $children; do
            while kill -0 "$child" 2>/dev/null; do sleep 0.02; done
        done
        run "$@"
    done
    # What sh starts in the background ignores QUIT until it has set its own handlers: ask until it is gone.
    while kill -QUIT "$server" 2>/dev/null; do sleep 0.1; done
    wait "$server"
else
    echo "FATAL: initdb failed" >>"$1/log"
    cat >/dev/null
fi
cd /
rm -rf -- "$1"
"#;

/// The eighth line of `postmaster.pid` is the server's state.
fn is_ready(folder: &Path) -> bool {
    fs::read_to_string(folder.join("data/postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
}

/// The first line of `postmaster.pid` is the process.
fn postmaster(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
    text.lines().next().map(str::to_owned)
}

fn has_given_up(folder: &Path) -> Option<String> {
    let log = fs::read_to_string(folder.join("log")).ok()?;
    let line = log.lines().find(|line| line.contains("FATAL"))?;
    Some(line.to_owned())
}

fn programs() -> Result<PathBuf> {
    let is_complete = |folder: &Path| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    let path = env::program_path().unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| is_complete(folder)) {
        return Ok(folder);
    }
    let mut found: Vec<_> = PLACES
        .iter()
        .flat_map(|(parent, start, rest)| versions(Path::new(parent), start, rest))
        .filter(|(_, folder)| is_complete(folder))
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, OPERATION).context(
            "programs",
            "initdb and postgres are neither in PATH nor in the usual places",
        )
    })
}

/// Parent folder, how the version's folder begins, and what follows it.
const PLACES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
];

fn versions(parent: &Path, start: &str, rest: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let digits: String = name
                .strip_prefix(start)?
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            Some((digits.parse().unwrap_or(0), entry.path().join(rest)))
        })
        .collect()
}

/// The server refuses to run as root: whom to run it as then. `None`: as ourselves.
fn unprivileged_user() -> Result<Option<(u32, u32)>> {
    if id(&["-u"]) != Some(0) {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)))
        .map(Some)
        .ok_or_else(|| failed("running as root, and there is no user postgres or nobody"))
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// A folder that only the server's user may enter.
pub(super) fn new_folder(prefix: &str, user: Option<(u32, u32)>) -> io::Result<PathBuf> {
    let stamp = uuid::Timestamp::from_unix(uuid::NoContext, 0, 0);
    let name = format!("{prefix}-{}", Uuid::new_v7(stamp).simple());
    let parent = [std::env::temp_dir(), PathBuf::from("/tmp")]
        .into_iter()
        .find(|parent| user.is_none() || is_open_to_all(parent))
        .ok_or_else(|| {
            io::Error::other("there is no folder for temporary files that the server's user can reach")
        })?;
    let folder = parent.join(name);
    DirBuilder::new().mode(0o700).create(&folder)?;
    if let Some((uid, gid)) = user {
        chown(&folder, Some(uid), Some(gid))?;
    }
    Ok(folder)
}

fn is_open_to_all(folder: &Path) -> bool {
    folder.ancestors().all(|part| {
        File::open(part)
            .and_then(|part| part.metadata())
            .is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    })
}

fn failed(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, OPERATION).context("reason", reason)
}

fn io_failed(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| failed(what).source(error)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_server_answers_while_it_is_held_and_is_gone_afterwards() {
        if programs().is_err() {
            assert!(!env::live_is_required(), "no PostgreSQL server programs");
            eprintln!("LEFT OUT: there are no PostgreSQL server programs");
            return;
        }
        let server = PostgresServer::start().await.unwrap();
        let address = ("127.0.0.1", server.port);
        let mut connection = TcpStream::connect(address).unwrap();
        // The request for TLS of the PostgreSQL protocol; the answer of a server without TLS is `N`.
        connection.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
        let mut answer = [0];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"N");
        drop(server);
        assert!(TcpStream::connect(address).is_err(), "the server must be gone");
    }

    #[tokio::test]
    async fn a_private_server_lets_nobody_in_who_does_not_know_its_password() {
        if programs().is_err() {
            assert!(!env::live_is_required(), "no PostgreSQL server programs");
            eprintln!("LEFT OUT: there are no PostgreSQL server programs");
            return;
        }
        for (server, asks) in [
            (PostgresServer::start().await.unwrap(), 0),
            (PostgresServer::start_private().await.unwrap(), 10),
        ] {
            let mut connection = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            let mut hello = vec![0, 0, 0, 0, 0, 3, 0, 0];
            hello.extend(b"user\0postgres\0database\0postgres\0\0");
            hello[3] = u8::try_from(hello.len()).unwrap();
            connection.write_all(&hello).unwrap();
            // `R`, its length, and what is asked for: 0 nothing, 10 a password by SASL.
            let mut answer = [0; 9];
            connection.read_exact(&mut answer).unwrap();
            assert_eq!((answer[0], answer[8]), (b'R', asks));
            let secret = server
                .url()
                .split('@')
                .next()
                .unwrap()
                .trim_start_matches("postgres://postgres")
                .to_owned();
            assert_eq!(secret.is_empty(), asks == 0);
            assert!(!format!("{server:?}").contains(secret.get(1..).unwrap_or("no secret")));
        }
    }
}
