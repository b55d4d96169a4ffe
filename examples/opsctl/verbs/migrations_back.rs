use std::sync::Arc;

use ops_core::governance::migration::{
    BackPlan, BackTo, Break, CodeUses, MigrationFolder, MigrationPlan, RunStatus, breaks, migration_scope,
    migration_status,
};
use ops_core::model::{AuditOutcome, Check, Lang, Schema, Text, UnfinishedRun};
use ops_core::ports::{MigrationExecutor, MigrationInspector};
use ops_postgres::{PostgresMigrations, PostgresStore};
use serde_json::{Value, json};

use super::migrations::{codes, database_url, show_locks};
use super::migrations_care as care;
use crate::cli::{Global, MigrationsBackArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

/// Everything that is known before the deed.
struct Known {
    back: BackPlan,
    checks: Vec<Check>,
    owed: Option<UnfinishedRun>,
    /// By version of the code.
    compatibility: Vec<(String, Vec<Break>)>,
}

pub(crate) async fn back(
    global: &Global,
    printer: &Printer,
    args: &MigrationsBackArgs,
) -> Result<Exit, Failure> {
    let proofs = care::proofs(global, printer)?;
    let session = Session::open(global, printer, Purpose::to_act_if(args.yes)).await?;
    let url = database_url(global, printer)?;
    let migrations = PostgresMigrations::new(&url)?.with_time_zone(&args.care.time_zone);
    let folder = MigrationFolder::read(&args.dir)?;
    let mut schema = migrations.schema().await?;
    schema.time_zone.clone_from(&args.care.time_zone);
    let state = migrations.state().await?;
    let scope = migration_scope(&state, &folder);
    let owed = migrations.unfinished(&scope).await?;
    let begun = owed.as_ref().is_some_and(|owed| owed.back);
    let to = target(args, begun)?;
    let marks = migrations.marks(&scope).await?;
    let back = BackPlan::new(&folder, &state, &schema, &marks, owed.as_ref(), &to)?;
    let codes = codes(&args.code, &schema)?;
    let compatibility = broken(&back, &codes, &schema);
    let (mut evidence, copy) = care::evidence(&args.care, &proofs, &session, &url).await?;
    evidence.code = (!codes.is_empty()).then(|| reasons(&codes, &compatibility));
    let checks = care::checks(&back.plan, &evidence, copy.as_ref(), &session);
    let known = Known {
        back,
        checks,
        owed,
        compatibility,
    };
    show(printer, &known, args, begun);
    let open = care::open(&known.checks, &args.care);
    let (plan, refused) = (&known.back.plan, !known.back.refusals.is_empty());
    let is_open = !open.is_empty() && !plan.migrations.is_empty();
    let nothing = plan.migrations.is_empty() && !begun;
    if !args.yes || refused || is_open || nothing {
        let exit = if refused || is_open {
            Exit::Refused
        } else {
            Exit::Done
        };
        if is_open {
            care::show_open(printer, &open);
        }
        if printer.json() {
            printer.document(&document(&known, &open, exit));
        }
        if args.yes && exit == Exit::Refused {
            let more = denied(args, &known.back);
            care::record(&session, &args.care, plan, AuditOutcome::Denied, &open, &more).await;
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
    let more = asked(args);
    let recorded = care::record(&session, &args.care, plan, AuditOutcome::Unknown, &open, &more).await;
    let runner = care::runner(&session, Arc::new(migrations.clone()), &args.care);
    let mut report = runner.run(plan, &session.actor).await;
    let (mut ended, mut exit) = (care::outcome(&report), care::exit(&report));
    // What was taken back is pending again, or it is not what it was. A look that fails tells neither.
    let mut still = Some(Vec::new());
    if report.status != RunStatus::Failed {
        still = still_applied(&migrations, &folder, plan, printer).await;
        if still.as_ref().is_none_or(|still| !still.is_empty()) {
            (ended, exit) = (AuditOutcome::Unknown, Exit::Unverified);
        }
    }
    report.audited &= recorded & care::record(&session, &args.care, plan, ended, &open, &more).await;
    care::show_report(printer, plan, &report);
    if printer.json() {
        printer.document(&json!({
            "plan": plan.digest, "checks": known.checks, "report": report, "still_applied": still, "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

/// Versions of the plan that the tool's table has still, or again; `None` when that cannot be seen.
async fn still_applied(
    migrations: &PostgresMigrations,
    folder: &MigrationFolder,
    plan: &MigrationPlan,
    printer: &Printer,
) -> Option<Vec<String>> {
    let state = match migrations.state().await {
        Ok(state) => state,
        Err(error) => {
            printer.error(&printer.pick(
                &format!("⚠ 戻したあとの状態を確認できない: {error}"),
                &format!("⚠ the state afterwards could not be seen: {error}"),
            ));
            return None;
        }
    };
    let pending = migration_status(&state, Some(folder)).pending;
    let mut still = plan.versions();
    still.retain(|version| !pending.contains(version));
    if !still.is_empty() {
        let still = still.join(", ");
        printer.error(&printer.pick(
            &format!("⚠ 戻したあとも適用済みのまま: {still}"),
            &format!("⚠ applied still, or again: {still}"),
        ));
    }
    Some(still)
}

/// What somebody asked for, for the record.
fn asked(args: &MigrationsBackArgs) -> Vec<(&'static str, String)> {
    let (version, to) = (args.version.clone(), args.to.clone());
    let mut asked: Vec<_> = version.map(|version| ("version", version)).into_iter().collect();
    asked.extend(to.map(|to| ("to", to)));
    if !args.code.is_empty() {
        asked.push(("code", args.code.join(",")));
    }
    asked
}

/// The same, with what was refused and why.
fn denied(args: &MigrationsBackArgs, back: &BackPlan) -> Vec<(&'static str, String)> {
    let mut more = asked(args);
    if !back.refusals.is_empty() {
        let refused = back.refusals.iter().map(|refusal| refusal.what.get(Lang::En));
        more.push(("refused", refused.collect::<Vec<_>>().join("; ")));
    }
    more
}

/// The deed needs a version: after a lost reply the same command must not take one more back.
fn target(args: &MigrationsBackArgs, begun: bool) -> Result<BackTo, Failure> {
    match (&args.version, &args.to) {
        (Some(version), _) => Ok(BackTo::Only(version.clone())),
        (None, Some(version)) => Ok(BackTo::To(version.clone())),
        (None, None) if args.yes && !begun => Err(Failure::usage(
            "--yes needs --version or --to",
            "look at the plan without --yes, and name the version that it shows",
        )),
        (None, None) => Ok(BackTo::Newest),
    }
}

fn broken(back: &BackPlan, codes: &[CodeUses], schema: &Schema) -> Vec<(String, Vec<Break>)> {
    let of = |code: &CodeUses| {
        let scripts = back.plan.migrations.iter().map(BackPlan::script);
        let found = scripts.flat_map(|script| breaks(&script, schema, code));
        (code.version.clone(), found.collect())
    };
    codes.iter().map(of).collect()
}

/// Why code cannot live with it, or why that is not known.
fn reasons(codes: &[CodeUses], compatibility: &[(String, Vec<Break>)]) -> Vec<String> {
    let unreadable = codes.iter().filter(|code| code.unreadable > 0).map(|code| {
        let (version, count) = (&code.version, code.unreadable);
        format!("{version}: {count} statements cannot be read")
    });
    // An export that came out empty is no proof of anything.
    let is_empty =
        |code: &&CodeUses| code.unreadable == 0 && code.columns.is_empty() && code.inserts.is_empty();
    let empty = codes
        .iter()
        .filter(is_empty)
        .map(|code| format!("{}: its file names no table", code.version));
    let breaks = compatibility.iter().flat_map(|(_, breaks)| breaks);
    let broken = breaks.map(|found| found.what.get(Lang::En).to_owned());
    broken.chain(unreadable).chain(empty).collect()
}

fn document(known: &Known, open: &[&str], exit: Exit) -> Value {
    let back = &known.back;
    let compatibility: Vec<_> = known
        .compatibility
        .iter()
        .map(|(version, breaks)| json!({"code": version, "breaks": breaks}))
        .collect();
    json!({
        "plan": back.plan, "refusals": back.refusals, "losses": back.losses, "left_out": back.left_out, "half": back.half,
        "compatibility": compatibility, "checks": known.checks, "open": open, "owed": known.owed, "exit_code": exit.code(),
    })
}

fn show(printer: &Printer, known: &Known, args: &MigrationsBackArgs, begun: bool) {
    let back = &known.back;
    for refusal in &back.refusals {
        let what = printer.text(&refusal.what);
        printer.error(&printer.pick(&format!("拒否: {what}"), &format!("refused: {what}")));
        printer.error(&format!("  → {}", printer.text(&refusal.remedy)));
    }
    if !back.refusals.is_empty() {
        printer.error(&printer.pick("  何も変更していません", "  nothing has been changed"));
        return;
    }
    if begun {
        printer.line(&printer.pick(
            "途中で止まった、戻す作業の続きを行います",
            "a way back that did not end is gone on from",
        ));
    } else if back.plan.migrations.is_empty() {
        printer.line(&printer.pick(
            "適用されていないので、戻すものはありません",
            "it is not applied: there is nothing to go back from",
        ));
    }
    for migration in &back.plan.migrations {
        printer.heading(&format!("{} {}", migration.version, migration.name));
        if back.half.contains(&migration.version) {
            printer.line(&printer.warn(&printer.pick(
                "  途中まで適用されている。適用した段階だけを戻す（check --proof が試したのは全体）",
                "  applied in part: only the steps that were run are undone (check --proof has tried the whole)",
            )));
        }
        show_locks(printer, &migration.review);
    }
    for left in &back.left_out {
        let (version, sql) = (&left.migration, left.statement.lines().next().unwrap_or_default());
        printer.line(&printer.pick(
            &format!("  ※ {version}: 作られなかったので実行しない: {sql}"),
            &format!("  ※ {version}: never made, so not run: {sql}"),
        ));
    }
    for loss in &back.losses {
        let (what, rows) = (&loss.what, loss.rows.map(|rows| rows.to_string()));
        let rows = rows.unwrap_or_else(|| "?".to_owned());
        printer.line(&printer.warn(&printer.pick(
            &format!("  ✘ 失われるデータ: {what}（推定 {rows} 行）"),
            &format!("  ✘ data that is lost: {what} (an estimated {rows} rows)"),
        )));
    }
    for (version, breaks) in &known.compatibility {
        for found in breaks {
            printer.line(&printer.warn(&format!("  ✘ {version}: {}", printer.text(&found.what))));
        }
    }
    care::show_plan(printer, &back.plan, &known.checks, &args.care);
    if !args.yes && (begun || !back.plan.migrations.is_empty()) {
        let named = match (&args.to, back.plan.migrations.first()) {
            _ if begun => String::new(),
            (Some(to), _) => format!(" --to {to}"),
            (None, first) => {
                format!(
                    " --version {}",
                    first.map(|first| first.version.as_str()).unwrap_or_default()
                )
            }
        };
        let dir = args.dir.display();
        printer.line(&printer.pick(
            &format!("実行するには: opsctl migrations back {dir}{named} --yes"),
            &format!("to do it: opsctl migrations back {dir}{named} --yes"),
        ));
    }
}
