use std::collections::BTreeSet;

use crate::config::OpsConfig;
use crate::messages::{need_enough_approvers, need_quick_stop, need_real_approver, need_two_for_a_restore};
use crate::model::Check;

/// Whether those who must agree to a stop and to a restore are there, with keys of their own, and whether two must agree to a restore and hardly
/// anybody to a stop.
pub fn check_approvers(config: &OpsConfig) -> Vec<Check> {
    let placeholders: BTreeSet<&str> = config
        .placeholder_approvers()
        .map(|approver| approver.name.as_str())
        .collect();
    let mut checks: Vec<Check> = config
        .approvers
        .iter()
        .map(|approver| {
            let need = need_real_approver(&approver.name);
            match placeholders.contains(approver.name.as_str()) {
                true => need.missing("it is the sample key of a preset, for which nobody can sign"),
                false => need.ready(),
            }
        })
        .collect();
    let usable = config.approvers.len() - placeholders.len();
    let asked = [
        ("restore", config.approvals.restore),
        ("stop", config.approvals.stop),
    ];
    for (plan, persons) in asked.into_iter().filter(|(_, persons)| *persons > 0) {
        let persons = usize::try_from(persons).unwrap_or(usize::MAX);
        let need = need_enough_approvers(plan, persons);
        checks.push(match usable >= persons {
            true => need.ready(),
            false => need.missing(format!("{usable} can sign")),
        });
    }
    let must_sign = |persons: u32| format!("{persons} must sign");
    checks.push(match config.approvals.restore {
        persons @ ..2 => need_two_for_a_restore().missing(must_sign(persons)),
        _ => need_two_for_a_restore().ready(),
    });
    checks.push(match config.approvals.stop {
        persons @ 2.. => need_quick_stop().missing(must_sign(persons)),
        _ => need_quick_stop().ready(),
    });
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Preset, preset};
    use crate::model::CheckState;

    fn states(checks: &[Check]) -> Vec<(&str, CheckState)> {
        checks
            .iter()
            .map(|check| (check.name.as_str(), check.state))
            .collect()
    }

    #[test]
    fn sample_keys_count_for_nobody() {
        for name in Preset::ALL {
            let checks = check_approvers(&preset(name).unwrap());
            assert_eq!(
                states(&checks),
                [
                    ("approver-key", CheckState::Missing),
                    ("approver-key", CheckState::Missing),
                    ("approvers:restore", CheckState::Missing),
                    ("approvals:restore", CheckState::Ready),
                    ("approvals:stop", CheckState::Ready),
                ]
            );
        }
    }

    #[test]
    fn one_real_key_is_fewer_than_a_restore_needs() {
        let mut config = preset(Preset::SoulKun).unwrap();
        config.approvers[0].public_key = [7; 32];
        let checks = check_approvers(&config);
        assert_eq!(checks[0].state, CheckState::Ready);
        assert_eq!(checks[2].state, CheckState::Missing);
        assert_eq!(checks[2].detail.as_deref(), Some("1 can sign"));
        config.approvers[1].public_key = [8; 32];
        let checks = check_approvers(&config);
        assert!(checks.iter().all(|check| check.state == CheckState::Ready));
        config.approvals.stop = 3;
        assert_eq!(
            states(&check_approvers(&config))[3],
            ("approvers:stop", CheckState::Missing)
        );
    }

    #[test]
    fn a_restore_by_fewer_than_two_and_a_stop_that_waits_for_two_are_named() {
        let mut config = preset(Preset::SoulKun).unwrap();
        config.approvers.clear();
        for (restore, stop, bad) in [
            (2, 0, None),
            (3, 1, None),
            (1, 0, Some(("approvals:restore", "1 must sign"))),
            (0, 1, Some(("approvals:restore", "0 must sign"))),
            (2, 2, Some(("approvals:stop", "2 must sign"))),
        ] {
            (config.approvals.restore, config.approvals.stop) = (restore, stop);
            let checks = check_approvers(&config);
            let settings: Vec<_> = checks
                .iter()
                .filter(|check| check.name.starts_with("approvals:"))
                .collect();
            assert_eq!(settings.len(), 2);
            let missing = settings
                .iter()
                .find(|check| check.state == CheckState::Missing)
                .map(|check| (check.name.as_str(), check.detail.as_deref().unwrap()));
            assert_eq!(missing, bad, "{restore} {stop}");
            assert!(settings.iter().all(|check| {
                let needs_remedy = check.state != CheckState::Ready;
                check.remedy.is_some() == needs_remedy
            }));
        }
    }
}
