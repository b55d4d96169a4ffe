use std::collections::BTreeSet;
use std::sync::Arc;

use ops_core::model::{IdempotencyKey, RunId};
use ops_core::ports::{Inventory, ReadinessProbe, TrafficController};
use ops_core::testkit::{Faults, LoopbackServer, ManualClock};
use ops_railway::vercel::sim::{ProjectSeed, VercelSim};
use ops_railway::vercel::{VercelInventory, VercelTraffic};
use serde_json::{Value, json};

use crate::contract;
use crate::recording::{Exchange, Recording};

fn openapi(test: &str) -> Option<Value> {
    let text = contract("paas/vercel/vercel-ops.openapi.json", test)?;
    Some(serde_json::from_str(&text).unwrap())
}

/// Every way through the client, for a project of a team and one of the personal scope.
async fn record() -> Vec<Exchange> {
    let sim = VercelSim::new(Faults::new());
    let recording = Recording::new();
    let key = IdempotencyKey::for_step(&RunId::new("run_1").unwrap(), 0);
    let seeds = [
        (
            ProjectSeed::new("prj_1")
                .unwrap()
                .with_auto_assign(false)
                .with_team("team_1"),
            Some("team_1"),
        ),
        (ProjectSeed::new("prj_2").unwrap(), None),
    ];
    let server = LoopbackServer::start(Arc::<VercelSim>::clone(&sim))
        .await
        .unwrap();
    for (seed, team) in seeds {
        let target = sim.add_project(seed);
        let traffic = VercelTraffic::builder()
            .with_transport(Arc::<Recording>::clone(&recording))
            .with_token("token".into())
            .with_team(team.map(str::to_owned))
            .with_base_url(server.base_url())
            .with_clock(Arc::new(ManualClock::self_moving()))
            .build()
            .unwrap();
        let prior = traffic.observe(&target).await.unwrap();
        traffic.stop(&target, &key).await.unwrap();
        traffic.observe(&target).await.unwrap();
        traffic.observe(&target).await.unwrap();
        traffic.restore(prior.snapshot(), &key).await.unwrap();
        traffic.examine(std::slice::from_ref(&target)).await;
        sim.add_project(ProjectSeed::new("prj_3").unwrap());
        sim.set_page(1);
        VercelInventory::new(&traffic).deployed().await.unwrap();
    }
    recording.exchanges()
}

