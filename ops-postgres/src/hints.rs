use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{ErrorKind, Result};
use ops_core::ports::{SwitchHint, SwitchHints};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{error, failed};
use crate::switch::CHANNEL;

/// Notifications of PostgreSQL, on a connection of their own.
///
/// It finds out whether they arrive by sending one to itself through the pool of the store: behind a pooler that shares sessions between
/// transactions, `LISTEN` succeeds and nothing ever comes.
pub struct PostgresSwitchHints {
    pool: PgPool,
    options: PgConnectOptions,
    state: Mutex<State>,
}

enum State {
    Fresh,
    Listening(Box<PgListener>),
    /// The last test failed.
    Resting,
}

/// How long nothing is heard before the connection is tested.
const QUIET: Duration = Duration::from_secs(30);
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A connection that does not answer for so long is dead: no statement here waits for anything.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const TEST: &str = "test:";
const LISTEN: &str = "listen for switches";

impl PostgresSwitchHints {
    /// The notifications of `store`'s database.
    pub fn new(store: &PostgresStore) -> Self {
        Self {
            pool: store.pool().clone(),
            options: store.pool().connect_options().as_ref().clone(),
            state: Mutex::new(State::Fresh),
        }
    }

    async fn connect(&self) -> Result<PgListener> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_WITHIN)
            .connect_lazy_with(self.options.clone());
        let mut listener = PgListener::connect_with(&pool).await.map_err(failed(LISTEN))?;
        listener.eager_reconnect(false);
        Ok(listener)
    }

    /// Whether the session of `listener` is its own: while another connection is inside a transaction, a pooler that shares sessions serves it
    /// from elsewhere, or not at all. Asked first, because `LISTEN` behind such a pooler would stay with a session of somebody else, whose
    /// next user's driver may stumble over the notification.
    async fn has_own_session(&self, listener: &mut PgListener) -> Result<bool> {
        let before = backend(listener).await?;
        let other = answered(self.pool.begin()).await?;
        let after = timeout(ARRIVES_WITHIN, backend(listener)).await;
        answered(other.rollback()).await?;
        match after {
            Ok(after) => Ok(before == after?),
            Err(_) => Ok(false),
        }
    }

    async fn begin(&self, listener: &mut PgListener) -> Result<SwitchHint> {
        if !self.has_own_session(listener).await? {
            return Ok(SwitchHint::Lost);
        }
        answered(listener.listen(CHANNEL)).await?;
        self.test(listener).await
    }

    /// Sends a nonce the way of a real change and waits for it.
    async fn test(&self, listener: &mut PgListener) -> Result<SwitchHint> {
        let nonce = format!("{TEST}{}", Uuid::new_v4().simple());
        let statement = format!("select pg_notify('{CHANNEL}', '{nonce}')");
        answered(sqlx::raw_sql(AssertSqlSafe(statement)).execute(&self.pool)).await?;
        let arrival = async {
            loop {
                match listener.try_recv().await {
                    Ok(Some(heard)) if heard.payload() == nonce => return Ok(SwitchHint::Arrive),
                    // Somebody else's change has come: so they arrive, and this one counts first.
                    Ok(Some(heard)) if !heard.payload().starts_with(TEST) => return Ok(SwitchHint::Changed),
                    Ok(Some(_)) => {}
                    Ok(None) => return Err(cut()),
                    Err(cause) => return Err(failed(LISTEN)(cause)),
                }
            }
        };
        timeout(ARRIVES_WITHIN, arrival)
            .await
            .unwrap_or(Ok(SwitchHint::Lost))
    }
}

#[async_trait]
impl SwitchHints for PostgresSwitchHints {
    async fn next(&self) -> Result<SwitchHint> {
        let mut state = self.state.lock().await;
        if let State::Resting = *state {
            sleep(QUIET).await;
            *state = State::Fresh;
        }
        let hint = match &mut *state {
            State::Listening(listener) => self.hear(listener).await,
            _ => {
                let mut listener = Box::new(
                    timeout(CONNECT_WITHIN, self.connect())
                        .await
                        .map_err(|_| error(ErrorKind::Timeout, LISTEN))??,
                );
                let hint = self.begin(&mut listener).await;
                *state = State::Listening(listener);
                hint
            }
        };
        match hint {
            Ok(SwitchHint::Lost) => *state = State::Resting,
            Err(_) => *state = State::Fresh,
            Ok(_) => {}
        }
        hint
    }
}

impl PostgresSwitchHints {
    async fn hear(&self, listener: &mut PgListener) -> Result<SwitchHint> {
        loop {
            match timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(heard))) if heard.payload().starts_with(TEST) => {}
                Ok(Ok(Some(_))) => return Ok(SwitchHint::Changed),
                Ok(Ok(None)) => return Err(cut()),
                Ok(Err(cause)) => return Err(failed(LISTEN)(cause)),
                Err(_) => return self.test(listener).await,
            }
        }
    }
}

async fn backend(listener: &mut PgListener) -> Result<i32> {
    let row = answered(sqlx::raw_sql("select pg_backend_pid()").fetch_one(listener)).await?;
    row.try_get(0).map_err(failed(LISTEN))
}

/// Bounded here: the server's own limits do not reach us over a connection that was cut without a word.
async fn answered<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    timeout(ANSWERS_WITHIN, work)
        .await
        .map_err(|_| error(ErrorKind::Timeout, LISTEN).context("reason", "no answer on an open connection"))?
        .map_err(failed(LISTEN))
}

fn cut() -> ops_core::error::Error {
    error(ErrorKind::Unavailable, LISTEN).context("reason", "the connection was cut")
}

impl fmt::Debug for PostgresSwitchHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSwitchHints").finish_non_exhaustive()
    }
}
