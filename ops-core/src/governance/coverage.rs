use std::collections::BTreeSet;

use crate::messages::{need_covered, need_deployed, need_inventory};
use crate::model::{Check, TargetId, Timestamp};
use crate::ports::{Deployed, DeployedService};

/// A deployed service that is knowingly in no procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// Which.
    pub target: TargetId,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Timestamp,
}

impl Ignored {
    /// Ignores `target` until `until`, because of `reason`.
    pub fn new(target: TargetId, reason: impl Into<String>, until: Timestamp) -> Self {
        Self {
            target,
            reason: reason.into(),
            until,
        }
    }
}

/// What deployment and configuration say about each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    pub(super) checks: Vec<Check>,
    pub(super) uncovered: Vec<DeployedService>,
    pub(super) gone: Vec<TargetId>,
}

/// What the configuration says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lists<'a> {
    /// Every service that it knows.
    pub(super) listed: &'a BTreeSet<TargetId>,
    /// Those that a procedure stops.
    pub(super) covered: &'a BTreeSet<TargetId>,
    pub(super) ignored: &'a [Ignored],
}

pub(super) fn compare(deployed: &Deployed, lists: Lists<'_>, now: Timestamp) -> Coverage {
    let mut coverage = Coverage::default();
    for (scope, why) in &deployed.unread {
        coverage.checks.push(need_inventory(scope).unknown(why));
    }
    for scope in &deployed.read {
        coverage.checks.push(need_inventory(scope).ready());
    }
    for service in &deployed.services {
        let need = need_covered(service.target.as_str());
        if lists.covered.contains(&service.target) {
            coverage.checks.push(need.ready());
            continue;
        }
        let ignored = lists
            .ignored
            .iter()
            .find(|ignored| ignored.target == service.target);
        let why = match ignored {
            Some(ignored) if now <= ignored.until => continue,
            Some(ignored) => format!(
                "{}: it was left uncovered until {} ({})",
                service.name,
                ignored.until.to_jst(),
                ignored.reason
            ),
            None if lists.listed.contains(&service.target) => {
                format!(
                    "{}: it is a [[service]], but no [[procedure]] names it",
                    service.name
                )
            }
            None => format!("{}: ops.toml does not know it", service.name),
        };
        coverage.checks.push(need.missing(why));
        coverage.uncovered.push(service.clone());
    }
    let below = |scope: &str, target: &TargetId| target.as_str().starts_with(scope);
    for target in lists.listed {
        let there = deployed.services.iter().any(|service| service.target == *target);
        let looked = deployed.read.iter().any(|scope| below(scope, target));
        let need = need_deployed(target.as_str());
        if there {
            coverage.checks.push(need.ready());
        } else if deployed.unread.iter().any(|(scope, _)| below(scope, target)) {
            coverage
                .checks
                .push(need.unknown("its part of the list could not be read"));
        } else if looked {
            coverage
                .checks
                .push(need.missing("it is not among what is deployed"));
            coverage.gone.push(target.clone());
        }
    }
    coverage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CheckState;

    fn target(name: &str) -> TargetId {
        TargetId::new(format!("memory:{name}")).unwrap()
    }

    fn targets(names: &[&str]) -> BTreeSet<TargetId> {
        names.iter().map(|name| target(name)).collect()
    }

    fn deployed(names: &[&str]) -> Deployed {
        Deployed {
            services: names
                .iter()
                .map(|name| DeployedService::new(target(name), *name))
                .collect(),
            read: vec!["memory:".to_owned()],
            unread: Vec::new(),
        }
    }

    fn now() -> Timestamp {
        "2026-11-26T00:00:00Z".parse().unwrap()
    }

    fn run(deployed: &Deployed, listed: &[&str], covered: &[&str], ignored: &[Ignored]) -> Coverage {
        let lists = Lists {
            listed: &targets(listed),
            covered: &targets(covered),
            ignored,
        };
        compare(deployed, lists, now())
    }

    #[test]
    fn a_service_that_no_procedure_stops_is_named() {
        let found = run(&deployed(&["api", "new"]), &["api"], &["api"], &[]);
        assert_eq!(found.uncovered, [DeployedService::new(target("new"), "new")]);
        // To be in the list of services is not enough.
        let found = run(&deployed(&["api", "new"]), &["api", "new"], &["api"], &[]);
        assert_eq!(found.uncovered.len(), 1);
        assert!(
            found
                .checks
                .iter()
                .any(|check| check.state == CheckState::Missing && check.subject == "memory:new")
        );
    }

    #[test]
    fn a_listed_service_that_is_gone_is_named() {
        let found = run(&deployed(&["api"]), &["api", "old"], &["api", "old"], &[]);
        assert_eq!(found.gone, [target("old")]);
        assert!(found.uncovered.is_empty());
    }

    #[test]
    fn what_could_not_be_read_is_not_said_to_be_gone() {
        let mut partly = deployed(&["api"]);
        partly
            .unread
            .push(("memory:o".to_owned(), "region down".to_owned()));
        let found = run(&partly, &["api", "old"], &["api", "old"], &[]);
        assert!(found.gone.is_empty());
        let unknown = found
            .checks
            .iter()
            .filter(|check| check.state == CheckState::Unknown);
        assert_eq!(unknown.count(), 2);
    }

    #[test]
    fn a_service_is_left_uncovered_until_the_day_that_was_named() {
        let until = |text: &str| [Ignored::new(target("new"), "batch only", text.parse().unwrap())];
        let seen = deployed(&["new"]);
        assert!(
            run(&seen, &[], &[], &until("2026-11-26T00:00:00Z"))
                .uncovered
                .is_empty()
        );
        let late = run(&seen, &[], &[], &until("2026-11-25T23:59:59Z"));
        assert_eq!(late.uncovered.len(), 1);
        let check = late.checks.iter().find(|check| check.name == "covered").unwrap();
        assert!(check.detail.as_deref().unwrap().contains("batch only"));
    }

    #[test]
    fn another_inventorys_targets_are_none_of_its_business() {
        let elsewhere = BTreeSet::from([TargetId::new("vercel:prj_1").unwrap()]);
        let lists = Lists {
            listed: &elsewhere,
            covered: &elsewhere,
            ignored: &[],
        };
        let found = compare(&deployed(&[]), lists, now());
        assert!(found.gone.is_empty());
    }
}
