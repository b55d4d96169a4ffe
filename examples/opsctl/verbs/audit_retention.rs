use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ops_core::audit::{EvidenceVerifier, MonthPlan, TrailRetention};
use ops_core::error::{Error, ErrorKind};
use ops_core::model::TenantId;
use ops_core::ports::{AuditFault, AuditStore, ChainReport};
use ops_postgres::PostgresAuditStore;
use serde::Serialize;
use serde_json::json;

use super::alone::alone;
use super::audit_proof::public_keys;
use super::erase::same_trail;
use super::tenant::document;
use super::tenant_data::{Deed, Tally, TenantData};
use crate::cli::{Global, TrailRetentionArgs};
use crate::exit::{Exit, Failure};
use crate::print::Printer;
use crate::world::Purpose;

/// Shows which months of the trail are past their time, and removes those that are in evidence.
pub(crate) async fn run(
    global: &Global,
    printer: &Printer,
    args: &TrailRetentionArgs,
) -> Result<Exit, Failure> {
    let data = TenantData::open(global, printer, Purpose::to_act_if(args.yes))
        .await?
        .with_schema()
        .await?;
    if !args.yes {
        return prune(&data, printer, args).await;
    }
    // A month goes in one transaction that one at a time may have and that looks again at all that was read: it needs no fence.
    // Each month is recorded as it goes, in the transaction that removes it: there is nothing left to tally.
    let tenant = data.tenant(None)?;
    let deed = Deed::of_tenant(&tenant, "audit.prune");
    alone(
        &data,
        printer,
        "audit-retention",
        (&deed, &Tally::default()),
        |_| prune(&data, printer, args),
    )
    .await
}

async fn prune(data: &TenantData, printer: &Printer, args: &TrailRetentionArgs) -> Result<Exit, Failure> {
    let keys = match &args.public_key {
        Some(file) => public_keys(file)?,
        None => Vec::new(),
    };
    let verifier = EvidenceVerifier::new(keys);
    let trail = match args.yes {
        true => PostgresAuditStore::assume(&data.store, &data.store.audit_pruner().await?).await?,
        // To look, no role is made.
        false => PostgresAuditStore::unchecked(&data.store),
    };
    same_trail(data, &trail, &data.tenant(None)?).await?;
    let ops = &data.session.world.ops;
    let clock = Arc::clone(&ops.providers().clock);
    let keep = Duration::from_secs(u64::from(args.keep_days) * 24 * 60 * 60);
    let retention = TrailRetention::new(Arc::new(trail), ops.recorder().clone(), clock, keep);
    let plans = retention.plan(&args.evidence, &verifier).await?;
    let mut removed = Vec::new();
    let (mut left, mut failure) = (0, None);
    for plan in &plans {
        if args.yes && plan.is_ready() {
            if let Err(error) = retention.prune(plan, &data.session.actor).await {
                failure = Some(error);
                break;
            }
            removed.push(plan.month.to_string());
        } else {
            left += plan.removable();
        }
        show(printer, plan, removed.last() == Some(&plan.month.to_string()));
    }
    let gone = plans
        .iter()
        .filter(|plan| removed.contains(&plan.month.to_string()));
    let tenants: BTreeSet<_> = gone
        .flat_map(|plan| plan.tenants.iter().map(|tenant| tenant.reading.tenant.clone()))
        .collect();
    let verified = verify(printer, &*ops.providers().audit, &tenants).await;
    // What went before it is gone all the same, said, and verified.
    if let Some(error) = failure {
        for month in &removed {
            printer.error(&printer.pick(
                &format!("  ✔ {month} は削除しました"),
                &format!("  ✔ {month} was removed"),
            ));
        }
        return Err(Failure::Failed(error));
    }
    if plans.is_empty() {
        printer.line(&printer.pick(
            &format!("{} 日より古い月はありません", args.keep_days),
            &format!("no month is older than {} days", args.keep_days),
        ));
    } else if !args.yes {
        printer.line(&printer.pick(
            "  何も変更していません。削除する: 同じコマンドに --yes",
            "  nothing was changed; to remove: the same command with --yes",
        ));
    }
    let exit = match args.yes && left > 0 {
        _ if verified.iter().any(|trail| trail.intact == Some(false)) => Exit::Failed,
        _ if verified.iter().any(|trail| trail.intact.is_none()) => Exit::Unverified,
        true => Exit::Partly,
        false => Exit::Done,
    };
    document(
        printer,
        json!({"dry_run": !args.yes, "months": plans, "removed": removed, "left": left, "verified": verified}),
        exit,
    )
}

