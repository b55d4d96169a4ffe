use std::collections::BTreeSet;
use std::sync::Arc;

use ops_core::config::{AutomationConfig, RulesConfig, Unseen};
use ops_core::emergency::{AutomationLimits, OnUnavailable, Procedure, Rule, SafetyRule};
use ops_core::model::TargetId;
use ops_core::ports::Action;

use super::{SWITCH_PROCEDURE, World};
use crate::exit::Failure;

impl World {
    /// The rules of `ops.toml`; what they look at and the procedure does not stop is watched.
    pub(super) fn with_rules(
        &self,
        procedure: Procedure,
        config: &RulesConfig,
    ) -> Result<Procedure, Failure> {
        let mut rules = Vec::new();
        let mut watched: Vec<Arc<dyn Action>> = Vec::new();
        if let Some(keep) = &config.keep_at_least {
            let actions = keep
                .of
                .iter()
                .map(|name| self.service(name))
                .collect::<Result<Vec<_>, _>>()?;
            let of = actions.iter().map(|action| action.target().clone()).collect();
            let up = usize::try_from(keep.up).unwrap_or(usize::MAX);
            rules.push(Rule::new("keep-at-least", SafetyRule::KeepAtLeast { up, of }));
            watched.extend(actions);
        }
        if let Some(targets) = config.at_most {
            let targets = usize::try_from(targets).unwrap_or(usize::MAX);
            rules.push(Rule::new("at-most", SafetyRule::AtMost { targets }));
        }
        for name in &config.requires {
            let action = match name.strip_prefix(SWITCH_PROCEDURE) {
                Some(feature) => self.switch(feature)?,
                None => self.service(name)?,
            };
            let stopped = action.target().clone();
            rules.push(Rule::new(
                format!("requires:{name}"),
                SafetyRule::Requires { stopped },
            ));
            watched.push(action);
        }
        for name in &config.not_during {
            let window = self.config.window(name).map(|window| window.window.clone());
            let window = window
                .ok_or_else(|| Failure::usage(format!("there is no window {name}"), "add a [[window]]"))?;
            rules.push(Rule::new(
                format!("not-during:{name}"),
                SafetyRule::NotDuring { window },
            ));
        }
        let mut seen = BTreeSet::<TargetId>::new();
        watched.retain(|action| seen.insert(action.target().clone()));
        let procedure = watched.into_iter().fold(procedure, Procedure::watching);
        let answer = on_unavailable(config.unseen);
        Ok(rules.into_iter().try_fold(procedure, |procedure, rule| {
            procedure.with_rule(rule.on_unavailable(answer))
        })?)
    }
}

pub(super) fn automation(config: &AutomationConfig) -> AutomationLimits {
    AutomationLimits::default()
        .with_targets(usize::try_from(config.max_targets).unwrap_or(usize::MAX))
        .with_window(config.window)
        .on_unavailable(on_unavailable(config.journal_unread))
}

fn on_unavailable(unseen: Unseen) -> OnUnavailable {
    match unseen {
        Unseen::AllButAutomation => OnUnavailable::AllButAutomation,
        Unseen::GoAhead => OnUnavailable::GoAhead,
        _ => OnUnavailable::Refuse,
    }
}
