use std::path::Path;

use ops_core::incidents::{TimeTaken, report as report_of};
use ops_core::messages::{
    incident_layer, incident_line, incident_rule, incident_status, no_target, time_taken,
};
use ops_core::model::{Incident, IncidentEntry, TenantId};
use ops_core::ports::IncidentQuery;
use serde_json::{Value, json};

use super::incident::Desk;
use crate::exit::{Exit, Failure};
use crate::input;
use crate::new_file::write_new;
use crate::print::millis;
use crate::world::perhaps_elsewhere;

pub(super) async fn list(desk: &Desk<'_>, all: bool, tenant: Option<&str>) -> Result<Exit, Failure> {
    let mut query = if all {
        IncidentQuery::all()
    } else {
        IncidentQuery::open()
    };
    if let Some(tenant) = tenant {
        query = query.of_tenant(TenantId::new(tenant)?);
    }
    let mut found = Vec::new();
    loop {
        let page = desk.incidents.store().list(&query).await?;
        found.extend(page.incidents);
        match page.next {
            Some(next) => query = query.after(next),
            None => break,
        }
    }
    let printer = desk.printer;
    for incident in &found {
        let status = incident_status(incident.status);
        let tenant = incident.tenant.as_ref().map(|tenant| format!("  [{tenant}]"));
        printer.line(&format!(
            "  …{}  {}  {}  {}  {}{}",
            incident.id.short(),
            incident.severity,
            incident.opened_at.to_jst(),
            printer.text(&status),
            incident.title,
            tenant.unwrap_or_default()
        ));
    }
    let exit = desk.told();
    if found.is_empty() {
        printer.line(&match exit {
            Exit::Done => printer.pick("  障害はありません", "  no incident"),
            _ => printer.pick(
                "  この端末には障害の記録がありません",
                "  no incident on this machine",
            ),
        });
    }
    desk.say_if_alone();
    if printer.json() {
        printer.document(&json!({
            "incidents": found, "only_on_this_machine": desk.alone(), "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

pub(super) async fn show(desk: &Desk<'_>, id: &str) -> Result<Exit, Failure> {
    let (incident, entries) = read(desk, id).await?;
    let printer = desk.printer;
    printer.heading(&format!(
        "{} {} — {}",
        incident.severity, incident.title, incident.id
    ));
    let status = incident_status(incident.status);
    printer.line(&format!("  {}", printer.text(&status)));
    if let Some(layer) = &incident.layer {
        let layer = incident_layer(layer);
        printer.line(&format!("  {}", printer.text(&layer)));
    }
    for (ja, en, time) in [
        (
            "対応開始まで",
            "until taken on",
            TimeTaken::to_acknowledge(&incident),
        ),
        ("復旧まで", "until recovered", TimeTaken::to_recover(&incident)),
    ] {
        printer.line(&format!(
            "  {}: {}",
            printer.pick(ja, en),
            told(desk, &incident, time)
        ));
    }
    for entry in IncidentEntry::in_order(&entries) {
        let what = incident_line(&entry.change);
        let idle = incident.without_effect.iter().find(|idle| idle.entry == entry.id);
        let idle = idle.map(|idle| {
            let why = incident_rule(idle.rule);
            let why = printer.text(&why);
            printer.pick(
                &format!("（効果なし: {why}）"),
                &format!(" (without effect: {why})"),
            )
        });
        printer.line(&format!(
            "  #{} {} {}  {}{}",
            entry.number,
            entry.at.to_jst(),
            entry.by,
            printer.text(&what),
            idle.unwrap_or_default()
        ));
    }
    desk.say_if_alone();
    let exit = desk.told();
    if printer.json() {
        printer.document(&json!({
            "incident": incident, "entries": entries,
            "acknowledge": times(TimeTaken::to_acknowledge(&incident)),
            "recover": times(TimeTaken::to_recover(&incident)),
            "only_on_this_machine": desk.alone(), "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

pub(super) async fn report(desk: &Desk<'_>, id: &str, out: Option<&Path>) -> Result<Exit, Failure> {
    let (incident, entries) = read(desk, id).await?;
    let printer = desk.printer;
    let mut markdown = report_of(&incident, &entries, printer.lang());
    let exit = desk.told();
    if exit != Exit::Done {
        let partial = printer.pick(
            "データベースを確認できなかったため、この端末の記録だけで作成しました。",
            "The database could not be asked: made of what this machine knows.",
        );
        markdown.push_str(&format!("\n> {partial}\n"));
    }
    desk.say_if_alone();
    match out {
        Some(out) => {
            write_new(out, &markdown)?;
            let out = out.display();
            printer.line(&printer.pick(&format!("{out} に書きました"), &format!("written to {out}")));
        }
        None if !printer.json() => {
            input::write(&markdown)?;
        }
        None => {}
    }
    if printer.json() {
        printer.document(&json!({
            "id": incident.id, "markdown": markdown, "only_on_this_machine": desk.alone(), "exit_code": exit.code(),
        }));
    }
    Ok(exit)
}

async fn read(desk: &Desk<'_>, id: &str) -> Result<(Incident, Vec<IncidentEntry>), Failure> {
    let id = desk.find(id).await?;
    let found = desk.incidents.read(&id).await?;
    found.ok_or_else(|| Failure::Failed(perhaps_elsewhere()))
}

fn told(desk: &Desk<'_>, incident: &Incident, time: TimeTaken) -> String {
    let printer = desk.printer;
    let took = time.took.map(time_taken);
    let took = took.map_or_else(
        || printer.pick("まだ", "not yet"),
        |took| printer.text(&took).to_owned(),
    );
    let target = time.target.map_or_else(|| no_target(incident.worst), time_taken);
    let late = match time.in_time() {
        Some(false) => printer.pick(" ⚠ 目標超過", " ⚠ too late"),
        _ => String::new(),
    };
    format!("{took} / {}{late}", printer.text(&target))
}

fn times(time: TimeTaken) -> Value {
    json!({
        "took_ms": time.took.map(millis),
        "target_ms": time.target.map(millis),
        "in_time": time.in_time(),
    })
}
