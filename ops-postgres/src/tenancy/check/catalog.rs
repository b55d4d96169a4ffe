use std::collections::BTreeMap;

use ops_core::error::Result;
use ops_core::model::{TableName, TenantLayout};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};

use super::CHECK;
use crate::error::failed;

/// What the catalogue says about the tables of an application.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) version: i32,
    pub(crate) relations: BTreeMap<i64, Relation>,
    pub(crate) keys: Vec<Key>,
    pub(crate) references: Vec<Reference>,
    pub(crate) functions: Vec<Function>,
    pub(crate) roles: Vec<Role>,
    /// What was not looked at.
    pub(crate) unchecked: Vec<Unchecked>,
}

/// A schema that the layout does not name, or a table that it cannot name.
#[derive(Debug)]
pub(crate) struct Unchecked {
    /// `schema s` or `table s.t`.
    pub(crate) subject: String,
    /// Whether the application may touch it. If not, it has the tenant's column.
    pub(crate) touched: bool,
    /// The tables whose rows it holds, too: the root of its partitions, and those that it inherits from.
    pub(crate) part_of: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelationKind {
    Table,
    Partitioned,
    View,
    MaterializedView,
    Foreign,
}

#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) oid: i64,
    pub(crate) name: TableName,
    pub(crate) kind: RelationKind,
    pub(crate) is_partition: bool,
    /// The root of its partitions, or itself.
    pub(crate) root: i64,
    /// The tables that it inherits from, near and far; not those of which it is a partition.
    pub(crate) inherits: Vec<i64>,
    pub(crate) enabled: bool,
    pub(crate) forced: bool,
    pub(crate) column: Option<Column>,
    pub(crate) invoker: bool,
    /// Whether it can be read: not so a materialized view without data.
    pub(crate) populated: bool,
    pub(crate) owner: String,
    pub(crate) owner_bypasses: bool,
    /// For a view: whether it reads a table of this catalogue that has the tenant.
    pub(crate) reads_tenants: bool,
    pub(crate) policies: Vec<Policy>,
    /// Roles of the application with any right on it.
    pub(crate) granted: Vec<String>,
    pub(crate) truncatable_by: Vec<String>,
    pub(crate) ownable_by: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) not_null: bool,
}

#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) command: char,
    pub(crate) permissive: bool,
    /// Whether it is for everybody.
    pub(crate) for_all: bool,
    /// Whether it is for a role of the application, or for one that such a role is a member of.
    pub(crate) for_app: bool,
    pub(crate) using: Option<String>,
    pub(crate) check: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) relation: i64,
    pub(crate) name: String,
    /// `None`: an expression.
    pub(crate) first: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) name: String,
    pub(crate) from_columns: Vec<String>,
    pub(crate) to_columns: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) owner_bypasses: bool,
    pub(crate) callable: bool,
}

#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) exists: bool,
    /// Roles without row security that it is or may become.
    pub(crate) bypassing: Vec<String>,
}

