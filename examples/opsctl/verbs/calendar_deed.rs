use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ops_core::audit::Recorded;
use ops_core::error::{Error, ErrorKind};
use ops_core::model::{
    AuditRecord, Completion, Digest, DueDate, DueEvidence, DueKey, DueOutcome, Every, Period, Text, Timestamp,
};
use serde_json::json;

use super::calendar::{look, said};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::{Known, Written};

/// What is said of something that was done.
pub(super) struct Said<'a> {
    pub(super) note: Option<&'a str>,
    pub(super) evidence: Option<&'a str>,
    pub(super) at: Option<&'a str>,
}

pub(super) async fn done(
    session: &Session,
    printer: &Printer,
    key: &str,
    said: &Said<'_>,
) -> Result<Exit, Failure> {
    let now = session.world.now();
    let at = match said.at {
        Some(text) => moment("--at", text, Period::begin)?,
        None => now,
    };
    if at > now {
        return Err(Failure::usage(
            "--at is in the future",
            "say that it was done once it was",
        ));
    }
    let note = said
        .note
        .map(|note| masked(session, "--note", note, MOST))
        .transpose()?;
    let evidence = said
        .evidence
        .map(|evidence| shown_by(session, evidence))
        .transpose()?;
    let known = look(session, printer).await?;
    let (key, period) = known_key(session, &known, key)?;
    if let Some(period) = period.filter(|period| at < period.begin()) {
        return Err(Failure::usage(
            format!("--at is before {period} begins"),
            format!(
                "what was done then belongs to an earlier period; {key} begins at {}",
                period.begin().to_jst()
            ),
        ));
    }
    let mut completion = Completion::new(key, DueOutcome::Done, at, session.actor.clone());
    (completion.note, completion.evidence) = (note, evidence);
    let settled = settle(session, printer, &completion).await?;
    let exit = settled.exit();
    if printer.json() {
        printer.document(&json!({
            "completion": settled.kept, "shared": settled.elsewhere.is_none(), "audited": settled.audited,
            "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

pub(super) async fn skip(
    session: &Session,
    printer: &Printer,
    keys: &[String],
    reason: &str,
) -> Result<Exit, Failure> {
    let reason = masked(session, "--reason", reason, MOST)?;
    let known = look(session, printer).await?;
    let keys = keys.iter().map(|key| Ok(known_key(session, &known, key)?.0));
    let keys = keys.collect::<Result<Vec<_>, Failure>>()?;
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for key in keys {
        let outcome = DueOutcome::Skipped {
            reason: reason.clone(),
        };
        let completion = Completion::new(key.clone(), outcome, session.world.now(), session.actor.clone());
        match settle(session, printer, &completion).await {
            Ok(settled) => kept.push(settled),
            Err(Failure::Overtaken { what, .. }) => {
                printer.error(&printer.warn(&format!("✘ {}", printer.text(&what))));
                refused.push(key);
            }
            Err(failure) => return Err(failure),
        }
    }
    let exit = match (
        kept.iter().find(|one| one.elsewhere.is_some()),
        refused.is_empty(),
    ) {
        (None, true) => Exit::Done,
        (Some(_), true) => Exit::Unverified,
        (_, false) if kept.is_empty() => Exit::Refused,
        (_, false) => Exit::Partly,
    };
    if printer.json() {
        let completions: Vec<_> = kept.iter().map(|one| &one.kept).collect();
        printer.document(&json!({
            "completions": completions, "refused": refused,
            "shared": kept.iter().all(|one| one.elsewhere.is_none()), "audited": kept.iter().all(|one| one.audited),
            "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

pub(super) async fn add(
    session: &Session,
    printer: &Printer,
    title: &str,
    due: &str,
    about: Option<&str>,
) -> Result<Exit, Failure> {
    let world = &session.world;
    let title = masked(session, "the title", title, 200)?;
    let due = moment("--due", due, Period::end)?;
    let mut date = DueDate::once(title, due, session.actor.clone(), world.now());
    if let Some(about) = about {
        date = date.with_about(masked(session, "--about", about, 100)?);
    }
    let written = match world.dates.set(&date).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            return Err(Failure::Overtaken {
                what: Text::new(
                    format!("{} には別の期限が決まっています", date.key),
                    format!("{} has another due date already", date.key),
                ),
                remedy: format!(
                    "opsctl calendar due --all; give it up with opsctl calendar skip {} --reason …, and add it under another title",
                    date.key
                ),
            });
        }
        written => written?,
    };
    let elsewhere = kept_here(printer, written);
    let audited = record(session, printer, "calendar.add", &date.key, |record| {
        let record = record
            .with_detail("title", &date.title)
            .with_detail("due", date.due.to_string());
        match &date.about {
            Some(about) => record.with_detail("about", about),
            None => record,
        }
    })
    .await;
    let exit = match elsewhere {
        None => Exit::Done,
        Some(_) => Exit::Unverified,
    };
    printer.line(&printer.pick(
        &format!("{}: {} まで  {}", date.key, date.due.to_jst(), date.title),
        &format!("{}: by {} in Japan  {}", date.key, date.due.to_jst(), date.title),
    ));
    if printer.json() {
        printer.document(&json!({
            "date": date, "shared": elsewhere.is_none(), "audited": audited, "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

struct Settled {
    kept: Completion,
    /// Why the database does not have it yet.
    elsewhere: Option<String>,
    audited: bool,
}

impl Settled {
    fn exit(&self) -> Exit {
        match self.elsewhere {
            None => Exit::Done,
            Some(_) => Exit::Unverified,
        }
    }
}

async fn settle(session: &Session, printer: &Printer, completion: &Completion) -> Result<Settled, Failure> {
    let key = &completion.key;
    let (kept, written) = match session.world.dates.complete(completion).await {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            return Err(already(session, key, &error).await);
        }
        completed => completed?,
    };
    let elsewhere = kept_here(printer, written);
    let action = match completion.outcome {
        DueOutcome::Done => "calendar.done",
        _ => "calendar.skip",
    };
    let audited = record(session, printer, action, key, |mut record| {
        record = record.with_detail("done_at", kept.at.to_string());
        if let DueOutcome::Skipped { reason } = &kept.outcome {
            record = record.with_detail("reason", reason);
        }
        if let Some(note) = &kept.note {
            record = record.with_detail("note", note);
        }
        match &kept.evidence {
            Some(DueEvidence::File { name, sha256 }) => record
                .with_detail("evidence", name)
                .with_detail("sha256", sha256.to_string()),
            Some(DueEvidence::Text { text }) => record.with_detail("evidence", text),
            _ => record,
        }
    })
    .await;
    let mark = match kept.outcome {
        DueOutcome::Done => printer.pick("済み", "done"),
        _ => printer.pick("見送り", "skipped"),
    };
    printer.line(&format!("{key}: {mark}  {}", said(&kept)));
    Ok(Settled {
        kept,
        elsewhere,
        audited,
    })
}

/// Somebody was first: who, and when.
async fn already(session: &Session, key: &DueKey, error: &Error) -> Failure {
    let known = session.world.dates.look(Vec::new(), session.world.now()).await;
    let first = known
        .ok()
        .and_then(|known| known.completions.into_iter().find(|one| one.key == *key));
    let first = first.map_or_else(|| error.to_string(), |first| said(&first));
    Failure::Overtaken {
        what: Text::new(
            format!("{key} はもう記録されています: {first}"),
            format!("{key} is settled already: {first}"),
        ),
        remedy: "opsctl calendar history".to_owned(),
    }
}

/// Says so when the database has not taken something; gives the reason.
fn kept_here(printer: &Printer, written: Written) -> Option<String> {
    let Written::Here(why) = written else {
        return None;
    };
    printer.error(&printer.warn(&printer.pick(
        &format!("⚠ この端末にだけ残しました ({why})。データベースが戻ったら、次の opsctl calendar が届けます"),
        &format!(
            "⚠ kept on this machine only ({why}): the next opsctl calendar brings it to the database once it is back"
        ),
    )));
    Some(why)
}

async fn record(
    session: &Session,
    printer: &Printer,
    action: &str,
    key: &DueKey,
    more: impl FnOnce(AuditRecord) -> AuditRecord,
) -> bool {
    let world = &session.world;
    let (tenant, actor) = (world.config.tenant.clone(), session.actor.clone());
    let record = AuditRecord::new(world.now(), tenant, actor, action, "due_date", key.as_str());
    let recorded = matches!(world.ops.record(more(record)).await, Recorded::Stored(_));
    if !recorded {
        printer.error(&printer.warn(&printer.pick(
            "⚠ 監査ログにまだ記録されていません",
            "⚠ not in the audit trail yet",
        )));
    }
    recorded
}

/// An occurrence that has begun, of an item that is configured, or a date that was set.
fn known_key(session: &Session, known: &Known, text: &str) -> Result<(DueKey, Option<Period>), Failure> {
    let unknown = |what: String| Failure::usage(what, "take the key from `opsctl calendar due --all`");
    let key = DueKey::new(text).map_err(|_| unknown(format!("{text:?} is no key")))?;
    if key.is_once() {
        let is_known = known.dates.iter().any(|date| date.key == key);
        // While the database does not answer, whether there is such a date is not known: what was done is kept all the same.
        return match is_known || known.unknown.is_some() {
            true => Ok((key, None)),
            false => Err(unknown(format!("no date {key} was set"))),
        };
    }
    let item = known
        .items
        .iter()
        .find_map(|(item, _)| Some((item, item.period(&key)?)));
    let Some((item, period)) = item else {
        return Err(unknown(format!("{key} is no occurrence of a [[calendar]] item")));
    };
    if period.begin() > session.world.now() {
        return Err(Failure::usage(
            format!("{key} has not begun yet"),
            format!(
                "{} is done in its own period, from {} on",
                item.id,
                period.begin().to_jst()
            ),
        ));
    }
    Ok((key, Some(period)))
}

/// A time, or a day in Japan.
fn moment(field: &str, text: &str, of_day: impl FnOnce(Period) -> Timestamp) -> Result<Timestamp, Failure> {
    if let Some(day) = Period::parse(Every::Daily, text) {
        return Ok(of_day(day));
    }
    text.parse().map_err(|_| {
        Failure::usage(
            format!("{field} is no time"),
            "write it in RFC 3339, as in 2026-12-01T17:00:00+09:00, or as a day: 2026-12-01",
        )
    })
}

/// Words of a person, without personal data.
fn masked(session: &Session, field: &str, text: &str, most: usize) -> Result<String, Failure> {
    if text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(Failure::usage(
            format!("{field} is empty, too long or holds a control character"),
            format!("use 1 to {most} visible characters"),
        ));
    }
    Ok(session.world.ops.providers().masker.mask(text).into_owned())
}

/// A file by its name and digest, else words.
fn shown_by(session: &Session, text: &str) -> Result<DueEvidence, Failure> {
    let path = Path::new(text);
    let looks_like_a_path = path.is_absolute() || text.starts_with("./") || text.starts_with("../");
    if !path.is_file() && !looks_like_a_path {
        return Ok(DueEvidence::Text {
            text: masked(session, "--evidence", text, MOST)?,
        });
    }
    let unread = |why: String| {
        Failure::usage(
            format!("--evidence {text} cannot be read: {why}"),
            "name a file of at most 256 MiB, or write words such as a ticket",
        )
    };
    let metadata = std::fs::metadata(path).map_err(|error| unread(error.kind().to_string()))?;
    // A pipe or a device may have no end.
    if !metadata.is_file() {
        return Err(unread("it is no regular file".to_owned()));
    }
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut content))
        .map_err(|error| unread(error.kind().to_string()))?;
    if content.len() as u64 > MOST_BYTES {
        return Err(unread("it is too large".to_owned()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(DueEvidence::File {
        name: masked(session, "--evidence", &name, 255)?,
        sha256: Digest::of(&content),
    })
}

/// The most letters of a note, a reason, a reference.
const MOST: usize = 1_000;
const MOST_BYTES: u64 = 256 * 1024 * 1024;
