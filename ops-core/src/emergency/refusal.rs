use thiserror::Error as ThisError;

use super::Violation;
use crate::error::Error;
use crate::masking::target_named;
use crate::messages;
use crate::model::{Lang, PlannedStep, RunId, Text};

/// Why a plan is not made or not carried out. Nothing has been changed.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Refusal {
    /// Not enough valid approvals.
    #[error("{}", english(messages::not_approved(*needed, *valid, faults)))]
    NotApproved {
        /// How many different persons must agree.
        needed: usize,
        /// How many do.
        valid: usize,
        /// What is wrong with the others, a line each.
        faults: Vec<String>,
    },
    /// The approval has run out.
    #[error("{}", english(messages::approval_expired()))]
    Expired,
    /// Somebody changed targets since the stop; the steps show the difference.
    #[error("{}", english(messages::changed_since_stop(targets(steps))))]
    Drifted {
        /// The steps whose target is not as the stop left it.
        steps: Vec<PlannedStep>,
    },
    /// No prior state of this run is held: it was restored, or another run holds it.
    #[error("{}", english(messages::nothing_held(run, held_by)))]
    NothingHeld {
        /// The run.
        run: RunId,
        /// The runs that hold its targets.
        held_by: Vec<RunId>,
    },
    /// The journal does not know the run.
    #[error("{}", english(messages::unknown_run(run)))]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// The procedure at hand is not the one of the run.
    #[error("{}", english(messages::wrong_procedure(what)))]
    WrongProcedure {
        /// What does not fit.
        what: String,
    },
    /// Automation may stop, never restore.
    #[error("{}", english(messages::automation_may_not_restore()))]
    AutomationMayNotRestore,
    /// A later run has restored: going on would stop again, or open what was stopped anew.
    #[error("{}", english(messages::superseded(by)))]
    Superseded {
        /// The restore.
        by: RunId,
    },
    /// What was approved is not what is there; the drift of each step is how it differs from the approved request.
    #[error("{}", english(messages::changed_since_approval(targets(steps))))]
    Changed {
        /// The steps that differ.
        steps: Vec<PlannedStep>,
    },
    /// An approval is good for one run.
    #[error("{}", english(messages::approvals_used(by)))]
    Replayed {
        /// The run that used them.
        by: RunId,
    },
    /// The stop would break rules. A person may go ahead by breaking the glass and naming each of them.
    #[error("{}", english(messages::breaks_rules(&listed(rules))))]
    Violates {
        /// What to name.
        rules: Vec<Violation>,
    },
    /// A broken glass names a rule that the procedure does not have.
    #[error("{}", english(messages::unknown_rule(name, known)))]
    UnknownRule {
        /// The unknown name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The run has no review that this actor may close.
    #[error("{}", english(messages::no_review(what)))]
    NoReview {
        /// Why not.
        what: String,
    },
    /// A stop is not aborted: restore it.
    #[error("{}", english(messages::not_a_restore(run)))]
    NotARestore {
        /// The run.
        run: RunId,
    },
    /// The restore has put everything back: to stop it now is a new stop.
    #[error("{}", english(messages::restore_completed(run)))]
    Completed {
        /// The restore.
        run: RunId,
    },
    /// It could not be found out whether it may be done.
    #[error("{}", english(messages::undecided(.0)))]
    Undecided(#[from] Error),
}

impl Refusal {
    /// The reason in words, in both languages; `Display` shows the English one.
    pub fn text(&self) -> Text {
        match self {
            Self::NotApproved {
                needed,
                valid,
                faults,
            } => messages::not_approved(*needed, *valid, faults),
            Self::Expired => messages::approval_expired(),
            Self::Drifted { steps } => messages::changed_since_stop(targets(steps)),
            Self::NothingHeld { run, held_by } => messages::nothing_held(run, held_by),
            Self::UnknownRun { run } => messages::unknown_run(run),
            Self::WrongProcedure { what } => messages::wrong_procedure(what),
            Self::AutomationMayNotRestore => messages::automation_may_not_restore(),
            Self::Superseded { by } => messages::superseded(by),
            Self::Changed { steps } => messages::changed_since_approval(targets(steps)),
            Self::Replayed { by } => messages::approvals_used(by),
            Self::Violates { rules } => messages::breaks_rules(&listed(rules)),
            Self::UnknownRule { name, known } => messages::unknown_rule(name, known),
            Self::NoReview { what } => messages::no_review(what),
            Self::NotARestore { run } => messages::not_a_restore(run),
            Self::Completed { run } => messages::restore_completed(run),
            Self::Undecided(error) => messages::undecided(error),
        }
    }

    /// The rule that refused, as a word for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotApproved { .. } => "not_approved",
            Self::Expired => "expired",
            Self::Drifted { .. } => "drifted",
            Self::NothingHeld { .. } => "nothing_held",
            Self::UnknownRun { .. } => "unknown_run",
            Self::WrongProcedure { .. } => "wrong_procedure",
            Self::AutomationMayNotRestore => "automation",
            Self::Superseded { .. } => "superseded",
            Self::Changed { .. } => "changed",
            Self::Replayed { .. } => "replayed",
            Self::Violates { .. } => "violates",
            Self::UnknownRule { .. } => "unknown_rule",
            Self::NoReview { .. } => "no_review",
            Self::NotARestore { .. } => "not_a_restore",
            Self::Completed { .. } => "completed",
            Self::Undecided(_) => "undecided",
        }
    }
}

