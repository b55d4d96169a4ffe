//! What one read of a service shows. Pure.

use std::collections::BTreeSet;

use ops_core::model::{Observation, Snapshot, TargetId, TargetState, Text, Verdict};
use serde_json::Value;

use super::wire::{ActiveDeployment, DeploymentStatus, InstanceStatus, ServiceInstance};
use super::{FORMAT, stop_rule};

/// A service as the vendor showed it in one read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) instance: ServiceInstance,
    pub(super) auto_deploy: bool,
    /// Deployments that go live unless they are cancelled.
    pub(super) pending: Vec<String>,
}

impl Reading {
    /// The observation of `target`.
    pub(super) fn observation(&self, target: TargetId) -> Observation {
        let observation = Observation::new(self.snapshot(target), self.state())
            .with_settled(self.settled())
            .with_marker(stop_rule::marker(self.instance.edge_section()));
        self.caveats()
            .into_iter()
            .fold(observation, Observation::with_caveat)
    }

    /// How much of a stop is in force.
    ///
    /// Auto-deploy that is off is a part of a stop, but no sign of one: many services never had it on.
    pub(super) fn state(&self) -> TargetState {
        let blocked = stop_rule::blocks_everything(self.instance.edge_section());
        let closed = blocked || !self.instance.has_public_domain();
        let quiet =
            self.instance.alive().next().is_none() && self.pending.is_empty() && !self.latest_is_unclear();
        match (closed && quiet && !self.auto_deploy, blocked || quiet) {
            (true, _) => TargetState::Stopped,
            (false, true) => TargetState::PartlyStopped,
            (false, false) => TargetState::Serving,
        }
    }

    fn settled(&self) -> Verdict {
        let stopping = stop_rule::marker(self.instance.edge_section()).is_some();
        if let Some(id) = self.pending.first() {
            return Verdict::not_yet(format!("deployment {id} is in progress"));
        }
        for deployment in self.instance.alive() {
            let id = &deployment.id;
            if stopping {
                return Verdict::not_yet(format!("deployment {id} has not stopped yet"));
            }
            if deployment.is_changing() {
                return Verdict::not_yet(format!("deployment {id} is between two states"));
            }
        }
        match &self.instance.latest_deployment {
            Some(latest) if self.latest_is_unclear() => {
                Verdict::not_yet(format!("deployment {} has a status that is not known", latest.id))
            }
            _ => Verdict::Holds,
        }
    }

    fn snapshot(&self, target: TargetId) -> Snapshot {
        let running: BTreeSet<&str> = self
            .instance
            .alive()
            .map(|deployment| deployment.id.as_str())
            .collect();
        let running: Vec<Value> = running.into_iter().map(Value::from).collect();
        let latest = self.instance.latest_deployment.as_ref();
        let commit = latest
            .and_then(|latest| latest.meta.as_ref())
            .and_then(|meta| meta.get("commitHash"))
            .filter(|commit| commit.is_string());
        Snapshot::new(target, FORMAT)
            .with_field("edge_rules", stop_rule::without(self.instance.edge_section()))
            .with_field("auto_deploy", self.auto_deploy)
            .with_field("running", running)
            .with_witness("latest_deployment", latest.map(|latest| latest.id.clone()))
            .with_witness("latest_commit", commit.cloned())
    }

    fn caveats(&self) -> Vec<Text> {
        let mut caveats = Vec::new();
        if !self.instance.has_public_domain() {
            caveats.push(Text::new(
                "公開ドメインがないため、エッジ規則は使いません。コンテナの停止だけが効きます。",
                "there is no public domain, so no edge rule is used: only the containers are stopped",
            ));
        }
        if self.instance.cron_schedule.is_some() {
            caveats.push(Text::new(
                "cron が設定されています。エッジ規則は cron を止めません。コンテナの停止に頼ります。",
                "a cron schedule is set: the edge rule does not cover it, only stopped containers do",
            ));
        }
        if self.may_be_half_stopped_unseen() {
            caveats.push(Text::new(
                "自動デプロイがオフで、停止の目印を置けません。別の停止が途中でないか確認してください。",
                "auto-deploy is off and no marker is possible: check that no other stop is half done",
            ));
        }
        if !self.pending.is_empty() {
            caveats.push(Text::new(
                "進行中のデプロイがあります。停止すると取り消され、復旧では再開されません。",
                "a deployment is in progress: a stop cancels it, and a restore does not start it again",
            ));
        }
        caveats
    }

