use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ops_core::audit::Recorded;
use ops_core::error::Error;
use ops_core::model::{
    AuditOutcome, AuditRecord, ConnectionBand, DatabaseSession, SessionDeed, SessionMatch, SessionRule,
    blocking_chains,
};

use ops_postgres::{LoadReport, PostgresLoad, SignalResult, SlowQueries};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

/// What weighs on the database, shown; the document for it. What cannot be read is said and is no failure.
pub(super) async fn status(session: &Session, printer: &Printer) -> Value {
    let Ok(load) = session.world.load() else {
        return Value::Null;
    };
    match load.report().await {
        Ok(report) => {
            show(&report, printer);
            json!(report)
        }
        Err(error) => {
            printer.line(&printer.warn(&printer.pick(
                &format!("  負荷を読めません ({error})"),
                &format!("  the load cannot be read ({error})"),
            )));
            json!({ "error": error.to_string() })
        }
    }
}

fn show(report: &LoadReport, printer: &Printer) {
    let (used, most, percent) = (
        report.connections.used,
        report.connections.most,
        report.connections.percent(),
    );
    let line = printer.pick(
        &format!("  接続 {used}/{most} ({percent} %)"),
        &format!("  connections {used}/{most} ({percent} %)"),
    );
    printer.line(&match report.band {
        ConnectionBand::Free => line,
        ConnectionBand::Tight | ConnectionBand::Full => printer.warn(&line),
    });
    for (role, count) in &report.by_role {
        printer.line(&format!("    {count:>5}  {role}"));
    }
    let (bytes, oldest, prepared) = (
        size(report.bytes),
        seconds(report.oldest_transaction),
        report.prepared,
    );
    printer.line(&printer.pick(
        &format!("  サイズ {bytes} · 最古のトランザクション {oldest} · 準備済み {prepared} 件"),
        &format!("  size {bytes} · oldest transaction {oldest} · {prepared} prepared"),
    ));
    for replica in &report.replicas {
        let behind = replica.bytes.map_or_else(|| "?".to_owned(), size);
        let lasting = replica.lasting.map_or_else(|| "-".to_owned(), seconds);
        printer.line(&printer.pick(
            &format!("  レプリカ {}: 遅れ {behind} / {lasting}", replica.name),
            &format!("  replica {}: {behind} / {lasting} behind", replica.name),
        ));
    }
    if let Some(bytes) = report.slot_bytes {
        let bytes = size(bytes);
        printer.line(&printer.pick(
            &format!("  最も遅れたスロットが保持する WAL {bytes}"),
            &format!("  the slot furthest behind keeps {bytes} of log"),
        ));
    }
    match &report.slow {
        SlowQueries::Seen(queries) => queries.iter().for_each(|slow| {
            printer.line(&format!(
                "  {:>10.0} ms  {:>8} ×  {}",
                slow.total_ms, slow.calls, slow.query
            ));
        }),
        SlowQueries::NotPermitted => printer.line(&printer.pick(
            "  遅い文: pg_stat_statements を読む権限がありません",
            "  slow statements: this role may not read pg_stat_statements",
        )),
        _ => printer.line(&printer.pick(
            "  遅い文: pg_stat_statements がありません",
            "  slow statements: pg_stat_statements is not there",
        )),
    }
}

pub(super) async fn blockers(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Look).await?;
    let sessions = session.world.load()?.sessions().await?;
    let chains = blocking_chains(&sessions);
    let known: BTreeMap<i32, &DatabaseSession> =
        sessions.iter().map(|session| (session.pid, session)).collect();
    let line = |pid: i32, depth: usize| {
        let indent = "  ".repeat(depth);
        match known.get(&pid) {
            Some(session) => format!("{indent}{}", one_line(session)),
            // PostgreSQL gives 0 for a prepared transaction.
            None if pid == 0 => format!(
                "{indent}0  {}",
                printer.pick("準備済みトランザクション", "a prepared transaction")
            ),
            None => format!("{indent}{pid}"),
        }
    };
    if chains.is_empty() {
        printer.line(&printer.pick("待たされているセッションはありません", "nobody waits for anybody"));
    }
    for chain in &chains {
        printer.line(&line(chain.root, 0));
        for (pid, depth) in &chain.waiting {
            printer.line(&line(*pid, usize::try_from(*depth).unwrap_or(1)));
        }
    }
    if printer.json() {
        let involved = chains
            .iter()
            .flat_map(|chain| std::iter::once(chain.root).chain(chain.waiting.iter().map(|(pid, _)| *pid)))
            .filter_map(|pid| known.get(&pid))
            .map(|session| document(session));
        let involved: Vec<_> = involved.collect();
        printer.document(&json!({ "chains": chains, "sessions": involved, "exit_code": 0 }));
    }
    Ok(Exit::Done)
}

/// Which sessions to act on.
pub(super) struct Which<'a> {
    pub(super) rule: Option<&'a str>,
    pub(super) pid: Option<i32>,
    pub(super) end: bool,
}

