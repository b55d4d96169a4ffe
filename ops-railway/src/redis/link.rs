use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ops_core::error::{ErrorKind, Result};
use ops_core::http::HostPolicy;
use ops_core::ports::Clock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::address::Address;
use super::error::{ends_connection, error, failed, is_missing_script};
use super::lasting::Lasting;
use super::script::Script;
use super::tls::Tls;

/// One connection that all calls share, made when it is needed and made again when it broke.
///
/// A caller that is cancelled takes down neither the connection nor an attempt to make one. A connection on which a call has waited for
/// over a second without any answer is given up: its other side may be gone without a word.
pub(super) struct Link {
    pub(super) address: Address,
    pub(super) policy: HostPolicy,
    pub(super) tls: Option<Tls>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) state: Mutex<State>,
    pub(super) opening: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
pub(super) struct State {
    open: Option<Open>,
}

/// A connection, and under which names its server knows the scripts.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    names: [Arc<str>; Script::ALL.len()],
    /// Since when a call waits although nothing was answered.
    waiting_since: Arc<Mutex<Option<Duration>>>,
}

const CONNECT: &str = "connect";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const SILENCE: Duration = Duration::from_secs(1);
/// For whoever has no time limit of his own.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

impl Link {
    /// Runs `script`. It is sent whole if the server does not know it (any more), which it says without having run it; nothing else is ever
    /// sent twice.
    pub(super) async fn run(
        self: &Arc<Self>,
        operation: &'static str,
        script: Script,
        arguments: impl Fn(&mut Cmd) + Send + Sync,
    ) -> Result<Value> {
        let command = |name: &str, what: &str| {
            let mut command = redis::cmd(name);
            command.arg(what);
            arguments(&mut command);
            command
        };
        let open = self.open().await?;
        let known = command("EVALSHA", &open.names[script as usize]);
        match self.send(&open, known).await {
            Err(cause) if is_missing_script(&cause) => {}
            answer => return answer.map_err(|cause| failed(operation, &cause)),
        }
        let whole = command("EVAL", script.text());
        self.send(&open, whole)
            .await
            .map_err(|cause| failed(operation, &cause))
    }

    /// Sends a command.
    pub(super) async fn command(self: &Arc<Self>, operation: &'static str, command: &Cmd) -> Result<Value> {
        let open = self.open().await?;
        self.send(&open, command.clone())
            .await
            .map_err(|cause| failed(operation, &cause))
    }

    /// Sends. What becomes of the connection is noted also where the caller has gone.
    async fn send(self: &Arc<Self>, open: &Open, command: Cmd) -> Result<Value, RedisError> {
        open.waits().get_or_insert(self.clock.monotonic());
        let (link, mut open) = (Arc::clone(self), open.clone());
        Lasting::of(async move {
            let answer = open.connection.send_packed_command(&command).await;
            let answer = answer.and_then(Value::extract_error);
            *open.waits() = None;
            if answer.as_ref().is_err_and(ends_connection) {
                link.close(&open);
            }
            answer
        })
        .await
    }

    /// Lets `open` go, unless another one has taken its place.
    fn close(&self, open: &Open) {
        self.lock().open.take_if(|current| current.is(open));
    }

    async fn open(self: &Arc<Self>) -> Result<Open> {
        if let Some(open) = self.current() {
            return Ok(open);
        }
        let one = Arc::clone(&self.opening).lock_owned().await;
        if let Some(open) = self.current() {
            return Ok(open);
        }
        let link = Arc::clone(self);
        let opening = tokio::spawn(async move {
            let _one = one;
            let open = tokio::time::timeout(CONNECT_TIMEOUT, link.connect())
                .await
                .map_err(|_| error(ErrorKind::Timeout, CONNECT))??;
            link.lock().open = Some(open.clone());
            Ok(open)
        });
        opening
            .await
            .map_err(|_| error(ErrorKind::Unavailable, CONNECT))?
    }

    fn current(&self) -> Option<Open> {
        let mut state = self.lock();
        let now = self.clock.monotonic();
        let silent = |open: &mut Open| {
            let waits = *open.waits();
            waits.is_some_and(|since| now.saturating_sub(since) > SILENCE)
        };
        state.open.take_if(silent);
        state.open.clone()
    }

    async fn connect(&self) -> Result<Open> {
        let stream = self.dial().await?;
        let connection = match &self.tls {
            Some(tls) => {
                let stream = tls.connect(&self.address.host, stream).await?;
                self.greet(stream).await?
            }
            None => self.greet(stream).await?,
        };
        let mut names = Vec::new();
        for script in Script::ALL {
            let mut command = redis::cmd("SCRIPT");
            command.arg("LOAD").arg(script.text());
            let name: String = command
                .query_async(&mut connection.clone())
                .await
                .map_err(|cause| failed(CONNECT, &cause))?;
            names.push(Arc::from(name));
        }
        let names = names
            .try_into()
            .map_err(|_| error(ErrorKind::Unexpected, CONNECT))?;
        Ok(Open {
            connection,
            names,
            waiting_since: Arc::default(),
        })
    }

    async fn dial(&self) -> Result<TcpStream> {
        let Address { host, port, .. } = &self.address;
        let unreachable = |source: std::io::Error| error(ErrorKind::Unavailable, CONNECT).source(source);
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port))
            .await
            .map_err(unreachable)?
            .filter(|address| self.policy == HostPolicy::Any || address.ip().is_loopback())
            .collect();
        let stream = TcpStream::connect(&found[..]).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        Ok(stream)
    }

    /// Logs in, and leaves a task that drives the connection until nobody holds it any more.
    async fn greet<S>(&self, stream: S) -> Result<MultiplexedConnection>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut info = RedisConnectionInfo::default()
            .set_db(i64::from(self.address.database))
            .set_skip_set_lib_name();
        if let Some(user) = &self.address.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.address.password {
            info = info.set_password(password.expose_secret());
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|cause| failed(CONNECT, &cause))?;
        drop(tokio::spawn(driver));
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn waits(&self) -> MutexGuard<'_, Option<Duration>> {
        self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.waiting_since, &other.waiting_since)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
