use std::borrow::Cow;

use ops_core::masking::Detector;
use serde::Deserialize;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::input::{self, Input, Line, Lines, Written};
use crate::print::Printer;

/// Answers each line on standard input, `{"text": …}`, with one line, `{"spans": […]}`.
pub(crate) fn run(printer: &Printer) -> Result<Exit, Failure> {
    let (input, detector) = (Input::stdin(), Detector::new());
    let (mut lines, mut batch, mut wrong) = (Lines::default(), Vec::new(), 0_u64);
    loop {
        let more = input.take(&mut batch)?;
        let mut ready = lines.push(&batch);
        batch.clear();
        if !more {
            ready.extend(lines.finish());
        }
        let mut out = String::new();
        for (number, answer) in answers(&detector, &ready) {
            match answer {
                Ok(answer) => out.push_str(&answer),
                Err(what) => {
                    wrong += 1;
                    out.push_str(&json!({"error": what}).to_string());
                    printer.error(&printer.pick(
                        &format!(
                            "opsctl: {number} 行目: {what} — 1 行に {{\"text\": \"…\"}} を 1 つ書いてください"
                        ),
                        &format!("opsctl: line {number}: {what} — write one {{\"text\": \"…\"}} a line"),
                    ));
                }
            }
            out.push('\n');
        }
        if input::write(&out)? == Written::Nobody {
            return Ok(Exit::Done);
        }
        if !more {
            return Ok(if wrong == 0 { Exit::Done } else { Exit::Usage });
        }
    }
}

type Answer = Result<String, &'static str>;

/// The answers in the order of the lines, worked out on all cores.
fn answers(detector: &Detector, lines: &[Line]) -> Vec<(u64, Answer)> {
    let workers = input::workers().get();
    let answer = |lines: &[Line]| -> Vec<(u64, Answer)> {
        lines
            .iter()
            .map(|line| (line.number, self::answer(detector, line)))
            .collect()
    };
    if workers == 1 || lines.len() < WORTH_SHARING {
        return answer(lines);
    }
    std::thread::scope(|scope| {
        let share = lines.len().div_ceil(workers);
        let tasks: Vec<_> = lines
            .chunks(share)
            .map(|share| scope.spawn(move || answer(share)))
            .collect();
        let done = tasks.into_iter().flat_map(|task| match task.join() {
            Ok(answers) => answers,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.collect()
    })
}

/// Fewer lines are done before a thread is there.
const WORTH_SHARING: usize = 200;

#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

fn answer(detector: &Detector, line: &Line) -> Answer {
    let text = line.text.as_deref().ok_or("is longer than 16 MiB")?;
    let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8")?;
    let question: Question<'_> =
        serde_json::from_str(text).map_err(|_| "is no JSON object with a \"text\" string")?;
    Ok(json!({"spans": detector.detect(&question.text)}).to_string())
}
