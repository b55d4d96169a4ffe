use serde_json::json;

use crate::cli::SimArgs;
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::sim_world::{Extras, SimWorld};

pub(crate) async fn run(printer: &Printer, args: &SimArgs) -> Result<Exit, Failure> {
    let world = SimWorld::start(args.world, &args.fault, &[]).await?;
    let database = args
        .database
        .then_some(("DATABASE_URL", "OPS_AUDIT_DATABASE_URL"));
    let extras = Extras {
        state_dir: ".ops",
        approvers: &[],
        database,
        read_only: database.is_some(),
    };
    let config = world.config(&extras);
    if let Some(file) = &args.write {
        std::fs::write(file, &config).map_err(|error| {
            Failure::usage(
                format!("cannot write {}: {}", file.display(), error.kind()),
                "name a file in a folder that exists and can be written",
            )
        })?;
    }
    if printer.json() {
        printer.document(&json!({"config": config}));
    } else {
        printer.line(&config);
    }
    printer.error(&printer.pick(
        "模擬のベンダーが動いています。上の内容を ops.toml に保存し、別の端末で opsctl plan / stop / restore を試してください。Ctrl-C で終わります。",
        "The simulated vendors are running. Save the text above as ops.toml and try opsctl plan / stop / restore in another terminal. Ctrl-C ends them.",
    ));
    // Without a way to wait for Ctrl-C, run until killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    Ok(Exit::Done)
}
