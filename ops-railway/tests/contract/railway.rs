use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use ops_core::model::{IdempotencyKey, RunId};
use ops_core::ports::{Inventory, ReadinessProbe, TrafficController};
use ops_core::testkit::{Fault, FaultRule, Faults, LoopbackServer, ManualClock};
use ops_railway::railway::sim::{Progress, RailwaySim, ServiceSeed};
use ops_railway::railway::{RailwayInventory, RailwayToken, RailwayTraffic};
use serde_json::{Value, json};

use crate::contract;
use crate::recording::{Exchange, Recording};
use crate::selection;

fn schema(test: &str) -> Option<Valid<Schema>> {
    let text = contract("paas/railway/schema.graphql", test)?;
    Some(Schema::parse_and_validate(text, "schema.graphql").unwrap())
}

/// Name and text of every document of the crate.
fn documents() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/railway/documents");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut documents: Vec<_> = files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    documents.sort();
    documents
}

/// Checks one document with its variables, and the answer if it has data.
fn check(schema: &Valid<Schema>, sent: &Value, received: Option<&Value>) -> Result<(), String> {
    let text = sent["query"].as_str().unwrap();
    let document = ExecutableDocument::parse_and_validate(schema, text, "sent.graphql")
        .map_err(|faults| faults.to_string())?;
    let operation = document
        .operations
        .get(sent["operationName"].as_str())
        .map_err(|fault| fault.message().to_string())?;
    let variables: JsonMap = serde_json::from_value(sent["variables"].clone()).unwrap();
    coerce_variable_values(schema, operation, &variables).map_err(|fault| fault.message().to_string())?;
    let data = received
        .map(|received| &received["data"])
        .filter(|data| !data.is_null());
    data.map_or(Ok(()), |data| {
        selection::check(schema, &operation.selection_set, data)
    })
}

/// Every way through the client, against the simulator.
async fn record() -> Vec<Exchange> {
    let faults = Faults::new();
    let sim = RailwaySim::new(faults.clone());
    sim.add_project_token("project", "prj-1", "env-1");
    let seed = |service: &str| ServiceSeed::new("prj-1", "env-1", service).unwrap();
    let rules = json!({"version": 1, "rules": [
        {"priority": 0, "enabled": true, "if": {"attr": "http.path", "op": "eq", "value": "/a"}, "then": {"action": "allow"}},
    ]});
    let mut crowded = seed("crowded");
    for number in 0..60 {
        crowded = crowded.with_pending(format!("q{number}"), Progress::NeedsApproval);
    }
    let targets = [
        sim.add_service(seed("plain").with_cron("0 * * * *")),
        sim.add_service(seed("full").with_edge_rules(rules).with_rule_limit(1)),
        sim.add_service(seed("inner").without_public_domain().with_running(["i1", "i2"])),
        sim.add_service(crowded),
        sim.add_service(seed("removed")),
        sim.add_service(seed("spoilt")),
    ];
    let server = LoopbackServer::start(Arc::<RailwaySim>::clone(&sim))
        .await
        .unwrap();
    let recording = Recording::new();
    let traffic = RailwayTraffic::builder()
        .with_transport(Arc::<Recording>::clone(&recording))
        .with_token(RailwayToken::Project("project".into()))
        .with_base_url(server.base_url())
        .with_clock(Arc::new(ManualClock::self_moving()))
        .build()
        .unwrap();
    let key = IdempotencyKey::for_step(&RunId::new("run_1").unwrap(), 0);
    for target in &targets {
        let prior = traffic.observe(target).await.unwrap();
        // The whole cannot be read once; the parts are.
        faults.add(FaultRule::on_all(Fault::Forbidden, "spoilt").times(1));
        traffic.stop(target, &key).await.unwrap();
        faults.clear();
        for _ in 0..3 {
            traffic.observe(target).await.unwrap();
        }
        if target.name().ends_with("removed") {
            sim.remove_deployment(target, "env-1-removed-d1");
            sim.expire_images(target);
            traffic.restore(prior.snapshot(), &key).await.unwrap_err();
        } else {
            traffic.restore(prior.snapshot(), &key).await.unwrap();
        }
        traffic.observe(target).await.unwrap();
    }
    sim.set_page(4);
    traffic.examine(&targets).await;
    let inventory = RailwayInventory::new(&traffic, "prj-1", "env-1").unwrap();
    assert_eq!(inventory.deployed().await.unwrap().services.len(), targets.len());
    recording.exchanges()
}

