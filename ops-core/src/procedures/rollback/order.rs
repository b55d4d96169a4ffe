use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

/// A part of a release. The order is that of preference: what users see first goes back first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the order is searched over all of them")]
pub enum Component {
    /// What runs in browsers, and what serves it.
    FrontEnd,
    /// The API behind it.
    BackEnd,
    /// The AI model that the back end asks.
    Model,
    /// The schema of the database that the back end uses.
    Schema,
}

/// One component that uses another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the order is searched over all of them")]
pub enum Link {
    /// The front end calls the back end.
    FrontEndUsesBackEnd,
    /// The back end asks the model.
    BackEndUsesModel,
    /// The back end reads and writes the schema.
    BackEndUsesSchema,
}

impl Link {
    /// Every link.
    pub const ALL: [Self; 3] = [
        Self::FrontEndUsesBackEnd,
        Self::BackEndUsesModel,
        Self::BackEndUsesSchema,
    ];

    /// Who uses, and who is used.
    pub fn ends(self) -> (Component, Component) {
        match self {
            Self::FrontEndUsesBackEnd => (Component::FrontEnd, Component::BackEnd),
            Self::BackEndUsesModel => (Component::BackEnd, Component::Model),
            Self::BackEndUsesSchema => (Component::BackEnd, Component::Schema),
        }
    }
}

/// What a release changed, and which of its changes the version before cannot live with.
///
/// Where nothing is said, the new version of a user is taken to need the new version of what it uses, and the old user to work
/// with both: a migration that only adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    changed: BTreeSet<Component>,
    breaking: BTreeSet<Link>,
    one_way: BTreeSet<Component>,
}

impl Release {
    /// A release of these components.
    pub fn of(changed: impl IntoIterator<Item = Component>) -> Self {
        Self {
            changed: changed.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Says that the old user cannot work with the new version of what it uses: a column removed, an endpoint gone.
    #[must_use]
    pub fn breaking(mut self, link: Link) -> Self {
        self.breaking.insert(link);
        self
    }

    /// Says that a component cannot go back without loss: a migration that dropped data.
    #[must_use]
    pub fn one_way(mut self, component: Component) -> Self {
        self.one_way.insert(component);
        self
    }

    /// The order in which `wanted` goes back, so that what serves at any moment works together.
    ///
    /// One component a stage wherever that is possible. Components that can only go back together are one stage that is *offline*:
    /// their traffic has to be stopped meanwhile.
    ///
    /// # Errors
    /// [`Inconsistent`] when a component is not part of the release, cannot go back, or when the state afterwards would not work.
    pub fn order(&self, wanted: &BTreeSet<Component>) -> Result<Vec<RollbackStage>, Inconsistent> {
        if wanted.is_empty() {
            return Err(Inconsistent::Nothing);
        }
        if let Some(component) = wanted.iter().find(|part| !self.changed.contains(part)) {
            return Err(Inconsistent::Unchanged {
                component: *component,
            });
        }
        if let Some(component) = wanted.iter().find(|part| self.one_way.contains(part)) {
            return Err(Inconsistent::OneWay {
                component: *component,
            });
        }
        if let Some(fault) = self.fault(wanted) {
            return Err(fault);
        }
        // The state before works as it is: it is what serves now. All in one offline stage always leads to the end.
        let parts: Vec<_> = wanted.iter().copied().collect();
        Ok(self
            .best(&BTreeSet::new(), &parts)
            .unwrap_or_else(|| vec![RollbackStage::of(parts)]))
    }

    /// Why a state in which `old` has gone back and the rest of the release has not does not work.
    fn fault(&self, old: &BTreeSet<Component>) -> Option<Inconsistent> {
        Link::ALL.into_iter().find_map(|link| {
            let (user, used) = link.ends();
            if !self.changed.contains(&user) && !self.changed.contains(&used) {
                return None;
            }
            let user_is_old = old.contains(&user) || !self.changed.contains(&user);
            match (user_is_old, old.contains(&used)) {
                // A user that the release left alone has worked with the old version before.
                (false, true) => Some(Inconsistent::NeedsToo {
                    component: used,
                    needs: user,
                }),
                (true, false)
                    if self.breaking.contains(&link)
                        && self.changed.contains(&used)
                        && self.changed.contains(&user) =>
                {
                    Some(Inconsistent::NeedsToo {
                        component: user,
                        needs: used,
                    })
                }
                _ => None,
            }
        })
    }

    /// The best way from `old` over all of `left`: fewest components offline, then the preferred ones first.
    fn best(&self, old: &BTreeSet<Component>, left: &[Component]) -> Option<Vec<RollbackStage>> {
        if left.is_empty() {
            return Some(Vec::new());
        }
        let mut best: Option<Vec<RollbackStage>> = None;
        for choice in 1_u32..1 << left.len() {
            let chosen = |at: &usize| choice & (1 << at) != 0;
            let group: Vec<_> = (0..left.len()).filter(chosen).map(|at| left[at]).collect();
            let rest: Vec<_> = (0..left.len())
                .filter(|at| !chosen(at))
                .map(|at| left[at])
                .collect();
            let next: BTreeSet<_> = old.iter().chain(&group).copied().collect();
            if self.fault(&next).is_some() {
                continue;
            }
            let Some(after) = self.best(&next, &rest) else {
                continue;
            };
            let way: Vec<_> = std::iter::once(RollbackStage::of(group)).chain(after).collect();
            if best.as_ref().is_none_or(|best| cost(&way) < cost(best)) {
                best = Some(way);
            }
        }
        best
    }
}

fn cost(way: &[RollbackStage]) -> (usize, Vec<&[Component]>) {
    let offline = way
        .iter()
        .filter(|stage| stage.offline)
        .map(|stage| stage.components.len());
    (
        offline.sum(),
        way.iter().map(|stage| stage.components.as_slice()).collect(),
    )
}

/// Components that go back at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RollbackStage {
    /// The components.
    pub components: Vec<Component>,
    /// Whether they do not work together meanwhile, so that their traffic has to be stopped.
    pub offline: bool,
}

impl RollbackStage {
    fn of(components: Vec<Component>) -> Self {
        Self {
            offline: components.len() > 1,
            components,
        }
    }
}

/// Why a roll-back is not ordered.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum Inconsistent {
    /// No component is named.
    #[error("no component to roll back: name at least one")]
    Nothing,
    /// The release did not change it.
    #[error("{component:?} is not part of the release: leave it out")]
    Unchanged {
        /// The component.
        component: Component,
    },
    /// It cannot go back without loss.
    #[error("{component:?} cannot go back without losing data: fix forward, or restore a backup")]
    OneWay {
        /// The component.
        component: Component,
    },
    /// What would serve afterwards does not work together.
    #[error("{component:?} can only go back together with {needs:?}: roll back both, or fix forward")]
    NeedsToo {
        /// The component that was named.
        component: Component,
        /// The one that it needs.
        needs: Component,
    },
}

