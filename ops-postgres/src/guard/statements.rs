//! From wanted privileges to statements: pure.

use std::collections::{BTreeMap, BTreeSet};

use super::access::{Access, AccessMap, Deviation, Grant, Object, Roles};
use super::missing::Missing;
use crate::identifier::quoted;

/// What to run, and what cannot be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) steps: Vec<Step>,
    pub(super) missing: Missing,
    /// What the prior state names and is no longer there, for people.
    pub(super) gone: BTreeSet<String>,
}

impl Work {
    /// The statements of up to `size` objects at a time, parted by semicolons.
    pub(super) fn chunks(&self, size: usize) -> impl Iterator<Item = String> {
        self.steps.chunks(size).map(|steps| {
            let statements: Vec<_> = steps
                .iter()
                .flat_map(|step| &step.statements)
                .map(String::as_str)
                .collect();
            statements.join(";\n")
        })
    }

    fn push(&mut self, object: &Object, statements: Vec<String>) {
        if !statements.is_empty() {
            self.steps.push(Step {
                object: object.name(),
                statements,
            });
        }
    }
}

/// What is to be run on one object, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// For people.
    pub(super) object: String,
    /// Each stands for itself and may hold several, parted by semicolons.
    pub(super) statements: Vec<String>,
}

/// The columns that are there now, of the tables with column privileges in a prior state.
pub(super) type Columns = BTreeMap<Object, BTreeSet<String>>;

/// Takes every write privilege from every covered role.
pub(super) fn revocations(database: &str, map: &AccessMap, roles: &Roles) -> Work {
    let mut work = Work::default();
    for (object, access) in map {
        let doomed: Vec<_> = access
            .grants
            .iter()
            .filter(|grant| roles.is_covered(grant.to.as_deref()))
            .filter(|grant| !is_our_own(object, access, grant))
            .collect();
        if doomed.is_empty() {
            continue;
        }
        if !access.controlled {
            work.missing.ownership(object, access);
            continue;
        }
        let place = place(database, object);
        let privileges = object.write_privileges().join(", ");
        let mut statements = Vec::new();
        // First what was passed on, while the ones who did so may still take it back: CASCADE does not go from a privilege on
        // a table to one on its columns, nor from a role that keeps its own.
        for grant in &doomed {
            let cascaded = |other: &&Grant| other.backs(grant) && other.column == grant.column;
            if grant.by.is_some() && !doomed.iter().copied().any(|other| cascaded(&other)) {
                let revoke = format!("REVOKE {privileges} ON {place} FROM {} CASCADE", grantee(grant));
                issue(grant, revoke, roles, &mut statements, &mut work.missing);
            }
        }
        // Taking a privilege on a table takes those on its columns too.
        let grantees: BTreeSet<_> = doomed
            .iter()
            .filter(|grant| grant.by.is_none())
            .map(|grant| grantee(grant))
            .collect();
        if !grantees.is_empty() {
            let grantees: Vec<_> = grantees.into_iter().collect();
            let grantees = grantees.join(", ");
            statements.push(format!("REVOKE {privileges} ON {place} FROM {grantees} CASCADE"));
        }
        work.push(object, statements);
    }
    work
}

/// Puts the privileges of `prior` back.
///
/// On an object that `prior` says nothing about, only what the owner of a new object holds is put back; what somebody granted
/// there meanwhile stays.
pub(super) fn restoration(
    database: &str,
    prior: &BTreeMap<Object, Deviation>,
    now: &AccessMap,
    columns: &Columns,
    roles: &Roles,
) -> Work {
    let mut work = Work::default();
    for object in prior.keys().filter(|object| !now.contains_key(*object)) {
        work.gone.insert(object.name());
    }
    for (object, access) in now {
        let wanted = match prior.get(object) {
            Some(deviation) => {
                let mut wanted = deviation.grants_on(object, access);
                wanted.retain(|grant| is_there(object, grant, columns, &mut work.gone));
                wanted
            }
            None => access.defaults(object).union(&access.grants).cloned().collect(),
        };
        restore_object(database, object, access, wanted, roles, &mut work);
    }
    work
}

