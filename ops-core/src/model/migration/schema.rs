use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The part of a database's catalogue that decides what a migration costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Schema {
    /// The major version of the server: 15. Zero: there is no server at hand.
    pub server: u32,
    /// The time zone of the session that will migrate. It decides whether `timestamp` to `timestamptz` writes every row.
    pub time_zone: String,
    /// Where names without a schema are looked for.
    pub search_path: Vec<String>,
    /// By schema and name: `public.orders`.
    pub relations: BTreeMap<String, Relation>,
    /// By schema and name.
    pub domains: BTreeMap<String, Domain>,
    /// Names, without schema, of functions whose result changes within a statement.
    pub volatile_functions: BTreeSet<String>,
}

/// A table, view, or materialised view.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Relation {
    /// What it is.
    pub kind: RelationKind,
    /// How many rows the planner believes in; `None`: it was never counted.
    pub rows: Option<u64>,
    /// Table, indexes and what is stored beside it, in bytes.
    pub bytes: u64,
    /// In their order.
    pub columns: Vec<Column>,
    /// Also those that are not validated.
    pub constraints: Vec<Constraint>,
    /// Also those that are invalid.
    pub indexes: Vec<Index>,
    /// What it is a partition of, or inherits from.
    pub parents: Vec<String>,
    /// For a partitioned table: the partition for everything else.
    pub default_partition: Option<String>,
    /// Extended statistics on it: schema and name.
    pub statistics: Vec<String>,
    /// For a view: what it reads.
    pub reads: Vec<String>,
}

/// What sort of relation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RelationKind {
    /// A table with rows of its own.
    #[default]
    Table,
    /// A table whose rows are in partitions.
    Partitioned,
    /// A stored query.
    View,
    /// A stored query with its rows.
    MaterializedView,
    /// A table elsewhere.
    Foreign,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Column {
    /// Its name.
    pub name: String,
    /// As the server writes it: `character varying(20)`.
    pub data_type: String,
    /// A collation other than that of the type.
    pub collation: Option<String>,
    /// Whether it refuses null.
    pub not_null: bool,
    /// Whether it has a value when an insert names none (default, identity, generated).
    pub has_default: bool,
}

/// What a constraint demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are the server's")]
pub enum ConstraintKind {
    #[default]
    Check,
    NotNull,
    Unique,
    PrimaryKey,
    ForeignKey,
    Exclude,
}

/// A constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// What it demands.
    pub kind: ConstraintKind,
    /// The columns it is about.
    pub columns: Vec<String>,
    /// Whether every row is known to fulfil it.
    pub validated: bool,
    /// As the server writes it: `CHECK ((a > 0))`.
    pub definition: String,
    /// For a foreign key: the other table.
    pub references: Option<String>,
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Index {
    /// Schema and name.
    pub name: String,
    /// False: left over by a `CREATE INDEX CONCURRENTLY` that failed. It costs writes and serves no query.
    pub valid: bool,
    /// The columns; what is computed is an empty name.
    pub columns: Vec<String>,
    /// Whether it has an expression or a condition.
    pub computed: bool,
    /// Every column that it depends on, those of expressions and condition too.
    pub uses: Vec<String>,
    /// Whether a constraint is built on it.
    pub of_constraint: bool,
}

/// A domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Domain {
    /// The type it is made of.
    pub base: String,
    /// Whether it refuses some values.
    pub checked: bool,
}

impl Schema {
    /// The full name of `parts` (name, or schema and name): where it is found in the search path, else in its first schema.
    pub fn resolve(&self, parts: &[String]) -> String {
        match parts {
            [schema, name] => format!("{schema}.{name}"),
            [name] => {
                let path = self.search_path.iter().map(String::as_str);
                let mut full = path.chain(["public"]).map(|schema| format!("{schema}.{name}"));
                let first = full.clone().next().unwrap_or_default();
                full.find(|full| self.relations.contains_key(full) || self.domains.contains_key(full))
                    .unwrap_or(first)
            }
            _ => parts.join("."),
        }
    }

    /// Partitions and inheriting tables, theirs too.
    pub fn descendants(&self, relation: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![relation.to_owned()];
        while let Some(parent) = open.pop() {
            for (name, child) in &self.relations {
                if child.parents.contains(&parent) && !found.contains(name) {
                    found.push(name.clone());
                    open.push(name.clone());
                }
            }
        }
        found
    }

    /// The relation that `index` (its full name) is on.
    pub fn index_owner(&self, index: &str) -> Option<(&String, &Index)> {
        self.relations.iter().find_map(|(name, relation)| {
            let found = relation.indexes.iter().find(|found| found.name == index)?;
            Some((name, found))
        })
    }
}

impl Relation {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether it is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        self.rows == Some(0)
    }

    /// A constraint that every row fulfils and that refuses null in `column`.
    pub fn proves_not_null(&self, column: &str) -> bool {
        let plain = format!("CHECK (({column} IS NOT NULL))");
        let quoted = format!("CHECK ((\"{column}\" IS NOT NULL))");
        self.constraints
            .iter()
            .any(|found| found.validated && (found.definition == plain || found.definition == quoted))
    }
}
