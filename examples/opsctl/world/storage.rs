use std::sync::Arc;
use std::time::Duration;

use ops_core::Providers;
use ops_core::audit::Spool;
use ops_core::clock::SystemClock;
use ops_core::config::{DatabaseConfig, Env, OpsConfig};
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::file::{
    FileApprovals, FileAudit, FileDrillLog, FileDueDates, FileIncidents, FileJournal, FileNotices,
    FileProcesses, FileSwitches,
};
use ops_core::masking::BuiltinMasker;
use ops_core::model::{TargetId, Text};
use ops_core::ports::{
    ApprovalStore, AuditStore, DrillLog, DueDates, IncidentOutbox, IncidentStore, Journal, Notifier,
    ProcessRegistry, SwitchHints, SwitchStore,
};
use ops_postgres::{
    PostgresApprovals, PostgresDatabaseGuard, PostgresDrillLog, PostgresDueDates, PostgresIncidents,
    PostgresJournal, PostgresLoad, PostgresProcesses, PostgresStore, PostgresSwitchHints,
    PostgresSwitchStore, PostgresTimeouts, SchemaState, TimeoutLimits, WriteProbe,
};
use secrecy::SecretString;

use super::Database;
use super::dates::Dates;
use super::drills::DrillsTogether;
use super::incidents::IncidentsTogether;
use super::purpose::Purpose;
use super::trail::Trail;
use super::unreachable::Unreachable;
use crate::exit::Failure;

/// Where journal, switches, audit trail and notices are kept: files, or PostgreSQL with the files behind it.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) providers: Providers,
    pub(super) database: Option<Database>,
    pub(super) warnings: Vec<Text>,
    /// Early news of switch changes, where the store has them.
    pub(super) hints: Option<Arc<dyn SwitchHints>>,
    pub(super) incidents: Arc<IncidentsTogether>,
    pub(super) dates: Dates,
}

impl Storage {
    pub(super) async fn connect(
        config: &OpsConfig,
        env: &Env,
        with_database: bool,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let dir = &config.state_dir;
        let mut warnings = Vec::new();
        let mut failed = |part: (&str, &str), error: Error| {
            warnings.push(Text::new(
                format!(
                    "{}を開けません ({error})。停止は続けますが、記録が残りません",
                    part.0
                ),
                format!(
                    "the {} cannot be opened ({error}): a stop goes on, but this is not recorded",
                    part.1
                ),
            ));
            Arc::new(Unreachable::new(error.to_string()))
        };
        let journal: Arc<dyn Journal> = match FileJournal::open(dir.join("journal")) {
            Ok(journal) => Arc::new(journal),
            Err(error) => failed(("ジャーナル", "journal"), error),
        };
        let audit: Arc<dyn AuditStore> = match FileAudit::open(dir.join("audit")) {
            Ok(audit) => Arc::new(audit),
            Err(error) => failed(("監査ログ", "audit trail"), error),
        };
        let switches: Arc<dyn SwitchStore> = match FileSwitches::open(dir.join("switches")) {
            Ok(switches) => Arc::new(switches),
            Err(error) => failed(("停止スイッチ", "switch file"), error),
        };
        let processes: Arc<dyn ProcessRegistry> = match FileProcesses::open(dir.join("processes")) {
            Ok(processes) => Arc::new(processes),
            Err(error) => failed(("プロセスの一覧", "list of processes"), error),
        };
        let notifier: Arc<dyn Notifier> = match FileNotices::open(dir.join("notices")) {
            Ok(notices) => Arc::new(notices),
            Err(error) => failed(("連絡の送信箱", "outbox of notices"), error),
        };
        let drills: Arc<dyn DrillLog> = match FileDrillLog::open(dir.join("drills")) {
            Ok(drills) => Arc::new(drills),
            Err(error) => failed(("訓練の記録", "evidence of drills"), error),
        };
        let incidents: Arc<dyn IncidentOutbox> = match FileIncidents::open(dir.join("incidents")) {
            Ok(incidents) => Arc::new(incidents),
            Err(error) => failed(("障害の記録", "log of incidents"), error),
        };
        let approvals: Arc<dyn ApprovalStore> = match FileApprovals::open(dir.join("approvals")) {
            Ok(approvals) => Arc::new(approvals),
            Err(error) => failed(("承認の保管場所", "store of approvals"), error),
        };
        let incidents = Arc::new(IncidentsTogether::here(incidents));
        let due: Arc<dyn DueDates> = match FileDueDates::open(dir.join("due")) {
            Ok(due) => Arc::new(due),
            Err(error) => failed(("期限の記録", "store of due dates"), error),
        };
        let audit_spool = Spool::open(dir.join("audit-spool")).ok();
        let masker = Arc::new(BuiltinMasker::new().with_policy(config.masking));
        let clock = Arc::new(SystemClock::new());
        let opened_drills = Arc::clone(&drills);
        let providers = Providers {
            journal,
            journal_spool: None,
            approvals,
            audit,
            audit_spool,
            switches,
            drills,
            incidents: Arc::clone(&incidents) as _,
            processes,
            notifier,
            masker,
            clock,
        };
        let mut storage = Self {
            providers,
            database: None,
            warnings,
            hints: None,
            incidents,
            dates: Dates {
                here: due,
                shared: None,
                drills: opened_drills,
            },
        };
        if let Some(database) = config.database.as_ref().filter(|_| with_database) {
            storage.add_database(database, env, purpose).await?;
        }
        Ok(storage)
    }

