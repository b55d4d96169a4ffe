use std::collections::BTreeMap;

use serde::Serialize;

use super::rows::{of_rows, rows_changed};
use super::scene::Scene;
use super::statement::locked_index;
use crate::governance::migration::tree::{Kind, Parsed};
use crate::messages::migration as text;
use crate::model::{LockMode, Relation, RelationEffect, RelationKind, Text, Work};

/// What others have to expect while a statement runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What sort.
    pub hazard: Hazard,
    /// How bad.
    pub urgency: Urgency,
    /// On which relation, if on one.
    pub relation: Option<String>,
    /// In words.
    pub what: Text,
    /// What is better.
    pub remedy: Text,
}

/// What sort of hazard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hazard {
    /// Work that grows with the table, under a lock that others wait for.
    LongLock,
    /// A lock that others wait for, held for a moment; while it waits itself, all wait behind it.
    ShortLock,
    /// The server refuses it inside a transaction, and the script is one.
    RefusesTransaction,
    /// It waits for every transaction that is older, also an idle one.
    WaitsForOld,
    /// Locks on more than one table in one transaction.
    SeveralLocks,
    /// A constraint is validated in the transaction that made it, under its lock.
    ValidatedAtOnce,
    /// Every row is changed in one statement.
    WholeTable,
    /// Rows are lost.
    LosesData,
    /// Objects that the statement does not name are dropped too.
    Cascades,
    /// The script cannot be read.
    Unreadable,
    /// Only a server can tell.
    Unknown,
}

/// How bad a hazard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a reader sorts by all three")]
pub enum Urgency {
    /// Good to know.
    Note,
    /// Harmless with a lock time-out and retries, and not without.
    Caution,
    /// Users notice.
    Danger,
}

/// Up to this size work under a lock is over in a moment.
const SMALL: u64 = 1 << 20;

/// What the statements of one script have in common.
pub(super) struct Together {
    atomic: bool,
    /// The strongest lock so far on each table that others use.
    held: BTreeMap<String, LockMode>,
    /// Constraints that this script added without checking them.
    unchecked: Vec<String>,
}

impl Together {
    pub(super) fn new(atomic: bool) -> Self {
        Self {
            atomic,
            held: BTreeMap::new(),
            unchecked: Vec::new(),
        }
    }

    pub(super) fn findings(
        &mut self,
        parsed: &Parsed,
        scene: &Scene,
        effects: &[RelationEffect],
        unknown: &[String],
        autocommit: bool,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Some(error) = &parsed.error {
            found.push(finding(
                Hazard::Unreadable,
                Urgency::Danger,
                None,
                text::unreadable(error),
            ));
            return found;
        }
        for effect in effects {
            found.extend(of_effect(effect, scene));
        }
        if autocommit && self.atomic {
            found.push(finding(
                Hazard::RefusesTransaction,
                Urgency::Danger,
                None,
                text::refuses_transaction(),
            ));
        }
        if autocommit
            && effects
                .iter()
                .any(|effect| effect.lock == LockMode::ShareUpdateExclusive)
        {
            found.push(finding(
                Hazard::WaitsForOld,
                Urgency::Note,
                None,
                text::waits_for_old(),
            ));
        }
        found.extend(self.of_waiting(parsed, scene, effects, unknown));
        found.extend(self.of_transaction(parsed, effects));
        found.extend(of_index(parsed, scene));
        found.extend(of_rows(parsed, scene));
        for why in unknown {
            found.push(finding(
                Hazard::Unknown,
                Urgency::Caution,
                None,
                text::unknown(why),
            ));
        }
        found
    }

