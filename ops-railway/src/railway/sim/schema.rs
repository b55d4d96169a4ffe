//! The part of the vendor's schema that the simulator knows, and the check of a document against it.

use serde_json::{Map, Value};

use super::document::{Argument, Document, Kind, Selection};

/// What a field holds. Lists are not told apart from single values: a selection looks the same.
#[derive(Debug)]
pub(super) enum Shape {
    /// A scalar, an enum or free JSON: no selection allowed.
    Leaf,
    /// An object: a selection needed.
    Object(&'static [(&'static str, Self)]),
}

/// A field of `Query` or `Mutation`.
#[derive(Debug)]
pub(super) struct RootField {
    kind: Kind,
    pub(super) name: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    pub(super) shape: Shape,
}

use Shape::{Leaf, Object};

const DEPLOYMENT: &[(&str, Shape)] = &[
    ("id", Leaf),
    ("status", Leaf),
    ("deploymentStopped", Leaf),
    ("meta", Leaf),
    ("instances", Object(&[("id", Leaf), ("status", Leaf)])),
];

const DOMAIN: &[(&str, Shape)] = &[("id", Leaf), ("domain", Leaf)];

const EDGE_CONFIG: &[(&str, Shape)] = &[("id", Leaf), ("edgeRules", Leaf)];

/// The one field below the root that takes arguments; they are read together with those of its parent.
const SERVICE_INSTANCES: &str = "serviceInstances";

const PAGING: &[(&str, &str)] = &[("first", "Int"), ("after", "String")];

const PLACE: &[(&str, &str)] = &[("environmentId", "String!"), ("serviceId", "String!")];

const ID: &[(&str, &str)] = &[("id", "String!")];

const fn mutation(
    name: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    shape: Shape,
) -> RootField {
    RootField {
        kind: Kind::Mutation,
        name,
        arguments,
        shape,
    }
}

const fn query(
    name: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    shape: Shape,
) -> RootField {
    RootField {
        kind: Kind::Query,
        name,
        arguments,
        shape,
    }
}

const ROOT: &[RootField] = &[
    query(
        "projectToken",
        &[],
        Object(&[("projectId", Leaf), ("environmentId", Leaf)]),
    ),
    query(
        "environment",
        &[("id", "String!"), ("projectId", "String")],
        Object(&[
            ("id", Leaf),
            (
                SERVICE_INSTANCES,
                Object(&[
                    (
                        "edges",
                        Object(&[
                            ("cursor", Leaf),
                            (
                                "node",
                                Object(&[("serviceId", Leaf), ("serviceName", Leaf), ("deletedAt", Leaf)]),
                            ),
                        ]),
                    ),
                    ("pageInfo", Object(&[("hasNextPage", Leaf), ("endCursor", Leaf)])),
                ]),
            ),
        ]),
    ),
    query(
        "serviceInstance",
        PLACE,
        Object(&[
            ("id", Leaf),
            ("serviceId", Leaf),
            ("environmentId", Leaf),
            ("cronSchedule", Leaf),
            ("latestDeployment", Object(DEPLOYMENT)),
            ("activeDeployments", Object(DEPLOYMENT)),
            ("edgeConfig", Object(EDGE_CONFIG)),
            (
                "domains",
                Object(&[
                    ("serviceDomains", Object(DOMAIN)),
                    ("customDomains", Object(DOMAIN)),
                ]),
            ),
        ]),
    ),
    query(
        "serviceInstanceAutoDeployStatus",
        &[
            ("environmentId", "String!"),
            ("projectId", "String!"),
            ("serviceId", "String!"),
        ],
        Object(&[("enabled", Leaf), ("canEnable", Leaf), ("reason", Leaf)]),
    ),
    query(
        "deployments",
        &[
            ("input", "DeploymentListInput!"),
            ("first", "Int"),
            ("after", "String"),
        ],
        Object(&[
            ("edges", Object(&[("cursor", Leaf), ("node", Object(DEPLOYMENT))])),
            ("pageInfo", Object(&[("hasNextPage", Leaf), ("endCursor", Leaf)])),
        ]),
    ),
    query(
        "validateServiceEdgeRules",
        &[("input", "ValidateServiceEdgeRulesInput!")],
        Object(&[("code", Leaf), ("message", Leaf), ("path", Leaf)]),
    ),
    mutation(
        "updateServiceEdgeRules",
        &[("input", "UpdateServiceEdgeRulesInput!")],
        Object(EDGE_CONFIG),
    ),
    mutation(
        "serviceInstanceAutoDeployUpdate",
        &[("input", "ServiceInstanceAutoDeployUpdateInput!")],
        Object(&[("enabled", Leaf)]),
    ),
    mutation("deploymentStop", ID, Leaf),
    mutation("deploymentCancel", ID, Leaf),
    mutation("deploymentRestart", ID, Leaf),
    mutation("deploymentRollback", ID, Leaf),
    mutation(
        "deploymentRedeploy",
        &[("id", "String!"), ("usePreviousImageTag", "Boolean")],
        Object(DEPLOYMENT),
    ),
];

