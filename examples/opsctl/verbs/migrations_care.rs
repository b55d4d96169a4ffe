//! What a run of migrations and their way back have in common: evidence, check list, record, report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::audit::Recorded;
use ops_core::config::OpsConfig;
use ops_core::error::{Error, ErrorKind, Result as OpsResult};
use ops_core::governance::migration::{
    BACKUP_AGE, Evidence, MigrationPlan, MigrationRunner, RestartHook, RunPolicy, RunReport, RunStatus,
    checklist,
};
use ops_core::model::{
    AuditOutcome, AuditRecord, BackupCopy, Check, CheckState, StepDone, Timestamp, Weekday, Window,
};
use ops_core::ports::{BackupInspector, MigrationExecutor};
use ops_postgres::{DumpFiles, PostgresStore};
use secrecy::SecretString;

use crate::cli::{Global, MigrationsCare};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, load};

/// What is known beforehand, and the copy that counts as the backup.
pub(super) async fn evidence(
    care: &MigrationsCare,
    proofs: &Path,
    session: &Session,
    url: &SecretString,
) -> Result<(Evidence, Option<BackupCopy>), Failure> {
    let mut evidence = Evidence::default();
    evidence.tested = kept(proofs);
    let copy = match care.backup_at {
        Some(_) => None,
        None => newest_copy(&session.world.config, url, session.world.now()).await,
    };
    evidence.backup = match &care.backup_at {
        Some(at) => Some(time(at)?),
        None => copy.as_ref().map(|copy| copy.at),
    };
    evidence.quiet = care
        .quiet
        .iter()
        .map(|text| window(text))
        .collect::<Result<_, _>>()?;
    Ok((evidence, copy))
}

pub(super) fn checks(
    plan: &MigrationPlan,
    evidence: &Evidence,
    copy: Option<&BackupCopy>,
    session: &Session,
) -> Vec<Check> {
    let mut checks = checklist(plan, evidence, BACKUP_AGE, session.world.now());
    if let Some(copy) = copy {
        name_copy(&mut checks, copy);
    }
    checks
}

/// The items that are neither there nor accepted.
pub(super) fn open<'a>(checks: &'a [Check], care: &MigrationsCare) -> Vec<&'a str> {
    checks
        .iter()
        .filter(|check| check.state != CheckState::Ready && !care.accept.contains(&check.name))
        .map(|check| check.name.as_str())
        .collect()
}

pub(super) fn show_open(printer: &Printer, open: &[&str]) {
    let open = open.join(", ");
    printer.error(&printer.pick(
        &format!("拒否: 事前確認が揃っていません（{open}）。何も変更していません"),
        &format!("refused: the check list is not complete ({open}); nothing has been changed"),
    ));
}

pub(super) fn runner(
    session: &Session,
    executor: Arc<dyn MigrationExecutor>,
    care: &MigrationsCare,
) -> MigrationRunner {
    let mut policy = RunPolicy::default();
    policy.watch = Duration::from_secs(care.watch);
    let clock = Arc::clone(&session.world.ops.providers().clock);
    let tenant = session.world.config.tenant.clone();
    let runner = MigrationRunner::new(executor, session.recorder(), clock, tenant).with_policy(policy);
    match &care.restart {
        Some(command) => runner.with_restart(Arc::new(RestartCommand(command.clone()))),
        None => runner,
    }
}

pub(super) fn outcome(report: &RunReport) -> AuditOutcome {
    match report.status {
        RunStatus::Done => AuditOutcome::Succeeded,
        RunStatus::Unwatched => AuditOutcome::Unknown,
        _ => AuditOutcome::Failed,
    }
}

pub(super) fn exit(report: &RunReport) -> Exit {
    match report.status {
        RunStatus::Done => Exit::Done,
        RunStatus::Failed => match report.steps.iter().any(|step| step.done.is_some()) {
            true => Exit::Partly,
            false => Exit::Failed,
        },
        _ => Exit::Unverified,
    }
}

