use std::collections::BTreeMap;
use std::sync::Arc;

use super::follows::Follows;
use crate::emergency::{Procedure, Step};
use crate::error::{Error, ErrorKind, Result};
use crate::messages;
use crate::model::Text;
use crate::ports::Action;

/// What can be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a rule is needed for each pair")]
pub enum Component {
    /// What users load.
    FrontEnd,
    /// The service that they talk to.
    BackEnd,
    /// Which AI model, in which version, the back end asks.
    AiModel,
    /// The schema that the back end reads and writes.
    Schema,
}

/// Why one component goes back before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RollbackRule {
    /// Goes back first.
    pub first: Component,
    /// Goes back only after `first` has been seen to be back.
    pub then: Component,
}

/// A newer component never meets an older one that it depends on. What depends on nothing of the other goes at the same time.
const RULES: [RollbackRule; 3] = [
    // A newer front end calls what an older back end does not have.
    RollbackRule {
        first: Component::FrontEnd,
        then: Component::BackEnd,
    },
    // The prompts and tools of a back end are made for its model: the model follows.
    RollbackRule {
        first: Component::BackEnd,
        then: Component::AiModel,
    },
    // While a newer back end serves, it writes columns that an older schema does not have.
    RollbackRule {
        first: Component::BackEnd,
        then: Component::Schema,
    },
];

impl Component {
    /// Every component.
    pub const ALL: [Self; 4] = [Self::FrontEnd, Self::BackEnd, Self::AiModel, Self::Schema];

    /// What it is called.
    pub fn describe(self) -> Text {
        messages::component(self.word())
    }

    /// `front-end`, `back-end`, `ai-model` or `schema`.
    pub fn word(self) -> &'static str {
        match self {
            Self::FrontEnd => "front-end",
            Self::BackEnd => "back-end",
            Self::AiModel => "ai-model",
            Self::Schema => "schema",
        }
    }
}

impl RollbackRule {
    /// Every rule.
    pub const ALL: &'static [Self] = &RULES;

    /// The reason, for the plan and the runbook.
    pub fn describe(&self) -> Text {
        messages::rollback_rule(self.first.word(), self.then.word())
    }
}

/// The order in which `components` go back: stages one after the other, those of a stage at the same time. Pure.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] for a schema without the back end: the newer one would go on serving. Where the back end is back
/// already, name it all the same; its step finds that and does nothing.
pub fn rollback_order(components: &[Component]) -> Result<Vec<Vec<Component>>> {
    if components.contains(&Component::Schema) && !components.contains(&Component::BackEnd) {
        return Err(Error::new(ErrorKind::InvalidConfig, "order rollback").context(
            "components",
            "a schema does not go back without the back end; name the back end, too",
        ));
    }
    let mut stages = BTreeMap::<usize, Vec<Component>>::new();
    for component in Component::ALL
        .into_iter()
        .filter(|component| components.contains(component))
    {
        stages.entry(depth(component)).or_default().push(component);
    }
    Ok(stages.into_values().collect())
}

/// How many rules, one after the other, stand before a component.
fn depth(component: Component) -> usize {
    let before = RULES.iter().filter(|rule| rule.then == component);
    before.map(|rule| 1 + depth(rule.first)).max().unwrap_or(0)
}

/// The parts of a rollback, in their order, for runbook and incident report.
pub fn rollback_phases() -> Vec<Text> {
    messages::rollback_phases()
}

