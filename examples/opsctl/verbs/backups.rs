use std::path::Path;
use std::sync::Arc;

use ops_core::clock::SystemClock;
use ops_core::config::{Env, OpsConfig};
use ops_core::file::FileRestoreTests;
use ops_core::governance::{BackupReport, BackupSeverity, backup_report, inspect_backups};
use ops_core::masking::BuiltinMasker;
use ops_core::model::{ArchiveMode, BackupCopy, BackupState, ServerBackups, Text, Unseen};
use ops_core::ports::{BackupInspector, Clock};
use ops_postgres::{DumpFiles, PostgresBackups, PostgresStore};
use secrecy::SecretString;
use serde_json::json;

use crate::cli::{BackupsArgs, BackupsVerb, Global};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::load;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &BackupsArgs) -> Result<Exit, Failure> {
    match &args.verb {
        BackupsVerb::Check { directory } => check(global, printer, directory.as_deref()).await,
        BackupsVerb::Test(args) => super::backups_test::run(global, printer, args).await,
    }
}

/// The configuration, if there is one; and the database of it, else that of `DATABASE_URL`.
pub(super) fn configured(
    global: &Global,
    printer: &Printer,
) -> Result<(Option<OpsConfig>, Option<SecretString>), Failure> {
    let config = match global.config.exists() {
        true => Some(load(global, printer)?),
        false => None,
    };
    let name = match &config {
        Some(config) => config.database.as_ref().map(|database| database.url_env.clone()),
        None => Some("DATABASE_URL".to_owned()),
    };
    let url = name.as_deref().and_then(|name| Env::process().secret(name));
    if let (None, Some(name), true) = (&url, name, config.is_some()) {
        return Err(Failure::usage(
            format!("the variable {name} is not set"),
            "set it to postgres://user:password@host:port/database, or remove [database]",
        ));
    }
    Ok((config, url))
}

/// Where the evidence of tests is.
pub(super) fn restore_tests(config: &OpsConfig) -> FileRestoreTests {
    FileRestoreTests::new(config.state_dir.join("restore-tests"))
}

