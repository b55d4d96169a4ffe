use std::path::PathBuf;

use ops_core::config::{ConfigFaults, Env, OpsConfig};
use ops_core::emergency::{Approval, Procedure};
use ops_core::masking::BuiltinMasker;
use ops_core::model::{Actor, Digest, PlanKind, RunId, TargetId};
use ops_core::ports::{JournalEntry, JournalEvent, PiiMasker};

use crate::cli::Global;
use crate::exit::Failure;
use crate::print::Printer;
use crate::progress::Progress;
use crate::world::World;

/// A verb's configuration, who acts, and the world it acts on.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) world: World,
    pub(crate) actor: Actor,
    env: Env,
}

impl Session {
    /// Reads the configuration and connects. A database that cannot be reached does not keep a stop from being possible.
    pub(crate) async fn open(global: &Global, printer: &Printer) -> Result<Self, Failure> {
        let env = Env::process();
        let actor = actor(global, &env)?;
        let config = load(global, printer)?;
        let world = World::build(config, &env, &actor, None, Progress::new(printer.json())).await?;
        world
            .warnings
            .iter()
            .for_each(|warning| printer.error(&printer.warn(&format!("⚠ {}", printer.text(warning)))));
        Ok(Self { world, actor, env })
    }

    /// The same world, connected afresh: nothing remembered can answer.
    pub(crate) async fn fresh(&self) -> Result<World, Failure> {
        let config = self.world.config.clone();
        World::build(config, &self.env, &self.actor, None, Progress::new(true)).await
    }

    pub(crate) fn procedure(&self, name: &str, params: &[String]) -> Result<Procedure, Failure> {
        self.world.procedure(name, &parse_params(params)?)
    }

    /// Approvals of a plan that were signed on this state directory. A file that is none is passed over: it must not block a stop.
    pub(crate) fn approvals(&self, digest: Digest, printer: &Printer) -> Vec<Approval> {
        let Ok(entries) = std::fs::read_dir(self.approvals_dir()) else {
            return Vec::new();
        };
        let of_plan = |name: &str| name.starts_with(&digest.to_string()) && name.ends_with(".json");
        let files = entries
            .flatten()
            .filter(|entry| of_plan(&entry.file_name().to_string_lossy()));
        let read = |file: std::fs::DirEntry| {
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            let approval = serde_json::from_str(&text).ok();
            if approval.is_none() {
                let file = file.path().display().to_string();
                printer.error(&printer.warn(&printer.pick(
                    &format!("⚠ {file} は承認ではないので無視します"),
                    &format!("⚠ {file} is no approval and is passed over"),
                )));
            }
            approval
        };
        files.filter_map(read).collect()
    }

    /// Runs that began here and died before they were recorded; `opsctl resume` records them.
    pub(crate) async fn unrecorded(&self) -> Vec<RunId> {
        let engine = self.world.ops.engine();
        let mut unrecorded = Vec::new();
        for run in engine.runs().await.unwrap_or_default() {
            let entries = engine.entries(&run).await.unwrap_or_default();
            if started(&entries).is_some() && !published(&entries) {
                unrecorded.push(run);
            }
        }
        unrecorded
    }

    pub(crate) fn approvals_dir(&self) -> PathBuf {
        self.world.config.state_dir.join("approvals")
    }
}

/// Reads the configuration, and takes its language.
pub(crate) fn load(global: &Global, printer: &Printer) -> Result<OpsConfig, Failure> {
    let file = global.config.display().to_string();
    if !global.config.exists() {
        let remedy = "write it (examples/config has two to begin with), name it with --config, or try `opsctl drill`, which needs none";
        return Err(Failure::usage(
            format!("there is no configuration file {file}"),
            remedy,
        ));
    }
    let config = OpsConfig::load(&global.config).map_err(|error| match ConfigFaults::of(&error) {
        Some(faults) => Failure::Config {
            file: file.clone(),
            faults: faults.clone(),
        },
        None => Failure::Failed(error),
    })?;
    printer.prefer(config.lang);
    Ok(config)
}

fn actor(global: &Global, env: &Env) -> Result<Actor, Failure> {
    let id = global
        .actor
        .clone()
        .or_else(|| env.text("OPS_ACTOR"))
        .or_else(|| env.text("USER"))
        .unwrap_or_else(|| "operator".to_owned());
    // An id that looks like a name or an address is masked before it can reach a journal.
    Ok(Actor::person(BuiltinMasker::new().mask(&id))?)
}

/// The only parameter so far is `services`.
fn parse_params(params: &[String]) -> Result<Option<Vec<String>>, Failure> {
    let mut services = None;
    for param in params {
        match param.split_once('=') {
            Some(("services", names)) => {
                services = Some(names.split(',').map(|name| name.trim().to_owned()).collect())
            }
            _ => {
                return Err(Failure::usage(
                    format!("--param {param} is not known"),
                    "use --param services=NAME,NAME",
                ));
            }
        }
    }
    Ok(services)
}

/// The run of `procedure` that holds the prior state of `target`; what is part of a larger stop is restored with it.
pub(crate) async fn holder(session: &Session, target: &TargetId, procedure: &str) -> Result<String, Failure> {
    let engine = session.world.ops.engine();
    let held = engine.held().await?;
    let run = held
        .iter()
        .find(|held| held.snapshot.target() == target)
        .map(|held| held.run.clone())
        .ok_or_else(|| {
            let what = format!("no run of this journal holds the prior state of {target}");
            Failure::usage(
                what,
                "it is not stopped, or was stopped elsewhere; restore it there",
            )
        })?;
    match started(&engine.entries(&run).await?) {
        Some((name, PlanKind::Stop)) if name == procedure => Ok(run.to_string()),
        _ => Err(Failure::usage(
            format!("{target} was stopped as part of {run}"),
            format!("opsctl restore {run}"),
        )),
    }
}

/// What a run began with.
pub(crate) fn started(entries: &[JournalEntry]) -> Option<(&str, &PlanKind)> {
    entries.iter().find_map(|entry| match &entry.event {
        JournalEvent::Started { procedure, plan, .. } => Some((procedure.as_str(), plan)),
        _ => None,
    })
}

/// Whether a run was recorded and told to its end.
pub(crate) fn published(entries: &[JournalEntry]) -> bool {
    entries
        .iter()
        .any(|entry| matches!(entry.event, JournalEvent::Published { .. }))
}