#[cfg(test)]
mod tests {
    use Component::{BackEnd, FrontEnd, Model, Schema};

    use super::*;

    const PARTS: [Component; 4] = [FrontEnd, BackEnd, Model, Schema];

    fn subsets<T: Copy + Ord>(of: &[T]) -> Vec<BTreeSet<T>> {
        (0_u32..1 << of.len())
            .map(|mask| {
                of.iter()
                    .enumerate()
                    .filter(|(at, _)| mask & (1 << at) != 0)
                    .map(|(_, part)| *part)
                    .collect()
            })
            .collect()
    }

    /// Written a second time, on versions instead of sets.
    fn works(changed: &BTreeSet<Component>, breaking: &BTreeSet<Link>, old: &BTreeSet<Component>) -> bool {
        let version = |part| {
            if !changed.contains(&part) {
                0
            } else if old.contains(&part) {
                1
            } else {
                2
            }
        };
        Link::ALL.into_iter().all(|link| {
            let (user, used) = link.ends();
            match (version(user), version(used)) {
                (2, 1) => false,
                (1, 2) => !breaking.contains(&link),
                _ => true,
            }
        })
    }

    fn names(stages: &[RollbackStage]) -> Vec<Vec<Component>> {
        stages.iter().map(|stage| stage.components.clone()).collect()
    }

    #[test]
    fn whatever_is_rolled_back_works_together_at_every_moment() {
        let (mut ordered, mut refused, mut offline) = (0, 0, 0);
        for changed in subsets(&PARTS) {
            for breaking in subsets(&Link::ALL) {
                for wanted in subsets(&changed.iter().copied().collect::<Vec<_>>()) {
                    let mut release = Release::of(changed.clone());
                    release.breaking.clone_from(&breaking);
                    let order = release.order(&wanted);
                    if wanted.is_empty() || !works(&changed, &breaking, &wanted) {
                        assert!(order.is_err(), "{release:?} {wanted:?}");
                        refused += 1;
                        continue;
                    }
                    let mut old = BTreeSet::new();
                    for stage in order.unwrap() {
                        assert_eq!(stage.offline, stage.components.len() > 1);
                        offline += usize::from(stage.offline);
                        old.extend(stage.components);
                        assert!(
                            works(&changed, &breaking, &old),
                            "{release:?} {wanted:?} at {old:?}"
                        );
                    }
                    assert_eq!(old, wanted);
                    ordered += 1;
                }
            }
        }
        assert!(
            ordered > 100 && refused > 100 && offline > 10,
            "{ordered} {refused} {offline}"
        );
    }

    #[test]
    fn a_release_that_only_adds_goes_back_from_the_user_to_the_schema() {
        let release = Release::of(PARTS);
        let stages = release.order(&PARTS.into()).unwrap();
        assert_eq!(
            names(&stages),
            [vec![FrontEnd], vec![BackEnd], vec![Model], vec![Schema]]
        );
        assert!(stages.iter().all(|stage| !stage.offline));
    }

    #[test]
    fn a_schema_never_goes_back_under_a_newer_back_end() {
        let release = Release::of([BackEnd, Schema]);
        assert_eq!(
            release.order(&[Schema].into()),
            Err(Inconsistent::NeedsToo {
                component: Schema,
                needs: BackEnd
            })
        );
    }

    #[test]
    fn a_back_end_does_not_go_back_over_a_migration_that_removed_something() {
        let release = Release::of([BackEnd, Schema]).breaking(Link::BackEndUsesSchema);
        assert_eq!(
            release.order(&[BackEnd].into()),
            Err(Inconsistent::NeedsToo {
                component: BackEnd,
                needs: Schema
            })
        );
        let both = release.order(&[BackEnd, Schema].into()).unwrap();
        assert_eq!(
            names(&both),
            [vec![BackEnd, Schema]],
            "together, with traffic stopped"
        );
        assert!(both[0].offline);
    }

    #[test]
    fn what_would_lose_data_is_refused() {
        let release = Release::of([Schema]).one_way(Schema);
        let refused = release.order(&[Schema].into()).unwrap_err();
        assert_eq!(refused, Inconsistent::OneWay { component: Schema });
        assert!(refused.to_string().contains("restore a backup"));
        assert_eq!(
            release.order(&[Model].into()),
            Err(Inconsistent::Unchanged { component: Model })
        );
    }
}
