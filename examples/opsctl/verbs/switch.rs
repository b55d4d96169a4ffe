use ops_core::audit::Recorded;
use ops_core::error::ErrorKind;
use ops_core::model::{AuditOutcome, AuditRecord, Digest, Text};
use ops_core::ports::Presence;
use serde_json::json;

use crate::cli::{Global, PlanArgs, RestoreArgs, StopArgs, SwitchArgs, SwitchVerb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::{Session, holder};
use crate::world::{Purpose, SWITCH_PROCEDURE, switch_target};

pub(crate) async fn run(global: &Global, printer: &Printer, args: &SwitchArgs) -> Result<Exit, Failure> {
    match &args.verb {
        SwitchVerb::List => list(&Session::open(global, printer, Purpose::Look).await?, printer).await,
        SwitchVerb::Stop { feature } => {
            let plan = PlanArgs {
                procedure: format!("{SWITCH_PROCEDURE}{feature}"),
                param: Vec::new(),
            };
            super::stop::run(
                global,
                printer,
                &StopArgs {
                    plan,
                    dry_run: false,
                    break_glass: None,
                    overrides: Vec::new(),
                },
            )
            .await
        }
        SwitchVerb::Open { feature } => {
            let session = Session::open(global, printer, Purpose::Act).await?;
            let (procedure, target) = (format!("{SWITCH_PROCEDURE}{feature}"), switch_target(feature)?);
            session.procedure(&procedure, &[])?;
            let held = session.world.ops.engine().held().await?;
            if !held.iter().any(|held| *held.snapshot.target() == target) {
                return open_unheld(&session, printer, feature).await;
            }
            let run = holder(&session, &target, &procedure).await?;
            let args = RestoreArgs {
                run,
                dry_run: false,
                accept_drift: false,
                skip_gates: None,
            };
            super::restore::run(global, printer, &args).await
        }
    }
}

/// Opens a feature that no run of this journal holds: stopped from elsewhere, or while the journal was away. It needs the same approvals
/// as a restore, over the feature and the generation of the switches.
async fn open_unheld(session: &Session, printer: &Printer, feature: &str) -> Result<Exit, Failure> {
    let world = &session.world;
    let switches = &world.ops.providers().switches;
    let state = switches.read().await?;
    if !state.stopped.contains_key(feature) {
        return Err(Failure::usage(
            format!("{feature} is not stopped"),
            "see `opsctl switch list`",
        ));
    }
    let digest = Digest::of(
        json!(["switch-open/1", feature, state.generation])
            .to_string()
            .as_bytes(),
    );
    let approvals = session.approvals(digest, printer).await;
    let consent = world
        .approvers
        .consent(
            digest,
            &world.restore_policy(),
            &approvals,
            &session.actor,
            world.now(),
        )
        .inspect_err(|_| printer.error(&format!("  → opsctl approve {digest} --key FILE --blind")))?;
    // What was agreed on is that generation. A newer one may be a newer stop.
    let opened = world
        .open_switch_at(state.generation, feature, &session.actor)
        .await;
    opened.map_err(|error| match error.kind() {
        ErrorKind::Conflict => Failure::Overtaken {
            what: Text::new(
                format!(
                    "承認は世代 {} のスイッチに対するもので、その後スイッチが変更されました（新しい停止かもしれません）",
                    state.generation
                ),
                format!(
                    "what was agreed on is generation {} of the switches, and they were changed since (perhaps by a newer stop)",
                    state.generation
                ),
            ),
            remedy: format!("opsctl switch list, then opsctl switch open {feature}"),
        },
        _ => Failure::Failed(error),
    })?;
    // What is written is not what is in force until it has been read back.
    let open = !switches.read().await?.stopped.contains_key(feature);
    let record = AuditRecord::new(
        world.now(),
        world.config.tenant.clone(),
        session.actor.clone(),
        "switch.open",
        "switch",
        feature,
    )
    .with_outcome(if open {
        AuditOutcome::Succeeded
    } else {
        AuditOutcome::Unknown
    })
    .with_detail("approval", consent.persons.join(", "));
    let audited = matches!(world.ops.record(record).await, Recorded::Stored(_));
    let exit = if open { Exit::Done } else { Exit::Unverified };
    printer.line(&match open {
        true => printer.pick(&format!("{feature}: 開きました"), &format!("{feature}: opened")),
        false => printer.pick(
            &format!("{feature}: 確認できません"),
            &format!("{feature}: not seen to be open"),
        ),
    });
    if printer.json() {
        printer.document(&json!({
            "feature": feature, "verified": open, "plan_digest": digest, "audited": audited, "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

async fn list(session: &Session, printer: &Printer) -> Result<Exit, Failure> {
    let world = &session.world;
    let providers = world.ops.providers();
    let state = providers.switches.read().await?;
    let processes = providers.processes.processes().await;
    let hints = world.hints_arrive().await;
    let mut documents = Vec::new();
    for switch in &world.config.switches {
        let off = state.stopped.get(&switch.name);
        let admitted = off.and_then(|off| off.admitted);
        let shown = match (off, admitted) {
            (None, _) => printer.pick("開", "open"),
            (Some(off), None) => printer.pick(
                &format!("停止 {} ({}, JST)", off.by, off.at.to_jst()),
                &format!("stopped by {} at {}", off.by, off.at),
            ),
            (Some(off), Some(share)) => printer.pick(
                &format!("一部開 {share} {} ({}, JST)", off.by, off.at.to_jst()),
                &format!("open for {share}, else stopped by {} at {}", off.by, off.at),
            ),
        };
        printer.line(&format!("{:<24} {shown}", switch.name));
        // Not an empty list where nothing is known.
        let owing = processes.as_ref().ok().map(|presences| -> Vec<_> {
            let owing = presences
                .iter()
                .filter(|presence| presence.owes(&switch.name, state.generation));
            owing.map(|presence| presence.process.name()).collect()
        });
        documents.push(json!({
            "feature": switch.name, "stopped": off.is_some(), "admitted": admitted, "by": off,
            "layer": off.map(|_| "shared"), "not_applied_by": owing,
        }));
    }
    let generation = state.generation;
    printer.line(&printer.pick(&format!("世代 {generation}"), &format!("generation {generation}")));
    let (exit, processes_error) = match &processes {
        Ok(presences) => {
            for presence in presences {
                printer.line(&process_line(printer, presence, generation));
            }
            (Exit::Done, None)
        }
        Err(error) => {
            printer.error(&printer.pick(
                &format!("プロセスの一覧を読めません。停止がどこまで届いたかは不明です: {error}"),
                &format!(
                    "the processes cannot be listed, so it is not known how far a stop has come: {error}"
                ),
            ));
            (Exit::Unverified, Some(error.to_string()))
        }
    };
    if hints == Some(false) {
        printer.error(&printer.pick(
            "通知が届きません (トランザクション方式のプーラー経由の可能性)。停止はポーリングの間隔で伝わります",
            "notifications do not arrive (a transaction pooler in between?): a stop spreads with the poll interval",
        ));
    }
    if printer.json() {
        printer.document(&json!({
            "generation": generation, "switches": documents, "processes": processes.as_ref().ok(),
            "processes_error": processes_error, "notifications_arrive": hints, "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

fn process_line(printer: &Printer, presence: &Presence, generation: u64) -> String {
    let process = &presence.process;
    let silent = presence.silent_for.as_secs();
    let (ja, en) = match (presence.is_missing(), process.generation != generation) {
        (true, _) => (
            format!("応答なし ({silent} 秒)"),
            format!("missing, silent for {silent} s"),
        ),
        (false, true) => ("未適用".to_owned(), "not applied".to_owned()),
        (false, false) => ("適用済み".to_owned(), "applied".to_owned()),
    };
    let running: u64 = process.calls.values().map(|calls| calls.running).sum();
    let total: u64 = process.calls.values().map(|calls| calls.total).sum();
    let polling = match process.hints {
        Some(false) => printer.pick(" 通知なし", " no notifications"),
        _ => String::new(),
    };
    format!(
        "  {:<32} {} {}{polling}",
        process.name(),
        printer.pick(
            &format!("世代 {} {ja}", process.generation),
            &format!("generation {} {en}", process.generation)
        ),
        printer.pick(
            &format!("実行中 {running} / 計 {total}"),
            &format!("calls running {running} of {total}")
        ),
    )
}
