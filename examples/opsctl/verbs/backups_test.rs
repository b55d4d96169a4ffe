use std::sync::Arc;

use ops_core::audit::Recorded;
use ops_core::clock::SystemClock;
use ops_core::error::ErrorKind;
use ops_core::file::FileRestoreTests;
use ops_core::masking::BuiltinMasker;
use ops_core::model::{AuditOutcome, AuditRecord, CopyKind, RestoreTest, RunId};
use ops_core::testkit::PostgresServer;
use ops_postgres::{DumpFiles, RestoreTrial};
use secrecy::SecretString;
use serde_json::json;

use super::backups::{configured, restore_tests};
use crate::cli::{BackupsTestArgs, Global};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, seconds};
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &BackupsTestArgs) -> Result<Exit, Failure> {
    let copy = DumpFiles::one(&args.dump).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidInput => {
            Failure::usage(error.to_string(), "name a file or a folder that pg_dump wrote")
        }
        _ => Failure::Failed(error),
    })?;
    if copy.kind == CopyKind::BaseBackup {
        return Err(Failure::usage(
            format!("{} is a base backup", copy.name),
            "give a dump; a base backup is tried by starting a server on it, after pg_verifybackup",
        ));
    }
    if copy.kind == CopyKind::ClusterDump {
        return Err(Failure::usage(
            format!("{} is a dump of a whole cluster (pg_dumpall)", copy.name),
            "give a dump of one database, made by pg_dump",
        ));
    }
    if copy.kind == CopyKind::PlainDump && copy.complete.is_none() {
        return Err(Failure::usage(
            format!("{} was compressed by another program", copy.name),
            "decompress it first, and give the dump itself",
        ));
    }
    let session = Session::open(global, printer, Purpose::Look).await?;
    let (config, url) = configured(global, printer)?;
    let url = url.filter(|_| !args.alone);
    let policy = config.and_then(|config| config.backup).unwrap_or_default();
    let at = session.world.now();
    let mut test = RestoreTest::new(RunId::generate(at), at, copy.name.clone());
    test.rto = args.rto.unwrap_or(policy.rto);
    test.dump_digest = FileRestoreTests::digest_of(&args.dump).await?;
    printer.line(&printer.pick(
        "使い捨てのサーバーに復元しています…",
        "restoring into a throw-away server …",
    ));
    let server = PostgresServer::start_private().await?;
    let admin = SecretString::from(server.url());
    let (masker, clock) = (Arc::new(BuiltinMasker::new()), Arc::new(SystemClock::new()));
    let trial = RestoreTrial::new(&admin, server.programs(), masker, clock)?;
    let tried = trial.run(&args.dump, &copy, url.as_ref(), &mut test).await;
    drop(server);
    tried?;
    let tests = restore_tests(&session.world.config);
    tests.append(&test).await?;
    let audited = record(&session, &test).await;
    let exit = exit(&test);
    if printer.json() {
        printer.document(&json!({
            "test": test, "passed": test.passed(), "within_rto": test.within_rto(), "digest": test.digest(),
            "audited": audited, "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    show(printer, &test);
    if !audited {
        printer.error(&printer.warn(&printer.pick(
            "⚠ 監査記録が未配送です",
            "⚠ the record is not in the audit trail yet",
        )));
    }
    Ok(exit)
}

fn exit(test: &RestoreTest) -> Exit {
    // A trail without a record shows nothing: its records may have been left out.
    let unverified = test.not_compared.is_some() || test.audit_records == Some(0);
    match (test.passed(), unverified) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::Unverified,
        (true, false) => Exit::Done,
    }
}

/// The digest of the evidence goes into the audit trail, so that evidence that is changed later shows.
async fn record(session: &Session, test: &RestoreTest) -> bool {
    let world = &session.world;
    let outcome = match test.passed() {
        true => AuditOutcome::Succeeded,
        false => AuditOutcome::Failed,
    };
    let record = AuditRecord::new(
        world.now(),
        world.config.tenant.clone(),
        session.actor.clone(),
        "backup.test",
        "backup",
        test.id.to_string(),
    )
    .with_outcome(outcome)
    .with_detail("digest", test.digest().to_string())
    .with_detail("took_ms", test.took.as_millis().to_string())
    .with_detail("tables", test.tables.len().to_string());
    matches!(world.ops.record(record).await, Recorded::Stored(_))
}

fn show(printer: &Printer, test: &RestoreTest) {
    let (took, rto) = (seconds(test.took), seconds(test.rto));
    let (tables, rows) = (
        test.tables.len(),
        test.tables.iter().map(|table| table.rows).sum::<i64>(),
    );
    let dump = &test.dump;
    printer.heading(&match test.passed() {
        true => printer.pick(
            &format!("✔ {dump} は復元できます: {tables} 表 {rows} 行"),
            &format!("✔ {dump} restores: {tables} tables, {rows} rows"),
        ),
        false => printer.pick(
            &format!("✘ {dump} の復元は失敗しました"),
            &format!("✘ {dump} does not restore"),
        ),
    });
    let slow = if test.within_rto() { "✔" } else { "⚠" };
    printer.line(&printer.pick(
        &format!("  {slow} 所要 {took}（目標 {rto}。この機械での値で、本番の復旧時間ではない）"),
        &format!("  {slow} took {took} ({rto} is the target; measured on this machine, not in production)"),
    ));
    for table in &test.tables {
        let live = table.live_rows.map_or_else(String::new, |rows| {
            printer.pick(&format!("  本番は約 {rows}"), &format!("  live about {rows}"))
        });
        printer.line(&format!("  {:>12}  {}{live}", table.rows, table.name));
    }
    for name in &test.missing {
        printer.line(&printer.warn(&printer.pick(
            &format!("  ✘ {name} がダンプにない"),
            &format!("  ✘ {name} is not in the dump"),
        )));
    }
    for name in test.emptied() {
        printer.line(&printer.warn(&printer.pick(
            &format!("  ✘ {name} は空のまま復元された (本番には行がある)"),
            &format!("  ✘ {name} came back empty, and the live database has rows of it"),
        )));
    }
    for name in &test.extra {
        printer.line(&printer.pick(
            &format!("  ※ {name} は本番にない"),
            &format!("  ※ {name} is not in the live database"),
        ));
    }
    for name in &test.unvalidated {
        printer.line(&printer.pick(
            &format!("  ※ 制約 {name} は検証されていない（NOT VALID）"),
            &format!("  ※ the constraint {name} is not validated"),
        ));
    }
    if test.passed() {
        printer.line(&match test.audit_records {
            Some(0) => printer.warn(&printer.pick(
                "  ? 監査証跡に記録がなく、検証できません",
                "  ? the audit trail in it has no record: it could not be verified",
            )),
            Some(records) => printer.pick(
                &format!("  ✔ 監査証跡 {records} 件を検証"),
                &format!("  ✔ {records} records of the audit trail verify"),
            ),
            None => printer.pick("  ※ 監査証跡は含まれていない", "  ※ the audit trail is not in it"),
        });
    }
    match (&test.not_compared, test.compared) {
        (Some(why), _) => printer.line(&printer.warn(&printer.pick(
            &format!("  ? 本番と比べられません ({why})"),
            &format!("  ? it cannot be compared with the live database ({why})"),
        ))),
        (None, false) => printer.line(&printer.pick(
            "  ※ 本番のデータベースとは比べていない",
            "  ※ not compared with a live database",
        )),
        (None, true) => {}
    }
    for failure in test.failures.iter().take(SHOWN) {
        printer.line(&printer.warn(&format!("  ✘ {failure}")));
    }
    let evidence = test.id.as_str();
    printer.line(&printer.pick(
        &format!(
            "  証拠: state_dir の restore-tests/{evidence}.json  {}",
            test.digest()
        ),
        &format!(
            "  evidence: restore-tests/{evidence}.json in state_dir  {}",
            test.digest()
        ),
    ));
}

/// More are in the evidence.
const SHOWN: usize = 20;
