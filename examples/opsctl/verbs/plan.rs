use crate::cli::{Global, PlanArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, plan_document};
use crate::session::Session;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &PlanArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer).await?;
    let procedure = session.procedure(&args.procedure, &args.param)?;
    let plan = session.world.ops.plan(&procedure).await;
    if printer.json() {
        printer.document(&plan_document(&plan));
    } else {
        printer.plan(&plan);
    }
    Ok(Exit::Done)
}
