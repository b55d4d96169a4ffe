use ops_core::model::{Observation, TargetId, TargetState};
use serde_json::json;

use super::db_load;
use crate::cli::{DbArgs, DbVerb, Global, OnOff, PlanArgs, RestoreArgs, StopArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, holder};
use crate::world::{DATABASE_PROCEDURE, Purpose, TIMEOUTS_PROCEDURE, database_procedure};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &DbArgs) -> Result<Exit, Failure> {
    match &args.verb {
        DbVerb::Status => status(global, printer).await,
        DbVerb::Triage => super::db_triage::run(global, printer).await,
        DbVerb::Migrate => super::db_migrate::run(global, printer).await,
        DbVerb::Blockers => db_load::blockers(global, printer).await,
        DbVerb::Cancel { rule, pid, end, act } => {
            let which = db_load::Which {
                rule: rule.as_deref(),
                pid: *pid,
                end: *end,
            };
            db_load::cancel(global, printer, which, *act).await
        }
        DbVerb::Tables { most } => db_load::tables(global, printer, *most).await,
        DbVerb::ReadOnly {
            mode: OnOff::On,
            strength,
            ..
        } => on(global, printer, database_procedure(*strength)).await,
        DbVerb::ReadOnly {
            mode: OnOff::Off,
            strength: Some(_),
            ..
        } => Err(Failure::usage(
            "--strength goes with on",
            "whatever its strength, `opsctl db read-only off` lifts it",
        )),
        DbVerb::ReadOnly {
            mode: OnOff::Off,
            accept_drift,
            ..
        } => {
            let session = Session::open(global, printer, Purpose::Act).await?;
            let target = session.world.database_target()?;
            off(
                global,
                printer,
                &session,
                target,
                DATABASE_PROCEDURE,
                *accept_drift,
            )
            .await
        }
        DbVerb::Timeouts { mode: OnOff::On, .. } => on(global, printer, TIMEOUTS_PROCEDURE.to_owned()).await,
        DbVerb::Timeouts {
            mode: OnOff::Off,
            accept_drift,
        } => {
            let session = Session::open(global, printer, Purpose::Act).await?;
            let target = session.world.timeouts_target()?;
            off(
                global,
                printer,
                &session,
                target,
                TIMEOUTS_PROCEDURE,
                *accept_drift,
            )
            .await
        }
    }
}

async fn on(global: &Global, printer: &Printer, procedure: String) -> Result<Exit, Failure> {
    let plan = PlanArgs {
        procedure,
        param: Vec::new(),
    };
    let args = StopArgs {
        plan,
        dry_run: false,
        break_glass: None,
        overrides: Vec::new(),
    };
    super::stop::run(global, printer, &args).await
}

async fn off(
    global: &Global,
    printer: &Printer,
    session: &Session,
    target: TargetId,
    procedure: &str,
    accept_drift: bool,
) -> Result<Exit, Failure> {
    let args = RestoreArgs {
        run: holder(session, &target, procedure).await?,
        dry_run: false,
        accept_drift,
        skip_gates: None,
    };
    super::restore::run(global, printer, &args).await
}

async fn status(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Look).await?;
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
    let load = db_load::status(&session, printer).await;
    if printer.json() {
        printer.document(&json!({
            "target": observed.snapshot().target(), "state": observed.state(), "settled": observed.settled(),
            "caveats": observed.caveats(), "marker": observed.marker(), "load": load, "exit_code": 0,
        }));
    }
    Ok(Exit::Done)
}
