//! What a stop and a restore need of Vercel, found out by reading.

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind};
use ops_core::messages::{
    NO_DRY_WAY, need_clock, need_reachable, need_readable_service, need_right_to_write, need_scope,
    need_valid_credential,
};
use ops_core::model::{Check, TargetId, Text};
use ops_core::ports::ReadinessProbe;

use super::{PROVIDER, READ_TIMEOUT, VercelTraffic, project_of};

#[async_trait]
impl ReadinessProbe for VercelTraffic {
    fn limitations(&self) -> Vec<Text> {
        vec![
            Text::new(
                "Vercel: 一時停止の権限を書き込まずに確かめる方法がありません。トークン、チーム、プロジェクトの読み取りまでを確かめます",
                "Vercel: there is no dry way to prove the right to pause; token, team and the reading of each project are what is proven",
            ),
            Text::new(
                "Vercel: トークンに停止と復旧に不要な権限がないかどうかは調べられません。発行元で確かめてください",
                "Vercel: whether the token may do more than a stop and a restore need is not told; look where it was issued",
            ),
        ]
    }

    async fn examine(&self, targets: &[TargetId]) -> Vec<Check> {
        let mut services = Vec::new();
        let (mut read, mut date, mut outage) = (false, None, None);
        let (mut dead, mut foreign) = (None, None);
        for target in targets {
            let need = need_readable_service(target.as_str());
            let project = match project_of(target) {
                Ok(project) => project,
                Err(error) => {
                    services.push(need.failed(&error));
                    continue;
                }
            };
            match self.client.glance(project, READ_TIMEOUT).await {
                Ok((found, at)) => {
                    (read, date) = (true, at.or(date));
                    // A read takes a name, a pause does not.
                    services.push(match found.id == project {
                        true => need.ready(),
                        false => need.missing("ops.toml holds the project's name; a pause takes its id only"),
                    });
                }
                Err(error) => {
                    services.push(need.failed(&error));
                    let place = match error.kind() {
                        ErrorKind::Unauthenticated => &mut dead,
                        ErrorKind::PermissionDenied => &mut foreign,
                        ErrorKind::NotFound => {
                            // Whoever says what is not there has accepted the token.
                            read = true;
                            continue;
                        }
                        _ => &mut outage,
                    };
                    *place = Some(error);
                }
            }
        }
        let mut checks = vec![match (&outage, read || dead.is_some() || foreign.is_some()) {
            (Some(error), false) => need_reachable(PROVIDER).failed(error),
            (None, false) => need_reachable(PROVIDER).unknown(NOTHING),
            (_, true) => need_reachable(PROVIDER).ready(),
        }];
        checks.push(self.credential(read, dead.as_ref(), foreign.as_ref()));
        if foreign.is_some() || read {
            let scope = need_scope(&match self.client.team() {
                Some(team) => format!("{PROVIDER}: team {team}"),
                None => format!("{PROVIDER}: personal account"),
            });
            checks.push(match &foreign {
                Some(error) => scope.failed(error),
                None => scope.ready(),
            });
        }
        if date.is_some() {
            checks.push(need_clock(PROVIDER).same_time(self.client.now(), date));
        }
        if read {
            let need = need_right_to_write(PROVIDER);
            checks.push(need.unknown(NO_DRY_WAY));
        }
        checks.extend(services);
        checks
    }
}

impl VercelTraffic {
    fn credential(&self, read: bool, dead: Option<&Error>, foreign: Option<&Error>) -> Check {
        let need = need_valid_credential(PROVIDER);
        match dead {
            Some(error) => need.failed(error),
            None if read || foreign.is_some() => need.ready(),
            None => need.unknown(NOTHING),
        }
    }
}

const NOTHING: &str = "no project to try it on";
