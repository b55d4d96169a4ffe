//! Who may write to what: values only.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Something that write privileges are granted on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Database,
    Schema(String),
    Sequence(String, String),
    /// A table, partitioned table, partition, view, materialized view or foreign table.
    Table(String, String),
}

impl Object {
    /// The privileges that let a role change data, or make something that it could change.
    pub(super) fn write_privileges(&self) -> &'static [&'static str] {
        match self {
            Self::Database | Self::Schema(_) => &["CREATE"],
            Self::Sequence(..) => &["UPDATE", "USAGE"],
            Self::Table(..) => &["DELETE", "INSERT", "TRUNCATE", "UPDATE"],
        }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Database => "the database".to_owned(),
            Self::Schema(schema) => format!("schema {schema}"),
            Self::Sequence(schema, name) => format!("sequence {schema}.{name}"),
            Self::Table(schema, name) => format!("table {schema}.{name}"),
        }
    }
}

/// One privilege of one grantee, from one grantor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    /// The role; `None`: everybody (`PUBLIC`).
    pub(super) to: Option<String>,
    pub(super) privilege: String,
    /// `None`: the whole object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) column: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) grantable: bool,
    /// Who granted it; `None`: the owner of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
}

impl Grant {
    /// Whether this grant lets its grantee pass on `other`.
    pub(super) fn backs(&self, other: &Self) -> bool {
        other.by.is_some()
            && self.to == other.by
            && self.grantable
            && self.privilege == other.privilege
            && (self.column.is_none() || self.column == other.column)
    }
}

/// The write privileges that are in force on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) owner: String,
    /// Whether the connected role has the owner's rights.
    pub(super) controlled: bool,
    pub(super) grants: BTreeSet<Grant>,
}

impl Access {
    /// What the owner of a new object holds.
    pub(super) fn defaults(&self, object: &Object) -> BTreeSet<Grant> {
        object
            .write_privileges()
            .iter()
            .map(|privilege| Grant {
                to: Some(self.owner.clone()),
                privilege: (*privilege).to_owned(),
                column: None,
                grantable: false,
                by: None,
            })
            .collect()
    }
}

/// The write privileges on every covered object.
pub(super) type AccessMap = BTreeMap<Object, Access>;

/// How the write privileges on one object differ from those on a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deviation {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) owner_lacks: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) grants: BTreeSet<Grant>,
}

impl Deviation {
    fn of(object: &Object, access: &Access) -> Self {
        let defaults = access.defaults(object);
        Self {
            owner_lacks: defaults
                .difference(&access.grants)
                .map(|grant| grant.privilege.clone())
                .collect(),
            grants: access.grants.difference(&defaults).cloned().collect(),
        }
    }

    fn is_none(&self) -> bool {
        self.owner_lacks.is_empty() && self.grants.is_empty()
    }

    /// The grants that this stands for, on an object as it is now.
    pub(super) fn grants_on(&self, object: &Object, access: &Access) -> BTreeSet<Grant> {
        let mut grants = access.defaults(object);
        grants.retain(|grant| !self.owner_lacks.contains(&grant.privilege));
        grants.extend(self.grants.iter().cloned());
        grants
    }

    fn names_foreign_privileges(&self, object: &Object) -> bool {
        let known = object.write_privileges();
        self.owner_lacks
            .iter()
            .chain(self.grants.iter().map(|grant| &grant.privilege))
            .any(|privilege| !known.contains(&privilege.as_str()))
    }
}

/// The write privileges of a database as a snapshot holds them: only where they are not those of a new object.
///
/// A table that somebody adds by hand with nothing granted on it is therefore no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Privileges {
    #[serde(default)]
    database: Deviation,
    #[serde(default)]
    schemas: BTreeMap<String, Deviation>,
    #[serde(default)]
    sequences: BTreeMap<String, BTreeMap<String, Deviation>>,
    #[serde(default)]
    tables: BTreeMap<String, BTreeMap<String, Deviation>>,
}

impl Privileges {
    pub(super) fn of(map: &AccessMap) -> Self {
        let mut privileges = Self::default();
        for (object, access) in map {
            let deviation = Deviation::of(object, access);
            if !deviation.is_none() {
                privileges.insert(object, deviation);
            }
        }
        privileges
    }

