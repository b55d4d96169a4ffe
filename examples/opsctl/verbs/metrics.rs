use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::calendar::figures;
use super::doctor::write;
use crate::cli::{Global, MetricsArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;
use crate::world::Purpose;

/// The figures of what is kept, and those of the last doctor: for a job that pushes or a collector that reads a file.
pub(crate) async fn run(global: &Global, printer: &Printer, args: &MetricsArgs) -> Result<Exit, Failure> {
    let session = Session::open(global, printer, Purpose::Look).await?;
    let config = &session.world.config;
    let procedures: Vec<_> = config
        .procedures
        .iter()
        .map(|procedure| procedure.name.as_str())
        .collect();
    let mut text = session.world.ops.durable_metrics(&procedures).await?;
    text += &figures(&session).await?;
    if let Some(doctor) = of_doctor(args.doctor.as_deref(), &config.state_dir)? {
        text += &doctor;
    }
    if let Some(file) = &args.write {
        write(file, &text)?;
    }
    if printer.json() {
        let samples: Vec<_> = text.lines().filter_map(sample).collect();
        printer.document(&json!({"metrics": samples, "written": args.write, "exit_code": 0}));
    } else if args.write.is_none() {
        printer.line(text.trim_end());
    }
    Ok(Exit::Done)
}

/// A named file must be there; the one of the state directory may be.
fn of_doctor(named: Option<&Path>, state_dir: &Path) -> Result<Option<String>, Failure> {
    let file: PathBuf = named.map_or_else(|| state_dir.join("doctor.prom"), Path::to_owned);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::usage(
            format!("cannot read {}: {}", file.display(), error.kind()),
            "make it with `opsctl doctor --metrics FILE`",
        )),
    }
}

/// `name{label="value",…} 1.5`; `None` for a comment.
fn sample(line: &str) -> Option<Value> {
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.rsplit_once(' ')?;
    let value: f64 = value.parse().ok()?;
    let (name, labels) = match name.split_once('{') {
        Some((name, labels)) => (name, pairs(labels.strip_suffix('}')?)),
        None => (name, Map::new()),
    };
    Some(json!({"name": name, "labels": labels, "value": value}))
}

fn pairs(mut text: &str) -> Map<String, Value> {
    let mut pairs = Map::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (mut value, mut escaped, mut end) = (String::new(), false, rest.len());
        for (at, letter) in rest.char_indices() {
            match (escaped, letter) {
                (false, '\\') => escaped = true,
                (false, '"') => {
                    end = at;
                    break;
                }
                (true, 'n') => {
                    value.push('\n');
                    escaped = false;
                }
                (_, letter) => {
                    value.push(letter);
                    escaped = false;
                }
            }
        }
        pairs.insert(name.trim_start_matches(',').to_owned(), value.into());
        text = rest.get(end + 1..).unwrap_or_default();
    }
    pairs
}
