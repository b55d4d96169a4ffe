//! What a stop and a restore need of Railway, found out by reading.

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::messages::{
    NO_DRY_WAY, need_accepted_rule, need_clock, need_reachable, need_readable_service, need_right_to_write,
    need_scope, need_valid_credential,
};
use ops_core::model::{Check, TargetId, Text};
use ops_core::ports::ReadinessProbe;

use super::client::RailwayClient;
use super::target::ServiceRef;
use super::wire::ProjectToken;
use super::{PROVIDER, RailwayTraffic, stop_rule};

#[async_trait]
impl ReadinessProbe for RailwayTraffic {
    fn limitations(&self) -> Vec<Text> {
        vec![
            Text::new(
                "Railway: 書き込みの権限を書き込まずに確かめる方法がありません。トークンの範囲、各サービスの読み取り、停止ルールの試行までを確かめます",
                "Railway: there is no dry way to prove the right to write; the scope of the token, the reading of each service and the dry run of the stop rule are what is proven",
            ),
            Text::new(
                "Railway: トークンに停止と復旧に不要な権限がないかどうかは調べられません。発行元で確かめてください",
                "Railway: whether the token may do more than a stop and a restore need is not told; look where it was issued",
            ),
        ]
    }

    /// An introduction, then two requests a service: the smallest plan allows 100 an hour.
    async fn examine(&self, targets: &[TargetId]) -> Vec<Check> {
        let client = &self.client;
        let introduced = client.introduce().await;
        let mut checks = vec![match &introduced {
            Ok(_) => need_reachable(PROVIDER).ready(),
            Err(error) => need_reachable(PROVIDER).failed(error),
        }];
        if let Ok((_, date)) = &introduced {
            checks.push(need_clock(PROVIDER).same_time(client.now(), *date));
        }
        let scope = introduced.and_then(|(scope, _)| scope);
        let mut services = Vec::new();
        let (mut read, mut refusal) = (false, None);
        for target in targets {
            let service = match ServiceRef::of(target) {
                Ok(service) => service,
                Err(error) => {
                    services.push(need_readable_service(target.as_str()).failed(&error));
                    continue;
                }
            };
            if client.is_bound() {
                services.push(scope_of(target, &service, &scope));
            }
            match examine_service(client, target, &service).await {
                Ok(found) => {
                    read = true;
                    services.extend(found);
                }
                Err(error) => {
                    services.push(need_readable_service(target.as_str()).failed(&error));
                    refusal = Some(error);
                }
            }
        }
        let credential = need_valid_credential(PROVIDER);
        checks.push(match (client.is_bound(), &scope, refusal) {
            (true, Ok(_), _) => credential.ready(),
            (true, Err(error), _) => credential.failed(error),
            // A token of another sort says nothing of itself: that a service could be read is the proof.
            (false, _, _) if read => credential.ready(),
            (false, _, Some(error)) => credential.failed(&error),
            (false, _, None) => credential.unknown("no service to try it on"),
        });
        if read {
            checks.push(need_right_to_write(PROVIDER).unknown(NO_DRY_WAY));
        }
        checks.extend(services);
        checks
    }
}

fn scope_of(target: &TargetId, service: &ServiceRef, scope: &Result<ProjectToken>) -> Check {
    let need = need_scope(target.as_str());
    match scope {
        Ok(scope) if scope.project_id != service.project => need.missing("is bound to another project"),
        Ok(scope) if scope.environment_id != service.environment => {
            need.missing("is bound to another environment")
        }
        Ok(_) => need.ready(),
        Err(error) => need.failed(error),
    }
}

async fn examine_service(
    client: &RailwayClient,
    target: &TargetId,
    service: &ServiceRef,
) -> Result<Vec<Check>> {
    let reading = client.read(service).await?;
    let mut checks = vec![need_readable_service(target.as_str()).ready()];
    if !reading.instance.has_public_domain() {
        return Ok(checks);
    }
    // The vendor's own dry run: a query, of what a stop would write.
    let section = reading.instance.edge_section();
    let mut taken: Result<bool> = Ok(false);
    let candidates = stop_rule::prepended(section, DRY_RUN).into_iter();
    for rules in candidates.chain([stop_rule::alone(DRY_RUN)]) {
        taken = client.takes_edge_rules(service, &rules).await;
        if !matches!(taken, Ok(false)) {
            break;
        }
    }
    let need = need_accepted_rule(target.as_str());
    checks.push(match taken {
        Ok(true) => need.ready(),
        Ok(false) => need.missing("the vendor refuses it; the containers would still be stopped"),
        Err(error) => need.failed(&spelled(error)),
    });
    Ok(checks)
}

/// "Not found" of the dry run is the service's, which was just read.
fn spelled(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::new(ErrorKind::Unexpected, "try the stop rule").provider(PROVIDER),
        _ => error,
    }
}

const DRY_RUN: &str = "ops-doctor";
