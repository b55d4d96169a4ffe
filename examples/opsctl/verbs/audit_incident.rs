use ops_core::audit::{Exposure, Touched};
use ops_core::model::{TenantId, Timestamp};
use ops_core::procedures::{PermissionIncident, ReportsDue};
use serde_json::json;

use super::audit_evidence::{Preserved, export, show_arrival, show_preserved};
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
    let (now, tenant) = (session.world.now(), &session.world.config.tenant);
    let since: Timestamp = args.since.parse()?;
    if since > now {
        return Err(Failure::usage(
            "--since is in the future",
            "give the time at which it may have begun",
        ));
    }
    let told = args.known_at.as_deref().map(str::parse::<Timestamp>);
    let told = told.transpose()?;
    let known_at = told.unwrap_or(now);
    if known_at > now {
        return Err(Failure::usage(
            "--known-at is in the future",
            "give the time at which it became known",
        ));
    }
    let resource = args.resource.as_deref().map(one_thing).transpose()?;
    let due = kind.reports_due(known_at, args.on_purpose);
    // At once: nothing that fails later takes it back.
    show_begin(printer, kind, tenant);
    show_due(printer, known_at, told.is_some(), due);
    let preserve = preserve(args);
    let mut preserved = match &preserve {
        Some(preserve) => {
            let preserved = export(session, preserve).await?;
            show_preserved(printer, preserve, &preserved);
            Some(preserved)
        }
        None => None,
    };
    let exposure = session
        .audit_reader()
        .exposure(&session.actor, tenant, args.user.as_deref(), resource, since)
        .await;
    let exposure = match exposure {
        Err(error) if preserved.is_none() => return Err(error.into()),
        // The evidence is there all the same.
        exposure => exposure,
    };
    // What was seen is not kept waiting by an archive that may take hours.
    if !printer.json() {
        match &exposure {
            Ok(exposure) => show_exposure(printer, exposure),
            Err(error) => printer.error(&format!("opsctl: {error}")),
        }
    }
    if let (Some(preserve), Some(preserved)) = (&preserve, &mut preserved) {
        preserved.bring(session, preserve).await;
        show_arrival(printer, preserve, preserved);
    }
    let preserved_whole = preserved.as_ref().is_none_or(Preserved::complete);
    let whole = exposure.as_ref().is_ok_and(|exposure| !exposure.cut);
    let exit = match preserved_whole && complete && whole {
        true => Exit::Done,
        false => Exit::Partly,
    };
    if printer.json() {
        let evidence = preserve.as_ref().zip(preserved.as_ref());
        let said = exposure.as_ref().err();
        printer.document(&json!({
            "kind": kind, "severity": kind.severity(), "tenant": tenant, "known_at": known_at, "reports_due": due,
            "exposure": exposure.as_ref().ok(),
            "error": said.map(|error| json!({"kind": error.kind().to_string(), "message": error.to_string()})),
            "evidence": evidence.map(|(args, preserved)| preserved.document(args)),
            "complete": complete, "exit_code": exit.code(),
        }));
        return Ok(exit);
    }
    show_left(session, printer, args);
    Ok(exit)
}

/// Type and id.
fn one_thing(text: &str) -> Result<(&str, &str), Failure> {
    match text.split_once(':') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok((kind, id)),
        _ => Err(Failure::usage(
            "--resource names one thing",
            "give it as TYPE:ID, such as task:t1",
        )),
    }
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
        // It holds at least the record of itself.
        allow_empty: true,
        archive: args.archive.clone(),
        retain_until: args.retain_until.clone(),
    })
}

fn show_begin(printer: &Printer, kind: PermissionIncident, tenant: &TenantId) {
    let severity = kind.severity();
    printer.heading(&printer.pick(
        &format!("権限インシデント: 重大度 {severity}（テナント {tenant}）"),
        &format!("permission incident: severity {severity}, tenant {tenant}"),
    ));
    if matches!(kind, PermissionIncident::LeakBetweenOrganisations) {
        printer.line(&printer.pick(
            "  このテナントの記録だけを調べます: ほかの組織の記録はそれぞれの設定で調べてください",
            "  only the trail of this tenant is read: read that of another organisation with its own configuration",
        ));
    }
}

fn show_due(printer: &Printer, known_at: Timestamp, told: bool, due: Option<ReportsDue>) {
    let Some(due) = due else {
        printer.line(&printer.pick("  報告の期限はありません", "  no report is due"));
        return;
    };
    let (known, first, whole) = (known_at.to_jst(), due.first.to_jst(), due.whole.to_jst());
    printer.line(&printer.pick(
        &format!("  {known} JST に認知: 速報は {first} JST まで、確報は {whole} JST まで"),
        &format!("  known at {known} JST: the first report is due {first} JST, the whole one {whole} JST"),
    ));
    if !told {
        printer.line(&printer.warn(&printer.pick(
            "  --known-at がないので、今から数えています",
            "  no --known-at: counted from now",
        )));
    }
}

fn show_exposure(printer: &Printer, exposure: &Exposure) {
    let lists = [
        (
            &exposure.by_user,
            printer.pick("この利用者が触れたもの (JST)", "what the user touched (JST)"),
        ),
        (
            &exposure.to_resource,
            printer.pick("この資源に触れた人 (JST)", "who touched the resource (JST)"),
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
fn show_left(session: &Session, printer: &Printer, args: &IncidentArgs) {
    if !args.act {
        printer.line(&printer.pick(
            "証拠はまだ保全していません: --act --incident ID --key FILE --out DIR",
            "no evidence is preserved yet: --act --incident ID --key FILE --out DIR",
        ));
    }
    let gcp = session.world.config.gcp.as_ref();
    if gcp.is_none_or(|gcp| gcp.identity_project.is_none()) {
        printer.line(&printer.pick(
            "セッションの失効と公開口の停止はしていません: 失効はアプリの側で、停止は opsctl stop で",
            "no session was ended and no endpoint stopped: end sessions in the application, stop the endpoint with opsctl stop",
        ));
        return;
    }
    // The tenant is not known here, and the id of the trail need not be that of the directory.
    printer.line(&printer.pick(
        "セッションの失効、アカウントの停止、公開口の停止はしていません: 利用者は opsctl user stop TENANT USER、公開口は opsctl stop で",
        "no session was ended, no account suspended and no endpoint stopped: the user with opsctl user stop TENANT USER, the endpoint with opsctl stop",
    ));
}