    /// Locks of earlier statements that are held while this one works: "for a moment" is over when the transaction is.
    fn of_waiting(
        &self,
        parsed: &Parsed,
        scene: &Scene,
        effects: &[RelationEffect],
        unknown: &[String],
    ) -> Vec<Finding> {
        let large = |name: &str| match scene.relation(name) {
            Some(found) => !found.is_empty() && found.bytes > SMALL,
            None => !scene.made.contains(name),
        };
        let long = |effect: &RelationEffect| !effect.work.is_empty() && large(&effect.relation);
        let works = !unknown.is_empty()
            || effects.iter().any(long)
            || rows_changed(parsed, scene).iter().any(|name| large(name));
        if !works {
            return Vec::new();
        }
        let told = |name: &str, lock: LockMode| {
            let mut own = effects.iter().filter(|effect| effect.relation == name);
            own.any(|effect| effect.is_long() && effect.lock >= lock)
        };
        self.held
            .iter()
            .filter(|(name, lock)| !told(name, **lock))
            .map(|(name, lock)| {
                let both = text::held_meanwhile(name, *lock);
                finding(Hazard::LongLock, Urgency::Danger, Some(name.clone()), both)
            })
            .collect()
    }

    /// What the transaction makes of it.
    fn of_transaction(&mut self, parsed: &Parsed, effects: &[RelationEffect]) -> Vec<Finding> {
        let mut found = Vec::new();
        if !self.atomic {
            return found;
        }
        for node in parsed.node.all(Kind::ADD_CONSTRAINT) {
            if node.contains(Kind::NOT_VALID)
                && let Some(name) = node.find(Kind::CONSTRAINT_NAME)
            {
                self.unchecked.push(name.name().concat());
            }
        }
        for node in parsed.node.all(Kind::VALIDATE_CONSTRAINT) {
            let name = node
                .find(Kind::CONSTRAINT_NAME_REF)
                .map(|node| node.name().concat());
            if name.is_some_and(|name| self.unchecked.contains(&name)) {
                let relation = effects.first().map(|effect| effect.relation.clone());
                found.push(finding(
                    Hazard::ValidatedAtOnce,
                    Urgency::Danger,
                    relation,
                    text::validated_at_once(),
                ));
            }
        }
        let before = self.held.len();
        for effect in effects.iter().filter(|effect| effect.lock.blocks_writes()) {
            let lock = self.held.entry(effect.relation.clone()).or_insert(effect.lock);
            *lock = effect.lock.max(*lock);
        }
        if before >= 1 && self.held.len() > before {
            let names: Vec<&str> = self.held.keys().map(String::as_str).collect();
            found.push(finding(
                Hazard::SeveralLocks,
                Urgency::Caution,
                None,
                text::several_locks(&names.join(", ")),
            ));
        }
        found
    }
}

fn of_effect(effect: &RelationEffect, scene: &Scene) -> Option<Finding> {
    let relation = scene.relation(&effect.relation);
    let name = &effect.relation;
    // Nobody writes to a materialised view but the one who refreshes it.
    let alone = relation.is_some_and(|found| found.kind == RelationKind::MaterializedView);
    if alone && !effect.lock.blocks_reads() {
        return None;
    }
    if effect.is_long() {
        let bytes = relation.map(|found| found.bytes);
        let urgency = urgency_of_work(relation);
        let work = effect.work.iter().max().copied().unwrap_or(Work::Scan);
        let both = text::long_lock(name, effect.lock, work, bytes);
        return Some(finding(Hazard::LongLock, urgency, Some(name.clone()), both));
    }
    if effect.lock.blocks_writes() {
        return Some(finding(
            Hazard::ShortLock,
            Urgency::Caution,
            Some(name.clone()),
            text::short_lock(name, effect.lock),
        ));
    }
    None
}

/// Queries want to lock every index of their tables, so that an index which nobody may use keeps readers waiting too.
fn of_index(parsed: &Parsed, scene: &Scene) -> Option<Finding> {
    let name = locked_index(scene, &parsed.node).filter(|name| !scene.made.contains(name))?;
    let urgency = urgency_of_work(scene.relation(&name));
    let both = text::index_locked(&name);
    Some(finding(Hazard::LongLock, urgency, Some(name), both))
}

fn urgency_of_work(relation: Option<&Relation>) -> Urgency {
    match relation {
        Some(found) if found.is_empty() => Urgency::Note,
        Some(found) if found.bytes <= SMALL => Urgency::Caution,
        _ => Urgency::Danger,
    }
}

pub(super) fn finding(
    hazard: Hazard,
    urgency: Urgency,
    relation: Option<String>,
    (what, remedy): (Text, Text),
) -> Finding {
    Finding {
        hazard,
        urgency,
        relation,
        what,
        remedy,
    }
}
