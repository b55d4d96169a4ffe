use std::path::Path;

use ops_core::DrillProof;
use ops_core::model::{DrillReport, DrilledStep, RunId};
use serde_json::{Value, json};

use crate::cli::{DrillVerb, Global};
use crate::evidence::Evidence;
use crate::exit::{Exit, Failure};
use crate::print::{Printer, millis, seconds};
use crate::session::Session;
use crate::world::Purpose;

/// `drill list` and `drill show`.
pub(crate) async fn run(global: &Global, printer: &Printer, verb: &DrillVerb) -> Result<Exit, Failure> {
    match verb {
        DrillVerb::List { evidence } => list(global, printer, evidence.as_deref()).await,
        DrillVerb::Show { run, evidence } => {
            show(global, printer, &RunId::new(run)?, evidence.as_deref()).await
        }
    }
}

async fn list(global: &Global, printer: &Printer, named: Option<&Path>) -> Result<Exit, Failure> {
    let evidence = open(global, printer, named).await?;
    let reports = evidence.ops.providers().drills.list().await?;
    if printer.json() {
        let drills: Vec<_> = reports.iter().map(summary).collect();
        printer.document(&json!({"drills": drills, "exit_code": 0}));
        return Ok(Exit::Done);
    }
    for report in &reports {
        printer.line(&format!(
            "{}  {}  {}  {}  {}  {}",
            report.run,
            report.started_at.to_jst(),
            report.procedure,
            report.world,
            report.verdict().name(),
            seconds(report.stop_took)
        ));
    }
    if reports.is_empty() {
        printer.line(&printer.pick("訓練の記録はありません", "no drill has been kept"));
    }
    Ok(Exit::Done)
}

async fn show(
    global: &Global,
    printer: &Printer,
    run: &RunId,
    named: Option<&Path>,
) -> Result<Exit, Failure> {
    let evidence = open(global, printer, named).await?;
    let report = evidence.ops.providers().drills.find(run).await?;
    let report = report.ok_or_else(|| {
        Failure::usage(
            format!("no drill {run} is kept in {}", evidence.directory.display()),
            "see `opsctl drill list`",
        )
    })?;
    let proof = prove(global, printer, named, &evidence, &report).await?;
    let exit = match proof {
        DrillProof::Differs => Exit::Failed,
        _ => Exit::Done,
    };
    if printer.json() {
        printer.document(&json!({
            "report": report, "verdict": report.verdict(), "report_digest": report.digest(), "proof": proof.name(),
            "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    printer.heading(&format!(
        "{}  {}  {}",
        report.procedure,
        report.world,
        report.verdict().name()
    ));
    printer.line(&format!(
        "  {} → {}",
        report.started_at.to_jst(),
        report.ended_at.to_jst()
    ));
    steps(printer, ("停止", "stop"), &report.stop_steps);
    steps(printer, ("復旧", "restore"), &report.restore_steps);
    for seen in report.confirmed.iter().filter(|seen| !seen.exact) {
        printer.line(&printer.warn(&format!(
            "  ✘ {} {} {}",
            seen.target,
            seen.seen.as_deref().unwrap_or_default(),
            seen.differences.join(", ")
        )));
    }
    report
        .injected
        .iter()
        .for_each(|what| printer.line(&format!("  ⚡ {what}")));
    report
        .approvals
        .iter()
        .for_each(|approval| printer.line(&format!("  {approval}")));
    if !report.throw_away_keys.is_empty() {
        printer.line(&printer.pick(
            "  承認は使い捨ての鍵によるもので、人の承認ではありません",
            "  approved with throw-away keys, by no person",
        ));
    }
    let digest = report.digest();
    printer.line(&match proof {
        DrillProof::Proven => printer.pick(
            &format!("  監査ログと一致 {digest}"),
            &format!("  fits the audit trail {digest}"),
        ),
        DrillProof::NotRecorded => printer.pick(
            &format!("  監査ログに記録がありません {digest}"),
            &format!("  not in the audit trail {digest}"),
        ),
        DrillProof::Differs => printer.warn(&printer.pick(
            &format!("  ✘ 監査ログと一致しません: 記録後に変更されています {digest}"),
            &format!("  ✘ does not fit the audit trail: it was changed after it was recorded {digest}"),
        )),
    });
    Ok(exit)
}

/// Asks the audit trail in which the record is: with a database, only reading needs a connection.
async fn prove(
    global: &Global,
    printer: &Printer,
    named: Option<&Path>,
    evidence: &Evidence,
    report: &DrillReport,
) -> Result<DrillProof, Failure> {
    if named.is_some() {
        return Ok(evidence.ops.prove_drill(report).await?);
    }
    let session = Session::open(global, printer, Purpose::Look).await?;
    session.world.deliver_audit().await;
    Ok(session.world.ops.prove_drill(report).await?)
}

async fn open(global: &Global, printer: &Printer, named: Option<&Path>) -> Result<Evidence, Failure> {
    let evidence = Evidence::open(global, printer, named).await?;
    evidence.ok_or_else(|| {
        Failure::usage(
            format!(
                "there is no configuration file {} that says where drills are kept",
                global.config.display()
            ),
            "name the directory with --evidence, or the file with --config",
        )
    })
}

fn steps(printer: &Printer, heading: (&str, &str), steps: &[DrilledStep]) {
    if !steps.is_empty() {
        printer.heading(&printer.pick(heading.0, heading.1));
    }
    for step in steps {
        let line = ops_core::messages::step_line(&step.action, &step.result, &step.verdict);
        let (took, promised) = (seconds(step.took), seconds(step.promised));
        printer.line(&printer.pick(
            &format!("  {}  {took}（目標 {promised}）", printer.text(&line)),
            &format!("  {}  {took} (promised {promised})", printer.text(&line)),
        ));
    }
}

fn summary(report: &DrillReport) -> Value {
    json!({
        "run": report.run,
        "at": report.started_at,
        "procedure": report.procedure,
        "world": report.world,
        "verdict": report.verdict(),
        "took_ms": millis(report.stop_took),
        "promised_ms": millis(report.stop_promised),
        "within_target": report.within_target(),
        "report_digest": report.digest(),
    })
}
