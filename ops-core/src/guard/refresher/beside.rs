//! What goes on beside the poll, so that nothing of it can hold up a stop. Each is begun anew when it panics.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::shared::{READ_BUDGET, Seen, Shared};
use crate::ports::{ProcessRegistry, SwitchHint, SwitchHints};
use crate::resilience::{Deadline, caught};

/// A sign of life goes out this often, and with every generation applied.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Turns hints into polls.
pub(super) fn listen(tasks: &mut JoinSet<()>, shared: &Arc<Shared>, hints: &Arc<dyn SwitchHints>) {
    let (of, hints) = (Arc::clone(shared), Arc::clone(hints));
    let fault: Fault = |seen, fault| (seen.hints, seen.hint_fault) = (None, Some(fault));
    tasks.spawn(again_and_again(
        Arc::clone(shared),
        "listen for switches",
        fault,
        move || {
            let (shared, hints) = (Arc::clone(&of), Arc::clone(&hints));
            async move {
                loop {
                    let hint = hints.next().await;
                    shared.note(&hint);
                    match hint {
                        Ok(SwitchHint::Changed | SwitchHint::Arrive) => shared.poll_now.notify_one(),
                        Ok(SwitchHint::Lost) => {}
                        Err(_) => shared.options.clock.sleep(shared.options.poll).await,
                    }
                }
            }
        },
    ));
}

/// Says what is in force here: with every generation, and as a sign of life.
pub(super) fn report(tasks: &mut JoinSet<()>, shared: &Arc<Shared>, processes: &Arc<dyn ProcessRegistry>) {
    let (of, processes) = (Arc::clone(shared), Arc::clone(processes));
    let fault: Fault = |seen, fault| seen.report_fault = Some(fault);
    tasks.spawn(again_and_again(Arc::clone(shared), "report process", fault, move || {
        let (shared, processes) = (Arc::clone(&of), Arc::clone(&processes));
        async move {
            let clock = &*shared.options.clock;
            let mut applied = shared.applied.subscribe();
            loop {
                let mut process = shared.process.clone();
                process.generation = *applied.borrow_and_update();
                process.calls = shared.switch.calls();
                process.hints = shared.seen().hints;
                let reported = Deadline::after(clock, READ_BUDGET)
                    .bound(clock, "report process", processes.report(&process))
                    .await;
                let fault = reported.err().map(|error| error.to_string());
                let pause = match fault {
                    None => HEARTBEAT,
                    Some(_) => shared.options.poll,
                };
                let before = std::mem::replace(&mut shared.seen().report_fault, fault.clone());
                if let (None, Some(fault)) = (before, fault) {
                    tracing::warn!(
                        fault,
                        "this process cannot say which stops it has applied: whoever stops something does not see it"
                    );
                }
                tokio::select! {
                    _ = applied.changed() => {}
                    () = clock.sleep(pause) => {}
                }
            }
        }
    }));
}

/// Keeps the newest state in the file, off the way from a poll to its effect.
pub(super) fn keep(tasks: &mut JoinSet<()>, shared: &Arc<Shared>, path: PathBuf) {
    let of = Arc::clone(shared);
    let fault: Fault = |seen, fault| seen.last_known_fault = Some(fault);
    tasks.spawn(again_and_again(
        Arc::clone(shared),
        "keep switches",
        fault,
        move || {
            let (shared, path) = (Arc::clone(&of), path.clone());
            async move {
                let mut states = shared.to_keep.subscribe();
                loop {
                    let newest = states.borrow_and_update().clone();
                    let fault = match newest {
                        // Nothing was read yet: what could not be read from the file is still what there is to say.
                        None => shared.seen().last_known_fault.clone(),
                        Some(newest) => newest
                            .write(path.clone())
                            .await
                            .err()
                            .map(|error| error.to_string()),
                    };
                    let again = fault.is_some();
                    let before = std::mem::replace(&mut shared.seen().last_known_fault, fault.clone());
                    if let (None, Some(fault)) = (before, fault) {
                        tracing::warn!(
                            fault,
                            "what the switch store said last cannot be kept; it is tried again"
                        );
                    }
                    tokio::select! {
                        _ = states.changed() => {}
                        () = shared.options.clock.sleep(shared.options.poll), if again => {}
                    }
                }
            }
        },
    ));
}

type Fault = fn(&mut Seen, String);

async fn again_and_again<F, W>(shared: Arc<Shared>, what: &'static str, fault: Fault, work: F)
where
    F: Fn() -> W + Send + Sync,
    W: Future<Output = ()> + Send,
{
    loop {
        let ended = caught(what, async {
            work().await;
            Ok(())
        });
        if let Err(error) = ended.await {
            tracing::error!(%error, "a task of the kill switch panicked; it is begun anew");
            fault(&mut shared.seen(), error.to_string());
        }
        shared.options.clock.sleep(shared.options.poll).await;
    }
}