/// Checks method, path, query and body of a request; gives the path as the document writes it.
fn check(openapi: &Value, method: &str, url: &str, sent: &Value) -> Result<String, String> {
    let rest = url.split_once("://").unwrap().1;
    let rest = &rest[rest.find('/').unwrap()..];
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (template, operation) = openapi["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(template, _)| matches(template, path))
        .find_map(|(template, methods)| Some((template, methods.get(method.to_lowercase())?)))
        .ok_or_else(|| format!("no {method} {path}"))?;
    let names: Vec<&str> = operation["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap();
        if !names.contains(&name) {
            return Err(format!("no query parameter {name}"));
        }
    }
    let body = &operation["requestBody"];
    match (body.is_null(), sent.is_null()) {
        (true, true) => Ok(template.clone()),
        (true, false) => Err("a body where none is expected".to_owned()),
        (false, _) => {
            let mut schema = body["content"]["application/json"]["schema"].clone();
            widen_nullable(&mut schema);
            let validator = jsonschema::validator_for(&schema).unwrap();
            validator.validate(sent).map_err(|fault| fault.to_string())?;
            Ok(template.clone())
        }
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(&path)
            .all(|(wanted, found)| wanted == found || (wanted.starts_with('{') && !found.is_empty()))
}

/// OpenAPI 3.0 writes `nullable` where JSON Schema has a union of types.
fn widen_nullable(schema: &mut Value) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(widen_nullable);
    }
    let Value::Object(object) = schema else {
        return;
    };
    if object.remove("nullable") == Some(Value::Bool(true)) {
        if let Some(Value::String(kind)) = object.get("type").cloned() {
            object.insert("type".to_owned(), json!([kind, "null"]));
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    object.values_mut().for_each(widen_nullable);
}

#[tokio::test]
async fn every_request_is_one_that_the_vendor_describes() {
    let Some(openapi) = openapi("every_request_is_one_that_the_vendor_describes") else {
        return;
    };
    let mut seen = BTreeSet::new();
    for Exchange {
        method,
        url,
        sent,
        status,
        ..
    } in record().await
    {
        assert_eq!(status, 200, "{method} {url}");
        let template = check(&openapi, method, &url, &sent)
            .unwrap_or_else(|fault| panic!("{fault}: {method} {url} {sent}"));
        seen.insert(format!("{method} {template}"));
    }
    let expected = [
        "GET /v10/projects",
        "GET /v9/projects/{idOrName}",
        "PATCH /v9/projects/{idOrName}",
        "POST /v1/projects/{projectId}/pause",
        "POST /v1/projects/{projectId}/unpause",
    ];
    assert_eq!(seen, expected.map(str::to_owned).into());
}

#[test]
fn a_wrong_request_is_refused() {
    let Some(openapi) = openapi("a_wrong_request_is_refused") else {
        return;
    };
    let project = "https://h/v9/projects/prj_1";
    let right = json!({"autoAssignCustomDomains": true});
    assert!(check(&openapi, "PATCH", &format!("{project}?teamId=t"), &right).is_ok());
    assert!(check(&openapi, "PATCH", project, &json!({"buildCommand": null})).is_ok());
    for (method, url, body) in [
        ("PATCH", format!("{project}?teamID=t"), right.clone()),
        (
            "PATCH",
            project.to_owned(),
            json!({"autoAssignCustomDomains": "yes"}),
        ),
        ("PATCH", project.to_owned(), json!({"paused": true})),
        ("PATCH", project.to_owned(), Value::Null),
        ("PUT", project.to_owned(), right.clone()),
        (
            "POST",
            "https://h/v9/projects/prj_1/pause".to_owned(),
            Value::Null,
        ),
        ("POST", "https://h/v1/projects/prj_1/pause".to_owned(), right),
    ] {
        assert!(
            check(&openapi, method, &url, &body).is_err(),
            "{method} {url} {body}"
        );
    }
}

/// A setting of the vendor's project that is on no list may be one that a pause changes without anybody having looked.
#[test]
fn every_setting_of_a_project_is_on_one_of_the_lists() {
    let Some(openapi) = openapi("every_setting_of_a_project_is_on_one_of_the_lists") else {
        return;
    };
    let change = &openapi["paths"]["/v9/projects/{idOrName}"]["patch"];
    let properties = &change["requestBody"]["content"]["application/json"]["schema"]["properties"];
    let found: BTreeSet<&str> = properties
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let listed: BTreeSet<&str> = [RESTORABLE, VOLATILE, LEFT_ALONE]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    assert_eq!(found, listed);
}

/// `paused` is restorable too, but has calls of its own.
const RESTORABLE: &[&str] = &["autoAssignCustomDomains"];
/// Who changed it last changes with every write.
const VOLATILE: &[&str] = &["autoAssignCustomDomainsUpdatedBy"];
const LEFT_ALONE: &[&str] = &[
    "autoExposeSystemEnvs",
    "buildCommand",
    "commandForIgnoringBuildStep",
    "connectConfigurations",
    "customerSupportCodeVisibility",
    "deploymentPolicy",
    "devCommand",
    "directoryListing",
    "dismissedToasts",
    "enableAffectedProjectsDeployments",
    "enableExternalRewriteCaching",
    "enablePreviewFeedback",
    "enableProductionFeedback",
    "framework",
    "gitForkProtection",
    "gitLFS",
    "installCommand",
    "name",
    "nodeVersion",
    "oidcTokenConfig",
    "optionsAllowlist",
    "outputDirectory",
    "passport",
    "passwordProtection",
    "previewDeploymentSuffix",
    "previewDeploymentsDisabled",
    "protectedSourcemaps",
    "publicSource",
    "resourceConfig",
    "rootDirectory",
    "sandbox",
    "serverlessFunctionRegion",
    "serverlessFunctionZeroConfigFailover",
    "skewProtectionAllowedDomains",
    "skewProtectionBoundaryAt",
    "skewProtectionMaxAge",
    "skipGitConnectDuringLink",
    "sourceFilesOutsideRootDirectory",
    "ssoProtection",
    "staticIps",
    "tracing",
    "trustedIps",
    "trustedSources",
];
