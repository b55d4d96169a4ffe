use std::path::{Path, PathBuf};

use ops_core::config::Env;
use ops_core::error::{Error, ErrorKind};
use ops_core::governance::migration::{
    Break, CodeUses, MigrationFile, MigrationFolder, MigrationPlan, StatementReview, Urgency, breaks,
    half_way, is_way_back, is_whole, left_behind, migration_scope, migration_status, review,
};
use ops_core::model::{RelationEffect, Schema, Work};
use ops_core::ports::{MigrationExecutor, MigrationInspector};
use ops_core::testkit::PostgresServer;
use ops_postgres::{PostgresMigrations, PostgresTrial, schema_dump};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::migrations_proof::{Back, Proof, prove};
use crate::cli::{Global, MigrationsArgs, MigrationsCheckArgs, MigrationsVerb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::load;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &MigrationsArgs) -> Result<Exit, Failure> {
    match &args.verb {
        MigrationsVerb::Status { dir } => status(global, printer, dir.as_deref()).await,
        MigrationsVerb::Check(args) => check(global, printer, args).await,
        MigrationsVerb::Run(args) => super::migrations_run::run(global, printer, args).await,
        MigrationsVerb::Back(args) => super::migrations_back::back(global, printer, args).await,
    }
}

/// The database of `ops.toml`, or that of `DATABASE_URL` where there is none.
pub(super) fn database_url(global: &Global, printer: &Printer) -> Result<SecretString, Failure> {
    let name = match global.config.exists() {
        true => load(global, printer)?.database.map(|database| database.url_env),
        false => None,
    };
    let name = name.unwrap_or_else(|| "DATABASE_URL".to_owned());
    Env::process().secret(&name).ok_or_else(|| {
        Failure::usage(
            format!("the variable {name} is not set"),
            "set it to postgres://user:password@host:port/database",
        )
    })
}

async fn status(global: &Global, printer: &Printer, dir: Option<&Path>) -> Result<Exit, Failure> {
    let migrations = PostgresMigrations::new(&database_url(global, printer)?)?;
    let folder = dir.map(MigrationFolder::read).transpose()?;
    let state = migrations.state().await?;
    let mut status = migration_status(&state, folder.as_ref());
    if let Some(folder) = &folder {
        let marks = migrations.marks(&migration_scope(&state, folder)).await?;
        status.findings.extend(half_way(&state, folder, &marks));
    }
    let troubled = status.findings.iter().any(|finding| !finding.kind.is_legal());
    let exit = match (troubled, status.pending.is_empty()) {
        (true, _) => Exit::Failed,
        (false, false) => Exit::Partly,
        (false, true) => Exit::Done,
    };
    for ledger in &status.ledgers {
        let (tool, table, count) = (ledger.tool.name(), &ledger.table, ledger.applied);
        let newest = ledger.newest.join(", ");
        printer.line(&printer.pick(
            &format!("{tool}  {table}  適用済み {count} 件  最新 {newest}"),
            &format!("{tool}  {table}  {count} applied  newest {newest}"),
        ));
    }
    for version in &status.pending {
        printer.line(&printer.pick(&format!("  未適用 {version}"), &format!("  pending {version}")));
    }
    for finding in &status.findings {
        let what = printer.text(&finding.what);
        let mark = if finding.kind.is_legal() { "※" } else { "✘" };
        printer.line(&printer.warn(&format!("  {mark} {what}")));
        printer.line(&format!("    → {}", printer.text(&finding.remedy)));
    }
    if printer.json() {
        let mut document = json!(status);
        document["exit_code"] = json!(exit.code());
        printer.document(&document);
    }
    Ok(exit)
}

/// A script to look at.
struct Script {
    name: String,
    up: String,
    down: Option<String>,
    atomic: bool,
}

impl Script {
    /// `None` for one that is no SQL.
    fn of(file: &MigrationFile) -> Option<Self> {
        let up = file.up.clone()?;
        Some(Self {
            name: file.path.display().to_string(),
            atomic: is_whole(&up),
            down: file.down.clone(),
            up,
        })
    }
}

/// What the four questions were answered with, for one script.
struct Answers {
    locks: Vec<StatementReview>,
    proof: Option<Proof>,
    compatibility: Vec<(String, Vec<Break>)>,
    has_way_back: bool,
}

