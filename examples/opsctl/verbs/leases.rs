use ops_core::audit::Recorded;
use ops_core::model::{AuditOutcome, AuditRecord, LeaseState, Text};
use ops_core::ports::LeaseStore as _;
use ops_postgres::PostgresLeases;
use serde_json::json;

use super::tenant::document;
use super::tenant_data::TenantData;
use crate::cli::{Global, LeasesArgs, LeasesVerb};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::world::Purpose;

pub(crate) async fn run(global: &Global, printer: &Printer, args: &LeasesArgs) -> Result<Exit, Failure> {
    let acts = args.verb.is_some();
    let data = TenantData::open(global, printer, Purpose::to_act_if(acts))
        .await?
        .with_schema()
        .await?;
    match &args.verb {
        None => list(&data, printer).await,
        Some(LeasesVerb::Release { name, reason }) => release(&data, printer, name, reason).await,
    }
}

async fn list(data: &TenantData, printer: &Printer) -> Result<Exit, Failure> {
    let leases = PostgresLeases::new(&data.store).list().await?;
    for lease in &leases {
        printer.line(&line(printer, lease));
    }
    if leases.is_empty() {
        printer.line(&printer.pick("まだ一度も使われていません", "none was ever taken"));
    }
    document(printer, json!({"leases": leases}), Exit::Done)
}

async fn release(data: &TenantData, printer: &Printer, name: &str, reason: &str) -> Result<Exit, Failure> {
    let store = PostgresLeases::new(&data.store);
    let found = store.list().await?.into_iter().find(|lease| lease.name == name);
    let Some(found) = found.filter(|lease| lease.held) else {
        let remedy = "opsctl leases";
        return Err(Failure::usage(format!("nobody runs {name} now"), remedy));
    };
    // Exactly the one that was looked at: who comes after it keeps it.
    let revoked = match &found.holder {
        Some(holder) => store.revoke(name, holder, found.token).await,
        None => Ok(None),
    };
    if revoked.is_err() {
        // It may have had its effect all the same.
        record(data, printer, (&found, reason), AuditOutcome::Unknown).await?;
    }
    let Some(freed) = revoked? else {
        return Err(Failure::Overtaken {
            what: Text::new(
                format!("{name} の実行は、その間に終わったか、すでに取り上げられています"),
                format!("the run of {name} has ended meanwhile, or was taken away already"),
            ),
            remedy: "opsctl leases".to_owned(),
        });
    };
    let audited = record(data, printer, (&found, reason), AuditOutcome::Succeeded).await?;
    printer.line(&line(printer, &freed));
    let until = freed.until.to_jst();
    printer.line(&printer.pick(
        &format!("  取り上げました。次の更新で元の実行は止まり、{until} から他が始められます"),
        &format!("  taken away: the run ends at its next renewal, and others may begin from {until} JST"),
    ));
    document(
        printer,
        json!({"released": found, "lease": freed, "audited": audited}),
        Exit::Done,
    )
}

async fn record(
    data: &TenantData,
    printer: &Printer,
    (found, reason): (&LeaseState, &str),
    outcome: AuditOutcome,
) -> Result<bool, Failure> {
    let world = &data.session.world;
    let (actor, tenant) = (data.session.actor.clone(), data.tenant(None)?);
    let record = AuditRecord::new(world.now(), tenant, actor, "release_lease", "lease", &found.name)
        .with_outcome(outcome)
        .with_detail("reason", reason)
        .with_detail("holder", found.holder.as_deref().unwrap_or_default())
        .with_detail("token", found.token.to_string());
    let audited = matches!(world.ops.record(record).await, Recorded::Stored(_));
    if !audited {
        printer.error(&printer.warn(&printer.pick(
            "⚠ 監査ログにまだ記録されていません",
            "⚠ not in the audit trail yet",
        )));
    }
    Ok(audited)
}

fn line(printer: &Printer, lease: &LeaseState) -> String {
    let who = lease.holder.as_deref();
    let state = match (lease.held, who) {
        (true, Some(who)) => printer.pick(
            &format!("実行中: {who} · {} から", lease.since.to_jst()),
            &format!("run by {who} since {} JST", lease.since.to_jst()),
        ),
        (true, None) => printer.pick("取り上げ済み", "taken away"),
        (false, Some(who)) => printer.pick(
            &format!("空き（{who} が終了を告げずに止まりました）"),
            &format!("free ({who} stopped without giving it back)"),
        ),
        (false, None) => printer.pick("空き", "free"),
    };
    let until = match lease.held {
        true => printer.pick(
            &format!(" · {} まで", lease.until.to_jst()),
            &format!(" · until {} JST", lease.until.to_jst()),
        ),
        false => String::new(),
    };
    format!("{:<28} {state}{until} · #{}", lease.name, lease.token)
}
