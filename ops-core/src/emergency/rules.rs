use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::masking::target_named;
use crate::model::{ActorKind, PlannedStep, Prior, TargetId, TargetState, Timestamp, Window};

/// What a stop must leave as it is, judged on the result of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SafetyRule {
    /// So many of these targets serve afterwards. For automation at least one, whatever `up` says.
    KeepAtLeast {
        /// How many.
        up: usize,
        /// Of which. Those that the procedure does not stop are [watched](super::Procedure::watching).
        of: Vec<TargetId>,
    },
    /// The plan takes down no more targets than this; what is stopped already does not count.
    AtMost {
        /// How many.
        targets: usize,
    },
    /// This target is stopped before any other: already, or by an earlier stage. A feature is the target of its switch.
    Requires {
        /// The target.
        stopped: TargetId,
    },
    /// Not in this time.
    NotDuring {
        /// When.
        window: Window,
    },
}

impl SafetyRule {
    pub(super) fn targets(&self) -> impl Iterator<Item = &TargetId> {
        let (many, one) = match self {
            Self::KeepAtLeast { of, .. } => (of.as_slice(), None),
            Self::Requires { stopped } => (&[][..], Some(stopped)),
            _ => (&[][..], None),
        };
        many.iter().chain(one)
    }
}

/// What a rule answers when it cannot tell, because a target cannot be observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// A person's stop goes ahead, and a program's; automation's does not.
    #[default]
    AllButAutomation,
    /// The stop is refused.
    Refuse,
    /// The stop goes ahead.
    GoAhead,
}

/// A [`SafetyRule`] with the name by which a broken glass overrides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    name: String,
    rule: SafetyRule,
    on_unavailable: OnUnavailable,
}

impl Rule {
    /// A rule.
    pub fn new(name: impl Into<String>, rule: SafetyRule) -> Self {
        Self {
            name: name.into(),
            rule,
            on_unavailable: OnUnavailable::default(),
        }
    }

    /// Declares what it answers when a target cannot be observed.
    #[must_use]
    pub fn on_unavailable(mut self, answer: OnUnavailable) -> Self {
        self.on_unavailable = answer;
        self
    }

    /// The name by which it is overridden.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks for.
    pub fn rule(&self) -> &SafetyRule {
        &self.rule
    }
}

/// A rule that a stop would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Violation {
    /// The name by which it is overridden.
    pub rule: String,
    /// How.
    pub why: String,
}

impl Violation {
    pub(super) fn new(rule: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            why: why.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule, self.why)
    }
}

/// What the rules look at besides the plan; `None`: could not be observed.
pub(super) type Looks = BTreeMap<TargetId, Option<TargetState>>;

/// What a rule judges.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// All steps of the plan.
    pub(super) steps: &'a [PlannedStep],
    pub(super) looks: &'a Looks,
    /// The stage that is about to begin; `None`: nothing has begun.
    pub(super) stage: Option<u32>,
    pub(super) actor: ActorKind,
    pub(super) now: Timestamp,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Kept,
    Broken(String),
    Unseen(String),
}

impl Rule {
    /// How the plan breaks the rule, if it does. Pure.
    pub(super) fn broken_by(&self, view: View<'_>) -> Option<Violation> {
        let automation = view.actor == ActorKind::Automation;
        match (self.rule.judge(view), self.on_unavailable) {
            (Answer::Broken(why), _) | (Answer::Unseen(why), OnUnavailable::Refuse) => {
                Some(Violation::new(&self.name, why))
            }
            (Answer::Unseen(why), OnUnavailable::AllButAutomation) if automation => {
                Some(Violation::new(&self.name, why))
            }
            _ => None,
        }
    }
}