impl Answers {
    /// It ran, did what was foretold, and leads back if it has a way back that could be tried.
    fn is_proved(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| {
            proof.differs.is_empty()
                && proof.traces.iter().all(|trace| trace.failure.is_none())
                && !matches!(
                    proof.back,
                    Back::Elsewhere(_) | Back::Failed(_) | Back::NotAgain(_)
                )
        })
    }

    /// Something of it could not be told, or not be tried.
    fn is_open(&self) -> bool {
        match &self.proof {
            None => self.locks.iter().any(|review| !review.unknown.is_empty()),
            Some(proof) => matches!(proof.back, Back::NotTried(_)),
        }
    }
}

async fn check(global: &Global, printer: &Printer, args: &MigrationsCheckArgs) -> Result<Exit, Failure> {
    let url = match args.database {
        true => Some(database_url(global, printer)?),
        false => None,
    };
    let migrations = match &url {
        Some(url) => Some(PostgresMigrations::new(url)?.with_time_zone(&args.time_zone)),
        None => None,
    };
    let mut schema = match &migrations {
        Some(migrations) => migrations.schema().await?,
        None => Schema::default(),
    };
    schema.time_zone.clone_from(&args.time_zone);
    let mut planned = None;
    let scripts = match (args.files.as_slice(), &migrations) {
        ([dir], Some(migrations)) if dir.is_dir() => {
            let folder = MigrationFolder::read(dir)?;
            let plan = MigrationPlan::new(&folder, &migrations.state().await?, &schema)?;
            let scripts = of_plan(&folder, &plan);
            planned = Some(plan);
            scripts
        }
        (files, _) => of_files(files)?,
    };
    let server = match args.proof || args.schema.is_some() {
        true => Some(PostgresServer::start().await?),
        false => None,
    };
    let trial = match &server {
        Some(server) => {
            let dump = match (&args.schema, &url) {
                (Some(file), _) => read(file)?,
                (None, Some(url)) => schema_dump(url).await?,
                (None, None) => String::new(),
            };
            let trial = PostgresTrial::create(&SecretString::from(server.url()), &dump).await?;
            Some(trial.with_time_zone(&args.time_zone))
        }
        None => None,
    };
    if let (Some(trial), true) = (&trial, schema.server == 0) {
        schema = trial.schema().await?;
        // There are no rows there: how large the tables are is not known.
        for relation in schema.relations.values_mut() {
            (relation.rows, relation.bytes) = (None, u64::MAX);
        }
    }
    let codes = codes(&args.code, &schema)?;
    let mut all = Vec::new();
    for script in &scripts {
        let compatibility = codes
            .iter()
            .map(|code| (code.version.clone(), breaks(&script.up, &schema, code)));
        let locks = review(&script.up, &schema, script.atomic);
        let compatibility = compatibility.collect();
        let proof = match &trial {
            Some(trial) if args.proof => {
                Some(prove(trial, (&script.up, script.down.as_deref(), script.atomic), &locks).await?)
            }
            _ => None,
        };
        all.push((
            script,
            Answers {
                locks,
                proof,
                compatibility,
                has_way_back: script.down.as_deref().is_some_and(is_way_back),
            },
        ));
        if let Some(trial) = trial.as_ref().filter(|_| args.proof && scripts.len() > 1) {
            let sizes = schema;
            schema = trial.schema().await?;
            for (name, relation) in &mut schema.relations {
                if let Some(before) = sizes.relations.get(name) {
                    (relation.rows, relation.bytes) = (before.rows, before.bytes);
                }
            }
        }
    }
    let behind: Vec<(String, Vec<Break>)> = match args.database {
        true => codes
            .iter()
            .map(|code| (code.version.clone(), left_behind(&schema, code)))
            .collect(),
        false => Vec::new(),
    };
    let exit = judge(&all, &codes, &behind);
    if let (true, Some(plan)) = (args.proof, &planned)
        && all
            .iter()
            .all(|(_, answers)| answers.is_proved() && !answers.is_open())
    {
        super::migrations_care::keep_proofs(global, printer, plan)?;
    }
    let digest = planned.map(|plan| plan.digest);
    if printer.json() {
        let documents: Vec<Value> = all
            .iter()
            .map(|(script, answers)| document(&script.name, answers))
            .collect();
        printer.document(&json!({
            "code": codes.iter().map(|code| json!({"code": code.version, "unreadable": code.unreadable})).collect::<Vec<_>>(),
            "scripts": documents, "digest": digest, "rollback": behind.iter().map(|(version, breaks)| json!({
                "code": version, "refused": !breaks.is_empty(), "reasons": breaks })).collect::<Vec<_>>(),
            "exit_code": exit.code(),
        }));
    } else {
        if all.is_empty() {
            printer.line(&printer.pick("未適用の移行はありません", "nothing is pending"));
        }
        for (script, answers) in &all {
            show(printer, &script.name, answers);
        }
        for code in codes.iter().filter(|code| code.unreadable > 0) {
            let (version, count) = (&code.version, code.unreadable);
            printer.line(&printer.warn(&printer.pick(
                &format!("? {version}: 読めない文が {count} 件あり、互換性は分からない"),
                &format!("? {version}: {count} statements cannot be read, so whether it can live with it is not known"),
            )));
        }
        for (version, breaks) in behind.iter().filter(|(_, breaks)| !breaks.is_empty()) {
            printer.line(&printer.warn(&printer.pick(
                &format!("✘ いまのスキーマでは {version} に戻せない"),
                &format!("✘ with the schema as it is, do not roll back to {version}"),
            )));
            breaks
                .iter()
                .for_each(|found| printer.line(&format!("    {}", printer.text(&found.what))));
        }
    }
    if let Some(trial) = trial {
        trial.drop_all().await?;
    }
    Ok(exit)
}

