//! Is there a backup that would save us, how old is it, and how much would be lost?

mod copies;
mod loss;
mod server;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;

pub use self::loss::{Loss, LossBy};
use crate::messages::backup as text;
use crate::model::{BackupPolicy, BackupState, RestoreTest, Text, Timestamp, Unseen};
use crate::ports::BackupInspector;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackupSeverity {
    /// It ought to be mended; backups are there.
    Warning,
    /// It cannot be told: not fine, and not known to be bad.
    Unknown,
    /// There is no backup, it is too old, or too much would be lost.
    Failed,
}

/// Something about the backups that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupFinding {
    /// A stable word: `stale`, `archive_failing`, …
    pub kind: String,
    /// How bad.
    pub severity: BackupSeverity,
    /// What is wrong.
    pub what: Text,
    /// What to do.
    pub remedy: Text,
}

impl BackupFinding {
    pub(super) fn new(kind: &str, severity: BackupSeverity, (what, remedy): (Text, Text)) -> Self {
        Self {
            kind: kind.to_owned(),
            severity,
            what,
            remedy,
        }
    }
}

/// What there is to say about backups.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// What would be lost if the data were destroyed now, also by a mistake: a standby repeats it, so only the archive and copies help.
    pub destroyed: Loss,
    /// What would be lost if the disk died now: a standby helps.
    pub disk: Loss,
    /// What is not as it should be, worst first.
    pub findings: Vec<BackupFinding>,
}

impl BackupReport {
    /// The worst of the findings; `None`: all is fine, and all was seen.
    pub fn worst(&self) -> Option<BackupSeverity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Judges what was found. Pure. `database` is the one that is to be saved, where it is known; `last` the newest test of a restore.
pub fn backup_report(
    state: &BackupState,
    policy: &BackupPolicy,
    database: Option<&str>,
    last: Option<&RestoreTest>,
    now: Timestamp,
) -> BackupReport {
    let state = &state.clone().seen_at(now);
    let database = database.or_else(|| state.server.as_ref().map(|server| server.database.as_str()));
    let destroyed = loss::destroyed(state, policy, database, now);
    let disk = loss::disk(state, &destroyed);
    let mut findings = Vec::new();
    if let Some(server) = &state.server {
        server::judge(server, policy, &mut findings);
    }
    copies::judge(state, policy, database, now, &mut findings);
    let archived = matches!(destroyed.by, LossBy::Archive);
    let half = match copies::base(state, policy.keep, now) {
        copies::Base::Missing => Some(("no_base_backup", text::no_base_backup())),
        copies::Base::Unproven => Some(("base_backup_unproven", text::base_backup_unproven())),
        copies::Base::Proven => None,
    };
    if let Some((kind, both)) = half.filter(|_| archived) {
        findings.push(BackupFinding::new(kind, BackupSeverity::Unknown, both));
    }
    match (destroyed.by, destroyed.most) {
        // Said by what was found about the copies.
        (LossBy::Nothing, _) if state.copies.is_some() => {}
        (LossBy::Nothing, _) | (_, None) => findings.push(BackupFinding::new(
            "loss_unknown",
            BackupSeverity::Unknown,
            text::loss_unknown(),
        )),
        (_, Some(most)) if most > policy.rpo => findings.push(BackupFinding::new(
            "beyond_rpo",
            BackupSeverity::Failed,
            text::beyond_rpo(most, policy.rpo),
        )),
        _ => {}
    }
    match last {
        Some(test) if !test.passed() => findings.push(BackupFinding::new(
            "test_failed",
            BackupSeverity::Warning,
            text::test_failed(&test.dump, test.at),
        )),
        Some(test) if now.saturating_since(test.at) <= policy.test_every => {}
        last => findings.push(BackupFinding::new(
            "test_due",
            BackupSeverity::Warning,
            text::test_due(last.map(|test| test.at)),
        )),
    }
    for Unseen { part, why } in &state.unseen {
        let remedy = Text::new(
            "見えるようにしてもう一度確認する",
            "let it be seen, and look again",
        );
        findings.push(BackupFinding::new(
            &format!("unseen:{part}"),
            BackupSeverity::Unknown,
            (why.clone(), remedy),
        ));
    }
    findings.sort_by(|one, two| (two.severity, &one.kind).cmp(&(one.severity, &two.kind)));
    BackupReport {
        destroyed,
        disk,
        findings,
    }
}

/// Asks all inspectors, one after the other. One that fails takes nothing with it: its part is unseen.
pub async fn inspect_backups(inspectors: &[Arc<dyn BackupInspector>]) -> BackupState {
    let mut state = BackupState::default();
    for inspector in inspectors {
        let found = match inspector.inspect().await {
            Ok(found) => found,
            Err(error) => {
                let why = format!("{}: {error}", inspector.name());
                let mut nothing = BackupState::default();
                let unseen = Unseen::new(inspector.name(), Text::new(why.clone(), why));
                nothing.unseen.push(unseen);
                nothing
            }
        };
        state = state.and(found);
    }
    state
}