/// The newest complete copy in `[backup] directory`, if there is one; what cannot be looked at counts as none.
async fn newest_copy(config: &OpsConfig, url: &SecretString, now: Timestamp) -> Option<BackupCopy> {
    let directory = config.backup.as_ref()?.directory.as_ref()?;
    let state = DumpFiles::new(directory).inspect().await.ok()?;
    let database = PostgresStore::database_in(url).ok();
    state.seen_at(now).newest_complete(database.as_deref()).cloned()
}

fn name_copy(checks: &mut [Check], copy: &BackupCopy) {
    for check in checks.iter_mut().filter(|check| check.name == "backup") {
        let said = format!("{} ({})", copy.name, copy.at.to_jst());
        check.detail = Some(match check.detail.take() {
            Some(detail) => format!("{detail}: {said}"),
            None => said,
        });
    }
}

/// What is about to be run (its outcome is unknown as yet), was refused, or has ended; what was gone ahead without, and why; and `more` details. Whether
/// the record is where it belongs.
pub(super) async fn record(
    session: &Session,
    care: &MigrationsCare,
    plan: &MigrationPlan,
    outcome: AuditOutcome,
    open: &[&str],
    more: &[(&str, String)],
) -> bool {
    let (now, tenant) = (session.world.now(), session.world.config.tenant.clone());
    let id = if plan.scope.is_empty() { "-" } else { &plan.scope };
    let mut record = AuditRecord::new(
        now,
        tenant,
        session.actor.clone(),
        if plan.back {
            "migration.back"
        } else {
            "migration.run"
        },
        "migration",
        id,
    )
    .with_outcome(outcome)
    .with_detail("digest", &plan.digest)
    .with_detail("migrations", plan.versions().join(","));
    if !care.accept.is_empty() {
        record = record.with_detail("accepted", care.accept.join(","));
    }
    if let Some(reason) = &care.reason {
        record = record.with_detail("reason", reason);
    }
    if !open.is_empty() {
        record = record.with_detail("open", open.join(","));
    }
    for (name, text) in more {
        record = record.with_detail(*name, text);
    }
    matches!(session.recorder().record(record).await, Recorded::Stored(_))
}

pub(super) fn show_plan(printer: &Printer, plan: &MigrationPlan, checks: &[Check], care: &MigrationsCare) {
    if plan.migrations.is_empty() {
        return;
    }
    if !plan.scope.is_empty() {
        let scope = &plan.scope;
        printer.line(&printer.pick(
            &format!("適用記録の表: {scope}"),
            &format!("the tool's table: {scope}"),
        ));
    }
    for migration in &plan.migrations {
        let (version, name, steps) = (&migration.version, &migration.name, migration.steps.len());
        let touched = migration.touched.join(", ");
        printer.line(&printer.pick(
            &format!("{version} {name}  {steps} 段階  待ちが生じる表: {touched}"),
            &format!("{version} {name}  {steps} steps  tables that others wait for: {touched}"),
        ));
    }
    for check in checks {
        let accepted = care.accept.contains(&check.name);
        let mark = match check.state {
            CheckState::Ready => "✔",
            _ if accepted => "△",
            CheckState::Unknown => "?",
            _ => "✘",
        };
        let detail = check.detail.as_deref().unwrap_or_default();
        printer.line(&format!(
            "  {mark} {}: {} {detail}",
            check.name,
            printer.text(&check.what)
        ));
        if let Some(remedy) = check.remedy.as_ref().filter(|_| !accepted) {
            printer.line(&format!("    → {}", printer.text(remedy)));
        }
    }
}

