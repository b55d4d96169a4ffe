use std::sync::Arc;

use ops_core::governance::migration::{MigrationFolder, MigrationPlan, has_gone_back};
use ops_core::model::{AuditOutcome, Text, UnfinishedRun};
use ops_core::ports::{MigrationExecutor, MigrationInspector};
use ops_postgres::{PostgresMigrations, PostgresStore};
use serde_json::json;

use super::migrations::database_url;
use super::migrations_care as care;
use crate::cli::{Global, MigrationsRunArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

pub(crate) async fn run(
    global: &Global,
    printer: &Printer,
    args: &MigrationsRunArgs,
) -> Result<Exit, Failure> {
    let evidence_dir = care::proofs(global, printer)?;
    let session = Session::open(global, printer, Purpose::to_act_if(!args.dry_run)).await?;
    let url = database_url(global, printer)?;
    let migrations = PostgresMigrations::new(&url)?.with_time_zone(&args.care.time_zone);
    let folder = MigrationFolder::read(&args.dir)?;
    let mut schema = migrations.schema().await?;
    schema.time_zone.clone_from(&args.care.time_zone);
    let plan = MigrationPlan::new(&folder, &migrations.state().await?, &schema)?;
    let (evidence, copy) = care::evidence(&args.care, &evidence_dir, &session, &url).await?;
    let checks = care::checks(&plan, &evidence, copy.as_ref(), &session);
    care::show_plan(printer, &plan, &checks, &args.care);
    let open = care::open(&checks, &args.care);
    let found = migrations.unfinished(&plan.scope).await?;
    let gives_up = found.as_ref().is_some_and(|owed| owed.back);
    let owed = match found {
        Some(back) if back.back => {
            let marks = migrations.marks(&plan.scope).await?;
            if has_gone_back(&back, &marks, &plan.versions()) {
                let versions = back.versions.join(", ");
                return Err(Failure::Overtaken {
                    what: Text::new(
                        format!("{versions} を戻す作業が終わっていない"),
                        format!("going back from {versions} has begun and not ended"),
                    ),
                    remedy: "opsctl migrations back DIR --yes".to_owned(),
                });
            }
            // Nothing was done of it: what was owed before is.
            back.before.map(|before| *before)
        }
        owed => owed,
    };
    show_owed(printer, &plan, owed.as_ref());
    let refused = !open.is_empty() && !plan.migrations.is_empty();
    let nothing = plan.migrations.is_empty() && owed.is_none() && !gives_up;
    if args.dry_run || refused || nothing {
        let exit = if refused { Exit::Refused } else { Exit::Done };
        if refused {
            care::show_open(printer, &open);
        }
        if printer.json() {
            printer
                .document(&json!({"plan": plan, "checks": checks, "open": open, "owed": owed, "exit_code": exit.code()}));
        }
        if refused && !args.dry_run {
            care::record(&session, &args.care, &plan, AuditOutcome::Denied, &open, &[]).await;
        }
        return Ok(exit);
    }
    let store = PostgresStore::connect(&url).await?;
    store.migrate().await?;
    store.close().await;
    printer.if_interrupted(Text::new(
        "同じコマンドをもう一度実行すると続きから進む",
        "run the same command again: it goes on from there",
    ));
    let recorded = care::record(&session, &args.care, &plan, AuditOutcome::Unknown, &open, &[]).await;
    let runner = care::runner(&session, Arc::new(migrations), &args.care);
    let mut report = runner.run(&plan, &session.actor).await;
    let ended = care::outcome(&report);
    report.audited &= recorded & care::record(&session, &args.care, &plan, ended, &open, &[]).await;
    let exit = care::exit(&report);
    care::show_report(printer, &plan, &report);
    if printer.json() {
        printer.document(
            &json!({"plan": plan.digest, "checks": checks, "report": report, "exit_code": exit.code()}),
        );
    }
    Ok(exit)
}

fn show_owed(printer: &Printer, plan: &MigrationPlan, owed: Option<&UnfinishedRun>) {
    match owed {
        Some(_) => printer.line(&printer.pick(
            "途中で止まった実行の続き（再起動と見守り）を行います",
            "a run that did not end is gone on from: restart and watch",
        )),
        None if plan.migrations.is_empty() => {
            printer.line(&printer.pick("未適用の移行はありません", "nothing is pending"));
        }
        None => {}
    }
}
