use ops_core::config::Env;
use ops_core::governance::{TriageFinding, triage};
use ops_core::model::{DatabaseFacts, DatabaseReach, ReplicaFacts, SlowFacts, TableFacts};
use ops_postgres::{LoadReport, SlowQueries, TableSize, database_reach};
use serde_json::json;

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, load};
use crate::world::Purpose;

/// What is likely the matter with the database, and what is done about it, from what can be measured now; also, and above all, where it cannot be reached.
pub(super) async fn run(global: &Global, printer: &Printer) -> Result<Exit, Failure> {
    let Some(database) = load(global, printer)?.database else {
        return Err(Failure::usage(
            "no database is configured",
            "add [database] with url_env to ops.toml",
        ));
    };
    let Some(url) = Env::process().secret(&database.url_env) else {
        return Err(Failure::usage(
            format!("the environment variable {} is not set", database.url_env),
            "set it to postgres://user:password@host:port/database",
        ));
    };
    let (mut facts, mut unread) = (DatabaseFacts::default(), Vec::new());
    facts.reach = database_reach(&url).await;
    if facts.reach == DatabaseReach::Answers {
        let session = Session::open(global, printer, Purpose::Look).await?;
        measure(&session, &mut facts, &mut unread).await;
    }
    let found = triage(&facts);
    let exit = match found.first() {
        Some(worst) if worst.critical => Exit::Failed,
        Some(_) => Exit::Partly,
        None if !unread.is_empty() => Exit::Unverified,
        None => Exit::Done,
    };
    for finding in &found {
        show(printer, finding);
    }
    for (part, why) in &unread {
        printer.error(&printer.warn(&printer.pick(
            &format!("⚠ {part} を読めません ({why})。そこからは何も判断していません"),
            &format!("⚠ {part} cannot be read ({why}); nothing is concluded from it"),
        )));
    }
    if found.is_empty() && unread.is_empty() {
        printer.line(&printer.pick("問題は見つかりません", "nothing is the matter"));
    }
    if printer.json() {
        let unread: Vec<_> = unread
            .iter()
            .map(|(part, why)| json!({"part": part, "why": why}))
            .collect();
        printer.document(&json!({
            "reach": facts.reach, "findings": found, "unread": unread, "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

/// Each part by itself: one that cannot be read hides no other.
async fn measure(session: &Session, facts: &mut DatabaseFacts, unread: &mut Vec<(&'static str, String)>) {
    match session.world.observe_database().await {
        Ok(observed) => facts.state = Some(observed.state()),
        Err(failure) => unread.push(("state", failure.reason())),
    }
    let load = match session.world.load() {
        Ok(load) => load,
        Err(failure) => return unread.push(("load", failure.reason())),
    };
    match load.sessions().await {
        Ok(sessions) => facts.sessions = sessions,
        Err(error) => unread.push(("sessions", error.to_string())),
    }
    match load.report().await {
        Ok(report) => take(facts, report),
        Err(error) => {
            unread.push(("load", error.to_string()));
            // The cheapest of it, by itself.
            facts.connections = load.connections().await.ok();
        }
    }
    match load.tables(TABLES).await {
        Ok(tables) => facts.tables = tables.into_iter().map(table).collect(),
        Err(error) => unread.push(("tables", error.to_string())),
    }
}

const TABLES: u32 = 10;

fn take(facts: &mut DatabaseFacts, report: LoadReport) {
    facts.connections = Some(report.connections);
    facts.prepared = unsigned(report.prepared);
    facts.slot_bytes = report.slot_bytes.map(unsigned);
    facts.replicas = report
        .replicas
        .into_iter()
        .map(|replica| ReplicaFacts {
            name: replica.name,
            bytes: replica.bytes.map(unsigned),
            lasting: replica.lasting,
        })
        .collect();
    if let SlowQueries::Seen(queries) = report.slow {
        facts.slow = queries
            .into_iter()
            .map(|slow| SlowFacts {
                query: slow.query,
                calls: unsigned(slow.calls),
                mean_ms: slow.mean_ms,
            })
            .collect();
    }
}

fn table(table: TableSize) -> TableFacts {
    TableFacts {
        name: format!("{}.{}", table.schema, table.name),
        bytes: unsigned(table.bytes),
        bloat_bytes: table.bloat_bytes.map(unsigned),
    }
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn show(printer: &Printer, finding: &TriageFinding) {
    let mark = if finding.critical { "✘" } else { "△" };
    printer.heading(&printer.warn(&format!(
        "{mark} {}  {}",
        finding.severity,
        printer.text(&finding.what)
    )));
    let labelled = |ja: &str, en: &str, text: &str| {
        printer.line(&format!("  {}: {text}", printer.pick(ja, en)));
    };
    for shown in &finding.shown_by {
        labelled("兆候", "shown by", printer.text(shown));
    }
    labelled("影響", "scope", printer.text(&finding.scope));
    labelled("切り分け", "triage", printer.text(&finding.triage));
    for step in &finding.temporary {
        labelled("暫定", "now", printer.text(&step.what));
        if let Some(command) = &step.command {
            printer.line(&format!("    → {command}"));
        }
    }
    labelled("恒久", "for good", printer.text(&finding.permanent));
    labelled("確認", "look at", printer.text(&finding.signals));
    labelled("連絡", "escalate", printer.text(&finding.escalate));
}
