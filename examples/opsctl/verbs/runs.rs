use ops_core::emergency::gave_way;
use ops_core::error::ErrorKind;
use ops_core::model::{PlanKind, RunId};
use ops_core::ports::JournalEvent;
use serde_json::json;

use super::timeline;
use crate::cli::{Global, RunsArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, published, started};
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &RunsArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Look).await?;
    if let Some(run) = &args.run {
        return timeline::run(&session, printer, &RunId::new(run)?, args.markdown).await;
    }
    let engine = session.world.ops.engine();
    match engine.catch_up().await {
        Ok(0) => {}
        Ok(copied) => printer.line(&printer.pick(
            &format!("退避先から {copied} 件をジャーナルへ写しました"),
            &format!("{copied} copied from the spool to the journal"),
        )),
        Err(error) => printer.error(&printer.warn(&format!("⚠ {error}"))),
    }
    let held = match engine.held().await {
        Ok(held) => held,
        // One that cannot be read must not hide the runs.
        Err(error) if error.kind() == ErrorKind::Unexpected => {
            printer.error(&printer.warn(&format!("⚠ {error}")));
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let mut documents = Vec::new();
    for run in engine.runs().await? {
        let entries = match engine.entries(&run).await {
            Ok(entries) => entries,
            Err(error) => {
                printer.error(&printer.warn(&format!("⚠ {run}: {error}")));
                continue;
            }
        };
        let Some((procedure, kind)) = started(&entries) else {
            continue;
        };
        let status = entries.iter().rev().find_map(|entry| match &entry.event {
            JournalEvent::Ended { status } => Some(*status),
            _ => None,
        });
        let at = entries.first().map(|entry| entry.at);
        let holds: Vec<_> = held
            .iter()
            .filter(|held| held.run == run)
            .map(|held| held.snapshot.target().to_string())
            .collect();
        let what = match kind {
            PlanKind::Stop => "stop".to_owned(),
            PlanKind::Restore { of } => format!("restore of {of}"),
            _ => "other".to_owned(),
        };
        let ended = status.map_or_else(
            || printer.pick("未完了", "unfinished"),
            |status| format!("{status:?}").to_lowercase(),
        );
        printer.line(&format!(
            "{run}  {}  {procedure}  {what}  {ended}",
            at.map(ops_core::model::Timestamp::to_jst).unwrap_or_default()
        ));
        if !holds.is_empty() {
            printer.line(&format!(
                "    {} {}",
                printer.pick("復旧待ち:", "waits for a restore:"),
                holds.join(" ")
            ));
        }
        let recorded = published(&entries);
        if !recorded && !gave_way(&entries) {
            printer.line(&format!(
                "    {}",
                printer.pick("監査未記録: opsctl resume", "not recorded: opsctl resume")
            ));
        }
        documents.push(json!({
            "run": run, "at": at, "procedure": procedure, "plan": kind, "status": status, "holds": holds, "recorded": recorded,
        }));
    }
    if printer.json() {
        printer.document(&json!({"runs": documents, "exit_code": 0}));
    } else if documents.is_empty() {
        printer.line(&printer.pick("実行の記録はありません", "no runs"));
    }
    Ok(Exit::Done)
}
