use std::collections::BTreeSet;

use ops_core::audit::Recorded;
use ops_core::emergency::Refusal;
use ops_core::model::{Opening, RunId, TargetId};
use serde_json::json;

use crate::cli::{ForgetArgs, Global};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &ForgetArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::to_act_if(!args.dry_run)).await?;
    let (world, run) = (&session.world, RunId::new(&args.run)?);
    let targets = args
        .target
        .iter()
        .map(TargetId::new)
        .collect::<Result<BTreeSet<_>, _>>()?;
    let plan = world
        .ops
        .engine()
        .plan_forget(&run, &targets, &args.reason)
        .await?;
    let plan = plan.with_policy(world.restore_policy());
    let request = plan.request(session.actor.clone(), world.now());
    printer.steps(&request.plan, plan.procedure(), plan.steps(), &Opening::default());
    printer.line(&printer.warn(&printer.pick(
        "  ⚠ これらは二度と自動では元に戻せません。今の状態が次の停止の「停止前」になります",
        "  ⚠ no restore will write these back; what is there now counts as the state before the next stop",
    )));
    if args.dry_run {
        session.ask(&request, printer).await;
        printer.line(&format!("  → opsctl approve {} --key FILE", request.digest));
        if printer.json() {
            printer.document(&json!({
                "run": run, "procedure": plan.procedure(), "steps": plan.steps(), "plan_digest": request.digest,
                "approvals_needed": plan.policy().persons, "exit_code": 0,
            }));
        }
        return Ok(Exit::Done);
    }
    let approvals = session.approvals(plan.digest(), printer).await;
    let forgetting = world
        .ops
        .forget(&plan, &approvals, &world.approvers, &session.actor);
    let forgotten = forgetting.await;
    if let Err(Refusal::NotApproved { .. }) = &forgotten {
        session.ask(&request, printer).await;
        printer.error(&format!("  → opsctl approve {} --key FILE", request.digest));
    }
    let (forgotten, recorded) = forgotten?;
    let audited = recorded
        .iter()
        .all(|recorded| matches!(recorded, Recorded::Stored(_)));
    let exit = match (forgotten.targets.is_empty(), forgotten.still_held.is_empty()) {
        (_, true) => Exit::Done,
        (false, false) => Exit::Partly,
        (true, false) => Exit::Failed,
    };
    for (target, why) in &forgotten.still_held {
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ {target} はまだ保持されています ({why})。もう一度破棄してください"),
            &format!("⚠ {target} is still held ({why}): forget it again"),
        )));
    }
    let listed: Vec<_> = forgotten.targets.iter().map(TargetId::as_str).collect();
    printer.line(&printer.pick(
        &format!("結果: 停止前の状態を破棄しました: {}", listed.join(" ")),
        &format!("result: given up: {}", listed.join(" ")),
    ));
    if printer.json() {
        printer.document(&json!({"forgotten": forgotten, "audited": audited, "exit_code": exit.code()}));
    }
    Ok(exit)
}