impl Catalog {
    pub(crate) async fn read(connection: &mut PgConnection, layout: &TenantLayout) -> Result<Self> {
        let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(CHECK))?;
        let (tables, columns): (Vec<String>, Vec<String>) = layout
            .columns
            .iter()
            .map(|(table, column)| (table.to_string(), column.clone()))
            .unzip();
        let rows: Vec<PgRow> = sqlx::query(RELATIONS)
            .bind(&layout.schemas)
            .bind(&layout.column)
            .bind(&tables)
            .bind(&columns)
            .bind(&layout.app_roles)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed(CHECK))?;
        let mut relations = BTreeMap::new();
        let mut unchecked = Vec::new();
        for row in &rows {
            let (schema, name): (String, String) = (get(row, "schema")?, get(row, "name")?);
            let Ok(table) = TableName::new(&schema, &name) else {
                let mut part_of: Vec<i64> = get(row, "inherits")?;
                part_of.push(get(row, "root")?);
                unchecked.push(Unchecked {
                    subject: format!("table {schema}.{name}"),
                    touched: true,
                    part_of,
                });
                continue;
            };
            let relation = Relation::read(table, row)?;
            relations.insert(relation.oid, relation);
        }
        let oids: Vec<i64> = relations.keys().copied().collect();
        let policies = sqlx::query(POLICIES)
            .bind(&oids)
            .bind(&layout.app_roles)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed(CHECK))?;
        for row in policies {
            let oid: i64 = get(&row, "relation")?;
            if let Some(relation) = relations.get_mut(&oid) {
                relation.policies.push(Policy::read(&row)?);
            }
        }
        for row in fetch(connection, VIEWED, &oids).await? {
            let (view, read): (i64, i64) = (get(&row, "view")?, get(&row, "read")?);
            let reads = relations.get(&read).is_some_and(|read| read.column.is_some());
            if let Some(view) = relations.get_mut(&view) {
                view.reads_tenants |= reads;
            }
        }
        let mut keys = Vec::new();
        for row in fetch(connection, KEYS, &oids).await? {
            keys.push(Key {
                relation: get(&row, "relation")?,
                name: get(&row, "name")?,
                first: get(&row, "first")?,
            });
        }
        let mut references = Vec::new();
        for row in fetch(connection, REFERENCES, &oids).await? {
            references.push(Reference {
                from: get(&row, "from_table")?,
                to: get(&row, "to_table")?,
                name: get(&row, "name")?,
                from_columns: get(&row, "from_columns")?,
                to_columns: get(&row, "to_columns")?,
            });
        }
        let functions: Vec<Function> = sqlx::query_as(FUNCTIONS)
            .bind(&layout.app_roles)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed(CHECK))?;
        let roles: Vec<Role> = sqlx::query_as(ROLES)
            .bind(&layout.app_roles)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed(CHECK))?;
        let schemas: Vec<(String, bool)> = sqlx::query_as(UNCHECKED)
            .bind(&layout.schemas)
            .bind(&layout.app_roles)
            .bind(&layout.column)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed(CHECK))?;
        unchecked.extend(schemas.into_iter().map(|(schema, touched)| Unchecked {
            subject: format!("schema {schema}"),
            touched,
            part_of: Vec::new(),
        }));
        Ok(Self {
            version,
            relations,
            keys,
            references,
            functions,
            roles,
            unchecked,
        })
    }

    /// What is not listed as global.
    pub(crate) fn of_tenants(&self, layout: &TenantLayout) -> impl Iterator<Item = &Relation> {
        let relations = self.relations.values();
        relations.filter(move |relation| !self.is_global(layout, relation))
    }

    /// The tables and partitions in which rows are stored and that are not listed as global.
    pub(crate) fn stored(&self, layout: &TenantLayout) -> impl Iterator<Item = &Relation> {
        self.of_tenants(layout)
            .filter(|table| table.kind == RelationKind::Table)
    }

    /// Whether the table, or the root of its partitions, is listed as global. One that inherits from such a table is global too, unless it
    /// says itself whose its rows are.
    pub(crate) fn is_global(&self, layout: &TenantLayout, relation: &Relation) -> bool {
        let listed = |oid: &i64| {
            let table = self.relations.get(oid);
            table.is_some_and(|table| layout.global.contains_key(&table.name))
        };
        listed(&relation.root)
            || listed(&relation.oid)
            || (relation.column.is_none() && relation.inherits.iter().any(listed))
    }

    /// Where the rows of the table with this oid are stored: in itself, or in its partitions.
    pub(crate) fn leaves(&self, root: i64) -> impl Iterator<Item = &Relation> {
        let stored = self
            .relations
            .values()
            .filter(|table| table.kind == RelationKind::Table);
        stored.filter(move |table| table.root == root || table.oid == root)
    }

    /// Whether rows of the partitioned table with this oid can be stored anywhere.
    pub(crate) fn has_partitions(&self, root: i64) -> bool {
        self.relations
            .values()
            .any(|part| part.root == root && part.kind != RelationKind::Partitioned)
    }

    /// What of the table with this oid is stored somewhere else: it, or a partition.
    pub(crate) fn foreign_part(&self, root: i64) -> Option<&Relation> {
        self.relations
            .values()
            .find(|part| part.root == root && part.kind == RelationKind::Foreign)
    }

    /// As [`leaves`](Self::leaves); a table that has no partition yet stands for itself, so that it is seen to be empty.
    pub(crate) fn where_rows_are(&self, root: i64) -> impl Iterator<Item = &Relation> {
        let empty = self.relations.get(&root).filter(|_| !self.has_partitions(root));
        let empty = empty.filter(|table| table.kind == RelationKind::Partitioned);
        self.leaves(root).chain(empty)
    }

    /// The table of this name.
    pub(crate) fn named(&self, name: &TableName) -> Option<&Relation> {
        self.relations
            .values()
            .find(|table| table.is_table() && table.name == *name)
    }
}