/// The fields of an input type.
fn input(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    Some(match name {
        "DeploymentListInput" => &[
            ("environmentId", "String"),
            ("includeDeleted", "Boolean"),
            ("projectId", "String"),
            ("serviceId", "String"),
            ("status", "DeploymentStatusInput"),
        ],
        "DeploymentStatusInput" => &[("in", "[DeploymentStatus!]"), ("notIn", "[DeploymentStatus!]")],
        "UpdateServiceEdgeRulesInput" => &[
            ("edgeRules", "JSON"),
            ("environmentId", "String!"),
            ("serviceId", "String!"),
        ],
        "ValidateServiceEdgeRulesInput" => &[
            ("edgeRules", "JSON!"),
            ("environmentId", "String!"),
            ("serviceId", "String!"),
        ],
        "ServiceInstanceAutoDeployUpdateInput" => &[
            ("enabled", "Boolean!"),
            ("environmentId", "String!"),
            ("projectId", "String!"),
            ("serviceId", "String!"),
        ],
        _ => return None,
    })
}

const STATUSES: [&str; 13] = [
    "BUILDING",
    "CRASHED",
    "DEPLOYING",
    "FAILED",
    "INITIALIZING",
    "NEEDS_APPROVAL",
    "QUEUED",
    "REMOVED",
    "REMOVING",
    "SKIPPED",
    "SLEEPING",
    "SUCCESS",
    "WAITING",
];

/// One field to answer, with its arguments filled in.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) field: &'static RootField,
    pub(super) arguments: Map<String, Value>,
    pub(super) selection: &'a Selection,
}

/// Checks a document and its variables, and gives the calls it makes.
///
/// # Errors
/// What is wrong with it, for the vendor's error message.
pub(super) fn check<'a>(
    document: &'a Document,
    variables: &Map<String, Value>,
) -> Result<Vec<Call<'a>>, String> {
    for (name, wanted) in &document.variables {
        let value = variables.get(name).unwrap_or(&Value::Null);
        if !fits(wanted, value) {
            return Err(format!("variable \"${name}\" must be a {wanted}"));
        }
    }
    if let Some(name) = variables.keys().find(|name| declared(document, name).is_none()) {
        return Err(format!("variable \"${name}\" is not declared"));
    }
    document
        .selection
        .iter()
        .map(|selection| call(document, variables, selection))
        .collect()
}

fn call<'a>(
    document: &Document,
    variables: &Map<String, Value>,
    selection: &'a Selection,
) -> Result<Call<'a>, String> {
    let name = &selection.name;
    let field = ROOT
        .iter()
        .find(|field| field.kind == document.kind && field.name == name)
        .ok_or_else(|| format!("cannot query field \"{name}\""))?;
    let mut arguments = Map::new();
    let paged = selection
        .selection
        .iter()
        .filter(|inner| inner.name == SERVICE_INSTANCES)
        .flat_map(|inner| &inner.arguments)
        .map(|given| (given, PAGING));
    let own = selection.arguments.iter().map(|given| (given, field.arguments));
    for ((argument, value), known) in own.chain(paged) {
        let (_, wanted) = known
            .iter()
            .find(|(known, _)| known == argument)
            .ok_or_else(|| format!("unknown argument \"{argument}\" on field \"{name}\""))?;
        let given = match value {
            Argument::Literal(value) if fits(wanted, value) => value.clone(),
            Argument::Literal(_) => return Err(format!("argument \"{argument}\" must be a {wanted}")),
            Argument::Variable(variable) => {
                let declared = declared(document, variable)
                    .ok_or_else(|| format!("variable \"${variable}\" is not declared"))?;
                if declared.trim_end_matches('!') != wanted.trim_end_matches('!')
                    || (wanted.ends_with('!') && !declared.ends_with('!'))
                {
                    return Err(format!(
                        "variable \"${variable}\" of type {declared} where {wanted} is expected"
                    ));
                }
                variables.get(variable).cloned().unwrap_or(Value::Null)
            }
        };
        arguments.insert(argument.clone(), given);
    }
    for (argument, wanted) in field.arguments {
        if wanted.ends_with('!') && !arguments.contains_key(*argument) {
            return Err(format!("argument \"{argument}\" of field \"{name}\" is required"));
        }
    }
    check_selection(&field.shape, selection)?;
    Ok(Call {
        field,
        arguments,
        selection,
    })
}

