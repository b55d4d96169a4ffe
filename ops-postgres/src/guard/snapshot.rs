use std::collections::BTreeMap;

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Snapshot, TargetId};
use serde::de::DeserializeOwned;

use super::access::{AccessMap, Deviation, Object, Privileges};
use super::settings::Settings;
use crate::error::error;

/// What a restore writes back.
#[derive(Debug)]
pub(super) struct Prior {
    pub(super) database: Option<String>,
    pub(super) roles: BTreeMap<String, Option<String>>,
    /// Of covered roles; none in what versions before this field wrote, which changed nothing there.
    pub(super) own: BTreeMap<String, Option<String>>,
    pub(super) privileges: BTreeMap<Object, Deviation>,
}

impl Prior {
    pub(super) fn read(snapshot: &Snapshot, operation: &'static str) -> Result<Self> {
        if snapshot.format() != FORMAT {
            return Err(refused(operation, "format"));
        }
        let privileges: Privileges = field(snapshot, PRIVILEGES, operation)?;
        Ok(Self {
            database: field(snapshot, DATABASE, operation)?,
            roles: field(snapshot, ROLES, operation)?,
            own: match snapshot.field(OWN) {
                None => BTreeMap::new(),
                Some(_) => field(snapshot, OWN, operation)?,
            },
            privileges: privileges
                .into_objects()
                .ok_or_else(|| refused(operation, PRIVILEGES))?,
        })
    }

    /// Schema and name of the tables with privileges on single columns.
    pub(super) fn tables_with_columns(&self) -> Vec<(String, String)> {
        let has_columns = |deviation: &Deviation| deviation.grants.iter().any(|grant| grant.column.is_some());
        self.privileges
            .iter()
            .filter(|(_, deviation)| has_columns(deviation))
            .filter_map(|(object, _)| match object {
                Object::Table(schema, name) => Some((schema.clone(), name.clone())),
                _ => None,
            })
            .collect()
    }
}

/// The snapshot of what was read.
pub(super) fn take(
    target: &TargetId,
    settings: &Settings,
    access: &AccessMap,
    operation: &'static str,
) -> Result<Snapshot> {
    let json = |value: serde_json::Result<serde_json::Value>| {
        value.map_err(|cause| error(ErrorKind::Unexpected, operation).source(cause))
    };
    let privileges = json(serde_json::to_value(Privileges::of(access)))?;
    let roles = json(serde_json::to_value(&settings.roles))?;
    let snapshot = Snapshot::new(target.clone(), FORMAT)
        .with_field(DATABASE, settings.database.clone())
        .with_field(ROLES, roles)
        .with_field(PRIVILEGES, privileges);
    if settings.own.is_empty() {
        return Ok(snapshot);
    }
    let own: BTreeMap<_, _> = settings.own.iter().map(|(role, own)| (role, &own.here)).collect();
    Ok(snapshot.with_field(OWN, json(serde_json::to_value(own))?))
}

fn field<T: DeserializeOwned>(snapshot: &Snapshot, name: &'static str, operation: &'static str) -> Result<T> {
    let value = snapshot.field(name).ok_or_else(|| refused(operation, name))?;
    serde_json::from_value(value.clone()).map_err(|_| refused(operation, name))
}

fn refused(operation: &'static str, field: &'static str) -> Error {
    error(ErrorKind::InvalidInput, operation).context("unreadable in the snapshot", field)
}

const FORMAT: &str = "postgres-read-only/1";
const DATABASE: &str = "default_transaction_read_only";
const ROLES: &str = "default_transaction_read_only_of_exempt_roles";
/// Left out when no covered role has a setting of its own: no strength changes anything there then.
const OWN: &str = "default_transaction_read_only_of_covered_roles";
const PRIVILEGES: &str = "privileges";
