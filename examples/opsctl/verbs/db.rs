use ops_core::model::{Observation, TargetState};
use serde_json::json;

use crate::cli::{DbArgs, DbVerb, Global, OnOff, PlanArgs, RestoreArgs, StopArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, holder};
use crate::world::DATABASE_PROCEDURE;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &DbArgs) -> Result<Exit, Failure> {
    match args.verb {
        DbVerb::Status => status(global, printer).await,
        DbVerb::ReadOnly { mode: OnOff::On, .. } => {
            let plan = PlanArgs {
                procedure: DATABASE_PROCEDURE.to_owned(),
                param: Vec::new(),
            };
            super::stop::run(
                global,
                printer,
                &StopArgs {
                    plan,
                    dry_run: false,
                    break_glass: None,
                    overrides: Vec::new(),
                },
            )
            .await
        }
        DbVerb::ReadOnly {
            mode: OnOff::Off,
            accept_drift,
        } => {
            let session = Session::open(global, printer).await?;
            let run = holder(&session, &session.world.database_target()?, DATABASE_PROCEDURE).await?;
            super::restore::run(
                global,
                printer,
                &RestoreArgs {
                    run,
                    dry_run: false,
                    accept_drift,
                    skip_gates: None,
                },
            )
            .await
        }
    }
}

async fn status(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let session = Session::open(global, printer).await?;
    let observed: Observation = session.world.observe_database().await?;
    let state = match observed.state() {
        TargetState::Serving => printer.pick("書き込み可", "can be written"),
        TargetState::PartlyStopped => printer.pick("一部だけ読み取り専用", "only partly read-only"),
        TargetState::Stopped => printer.pick("読み取り専用", "read-only"),
    };
    printer.line(&format!("{}  {state}", observed.snapshot().target()));
    observed
        .caveats()
        .iter()
        .for_each(|caveat| printer.line(&format!("  ※ {}", printer.text(caveat))));
    if printer.json() {
        printer.document(&json!({
            "target": observed.snapshot().target(), "state": observed.state(), "settled": observed.settled(),
            "caveats": observed.caveats(), "marker": observed.marker(), "exit_code": 0,
        }));
    }
    Ok(Exit::Done)
}