fn declared<'a>(document: &'a Document, variable: &str) -> Option<&'a str> {
    let (_, declared) = document.variables.iter().find(|(name, _)| name == variable)?;
    Some(declared)
}

fn check_selection(shape: &Shape, selection: &Selection) -> Result<(), String> {
    let name = &selection.name;
    match (shape, selection.selection.is_empty()) {
        (Leaf, true) => Ok(()),
        (Leaf, false) => Err(format!(
            "field \"{name}\" must not have a selection, it has no subfields"
        )),
        (Object(_), true) => Err(format!("field \"{name}\" must have a selection of subfields")),
        (Object(fields), false) => selection.selection.iter().try_for_each(|inner| {
            let (_, shape) = fields
                .iter()
                .find(|(known, _)| *known == inner.name)
                .ok_or_else(|| format!("cannot query field \"{}\" on \"{name}\"", inner.name))?;
            if !inner.arguments.is_empty() && inner.name != SERVICE_INSTANCES {
                return Err(format!("unknown argument on field \"{}\"", inner.name));
            }
            check_selection(shape, inner)
        }),
    }
}

fn fits(wanted: &str, value: &Value) -> bool {
    if let Some(inner) = wanted.strip_suffix('!') {
        return !value.is_null() && fits(inner, value);
    }
    if value.is_null() {
        return true;
    }
    if let Some(inner) = wanted.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return value
            .as_array()
            .is_some_and(|items| items.iter().all(|item| fits(inner, item)));
    }
    match wanted {
        "String" => value.is_string(),
        "Boolean" => value.is_boolean(),
        "Int" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "JSON" => true,
        "DeploymentStatus" => value.as_str().is_some_and(|status| STATUSES.contains(&status)),
        name => match (input(name), value.as_object()) {
            (Some(fields), Some(object)) => {
                object
                    .keys()
                    .all(|key| fields.iter().any(|(name, _)| name == key))
                    && fields
                        .iter()
                        .all(|(name, wanted)| fits(wanted, object.get(*name).unwrap_or(&Value::Null)))
            }
            _ => false,
        },
    }
}

/// Reduces a whole value to the fields that were asked for.
pub(super) fn project(selection: &[Selection], value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| project(selection, item)).collect(),
        Value::Object(object) if !selection.is_empty() => selection
            .iter()
            .map(|field| {
                let inner = object.get(&field.name).cloned().unwrap_or(Value::Null);
                (field.key.clone(), project(&field.selection, inner))
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::document::parse;
    use super::*;

    fn verdict(text: &str, variables: Value) -> Result<(), String> {
        let document = parse(text)?;
        check(&document, variables.as_object().unwrap()).map(drop)
    }

    #[test]
    fn variables_must_be_there_and_of_their_type() {
        let text = "mutation A($id: String!) { deploymentStop(id: $id) }";
        assert_eq!(verdict(text, json!({"id": "d1"})), Ok(()));
        for wrong in [
            json!({}),
            json!({"id": null}),
            json!({"id": 3}),
            json!({"id": "d1", "more": 1}),
        ] {
            assert!(verdict(text, wrong.clone()).is_err(), "{wrong}");
        }
        let text = "query A($i: DeploymentListInput!) { deployments(input: $i) { pageInfo { endCursor } } }";
        assert_eq!(
            verdict(text, json!({"i": {"status": {"in": ["BUILDING"]}}})),
            Ok(())
        );
        for wrong in [
            json!({"status": {"in": ["STUCK"]}}),
            json!({"status": {"within": []}}),
            json!([]),
        ] {
            assert!(verdict(text, json!({"i": wrong})).is_err(), "{wrong}");
        }
    }

    /// The vendor's documentation shows a rollback with a selection, but the field is a `Boolean!`.
    #[test]
    fn a_boolean_has_no_fields() {
        let text = "mutation A($id: String!) { deploymentRollback(id: $id) { id status } }";
        assert!(
            verdict(text, json!({"id": "d1"}))
                .unwrap_err()
                .contains("must not have a selection")
        );
    }

    #[test]
    fn unknown_fields_and_arguments_are_refused() {
        for wrong in [
            "query A { nothing }",
            "query A { deploymentStop(id: $id) }",
            "mutation A($id: String) { deploymentStop(id: $id) }",
            "mutation A($id: String!) { deploymentStop(name: $id) }",
            "mutation A { deploymentStop }",
            "query A { projectToken { secret } }",
            "query A { projectToken }",
        ] {
            assert!(verdict(wrong, json!({})).is_err(), "{wrong}");
        }
    }
}
