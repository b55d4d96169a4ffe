use ops_core::model::{PlanKind, RunId};
use ops_core::ports::JournalEvent;

use crate::cli::{Global, ResumeArgs};
use crate::exit::{Exit, Failure};
use crate::print::{Printer, report_document};
use crate::queues::{self, Looking};
use crate::session::{Session, started};
use crate::world::{Purpose, StopOfUser};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &ResumeArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Act).await?;
    let engine = session.world.ops.engine();
    let run = match &args.run {
        Some(run) => RunId::new(run)?,
        None => newest_open(&session).await?,
    };
    let entries = engine.entries(&run).await?;
    let (name, kind) = started(&entries).ok_or_else(|| unknown(&run))?;
    let procedure = session.world.procedure(name, &None)?;
    *printer
        .in_hand()
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(run.clone());
    printer.heading(&printer.pick(&format!("再開  {run}  {name}"), &format!("resume  {run}  {name}")));
    let steps = entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started { steps, .. } => Some(steps.as_slice()),
        _ => None,
    });
    let looking = Looking::begin(&session.world, steps.unwrap_or_default());
    let report = session.world.ops.resume(&run, &procedure, &session.actor).await?;
    let is_stop = matches!(kind, PlanKind::Stop);
    let ended = Exit::from(report.outcome.status);
    printer.report(&report, procedure.contacts());
    let found = looking.end().await;
    if is_stop || ended != Exit::Done {
        if printer.json() {
            let mut document = report_document(&report, ended.code());
            document["queues"] = queues::document(&found);
            printer.document(&document);
        }
        printer.line(&match ended {
            Exit::Done => printer.pick("結果: 停止し、確認しました", "result: stopped and verified"),
            _ => printer.pick("結果: まだ完了していません", "result: not complete yet"),
        });
        if is_stop {
            if let Some(stop) = StopOfUser::of(name) {
                let before = stop.before();
                printer.line(&printer.pick(
                    &format!(
                        "  ※ {} JST 以後に始まったセッションは判定していません: {}",
                        before.to_jst(),
                        stop.anew()
                    ),
                    &format!(
                        "  note: sessions that began after {before} are not judged: {}",
                        stop.anew()
                    ),
                ));
            }
            let back = printer.pick("復旧", "put it back");
            printer.line(&format!("  {back}: opsctl restore {run}"));
            queues::show(&found, printer);
        }
        return Ok(ended);
    }
    queues::show_burst(&found, printer);
    super::restore::conclude(&session, printer, &report, name, &found).await
}

pub(crate) fn unknown(run: &RunId) -> Failure {
    Failure::usage(format!("the journal does not know {run}"), "see `opsctl runs`")
}

/// The newest run that has begun and was not recorded to its end.
async fn newest_open(session: &Session) -> Result<RunId, Failure> {
    session.unrecorded().await.pop().ok_or_else(|| {
        Failure::usage(
            "no run is unfinished",
            "name a run to try its failed steps again; see `opsctl runs`",
        )
    })
}
