use std::collections::BTreeMap;

use serde::Serialize;

use super::scene::Scene;
use crate::governance::migration::tree::{Kind, Parsed};
use crate::messages::migration as text;
use crate::model::{LockMode, RelationEffect, RelationKind, Text, Work};

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
        found.extend(self.of_transaction(parsed, effects));
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
        let empty = relation.is_some_and(crate::model::Relation::is_empty);
        let urgency = match bytes {
            _ if empty => Urgency::Note,
            Some(bytes) if bytes <= SMALL => Urgency::Caution,
            _ => Urgency::Danger,
        };
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

/// What happens to rows.
fn of_rows(parsed: &Parsed, scene: &Scene) -> Vec<Finding> {
    let node = &parsed.node;
    let mut found = Vec::new();
    let names = || {
        let kinds = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF];
        let nodes = kinds.iter().flat_map(|kind| node.all(*kind)).next();
        nodes.map(|node| scene.resolve(&node.name()))
    };
    match node.kind() {
        Kind::UPDATE | Kind::DELETE if !node.has(Kind::WHERE_CLAUSE) => {
            let name = names();
            if !name.as_ref().is_some_and(|name| scene.made.contains(name)) {
                let both = text::whole_table(name.as_deref().unwrap_or_default());
                found.push(finding(Hazard::WholeTable, Urgency::Danger, name, both));
            }
        }
        Kind::TRUNCATE | Kind::DROP_TABLE | Kind::DROP_SCHEMA => {
            let name = names();
            let both = text::loses_rows(name.as_deref().unwrap_or_default());
            found.push(finding(Hazard::LosesData, Urgency::Caution, name, both));
        }
        _ => {}
    }
    for dropped in node.all(Kind::DROP_COLUMN) {
        let column = dropped
            .child(Kind::COLUMN_NAME_REF)
            .map(|node| node.name().concat());
        let name = names();
        let place = format!(
            "{}.{}",
            name.as_deref().unwrap_or_default(),
            column.unwrap_or_default()
        );
        found.push(finding(
            Hazard::LosesData,
            Urgency::Caution,
            name,
            text::loses_rows(&place),
        ));
    }
    if node.contains(Kind::CASCADE) && !matches!(node.kind(), Kind::CREATE_TABLE | Kind::TRUNCATE) {
        found.push(finding(
            Hazard::Cascades,
            Urgency::Caution,
            None,
            text::cascades(),
        ));
    }
    found
}

fn finding(
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
