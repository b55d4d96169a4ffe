use ops_core::model::TenantLayout;
use ops_core::tenancy::{TenantFinding, TenantGap, TenantReport};

use super::super::policy::tenant_policies;
use super::catalog::{Catalog, Policy, Relation, RelationKind};
use super::predicate::{Form, form, is_only_the_tenant};

/// What is open, from what the catalogue says.
pub(super) fn judge(catalog: &Catalog, layout: &TenantLayout) -> TenantReport {
    let mut report = TenantReport::default();
    let mut findings = Vec::new();
    for relation in catalog.relations.values() {
        if catalog.is_global(layout, relation) {
            report.global += 1;
            continue;
        }
        let before = findings.len();
        let mut found = |gap| findings.push(TenantFinding::new(relation.name.to_string(), gap));
        match relation.kind {
            RelationKind::Table | RelationKind::Partitioned => {
                report.tables += usize::from(relation.column.is_some());
                judge_table(relation, layout, &mut found);
                judge_parents(catalog, relation, layout, &mut found);
            }
            RelationKind::View => judge_view(catalog, relation, &mut found),
            RelationKind::MaterializedView | RelationKind::Foreign => {
                let exposed = layout.app_roles.is_empty() || !relation.granted.is_empty();
                if exposed && (relation.reads_tenants || relation.column.is_some()) {
                    found(TenantGap::BeyondRowSecurity);
                }
            }
        }
        let mendable = |found: &TenantFinding| {
            matches!(
                found.gap,
                TenantGap::RowSecurityOff | TenantGap::RowSecurityNotForced | TenantGap::NoPolicy
            )
        };
        if let Some(column) = relation
            .column
            .as_ref()
            .filter(|_| findings[before..].iter().any(mendable))
        {
            report
                .statements
                .extend(tenant_policies(&relation.name, &column.name, &column.kind));
        }
    }
    judge_keys(catalog, layout, &mut findings);
    judge_references(catalog, layout, &mut findings);
    judge_roles(catalog, layout, &mut findings);
    report.findings = findings;
    report
}

fn judge_table(relation: &Relation, layout: &TenantLayout, found: &mut impl FnMut(TenantGap)) {
    let Some(column) = &relation.column else {
        if !relation.is_partition {
            found(TenantGap::NoTenantColumn);
        }
        return;
    };
    for role in &relation.ownable_by {
        found(TenantGap::RoleOwns { role: role.clone() });
    }
    // An owner may do everything: that is said already.
    for role in relation
        .truncatable_by
        .iter()
        .filter(|role| !relation.ownable_by.contains(role))
    {
        found(TenantGap::RoleMayTruncate { role: role.clone() });
    }
    // Row security of the parent holds for those who come through the parent: a partition, or a table that inherits, that nobody of the
    // application may touch needs none of its own.
    let has_parent = relation.is_partition || !relation.inherits.is_empty();
    if has_parent && !layout.app_roles.is_empty() && relation.granted.is_empty() {
        return;
    }
    if !column.not_null && !relation.is_partition {
        found(TenantGap::TenantMayBeNull);
    }
    if !relation.enabled {
        found(TenantGap::RowSecurityOff);
        return;
    }
    if !relation.forced {
        found(TenantGap::RowSecurityNotForced);
    }
    if relation.policies.is_empty() {
        found(TenantGap::NoPolicy);
    }
    judge_policies(relation, &column.name, found);
}

/// Who reads a table reads what inherits from it, too, and is held by the policies of that table only.
fn judge_parents(
    catalog: &Catalog,
    relation: &Relation,
    layout: &TenantLayout,
    found: &mut impl FnMut(TenantGap),
) {
    if relation.column.is_none() {
        return;
    }
    for parent in relation
        .inherits
        .iter()
        .filter_map(|oid| catalog.relations.get(oid))
    {
        let judged = parent.column.is_some() && !catalog.is_global(layout, parent);
        let touched = layout.app_roles.is_empty() || !parent.granted.is_empty();
        if touched && !judged {
            let parent = parent.name.to_string();
            found(TenantGap::OpenThroughParent { parent });
        }
    }
}

fn judge_policies(relation: &Relation, column: &str, found: &mut impl FnMut(TenantGap)) {
    let permissive = relation
        .policies
        .iter()
        .filter(|policy| policy.permissive && policy.for_app);
    for policy in permissive {
        let name = || policy.name.clone();
        let mut forms = Vec::new();
        for command in ['r', 'w', 'd']
            .into_iter()
            .filter(|command| policy.is_for(*command))
        {
            let form = form_of(policy.using.as_deref(), column);
            if form == Form::Open && !is_narrowed(relation, column, command, Policy::reading) {
                found(TenantGap::OpenPolicy { policy: name() });
                break;
            }
            forms.push(form);
        }
        for command in ['a', 'w'].into_iter().filter(|command| policy.is_for(*command)) {
            let form = form_of(policy.writing(), column);
            if form == Form::Open && !is_narrowed(relation, column, command, Policy::writing) {
                found(TenantGap::UncheckedWrite { policy: name() });
                break;
            }
            forms.push(form);
        }
        if forms.contains(&Form::Noisy) {
            found(TenantGap::NoisyPolicy { policy: name() });
        }
        if forms.contains(&Form::PerRow) {
            found(TenantGap::SlowPolicy { policy: name() });
        }
    }
}