fn targets(steps: &[PlannedStep]) -> impl Iterator<Item = String> {
    steps.iter().map(|step| target_named(&step.target))
}

fn listed(rules: &[Violation]) -> Vec<String> {
    rules.iter().map(Violation::to_string).collect()
}

fn english(text: Text) -> String {
    text.get(Lang::En).to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::ErrorKind;
    use crate::model::{Effect, Prior, TargetId};

    fn all() -> Vec<Refusal> {
        let run = || RunId::generate(crate::model::Timestamp::UNIX_EPOCH);
        let words = || vec!["a".to_owned(), "b".to_owned()];
        vec![
            Refusal::NotApproved {
                needed: 2,
                valid: 1,
                faults: words(),
            },
            Refusal::Expired,
            Refusal::Drifted { steps: Vec::new() },
            Refusal::NothingHeld {
                run: run(),
                held_by: vec![run()],
            },
            Refusal::UnknownRun { run: run() },
            Refusal::WrongProcedure { what: "x".to_owned() },
            Refusal::AutomationMayNotRestore,
            Refusal::Superseded { by: run() },
            Refusal::Changed { steps: Vec::new() },
            Refusal::Replayed { by: run() },
            Refusal::Violates {
                rules: vec![Violation::new("keep-one", "none is left")],
            },
            Refusal::UnknownRule {
                name: "x".to_owned(),
                known: words(),
            },
            Refusal::NoReview { what: "x".to_owned() },
            Refusal::NotARestore { run: run() },
            Refusal::Completed { run: run() },
            Refusal::Undecided(Error::new(ErrorKind::Unavailable, "read")),
        ]
    }

    #[test]
    fn every_refusal_has_a_word_of_its_own_and_a_text_in_both_languages() {
        let mut names: Vec<_> = all().iter().map(Refusal::name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(!names.contains(&"other"));
        for refusal in all() {
            let (ja, en) = (refusal.text().get(Lang::Ja).to_owned(), refusal.to_string());
            assert_eq!(en, refusal.text().get(Lang::En), "one source");
            assert!(!ja.is_ascii(), "{ja}");
        }
    }

    #[test]
    fn a_refusal_says_what_it_is_about() {
        let refusal = Refusal::NotApproved {
            needed: 2,
            valid: 1,
            faults: vec!["bob: expired".to_owned()],
        };
        assert_eq!(refusal.to_string(), "2 persons must approve, 1 did; bob: expired");
        assert_eq!(
            refusal.text().get(Lang::Ja),
            "2 人の承認が必要ですが、有効なものは 1 人分です; bob: expired"
        );
    }
    #[test]
    fn what_has_changed_is_named_without_the_address_of_a_person() {
        let target = TargetId::new("account:directory/-/hanako.sato@example.com").unwrap();
        let text = Text::new("止める", "stop");
        let step = PlannedStep::new(
            0,
            0,
            target,
            text,
            Effect::Reversible,
            Prior::Unknown {
                reason: String::new(),
            },
            Duration::ZERO,
        );
        let steps = vec![step];
        for refusal in [
            Refusal::Drifted { steps: steps.clone() },
            Refusal::Changed { steps },
        ] {
            for shown in [refusal.to_string(), refusal.text().get(Lang::Ja).to_owned()] {
                assert!(
                    shown.contains("account:") && !shown.contains("hanako.sato"),
                    "{shown}"
                );
            }
        }
    }
}
