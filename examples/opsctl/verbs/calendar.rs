use std::time::Duration;

use ops_core::config::CalendarConfig;
use ops_core::error::Result;
use ops_core::governance::{Agenda, AgendaEntry, DueState, agenda};
use ops_core::model::{Completion, DueEvidence, DueOutcome, Recurring};
use serde_json::{Value, json};

use super::calendar_deed;
use crate::cli::{CalendarArgs, CalendarVerb, Global};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::{Known, Purpose};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &CalendarArgs) -> Result<Exit, Failure> {
    let looks = matches!(args.verb, CalendarVerb::Due { .. } | CalendarVerb::History { .. });
    let session = Session::open(global, printer, Purpose::to_act_if(!looks)).await?;
    match &args.verb {
        CalendarVerb::Due { within, all } => due(&session, printer, *within, *all).await,
        CalendarVerb::Done {
            key,
            note,
            evidence,
            at,
        } => {
            let said = calendar_deed::Said {
                note: note.as_deref(),
                evidence: evidence.as_deref(),
                at: at.as_deref(),
            };
            calendar_deed::done(&session, printer, key, &said).await
        }
        CalendarVerb::Skip { keys, reason } => calendar_deed::skip(&session, printer, keys, reason).await,
        CalendarVerb::Add { title, due, about } => {
            calendar_deed::add(&session, printer, title, due, about.as_deref()).await
        }
        CalendarVerb::History { item } => history(&session, printer, item.as_deref()).await,
    }
}

pub(super) fn items(session: &Session) -> Vec<Recurring> {
    let calendar = session.world.config.calendar.iter();
    calendar.map(CalendarConfig::item).collect()
}

/// What is known, with what is not said on standard error.
pub(super) async fn look(session: &Session, printer: &Printer) -> Result<Known, Failure> {
    let world = &session.world;
    let known = world.dates.look(items(session), world.now()).await?;
    if let Some(why) = &known.unknown {
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ 他の端末で済んだものは分かりません ({why})。この端末の記録と設定だけで答えます"),
            &format!(
                "⚠ what was done elsewhere is not known ({why}): this is what the configuration and this machine know"
            ),
        )));
    } else if known.waiting > 0 {
        let waiting = known.waiting;
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ この端末の記録 {waiting} 件を、データベースはまだ受け取っていません"),
            &format!("⚠ the database has not taken {waiting} entries of this machine yet"),
        )));
    }
    for (mine, first) in &known.overruled {
        let (key, by, at, me) = (&mine.key, first.by.id(), first.at.to_jst(), mine.by.id());
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ {key}: {by} が先に済ませています ({at})。この端末の {me} の記録は数えません"),
            &format!("⚠ {key}: {by} was first ({at}); what {me} said on this machine does not count"),
        )));
    }
    for (mine, first) in &known.outdated {
        let (key, mine, by, due) = (
            &mine.key,
            mine.due.to_jst(),
            first.set_by.id(),
            first.due.to_jst(),
        );
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ {key}: {by} が先に {due} までと決めています。この端末の {mine} までは数えません"),
            &format!(
                "⚠ {key}: {by} was first to set it, by {due}; {mine}, as this machine had it, does not count"
            ),
        )));
    }
    for (item, begun) in &known.begun_ahead {
        let begun = begun.to_jst();
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ {item}: {begun} からしか数えません。最初に見た端末の時計が進んでいました。ops.toml の項目に since を書いてください"),
            &format!("⚠ {item} counts only from {begun} on, as the clock of whoever looked first was ahead: write since in its [[calendar]] table"),
        )));
    }
    Ok(known)
}