impl Relation {
    fn read(name: TableName, row: &PgRow) -> Result<Self> {
        let kind: String = get(row, "kind")?;
        let column: Option<String> = get(row, "column_name")?;
        let column_type: Option<String> = get(row, "column_type")?;
        Ok(Self {
            oid: get(row, "oid")?,
            name,
            kind: match kind.as_str() {
                "p" => RelationKind::Partitioned,
                "v" => RelationKind::View,
                "m" => RelationKind::MaterializedView,
                "f" => RelationKind::Foreign,
                _ => RelationKind::Table,
            },
            is_partition: get(row, "is_partition")?,
            root: get(row, "root")?,
            inherits: get(row, "inherits")?,
            enabled: get(row, "enabled")?,
            forced: get(row, "forced")?,
            column: column.zip(column_type).map(|(name, kind)| {
                let not_null = row.try_get("column_not_null").unwrap_or(false);
                Column { name, kind, not_null }
            }),
            invoker: get(row, "invoker")?,
            populated: get(row, "populated")?,
            owner: get(row, "owner")?,
            owner_bypasses: get(row, "owner_bypasses")?,
            reads_tenants: false,
            policies: Vec::new(),
            granted: get(row, "granted")?,
            truncatable_by: get(row, "truncatable_by")?,
            ownable_by: get(row, "ownable_by")?,
        })
    }

    /// Whether rows are stored in it, in itself or in its partitions.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.kind, RelationKind::Table | RelationKind::Partitioned)
    }
}

impl Policy {
    fn read(row: &PgRow) -> Result<Self> {
        let command: String = get(row, "command")?;
        Ok(Self {
            name: get(row, "name")?,
            command: command.chars().next().unwrap_or('*'),
            permissive: get(row, "permissive")?,
            for_all: get(row, "for_all")?,
            for_app: get(row, "for_app")?,
            using: get(row, "using_text")?,
            check: get(row, "check_text")?,
        })
    }
}

impl FromRow<'_, PgRow> for Function {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            name: row.try_get("name")?,
            owner: row.try_get("owner")?,
            owner_bypasses: row.try_get("owner_bypasses")?,
            callable: row.try_get("callable")?,
        })
    }
}

impl FromRow<'_, PgRow> for Role {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            name: row.try_get("name")?,
            exists: row.try_get("is_there")?,
            bypassing: row.try_get("bypassing")?,
        })
    }
}

async fn fetch(connection: &mut PgConnection, statement: &'static str, oids: &[i64]) -> Result<Vec<PgRow>> {
    sqlx::query(statement)
        .bind(oids)
        .fetch_all(connection)
        .await
        .map_err(failed(CHECK))
}

fn get<'r, T>(row: &'r PgRow, column: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(failed(CHECK))
}

// A partition belongs to its table, and what inherits to what it inherits from, whatever schema it is in.
const RELATIONS: &str = "
    select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
           c.relispartition as is_partition,
           root.oid::bigint as root, up.oids as inherits, c.relispopulated as populated, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
           a.attname::text as column_name, format_type(a.atttypid, null)::text as column_type, a.attnotnull as column_not_null,
           coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'], false) as invoker,
           o.rolname::text as owner, o.rolsuper or o.rolbypassrls as owner_bypasses,
           array(select r.rolname::text from pg_roles r where r.rolname = any($5)
                 and (has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate')
                      or has_any_column_privilege(r.oid, c.oid, 'select, insert, update'))) as granted,
           array(select r.rolname::text from pg_roles r where r.rolname = any($5) and not r.rolsuper
                 and has_table_privilege(r.oid, c.oid, 'truncate')) as truncatable_by,
           array(select r.rolname::text from pg_roles r where r.rolname = any($5) and not r.rolsuper
                 and pg_has_role(r.oid, c.relowner, 'member')) as ownable_by
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_roles o on o.oid = c.relowner
    join pg_class root on root.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid)
    join pg_namespace rn on rn.oid = root.relnamespace
    cross join lateral (select array(
        with recursive up as (select i.inhparent from pg_inherits i where i.inhrelid = c.oid and not c.relispartition
            union select i.inhparent from up join pg_inherits i on i.inhrelid = up.inhparent)
        select inhparent::bigint from up order by 1) as oids) up
    left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and a.attname = coalesce((select l.col from unnest($3::text[], $4::text[]) as l(tab, col)
            where l.tab = rn.nspname || '.' || root.relname),
            (select l.col from unnest($3::text[], $4::text[]) as l(tab, col) join pg_namespace pn on true
                join pg_class p on p.relnamespace = pn.oid and p.oid::bigint = any(up.oids)
                where l.tab = pn.nspname || '.' || p.relname order by l.col limit 1), $2)
    where (n.nspname = any($1) or rn.nspname = any($1)
            or exists (select from pg_class p join pg_namespace pn on pn.oid = p.relnamespace
                where p.oid::bigint = any(up.oids) and pn.nspname = any($1)))
        and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')";