    /// A stop begins with auto-deploy. Where no edge rule can carry its marker, what it has done by then cannot be told from a
    /// service that never had auto-deploy on, and a snapshot of it would be taken for the state to go back to.
    fn may_be_half_stopped_unseen(&self) -> bool {
        !self.instance.has_public_domain() && !self.auto_deploy && self.instance.alive().next().is_some()
    }

    /// The newest deployment is in a state that this crate does not know, and it is not one that is known to be active.
    fn latest_is_unclear(&self) -> bool {
        self.instance.latest_deployment.as_ref().is_some_and(|latest| {
            latest.status == DeploymentStatus::Unknown
                && !self
                    .instance
                    .active_deployments
                    .iter()
                    .any(|active| active.id == latest.id)
        })
    }
}

impl ServiceInstance {
    /// The edge rules; null where none were ever written.
    pub(super) fn edge_section(&self) -> &Value {
        static NONE: Value = Value::Null;
        self.edge_config
            .as_ref()
            .and_then(|config| config.edge_rules.as_ref())
            .unwrap_or(&NONE)
    }

    /// Whether visitors have an address at all.
    pub(super) fn has_public_domain(&self) -> bool {
        !self.domains.service_domains.is_empty() || !self.domains.custom_domains.is_empty()
    }

    /// The active deployments that are not wholly stopped.
    pub(super) fn alive(&self) -> impl Iterator<Item = &ActiveDeployment> {
        self.active_deployments
            .iter()
            .filter(|deployment| deployment.is_alive())
    }
}

impl ActiveDeployment {
    /// Whether this deployment does work, or would at the next request.
    ///
    /// The status does not tell: it stays `SUCCESS` for a stopped deployment. A sleeping one has no instance and counts as
    /// alive until it is stopped, because the next request wakes it; stopped, it stays down whatever its status says.
    pub(super) fn is_alive(&self) -> bool {
        !self.deployment_stopped || self.instances.iter().any(|instance| !instance.status.is_over())
    }

    /// Whether this deployment is on its way down.
    pub(super) fn is_stopping(&self) -> bool {
        self.status == DeploymentStatus::Removing
            || self
                .instances
                .iter()
                .any(|instance| instance.status == InstanceStatus::Removing)
    }

    fn is_changing(&self) -> bool {
        self.is_stopping()
            || self
                .instances
                .iter()
                .any(|instance| !instance.status.is_over() && instance.status != InstanceStatus::Running)
    }
}

