//! Real writes, tried from the outside: what a catalogue says is one thing, what a session can do another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ops_core::error::Result;
use ops_core::model::{ReadOnlyStrength, TargetState, Text};
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::identifier::quoted;
use crate::store::options;

/// Tries to write as the application would: through a session that was opened before the stop, through one that lifts the mode for itself,
/// through a fresh one and through a pooler.
///
/// The write is a `DELETE` that matches no row, in a transaction that is rolled back, on a table without triggers if there is one: the server
/// checks it as any other, and nothing changes. Each try takes at most half a second and fails no observation.
///
/// The session from before is opened by the first observation that finds the database writable, and belongs to this value and its clones: a
/// process that comes later has none and says so.
#[derive(Clone)]
pub struct WriteProbe {
    direct: PgConnectOptions,
    pooled: Option<PgConnectOptions>,
    before: Arc<Mutex<Before>>,
}

/// The session from before.
#[derive(Default)]
enum Before {
    #[default]
    None,
    Open(PgConnection),
    /// By the server: a stop did that.
    Ended,
    /// Nobody knows why.
    Lost,
}

impl WriteProbe {
    /// Tries as the role of `url`, the application's.
    ///
    /// # Errors
    /// `InvalidConfig` for a URL that cannot be read; it is never part of the text.
    pub fn new(url: &SecretString) -> Result<Self> {
        Ok(Self {
            direct: options(url)?.application_name(NAME),
            pooled: None,
            before: Arc::default(),
        })
    }

    /// Tries through a pooler too.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_pooler(mut self, url: &SecretString) -> Result<Self> {
        self.pooled = Some(options(url)?.application_name(NAME));
        Ok(self)
    }

    /// Opens the session from before while the database can be written, tries all of them afterwards.
    pub(super) async fn run(&self, state: TargetState) -> Vec<Tried> {
        if state == TargetState::Serving {
            let (before, direct) = (Arc::clone(&self.before), self.direct.clone());
            let opening = tokio::spawn(async move {
                // A session that came too late, into a mode that began meanwhile, is none from before.
                if let Ok(Some(session)) = timeout(EACH, open(&before, &direct)).await {
                    *before.lock().await = Before::Open(session);
                }
            });
            // Usually there at once. An observation has its own time, so the rest goes on without it.
            let _ = timeout(OPENING, opening).await;
            return Vec::new();
        }
        let (before, lifting, fresh, pooled) = tokio::join!(
            self.before(),
            anew(&self.direct, LIFT),
            anew(&self.direct, ""),
            async {
                match &self.pooled {
                    Some(pooled) => Some(anew(pooled, "").await),
                    None => None,
                }
            },
        );
        let tried = |way, outcome| Tried { way, outcome };
        let mut all = vec![
            tried(Way::Before, before),
            tried(Way::Lifting, lifting),
            tried(Way::Fresh, fresh),
        ];
        all.extend(pooled.map(|outcome| tried(Way::Pooled, outcome)));
        all
    }

    async fn before(&self) -> Attempt {
        let mut before = self.before.lock().await;
        let attempt = match &mut *before {
            Before::None => return Attempt::Untried("none was opened while the database was writable"),
            Before::Ended => return Attempt::Ended,
            Before::Lost => return Attempt::Lost,
            Before::Open(session) => timeout(EACH, write(session)).await,
        };
        match attempt {
            Ok(Attempt::Ended) => *before = Before::Ended,
            Ok(Attempt::Lost) => *before = Before::Lost,
            Ok(_) => {}
            // Given up on in the middle: whatever it says next answers something else.
            Err(_) => *before = Before::Lost,
        }
        attempt.unwrap_or(Attempt::Untried("no answer in time"))
    }
}

impl fmt::Debug for WriteProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteProbe")
            .field("pooled", &self.pooled.is_some())
            .finish_non_exhaustive()
    }
}

/// How it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Before,
    Lifting,
    Fresh,
    Pooled,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Wrote,
    /// By the server, with its code.
    Refused(String),
    /// The session was ended.
    Ended,
    /// Nobody knows why there is no session any more.
    Lost,
    Untried(&'static str),
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) way: Way,
    pub(super) outcome: Attempt,
}