impl SafetyRule {
    fn judge(&self, view: View<'_>) -> Answer {
        match self {
            Self::KeepAtLeast { up, of } => keep_at_least(*up, of, view),
            Self::AtMost { targets } => {
                let count =
                    |wanted: fn(&Prior) -> bool| view.steps.iter().filter(|step| wanted(&step.prior)).count();
                let down = count(|prior| matches!(prior, Prior::Observed { .. }));
                let unseen = count(|prior| matches!(prior, Prior::Unknown { .. }));
                bounded(down <= *targets, down + unseen <= *targets, || {
                    format!("takes down {} targets, at most {targets} may be", down + unseen)
                })
            }
            Self::Requires { stopped } => requires(stopped, view),
            Self::NotDuring { window } if window.contains(view.now) => {
                Answer::Broken(format!("{} is in the window", view.now.to_jst()))
            }
            Self::NotDuring { .. } => Answer::Kept,
        }
    }
}

fn keep_at_least(up: usize, of: &[TargetId], view: View<'_>) -> Answer {
    let wanted = match view.actor {
        ActorKind::Automation => up.max(1),
        _ => up,
    };
    let left = of
        .iter()
        .filter(|target| !view.steps.iter().any(|step| step.target == **target))
        .map(|target| view.looks.get(target).copied().flatten());
    let (mut serving, mut unseen) = (0, 0);
    for state in left {
        match state {
            Some(TargetState::Serving) => serving += 1,
            None => unseen += 1,
            _ => {}
        }
    }
    bounded(serving + unseen >= wanted, serving >= wanted, || {
        let unseen = if unseen > 0 {
            format!(", {unseen} cannot be seen")
        } else {
            String::new()
        };
        format!("{serving} of {} would serve{unseen}; {wanted} must", of.len())
    })
}

fn requires(stopped: &TargetId, view: View<'_>) -> Answer {
    let own = view
        .steps
        .iter()
        .find(|step| step.target == *stopped)
        .map(|step| step.stage);
    let first = view
        .steps
        .iter()
        .filter(|step| step.target != *stopped)
        .map(|step| step.stage)
        .min();
    let Some(first) = first else {
        return Answer::Kept;
    };
    let its_turn_comes = own.is_some_and(|own| own < first && view.stage.is_none_or(|stage| stage <= own));
    match view.looks.get(stopped).copied().flatten() {
        _ if its_turn_comes => Answer::Kept,
        Some(TargetState::Stopped) => Answer::Kept,
        Some(_) => Answer::Broken(format!("{} must be stopped first", target_named(stopped))),
        None => Answer::Unseen(format!(
            "{} must be stopped first, and cannot be seen",
            target_named(stopped)
        )),
    }
}

