use ops_core::emergency::{BreakGlass, Refusal};
use ops_core::model::{PlanKind, RunId};
use ops_core::pipeline::Report;
use ops_core::ports::QueuesFound;

use super::resume::unknown;
use crate::cli::{Global, RestoreArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, plan_document, report_document};
use crate::queues::{self, Looking};
use crate::session::{Session, started};
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &RestoreArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::to_act_if(!args.dry_run)).await?;
    let (world, stopped) = (&session.world, RunId::new(&args.run)?);
    let entries = world.ops.engine().entries(&stopped).await?;
    let (name, _) = started(&entries).ok_or_else(|| unknown(&stopped))?;
    let procedure = world.procedure(name, &None)?;
    let mut plan = world.ops.engine().plan_restore(&stopped, &procedure).await?;
    if args.accept_drift {
        plan = plan.accepting_drift();
    }
    if let Some(reason) = &args.skip_gates {
        plan = plan.without_gates(&BreakGlass::new(reason)?);
    }
    let looking = Looking::begin(world, plan.steps());
    printer.plan(&plan);
    let found = looking.end().await;
    queues::show(&found, printer);
    if args.dry_run {
        session.ask_if_needed(&plan, printer).await;
        if printer.json() {
            let mut document = plan_document(&plan);
            document["queues"] = queues::document(&found);
            printer.document(&document);
        }
        return Ok(Exit::Done);
    }
    let plan = session.consented(plan, printer).await.inspect_err(|refusal| {
        if let Refusal::Drifted { .. } = refusal {
            printer.error(&format!("  → opsctl restore {stopped} --accept-drift"));
        }
    })?;
    let (run, gated) = (plan.run(), !plan.opening().gates.is_empty());
    printer.heading(&printer.pick(&format!("復旧  {run}"), &format!("restore  {run}")));
    if gated {
        let way_back = printer.pick("もう一度止める", "to stop again");
        printer.line(&format!("  {way_back}: opsctl abort {run}"));
    }
    let report = world.ops.carry_out(plan, &session.actor).await?;
    printer.report(&report, procedure.contacts());
    queues::show_burst(&found, printer);
    conclude(&session, printer, &report, name, &found).await
}

/// Says whether a restore that has ended is exact, by a second read with fresh clients.
pub(crate) async fn conclude(
    session: &Session,
    printer: &Printer,
    report: &Report,
    name: &str,
    found: &QueuesFound,
) -> Result<Exit, Failure> {
    let run = &report.outcome.run;
    let ended = Exit::from(report.outcome.status);
    // What cannot be read now is not seen to be exact; the restore itself has happened.
    let exact = ended == Exit::Done && exactly(session, run, name).await.unwrap_or(false);
    let exit = match ended {
        Exit::Done if !exact => Exit::Unverified,
        ended => ended,
    };
    if printer.json() {
        let mut document = report_document(report, exit.code());
        document["restored_exactly"] = exact.into();
        document["queues"] = queues::document(found);
        printer.document(&document);
        return Ok(exit);
    }
    say(printer, exact);
    if let (Some(_), PlanKind::Restore { of }) = (&report.outcome.aborted, &report.outcome.kind) {
        let back = printer.pick("やり直し", "try again");
        printer.line(&format!("  {back}: opsctl restore {of}"));
    } else if !exact {
        let again = printer.pick("やり直し", "try again");
        printer.line(&format!("  {again}: opsctl resume {run}"));
    }
    Ok(exit)
}

async fn exactly(session: &Session, run: &RunId, name: &str) -> Result<bool, Failure> {
    let fresh = session.fresh().await?;
    let procedure = fresh.procedure(name, &None)?;
    let confirmations = fresh.ops.engine().confirm(run, &procedure).await?;
    Ok(!confirmations.is_empty()
        && confirmations
            .iter()
            .all(|confirmation| confirmation.verdict.holds()))
}

fn say(printer: &Printer, exact: bool) {
    printer.line(&match exact {
        true => printer.pick(
            "結果: 停止前の状態に完全に復元しました (restored exactly)",
            "result: restored exactly, seen by a second read with fresh clients",
        ),
        false => printer.pick(
            "結果: 完全な復元を確認できていません",
            "result: not seen to be restored exactly",
        ),
    });
}
