//! What goes over the wire, one type per document.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::graphql::Operation;

/// A deployment's status. The vendor's documentation lists fewer than its schema has, so further ones are to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DeploymentStatus {
    Building,
    Crashed,
    Deploying,
    Failed,
    Initializing,
    NeedsApproval,
    Queued,
    Removed,
    Removing,
    Skipped,
    Sleeping,
    Success,
    Waiting,
    #[serde(other, skip_serializing)]
    Unknown,
}

impl DeploymentStatus {
    /// The states from which a deployment goes live by itself, or after an approval, unless it is cancelled.
    pub(super) const IN_PROGRESS: [Self; 6] = [
        Self::Building,
        Self::Queued,
        Self::Waiting,
        Self::NeedsApproval,
        Self::Initializing,
        Self::Deploying,
    ];
}

/// The state of one running copy of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum InstanceStatus {
    Crashed,
    Created,
    Exited,
    Initializing,
    Removed,
    Removing,
    Restarting,
    Running,
    Skipped,
    Stopped,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceInstance {
    pub(super) cron_schedule: Option<String>,
    pub(super) latest_deployment: Option<LatestDeployment>,
    pub(super) active_deployments: Vec<ActiveDeployment>,
    pub(super) edge_config: Option<EdgeConfig>,
    pub(super) domains: Domains,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct LatestDeployment {
    pub(super) id: String,
    pub(super) status: DeploymentStatus,
    pub(super) meta: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActiveDeployment {
    pub(super) id: String,
    pub(super) status: DeploymentStatus,
    pub(super) deployment_stopped: bool,
    pub(super) instances: Vec<Instance>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Instance {
    pub(super) status: InstanceStatus,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EdgeConfig {
    pub(super) edge_rules: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Domains {
    pub(super) service_domains: Vec<Id>,
    pub(super) custom_domains: Vec<Id>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Id {
    #[serde(rename = "id")]
    pub(super) _id: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct AutoDeploy {
    pub(super) enabled: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    pub(super) edges: Vec<Edge>,
    pub(super) page_info: PageInfo,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Edge {
    pub(super) node: Node,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Node {
    pub(super) id: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    pub(super) end_cursor: Option<String>,
}

/// The filter that selects the deployments in progress of one service.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeploymentListInput<'a> {
    pub(super) project_id: &'a str,
    pub(super) environment_id: &'a str,
    pub(super) service_id: &'a str,
    pub(super) status: DeploymentStatusInput,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct DeploymentStatusInput {
    pub(super) r#in: [DeploymentStatus; 6],
}

/// Which environment a project token is bound to.
#[derive(Serialize)]
pub(super) struct TokenScope {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenScopeData {
    pub(super) project_token: ProjectToken,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectToken {
    pub(super) project_id: String,
    pub(super) environment_id: String,
}

impl Operation for TokenScope {
    const NAME: &'static str = "TokenScope";
    const DOCUMENT: &'static str = include_str!("documents/token_scope.graphql");
    const VERB: &'static str = "read token scope";
    type Data = TokenScopeData;
}

/// One page of the services of an environment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvironmentServices<'a> {
    pub(super) environment_id: &'a str,
    pub(super) project_id: &'a str,
    pub(super) first: u32,
    pub(super) after: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EnvironmentServicesData {
    pub(super) environment: Environment,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    pub(super) service_instances: ServiceConnection,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceConnection {
    pub(super) edges: Vec<ServiceEdge>,
    pub(super) page_info: PageInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServiceEdge {
    pub(super) node: ListedService,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedService {
    pub(super) service_id: String,
    pub(super) service_name: String,
    pub(super) deleted_at: Option<String>,
}

impl Operation for EnvironmentServices<'_> {
    const NAME: &'static str = "EnvironmentServices";
    const DOCUMENT: &'static str = include_str!("documents/environment_services.graphql");
    const VERB: &'static str = "list services";
    type Data = EnvironmentServicesData;
}

/// All that an observation needs, in one request: the smallest plan allows 100 an hour.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceState<'a> {
    pub(super) project_id: &'a str,
    pub(super) environment_id: &'a str,
    pub(super) service_id: &'a str,
    pub(super) pending: DeploymentListInput<'a>,
    pub(super) first: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceStateData {
    pub(super) service_instance: ServiceInstance,
    pub(super) service_instance_auto_deploy_status: AutoDeploy,
    pub(super) deployments: Connection,
}

impl Operation for ServiceState<'_> {
    const NAME: &'static str = "ServiceState";
    const DOCUMENT: &'static str = include_str!("documents/service_state.graphql");
    const VERB: &'static str = "read service";
    type Data = ServiceStateData;
}

/// The part of [`ServiceState`] about the service itself, for a token that may not read the whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadInstance<'a> {
    pub(super) environment_id: &'a str,
    pub(super) service_id: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadInstanceData {
    pub(super) service_instance: ServiceInstance,
}

impl Operation for ReadInstance<'_> {
    const NAME: &'static str = "ServiceInstance";
    const DOCUMENT: &'static str = include_str!("documents/service_instance.graphql");
    const VERB: &'static str = "read service instance";
    type Data = ReadInstanceData;
}

/// One page of the deployments in progress.
#[derive(Serialize)]
pub(super) struct PendingDeployments<'a> {
    pub(super) pending: DeploymentListInput<'a>,
    pub(super) first: u32,
    pub(super) after: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PendingDeploymentsData {
    pub(super) deployments: Connection,
}

impl Operation for PendingDeployments<'_> {
    const NAME: &'static str = "PendingDeployments";
    const DOCUMENT: &'static str = include_str!("documents/pending_deployments.graphql");
    const VERB: &'static str = "list deployments in progress";
    type Data = PendingDeploymentsData;
}

#[derive(Serialize)]
pub(super) struct AutoDeployUpdate<'a> {
    pub(super) input: AutoDeployInput<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AutoDeployInput<'a> {
    pub(super) project_id: &'a str,
    pub(super) environment_id: &'a str,
    pub(super) service_id: &'a str,
    pub(super) enabled: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AutoDeployUpdateData {
    pub(super) service_instance_auto_deploy_update: AutoDeploy,
}

impl Operation for AutoDeployUpdate<'_> {
    const NAME: &'static str = "AutoDeployUpdate";
    const DOCUMENT: &'static str = include_str!("documents/auto_deploy_update.graphql");
    const VERB: &'static str = "switch auto-deploy";
    type Data = AutoDeployUpdateData;
}

/// The input of both edge rule documents; `edge_rules` as null clears the section.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EdgeRulesInput<'a> {
    pub(super) environment_id: &'a str,
    pub(super) service_id: &'a str,
    pub(super) edge_rules: &'a Value,
}

#[derive(Serialize)]
pub(super) struct ValidateEdgeRules<'a> {
    pub(super) input: EdgeRulesInput<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ValidateEdgeRulesData {
    pub(super) validate_service_edge_rules: Vec<Value>,
}

impl Operation for ValidateEdgeRules<'_> {
    const NAME: &'static str = "ValidateEdgeRules";
    const DOCUMENT: &'static str = include_str!("documents/validate_edge_rules.graphql");
    const VERB: &'static str = "check edge rules";
    type Data = ValidateEdgeRulesData;
}

#[derive(Serialize)]
pub(super) struct UpdateEdgeRules<'a> {
    pub(super) input: EdgeRulesInput<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateEdgeRulesData {
    #[serde(rename = "updateServiceEdgeRules")]
    pub(super) _written: Id,
}

impl Operation for UpdateEdgeRules<'_> {
    const NAME: &'static str = "UpdateEdgeRules";
    const DOCUMENT: &'static str = include_str!("documents/update_edge_rules.graphql");
    const VERB: &'static str = "write edge rules";
    type Data = UpdateEdgeRulesData;
}

/// The answer of a mutation that says only whether it was taken.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    pub(super) done: bool,
}

macro_rules! deployment_mutation {
    ($name:ident, $document:literal, $verb:literal) => {
        #[derive(Serialize)]
        pub(super) struct $name<'a> {
            pub(super) id: &'a str,
        }

        impl Operation for $name<'_> {
            const NAME: &'static str = stringify!($name);
            const DOCUMENT: &'static str = include_str!($document);
            const VERB: &'static str = $verb;
            type Data = Done;
        }
    };
}

deployment_mutation!(
    DeploymentStop,
    "documents/deployment_stop.graphql",
    "stop deployment"
);
deployment_mutation!(
    DeploymentCancel,
    "documents/deployment_cancel.graphql",
    "cancel deployment"
);
deployment_mutation!(
    DeploymentRestart,
    "documents/deployment_restart.graphql",
    "restart deployment"
);
deployment_mutation!(
    DeploymentRollback,
    "documents/deployment_rollback.graphql",
    "roll back deployment"
);

/// Starts a deployment anew with the image it had. The answer is a new deployment.
#[derive(Serialize)]
pub(super) struct DeploymentRedeploy<'a> {
    pub(super) id: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeploymentRedeployData {
    #[serde(rename = "deploymentRedeploy")]
    pub(super) _new: Id,
}

impl Operation for DeploymentRedeploy<'_> {
    const NAME: &'static str = "DeploymentRedeploy";
    const DOCUMENT: &'static str = include_str!("documents/deployment_redeploy.graphql");
    const VERB: &'static str = "redeploy";
    type Data = DeploymentRedeployData;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's documentation lists 10 of the 13 states of its schema: more may come, and must not break a read.
    #[test]
    fn an_unknown_status_is_read() {
        let status: DeploymentStatus = serde_json::from_str("\"HIBERNATING\"").unwrap();
        assert_eq!(status, DeploymentStatus::Unknown);
        let status: InstanceStatus = serde_json::from_str("\"PARKED\"").unwrap();
        assert_eq!(status, InstanceStatus::Unknown);
        assert_eq!(
            serde_json::to_string(&DeploymentStatus::NeedsApproval).unwrap(),
            "\"NEEDS_APPROVAL\""
        );
    }
}
