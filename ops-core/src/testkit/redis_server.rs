use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::env;
use super::server::new_folder;
use crate::error::{Error, ErrorKind, Result};

/// A throw-away Redis (or Valkey) on 127.0.0.1 and a free port, empty and without persistence. It ends, and its files go, when this is
/// dropped or its process ends in whatever way.
#[derive(Debug)]
pub struct RedisServer {
    options: Vec<String>,
    run: Run,
}

/// One life of the server.
#[derive(Debug)]
struct Run {
    /// Its standard input is the life line: the script on the other side ends the server when it closes.
    guardian: Child,
    port: u16,
    server: u32,
}

impl RedisServer {
    /// Finds the server's program and starts it. Takes some tens of milliseconds.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no program, [`ErrorKind::Unavailable`] when the server does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// As [`start`](Self::start), with more options on the command line, such as `["--requirepass", "…"]`. In an option, `PORT` is
    /// replaced by the port.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(options: &[&str]) -> Result<Self> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        blocking(move || {
            let run = start(&options, None)?;
            Ok(Self { options, run })
        })
        .await
    }

    /// Ends the server and starts an empty one on the same port, as after a fail-over that lost everything.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(self) -> Result<Self> {
        let Self { options, run } = self;
        blocking(move || {
            let port = run.port;
            drop(run);
            let run = start(&options, Some(port))?;
            Ok(Self { options, run })
        })
        .await
    }

    /// The URL, without user and password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.run.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.run.port
    }

    /// Stops the process as it is (`SIGSTOP`): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the process cannot be stopped.
    pub fn pause(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the process cannot be reached.
    pub fn unpause(&self) -> Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("/bin/sh")
            .args(["-c", "kill \"$1\" \"$2\"", "kill", signal])
            .arg(self.run.server.to_string())
            .status()
            .map_err(io_failed("send a signal"))?;
        if status.success() {
            Ok(())
        } else {
            Err(failed("the process cannot be signalled"))
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

/// A URL for tests: `OPS_TEST_REDIS_URL`, else that of a throw-away server which this process shares.
///
/// `None`, and a loud line, when neither can be had: the test is then left out.
///
/// # Panics
/// Instead of `None`, when `OPS_REQUIRE_LIVE` is set.
pub async fn redis_url() -> Option<String> {
    if let Some(url) = env::test_redis_url() {
        return Some(url);
    }
    static SHARED: OnceCell<Result<RedisServer>> = OnceCell::const_new();
    match SHARED.get_or_init(RedisServer::start).await {
        Ok(server) => Some(server.url()),
        Err(error) => {
            assert!(
                !env::live_is_required(),
                "OPS_REQUIRE_LIVE is set, but there is no Redis: {error}"
            );
            eprintln!("LEFT OUT: this test needs Redis and there is none ({error})");
            None
        }
    }
}

impl RedisServer {
    /// A server of the test's own, as [`start_with`](Self::start_with). `None`, and a loud line, when there is no program.
    ///
    /// # Panics
    /// Instead of `None`, when `OPS_REQUIRE_LIVE` is set and `OPS_TEST_REDIS_URL` is not.
    pub async fn for_test(options: &[&str]) -> Option<Self> {
        match Self::start_with(options).await {
            Ok(server) => Some(server),
            Err(error) => {
                assert!(
                    !env::live_is_required() || env::test_redis_url().is_some(),
                    "OPS_REQUIRE_LIVE is set, but there is no Redis: {error}"
                );
                eprintln!("LEFT OUT: this test needs a Redis of its own and there is none ({error})");
                None
            }
        }
    }
}

const OPERATION: &str = "start a throw-away Redis";
/// A port that was free may be taken before the server binds it.
const ATTEMPTS: u32 = 4;
const PATIENCE: u32 = 2000;
const PAUSE: Duration = Duration::from_millis(5);

/// `$1` folder, then the program with its options. The folder is removed when standard input closes.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
folder=$1
shift
cd "$folder" || exit 1
"$@" >"$folder/log" 2>&1 </dev/null &
server=$!
echo "$server" >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
cat >/dev/null
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
cd /
rm -rf -- "$folder"
"#;

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| failed("wait for the start").source(error))?
}

fn start(options: &[String], port: Option<u16>) -> Result<Run> {
    let program = program()?;
    let mut last = failed("no attempt was made");
    for _ in 0..ATTEMPTS {
        let port = match port {
            Some(port) => port,
            None => free_port()?,
        };
        match launch(&program, options, port) {
            Ok(run) => return Ok(run),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn free_port() -> Result<u16> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(address.map_err(io_failed("find a free port"))?.port())
}

fn launch(program: &Path, options: &[String], port: u16) -> Result<Run> {
    let folder = new_folder("ops-redis", None).map_err(io_failed("make a folder"))?;
    let port_text = port.to_string();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SCRIPT, "ops-redis"])
        .arg(&folder)
        .arg(program)
        .args(["--port", &port_text, "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .arg("--dir")
        .arg(&folder)
        .args(options.iter().map(|option| option.replace("PORT", &port_text)))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C is for the tests only: the closed life line then ends the server.
        .process_group(0);
    let guardian = command.spawn().map_err(io_failed("run sh"))?;
    let mut run = Run {
        guardian,
        port,
        server: 0,
    };
    for _ in 0..PATIENCE {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        let server = fs::read_to_string(folder.join("pid"))
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if let Some(server) = server
            && log.contains("Ready to accept connections")
        {
            run.server = server;
            return Ok(run);
        }
        if let Some(line) = log.lines().find(|line| has_given_up(line)) {
            return Err(failed(line));
        }
        std::thread::sleep(PAUSE);
    }
    Err(failed("it was not ready in time"))
}

fn has_given_up(line: &str) -> bool {
    [
        "Failed listening",
        "Could not create",
        "FATAL",
        "Fatal",
        "Failed to",
    ]
    .iter()
    .any(|mark| line.contains(mark))
}

fn program() -> Result<PathBuf> {
    let path = env::program_path().unwrap_or_default();
    let places = PLACES.iter().map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(places).collect();
    ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, OPERATION).context(
                "program",
                "redis-server or valkey-server is neither in PATH nor in the usual places",
            )
        })
}

const PLACES: [&str; 6] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/redis/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];

fn failed(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, OPERATION).context("reason", reason)
}

fn io_failed(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| failed(what).source(error)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn ping(port: u16) -> io::Result<Vec<u8>> {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_millis(200)))?;
        connection.write_all(b"PING\r\n")?;
        let mut answer = vec![0; 7];
        connection.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_redis_answers_while_it_is_held_not_while_it_is_stopped_and_is_gone_afterwards() {
        let Some(server) = RedisServer::for_test(&[]).await else {
            return;
        };
        let port = server.port();
        assert_eq!(ping(port).unwrap(), b"+PONG\r\n");
        server.pause().unwrap();
        assert!(ping(port).is_err(), "a stopped server answers nothing");
        server.unpause().unwrap();
        assert_eq!(ping(port).unwrap(), b"+PONG\r\n");
        let server = server.restart().await.unwrap();
        assert_eq!(server.port(), port, "the same port after a restart");
        assert_eq!(ping(port).unwrap(), b"+PONG\r\n");
        drop(server);
        assert!(ping(port).is_err(), "the server must be gone");
    }
}
