use std::path::Path;
use std::sync::Arc;

use ops_core::clock::SystemClock;
use ops_core::config::Env;
use ops_core::governance::{Diagnosis, doctor};
use ops_core::model::{Check, CheckState, Lang};
use ops_core::ports::Clock;
use serde_json::json;

use crate::cli::{DoctorArgs, Global};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::load;
use crate::world::examination;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &DoctorArgs) -> Result<Exit, Failure> {
    let config = load(global, printer)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let examination = examination(&config, &Env::process(), &clock).await?;
    let found = doctor(&examination, clock).await;
    let exit = match found.state() {
        CheckState::Ready => Exit::Done,
        CheckState::Unknown => Exit::Unverified,
        CheckState::Missing => Exit::Failed,
    };
    if let Some(file) = &args.metrics {
        write(file, &found.metrics())?;
    }
    if printer.json() {
        printer.document(&document(&found, exit));
    } else {
        show(&found, printer);
    }
    Ok(exit)
}

/// In place of the old file at once: whoever collects it reads one or the other, whole.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let made = file.with_extension("tmp");
    std::fs::write(&made, text)
        .and_then(|()| std::fs::rename(&made, file))
        .map_err(|error| {
            Failure::usage(
                format!("cannot write {}: {}", file.display(), error.kind()),
                "name a file in a folder that exists and can be written",
            )
        })
}

/// A line for each subject that is ready, and one for each thing that is not.
fn show(found: &Diagnosis, printer: &Printer) {
    let mut subjects: Vec<&str> = Vec::new();
    for check in &found.checks {
        if !subjects.contains(&check.subject.as_str()) {
            subjects.push(&check.subject);
        }
    }
    let width = subjects
        .iter()
        .map(|subject| subject.chars().count())
        .max()
        .unwrap_or(0);
    for subject in subjects {
        let of_subject: Vec<&Check> = found
            .checks
            .iter()
            .filter(|check| check.subject == subject)
            .collect();
        let bad: Vec<_> = of_subject
            .iter()
            .filter(|check| check.state != CheckState::Ready)
            .collect();
        if bad.is_empty() {
            let count = of_subject.len();
            let summary = printer.pick(&format!("{count} 項目 問題なし"), &format!("{count} ready"));
            printer.line(&format!("  ✔ {subject:width$}  {summary}"));
        }
        for check in bad {
            let (mark, state) = match check.state {
                CheckState::Unknown => ("?", printer.pick("確認できず", "unknown")),
                _ => ("✘", printer.pick("不足", "missing")),
            };
            let detail = check.detail.as_deref().unwrap_or_default();
            printer.line(&printer.warn(&format!(
                "  {mark} {subject:width$}  {state}: {}  ({detail})",
                printer.text(&check.what)
            )));
            if let Some(remedy) = &check.remedy {
                printer.line(&format!("    {:width$}  → {}", "", printer.text(remedy)));
            }
        }
    }
    for limitation in &found.limitations {
        printer.line(&format!("  ※ {}", printer.text(limitation)));
    }
    let count = |state| found.count(state);
    let (ready, unknown, missing) = (
        count(CheckState::Ready),
        count(CheckState::Unknown),
        count(CheckState::Missing),
    );
    printer.line(&match found.state() {
        CheckState::Ready => printer.pick(
            &format!("結果: 停止と復旧に必要なものは揃っています（{ready} 項目）"),
            &format!("result: everything that the button needs is there ({ready} checks)"),
        ),
        CheckState::Unknown => printer.pick(
            &format!("結果: {unknown} 項目を確認できませんでした（問題なし {ready}）"),
            &format!("result: {unknown} checks could not be made ({ready} ready)"),
        ),
        CheckState::Missing => printer.pick(
            &format!("結果: {missing} 項目が不足しています（確認できず {unknown}、問題なし {ready}）"),
            &format!("result: {missing} things are missing ({unknown} unknown, {ready} ready)"),
        ),
    });
}

fn document(found: &Diagnosis, exit: Exit) -> serde_json::Value {
    let check = |check: &Check| {
        json!({
            "name": check.name,
            "subject": check.subject,
            "state": check.state,
            "what": check.what.get(Lang::En),
            "detail": check.detail,
            "remedy": check.remedy.as_ref().map(|remedy| remedy.get(Lang::En)),
        })
    };
    json!({
        "at": found.at,
        "state": found.state(),
        "counts": {
            "ready": found.count(CheckState::Ready),
            "unknown": found.count(CheckState::Unknown),
            "missing": found.count(CheckState::Missing),
        },
        "checks": found.checks.iter().map(check).collect::<Vec<_>>(),
        "uncovered": found.uncovered,
        "gone": found.gone,
        "limitations": found.limitations.iter().map(|text| text.get(Lang::En)).collect::<Vec<_>>(),
        "exit_code": exit.code(),
    })
}