impl Tried {
    /// Whether it wrote although a mode of this strength says that it cannot.
    pub(super) fn got_past(&self, strength: ReadOnlyStrength) -> bool {
        let covered = match self.way {
            Way::Fresh => true,
            // A transaction pooler hands out server connections, from before too, with whatever their last client has set.
            Way::Before => strength >= ReadOnlyStrength::Strict,
            Way::Pooled | Way::Lifting => strength >= ReadOnlyStrength::Wall,
        };
        covered && self.outcome == Attempt::Wrote
    }
}

/// One line for all of them.
pub(super) fn said(tried: &[Tried]) -> Option<Text> {
    let line = |of: fn(&Tried) -> String| tried.iter().map(of).collect::<Vec<_>>().join(", ");
    (!tried.is_empty()).then(|| {
        Text::new(
            format!("書き込みを試しました: {}", line(ja)),
            format!("a write was tried: {}", line(en)),
        )
    })
}

fn ja(tried: &Tried) -> String {
    let way = match tried.way {
        Way::Before => "停止前からの接続",
        Way::Lifting => "自分で SET した接続",
        Way::Fresh => "新しい接続",
        Way::Pooled => "プーラー経由",
    };
    match &tried.outcome {
        Attempt::Wrote => format!("{way} 書けた"),
        Attempt::Refused(code) => format!("{way} 拒否 ({code})"),
        Attempt::Ended => format!("{way} 切断済み"),
        Attempt::Lost | Attempt::Untried(_) => format!("{way} 試せず"),
    }
}

fn en(tried: &Tried) -> String {
    let way = match tried.way {
        Way::Before => "session from before",
        Way::Lifting => "session with its own SET",
        Way::Fresh => "fresh session",
        Way::Pooled => "pooled session",
    };
    match &tried.outcome {
        Attempt::Wrote => format!("{way} wrote"),
        Attempt::Refused(code) => format!("{way} refused ({code})"),
        Attempt::Ended => format!("{way} was ended"),
        Attempt::Lost => format!("{way} not tried: the session was lost"),
        Attempt::Untried(why) => format!("{way} not tried: {why}"),
    }
}

/// A session that may write, if there is none that lives.
async fn open(before: &Mutex<Before>, direct: &PgConnectOptions) -> Option<PgConnection> {
    let mut before = before.lock().await;
    if let Before::Open(session) = &mut *before {
        // One that never answers is none to try with, and would stand in the way of the next.
        let answer = timeout(ANSWER, session.ping()).await;
        if answer.is_ok_and(|answer| answer.is_ok()) {
            return None;
        }
        *before = Before::None;
    }
    drop(before);
    let mut session = direct.connect().await.ok()?;
    let row = sqlx::raw_sql("show default_transaction_read_only")
        .fetch_one(&mut session)
        .await
        .ok()?;
    (row.try_get::<String, _>(0).ok()? == "off").then_some(session)
}

async fn anew(options: &PgConnectOptions, first: &str) -> Attempt {
    let attempt = async {
        let mut session = match options.connect().await {
            Ok(session) => session,
            Err(cause) => return of(&cause, Attempt::Untried("no session could be opened")),
        };
        if !first.is_empty()
            && let Err(cause) = sqlx::raw_sql(AssertSqlSafe(first.to_owned()))
                .execute(&mut session)
                .await
        {
            return of(&cause, Attempt::Lost);
        }
        write(&mut session).await
    };
    timeout(EACH, attempt)
        .await
        .unwrap_or(Attempt::Untried("no answer in time"))
}

/// Without prepared statements, so that a transaction pooler may be in between.
async fn write(session: &mut PgConnection) -> Attempt {
    let table = match sqlx::raw_sql(TABLE).fetch_optional(&mut *session).await {
        Ok(Some(row)) => (row.try_get::<String, _>(0), row.try_get::<String, _>(1)),
        Ok(None) => return Attempt::Untried("the role sees no table"),
        Err(cause) => return of(&cause, Attempt::Lost),
    };
    let (Ok(schema), Ok(name)) = table else {
        return Attempt::Untried("the name of a table cannot be read");
    };
    let text = format!(
        "BEGIN; DELETE FROM {}.{} WHERE false; ROLLBACK",
        quoted(&schema),
        quoted(&name)
    );
    match sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *session).await {
        Ok(_) => Attempt::Wrote,
        Err(cause) => {
            let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *session).await;
            of(&cause, Attempt::Lost)
        }
    }
}

