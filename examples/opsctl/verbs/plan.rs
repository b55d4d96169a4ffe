use crate::cli::{Global, PlanArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, last_drill_document, plan_document};
use crate::session::Session;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &PlanArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer).await?;
    let procedure = session.procedure(&args.procedure, &args.param)?;
    let plan = session.world.ops.plan(&procedure).await;
    session.ask_if_needed(&plan, printer).await;
    let broken = plan.broken_rules(&session.actor, session.world.now());
    let last = session.world.ops.last_drill(procedure.name()).await;
    if printer.json() {
        let mut document = plan_document(&plan);
        document["broken_rules"] = serde_json::json!(broken);
        document["last_drill"] = last_drill_document(last.as_ref());
        printer.document(&document);
    } else {
        printer.plan(&plan);
        printer.broken_rules(&broken);
        printer.last_drill(&plan, last.as_ref());
    }
    Ok(Exit::Done)
}
