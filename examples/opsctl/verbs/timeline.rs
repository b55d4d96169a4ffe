use ops_core::emergency::{Timeline, timeline};
use ops_core::model::RunId;
use serde_json::{Value, json};

use super::resume::unknown;
use crate::exit::{Exit, Failure};
use crate::print::{Printer, millis};
use crate::session::Session;

/// `runs RUN`: what happened, when.
pub(crate) async fn run(
    session: &Session,
    printer: &Printer,
    run: &RunId,
    markdown: bool,
) -> Result<Exit, Failure> {
    let entries = session.world.ops.engine().entries(run).await?;
    let timeline = timeline(&entries).ok_or_else(|| unknown(run))?;
    if printer.json() {
        printer.document(&document(&timeline));
    } else if markdown {
        printer.line(timeline.to_markdown(printer.lang()).trim_end());
    } else {
        printer.heading(&format!("{}  {}", timeline.run, timeline.procedure));
        for line in &timeline.lines {
            let offset = format!("+{:.3} s", line.offset.as_secs_f64());
            printer.line(&format!(
                "  {}  {offset:>10}  {}",
                line.at.to_jst(),
                printer.text(&line.what)
            ));
        }
    }
    Ok(Exit::Done)
}

fn document(timeline: &Timeline) -> Value {
    let line = |line: &ops_core::emergency::TimelineLine| {
        json!({
            "at": line.at, "offset_ms": millis(line.offset), "step": line.step, "target": line.target, "what": line.what,
        })
    };
    json!({
        "run": timeline.run,
        "procedure": timeline.procedure,
        "plan": timeline.plan,
        "started_at": timeline.started_at,
        "lasted_ms": millis(timeline.lasted),
        "timeline": timeline.lines.iter().map(line).collect::<Vec<_>>(),
        "exit_code": 0,
    })
}