    fn insert(&mut self, object: &Object, deviation: Deviation) {
        match object {
            Object::Database => self.database = deviation,
            Object::Schema(schema) => {
                self.schemas.insert(schema.clone(), deviation);
            }
            Object::Sequence(schema, name) => {
                let within = self.sequences.entry(schema.clone()).or_default();
                within.insert(name.clone(), deviation);
            }
            Object::Table(schema, name) => {
                let within = self.tables.entry(schema.clone()).or_default();
                within.insert(name.clone(), deviation);
            }
        }
    }

    /// By object. Refuses a privilege that is not one of ours: it would become part of a statement.
    pub(super) fn into_objects(self) -> Option<BTreeMap<Object, Deviation>> {
        let mut objects = BTreeMap::from([(Object::Database, self.database)]);
        objects.extend(
            self.schemas
                .into_iter()
                .map(|(schema, deviation)| (Object::Schema(schema), deviation)),
        );
        for (schema, within) in self.sequences {
            objects.extend(
                within
                    .into_iter()
                    .map(|(name, deviation)| (Object::Sequence(schema.clone(), name), deviation)),
            );
        }
        for (schema, within) in self.tables {
            objects.extend(
                within
                    .into_iter()
                    .map(|(name, deviation)| (Object::Table(schema.clone(), name), deviation)),
            );
        }
        let foreign = objects
            .iter()
            .any(|(object, deviation)| deviation.names_foreign_privileges(object));
        (!foreign).then_some(objects)
    }
}

/// A role, as far as it matters for who can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) superuser: bool,
    pub(super) can_log_in: bool,
    /// Named as exempt: it goes on writing.
    pub(super) exempt: bool,
    /// Whether the connected role may become it.
    pub(super) assumable: bool,
    /// Whether some role that is neither superuser nor exempt has its privileges.
    pub(super) shared: bool,
}

/// All roles of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Roles(pub(super) Vec<Role>);

impl Roles {
    pub(super) fn get(&self, name: &str) -> Option<&Role> {
        self.0.iter().find(|role| role.name == name)
    }

    /// Whether read-only mode must take a write privilege from this grantee: `None` is everybody.
    pub(super) fn is_covered(&self, grantee: Option<&str>) -> bool {
        let Some(name) = grantee else { return true };
        // A superuser needs no privilege, but roles that are members of one write through what it holds.
        self.get(name)
            .is_none_or(|role| !role.exempt && (!role.superuser || role.shared))
    }

    pub(super) fn may_become(&self, name: &str) -> bool {
        self.get(name).is_some_and(|role| role.assumable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(to: &str, privilege: &str) -> Grant {
        Grant {
            to: Some(to.to_owned()),
            privilege: privilege.to_owned(),
            column: None,
            grantable: false,
            by: None,
        }
    }

    fn table(grants: &[Grant]) -> (Object, Access) {
        let access = Access {
            owner: "owner".to_owned(),
            controlled: true,
            grants: grants.iter().cloned().collect(),
        };
        (Object::Table("public".to_owned(), "t".to_owned()), access)
    }

    #[test]
    fn a_new_table_is_no_deviation_and_every_other_set_of_grants_comes_back() {
        let all = ["DELETE", "INSERT", "TRUNCATE", "UPDATE"].map(|privilege| grant("owner", privilege));
        let (object, access) = table(&all);
        assert_eq!(
            Privileges::of(&AccessMap::from([(object, access)])),
            Privileges::default()
        );

        let grantable = Grant {
            grantable: true,
            ..grant("owner", "INSERT")
        };
        for grants in [
            vec![],
            vec![grant("owner", "INSERT"), grant("app", "INSERT")],
            vec![grantable],
        ] {
            let (object, access) = table(&grants);
            let map = AccessMap::from([(object.clone(), access.clone())]);
            let text = serde_json::to_string(&Privileges::of(&map)).unwrap();
            let privileges: Privileges = serde_json::from_str(&text).unwrap();
            let objects = privileges.into_objects().unwrap();
            assert_eq!(objects[&object].grants_on(&object, &access), access.grants);
        }
    }

    #[test]
    fn a_snapshot_cannot_carry_a_statement() {
        let text = r#"{"tables": {"public": {"t": {"grants": [{"to": "app", "privilege": "ALL ON t TO x; DROP"}]}}}}"#;
        let privileges: Privileges = serde_json::from_str(text).unwrap();
        assert!(privileges.into_objects().is_none());
    }
}
