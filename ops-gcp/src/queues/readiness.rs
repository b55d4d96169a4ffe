use async_trait::async_trait;
use ops_core::error::Result;
use ops_core::http::{HttpRequest, Method};
use ops_core::messages::need_queue_permission;
use ops_core::model::{Check, TargetId, Text};
use ops_core::ports::ReadinessProbe;
use serde_json::json;

use super::GcpQueues;
use super::client::PROVIDER;
use super::item::Item;
use crate::error::from_response;
use crate::readiness;
use crate::run::project_permissions_path;

/// What listing the queues needs on the project, besides reading the services. A stop needs none of it.
pub const REQUIRED: &[&str] = &[
    "cloudscheduler.jobs.list",
    "cloudtasks.queues.list",
    "cloudtasks.tasks.list",
    "monitoring.timeSeries.list",
    "pubsub.subscriptions.list",
];

#[async_trait]
impl ReadinessProbe for GcpQueues {
    fn limitations(&self) -> Vec<Text> {
        let inspectors = self.inspectors();
        inspectors
            .iter()
            .flat_map(|inspector| inspector.limitations())
            .collect()
    }

    /// The permissions are the project's: a target that is named has the same line.
    async fn examine(&self, targets: &[TargetId]) -> Vec<Check> {
        let granted = self.granted().await;
        let project = &self.client.project;
        let mut checks = vec![readiness::credential("Google Cloud (queues)", &granted)];
        let subjects = std::iter::once(project.as_str()).chain(targets.iter().map(TargetId::as_str));
        for subject in subjects {
            checks.extend(REQUIRED.iter().map(|permission| {
                readiness::permission(need_queue_permission(subject, permission), permission, &granted)
            }));
        }
        checks
    }
}

impl GcpQueues {
    /// A POST that the vendor documents as changing nothing.
    async fn granted(&self) -> Result<Vec<String>> {
        let client = &self.client;
        let url = format!(
            "{}{}",
            client.resource_manager,
            project_permissions_path(&client.project)
        );
        let request = HttpRequest::new(Method::Post, url).with_json(&json!({"permissions": REQUIRED}))?;
        let response = client.ask(request).await?;
        if !response.is_success() {
            return Err(from_response(&response, "test permissions", PROVIDER));
        }
        // Absent when nothing is granted.
        Ok(Item::new(response.json()?).texts("/permissions"))
    }
}
