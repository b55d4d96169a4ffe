use crate::cli::{Global, PlanArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, last_drill_document, plan_document};
use crate::queues::{self, Looking};
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &PlanArgs) -> Result<Exit, Failure> {
    show(
        &Session::open(global, printer, Purpose::Look).await?,
        printer,
        args,
    )
    .await
}

/// In a world that is open.
pub(super) async fn show(session: &Session, printer: &Printer, args: &PlanArgs) -> Result<Exit, Failure> {
    session.world.still_decided(&args.procedure)?;
    let procedure = session.procedure(&args.procedure, &args.param)?;
    let plan = session.world.ops.plan(&procedure).await;
    let looking = Looking::begin(&session.world, plan.steps());
    session.ask_if_needed(&plan, printer).await;
    let broken = plan.broken_rules(&session.actor, session.world.now());
    let last = session.world.ops.last_drill(procedure.name()).await;
    let found = looking.end().await;
    if printer.json() {
        let mut document = plan_document(&plan);
        document["broken_rules"] = serde_json::json!(broken);
        document["last_drill"] = last_drill_document(last.as_ref());
        document["queues"] = queues::document(&found);
        printer.document(&document);
    } else {
        printer.plan(&plan);
        printer.broken_rules(&broken);
        printer.last_drill(&plan, last.as_ref());
        queues::show(&found, printer);
    }
    Ok(Exit::Done)
}
