use ops_core::error::Result;
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::error::{failed, migration_failed};
use crate::store::{LATEST, MIGRATE, migrator, other_schema, version};

/// How the schema `ops` of a database stands to the one that this program expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must decide on each")]
pub enum SchemaState {
    /// It is that one.
    Current,
    /// There is none.
    Missing,
    /// An earlier version of this program made it: this one.
    Older(i64),
    /// A later version of this program made it: this one.
    Newer(i64),
}

impl SchemaState {
    fn of(version: Option<i64>) -> Self {
        match version {
            None => Self::Missing,
            Some(LATEST) => Self::Current,
            Some(older) if older < LATEST => Self::Older(older),
            Some(newer) => Self::Newer(newer),
        }
    }

    /// Its version; `None` where there is none.
    pub fn version(self) -> Option<i64> {
        match self {
            Self::Current => Some(LATEST),
            Self::Missing => None,
            Self::Older(version) | Self::Newer(version) => Some(version),
        }
    }

    /// Whether it is the one that is expected.
    ///
    /// # Errors
    /// `InvalidConfig` with the version that was expected, the one that was found, and the remedy.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Current => Ok(()),
            other => Err(other_schema("check schema ops", other.version())),
        }
    }
}

/// What bringing the schema up to date has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaUpgrade {
    /// The version that was there; `None`: there was no schema.
    pub from: Option<i64>,
    /// The version that is there now.
    pub to: i64,
}

impl SchemaUpgrade {
    /// Whether this call changed something. Of many that run at once, it is so for one.
    pub fn changed(self) -> bool {
        self.from != Some(self.to)
    }
}

/// Our schema, and which version of it is there.
impl PostgresStore {
    /// How the schema `ops` stands. Reads, and changes nothing.
    ///
    /// # Errors
    /// `PermissionDenied` where the role may not read `ops.schema_migration`; `Unavailable`, `Timeout`.
    pub async fn schema_state(&self) -> Result<SchemaState> {
        let mut connection = self.pool().acquire().await.map_err(failed(READ))?;
        Ok(SchemaState::of(version(&mut connection).await?))
    }

    /// Makes or updates the schema `ops`, as [`migrate`](Self::migrate), and tells what it did. Does nothing when it is up to date, also while the database is
    /// read-only. Processes that do it at once wait for each other, three seconds at most.
    ///
    /// # Errors
    /// `PermissionDenied` unless the role may create a schema (or owns `ops`); `InvalidConfig` when the schema is newer than this program or its history was
    /// changed; `Timeout` when another process is at it for too long: try again.
    ///
    /// # Cancellation
    /// Versions that were reached stay; calling it again goes on from there.
    pub async fn upgrade(&self) -> Result<SchemaUpgrade> {
        let found = self.schema_state().await?;
        if let SchemaState::Current | SchemaState::Newer(_) = found {
            return unchanged(found);
        }
        // A session of its own: the lock ends with it, whatever becomes of this call.
        let mut alone = self.pool().acquire().await.map_err(failed(MIGRATE))?.detach();
        let upgraded = upgrade_alone(&mut alone).await;
        let _ = sqlx::Connection::close(alone).await;
        upgraded
    }
}

/// One process at a time: what it says it found is what nobody else changes meanwhile.
async fn upgrade_alone(connection: &mut PgConnection) -> Result<SchemaUpgrade> {
    sqlx::query("select pg_advisory_lock($1)")
        .bind(ONE_AT_A_TIME)
        .execute(&mut *connection)
        .await
        .map_err(failed(MIGRATE))?;
    let found = SchemaState::of(version(connection).await?);
    if let SchemaState::Current | SchemaState::Newer(_) = found {
        return unchanged(found);
    }
    migrator()
        .run_direct(None, connection, false)
        .await
        .map_err(migration_failed(MIGRATE))?;
    Ok(SchemaUpgrade {
        from: found.version(),
        to: LATEST,
    })
}

fn unchanged(found: SchemaState) -> Result<SchemaUpgrade> {
    match found {
        SchemaState::Newer(version) => Err(other_schema(MIGRATE, Some(version))),
        found => Ok(SchemaUpgrade {
            from: found.version(),
            to: LATEST,
        }),
    }
}

const READ: &str = "read schema version";
/// Another key than the driver's own: that one is taken under this one.
const ONE_AT_A_TIME: i64 = 0x6f70_7363_746c_0001;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_schema_that_is_expected_passes_and_the_others_are_told_apart() {
        for (version, state) in [
            (None, SchemaState::Missing),
            (Some(LATEST - 1), SchemaState::Older(LATEST - 1)),
            (Some(LATEST), SchemaState::Current),
            (Some(LATEST + 1), SchemaState::Newer(LATEST + 1)),
        ] {
            assert_eq!(SchemaState::of(version), state);
            assert_eq!(state.version(), version);
            assert_eq!(state.check().is_ok(), state == SchemaState::Current);
        }
        let text = SchemaState::Missing.check().unwrap_err().to_string();
        assert!(text.contains("opsctl db migrate"), "{text}");
        let text = SchemaState::Newer(LATEST + 1).check().unwrap_err().to_string();
        assert!(
            text.contains("newer version") && !text.contains("db migrate"),
            "{text}"
        );
    }
}
