use ops_core::model::{PlanKind, RunId};
use ops_core::ports::JournalEvent;

use crate::cli::{Global, ResumeArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, report_document};
use crate::session::{Session, started};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &ResumeArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer).await?;
    let engine = session.world.ops.engine();
    let run = match &args.run {
        Some(run) => RunId::new(run)?,
        None => newest_open(&session).await?,
    };
    let entries = engine.entries(&run).await?;
    let (name, kind) = started(&entries).ok_or_else(|| unknown(&run))?;
    let procedure = session.world.procedure(name, &None)?;
    printer.heading(&printer.pick(&format!("再開  {run}  {name}"), &format!("resume  {run}  {name}")));
    let report = session.world.ops.resume(&run, &procedure, &session.actor).await?;
    let exit = Exit::from(report.outcome.status);
    if printer.json() {
        printer.document(&report_document(&report, exit.code()));
        return Ok(exit);
    }
    printer.report(&report, procedure.contacts());
    if exit != Exit::Done {
        printer.line(&printer.pick("結果: まだ完了していません", "result: not complete yet"));
    } else if matches!(kind, PlanKind::Stop) {
        printer.line(&printer.pick("結果: 停止し、確認しました", "result: stopped and verified"));
        printer.line(&format!(
            "  {}: opsctl restore {run}",
            printer.pick("復旧", "put it back")
        ));
    } else {
        return super::restore::confirm(&session, printer, &run, name).await;
    }
    Ok(exit)
}

pub(crate) fn unknown(run: &RunId) -> Failure {
    Failure::usage(format!("the journal does not know {run}"), "see `opsctl runs`")
}

async fn newest_open(session: &Session) -> Result<RunId, Failure> {
    let engine = session.world.ops.engine();
    for run in engine.runs().await?.into_iter().rev() {
        let entries = engine.entries(&run).await?;
        if !entries
            .iter()
            .any(|entry| matches!(entry.event, JournalEvent::Ended { .. }))
        {
            return Ok(run);
        }
    }
    Err(Failure::usage(
        "no run is unfinished",
        "name a run to try its failed steps again; see `opsctl runs`",
    ))
}