fn of_plan(folder: &MigrationFolder, plan: &MigrationPlan) -> Vec<Script> {
    let planned = plan.migrations.iter();
    let files = planned.filter_map(|migration| folder.find(&migration.version));
    files.filter_map(Script::of).collect()
}

fn of_files(files: &[PathBuf]) -> Result<Vec<Script>, Failure> {
    let mut scripts = Vec::new();
    for path in files {
        if path.is_dir() {
            let folder = MigrationFolder::read(path)?;
            let of = folder.files.iter().filter_map(Script::of);
            scripts.extend(of);
            if scripts.is_empty() {
                let error = Error::new(ErrorKind::Unsupported, "check migrations")
                    .context("folder", path.display().to_string())
                    .context("reason", "it has programs only, and no SQL")
                    .context(
                        "remedy",
                        "print it with the tool (alembic upgrade --sql, manage.py sqlmigrate) and check that",
                    );
                return Err(Failure::Failed(error));
            }
            continue;
        }
        let up = read(path)?;
        let name = path.display().to_string();
        let down = name
            .strip_suffix(".up.sql")
            .map(|stem| PathBuf::from(format!("{stem}.down.sql")));
        scripts.push(Script {
            atomic: is_whole(&up),
            up,
            down: down
                .filter(|path| path.exists())
                .map(|path| read(&path))
                .transpose()?,
            name,
        });
    }
    Ok(scripts)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(
            format!("cannot read {}: {}", path.display(), error.kind()),
            "name a file of SQL in UTF-8",
        )
    })
}

pub(super) fn codes(named: &[String], schema: &Schema) -> Result<Vec<CodeUses>, Failure> {
    let read_one = |text: &String| {
        let (version, file) = text.split_once('=').ok_or_else(|| {
            Failure::usage(
                format!("--code {text} is not VERSION=FILE"),
                "such as --code running=queries.sql",
            )
        })?;
        Ok(CodeUses::read(version, &read(Path::new(file))?, schema))
    };
    named.iter().map(read_one).collect()
}

fn judge(all: &[(&Script, Answers)], codes: &[CodeUses], behind: &[(String, Vec<Break>)]) -> Exit {
    let refused = behind.iter().any(|(_, breaks)| !breaks.is_empty());
    let bad = |answers: &Answers| {
        let mut findings = answers.locks.iter().flat_map(|review| &review.findings);
        answers.compatibility.iter().any(|(_, breaks)| !breaks.is_empty())
            || answers.proof.is_some() && !answers.is_proved()
            || findings.any(|finding| finding.urgency == Urgency::Danger)
    };
    if refused || all.iter().any(|(_, answers)| bad(answers)) {
        return Exit::Failed;
    }
    let unread = codes.iter().any(|code| code.unreadable > 0);
    match unread || all.iter().any(|(_, answers)| answers.is_open()) {
        true => Exit::Unverified,
        false => Exit::Done,
    }
}

fn effects(found: &[RelationEffect]) -> String {
    let one = |effect: &RelationEffect| {
        let name = |work: &Work| match work {
            Work::Scan => "scan",
            Work::IndexBuild => "index build",
            _ => "rewrite",
        };
        let work: Vec<&str> = effect.work.iter().map(name).collect();
        let work = if work.is_empty() {
            String::new()
        } else {
            format!(" + {}", work.join(", "))
        };
        format!("{} {}{work}", effect.relation, effect.lock)
    };
    found.iter().map(one).collect::<Vec<_>>().join(" · ")
}