/// What the server answered, else `otherwise`.
fn of(cause: &sqlx::Error, otherwise: Attempt) -> Attempt {
    match cause {
        sqlx::Error::Database(cause) => {
            let code = cause.code().unwrap_or_default().into_owned();
            match code.as_str() {
                // The server's word for it. What a pooler says of its connection (08P01) has more than one cause.
                "57P01" => Attempt::Ended,
                code if code.starts_with("57P") || code.starts_with("08") => otherwise,
                _ => Attempt::Refused(code),
            }
        }
        _ => otherwise,
    }
}

const NAME: &str = "ops-write-probe";
const EACH: Duration = Duration::from_millis(500);
/// How long an observation waits for the session from before.
const OPENING: Duration = Duration::from_millis(200);
/// How long the session from before may take to say that it lives.
const ANSWER: Duration = Duration::from_millis(200);
const LIFT: &str = "SET default_transaction_read_only = off";
// One that the role may write to comes first; behind a wall there is none, and any that it may see will do.
const TABLE: &str = "
select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence = 'p' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  and n.nspname <> 'ops' and has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')
order by not has_table_privilege(c.oid, 'DELETE'), c.relhastriggers, 1, 2 limit 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_counts_against_a_strength_that_says_it_cannot_happen() {
        use ReadOnlyStrength::{Brake, Strict, Wall};
        for (way, from) in [
            (Way::Fresh, Brake),
            (Way::Before, Strict),
            (Way::Pooled, Wall),
            (Way::Lifting, Wall),
        ] {
            for strength in [Brake, Strict, Wall] {
                let wrote = Tried {
                    way,
                    outcome: Attempt::Wrote,
                };
                assert_eq!(wrote.got_past(strength), strength >= from, "{way:?} {strength}");
                let refused = Tried {
                    way,
                    outcome: Attempt::Refused("42501".to_owned()),
                };
                assert!(!refused.got_past(strength));
            }
        }
    }

    #[test]
    fn only_what_the_server_says_was_ended_counts_as_ended() {
        #[derive(Debug)]
        struct Said(&'static str);
        impl fmt::Display for Said {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Said {}
        impl sqlx::error::DatabaseError for Said {
            fn message(&self) -> &str {
                self.0
            }
            fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
                Some(self.0.into())
            }
            fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
                self
            }
            fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
                self
            }
            fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
                self
            }
            fn kind(&self) -> sqlx::error::ErrorKind {
                sqlx::error::ErrorKind::Other
            }
        }
        let said = |code| of(&sqlx::Error::Database(Box::new(Said(code))), Attempt::Lost);
        assert_eq!(said("57P01"), Attempt::Ended);
        for code in ["08P01", "08006", "57P02"] {
            assert_eq!(said(code), Attempt::Lost, "{code}");
        }
        assert_eq!(said("25006"), Attempt::Refused("25006".to_owned()));
    }

    #[tokio::test]
    async fn a_session_that_never_answers_makes_room_for_the_next() {
        use tokio::io::AsyncWriteExt;
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = PgConnectOptions::new()
            .host("127.0.0.1")
            .port(server.local_addr().unwrap().port())
            .username("app")
            .ssl_mode(sqlx::postgres::PgSslMode::Disable);
        let (session, held) = tokio::join!(options.connect(), async {
            let (mut stream, _) = server.accept().await.unwrap();
            // It may go on, and is ready; after that it says nothing.
            stream
                .write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")
                .await
                .unwrap();
            stream
        });
        let before = Mutex::new(Before::Open(session.unwrap()));
        drop(server);
        assert!(
            open(&before, &options).await.is_none(),
            "there is nobody for the next"
        );
        assert!(matches!(*before.lock().await, Before::None));
        drop(held);
    }
}