async fn check(global: &Global, printer: &Printer, directory: Option<&Path>) -> Result<Exit, Failure> {
    let (config, url) = configured(global, printer)?;
    let backup = config
        .as_ref()
        .and_then(|config| config.backup.clone())
        .unwrap_or_default();
    let directory = directory.map(Path::to_owned).or_else(|| backup.directory.clone());
    let mut inspectors: Vec<Arc<dyn BackupInspector>> = Vec::new();
    if let Some(url) = &url {
        inspectors.push(Arc::new(PostgresBackups::new(
            url,
            Arc::new(BuiltinMasker::new()),
        )?));
    }
    if let Some(directory) = directory {
        inspectors.push(Arc::new(DumpFiles::new(directory)));
    }
    if inspectors.is_empty() {
        return Err(Failure::usage(
            "there is neither a database nor a directory with copies to look at",
            "set DATABASE_URL, add [database] or [backup] directory to ops.toml, or name one with --directory",
        ));
    }
    let database = url.as_ref().map(PostgresStore::database_in).transpose()?;
    let mut state = inspect_backups(&inspectors).await;
    let last = match &config {
        Some(config) => match restore_tests(config).newest().await {
            Ok(last) => last,
            Err(error) => {
                let why = error.to_string();
                let unseen = Unseen::new("restore_tests", Text::new(why.clone(), why));
                state.unseen.push(unseen);
                None
            }
        },
        None => None,
    };
    let now = SystemClock::new().now();
    let state = state.seen_at(now);
    let report = backup_report(&state, &backup.policy(), database.as_deref(), last.as_ref(), now);
    let exit = match report.worst() {
        None => Exit::Done,
        Some(BackupSeverity::Warning) => Exit::Partly,
        Some(BackupSeverity::Failed) => Exit::Failed,
        Some(_) => Exit::Unverified,
    };
    let limitations: Vec<Text> = inspectors
        .iter()
        .flat_map(|inspector| inspector.capability().limitations)
        .collect();
    if printer.json() {
        printer.document(&json!({
            "server": state.server, "copies": state.copies, "unseen": state.unseen, "policy": backup.policy(),
            "destroyed": report.destroyed, "disk": report.disk, "findings": report.findings, "last_test": last,
            "limitations": limitations, "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    show(printer, &state, &report);
    for limitation in &limitations {
        printer.line(&format!("  ※ {}", printer.text(limitation)));
    }
    Ok(exit)
}

fn show(printer: &Printer, state: &BackupState, report: &BackupReport) {
    let (destroyed, disk) = (
        printer.text(&report.destroyed.text),
        printer.text(&report.disk.text),
    );
    printer.heading(&printer.pick(
        &format!("今データが壊されたら失うもの: {destroyed}"),
        &format!("lost if the data were destroyed now: {destroyed}"),
    ));
    printer.heading(&printer.pick(
        &format!("今ディスクが壊れたら失うもの: {disk}"),
        &format!("lost if the disk died now: {disk}"),
    ));
    if let Some(server) = &state.server {
        show_server(printer, server);
    }
    for copy in state.copies.iter().flatten().take(SHOWN) {
        show_copy(printer, copy);
    }
    for finding in &report.findings {
        let mark = match finding.severity {
            BackupSeverity::Failed => "✘",
            BackupSeverity::Warning => "⚠",
            _ => "?",
        };
        let what = printer.text(&finding.what);
        printer.line(&printer.warn(&format!("  {mark} {}: {what}", finding.kind)));
        printer.line(&format!("    → {}", printer.text(&finding.remedy)));
    }
    if report.findings.is_empty() {
        printer.line(&printer.pick("  ✔ 問題は見つかりません", "  ✔ nothing was found"));
    }
}

fn show_server(printer: &Printer, server: &ServerBackups) {
    let archiving = &server.archiving;
    let last = archiving.last.as_ref();
    let last = last.map_or_else(
        || "-".to_owned(),
        |last| format!("{} {}", last.segment, last.at.to_jst()),
    );
    let waiting = archiving
        .waiting
        .map_or_else(|| "?".to_owned(), |waiting| waiting.to_string());
    printer.line(&match archiving.mode {
        ArchiveMode::Off => printer.pick("  WAL アーカイブ: なし", "  log archive: none"),
        _ => printer.pick(
            &format!(
                "  WAL アーカイブ: 最後 {last} JST  待ち {waiting}  失敗 {}",
                archiving.failed
            ),
            &format!(
                "  log archive: last {last} (Japan)  waiting {waiting}  failed {}",
                archiving.failed
            ),
        ),
    });
    for standby in &server.standbys {
        let state = standby.state.as_deref().unwrap_or("?");
        let bytes = standby
            .bytes
            .map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
        printer.line(&printer.pick(
            &format!("  スタンバイ {}: {state}  遅れ {bytes} バイト", standby.name),
            &format!("  standby {}: {state}  {bytes} bytes behind", standby.name),
        ));
    }
    if server.base_backups_running > 0 {
        printer.line(&printer.pick("  ベースバックアップを取得中", "  a base backup is being taken"));
    }
}

fn show_copy(printer: &Printer, copy: &BackupCopy) {
    let mark = match copy.complete {
        Some(true) => "✔",
        Some(false) => "✘",
        None => "?",
    };
    let database = copy.database.as_deref().unwrap_or("-");
    let (name, kind, at, bytes) = (&copy.name, copy.kind.name(), copy.at.to_jst(), copy.bytes);
    printer.line(&format!("  {mark} {at}  {bytes:>14}  {kind}  {database}  {name}"));
}

/// More are in the JSON document.
const SHOWN: usize = 10;
