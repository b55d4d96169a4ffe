//! Vercel: one project, paused and unpaused over its REST API.
//!
//! Pausing blocks the production deployment and, as a side effect, turns `autoAssignCustomDomains` off. Unpausing turns that
//! flag on, whatever it was before: after a rollback it is off on purpose, and an unpause alone would let the next push go live.
//! A stop is both: a project that is paused while the flag is on is only partly stopped, because a push would take over
//! production behind the pause; a stop then turns the flag off and leaves the pause as it is.
//!
//! # Restorable
//! `paused` and `auto_assign_custom_domains`. The witness is the deployment that serves production. Volatile, and in neither:
//! `lastRollbackTarget`, which the vendor clears by itself once a rollback has settled.

#[cfg(feature = "sim")]
pub mod sim;

mod builder;
mod client;
mod inventory;
mod readiness;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::error::{Error, ErrorKind, Result};
use ops_core::model::{Accepted, IdempotencyKey, Observation, Snapshot, TargetId, TargetState, Text};
use ops_core::ports::{TrafficCapability, TrafficController};
use serde_json::Value;

pub use self::builder::VercelTrafficBuilder;
use self::client::VercelClient;
pub use self::inventory::VercelInventory;
use self::wire::Project;
use crate::error::is_plain_id;

/// Stops and restores projects on Vercel.
///
/// The vendor has no place for a marker on a project, so a second machine sees that a project is paused, and not by which run.
///
/// # Waiting
/// [`restore`](TrafficController::restore) writes twice where `auto_assign_custom_domains` was off: the second write may only come
/// after the unpause has set its own value, and is then looked at again. Each of the two takes a few looks, and at most eight in
/// less than ten seconds by the clock given to the builder. An unpause that does not show in time ends in
/// [`ErrorKind::Timeout`] and can be repeated.
///
/// ```
/// use std::sync::Arc;
///
/// use ops_core::http::HttpTransport;
/// use ops_core::ports::Clock;
/// use ops_railway::vercel::VercelTraffic;
///
/// fn connect(
///     transport: Arc<dyn HttpTransport>,
///     clock: Arc<dyn Clock>,
///     token: secrecy::SecretString,
/// ) -> ops_core::error::Result<VercelTraffic> {
///     VercelTraffic::builder()
///         .with_transport(transport)
///         .with_clock(clock)
///         .with_token(token)
///         .with_team(Some("team_1".to_owned()))
///         .build()
/// }
/// ```
#[derive(Debug)]
pub struct VercelTraffic {
    client: Arc<VercelClient>,
}

const PROVIDER: &str = "vercel";

/// The field set of a snapshot, and its version.
const FORMAT: &str = "vercel/1";

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the look at a project may hold up its stop.
const GLANCE_TIMEOUT: Duration = Duration::from_secs(2);

/// The waits between looks at a project that is being unpaused.
const LOOKS: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(2500),
    Duration::from_millis(3500),
];

impl VercelTraffic {
    /// Starts collecting what is needed.
    pub fn builder() -> VercelTrafficBuilder {
        VercelTrafficBuilder::new()
    }

    /// The target `vercel:{project_id}`. It must be the project's id (`prj_…`): pausing by name is not possible.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless the id is 1 to 64 letters, digits, `-` and `_`.
    pub fn target(project_id: &str) -> Result<TargetId> {
        let target = TargetId::new(format!("vercel:{project_id}"))?;
        match parse(&target) {
            Some(_) => Ok(target),
            None => Err(wrong_form(ErrorKind::InvalidInput)),
        }
    }

    /// Reads the project; a name that was given in place of an id is refused here, before the vendor's 400 on pause.
    async fn read(&self, project: &str) -> Result<Project> {
        self.read_within(READ_TIMEOUT, project).await
    }

