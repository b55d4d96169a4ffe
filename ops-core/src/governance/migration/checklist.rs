use std::time::Duration;

use super::plan::MigrationPlan;
use super::script::is_way_back;
use crate::messages::{migration as text, migration_back as back};
use crate::model::{Check, Lang, Need, Timestamp, Window};

/// What is known before a run. The first runbook's list: tested, a way back, a fresh backup, a quiet hour.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Evidence {
    /// The digests of migrations (or of whole plans) that ran on a throw-away server with this schema.
    pub tested: Vec<String>,
    /// When the newest backup was taken.
    pub backup: Option<Timestamp>,
    /// The quiet hours, in Japanese time.
    pub quiet: Vec<Window>,
    /// For the way back: why the code that runs cannot live with it, in English; `None`: nobody has looked.
    pub code: Option<Vec<String>>,
}

/// How old a backup may be: a day.
pub const BACKUP_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Checks the list before a run: an orderly state, tested, a way back (for the way back itself: code that can live with it), a fresh backup.
/// Pure. A quiet hour is asked for only when data is lost or others wait.
pub fn checklist(
    plan: &MigrationPlan,
    evidence: &Evidence,
    backup_age: Duration,
    now: Timestamp,
) -> Vec<Check> {
    let need = |name: &str, (what, remedy)| Need::new(name, "migration", what, remedy);
    let mut checks = Vec::new();
    let state = need("state", text::needs_clear_state());
    let found = plan.findings.iter().map(|finding| finding.what.get(Lang::En));
    checks.push(match plan.findings.is_empty() {
        true => state.ready(),
        false => state.missing(found.collect::<Vec<_>>().join("; ")),
    });
    let tested = need("tested", text::needs_trial());
    // For each migration: a run that was stopped half-way leaves fewer of them.
    let untested: Vec<_> = plan
        .migrations
        .iter()
        .filter(|migration| !evidence.tested.contains(&migration.digest))
        .map(|migration| migration.version.as_str())
        .collect();
    checks.push(
        match untested.is_empty() || evidence.tested.contains(&plan.digest) {
            true => tested.ready(),
            false => tested.missing(untested.join(", ")),
        },
    );
    let way_back = need("rollback_script", text::needs_way_back());
    let without: Vec<_> = plan
        .migrations
        .iter()
        .filter(|migration| !migration.down.as_deref().is_some_and(is_way_back))
        .map(|migration| migration.version.as_str())
        .collect();
    if !plan.back {
        checks.push(match without.is_empty() {
            true => way_back.ready(),
            false => way_back.missing(without.join(", ")),
        });
    } else {
        let code = need("code", back::needs_code());
        checks.push(match &evidence.code {
            Some(breaks) if breaks.is_empty() => code.ready(),
            Some(breaks) => code.missing(breaks.join("; ")),
            None => code.unknown("nobody has said what it uses"),
        });
    }
    let backup = need("backup", text::needs_backup(backup_age));
    checks.push(match evidence.backup {
        Some(at) if at <= now && now.saturating_since(at) <= backup_age => backup.ready(),
        Some(at) if at > now => backup.missing(format!("its time is in the future: {}", at.to_jst())),
        Some(at) => backup.missing(format!("the newest is of {}", at.to_jst())),
        None => backup.unknown("nobody has said when the newest was taken"),
    });
    if plan.is_disruptive() {
        let quiet = need("quiet_window", text::needs_quiet());
        checks.push(match evidence.quiet.iter().any(|window| window.contains(now)) {
            true => quiet.ready(),
            false if evidence.quiet.is_empty() => quiet.unknown("no quiet hours are given"),
            false => quiet.missing(format!("it is {} in Japan", now.to_jst())),
        });
    }
    checks
}
