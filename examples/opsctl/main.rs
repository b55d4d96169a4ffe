//! `opsctl`: the reference admin tool. Everything it does is a call of the libraries.

mod archive_place;
mod cli;
mod evidence;
mod exit;
mod input;
mod interrupt;
mod new_file;
mod print;
mod progress;
mod queues;
mod session;
mod sim_world;
mod verbs;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use ops_core::masking::BuiltinMasker;
use ops_core::masking::log::MaskedLogs;

use crate::cli::{Cli, Verb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;

fn main() -> ExitCode {
    let cli = Arc::new(Cli::parse());
    let printer = Arc::new(Printer::new(cli.global.json, cli.global.lang));
    let logs = MaskedLogs::new(Arc::new(BuiltinMasker::new()));
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_target(false)
        .without_time()
        .map_fmt_fields(|fields| logs.fields(fields))
        .map_event_format(|format| logs.format(format))
        .with_writer(logs.writer(std::io::stderr))
        .init();
    logs.install_panic_hook();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("opsctl: cannot start: {error}");
            return ExitCode::from(1);
        }
    };
    let exit = runtime.block_on(async {
        tokio::select! {
            exit = run(&cli, &printer) => exit,
            () = interrupt::signal(&cli.verb) => interrupt::leave(&printer),
        }
    });
    // A vendor that never answers must not keep the tool from ending.
    runtime.shutdown_background();
    exit.into()
}

async fn run(cli: &Arc<Cli>, printer: &Arc<Printer>) -> Exit {
    let global = &cli.global;
    let result = match &cli.verb {
        Verb::Drill(args) => verbs::drill::run(global, printer, args).await,
        Verb::Sim(args) => verbs::sim::run(printer, args).await,
        Verb::Plan(args) => verbs::plan::run(global, printer, args).await,
        Verb::Stop(args) => verbs::stop::run(global, printer, args).await,
        Verb::Approve(args) => verbs::approve::run(global, printer, args).await,
        Verb::Reviews => verbs::reviews::list(global, printer).await,
        Verb::Review(args) => verbs::reviews::close(global, printer, args).await,
        Verb::Resume(args) => verbs::resume::run(global, printer, args).await,
        Verb::Restore(args) => verbs::restore::run(global, printer, args).await,
        Verb::Abort(args) => verbs::abort::run(global, printer, args).await,
        Verb::Forget(args) => verbs::forget::run(global, printer, args).await,
        Verb::Runs(args) => verbs::runs::run(global, printer, args).await,
        Verb::Switch(args) => verbs::switch::run(global, printer, args).await,
        Verb::User(args) => verbs::user::run(global, printer, args).await,
        Verb::Db(args) => verbs::db::run(global, printer, args).await,
        Verb::Audit(args) => verbs::audit::run(global, printer, args).await,
        Verb::Limits(args) => verbs::limits::run(global, printer, args).await,
        Verb::Doctor(args) => verbs::doctor::run(global, printer, args).await,
        Verb::Metrics(args) => verbs::metrics::run(global, printer, args).await,
        Verb::Incident(args) => verbs::incident::run(global, printer, args).await,
        Verb::Tenant(args) => verbs::tenant::run(global, printer, args).await,
        Verb::Erase(args) => verbs::erase::run(global, printer, args).await,
        Verb::Retention(args) => verbs::retention::run(global, printer, args).await,
        Verb::Backups(args) => verbs::backups::run(global, printer, args).await,
        Verb::Leases(args) => verbs::leases::run(global, printer, args).await,
        Verb::Migrations(args) => verbs::migrations::run(global, printer, args).await,
        Verb::Calendar(args) => verbs::calendar::run(global, printer, args).await,
        Verb::Mask(_) | Verb::Detect => filter(cli, printer).await,
    };
    result.unwrap_or_else(|failure| failure.show(printer))
}

/// What turns standard input into standard output blocks, on a thread that an interruption does not wait for.
async fn filter(cli: &Arc<Cli>, printer: &Arc<Printer>) -> Result<Exit, Failure> {
    let (cli, printer) = (Arc::clone(cli), Arc::clone(printer));
    let task = tokio::task::spawn_blocking(move || match &cli.verb {
        Verb::Mask(args) => verbs::mask::run(&cli.global, &printer, args),
        _ => verbs::detect::run(&printer),
    });
    match task.await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