    async fn add_database(
        &mut self,
        database: &DatabaseConfig,
        env: &Env,
        purpose: Purpose,
    ) -> Result<(), Failure> {
        let missing = || {
            let fault = Error::new(ErrorKind::InvalidConfig, "connect");
            fault.context(
                "database",
                format!("the environment variable {} is not set", database.url_env),
            )
        };
        let url = env.secret(&database.url_env);
        let opened = match &url {
            Some(url) => open(url, purpose).await,
            None => Err(missing()),
        };
        match opened {
            Ok((store, SchemaState::Current)) => self.use_postgres(&store, database, env, purpose).await?,
            Ok((store, SchemaState::Missing | SchemaState::Older(_))) => {
                self.look_without_schema(&store, database, env).await?;
            }
            Ok((_, newer @ SchemaState::Newer(_))) => {
                let error = newer.check().err().unwrap_or_else(missing);
                self.go_on_without(&error, database, url.as_ref())?;
            }
            Err(error) => self.go_on_without(&error, database, url.as_ref())?,
        }
        Ok(())
    }

    async fn use_postgres(
        &mut self,
        store: &PostgresStore,
        database: &DatabaseConfig,
        env: &Env,
        purpose: Purpose,
    ) -> Result<()> {
        let trail = Trail::open(store, database, env, purpose).await;
        self.warnings.extend(trail.warning);
        let exempt = trail.role.as_deref();
        let database = self.watched(store, database, env, exempt, trail.logs_in)?;
        let (journal, switches) = (
            Arc::new(PostgresJournal::new(store)),
            Arc::new(PostgresSwitchStore::new(store)),
        );
        self.providers.approvals = Arc::new(PostgresApprovals::new(store));
        self.providers.drills = Arc::new(DrillsTogether {
            here: Arc::clone(&self.providers.drills),
            shared: Arc::new(PostgresDrillLog::new(store)),
        });
        self.dates.drills = Arc::clone(&self.providers.drills);
        let incidents = PostgresIncidents::new(store);
        let place = incidents.place();
        self.share_incidents(Arc::new(incidents), place);
        self.dates.shared = Some(Arc::new(PostgresDueDates::new(store)));
        self.put(journal, switches, trail.store, database);
        self.providers.processes = Arc::new(PostgresProcesses::new(store));
        self.hints = Some(Arc::new(PostgresSwitchHints::new(store)));
        Ok(())
    }

    /// The database is seen, and what is kept in our schema is not: that says what is missing and how it comes there.
    async fn look_without_schema(
        &mut self,
        store: &PostgresStore,
        database: &DatabaseConfig,
        env: &Env,
    ) -> Result<()> {
        let Err(error) = store.schema_state().await?.check() else {
            // Somebody has brought it up to date in between.
            return self.use_postgres(store, database, env, Purpose::Look).await;
        };
        self.warnings.push(Text::new(
            format!("スキーマ ops がないか、古いため、そこにある記録は読めません。何も変更していません ({error})"),
            format!("the schema ops is missing or older, so what is kept there cannot be read; nothing was changed ({error})"),
        ));
        // The role of the trail keeps its exemption, whether or not the trail can be read.
        let exempt = Trail::role(store, database, env).await;
        let database = self.watched(store, database, env, exempt.as_deref(), false)?;
        let nothing = Arc::new(Unreachable::as_of(&error));
        self.providers.approvals = nothing.clone();
        self.providers.processes = nothing.clone();
        self.share_incidents(nothing.clone(), String::new());
        self.dates.shared = Some(nothing.clone());
        self.put(nothing.clone(), nothing.clone(), nothing, database);
        Ok(())
    }

