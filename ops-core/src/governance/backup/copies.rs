use std::time::Duration;

use super::{BackupFinding, BackupSeverity};
use crate::messages::backup as text;
use crate::model::{ArchiveMode, BackupCopy, BackupPolicy, BackupState, CopyKind, Timestamp};

/// Whether the archive leads on from a base backup that is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// None is seen, or only older ones than `keep` and those of another server: the log is not kept for longer than copies are.
    Missing,
    /// One is seen, but not known to be complete, or of this server.
    Unproven,
    /// A complete one of this server is seen.
    Proven,
}

pub(super) fn base(state: &BackupState, keep: Duration, now: Timestamp) -> Base {
    let here = state.server.as_ref().and_then(|server| server.system.as_ref());
    let copies = state.copies.iter().flatten();
    let bases = copies.filter(|copy| {
        copy.kind == CopyKind::BaseBackup
            && copy.complete != Some(false)
            && now.saturating_since(copy.at) <= keep
            && !matches!((&copy.system, here), (Some(of), Some(here)) if of != here)
    });
    let proven = |copy: &BackupCopy| copy.complete == Some(true) && copy.system.is_some() && here.is_some();
    bases.fold(Base::Missing, |best, copy| match best {
        Base::Proven => best,
        _ if proven(copy) => Base::Proven,
        _ => Base::Unproven,
    })
}

pub(super) fn judge(
    state: &BackupState,
    policy: &BackupPolicy,
    database: Option<&str>,
    now: Timestamp,
    findings: &mut Vec<BackupFinding>,
) {
    let mut add = |kind: &str, severity, both| findings.push(BackupFinding::new(kind, severity, both));
    let (warning, failed) = (BackupSeverity::Warning, BackupSeverity::Failed);
    let Some(copies) = &state.copies else {
        add(
            "copies_not_looked_at",
            BackupSeverity::Unknown,
            text::copies_not_looked_at(),
        );
        return;
    };
    for copy in copies {
        let fault = copy.fault.as_deref().unwrap_or_default();
        match copy.complete {
            Some(true) => {}
            Some(false) => add("copy_damaged", warning, text::copy_damaged(&copy.name, fault)),
            None => add(
                "copy_unknown",
                BackupSeverity::Unknown,
                text::copy_unknown(&copy.name, fault),
            ),
        }
        if let (true, Some(of), Some(wanted)) = (copy.is_of_another(database), &copy.database, database) {
            add(
                "copy_of_another",
                warning,
                text::copy_of_another(&copy.name, of, wanted),
            );
        }
    }
    let good = |copy: &&BackupCopy| copy.complete == Some(true) && !copy.is_of_another(database);
    let complete: Vec<&BackupCopy> = copies.iter().filter(good).collect();
    let Some(newest) = complete.first() else {
        let unsure = copies
            .iter()
            .any(|copy| copy.complete.is_none() && !copy.is_of_another(database));
        let archived = state.server.as_ref().is_some_and(|server| {
            server.archiving.mode != ArchiveMode::Off && server.archiving.last.is_some()
        });
        if !unsure && !archived {
            add("no_backup", failed, text::no_backup());
        }
        return;
    };
    let age = now.saturating_since(newest.at);
    if age > policy.every {
        add("stale", failed, text::stale(&newest.name, age, policy.every));
    }
    // Only copies of one form can be compared.
    for (at, copy) in complete.iter().enumerate() {
        let before = complete[at + 1..].iter().find(|before| before.kind == copy.kind);
        if let Some(before) = before.filter(|before| copy.bytes < before.bytes / 2) {
            let both = text::copy_shrank(&copy.name, copy.bytes, before.bytes);
            add("copy_shrank", warning, both);
        }
    }
    // A job that begins a little later each day leaves no gap.
    let apart = policy.every + policy.every / 4;
    for pair in complete.windows(2) {
        if pair[0].at.saturating_since(pair[1].at) > apart {
            add("gap", warning, text::gap(pair[1].at, pair[0].at));
        }
    }
    if let Some(oldest) = complete.last() {
        let reach = now.saturating_since(oldest.at);
        if reach + policy.every < policy.keep {
            add("short_history", warning, text::short_history(reach, policy.keep));
        }
    }
}