async fn due(session: &Session, printer: &Printer, within: Duration, all: bool) -> Result<Exit, Failure> {
    let known = look(session, printer).await?;
    let now = session.world.now();
    let mut found = agenda(&known.items, &known.dates, &known.completions, now, within);
    let is_known = known.unknown.is_none() && known.begun_ahead.is_empty();
    let exit = match (
        is_known,
        found.count(DueState::Overdue),
        found.count(DueState::Due),
    ) {
        (false, _, _) => Exit::Unverified,
        (true, 0, 0) => Exit::Done,
        (true, 0, _) => Exit::Partly,
        (true, _, _) => Exit::Failed,
    };
    let counts: serde_json::Map<String, Value> = STATES
        .iter()
        .map(|state| (state.name().to_owned(), found.count(*state).into()))
        .collect();
    if !all {
        let open = [DueState::Overdue, DueState::Due, DueState::Coming];
        found.entries.retain(|entry| open.contains(&entry.state));
    }
    if printer.json() {
        printer.document(&json!({
            "now": now, "within_seconds": within.as_secs(), "entries": found.entries, "earlier": found.earlier,
            "counts": counts, "unknown": known.unknown, "waiting": known.waiting,
            "begun_ahead": known.begun_ahead.iter().map(|(item, _)| item).collect::<Vec<_>>(), "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    show(printer, &found);
    if found.entries.is_empty() {
        printer.line(
            &match session.world.config.calendar.is_empty() && known.dates.is_empty() {
                true => printer.pick(
                    "予定がありません。ops.toml に [[calendar]] を書くか、opsctl calendar add を使います",
                    "there is no calendar: write [[calendar]] tables in ops.toml, or use opsctl calendar add",
                ),
                false => printer.pick("期限の来るものはありません", "nothing is due"),
            },
        );
    }
    Ok(exit)
}

const STATES: [DueState; 6] = [
    DueState::Overdue,
    DueState::Due,
    DueState::Coming,
    DueState::Later,
    DueState::Done,
    DueState::Skipped,
];

fn show(printer: &Printer, found: &Agenda) {
    for (item, count) in &found.earlier {
        printer.line(&printer.warn(&printer.pick(
            &format!("✘ {item}: これより前の期限切れがあと {count} 件"),
            &format!("✘ {item}: {count} more overdue before these"),
        )));
    }
    for entry in &found.entries {
        let line = format!(
            "{} {:<36} {}  {}",
            mark(printer, entry),
            entry.key.as_str(),
            entry.due.to_jst(),
            entry.title
        );
        printer.line(&match entry.state {
            DueState::Overdue => printer.warn(&line),
            _ => line,
        });
        let mut more: Vec<String> = Vec::new();
        let labelled = [
            (printer.pick("担当", "owner"), &entry.owner),
            (printer.pick("手順", "runbook"), &entry.runbook),
            (printer.pick("件", "about"), &entry.about),
            (printer.pick("コマンド", "command"), &entry.command),
        ];
        for (label, value) in labelled {
            more.extend(value.as_ref().map(|value| format!("{label}: {value}")));
        }
        more.extend(entry.completion.as_ref().map(said));
        if !more.is_empty() {
            printer.line(&format!("    {}", more.join(" · ")));
        }
    }
}

fn mark(printer: &Printer, entry: &AgendaEntry) -> String {
    match entry.state {
        DueState::Overdue => printer.pick("✘ 期限切れ", "✘ overdue"),
        DueState::Due => printer.pick("△ 本日まで", "△ today  "),
        DueState::Coming => printer.pick("・ まもなく", "· coming "),
        DueState::Later => printer.pick("  そのあと", "  later  "),
        DueState::Done => printer.pick("✔ 済み    ", "✔ done   "),
        DueState::Skipped => printer.pick("− 見送り  ", "- skipped"),
    }
}

/// Who settled it, when, and what shows it.
pub(super) fn said(completion: &Completion) -> String {
    let mut said = format!("{} {}", completion.at.to_jst(), completion.by.id());
    if let DueOutcome::Skipped { reason } = &completion.outcome {
        said += &format!(" · {reason}");
    }
    for more in [&completion.note, &completion.evidence.as_ref().map(shown)] {
        said += &more.as_ref().map(|more| format!(" · {more}")).unwrap_or_default();
    }
    said
}

fn shown(evidence: &DueEvidence) -> String {
    match evidence {
        DueEvidence::File { name, sha256 } => format!("{name} (SHA-256 {sha256})"),
        DueEvidence::Run { run } => run.to_string(),
        DueEvidence::Text { text } => text.clone(),
        _ => String::new(),
    }
}

async fn history(session: &Session, printer: &Printer, of: Option<&str>) -> Result<Exit, Failure> {
    let known = look(session, printer).await?;
    let date = |completion: &Completion| known.dates.iter().find(|date| date.key == completion.key);
    let wanted = |completion: &&Completion| {
        let key = completion.key.as_str();
        let about = || date(completion).and_then(|date| date.about.as_deref());
        of.is_none_or(|of| {
            key == of || key.split_once('/').is_some_and(|(item, _)| item == of) || about() == Some(of)
        })
    };
    let found: Vec<&Completion> = known.completions.iter().filter(wanted).collect();
    let exit = match known.unknown {
        Some(_) => Exit::Unverified,
        None => Exit::Done,
    };
    if printer.json() {
        let documents: Vec<Value> = found
            .iter()
            .map(|completion| {
                let date = date(completion);
                json!({
                    "completion": completion, "title": date.map(|date| &date.title),
                    "about": date.and_then(|date| date.about.as_ref()),
                })
            })
            .collect();
        printer.document(&json!({
            "history": documents, "unknown": known.unknown, "waiting": known.waiting, "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    for completion in &found {
        let mark = match completion.outcome {
            DueOutcome::Done => "✔",
            _ => "−",
        };
        let title = date(completion).map_or("", |date| &date.title);
        printer.line(&format!(
            "{mark} {:<36} {}  {title}",
            completion.key.as_str(),
            said(completion)
        ));
    }
    if found.is_empty() {
        printer.line(&printer.pick("記録がありません", "nothing was settled yet"));
    }
    Ok(exit)
}

/// Figures for Prometheus; empty without a calendar, and where it is not known what was done elsewhere or since when an item is owed, so that an alert on their
/// absence fires.
pub(super) async fn figures(session: &Session) -> Result<String> {
    let world = &session.world;
    let known = world.dates.look(items(session), world.now()).await?;
    if known.unknown.is_some()
        || !known.begun_ahead.is_empty()
        || (known.items.is_empty() && known.dates.is_empty())
    {
        return Ok(String::new());
    }
    let found = agenda(
        &known.items,
        &known.dates,
        &known.completions,
        world.now(),
        Duration::ZERO,
    );
    let mut text = String::new();
    for (name, help, state) in [
        (
            "ops_due_overdue",
            "What is past its due date and neither done nor skipped.",
            DueState::Overdue,
        ),
        (
            "ops_due_today",
            "What is due by the end of today in Japan.",
            DueState::Due,
        ),
    ] {
        let count = found.count(state);
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {count}\n");
    }
    Ok(text)
}