#[test]
fn every_document_is_valid() {
    let Some(schema) = schema("every_document_is_valid") else {
        return;
    };
    let documents = documents();
    assert!(documents.len() >= 12);
    for (name, text) in documents {
        let document = ExecutableDocument::parse_and_validate(&schema, text, &name)
            .unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(document.operations.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn every_document_is_sent_with_fitting_variables_and_answered_in_its_shape() {
    let Some(schema) = schema("every_document_is_sent_with_fitting_variables_and_answered_in_its_shape")
    else {
        return;
    };
    let exchanges = record().await;
    for exchange in &exchanges {
        assert_eq!((exchange.method, exchange.status), ("POST", 200));
        assert!(exchange.url.ends_with("/graphql/v2"), "{}", exchange.url);
        check(&schema, &exchange.sent, Some(&exchange.received))
            .unwrap_or_else(|fault| panic!("{fault}\n{}\n{}", exchange.sent, exchange.received));
    }
    let sent: BTreeSet<&str> = exchanges
        .iter()
        .map(|exchange| exchange.sent["query"].as_str().unwrap())
        .collect();
    for (name, text) in documents() {
        assert!(sent.contains(text.as_str()), "{name} was never sent");
    }
}

/// The vendor's documentation shows a rollback with a selection, but its schema says `Boolean!`.
#[test]
fn a_wrong_document_is_refused() {
    let Some(schema) = schema("a_wrong_document_is_refused") else {
        return;
    };
    let sent =
        |query: &str, variables: Value| json!({"query": query, "operationName": "A", "variables": variables});
    let id = json!({"id": "d1"});
    for (query, variables) in [
        (
            "mutation A($id: String!) { deploymentRollback(id: $id) { id status } }",
            id.clone(),
        ),
        ("mutation A($id: String!) { deploymentHalt(id: $id) }", id.clone()),
        (
            "mutation A($id: Int!) { deploymentStop(id: $id) }",
            json!({"id": 1}),
        ),
        (
            "mutation A($id: String!) { deploymentStop(id: $id) }",
            json!({"id": 1}),
        ),
        ("mutation A($id: String!) { deploymentStop(id: $id) }", json!({})),
        (
            "query A($i: DeploymentListInput!) { deployments(input: $i) { pageInfo { endCursor } } }",
            json!({"i": {"status": {"in": ["STUCK"]}}}),
        ),
    ] {
        assert!(
            check(&schema, &sent(query, variables.clone()), None).is_err(),
            "{query} {variables}"
        );
    }
    let right = sent("mutation A($id: String!) { done: deploymentStop(id: $id) }", id);
    assert_eq!(
        check(&schema, &right, Some(&json!({"data": {"done": true}}))),
        Ok(())
    );
    for wrong in [
        json!({"done": null}),
        json!({"done": "true"}),
        json!({}),
        json!({"done": true, "more": 1}),
    ] {
        assert!(
            check(&schema, &right, Some(&json!({"data": wrong}))).is_err(),
            "{wrong}"
        );
    }
    let list = sent(
        "query A($s: String!) { serviceInstance(environmentId: $s, serviceId: $s) { activeDeployments { status } } }",
        json!({"s": "x"}),
    );
    for wrong in [
        json!(null),
        json!([null]),
        json!([{"status": "STUCK"}]),
        json!({"status": "SUCCESS"}),
    ] {
        let data = json!({"data": {"serviceInstance": {"activeDeployments": wrong}}});
        assert!(check(&schema, &list, Some(&data)).is_err(), "{data}");
    }
}

/// A field of the vendor's service that is on no list may be one that a stop changes without anybody having looked.
#[test]
fn every_field_of_a_service_is_on_one_of_the_lists() {
    let Some(schema) = schema("every_field_of_a_service_is_on_one_of_the_lists") else {
        return;
    };
    let known = [
        ("ServiceInstance", SERVICE_INSTANCE),
        ("EdgeConfig", EDGE_CONFIG),
        ("ServiceInstanceAutoDeployStatus", AUTO_DEPLOY_STATUS),
    ];
    for (name, lists) in known {
        let Some(ExtendedType::Object(object)) = schema.types.get(name) else {
            panic!("{name} is no longer there");
        };
        let found: BTreeSet<&str> = object.fields.keys().map(|field| field.as_str()).collect();
        let listed: BTreeSet<&str> = lists.iter().flat_map(|(_, fields)| *fields).copied().collect();
        assert_eq!(found, listed, "{name}");
    }
}

type Lists = &'static [(&'static str, &'static [&'static str])];

const SERVICE_INSTANCE: Lists = &[
    ("restorable", &["activeDeployments", "edgeConfig"]),
    ("witness", &["latestDeployment"]),
    ("volatile", &["updatedAt", "nextCronRunAt"]),
    ("read for a caveat", &["cronSchedule", "domains"]),
    (
        "left alone by a stop",
        &[
            "buildCommand",
            "builder",
            "createdAt",
            "deletedAt",
            "dockerfilePath",
            "drainingSeconds",
            "environmentId",
            "healthcheckPath",
            "healthcheckTimeout",
            "id",
            "ipv6EgressEnabled",
            "isUpdatable",
            "nixpacksPlan",
            "numReplicas",
            "overlapSeconds",
            "preDeployCommand",
            "railpackInfo",
            "railwayConfigFile",
            "region",
            "restartPolicyMaxRetries",
            "restartPolicyType",
            "rootDirectory",
            "service",
            "serviceId",
            "serviceName",
            "sleepApplication",
            "source",
            "startCommand",
            "upstreamUrl",
            "watchPatterns",
        ],
    ),
];

const EDGE_CONFIG: Lists = &[
    ("restorable", &["edgeRules"]),
    (
        "left alone by a stop",
        &[
            "caching",
            "enabled",
            "id",
            "overrides",
            "purgeEpoch",
            "purgeEpochByKind",
            "underAttackModeUntil",
        ],
    ),
];

const AUTO_DEPLOY_STATUS: Lists = &[
    ("restorable", &["enabled"]),
    ("computed by the vendor", &["canEnable", "reason"]),
];