    async fn read_within(&self, timeout: Duration, project: &str) -> Result<Project> {
        let found = self.client.read(project, timeout).await?;
        if found.id != project {
            return Err(Error::new(ErrorKind::InvalidInput, "read project")
                .provider(PROVIDER)
                .context("target", "must hold the project's id, not its name"));
        }
        Ok(found)
    }

    /// Pauses or unpauses, and gives the project as it was last seen.
    ///
    /// Both also set the flag, some time after the answer: a pause to off, an unpause to on. With `wait`, that is waited for, so
    /// that a flag written afterwards is not overwritten.
    async fn switch(&self, project: &str, pause: bool, wait: bool) -> Result<Project> {
        if pause {
            self.client.pause(project).await?;
        } else {
            self.client.unpause(project).await?;
        }
        let mut found = self.read(project).await?;
        if !wait {
            return Ok(found);
        }
        for pace in LOOKS {
            if found.is_paused() == pause && found.auto_assigns() != pause {
                return Ok(found);
            }
            self.client.sleep(pace).await;
            found = self.read(project).await?;
        }
        if found.is_paused() != pause {
            return Err(Error::new(ErrorKind::Timeout, "restore")
                .provider(PROVIDER)
                .context(
                    if pause { "pause" } else { "unpause" },
                    "accepted, but not effective in time",
                )
                .context("auto_assign_custom_domains", "not written yet"));
        }
        Ok(found)
    }

    /// Writes the flag until two looks in a row find it as wanted: a pause or unpause whose answer was lost, and which was
    /// therefore sent twice, sets it twice.
    async fn keep_auto_assign(&self, project: &str, found: Project, wanted: bool) -> Result<()> {
        let mut found = found;
        let mut looks = 0;
        for pace in LOOKS {
            if found.auto_assigns() == wanted {
                looks += 1;
            } else {
                self.client.set_auto_assign(project, wanted).await?;
                looks = 0;
            }
            if looks == 2 {
                return Ok(());
            }
            self.client.sleep(pace).await;
            found = self.read(project).await?;
        }
        // Whoever set it again meanwhile is seen by the read-back.
        Ok(())
    }
}

#[async_trait]
impl TrafficController for VercelTraffic {
    fn capability(&self) -> TrafficCapability {
        let mut capability = TrafficCapability::default();
        capability.lets_running_requests_finish = true;
        capability.leaves_marker = false;
        capability.limitations = vec![
            Text::new(
                "CDN は max-age が切れるまでキャッシュを返し続けます。",
                "the CDN goes on serving cached pages until their max-age has passed",
            ),
            Text::new(
                "止まるのは本番デプロイだけです（プレビューと cron は未文書）。",
                "only production is blocked; previews and cron jobs meanwhile are undocumented",
            ),
            Text::new(
                "復旧は一度に全体を開きます（一時停止に割合の指定はありません）。",
                "a restore opens the project as a whole: a pause has no share",
            ),
        ];
        capability
    }

    async fn observe(&self, target: &TargetId) -> Result<Observation> {
        let found = self.read(project_of(target)?).await?;
        let state = match (found.is_paused(), found.auto_assigns()) {
            (true, false) => TargetState::Stopped,
            (true, true) => TargetState::PartlyStopped,
            (false, _) => TargetState::Serving,
        };
        let snapshot = Snapshot::new(target.clone(), FORMAT)
            .with_field("paused", found.is_paused())
            .with_field("auto_assign_custom_domains", found.auto_assigns())
            .with_witness("production_deployment", found.production().map(str::to_owned));
        let observation = Observation::new(snapshot, state);
        Ok(match state {
            TargetState::Stopped | TargetState::PartlyStopped => observation.with_caveat(Text::new(
                "キャッシュ済みのページは、まだ表示されることがあります。",
                "pages that the CDN has cached may still be shown",
            )),
            _ => observation,
        })
    }

