//! The way back: containers, then auto-deploy, then the edge, so that the door opens last.

use std::collections::BTreeSet;

use ops_core::error::{Error, ErrorKind, Result, Retry};
use ops_core::model::{Accepted, Snapshot};
use serde_json::Value;

use super::client::RailwayClient;
use super::parts::Parts;
use super::reading::Reading;
use super::target::ServiceRef;
use super::{FORMAT, PROVIDER};

/// The fields of a snapshot of this provider.
#[derive(Debug, PartialEq)]
pub(super) struct PriorState {
    edge_rules: Value,
    auto_deploy: bool,
    running: BTreeSet<String>,
}

impl PriorState {
    /// Reads a snapshot.
    ///
    /// # Errors
    /// `InvalidInput` for another format, a missing field or one of another type.
    pub(super) fn read(snapshot: &Snapshot) -> Result<Self> {
        let wrong = |what: &'static str| {
            Error::new(ErrorKind::InvalidInput, "read snapshot")
                .provider(PROVIDER)
                .context("snapshot", what)
        };
        if snapshot.format() != FORMAT {
            return Err(wrong("is of another format"));
        }
        let running = snapshot
            .field("running")
            .and_then(|running| serde_json::from_value(running.clone()).ok())
            .ok_or_else(|| wrong("running must be a list of deployment ids"))?;
        Ok(Self {
            edge_rules: snapshot
                .field("edge_rules")
                .cloned()
                .ok_or_else(|| wrong("edge_rules is missing"))?,
            auto_deploy: snapshot
                .field("auto_deploy")
                .and_then(Value::as_bool)
                .ok_or_else(|| wrong("auto_deploy must be true or false"))?,
            running,
        })
    }
}

/// Writes back `prior`. Each part is only tried when those before it were accepted: half a service behind a closed door is
/// better than half a service behind an open one.
pub(super) async fn restore(
    client: &RailwayClient,
    service: &ServiceRef,
    prior: &PriorState,
) -> Result<Accepted> {
    let found = client.read(service).await?;
    let mut parts = Parts::default();
    for id in &prior.running {
        if !is_up(&found, id) {
            revive(client, service, id, prior).await?;
            parts.record(format!("restart of {id}"), Ok(()));
        }
    }
    for id in others(&found, prior) {
        client.stop(id).await?;
        parts.record(format!("stop of {id}"), Ok(()));
    }
    if found.auto_deploy != prior.auto_deploy {
        client.set_auto_deploy(service, prior.auto_deploy).await?;
        parts.record("auto-deploy", Ok(()));
    }
    if *found.instance.edge_section() != prior.edge_rules {
        client.write_edge_rules(service, &prior.edge_rules).await?;
        parts.record("edge rules", Ok(()));
    }
    parts.finish("restore")
}

/// Brings the stopped deployment `id` back. All that is known about how this vendor does it is in this one function.
///
/// The exact way is a restart: the same deployment, no build. It is not documented that a restart revives a stopped
/// deployment. Where the vendor refuses, a rollback to the same deployment, or a redeployment of its image, makes a *new*
/// deployment: that serves the same program, but it is not what was there before, so it ends in an error. The door stays
/// closed and a person decides. A second call does not start a second replacement.
///
/// Since a replacement cannot be taken back, it needs two refusals that name their reason, with a look between them. Any
/// other error is given to the caller, who may try again.
async fn revive(client: &RailwayClient, service: &ServiceRef, id: &str, prior: &PriorState) -> Result<()> {
    let first = match client.restart(id).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    if !is_refusal(&first) && first.kind() != ErrorKind::Unexpected {
        return Err(first);
    }
    let found = client.read(service).await?;
    if is_up(&found, id) {
        return Ok(());
    }
    if !is_refusal(&first) {
        return Err(unclear(first, id));
    }
    let refusal = match client.restart(id).await {
        Ok(()) => return Ok(()),
        Err(error) if is_refusal(&error) => error,
        Err(error) if error.kind() == ErrorKind::Unexpected => return Err(unclear(error, id)),
        Err(error) => return Err(error),
    };
    let inexact = |instead: &'static str| {
        Error::new(ErrorKind::Conflict, "restore")
            .provider(PROVIDER)
            .with_retry(Retry::Never)
            .context("deployment", id)
            .context("instead", instead)
            .context("left", "auto-deploy and edge rules as the stop set them")
    };
    if !found.pending.is_empty() || others(&found, prior).next().is_some() {
        return Err(inexact("another deployment runs or is in progress").source(refusal));
    }
    match client.roll_back(id).await {
        Ok(()) => Err(inexact("a rollback makes a new deployment of it").source(refusal)),
        Err(error) if is_refusal(&error) => {
            client.redeploy(id).await?;
            Err(inexact("a redeployment makes a new deployment of its image").source(refusal))
        }
        Err(error) => Err(error),
    }
}

/// Whether the vendor says that this deployment cannot, as opposed to: not now, not for you, not in this form, or something
/// that nobody understands.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Unsupported
    )
}

/// An error without a reason, met on a restart: worth another try, as restarting what was restarted is harmless.
fn unclear(error: Error, id: &str) -> Error {
    error
        .with_retry(Retry::Safe)
        .context("deployment", id)
        .context("left", "auto-deploy and edge rules as the stop set them")
}

/// Whether `id` runs and is not on its way down: a stop that was accepted shortly before would still end it.
fn is_up(found: &Reading, id: &str) -> bool {
    found
        .instance
        .alive()
        .any(|deployment| deployment.id == id && !deployment.is_stopping())
}

/// The deployments that run and did not before.
fn others<'a>(found: &'a Reading, prior: &'a PriorState) -> impl Iterator<Item = &'a str> {
    found
        .instance
        .alive()
        .map(|deployment| deployment.id.as_str())
        .filter(|id| !prior.running.contains(*id))
}

#[cfg(test)]
mod tests {
    use ops_core::model::TargetId;
    use serde_json::json;

    use super::*;

    fn snapshot(format: &str) -> Snapshot {
        Snapshot::new(TargetId::new("railway:p/e/s").unwrap(), format)
    }

    #[test]
    fn a_snapshot_must_hold_every_field_in_its_type() {
        let whole = snapshot(FORMAT)
            .with_field("edge_rules", Value::Null)
            .with_field("auto_deploy", true)
            .with_field("running", json!(["d1"]));
        assert_eq!(PriorState::read(&whole).unwrap().edge_rules, Value::Null);
        for wrong in [
            snapshot("vercel/1"),
            snapshot(FORMAT),
            whole.clone().with_field("auto_deploy", "yes"),
            whole.with_field("running", json!([1])),
        ] {
            assert_eq!(
                PriorState::read(&wrong).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
    }
}