/// `possible`: at best it is kept; `sure`: it is kept even if what is unseen is bad.
fn bounded(possible: bool, sure: bool, why: impl Fn() -> String) -> Answer {
    match (possible, sure) {
        (_, true) => Answer::Kept,
        (false, _) => Answer::Broken(why()),
        (true, false) => Answer::Unseen(why()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Effect, Snapshot, Text};

    const STATES: [Option<TargetState>; 4] = [
        Some(TargetState::Serving),
        Some(TargetState::PartlyStopped),
        Some(TargetState::Stopped),
        None,
    ];

    fn id(number: usize) -> TargetId {
        TargetId::new(format!("test:t{number}")).unwrap()
    }

    fn step(number: usize, stage: u32, prior: Prior) -> PlannedStep {
        let text = Text::new("止める", "stop");
        PlannedStep::new(
            0,
            stage,
            id(number),
            text,
            Effect::Reversible,
            prior,
            Duration::ZERO,
        )
    }

    fn serving(number: usize) -> Prior {
        Prior::Observed {
            snapshot: Snapshot::new(id(number), "test/1"),
        }
    }

    fn view<'a>(steps: &'a [PlannedStep], looks: &'a Looks, actor: ActorKind) -> View<'a> {
        View {
            steps,
            looks,
            stage: None,
            actor,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Every state of two watched targets beside one that is stopped, every `up`, every declared answer, person and automation.
    #[test]
    fn keep_at_least_counts_what_serves_after_the_stop() {
        let steps = [step(0, 0, serving(0))];
        let of: Vec<_> = (0..3).map(id).collect();
        let answers = [
            OnUnavailable::AllButAutomation,
            OnUnavailable::Refuse,
            OnUnavailable::GoAhead,
        ];
        for (one, other) in STATES
            .iter()
            .flat_map(|one| STATES.iter().map(move |other| (*one, *other)))
        {
            let looks = Looks::from([(id(1), one), (id(2), other)]);
            let up_now = [one, other]
                .iter()
                .filter(|state| **state == Some(TargetState::Serving))
                .count();
            let unseen = [one, other].iter().filter(|state| state.is_none()).count();
            for up in 0..4 {
                for (actor, answer) in [ActorKind::Person, ActorKind::Automation]
                    .into_iter()
                    .flat_map(|actor| answers.map(|answer| (actor, answer)))
                {
                    let automation = actor == ActorKind::Automation;
                    let needed = if automation { up.max(1) } else { up };
                    let refused = if up_now >= needed {
                        false
                    } else if up_now + unseen < needed {
                        true
                    } else {
                        match answer {
                            OnUnavailable::AllButAutomation => automation,
                            OnUnavailable::Refuse => true,
                            OnUnavailable::GoAhead => false,
                        }
                    };
                    let rule = Rule::new("keep", SafetyRule::KeepAtLeast { up, of: of.clone() })
                        .on_unavailable(answer);
                    let broken = rule.broken_by(view(&steps, &looks, actor));
                    assert_eq!(
                        broken.is_some(),
                        refused,
                        "{one:?} {other:?} {up} {actor:?} {answer:?}: {broken:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_broken_rule_says_what_would_serve_and_what_cannot_be_seen() {
        let (steps, of) = ([step(0, 0, serving(0))], (0..3).map(id).collect::<Vec<_>>());
        let rule = Rule::new("keep", SafetyRule::KeepAtLeast { up: 2, of });
        for (other, says) in [
            (Some(TargetState::Stopped), "1 of 3 would serve; 2 must"),
            (None, "1 of 3 would serve, 1 cannot be seen; 2 must"),
        ] {
            let looks = Looks::from([(id(1), Some(TargetState::Serving)), (id(2), other)]);
            let broken = rule.clone().on_unavailable(OnUnavailable::Refuse).broken_by(view(
                &steps,
                &looks,
                ActorKind::Person,
            ));
            assert_eq!(broken.unwrap().why, says);
        }
    }

    #[test]
    fn at_most_counts_what_goes_down_and_not_what_is_down() {
        let unknown = || Prior::Unknown {
            reason: String::new(),
        };
        let already = || Prior::AlreadyStopped { by: None };
        for (down, unseen, stopped, most) in (0..3).flat_map(|a| {
            (0..3).flat_map(move |b| (0..3).flat_map(move |c| (0..5).map(move |d| (a, b, c, d))))
        }) {
            let priors = (0..down)
                .map(serving)
                .chain((0..unseen).map(|_| unknown()))
                .chain((0..stopped).map(|_| already()));
            let steps: Vec<_> = priors
                .enumerate()
                .map(|(number, prior)| step(number, 0, prior))
                .collect();
            let rule = Rule::new("most", SafetyRule::AtMost { targets: most });
            let looks = Looks::new();
            let by = |actor| rule.broken_by(view(&steps, &looks, actor)).is_some();
            assert_eq!(by(ActorKind::Person), down > most);
            assert_eq!(by(ActorKind::Automation), down + unseen > most);
        }
    }

    #[test]
    fn what_is_required_is_stopped_already_or_by_an_earlier_stage() {
        let rule =
            Rule::new("first", SafetyRule::Requires { stopped: id(0) }).on_unavailable(OnUnavailable::Refuse);
        for (state, own) in STATES
            .iter()
            .flat_map(|state| [None, Some(0), Some(1), Some(2)].map(|own| (*state, own)))
        {
            let mut steps = vec![step(1, 1, serving(1))];
            steps.extend(own.map(|stage| step(0, stage, serving(0))));
            let looks = Looks::from([(id(0), state)]);
            let stopped = state == Some(TargetState::Stopped);
            for stage in [None, Some(0), Some(1)] {
                let kept = stopped || (own == Some(0) && stage != Some(1));
                let broken = rule.broken_by(View {
                    stage,
                    ..view(&steps, &looks, ActorKind::Person)
                });
                assert_eq!(broken.is_none(), kept, "{state:?} {own:?} {stage:?}");
            }
        }
    }
}