/// Rolls components back in the order of [`rollback_order`]: an action each, whose `apply` sets the older version and whose `restore`
/// brings the newer one back. The way forward is the reverse order, each stage only after the one before was seen to be back.
///
/// Elsewhere a closing stage that fails keeps none from running. Here an action is only applied while those that its rules put first
/// are read to be back; else its step fails and changes nothing.
///
/// # Errors
/// As [`rollback_order`]; [`ErrorKind::InvalidConfig`] when a component has two actions; as [`Procedure::new`].
pub fn rollback(
    name: &str,
    components: Vec<(Component, Arc<dyn Action>)>,
    settings: impl Fn(Step) -> Step,
) -> Result<Procedure> {
    let order = rollback_order(
        &components
            .iter()
            .map(|(component, _)| *component)
            .collect::<Vec<_>>(),
    )?;
    if order.iter().flatten().count() != components.len() {
        return Err(Error::new(ErrorKind::InvalidConfig, "build rollback")
            .context("components", "a component is named twice; give each one action"));
    }
    let action_of = |wanted: Component| {
        let mut named = components.iter();
        named
            .find(|(component, _)| *component == wanted)
            .map(|(_, action)| Arc::clone(action))
    };
    let number = |stage: usize| u32::try_from(stage).unwrap_or(u32::MAX);
    let last = order.len().saturating_sub(1);
    let mut steps = Vec::new();
    for (stage, component) in (0..)
        .zip(&order)
        .flat_map(|(stage, of)| of.iter().map(move |component| (stage, *component)))
    {
        let before = RULES.iter().filter(|rule| rule.then == component);
        let first = before.filter_map(|rule| action_of(rule.first)).collect();
        let Some(action) = action_of(component) else {
            continue;
        };
        let step = settings(Step::new(Arc::new(Follows::new(action, first))));
        steps.push(step.closing(number(stage)).opening(number(last - stage)));
    }
    Procedure::new(name, steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lang;

    fn subsets() -> impl Iterator<Item = Vec<Component>> {
        (0..1_usize << Component::ALL.len()).map(|mask| {
            let chosen = Component::ALL.into_iter().enumerate();
            chosen
                .filter(|(at, _)| mask >> at & 1 == 1)
                .map(|(_, component)| component)
                .collect()
        })
    }

    #[test]
    fn every_subset_keeps_every_rule_and_names_each_component_once() {
        let (mut checked, mut refused) = (0, 0);
        for chosen in subsets() {
            let without = chosen.contains(&Component::Schema) && !chosen.contains(&Component::BackEnd);
            let order = match rollback_order(&chosen) {
                Ok(order) => order,
                Err(error) => {
                    assert!(without, "{error} of {chosen:?}");
                    refused += 1;
                    continue;
                }
            };
            assert!(!without, "{chosen:?}");
            let stage = |component| order.iter().position(|stage| stage.contains(&component));
            let mut named: Vec<_> = order.concat();
            named.sort_unstable();
            assert_eq!(named, {
                let mut chosen = chosen.clone();
                chosen.sort_unstable();
                chosen
            });
            assert!(order.iter().all(|stage| !stage.is_empty()), "{order:?}");
            for rule in RollbackRule::ALL {
                if let (Some(first), Some(then)) = (stage(rule.first), stage(rule.then)) {
                    assert!(first < then, "{rule:?} in {order:?}");
                }
            }
            // In which order they are named does not matter.
            let mut reversed = chosen.clone();
            reversed.reverse();
            assert_eq!(rollback_order(&reversed).unwrap(), order);
            checked += 1;
        }
        assert_eq!((checked, refused), (12, 4));
    }

    #[test]
    fn no_schema_goes_back_while_a_newer_back_end_may_serve() {
        let order = rollback_order(&Component::ALL).unwrap();
        assert_eq!(
            order,
            [
                vec![Component::FrontEnd],
                vec![Component::BackEnd],
                vec![Component::AiModel, Component::Schema]
            ]
        );
    }

    #[test]
    fn every_rule_and_every_phase_has_words_in_both_languages() {
        let texts = RollbackRule::ALL.iter().map(RollbackRule::describe);
        let texts: Vec<_> = texts
            .chain(rollback_phases())
            .chain(Component::ALL.map(Component::describe))
            .collect();
        assert_eq!(texts.len(), 3 + 7 + 4);
        for text in texts {
            assert!(!text.get(Lang::Ja).is_empty() && !text.get(Lang::En).is_empty());
            assert_ne!(text.get(Lang::Ja), text.get(Lang::En));
        }
    }
}