/// Whether the column of `grant` is still there, if it is for one.
fn is_there(object: &Object, grant: &Grant, columns: &Columns, gone: &mut BTreeSet<String>) -> bool {
    let Some(column) = &grant.column else { return true };
    let there = columns
        .get(object)
        .is_some_and(|columns| columns.contains(column));
    if !there {
        gone.insert(format!("column {column} of {}", object.name()));
    }
    there
}

/// The owner of the schema `ops` may make the tables of a newer version there, also in an emergency.
fn is_our_own(object: &Object, access: &Access, grant: &Grant) -> bool {
    matches!(object, Object::Schema(schema) if schema == "ops")
        && grant.to.as_deref() == Some(access.owner.as_str())
}

fn restore_object(
    database: &str,
    object: &Object,
    access: &Access,
    mut wanted: BTreeSet<Grant>,
    roles: &Roles,
    work: &mut Work,
) {
    wanted.retain(|grant| {
        let dropped = [&grant.to, &grant.by]
            .into_iter()
            .flatten()
            .find(|role| roles.get(role).is_none());
        if let Some(role) = dropped {
            work.gone.insert(format!("role {role}"));
        }
        dropped.is_none()
    });
    let mut excess: Vec<_> = access.grants.difference(&wanted).collect();
    // A revocation may take more than it names: then everything is granted again.
    let lacking: Vec<_> = wanted
        .iter()
        .filter(|grant| !excess.is_empty() || !access.grants.contains(grant))
        .collect();
    if lacking.is_empty() && excess.is_empty() {
        return;
    }
    if !access.controlled {
        work.missing.ownership(object, access);
        return;
    }
    let place = place(database, object);
    let mut statements = Vec::new();
    // As in `revocations`: what was passed on comes first.
    excess.sort_by_key(|grant| grant.by.is_none());
    for grant in excess {
        let revoke = format!(
            "REVOKE {} ON {place} FROM {} CASCADE",
            privilege(grant),
            grantee(grant)
        );
        issue(grant, revoke, roles, &mut statements, &mut work.missing);
    }
    for grant in in_order(lacking) {
        let option = if grant.grantable { " WITH GRANT OPTION" } else { "" };
        let statement = format!(
            "GRANT {} ON {place} TO {}{option}",
            privilege(grant),
            grantee(grant)
        );
        issue(grant, statement, roles, &mut statements, &mut work.missing);
    }
    work.push(object, statements);
}

/// Runs `statement` as the one who granted `grant`.
fn issue(
    grant: &Grant,
    statement: String,
    roles: &Roles,
    statements: &mut Vec<String>,
    missing: &mut Missing,
) {
    match &grant.by {
        None => statements.push(statement),
        Some(by) if roles.may_become(by) => statements.push(acting_as(by, &statement)),
        Some(by) => {
            missing.right(format!("membership in {by}"));
        }
    }
}

/// A grant comes after the one that lets its grantor pass it on.
fn in_order(mut waiting: Vec<&Grant>) -> Vec<&Grant> {
    let mut ordered: Vec<&Grant> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let (ready, later): (Vec<_>, Vec<_>) = waiting
            .iter()
            .partition(|grant| !waiting.iter().any(|other| other.backs(grant)));
        if ready.is_empty() {
            ordered.extend(later);
            break;
        }
        ordered.extend(ready);
        waiting = later;
    }
    ordered
}

/// PostgreSQL takes grantors other than the owner from the current role only.
pub(super) fn acting_as(role: &str, statement: &str) -> String {
    format!(
        "SET LOCAL ROLE {}; {statement}; SET LOCAL ROLE NONE",
        quoted(role)
    )
}

pub(super) fn place(database: &str, object: &Object) -> String {
    match object {
        Object::Database => format!("DATABASE {}", quoted(database)),
        Object::Schema(schema) => format!("SCHEMA {}", quoted(schema)),
        Object::Sequence(schema, name) => format!("SEQUENCE {}.{}", quoted(schema), quoted(name)),
        Object::Table(schema, name) => format!("TABLE {}.{}", quoted(schema), quoted(name)),
    }
}

fn privilege(grant: &Grant) -> String {
    match &grant.column {
        Some(column) => format!("{} ({})", grant.privilege, quoted(column)),
        None => grant.privilege.clone(),
    }
}

