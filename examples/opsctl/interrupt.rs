use std::sync::PoisonError;

use ops_core::model::Lang;
use serde_json::json;

use crate::cli::Verb;
use crate::exit::Exit;
use crate::print::Printer;

/// Ends at the first SIGINT or SIGTERM; never for a verb that waits for one itself. A second one ends the process at once.
pub(crate) async fn signal(verb: &Verb) {
    if matches!(verb, Verb::Sim(_)) {
        return std::future::pending().await;
    }
    wait().await;
    tokio::spawn(async {
        wait().await;
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
}

#[cfg(unix)]
async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // The signal then ends the process by itself, which a run survives as well.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Leaves at once: whatever is under way may take effect or not, and a resume finds out. Waiting would only make the second signal a kill.
pub(crate) fn leave(printer: &Printer) -> Exit {
    let run = printer
        .in_hand()
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let exit = Exit::Interrupted;
    if printer.json() {
        let message = match (&run, printer.remedy()) {
            (Some(_), _) => "interrupted in the middle of a run, which can be taken up",
            (None, Some(_)) => "interrupted in the middle of the work, which can be taken up",
            (None, None) => "interrupted; no run was under way",
        };
        let again = printer.remedy().map(|remedy| remedy.get(Lang::En).to_owned());
        let remedy = run.as_ref().map(|run| format!("opsctl resume {run}")).or(again);
        let error = json!({"kind": "interrupted", "message": message, "run": run, "remedy": remedy});
        printer.document(&json!({"error": error, "exit_code": exit.code()}));
        return exit;
    }
    match (run, printer.remedy()) {
        (Some(run), _) => {
            printer.error(&printer.pick(
                &format!("中断しました。実行 {run} は途中で、再開できます"),
                &format!("interrupted: run {run} is unfinished and can be taken up"),
            ));
            let (go_on, back) = (
                printer.pick("続ける", "go on"),
                printer.pick("戻す", "undo a stop"),
            );
            printer.error(&format!("  {go_on}: opsctl resume {run}"));
            printer.error(&format!("  {back}: opsctl restore {run}"));
        }
        (None, Some(remedy)) => {
            printer.error(&printer.pick(
                "中断しました。途中で止まっています",
                "interrupted: it is unfinished",
            ));
            printer.error(&format!("  → {}", printer.text(remedy)));
        }
        (None, None) => printer.error(&printer.pick(
            "中断しました。進行中の実行はありません",
            "interrupted: no run was under way",
        )),
    }
    exit
}
