use ops_core::emergency::BreakGlass;

use crate::cli::{Global, StopArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, report_document};
use crate::queues::{self, Looking};
use crate::session::Session;
use crate::world::{Purpose, StopOfUser};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &StopArgs) -> Result<Exit, Failure> {
    if args.dry_run {
        return super::plan::run(global, printer, &args.plan).await;
    }
    let session = Session::open(global, printer, Purpose::Act).await?;
    carry_out(&session, printer, args).await
}

/// In a world that is open.
pub(super) async fn carry_out(
    session: &Session,
    printer: &Printer,
    args: &StopArgs,
) -> Result<Exit, Failure> {
    let world = &session.world;
    world.still_decided(&args.plan.procedure)?;
    let procedure = session.procedure(&args.plan.procedure, &args.plan.param)?;
    let plan = world.ops.plan(&procedure).await;
    printer.plan(&plan);
    // It goes on beside the stop, which waits for nothing of it.
    let looking = Looking::begin(world, plan.steps());
    let now = world.now();
    printer.broken_rules(&plan.broken_rules(&session.actor, now));
    let plan = match &args.break_glass {
        Some(reason) => {
            let glass = args
                .overrides
                .iter()
                .fold(BreakGlass::new(reason)?, |glass, rule| glass.overriding(rule));
            plan.break_glass(glass, session.actor.clone(), now)?
        }
        None => session.consented(plan, printer).await?,
    };
    let run = plan.run().clone();
    printer.heading(&printer.pick(&format!("停止  {run}"), &format!("stop  {run}")));
    let report = world.ops.carry_out(plan, &session.actor).await?;
    let exit = Exit::from(report.outcome.status);
    if printer.json() {
        let mut document = report_document(&report, exit.code());
        document["queues"] = queues::document(&looking.end().await);
        printer.document(&document);
        return Ok(exit);
    }
    printer.report(&report, procedure.contacts());
    printer.line(&match exit {
        Exit::Done => printer.pick("結果: 停止し、確認しました", "result: stopped and verified"),
        Exit::Unverified => printer.pick(
            "結果: 受理されましたが、停止を確認できていません",
            "result: accepted, but not seen to be stopped",
        ),
        Exit::Partly => printer.pick(
            "結果: 一部だけ停止しました（上の ✘ を確認）",
            "result: only partly stopped (see ✘ above)",
        ),
        _ => printer.pick("結果: 停止できませんでした", "result: could not stop"),
    });
    if let Some(due) = report.outcome.review_due {
        printer.line(&printer.pick(
            &format!(
                "  レビュー期限 {} JST（別の人）: opsctl review {run} --note …",
                due.to_jst()
            ),
            &format!("  review by {due}, by another person: opsctl review {run} --note …"),
        ));
    }
    let again = printer.pick("やり直し", "try again");
    if exit != Exit::Done {
        // Another decision also ends what began since; to take this one up would not.
        let command = match StopOfUser::of(procedure.name()) {
            Some(stop) => stop.anew(),
            None => format!("opsctl resume {run}"),
        };
        printer.line(&format!("  {again}: {command}"));
    }
    printer.line(&format!(
        "  {}: opsctl restore {run}",
        printer.pick("復旧", "put it back")
    ));
    queues::show(&looking.end().await, printer);
    Ok(exit)
}
