use std::time::Duration;

use ops_core::governance::queues_feeding;
use ops_core::messages;
use ops_core::model::{Burst, FeedingQueue, PlannedStep, TargetId};
use ops_core::ports::QueuesFound;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::print::{Printer, millis};
use crate::world::World;

/// How long one inspector may take. Nothing that stops waits for it.
const BUDGET: Duration = Duration::from_secs(3);

/// An inspection that goes on by itself: what delivers to the targets of a plan, to be shown beside it.
#[derive(Debug)]
pub(crate) struct Looking(JoinHandle<QueuesFound>);

impl Looking {
    /// Begins to look; comes back at once.
    pub(crate) fn begin(world: &World, steps: &[PlannedStep]) -> Self {
        let mut targets: Vec<TargetId> = steps.iter().map(|step| step.target.clone()).collect();
        targets.sort();
        targets.dedup();
        let (inspectors, unread) = world.queue_inspectors();
        let clock = std::sync::Arc::clone(&world.ops.providers().clock);
        Self(tokio::spawn(async move {
            let found = queues_feeding(&inspectors, &targets, clock, BUDGET).await;
            found.and(unread)
        }))
    }

    /// What was found: at most the budget after the beginning.
    pub(crate) async fn end(self) -> QueuesFound {
        self.0
            .await
            .unwrap_or_else(|_| QueuesFound::unread("queues", "the inspection ended unexpectedly"))
    }
}

/// What goes on delivering, what is lost meanwhile, and what arrives on return.
pub(crate) fn show(found: &QueuesFound, printer: &Printer) {
    if found.queues.is_empty() && found.unread.is_empty() {
        return;
    }
    printer.line(&printer.pick("  停止中も配送を続けるもの", "  what goes on delivering to it"));
    for queue in &found.queues {
        let name = queue.name.rsplit('/').next().unwrap_or_default();
        let target = queue.target.name().rsplit('/').next().unwrap_or_default();
        let kind = messages::queue_kind(queue.kind);
        let matched = messages::queue_match(queue.matched);
        let backlog = messages::queue_backlog(queue);
        printer.line(&format!(
            "    ⇢ {target} ← {} {name} [{}]  {}",
            printer.text(&kind),
            printer.text(&matched),
            printer.text(&backlog)
        ));
        if !queue.paused {
            printer.line(&format!(
                "        {}",
                printer.text(&messages::queue_losses(queue))
            ));
        }
    }
    for (part, why) in &found.unread {
        printer.line(&printer.warn(&printer.pick(
            &format!("    ? {part}: 読めませんでした ({why})"),
            &format!("    ? {part}: could not be read ({why})"),
        )));
    }
    printer.line(&format!("  {}", printer.text(&burst(found))));
}

/// What arrives on return, in one line.
pub(crate) fn show_burst(found: &QueuesFound, printer: &Printer) {
    if !(found.queues.is_empty() && found.unread.is_empty()) {
        printer.line(&format!("  {}", printer.text(&burst(found))));
    }
}

fn burst(found: &QueuesFound) -> ops_core::model::Text {
    messages::burst(&burst_of(found))
}

/// A part that could not be read may hold anything.
fn burst_of(found: &QueuesFound) -> Burst {
    let mut burst = Burst::of(&found.queues);
    if !found.unread.is_empty() {
        (burst.whole, burst.paced, burst.lasts) = (false, false, None);
    }
    burst
}

/// The same as JSON.
pub(crate) fn document(found: &QueuesFound) -> Value {
    let burst = burst_of(found);
    let queue = |queue: &FeedingQueue| {
        json!({
            "queue": queue.name,
            "kind": queue.kind,
            "target": queue.target,
            "matched_by": queue.matched,
            "paused": queue.paused,
            "waiting": queue.waiting,
            "oldest_ms": queue.oldest.map(millis),
            "per_second": queue.per_second,
            "attempts": queue.attempts,
            "keeps_ms": queue.keeps.map(millis),
            "given_up": queue.after,
            "first_given_up_in_ms": queue.first_given_up().map(millis),
            "schedule": queue.schedule,
            "next": queue.next,
        })
    };
    json!({
        "found": found.queues.iter().map(queue).collect::<Vec<_>>(),
        "unread": found.unread.iter().map(|(part, why)| json!({"part": part, "why": why})).collect::<Vec<_>>(),
        "burst": {
            "messages": burst.messages,
            "known_whole": burst.whole,
            "per_second": burst.per_second,
            "paced": burst.paced,
            "lasts_ms": burst.lasts.map(millis),
        },
    })
}