fn grantee(grant: &Grant) -> String {
    role(grant.to.as_deref())
}

/// `None`: everybody.
pub(super) fn role(name: Option<&str>) -> String {
    name.map_or_else(|| "PUBLIC".to_owned(), quoted)
}

#[cfg(test)]
mod tests {
    use super::super::access::Role;
    use super::*;

    fn known(name: &str, superuser: bool) -> Role {
        Role {
            name: name.to_owned(),
            superuser,
            can_log_in: true,
            exempt: name == "audit",
            assumable: true,
            shared: false,
        }
    }

    fn roles() -> Roles {
        Roles(vec![
            known("owner", false),
            known("app", false),
            known("other", false),
            known("audit", false),
            known("root", true),
        ])
    }

    fn insert(to: Option<&str>, by: Option<&str>, grantable: bool) -> Grant {
        Grant {
            to: to.map(str::to_owned),
            privilege: "INSERT".to_owned(),
            column: None,
            grantable,
            by: by.map(str::to_owned),
        }
    }

    fn table(controlled: bool, grants: &[Grant]) -> AccessMap {
        let access = Access {
            owner: "owner".to_owned(),
            controlled,
            grants: grants.iter().cloned().collect(),
        };
        AccessMap::from([(Object::Table("public".to_owned(), "t".to_owned()), access)])
    }

    fn all(work: &Work) -> Vec<&String> {
        work.steps.iter().flat_map(|step| &step.statements).collect()
    }

    #[test]
    fn everybody_but_superusers_and_exempt_roles_loses() {
        let map = table(
            true,
            &[
                insert(None, None, false),
                insert(Some("owner"), None, false),
                insert(Some("audit"), None, false),
                insert(Some("root"), None, false),
            ],
        );
        let work = revocations("db", &map, &roles());
        assert_eq!(
            all(&work),
            [r#"REVOKE DELETE, INSERT, TRUNCATE, UPDATE ON TABLE "public"."t" FROM "owner", PUBLIC CASCADE"#]
        );
    }

    #[test]
    fn what_an_exempt_role_passed_on_is_taken_in_its_name() {
        let map = table(
            true,
            &[
                insert(Some("audit"), None, true),
                insert(Some("app"), Some("audit"), false),
            ],
        );
        let work = revocations("db", &map, &roles());
        assert_eq!(all(&work).len(), 1, "{work:?}");
        assert!(all(&work)[0].starts_with(r#"SET LOCAL ROLE "audit"; REVOKE"#));
    }

    #[test]
    fn a_column_that_was_passed_on_is_taken_before_the_right_to_pass_it_on() {
        let mut column = insert(Some("other"), Some("app"), false);
        column.column = Some("note".to_owned());
        let map = table(true, &[insert(Some("app"), None, true), column]);
        let work = revocations("db", &map, &roles());
        assert_eq!(all(&work).len(), 2, "{work:?}");
        assert!(all(&work)[0].starts_with(r#"SET LOCAL ROLE "app"; REVOKE"#));
    }

    #[test]
    fn an_object_of_another_owner_is_named_and_left() {
        let work = revocations("db", &table(false, &[insert(Some("app"), None, false)]), &roles());
        assert!(work.steps.is_empty());
        assert_eq!(
            work.missing.to_string(),
            "membership in owner, the owner of table public.t"
        );
    }

    #[test]
    fn grants_come_back_in_the_order_in_which_they_were_passed_on() {
        let grants = [
            insert(Some("app"), Some("other"), false),
            insert(Some("other"), None, true),
            insert(Some("owner"), None, false),
        ];
        let chain: Vec<_> = in_order(grants.iter().collect());
        let position = |grant: &Grant| chain.iter().position(|found| *found == grant).unwrap();
        assert!(position(&grants[1]) < position(&grants[0]));
    }

    #[test]
    fn a_table_that_the_snapshot_does_not_know_keeps_what_was_granted_on_it() {
        let now = table(true, &[insert(Some("app"), None, false)]);
        let work = restoration("db", &BTreeMap::new(), &now, &Columns::new(), &roles());
        assert!(
            all(&work).iter().all(|statement| statement.starts_with("GRANT")),
            "{work:?}"
        );
    }
}