pub(super) async fn cancel(
    global: &Global,
    printer: &Printer,
    which: Which<'_>,
    act: bool,
) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::to_act_if(act)).await?;
    let load = session.world.load()?;
    let sessions = load.sessions().await?;
    let chosen = choose(&session, &sessions, &which)?;
    if chosen.is_empty() {
        printer.line(&printer.pick("該当するセッションはありません", "no session is meant"));
    }
    let mut results = Vec::new();
    for (found, deed, _) in &chosen {
        // One that fails does not take along what is known of the others.
        let result = match act {
            true => Some(load.act(found, *deed).await),
            false => None,
        };
        results.push((result, false));
    }
    // Before it looks again: whoever ends this program meanwhile has acted all the same. Behind all signals: a slow trail keeps none of them waiting.
    for ((found, deed, by), (result, audited)) in chosen.iter().zip(&mut results) {
        if matches!(result, Some(Ok(SignalResult::Sent))) {
            *audited = record(&session, found, *deed, by, &Became::Unknown).await;
        }
    }
    let sent: Vec<&DatabaseSession> = chosen
        .iter()
        .zip(&results)
        .filter(|(_, (result, _))| matches!(result, Some(Ok(SignalResult::Sent))))
        .map(|((found, ..), _)| *found)
        .collect();
    let lasting = still_there(load, &sent).await;
    let mut documents = Vec::new();
    let mut exits = BTreeSet::new();
    for ((found, deed, by), (result, sent_audited)) in chosen.into_iter().zip(results) {
        let sent = matches!(result, Some(Ok(SignalResult::Sent)));
        let became = result.map(|result| match result {
            Ok(SignalResult::Sent) if lasting.contains(&found.pid) => Became::Unknown,
            Ok(SignalResult::Sent) => Became::Done,
            Ok(SignalResult::MovedOn) => Became::MovedOn,
            Ok(_) => Became::NotPermitted,
            Err(error) => Became::Failed(error),
        });
        let mut audited = None;
        if let Some(became) = &became {
            audited = Some(match became {
                Became::Unknown => sent_audited,
                became => record(&session, found, deed, &by, became).await && (sent_audited || !sent),
            });
            exits.insert(became.exit().code());
        }
        let deed_said = match deed {
            SessionDeed::Cancel => printer.pick("文を取り消す", "cancel the statement"),
            SessionDeed::End => printer.pick("切断する", "end the session"),
        };
        let said = match &became {
            None => printer.pick("（表示のみ。実行するには --act）", "(shown only; --act does it)"),
            Some(became) => became.said(printer),
        };
        printer.line(&format!("{by}: {deed_said}  {}  {said}", one_line(found)));
        documents.push(json!({
            "rule": by, "deed": deed, "session": document(found), "result": became.as_ref().map(Became::name),
            "effective": became.as_ref().map(|became| matches!(became, Became::Done)), "audited": audited,
        }));
    }
    let exit = [Exit::Partly, Exit::Unverified]
        .into_iter()
        .find(|exit| exits.contains(&exit.code()))
        .unwrap_or(Exit::Done);
    if printer.json() {
        printer.document(&json!({ "acted": act, "chosen": documents, "exit_code": exit.code() }));
    }
    Ok(exit)
}

/// What became of one session, after another look.
enum Became {
    /// It is gone, or does something else.
    Done,
    /// The signal was sent, and it does the same still; or nobody could look.
    Unknown,
    MovedOn,
    NotPermitted,
    Failed(Error),
}

impl Became {
    fn name(&self) -> &'static str {
        match self {
            Self::Done | Self::Unknown => "sent",
            Self::MovedOn => "moved_on",
            Self::NotPermitted => "not_permitted",
            Self::Failed(_) => "failed",
        }
    }

    fn said(&self, printer: &Printer) -> String {
        match self {
            Self::Done => printer.pick("実行済み", "done"),
            Self::Unknown => printer.pick("送信済み・効果は未確認", "sent; no effect is seen yet"),
            Self::MovedOn => printer.pick("状態が変わったため何もしない", "has moved on: left alone"),
            Self::NotPermitted => printer.pick("権限がない、または対象外", "not permitted"),
            Self::Failed(error) => printer.pick(&format!("失敗 ({error})"), &format!("failed ({error})")),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Done | Self::MovedOn => Exit::Done,
            Self::Unknown => Exit::Unverified,
            Self::NotPermitted | Self::Failed(_) => Exit::Partly,
        }
    }

    fn outcome(&self) -> AuditOutcome {
        match self {
            Self::Done => AuditOutcome::Succeeded,
            Self::Unknown => AuditOutcome::Unknown,
            Self::MovedOn | Self::NotPermitted | Self::Failed(_) => AuditOutcome::Failed,
        }
    }
}