    /// The database itself: who may write, and what weighs on it. Needs none of our tables.
    fn watched(
        &mut self,
        store: &PostgresStore,
        database: &DatabaseConfig,
        env: &Env,
        exempt: Option<&str>,
        logs_in: bool,
    ) -> Result<Database> {
        let mut guard = PostgresDatabaseGuard::new(store);
        if let Some(role) = exempt {
            guard = guard.with_exempt_role(role);
        }
        let target = PostgresDatabaseGuard::target(database.name.as_deref().unwrap_or(store.database()))?;
        guard = guard
            .with_spared(database.spared())
            .rolling_back_prepared(database.roll_back_prepared);
        if let Some(probe) = self.probe(database, env) {
            guard = guard.with_probe(probe);
        }
        let limits = TimeoutLimits::new(
            database.statement_timeout,
            database.lock_timeout,
            database.idle_in_transaction_timeout,
        );
        let timeouts = PostgresTimeouts::new(store, limits)?;
        let mut load = PostgresLoad::new(store, Arc::clone(&self.providers.masker));
        if let Some(role) = exempt.filter(|_| logs_in) {
            load = load.with_exempt_role(role);
        }
        let database = Database::new(target, |strength| Arc::new(guard.clone().with_strength(strength)));
        Ok(database.with_load(load, timeouts))
    }

    /// What tries writes as the application, if it is configured. That it cannot be used keeps no stop from going on.
    fn probe(&mut self, database: &DatabaseConfig, env: &Env) -> Option<WriteProbe> {
        let url = |name: &Option<String>| name.as_deref().and_then(|name| env.secret(name));
        let probe = WriteProbe::new(&url(&database.probe_url_env)?);
        let probe = match url(&database.pooled_url_env) {
            Some(pooled) => probe.and_then(|probe| probe.with_pooler(&pooled)),
            None => probe,
        };
        match probe {
            Ok(probe) => Some(probe),
            Err(error) => {
                self.warnings.push(Text::new(
                    format!("書き込みの確認ができません ({error})"),
                    format!("writes cannot be tried ({error})"),
                ));
                None
            }
        }
    }

    fn go_on_without(
        &mut self,
        error: &Error,
        database: &DatabaseConfig,
        url: Option<&SecretString>,
    ) -> Result<()> {
        self.warnings.push(Text::new(
            format!("データベースに接続できません ({error})。記録はスプールに残し、停止は続けます"),
            format!("the database cannot be reached ({error}): records wait in the spool, a stop goes on"),
        ));
        // The same target as when it can be reached: the run is resumed and restored then.
        let named = database.name.clone();
        let name = named.or_else(|| PostgresStore::database_in(url?).ok());
        let target = match name {
            Some(name) => PostgresDatabaseGuard::target(&name)?,
            None => TargetId::new("postgres:unknown")?,
        };
        let nothing = Arc::new(Unreachable::new(error.to_string()));
        let database = Database::new(target, |_| nothing.clone());
        self.providers.processes = nothing.clone();
        self.share_incidents(nothing.clone(), String::new());
        self.dates.shared = Some(nothing.clone());
        self.put(nothing.clone(), nothing.clone(), nothing, database);
        Ok(())
    }

    fn share_incidents(&mut self, shared: Arc<dyn IncidentStore>, place: String) {
        self.incidents = Arc::new(self.incidents.with_shared(shared, place));
        self.providers.incidents = Arc::clone(&self.incidents) as _;
    }

    /// PostgreSQL in front, the files of this machine behind it.
    fn put(
        &mut self,
        journal: Arc<dyn Journal>,
        switches: Arc<dyn SwitchStore>,
        audit: Arc<dyn AuditStore>,
        database: Database,
    ) {
        let files = std::mem::replace(&mut self.providers.journal, journal);
        self.providers.journal_spool = Some(files);
        self.providers.switches = switches;
        self.providers.audit = audit;
        self.database = Some(database);
    }
}

/// A database connection may delay a stop by this much, once.
const CONNECT_BUDGET: Duration = Duration::from_secs(4);

/// The store, and how its schema stands: as it was found to look, brought up to date to act.
async fn open(url: &SecretString, purpose: Purpose) -> Result<(PostgresStore, SchemaState)> {
    within_budget(async {
        let store = PostgresStore::connect(url).await?;
        if purpose == Purpose::Act {
            store.migrate().await?;
        }
        let state = store.schema_state().await?;
        Ok((store, state))
    })
    .await
}

/// The reports of drills in the database of `url`; its schema is not touched.
pub(crate) async fn shared_drills(url: &SecretString) -> Result<PostgresDrillLog> {
    within_budget(async {
        let store = PostgresStore::connect(url).await?;
        store.check_schema().await?;
        Ok(PostgresDrillLog::new(&store))
    })
    .await
}

pub(super) async fn within_budget<T>(connect: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::new(ErrorKind::Timeout, "connect").context("database", "no answer in time");
    tokio::time::timeout(CONNECT_BUDGET, connect)
        .await
        .map_err(late)?
}