/// What is left of the trail of a tenant.
#[derive(Serialize)]
struct Left {
    tenant: TenantId,
    /// `None`: it could not be found out.
    intact: Option<bool>,
    records: u64,
    faults: Vec<AuditFault>,
}

/// Verifies what is left of each trail of which something went: a removal that broke it is said now, not by the next audit.
async fn verify(printer: &Printer, trail: &dyn AuditStore, tenants: &BTreeSet<TenantId>) -> Vec<Left> {
    let mut left = Vec::new();
    let end = tokio::time::Instant::now() + PATIENCE;
    for tenant in tenants {
        let late = |_| Error::new(ErrorKind::Timeout, "verify audit trail");
        let report = tokio::time::timeout_at(end, trail.verify(tenant)).await;
        let report = report.map_err(late).flatten();
        let (ja, en) = match &report {
            Ok(report) if report.intact() => (
                format!(
                    "  ✔ {tenant}: 残った記録を検証しました（全 {} 件）",
                    report.records
                ),
                format!(
                    "  ✔ {tenant}: what is left is verified, {} in all",
                    report.records
                ),
            ),
            Ok(report) => (
                format!(
                    "  ✘ {tenant}: 残った記録に異常があります（{} 件）: opsctl audit verify",
                    report.faults.len()
                ),
                format!(
                    "  ✘ {tenant}: what is left has {} faults: opsctl audit verify",
                    report.faults.len()
                ),
            ),
            Err(error) => (
                format!("  ✘ {tenant}: 残った記録を検証できませんでした ({error}): opsctl audit verify"),
                format!("  ✘ {tenant}: what is left could not be verified ({error}): opsctl audit verify"),
            ),
        };
        let line = printer.pick(&ja, &en);
        match &report {
            Ok(report) if report.intact() => printer.line(&line),
            _ => printer.error(&printer.warn(&line)),
        }
        let report = report.ok();
        left.push(Left {
            tenant: tenant.clone(),
            intact: report.as_ref().map(ChainReport::intact),
            records: report.as_ref().map_or(0, |report| report.records),
            faults: report.map(|report| report.faults).unwrap_or_default(),
        });
    }
    left
}

/// How long the verification of all trails may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

fn show(printer: &Printer, plan: &MonthPlan, removed: bool) {
    let (may, held) = (plan.removable(), plan.held());
    let line = match (removed, plan.is_ready()) {
        (true, _) => printer.pick(
            &format!("  ✔ {}  {may} 件を削除 · 保全 {held} 件", plan.month),
            &format!("  ✔ {}  {may} removed, {held} held", plan.month),
        ),
        (false, true) => printer.pick(
            &format!("    {}  {may} 件を削除できます · 保全 {held} 件", plan.month),
            &format!("    {}  {may} may go, {held} held", plan.month),
        ),
        (false, false) if may == 0 => printer.pick(
            &format!("    {}  保全 {held} 件のみ", plan.month),
            &format!("    {}  nothing but {held} held", plan.month),
        ),
        (false, false) => printer.pick(
            &format!(
                "  ✘ {}  期限切れ {may} 件 · 証跡がありません · 保全 {held} 件",
                plan.month
            ),
            &format!(
                "  ✘ {}  {may} past their time and not in evidence, {held} held",
                plan.month
            ),
        ),
    };
    printer.line(&line);
    for tenant in plan.tenants.iter().filter(|tenant| !tenant.is_ready()) {
        let reason = tenant.uncovered.as_deref().unwrap_or_default();
        let line = format!("      {}: {reason}", tenant.reading.tenant);
        printer.line(&printer.warn(&line));
    }
}