/// Each statement, its locks and what others have to expect.
pub(super) fn show_locks(printer: &Printer, reviews: &[StatementReview]) {
    for review in reviews {
        let first = review.sql.lines().next().unwrap_or_default();
        let first: String = first.chars().take(90).collect();
        printer.line(&format!("   {:>4}  {first}", review.line));
        if !review.effects.is_empty() {
            printer.line(&format!("         {}", effects(&review.effects)));
        }
        for finding in &review.findings {
            let mark = match finding.urgency {
                Urgency::Danger => "✘",
                Urgency::Caution => "△",
                Urgency::Note => "※",
            };
            printer.line(&printer.warn(&format!("       {mark} {}", printer.text(&finding.what))));
            printer.line(&format!("         → {}", printer.text(&finding.remedy)));
        }
    }
}

fn show(printer: &Printer, name: &str, answers: &Answers) {
    printer.heading(name);
    printer.line(&printer.pick(" 1 ロック", " 1 locks"));
    show_locks(printer, &answers.locks);
    printer.line(&printer.pick(" 2 実証", " 2 proof"));
    match &answers.proof {
        None => printer.line(&printer.pick("   未実施 (--proof)", "   not tried (--proof)")),
        Some(proof) => {
            for (at, trace) in proof.traces.iter().enumerate() {
                let result = match &trace.failure {
                    Some(failure) => format!("✘ {failure}"),
                    None if proof.differs.contains(&at) => format!("✘ {}", effects(&trace.effects)),
                    None => format!("✔ {}", effects(&trace.effects)),
                };
                printer.line(&format!("   {result}"));
            }
        }
    }
    printer.line(&printer.pick(" 3 互換性", " 3 compatibility"));
    if answers.compatibility.is_empty() {
        printer.line(&printer.pick(
            "   未確認 (--code VERSION=FILE)",
            "   not looked at (--code VERSION=FILE)",
        ));
    }
    for (version, breaks) in &answers.compatibility {
        if breaks.is_empty() {
            printer.line(&printer.pick(
                &format!("   {version}: 使っているものは変わらない"),
                &format!("   {version}: nothing that it names is affected"),
            ));
        }
        for found in breaks {
            printer.line(&printer.warn(&format!("   ✘ {}", printer.text(&found.what))));
            printer.line(&format!("     → {}", printer.text(&found.remedy)));
        }
    }
    printer.line(&printer.pick(" 4 可逆性", " 4 reversibility"));
    let back = answers.proof.as_ref().map(|proof| &proof.back);
    printer.line(&match (answers.has_way_back, back) {
        (false, _) => printer.pick("   △ 戻すスクリプトがない", "   △ there is no way back"),
        (true, None | Some(Back::None)) => printer.pick(
            "   戻すスクリプトはある（未実施）",
            "   there is a way back (not tried)",
        ),
        (true, Some(Back::Exactly)) => printer.pick(
            "   ✔ 適用して戻すと、スキーマはバイト単位で同じ",
            "   ✔ up and down again: the schema is the same to the byte",
        ),
        (true, Some(Back::Elsewhere(what))) => printer.pick(
            &format!("   ✘ 戻しても元と違う: {what}"),
            &format!("   ✘ down does not lead back: {what}"),
        ),
        (true, Some(Back::Failed(why))) => printer.pick(
            &format!("   ✘ 戻せない: {why}"),
            &format!("   ✘ down failed: {why}"),
        ),
        (true, Some(Back::NotAgain(why))) => printer.pick(
            &format!("   ✘ 戻したあと、もう一度は適用できない: {why}"),
            &format!("   ✘ down leads to where up does not run again: {why}"),
        ),
        (true, Some(Back::NotTried(why))) => printer.pick(
            &format!("   ? 試せない: {why}"),
            &format!("   ? not tried: {why}"),
        ),
    });
}

fn document(name: &str, answers: &Answers) -> Value {
    let back = |back: &Back| match back {
        Back::None => json!({"result": "none"}),
        Back::Exactly => json!({"result": "exact"}),
        Back::Elsewhere(what) => json!({"result": "different", "detail": what}),
        Back::Failed(why) => json!({"result": "failed", "detail": why}),
        Back::NotAgain(why) => json!({"result": "not_again", "detail": why}),
        Back::NotTried(why) => json!({"result": "not_tried", "detail": why}),
    };
    json!({
        "script": name,
        "locks": answers.locks,
        "proof": answers.proof.as_ref().map(|proof| json!({"statements": proof.traces, "unlike_locks": proof.differs})),
        "compatibility": answers.compatibility.iter().map(|(version, breaks)| json!({"code": version, "breaks": breaks})).collect::<Vec<_>>(),
        "reversibility": {"way_back": answers.has_way_back, "tried": answers.proof.as_ref().map(|proof| back(&proof.back))},
    })
}
