//! The way down: nothing new, no visitor, no container.

use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Accepted, TargetState};
use serde_json::Value;

use super::client::RailwayClient;
use super::parts::Parts;
use super::reading::Reading;
use super::stop_rule;
use super::target::ServiceRef;
use super::wire::ServiceInstance;

/// As much of a service as could be read.
struct Found {
    instance: Result<ServiceInstance>,
    /// `None`: could not be read, so it is switched off without looking.
    auto_deploy: Option<bool>,
    pending: Result<Vec<String>>,
}

/// Stops `service`: auto-deploy off, then the edge rule, then the containers, then what is about to go live.
///
/// Every part is tried whatever became of the others. The deployments are read again after auto-deploy is off, so that a
/// push in between does not start what the stop has not seen.
pub(super) async fn stop(client: &RailwayClient, service: &ServiceRef, run: &str) -> Result<Accepted> {
    let mut found = match client.read(service).await {
        Ok(reading) if reading.state() == TargetState::Stopped => return Ok(Accepted::new()),
        Ok(reading) => Found::from(reading),
        Err(error) if parts_may_be_readable(&error) => Found {
            instance: client.read_instance(service).await,
            auto_deploy: None,
            pending: client.read_pending(service).await,
        },
        Err(error) => return Err(error),
    };
    let mut parts = Parts::default();
    if found.auto_deploy != Some(false) {
        parts.record("auto-deploy off", client.set_auto_deploy(service, false).await);
    }
    if let Ok(instance) = &found.instance
        && instance.has_public_domain()
        && !stop_rule::blocks_everything(instance.edge_section())
    {
        let closed = close_edge(client, service, instance.edge_section(), run).await;
        parts.record("edge rule", closed);
    }
    if found.auto_deploy == Some(true)
        && let Ok(reading) = client.read(service).await
    {
        found = Found::from(reading);
    }
    match found.instance {
        Ok(instance) => {
            for deployment in instance.alive() {
                let id = &deployment.id;
                parts.record(format!("stop of {id}"), client.stop(id).await);
            }
        }
        // Rules that were not read are not overwritten: no snapshot may hold them.
        Err(error) => parts.record("edge rule and running deployments", Err(error)),
    }
    match found.pending {
        Ok(pending) => {
            for id in &pending {
                parts.record(format!("cancel of {id}"), client.cancel(id).await);
            }
        }
        Err(error) => parts.record("deployments in progress", Err(error)),
    }
    parts.finish("stop")
}

/// Puts the stop rule before the existing ones, or in their place where the plan allows no further rule.
///
/// The dry run only chooses between the two; where it cannot be had, the write itself decides.
async fn close_edge(client: &RailwayClient, service: &ServiceRef, section: &Value, run: &str) -> Result<()> {
    let alone = stop_rule::alone(run);
    let Some(before_others) = stop_rule::prepended(section, run) else {
        return client.write_edge_rules(service, &alone).await;
    };
    if let Ok(false) = client.takes_edge_rules(service, &before_others).await {
        return client.write_edge_rules(service, &alone).await;
    }
    match client.write_edge_rules(service, &before_others).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            client.write_edge_rules(service, &alone).await
        }
        written => written,
    }
}

impl From<Reading> for Found {
    fn from(reading: Reading) -> Self {
        Self {
            instance: Ok(reading.instance),
            auto_deploy: Some(reading.auto_deploy),
            pending: Ok(reading.pending),
        }
    }
}

/// One field that this token may not read spoils the whole answer; the others may be readable by themselves.
fn parts_may_be_readable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unexpected)
}