pub(super) fn show_report(printer: &Printer, plan: &MigrationPlan, report: &RunReport) {
    for step in &report.steps {
        let mark = match step.done {
            Some(StepDone::Missing) => "※",
            Some(_) => "✔",
            None => "✘",
        };
        let (migration, position, attempts, took) =
            (&step.migration, step.position, step.attempts, step.took_ms);
        printer.line(&printer.pick(
            &format!("  {mark} {migration}:{position}  {took} ms  {attempts} 回"),
            &format!("  {mark} {migration}:{position}  {took} ms  {attempts} attempts"),
        ));
    }
    for (table, stall) in &report.stalls {
        printer.line(&printer.pick(
            &format!(
                "  {table}: 最長の待ち 読み取り {} ms 書き込み {} ms（{} 回中 {} 回失敗）",
                stall.read_ms, stall.write_ms, stall.beats, stall.missed
            ),
            &format!(
                "  {table}: longest wait of a reader {} ms, of a writer {} ms ({} of {} tries failed)",
                stall.read_ms, stall.write_ms, stall.missed, stall.beats
            ),
        ));
    }
    report
        .watch
        .iter()
        .for_each(|seen| printer.line(&printer.warn(&format!("  ✘ {seen}"))));
    if let Some(failure) = &report.failure {
        printer.error(&printer.pick(&format!("失敗: {failure}"), &format!("failed: {failure}")));
    }
    if report.status == RunStatus::Unwatched {
        printer.error(&printer.pick(
            "⚠ 見守る対象がなく、実行後の状態は確認していません",
            "⚠ there was nothing to watch: how it goes since is not known",
        ));
    } else if report.status != RunStatus::Done {
        let down = plan.migrations.iter().any(|migration| migration.down.is_some());
        printer.error(&match down && !plan.back {
            true => printer.pick(
                "  → 原因を直してもう一度実行すると続きから進む。戻すなら opsctl migrations back DIR で計画を見る",
                "  → mend the cause and run it again: it goes on from here. To go back, see the plan of opsctl migrations back DIR",
            ),
            false => printer.pick(
                "  → 原因を直してもう一度実行すると続きから進む",
                "  → mend the cause and run it again: it goes on from here",
            ),
        });
    }
    if !report.audited {
        printer.error(&printer.pick(
            "⚠ 監査記録の一部が未配送です",
            "⚠ not every step is in the audit trail yet",
        ));
    }
}

fn time(text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(
            format!("--backup-at {text} is no time"),
            "such as 2026-01-30T02:00:00Z",
        )
    })
}

fn window(text: &str) -> Result<Window, Failure> {
    let wrong = || {
        Failure::usage(
            format!("--quiet {text} is no span of time"),
            "such as --quiet 02:00-05:00",
        )
    };
    let (from, until) = text.split_once('-').ok_or_else(wrong)?;
    Ok(Window::Weekly {
        days: Weekday::ALL.to_vec(),
        from: from.parse().map_err(|_| wrong())?,
        until: until.parse().map_err(|_| wrong())?,
    })
}

pub(super) fn proofs(global: &Global, printer: &Printer) -> Result<PathBuf, Failure> {
    let state = match global.config.exists() {
        true => load(global, printer)?.state_dir,
        false => PathBuf::from(".ops"),
    };
    Ok(state.join("migrations"))
}

/// Remembers that the migrations of a plan ran on a throw-away server.
pub(super) fn keep_proofs(global: &Global, printer: &Printer, plan: &MigrationPlan) -> Result<(), Failure> {
    let dir = proofs(global, printer)?;
    let migrations = plan.migrations.iter();
    // There and back was tried.
    let digests =
        migrations.flat_map(|migration| std::iter::once(&migration.digest).chain(&migration.back_digest));
    let mut files = digests.map(|digest| dir.join(format!("{digest}.tested")));
    let kept =
        std::fs::create_dir_all(&dir).and_then(|()| files.try_for_each(|file| std::fs::write(file, "")));
    kept.map_err(|error| {
        Failure::usage(
            format!("cannot write into {}: {}", dir.display(), error.kind()),
            "make state_dir a folder that can be written",
        )
    })
}

fn kept(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".tested")?.to_owned()))
        .collect()
}

/// Restarts the application by a program of its own.
#[derive(Debug)]
struct RestartCommand(String);

#[async_trait]
impl RestartHook for RestartCommand {
    async fn restart(&self) -> OpsResult<()> {
        let failed = || Error::new(ErrorKind::Unavailable, "restart the application");
        let status = tokio::process::Command::new("sh")
            .args(["-c", &self.0])
            .stdout(std::process::Stdio::null())
            .status()
            .await
            .map_err(|error| failed().source(error))?;
        match status.success() {
            true => Ok(()),
            false => Err(failed().context("exit", status.code().unwrap_or(-1).to_string())),
        }
    }
}
