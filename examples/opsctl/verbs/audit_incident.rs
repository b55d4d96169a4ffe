use ops_core::audit::{Exposure, Touched};
use ops_core::model::Timestamp;
use ops_core::procedures::{PermissionIncident, ReportsDue};
use serde_json::json;

use super::audit_evidence::{Preserved, export, show_preserved};
use crate::cli::{FilterArgs, IncidentArgs, PreserveArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::session::Session;

/// What the runbook wants to know of a permission incident; with `--act` the evidence is preserved first.
pub(crate) async fn run(
    session: &Session,
    printer: &Printer,
    args: &IncidentArgs,
    complete: bool,
) -> Result<Exit, Failure> {
    let kind = PermissionIncident::from(args.kind);
    let since: Timestamp = args.since.parse()?;
    let known_at = match &args.known_at {
        Some(text) => text.parse()?,
        None => session.world.now(),
    };
    let resource = match args.resource.as_deref().map(|text| text.split_once(':')) {
        Some(None) => {
            return Err(Failure::usage(
                "--resource names one thing",
                "give it as TYPE:ID, such as task:t1",
            ));
        }
        named => named.flatten(),
    };
    let due = kind.reports_due(known_at, args.on_purpose);
    let preserve = preserve(args);
    let preserved = match &preserve {
        Some(preserve) => Some(export(session, preserve).await?),
        None => None,
    };
    let tenant = &session.world.config.tenant;
    let exposure = session
        .audit_reader()
        .exposure(&session.actor, tenant, args.user.as_deref(), resource, since)
        .await?;
    let intact = preserved.as_ref().is_none_or(Preserved::intact);
    let exit = match intact && complete && !exposure.cut {
        true => Exit::Done,
        false => Exit::Partly,
    };
    if printer.json() {
        let evidence = preserve.as_ref().zip(preserved.as_ref());
        printer.document(&json!({
            "kind": kind, "severity": kind.severity(), "known_at": known_at, "reports_due": due, "exposure": exposure,
            "evidence": evidence.map(|(args, preserved)| preserved.document(args)),
            "complete": complete, "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    show_due(printer, kind, known_at, due);
    if let Some((args, preserved)) = preserve.as_ref().zip(preserved.as_ref()) {
        show_preserved(printer, args, preserved);
    }
    show_exposure(printer, &exposure);
    show_left(printer, args.act);
    Ok(exit)
}

/// All records since then, whoever made them: what else belongs to it is not known yet.
fn preserve(args: &IncidentArgs) -> Option<PreserveArgs> {
    let (Some(incident), Some(key), Some(out)) = (&args.incident, &args.key, &args.out) else {
        return None;
    };
    args.act.then(|| PreserveArgs {
        incident: incident.clone(),
        filter: FilterArgs {
            from: Some(args.since.clone()),
            ..FilterArgs::default()
        },
        key: key.clone(),
        out: out.clone(),
        checkpoint: Vec::new(),
        allow_empty: false,
        archive: args.archive.clone(),
        retain_until: args.retain_until.clone(),
    })
}

fn show_due(printer: &Printer, kind: PermissionIncident, known_at: Timestamp, due: Option<ReportsDue>) {
    let severity = kind.severity();
    printer.heading(&printer.pick(
        &format!("権限インシデント: 重大度 {severity}"),
        &format!("permission incident: severity {severity}"),
    ));
    printer.line(&match due {
        Some(due) => printer.pick(
            &format!(
                "  {} に認知: 速報は {} まで、確報は {} まで",
                known_at.to_jst(),
                due.first.to_jst(),
                due.whole.to_jst()
            ),
            &format!(
                "  known at {known_at}: the first report is due {}, the whole one {}",
                due.first, due.whole
            ),
        ),
        None => printer.pick("  報告の期限はありません", "  no report is due"),
    });
}

fn show_exposure(printer: &Printer, exposure: &Exposure) {
    let lists = [
        (
            &exposure.by_user,
            printer.pick("この利用者が触れたもの", "what the user touched"),
        ),
        (
            &exposure.to_resource,
            printer.pick("この資源に触れた人", "who touched the resource"),
        ),
    ];
    for (list, title) in lists.into_iter().filter(|(list, _)| !list.is_empty()) {
        printer.heading(&title);
        list.iter().for_each(|touched| show_touched(printer, touched));
    }
    if exposure.by_user.is_empty() && exposure.to_resource.is_empty() {
        printer.line(&printer.pick("  該当する記録はありません", "  no records"));
    }
    if exposure.cut {
        printer.line(&printer.warn(&printer.pick(
            "  ⚠ 一覧に入りきりません: 期間を狭めてください",
            "  ⚠ there is more than the list takes: narrow the time",
        )));
    }
}

fn show_touched(printer: &Printer, touched: &Touched) {
    let actions: Vec<_> = touched
        .actions
        .iter()
        .map(|(action, times)| format!("{action} ×{times}"))
        .collect();
    printer.line(&format!(
        "  {} – {}  {:<12} {}:{}  {}",
        touched.first.to_jst(),
        touched.last.to_jst(),
        touched.actor,
        touched.resource_type,
        touched.resource_id,
        actions.join(", ")
    ));
}

/// What this tool has no hold of, or was not told to do.
fn show_left(printer: &Printer, acted: bool) {
    if !acted {
        printer.line(&printer.pick(
            "証拠はまだ保全していません: --act --incident ID --key FILE --out DIR",
            "no evidence is preserved yet: --act --incident ID --key FILE --out DIR",
        ));
    }
    printer.line(&printer.pick(
        "セッションの失効と公開口の停止はしていません: 失効はアプリの側で、停止は opsctl stop で",
        "no session was ended and no endpoint stopped: end sessions in the application, stop the endpoint with opsctl stop",
    ));
}