const POLICIES: &str = "
    select polrelid::bigint as relation, polname::text as name, polcmd::text as command, polpermissive as permissive,
           0 = any(polroles) as for_all,
           0 = any(polroles) or cardinality($2::text[]) = 0 or exists (select from pg_roles r, unnest(polroles) as p(role)
               where r.rolname = any($2) and p.role <> 0 and pg_has_role(r.oid, p.role, 'member')) as for_app,
           pg_get_expr(polqual, polrelid) as using_text, pg_get_expr(polwithcheck, polrelid) as check_text
    from pg_policy where polrelid::bigint = any($1) order by polname";

/// Which relations a view reads, through other views as well.
const VIEWED: &str = "
    with recursive direct as (
        select distinct w.ev_class as view, d.refobjid as read
        from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
            and d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class
    ), deep as (
        select view, read from direct union select deep.view, direct.read from deep join direct on direct.view = deep.read
    )
    select view::bigint as view, read::bigint as read from deep where view::bigint = any($1)";

const KEYS: &str = "
    select i.indrelid::bigint as relation, c.relname::text as name, a.attname::text as first
    from pg_index i join pg_class c on c.oid = i.indexrelid
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] and a.attnum > 0
    where (i.indisunique or i.indisexclusion) and not c.relispartition and i.indrelid::bigint = any($1) order by 2";

const REFERENCES: &str = "
    select k.conrelid::bigint as from_table, k.confrelid::bigint as to_table, k.conname::text as name,
           array(select a.attname::text from unnest(k.conkey) with ordinality u(n, place)
                 join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by u.place) as from_columns,
           array(select a.attname::text from unnest(k.confkey) with ordinality u(n, place)
                 join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by u.place) as to_columns
    from pg_constraint k where k.contype = 'f' and k.conparentid = 0 and k.conrelid::bigint = any($1) order by 3";

const FUNCTIONS: &str = "
    select 'function ' || p.oid::regprocedure::text as name, o.rolname::text as owner, o.rolsuper or o.rolbypassrls as owner_bypasses,
           case when cardinality($1::text[]) = 0 then true
                else exists (select from pg_roles r where r.rolname = any($1) and has_function_privilege(r.oid, p.oid, 'execute')) end as callable
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_roles o on o.oid = p.proowner
    where p.prosecdef and n.nspname not in ('information_schema', 'ops') and n.nspname !~ '^pg_'
        and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    order by 1";

const UNCHECKED: &str = "
    select schema, bool_or(touched) from (
        select n.nspname::text as schema,
               exists (select from pg_roles r where r.rolname = any($2) and not r.rolsuper and has_schema_privilege(r.oid, n.oid, 'usage')
                   and (has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate')
                        or has_any_column_privilege(r.oid, c.oid, 'select, insert, update'))) as touched,
               c.relkind in ('r', 'p', 'm', 'f') and exists (select from pg_attribute a
                   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname = $3) as of_tenants
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_class root on root.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid)
        join pg_namespace rn on rn.oid = root.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't' and n.nspname <> all($1) and rn.nspname <> all($1)
            and n.nspname not in ('information_schema', 'ops') and n.nspname !~ '^pg_'
            and not exists (
                with recursive up as (select i.inhparent from pg_inherits i where i.inhrelid = c.oid and not c.relispartition
                    union select i.inhparent from up join pg_inherits i on i.inhrelid = up.inhparent)
                select from up join pg_class p on p.oid = up.inhparent join pg_namespace pn on pn.oid = p.relnamespace
                where pn.nspname = any($1))
            and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    ) found where touched or of_tenants group by 1 order by 1";

const ROLES: &str = "
    select w.name, r.oid is not null as is_there,
           array(select b.rolname::text from pg_roles b where (b.rolsuper or b.rolbypassrls) and pg_has_role(r.oid, b.oid, 'member')
                 and (not r.rolsuper or b.oid = r.oid) order by 1) as bypassing
    from unnest($1::text[]) as w(name) left join pg_roles r on r.rolname = w.name order by 1";
