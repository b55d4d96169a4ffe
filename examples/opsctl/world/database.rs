use std::sync::Arc;

use ops_core::actions::MakeReadOnly;
use ops_core::error::{Error, ErrorKind};
use ops_core::model::{Observation, ReadOnlyStrength, TargetId};
use ops_core::ports::{Action, DatabaseGuard};
use ops_postgres::{PostgresLoad, PostgresTimeouts};

use super::World;
use crate::exit::Failure;

/// The procedure behind `opsctl db read-only`; there whenever a database is configured.
pub(crate) const DATABASE_PROCEDURE: &str = "database-read-only";

/// The procedure behind `opsctl db timeouts`; there whenever PostgreSQL is reached.
pub(crate) const TIMEOUTS_PROCEDURE: &str = "database-timeouts";

/// A database to make read-only, and what it is called.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    guards: [Arc<dyn DatabaseGuard>; 3],
    pub(crate) target: TargetId,
    /// What weighs on it, where it is a PostgreSQL that answers.
    load: Option<PostgresLoad>,
    timeouts: Option<PostgresTimeouts>,
}

impl Database {
    /// With the guard that `guard` makes for each strength.
    pub(crate) fn new(target: TargetId, guard: impl Fn(ReadOnlyStrength) -> Arc<dyn DatabaseGuard>) -> Self {
        Self {
            guards: ReadOnlyStrength::ALL.map(guard),
            target,
            load: None,
            timeouts: None,
        }
    }

    pub(crate) fn with_load(mut self, load: PostgresLoad, timeouts: PostgresTimeouts) -> Self {
        self.load = Some(load);
        self.timeouts = Some(timeouts);
        self
    }

    fn guard(&self, strength: ReadOnlyStrength) -> Arc<dyn DatabaseGuard> {
        let [brake, strict, wall] = &self.guards;
        Arc::clone(match strength {
            ReadOnlyStrength::Brake => brake,
            ReadOnlyStrength::Strict => strict,
            ReadOnlyStrength::Wall => wall,
        })
    }
}

/// The procedure behind `opsctl db read-only on --strength …`; journals keep the name, so that whoever takes the run up knows.
pub(crate) fn database_procedure(strength: Option<ReadOnlyStrength>) -> String {
    strength.map_or_else(
        || DATABASE_PROCEDURE.to_owned(),
        |strength| format!("{DATABASE_PROCEDURE}:{strength}"),
    )
}

impl World {
    fn database(&self) -> Result<&Database, Failure> {
        self.database.as_ref().ok_or_else(|| {
            Failure::usage(
                "no database is configured",
                "add [database] with url_env to ops.toml",
            )
        })
    }

    /// `None`: as `[database]` says.
    pub(super) fn read_only(&self, strength: Option<ReadOnlyStrength>) -> Result<Arc<dyn Action>, Failure> {
        let database = self.database()?;
        let guard = database.guard(strength.unwrap_or_else(|| self.strength()));
        Ok(Arc::new(MakeReadOnly::new(guard, database.target.clone())))
    }

    fn strength(&self) -> ReadOnlyStrength {
        let database = self.config.database.as_ref();
        database.map(|database| database.strength).unwrap_or_default()
    }

    pub(crate) fn load(&self) -> Result<&PostgresLoad, Failure> {
        self.database()?.load.as_ref().ok_or_else(no_answer)
    }

    pub(super) fn timeouts(&self) -> Result<PostgresTimeouts, Failure> {
        self.database()?.timeouts.clone().ok_or_else(no_answer)
    }

    pub(crate) fn timeouts_target(&self) -> Result<TargetId, Failure> {
        Ok(self.timeouts()?.target().clone())
    }

    pub(crate) fn database_target(&self) -> Result<TargetId, Failure> {
        Ok(self.database()?.target.clone())
    }

    pub(crate) async fn observe_database(&self) -> Result<Observation, Failure> {
        let database = self.database()?;
        Ok(database.guard(self.strength()).observe(&database.target).await?)
    }
}

fn no_answer() -> Failure {
    let error = Error::new(ErrorKind::Unavailable, "reach the database");
    Failure::Failed(error.context(
        "remedy",
        "see the warning above; this verb needs PostgreSQL itself",
    ))
}

/// The name of a procedure, and the strength that follows it behind a colon.
pub(super) fn parted(name: &str) -> Result<(&str, Option<ReadOnlyStrength>), Failure> {
    let Some((base, strength)) = name
        .split_once(':')
        .filter(|(base, _)| *base == DATABASE_PROCEDURE)
    else {
        return Ok((name, None));
    };
    let strength = strength.parse().map_err(|_| {
        Failure::usage(
            format!("there is no strength {strength}"),
            "use brake, strict or wall",
        )
    })?;
    Ok((base, Some(strength)))
}
