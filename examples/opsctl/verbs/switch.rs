use serde_json::json;

use crate::cli::{Global, PlanArgs, RestoreArgs, StopArgs, SwitchArgs, SwitchVerb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, holder};
use crate::world::{SWITCH_PROCEDURE, switch_target};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &SwitchArgs) -> Result<Exit, Failure> {
    match &args.verb {
        SwitchVerb::List => list(&Session::open(global, printer).await?, printer).await,
        SwitchVerb::Stop { feature } => {
            let plan = PlanArgs {
                procedure: format!("{SWITCH_PROCEDURE}{feature}"),
                param: Vec::new(),
            };
            super::stop::run(
                global,
                printer,
                &StopArgs {
                    plan,
                    dry_run: false,
                    break_glass: None,
                },
            )
            .await
        }
        SwitchVerb::Open { feature } => {
            let session = Session::open(global, printer).await?;
            let procedure = format!("{SWITCH_PROCEDURE}{feature}");
            session.procedure(&procedure, &[])?;
            let run = holder(&session, &switch_target(feature)?, &procedure).await?;
            super::restore::run(
                global,
                printer,
                &RestoreArgs {
                    run,
                    dry_run: false,
                    accept_drift: false,
                },
            )
            .await
        }
    }
}

async fn list(session: &Session, printer: &Printer) -> Result<Exit, Failure> {
    let state = session.world.ops.providers().switches.read().await?;
    let mut documents = Vec::new();
    for switch in &session.world.config.switches {
        let off = state.stopped.get(&switch.name);
        let shown = match off {
            None => printer.pick("開", "open"),
            Some(off) => printer.pick(
                &format!("停止 {} ({}, JST)", off.by, off.at.to_jst()),
                &format!("stopped by {} at {}", off.by, off.at),
            ),
        };
        printer.line(&format!("{:<24} {shown}", switch.name));
        documents.push(json!({"feature": switch.name, "stopped": off.is_some(), "by": off}));
    }
    if printer.json() {
        printer.document(&json!({"generation": state.generation, "switches": documents, "exit_code": 0}));
    }
    Ok(Exit::Done)
}