/// Whether a restrictive policy for everybody asks for the tenant: it is joined to the others by "and".
fn is_narrowed(
    relation: &Relation,
    column: &str,
    command: char,
    condition: fn(&Policy) -> Option<&str>,
) -> bool {
    relation.policies.iter().any(|policy| {
        !policy.permissive
            && policy.for_all
            && policy.is_for(command)
            && form_of(condition(policy), column) != Form::Open
    })
}

fn form_of(condition: Option<&str>, column: &str) -> Form {
    condition.map_or(Form::Open, |condition| form(condition, column))
}

impl Policy {
    fn is_for(&self, command: char) -> bool {
        self.command == '*' || self.command == command
    }

    fn reading(&self) -> Option<&str> {
        self.using.as_deref()
    }

    fn writing(&self) -> Option<&str> {
        self.check.as_deref().or(self.using.as_deref())
    }
}

/// Whether somebody whom these policies hold and whose transaction has set a tenant sees every row of it.
pub(crate) fn sees_the_whole_tenant(relation: &Relation) -> bool {
    let Some(column) = &relation.column else {
        return false;
    };
    let whole = |policy: &Policy| {
        policy.for_all
            && policy
                .using
                .as_deref()
                .is_some_and(|using| is_only_the_tenant(using, &column.name))
    };
    let reads = relation
        .policies
        .iter()
        .any(|policy| policy.permissive && policy.command == '*' && whole(policy));
    reads
        && relation
            .policies
            .iter()
            .all(|policy| policy.permissive || whole(policy))
}

fn judge_view(catalog: &Catalog, view: &Relation, found: &mut impl FnMut(TenantGap)) {
    // Before version 15 there is no other kind, and one whose owner is held by row security keeps tenants apart.
    let can_be_invoker = catalog.version >= 150_000;
    if view.reads_tenants && !view.invoker && (can_be_invoker || view.owner_bypasses) {
        found(TenantGap::ViewRunsAsOwner);
    }
}

fn judge_keys(catalog: &Catalog, layout: &TenantLayout, findings: &mut Vec<TenantFinding>) {
    for key in &catalog.keys {
        let Some((relation, column)) = tenant_table(catalog, layout, key.relation) else {
            continue;
        };
        if relation.is_table() && key.first.as_deref() != Some(column) {
            let gap = TenantGap::KeyWithoutTenant {
                key: key.name.clone(),
            };
            findings.push(TenantFinding::new(relation.name.to_string(), gap));
        }
    }
}

fn judge_references(catalog: &Catalog, layout: &TenantLayout, findings: &mut Vec<TenantFinding>) {
    for reference in &catalog.references {
        let from = tenant_table(catalog, layout, reference.from);
        let to = tenant_table(catalog, layout, reference.to);
        let (Some((from, from_column)), Some((_, to_column))) = (from, to) else {
            continue;
        };
        let mut pairs = reference.from_columns.iter().zip(&reference.to_columns);
        if !pairs.any(|(from, to)| from == from_column && to == to_column) {
            let gap = TenantGap::ReferenceWithoutTenant {
                constraint: reference.name.clone(),
            };
            findings.push(TenantFinding::new(from.name.to_string(), gap));
        }
    }
}

fn tenant_table<'c>(
    catalog: &'c Catalog,
    layout: &TenantLayout,
    oid: i64,
) -> Option<(&'c Relation, &'c str)> {
    let relation = catalog.relations.get(&oid)?;
    let column = relation.column.as_ref()?;
    (!catalog.is_global(layout, relation)).then_some((relation, column.name.as_str()))
}

fn judge_roles(catalog: &Catalog, layout: &TenantLayout, findings: &mut Vec<TenantFinding>) {
    if layout.app_roles.is_empty() {
        findings.push(TenantFinding::new("application", TenantGap::NoAppRole));
    }
    for unchecked in catalog.unchecked.iter().filter(|unchecked| unchecked.touched) {
        let subject = unchecked.subject.clone();
        findings.push(TenantFinding::new(subject, TenantGap::SchemaUnchecked));
    }
    for role in &catalog.roles {
        let subject = format!("role {}", role.name);
        if !role.exists {
            findings.push(TenantFinding::new(subject, TenantGap::UnknownRole));
            continue;
        }
        for through in &role.bypassing {
            let gap = TenantGap::RoleBypasses {
                through: through.clone(),
            };
            findings.push(TenantFinding::new(subject.clone(), gap));
        }
    }
    let owners: Vec<&str> = catalog
        .relations
        .values()
        .filter(|relation| relation.is_table() && relation.column.is_some())
        .map(|relation| relation.owner.as_str())
        .collect();
    for function in &catalog.functions {
        let strong = function.owner_bypasses || owners.contains(&function.owner.as_str());
        if function.callable && strong {
            let gap = TenantGap::DefinerFunction {
                owner: function.owner.clone(),
            };
            findings.push(TenantFinding::new(function.name.clone(), gap));
        }
    }
}