    async fn stop(&self, target: &TargetId, _key: &IdempotencyKey) -> Result<Accepted> {
        let project = project_of(target)?;
        match self.read_within(GLANCE_TIMEOUT, project).await {
            // A second pause would write the flag once more, some time later.
            Ok(found) if found.is_paused() && !found.auto_assigns() => return Ok(Accepted::new()),
            Ok(found) if found.is_paused() => {
                self.client.set_auto_assign(project, false).await?;
                return Ok(Accepted::with_receipt("auto-assign off"));
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(error),
            // A stop needs no read: without one it is tried all the same.
            _ => {}
        }
        self.client.pause(project).await?;
        Ok(Accepted::with_receipt("pause"))
    }

    async fn restore(&self, prior: &Snapshot, _key: &IdempotencyKey) -> Result<Accepted> {
        let project = project_of(prior.target())?;
        let (paused, auto_assign) = read_snapshot(prior)?;
        let mut found = self.read(project).await?;
        let switch = match paused {
            true => !found.is_paused(),
            // Even if the project seems unpaused, because a pause that was accepted a moment ago may still come. Not where it
            // already looks as an unpause would leave it, and the flag is to end up off: there would be nothing to wait for.
            false => auto_assign || found.is_paused() || !found.auto_assigns(),
        };
        let sets_another_value = auto_assign == paused;
        if switch {
            found = self.switch(project, paused, sets_another_value).await?;
        }
        if sets_another_value {
            self.keep_auto_assign(project, found, auto_assign).await?;
        } else if found.auto_assigns() != auto_assign {
            self.client.set_auto_assign(project, auto_assign).await?;
        }
        Ok(Accepted::with_receipt(if paused { "pause" } else { "unpause" }))
    }
}

fn parse(target: &TargetId) -> Option<&str> {
    target
        .as_str()
        .strip_prefix("vercel:")
        .filter(|project| is_plain_id(project))
}

/// The project that the caller of a port means; an id of another form is one that no project can have.
fn project_of(target: &TargetId) -> Result<&str> {
    parse(target).ok_or_else(|| wrong_form(ErrorKind::NotFound))
}

fn wrong_form(kind: ErrorKind) -> Error {
    Error::new(kind, "read target").provider(PROVIDER).context(
        "target",
        "must be vercel:PROJECT_ID, an id of letters, digits, - and _",
    )
}

/// Reads `paused` and `auto_assign_custom_domains`.
fn read_snapshot(snapshot: &Snapshot) -> Result<(bool, bool)> {
    let wrong = |what: &'static str| {
        Error::new(ErrorKind::InvalidInput, "read snapshot")
            .provider(PROVIDER)
            .context("snapshot", what)
    };
    if snapshot.format() != FORMAT {
        return Err(wrong("is of another format"));
    }
    let flag = |name: &str| snapshot.field(name).and_then(Value::as_bool);
    Ok((
        flag("paused").ok_or_else(|| wrong("paused must be true or false"))?,
        flag("auto_assign_custom_domains")
            .ok_or_else(|| wrong("auto_assign_custom_domains must be true or false"))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_project_id() {
        assert_eq!(VercelTraffic::target("prj_a1").unwrap().as_str(), "vercel:prj_a1");
        for wrong in ["", "a/b", "..", "a?teamId=x", "a b", "プロジェクト"] {
            assert_eq!(
                VercelTraffic::target(wrong).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{wrong}"
            );
        }
        assert!(project_of(&TargetId::new("railway:a").unwrap()).is_err());
    }

    #[test]
    fn a_snapshot_must_hold_both_flags() {
        let target = VercelTraffic::target("prj_a1").unwrap();
        let whole = Snapshot::new(target.clone(), FORMAT)
            .with_field("paused", false)
            .with_field("auto_assign_custom_domains", true);
        assert_eq!(read_snapshot(&whole).unwrap(), (false, true));
        for wrong in [
            Snapshot::new(target.clone(), "railway/1"),
            Snapshot::new(target, FORMAT).with_field("paused", true),
            whole.with_field("paused", "no"),
        ] {
            assert_eq!(read_snapshot(&wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
