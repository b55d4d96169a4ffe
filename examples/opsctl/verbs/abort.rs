use ops_core::emergency::Refusal;
use ops_core::model::{PlanKind, RunId};

use super::resume::unknown;
use crate::cli::{AbortArgs, Global};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, quoted, report_document};
use crate::session::{Session, started};
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &AbortArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Act).await?;
    let (world, run) = (&session.world, RunId::new(&args.run)?);
    let entries = world.ops.engine().entries(&run).await?;
    let (name, kind) = started(&entries).ok_or_else(|| unknown(&run))?;
    let procedure = world.procedure(name, &None)?;
    printer.heading(&printer.pick(&format!("中止  {run}  {name}"), &format!("abort  {run}  {name}")));
    let aborting = world.ops.abort(&run, &procedure, &session.actor, &args.reason);
    let report = aborting.await.inspect_err(|refusal| match refusal {
        Refusal::Completed { .. } => printer.error(&format!("  → opsctl stop {}", quoted(name))),
        Refusal::NotARestore { .. } => printer.error(&format!("  → opsctl restore {run}")),
        _ => {}
    })?;
    // The restore has failed, which is what was asked for: what counts is whether everything is closed.
    let exit = match &report.outcome.aborted {
        Some(aborted) if aborted.stopped() => Exit::Done,
        Some(aborted) if aborted.closed.iter().any(|closed| closed.verdict.holds()) => Exit::Partly,
        _ => Exit::Failed,
    };
    printer.report(&report, procedure.contacts());
    if printer.json() {
        printer.document(&report_document(&report, exit.code()));
        return Ok(exit);
    }
    printer.line(&match exit {
        Exit::Done => printer.pick(
            "結果: 開けたものをすべて、もう一度止めて確認しました",
            "result: everything that was opened is closed again, and verified",
        ),
        _ => printer.pick(
            "結果: もう一度止まったことを確認できていないものがあります",
            "result: not everything is seen to be closed again",
        ),
    });
    if exit != Exit::Done {
        let again = printer.pick("やり直し", "try again");
        printer.line(&format!("  {again}: opsctl abort {run}"));
    }
    if let PlanKind::Restore { of } = kind {
        let back = printer.pick("復旧", "put it back");
        printer.line(&format!("  {back}: opsctl restore {of}"));
    }
    Ok(exit)
}