/// Of `sent`, those that do the same still after about two seconds; all of them where nobody can look.
async fn still_there(load: &PostgresLoad, sent: &[&DatabaseSession]) -> BTreeSet<i32> {
    let mut left: BTreeSet<i32> = sent.iter().map(|session| session.pid).collect();
    for _ in 0..LOOKS {
        if left.is_empty() {
            break;
        }
        if let Ok(now) = load.sessions().await {
            let same = |session: &&&DatabaseSession| {
                now.iter().any(|now| {
                    now.pid == session.pid
                        && now.began_micros == session.began_micros
                        && now.since_micros == session.since_micros
                })
            };
            left = sent.iter().filter(same).map(|session| session.pid).collect();
        }
        if !left.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    left
}

const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Each session once, with what is done and by which rule.
fn choose<'s>(
    session: &Session,
    sessions: &'s [DatabaseSession],
    which: &Which<'_>,
) -> Result<Vec<(&'s DatabaseSession, SessionDeed, String)>, Failure> {
    if let Some(pid) = which.pid {
        let found = sessions
            .iter()
            .find(|session| session.pid == pid)
            .ok_or_else(|| {
                Failure::usage(
                    format!("there is no session {pid} in this database"),
                    "see `opsctl db blockers`",
                )
            })?;
        let deed = match which.end {
            true => SessionDeed::End,
            false => SessionDeed::Cancel,
        };
        return Ok(vec![(found, deed, format!("pid {pid}"))]);
    }
    let config = session.world.config.database.as_ref();
    let rules = config
        .map(|database| database.session_rules.as_slice())
        .unwrap_or_default();
    let spared: Vec<SessionMatch> = config.map(|database| database.spared()).unwrap_or_default();
    let rules: Vec<&SessionRule> = rules
        .iter()
        .filter(|rule| which.rule.is_none_or(|wanted| wanted == rule.name))
        .collect();
    if rules.is_empty() {
        return Err(Failure::usage(
            "there is no such rule in ops.toml",
            "add a [[database.session_rule]], or name one session with --pid",
        ));
    }
    let mut chosen = BTreeMap::new();
    for rule in rules {
        for found in rule.choose(sessions, &spared) {
            chosen
                .entry(found.pid)
                .or_insert((found, rule.deed, rule.name.clone()));
        }
    }
    Ok(chosen.into_values().collect())
}

async fn record(
    session: &Session,
    found: &DatabaseSession,
    deed: SessionDeed,
    by: &str,
    became: &Became,
) -> bool {
    let world = &session.world;
    let action = match deed {
        SessionDeed::Cancel => "database.session.cancel",
        SessionDeed::End => "database.session.end",
    };
    let record = AuditRecord::new(
        world.now(),
        world.config.tenant.clone(),
        session.actor.clone(),
        action,
        "database-session",
        found.pid.to_string(),
    )
    .with_outcome(became.outcome())
    .with_detail("role", found.role.clone())
    .with_detail("rule", by.to_owned());
    matches!(world.ops.record(record).await, Recorded::Stored(_))
}

pub(super) async fn tables(global: &Global, printer: &Printer, most: u32) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Look).await?;
    let tables = session.world.load()?.tables(most).await?;
    printer.heading(&printer.pick(
        "      サイズ    うち索引    空き(推定)      死んだ行  表",
        "        size   of it index  empty (est.)     dead rows  table",
    ));
    for table in &tables {
        printer.line(&format!(
            "{:>12} {:>12} {:>13} {:>13}  {}.{}",
            size(table.bytes),
            size(table.index_bytes),
            table.bloat_bytes.map_or_else(|| "?".to_owned(), size),
            table.dead_rows,
            table.schema,
            table.name
        ));
    }
    printer.line(&printer.pick(
        "  空きは統計からの推定です。ディスクの残量は SQL では分かりません（プラットフォームで確認）",
        "  what is empty is estimated from statistics; what is free on the disk, SQL cannot tell (ask the platform)",
    ));
    if printer.json() {
        printer.document(&json!({ "tables": tables, "exit_code": 0 }));
    }
    Ok(Exit::Done)
}

/// With the times as people count them.
fn document(session: &DatabaseSession) -> Value {
    json!({
        "pid": session.pid, "role": session.role, "application": session.application, "state": session.state,
        "lasting_seconds": session.lasting.as_secs_f64(), "transaction_seconds": session.transaction.as_secs_f64(),
        "query": session.query, "blocked_by": session.blocked_by, "untouchable": session.untouchable,
    })
}

fn one_line(session: &DatabaseSession) -> String {
    format!(
        "{}  {}  {}  {}  {}",
        session.pid,
        session.role,
        session.application,
        seconds(session.lasting),
        session.query
    )
}

fn seconds(lasting: Duration) -> String {
    format!("{:.1} s", lasting.as_secs_f64())
}

fn size(bytes: i64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1024.0 {
            return format!("{value:.0} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TB")
}
