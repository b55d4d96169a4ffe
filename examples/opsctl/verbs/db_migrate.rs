use ops_core::audit::Recorded;
use ops_core::config::Env;
use ops_core::model::AuditRecord;
use ops_postgres::{PostgresStore, SchemaUpgrade};
use serde_json::json;

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, actor, load};
use crate::world::Purpose;

/// Brings our own schema up to date, says from which version to which, and records it in the trail that is there from now on.
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
            "set it to the URL of the database, with a role that may make the schema ops",
        ));
    };
    // Who cannot be recorded changes nothing.
    actor(global, &Env::process())?;
    let store = PostgresStore::connect(&url).await?;
    let upgraded = store.upgrade().await?;
    // What was done is not what is there until it has been read back.
    store.check_schema().await?;
    let audited = match upgraded.changed() {
        true => Some(record(global, printer, store.database(), upgraded).await),
        false => None,
    };
    let exit = match audited {
        Some(Err(_)) => Exit::Partly,
        _ => Exit::Done,
    };
    store.close().await;
    let to = upgraded.to;
    let from = upgraded
        .from
        .map_or_else(|| printer.pick("なし", "none"), |version| version.to_string());
    printer.line(&match upgraded.changed() {
        true => printer.pick(
            &format!("スキーマ ops: 版 {from} → {to}"),
            &format!("schema ops: version {from} → {to}"),
        ),
        false => printer.pick(
            &format!("スキーマ ops: 版 {to}。何も変更していません"),
            &format!("schema ops: version {to}; nothing was changed"),
        ),
    });
    if let Some(Err(why)) = &audited {
        printer.error(&printer.warn(&printer.pick(
            &format!("✘ 監査ログに記録できません。スプールにもありません ({why})"),
            &format!("✘ it is not recorded, in the audit trail or the spool ({why})"),
        )));
    }
    let audited = audited.map(|audited| audited.unwrap_or(false));
    if audited == Some(false) && exit == Exit::Done {
        printer.error(&printer.warn(&printer.pick(
            "⚠ 監査ログにまだ記録されていません",
            "⚠ not in the audit trail yet",
        )));
    }
    if printer.json() {
        printer.document(&json!({
            "from": upgraded.from, "to": to, "changed": upgraded.changed(), "audited": audited,
            "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

/// Whether the record is where it belongs already, or in the spool; an error, why it is in neither. That it is not changes nothing about what was done.
async fn record(
    global: &Global,
    printer: &Printer,
    database: &str,
    upgraded: SchemaUpgrade,
) -> Result<bool, String> {
    let session = match Session::open(global, printer, Purpose::Act).await {
        Ok(session) => session,
        Err(failure) => return Err(failure.reason()),
    };
    let world = &session.world;
    let (tenant, actor) = (world.config.tenant.clone(), session.actor.clone());
    let from = upgraded
        .from
        .map_or_else(|| "none".to_owned(), |version| version.to_string());
    let record = AuditRecord::new(world.now(), tenant, actor, "schema.migrate", "database", database)
        .with_detail("from", from)
        .with_detail("to", upgraded.to.to_string());
    Ok(matches!(world.ops.record(record).await, Recorded::Stored(_)))
}
