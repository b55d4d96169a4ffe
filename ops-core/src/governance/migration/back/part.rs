//! The part of a way back that undoes what a run has done before it stopped.

use std::collections::BTreeSet;

use super::{BackPlan, Ground, LeftOut};
use crate::governance::migration::plan::{PlannedMigration, step, touched};
use crate::governance::migration::undo::{Needs, made, unmade};
use crate::messages::migration_back as text;
use crate::model::{BackStep, MigrationStep, Schema, StepMark, Text};

/// How far a step of the way up came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Never,
    Begun,
    Done,
}

pub(super) fn reach(marks: &[StepMark], position: u32) -> Reach {
    match marks.iter().find(|mark| mark.position == position) {
        None => Reach::Never,
        Some(mark) if mark.done => Reach::Done,
        Some(_) => Reach::Begun,
    }
}

impl BackPlan {
    /// Keeps of a way back what undoes steps that were run; why it cannot be told, if it cannot.
    pub(super) fn take_part(
        &mut self,
        ground: &Ground<'_>,
        planned: &mut PlannedMigration,
        up: &[MigrationStep],
        marks: &[StepMark],
    ) -> Option<(Text, Text)> {
        let version = planned.version.clone();
        let half_done = up
            .iter()
            .find(|step| step.may_leave.is_some() && reach(marks, step.position) == Reach::Begun);
        if let Some(step) = half_done {
            return Some(text::half_done_step(&version, step.position));
        }
        let makers: Vec<_> = up
            .iter()
            .map(|step| {
                let made = step.statements.iter().flat_map(|sql| made(sql, ground.schema));
                (reach(marks, step.position), made.collect::<Vec<_>>())
            })
            .collect();
        let mut kept: Vec<MigrationStep> = Vec::new();
        for old in &planned.steps {
            let (mut statements, mut may_miss) = (Vec::new(), Vec::new());
            for sql in &old.statements {
                let of = |object: &String| {
                    let makers = makers.iter().filter(|(_, made)| made.contains(object));
                    makers.map(|(reach, _)| *reach).collect::<Vec<_>>()
                };
                let Some(objects) = unmade(sql, ground.schema) else {
                    return Some(text::not_told(&version, sql));
                };
                let reached: Vec<_> = objects.iter().map(of).collect();
                if reached.iter().any(Vec::is_empty) {
                    return Some(text::not_told(&version, sql));
                }
                let all: Vec<Reach> = reached.concat();
                let is_all = |reach: Reach| all.iter().all(|found| *found == reach);
                if is_all(Reach::Never) {
                    self.left_out.push(LeftOut {
                        migration: version.clone(),
                        statement: sql.clone(),
                    });
                } else if is_all(Reach::Done) {
                    statements.push(sql.clone());
                } else if is_all(Reach::Begun) {
                    may_miss.push(statements.len());
                    statements.push(sql.clone());
                } else {
                    return Some(text::undoes_both(&version, sql));
                }
            }
            if statements.is_empty() {
                continue;
            }
            let position = u32::try_from(kept.len() + 1).unwrap_or(u32::MAX);
            let mut new = step(&version, position, statements);
            new.autocommit = old.autocommit;
            new.builds.clone_from(&old.builds);
            new.may_leave.clone_from(&old.may_leave);
            new.back = Some(BackStep {
                may_miss,
                ..BackStep::default()
            });
            kept.push(new);
        }
        if let Some((position, sql)) = left(up, marks, &kept, ground.schema) {
            return Some(text::not_undone(&version, position, &sql));
        }
        if kept.is_empty() {
            kept.push(step(&version, 1, Vec::new()));
        }
        let of = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        kept.iter_mut().for_each(|step| step.of = of);
        let is_kept = |sql: &String| kept.iter().any(|step| step.statements.contains(sql));
        planned.review.retain(|review| is_kept(&review.sql));
        planned.touched = touched(&planned.review, ground.schema);
        planned.steps = kept;
        None
    }
}

/// The first statement that was run, or may have been, and of which something would be left after `kept`.
fn left(
    up: &[MigrationStep],
    marks: &[StepMark],
    kept: &[MigrationStep],
    schema: &Schema,
) -> Option<(u32, String)> {
    let statements = kept.iter().flat_map(|step| &step.statements);
    let undone: BTreeSet<String> = statements
        .filter_map(|sql| unmade(sql, schema))
        .flatten()
        .collect();
    let mut open: Vec<(u32, &String, Needs)> = Vec::new();
    for step in up {
        let reach = reach(marks, step.position);
        if reach == Reach::Never {
            continue;
        }
        for sql in &step.statements {
            let needs = Needs::of(sql, schema);
            if reach == Reach::Done {
                let mut gone = unmade(sql, schema).unwrap_or_default();
                let made = |object: &String| open.iter().any(|(_, _, needs)| needs.objects.contains(object));
                let is_settled = !gone.is_empty() && gone.iter().all(made);
                if !is_settled {
                    gone = needs.takes.iter().cloned().collect();
                }
                for (_, _, before) in &mut open {
                    before.objects.retain(|object| !gone.contains(object));
                }
                // It took away what a step before it had made.
                if is_settled {
                    continue;
                }
            }
            open.push((step.position, sql, needs));
        }
    }
    let found = open.into_iter().find(|(_, _, needs)| !needs.goes_with(&undone));
    found.map(|(position, sql, _)| (position, sql.clone()))
}