impl InstanceStatus {
    /// It has ended and does nothing more by itself. A crashed one may be restarted by the vendor, but then says so.
    fn is_over(self) -> bool {
        matches!(
            self,
            Self::Crashed | Self::Exited | Self::Removed | Self::Skipped | Self::Stopped
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn active(id: &str, stopped: bool, instance: &str) -> Value {
        json!({"id": id, "status": "SUCCESS", "deploymentStopped": stopped, "instances": [{"status": instance}]})
    }

    fn reading(active: &[Value], edge_rules: &Value, auto_deploy: bool) -> Reading {
        let instance = json!({
            "cronSchedule": null,
            "latestDeployment": {"id": "d1", "status": "SUCCESS", "meta": {"commitHash": "abc"}},
            "activeDeployments": active,
            "edgeConfig": {"edgeRules": edge_rules},
            "domains": {"serviceDomains": [{"id": "x"}], "customDomains": []},
        });
        Reading {
            instance: serde_json::from_value(instance).unwrap(),
            auto_deploy,
            pending: Vec::new(),
        }
    }

    #[test]
    fn stopped_needs_every_part() {
        let rule = stop_rule::alone("run_1");
        let down = [active("d1", true, "STOPPED")];
        let up = [active("d1", false, "RUNNING")];
        for (active, rules, auto_deploy, state) in [
            (&down, &rule, false, TargetState::Stopped),
            (&down, &rule, true, TargetState::PartlyStopped),
            (&down, &Value::Null, false, TargetState::PartlyStopped),
            (&up, &rule, false, TargetState::PartlyStopped),
            (&up, &Value::Null, false, TargetState::Serving),
            (&up, &Value::Null, true, TargetState::Serving),
        ] {
            assert_eq!(
                reading(active, rules, auto_deploy).state(),
                state,
                "{rules} {auto_deploy}"
            );
        }
        let mut queued = reading(&down, &rule, false);
        queued.pending.push("d2".to_owned());
        assert_eq!(queued.state(), TargetState::PartlyStopped);
        assert!(!queued.settled().holds());
    }

    /// The status of a stopped deployment stays SUCCESS; `deploymentStopped` and the instances tell.
    #[test]
    fn the_status_does_not_tell_whether_a_deployment_runs() {
        let rule = stop_rule::alone("run_1");
        for (instance, stopped, alive) in [
            ("RUNNING", false, true),
            ("REMOVING", true, true),
            ("INITIALIZING", true, true),
            ("PARKED", true, true),
            ("STOPPED", false, true),
            ("STOPPED", true, false),
            ("EXITED", true, false),
        ] {
            let reading = reading(&[active("d1", stopped, instance)], &rule, false);
            assert_eq!(
                reading.state() != TargetState::Stopped,
                alive,
                "{instance} {stopped}"
            );
            assert_eq!(!reading.settled().holds(), alive, "{instance} {stopped}");
        }
    }

    /// A sleeping service has no instance and is woken by the next request: sleeping is no stop. A stop ends it, though the
    /// status may still say that it sleeps.
    #[test]
    fn a_sleeping_deployment_counts_as_alive_until_it_is_stopped() {
        for (stopped, state) in [(false, TargetState::PartlyStopped), (true, TargetState::Stopped)] {
            let sleeping =
                json!({"id": "d1", "status": "SLEEPING", "deploymentStopped": stopped, "instances": []});
            let reading = reading(&[sleeping], &stop_rule::alone("run_1"), false);
            assert_eq!(reading.state(), state, "{stopped}");
            assert_eq!(reading.settled().holds(), stopped);
        }
    }

    /// Without a domain there is no marker, and half a stop looks like a service that never had auto-deploy on.
    #[test]
    fn a_service_that_may_be_half_stopped_unseen_says_so() {
        for (domain, auto_deploy, warns) in [(false, false, true), (false, true, false), (true, false, false)]
        {
            let mut reading = reading(&[active("d1", false, "RUNNING")], &Value::Null, auto_deploy);
            if !domain {
                reading.instance.domains.service_domains.clear();
            }
            let warned = reading
                .caveats()
                .iter()
                .any(|caveat| caveat.get(ops_core::model::Lang::En).contains("half done"));
            assert_eq!(warned, warns, "{domain} {auto_deploy}");
        }
    }

    #[test]
    fn a_newest_deployment_of_unknown_status_is_never_a_stop() {
        let mut reading = reading(&[], &stop_rule::alone("run_1"), false);
        reading.instance.latest_deployment.as_mut().unwrap().status = DeploymentStatus::Unknown;
        assert_eq!(reading.state(), TargetState::PartlyStopped);
        assert!(!reading.settled().holds());
    }

    #[test]
    fn a_starting_deployment_is_not_settled() {
        for (instance, settled) in [("RUNNING", true), ("INITIALIZING", false), ("RESTARTING", false)] {
            let reading = reading(&[active("d1", false, instance)], &Value::Null, true);
            assert_eq!(reading.settled().holds(), settled, "{instance}");
        }
    }

    #[test]
    fn the_snapshot_is_without_the_stop_rule_and_its_ids_are_sorted() {
        let both = [active("d2", false, "RUNNING"), active("d1", false, "RUNNING")];
        let target = TargetId::new("railway:p/e/s").unwrap();
        let snapshot = reading(&both, &Value::Null, true).snapshot(target.clone());
        assert_eq!(snapshot.field("running"), Some(&json!(["d1", "d2"])));
        assert_eq!(snapshot.field("edge_rules"), Some(&Value::Null));
        assert_eq!(snapshot.witness()["latest_commit"], json!("abc"));
        let stopped = reading(&both, &stop_rule::alone("run_1"), true).observation(target);
        assert_eq!(
            stopped.snapshot().field("edge_rules"),
            Some(&json!({"version": 1, "rules": []}))
        );
        assert_eq!(stopped.marker().unwrap().as_str(), "run_1");
    }
}
